"""Signing keys: RS256, which every OpenID provider must offer (OIDC Core §15.1), and ES256 beside it
(RFC 7518 §3.1).

A key is published before it signs, so that whoever keeps the key set for a while knows it by then, and
stays published after another has taken its place, for as long as what it signed may be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import Connection, delete, insert, select, update

from iam.db.tables import signing_key
from iam.kernel.clock import Instant, after
from iam.kernel.ids import KEY, make_id
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher

ALGORITHMS = ("RS256", "ES256")
RSA_BITS = 2048

PUBLISHED_AHEAD = 15 * 60
"""Seconds for which a new key is only published: longer than clients keep the key set (discovery) and
nodes take to notice it (server.jobs)."""
KEPT = 30 * 24 * 60 * 60
"""Seconds for which a key that signs no more still verifies: ID tokens are shown as hints long after."""

_PEM = "-----BEGIN "


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair. `id` is the JWK's `kid`; it signs from `active_at` on, until another takes over."""

    id: str
    algorithm: str
    key: RSAKey | ECKey
    active_at: Instant
    created_at: Instant


def make_keys(
    now: Instant, random: Random, *, active_at: Instant, algorithms: Sequence[str] = ALGORITHMS
) -> tuple[SigningKey, ...]:
    """A new key of each algorithm. Not for inside a transaction: an RSA key takes its time."""
    return tuple(
        SigningKey(make_id(KEY, now, random), one, _generate(one), active_at, now)
        for one in algorithms
    )


def missing_algorithms(connection: Connection) -> tuple[str, ...]:
    """Those of which there is no key at all."""
    there = set(connection.execute(select(signing_key.c.algorithm)).scalars())
    return tuple(one for one in ALGORITHMS if one not in there)


def add_keys(
    connection: Connection, keys: Sequence[SigningKey], cipher: Cipher, random: Random
) -> None:
    """Store these, encrypted."""
    for one in keys:
        pem = one.key.as_pem(private=True).decode("ascii")
        connection.execute(
            insert(signing_key),
            {
                "id": one.id,
                "algorithm": one.algorithm,
                "private_key": cipher.encrypt(pem, one.id, random),
                "created_at": one.created_at,
                "active_at": one.active_at,
            },
        )


def load_keys(connection: Connection, cipher: Cipher) -> tuple[SigningKey, ...]:
    """All signing keys, by ID.

    Raises:
        EncryptionKeyWrong: they were encrypted under a key that is not at hand.
    """
    query = select(signing_key).order_by(signing_key.c.id)
    return tuple(
        SigningKey(
            row.id,
            row.algorithm,
            read_key(cipher.decrypt(row.private_key, row.id), row.id, row.algorithm),
            Instant(row.active_at),
            Instant(row.created_at),
        )
        for row in connection.execute(query)
    )


def encrypt_again(connection: Connection, cipher: Cipher, random: Random) -> int:
    """Encrypt under the newest key what is not (or not at all); answer how many keys that were.

    Raises:
        EncryptionKeyWrong: one was encrypted under a key that is not at hand.
    """
    rows = connection.execute(select(signing_key.c.id, signing_key.c.private_key)).all()
    old = [row for row in rows if not cipher.is_newest(row.private_key)]
    for row in old:
        plain = row.private_key.startswith(_PEM)  # as versions before encryption kept it
        pem = row.private_key if plain else cipher.decrypt(row.private_key, row.id)
        connection.execute(
            update(signing_key)
            .where(signing_key.c.id == row.id)
            .values(private_key=cipher.encrypt(pem, row.id, random))
        )
    return len(old)


def forget(connection: Connection, ids: Sequence[str]) -> None:
    """Delete these keys: what they signed is good no more."""
    connection.execute(delete(signing_key).where(signing_key.c.id.in_(ids)))


def in_order(keys: Sequence[SigningKey], now: Instant) -> tuple[SigningKey, ...]:
    """The key that signs by RS256 first; of every algorithm the one that signs before those that did
    and those that will."""
    return tuple(
        sorted(
            keys,
            key=lambda one: (
                ALGORITHMS.index(one.algorithm),
                one.active_at > now,
                -one.active_at,
                one.id,
            ),
        )
    )


def outdated(keys: Sequence[SigningKey], now: Instant) -> tuple[str, ...]:
    """The IDs of keys that need no longer be kept: another took their place `KEPT` seconds ago."""
    return tuple(
        one.id
        for one in keys
        if any(
            other.algorithm == one.algorithm
            and other.active_at > one.active_at
            and after(other.active_at, KEPT) <= now
            for other in keys
        )
    )


def rotation_due(keys: Sequence[SigningKey], now: Instant, days: int) -> bool:
    """Whether the newest keys are older than this number of days; never if that is 0."""
    newest = max((one.created_at for one in keys), default=now)
    return days > 0 and after(newest, days * 24 * 60 * 60) <= now


def signer(keys: Sequence[SigningKey], algorithm: str) -> SigningKey:
    """The key that signs by this algorithm, of keys `in_order`."""
    return next(one for one in keys if one.algorithm == algorithm)


def public_jwks(keys: Sequence[SigningKey]) -> dict[str, list[dict[str, Any]]]:
    """The public halves as a JWK Set (RFC 7517 §5)."""
    return {"keys": [dict(one.key.as_dict(private=False)) for one in keys]}


def _generate(algorithm: str) -> RSAKey | ECKey:
    return RSAKey.generate_key(RSA_BITS) if algorithm == "RS256" else ECKey.generate_key("P-256")


@lru_cache(maxsize=32)
def read_key(pem: str, key_id: str, algorithm: str) -> RSAKey | ECKey:
    """The key pair in a PEM, under this ID.

    Read once: an RSA key keeps the interpreter busy for 50 ms, in which no validation is answered, and every
    node looks at the keys every few seconds.
    """
    parameters: Any = {"kid": key_id, "alg": algorithm, "use": "sig"}
    kind = RSAKey if algorithm == "RS256" else ECKey
    return kind.import_key(pem, parameters)
