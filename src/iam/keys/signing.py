"""RS256 keys (RFC 7518 §3.3): the algorithm that every OpenID provider must offer (OIDC Core §15.1)."""

import base64
import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from joserfc.jwk import RSAKey
from sqlalchemy import Connection, insert, select

from iam.db.tables import signing_key
from iam.kernel.clock import Instant
from iam.kernel.ids import KEY, make_id
from iam.kernel.secrets import Random

RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair. `id` is the JWK's `kid`."""

    id: str
    algorithm: str
    key: RSAKey


def ensure_key(connection: Connection, now: Instant, random: Random) -> bool:
    """Make the first signing key unless there is one; answer whether one was made."""
    if connection.execute(select(signing_key.c.id).limit(1)).first() is not None:
        return False
    key = RSAKey.generate_key(RSA_BITS)
    connection.execute(
        insert(signing_key),
        {
            "id": make_id(KEY, now, random),
            "algorithm": "RS256",
            "private_key": key.as_pem(private=True).decode("ascii"),
            "created_at": now,
        },
    )
    return True


def load_keys(connection: Connection) -> tuple[SigningKey, ...]:
    """All signing keys, the one that signs first."""
    query = select(signing_key).order_by(signing_key.c.id.desc())
    return tuple(
        SigningKey(
            row.id,
            row.algorithm,
            RSAKey.import_key(row.private_key, {"kid": row.id, "alg": row.algorithm, "use": "sig"}),
        )
        for row in connection.execute(query)
    )


def derive_key(signing: SigningKey, purpose: str) -> bytes:
    """A symmetric key (256 bits) of this installation for one purpose, which tells nothing of the
    signing key or of another purpose's (HKDF-Extract, RFC 5869 §2.2, with the purpose as salt)."""
    private = str(signing.key.as_dict(private=True)["d"])
    secret = base64.urlsafe_b64decode(private + "=" * (-len(private) % 4))
    return hmac.new(purpose.encode(), secret, sha256).digest()


def public_jwks(keys: tuple[SigningKey, ...]) -> dict[str, list[dict[str, Any]]]:
    """The public halves as a JWK Set (RFC 7517 §5)."""
    return {"keys": [dict(one.key.as_dict(private=False)) for one in keys]}
