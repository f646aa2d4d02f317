"""The SAML key: an RSA key with a certificate that says nothing but which key it is.

Providers keep the certificate from our metadata and look at neither its issuer nor its dates, and it may
take them months to fetch a new one: so it is a key of its own, apart from those of OpenID Connect.
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, insert, select, update

from iam.db.saml_tables import saml_key
from iam.kernel.clock import Instant, to_datetime
from iam.kernel.ids import SAML_KEY, make_id
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.keys.signing import RSA_BITS

_YEARS = 10


@dataclass(frozen=True, slots=True)
class SamlKey:
    """A private key and its certificate, both PEM."""

    id: str
    private_key: str
    certificate: str


def load_saml_keys(connection: Connection, cipher: Cipher) -> tuple[SamlKey, ...]:
    """All SAML keys, the one that signs first.

    Raises:
        EncryptionKeyWrong: they were encrypted under a key that is not at hand.
    """
    rows = connection.execute(select(saml_key).order_by(saml_key.c.id.desc()))
    return tuple(
        SamlKey(row.id, cipher.decrypt(row.private_key, row.id), row.certificate) for row in rows
    )


def make_saml_key(issuer: str, now: Instant, random: Random) -> SamlKey:
    """A new key for the installation at this address. Not for inside a transaction: it takes its time."""
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
        make_id(SAML_KEY, now, random),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"),
        certificate.public_bytes(Encoding.PEM).decode("ascii"),
    )


def add_saml_key(
    connection: Connection, key: SamlKey, now: Instant, cipher: Cipher, random: Random
) -> None:
    """Store this key, encrypted: it signs from the commit on."""
    row = {
        "id": key.id,
        "private_key": cipher.encrypt(key.private_key, key.id, random),
        "certificate": key.certificate,
        "created_at": now,
    }
    connection.execute(insert(saml_key), row)


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
