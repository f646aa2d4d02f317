"""The SAML keys: RSA keys with certificates that say nothing but which key it is. One signs; another, of
its own, is what identity providers encrypt for.

Providers keep the certificate from our metadata and look at neither its issuer nor its dates, and it may
take them months to fetch a new one: so these are apart from the keys of OpenID Connect, and are rotated by
command alone, as far ahead as whoever runs it says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, delete, insert, select, update

from iam.db.saml_tables import saml_key
from iam.kernel.clock import Instant, to_datetime
from iam.kernel.ids import SAML_KEY, make_id
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.keys.signing import RSA_BITS

_YEARS = 10


Use = Literal["signing", "encryption"]


@dataclass(frozen=True, slots=True)
class SamlKey:
    """A private key and its certificate, both PEM. It signs from `active_at` on, and is known to others
    until `retires_at` (None: for good)."""

    id: str
    private_key: str
    certificate: str
    use: Use
    created_at: Instant
    active_at: Instant
    retires_at: Instant | None = None


def load_saml_keys(
    connection: Connection, cipher: Cipher, now: Instant, use: Use | None = "signing"
) -> tuple[SamlKey, ...]:
    """The keys for one use (None: all) that are not retired, the one that is in use now first.

    Raises:
        EncryptionKeyWrong: they were encrypted under a key that is not at hand.
    """
    rows = connection.execute(select(saml_key).order_by(saml_key.c.id.desc()))
    found = [
        SamlKey(
            id=row.id,
            private_key=cipher.decrypt(row.private_key, row.id),
            certificate=row.certificate,
            use=row.use,
            created_at=Instant(row.created_at),
            active_at=Instant(row.active_at),
            retires_at=Instant(row.retires_at) if row.retires_at is not None else None,
        )
        for row in rows
        if use in (None, row.use) and (row.retires_at is None or row.retires_at > now)
    ]
    return in_order(found, now)


def in_order(keys: Sequence[SamlKey], now: Instant) -> tuple[SamlKey, ...]:
    """These keys, the one that became active last first; those that are to come behind it. Of two of one
    instant the one that stays."""
    return tuple(
        sorted(
            keys,
            key=lambda one: (one.active_at > now, -one.active_at, one.retires_at is not None),
        )
    )


def make_saml_key(
    issuer: str,
    now: Instant,
    random: Random,
    *,
    use: Use = "signing",
    active_at: Instant | None = None,
) -> SamlKey:
    """A new key for the installation at this address. Not for inside a transaction: it takes its time.

    Args:
        active_at: from when on it signs; None: at once.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    host = urlsplit(issuer).hostname or issuer
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    start = to_datetime(now)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(random(16), "big") >> 1 | 1)
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    return SamlKey(
        id=make_id(SAML_KEY, now, random),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(
            "ascii"
        ),
        certificate=certificate.public_bytes(Encoding.PEM).decode("ascii"),
        use=use,
        created_at=now,
        active_at=now if active_at is None else active_at,
    )


def add_saml_key(connection: Connection, key: SamlKey, cipher: Cipher, random: Random) -> None:
    """Store this key, encrypted: it is published from the commit on."""
    row = {
        "id": key.id,
        "private_key": cipher.encrypt(key.private_key, key.id, random),
        "certificate": key.certificate,
        "created_at": key.created_at,
        "use": key.use,
        "active_at": key.active_at,
    }
    connection.execute(insert(saml_key), row)


def retire_saml_keys(connection: Connection, keys: Sequence[str], at: Instant) -> None:
    """Have these keys be forgotten at this instant, if they would not be before."""
    sooner = saml_key.c.retires_at.is_(None) | (saml_key.c.retires_at > at)
    here = update(saml_key).where(saml_key.c.id.in_(keys), sooner)
    connection.execute(here.values(retires_at=at))


def purge(connection: Connection, now: Instant) -> None:
    """Delete the keys that are retired."""
    connection.execute(delete(saml_key).where(saml_key.c.retires_at <= now))


def encrypt_again(connection: Connection, cipher: Cipher, random: Random) -> None:
    """Encrypt under the newest key what is not.

    Raises:
        EncryptionKeyWrong: one was encrypted under a key that is not at hand.
    """
    for row in connection.execute(select(saml_key.c.id, saml_key.c.private_key)).all():
        if not cipher.is_newest(row.private_key):
            pem = cipher.decrypt(row.private_key, row.id)
            encrypted = {"private_key": cipher.encrypt(pem, row.id, random)}
            connection.execute(update(saml_key).where(saml_key.c.id == row.id).values(encrypted))
