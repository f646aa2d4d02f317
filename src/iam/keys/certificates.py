"""Certificates of signing keys, for clients that read a public key out of nothing else (Casdoor's SDKs).

They say which key it is and nothing more: who fetched one has no reason to look at its issuer or dates.
"""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from iam.kernel.clock import to_datetime
from iam.keys.signing import SigningKey

YEARS = 20


def certificate_of(key: SigningKey) -> str:
    """A certificate (PEM) of a signing key, signed by itself. Its number is that of the key."""
    private = key.key.private_key
    assert isinstance(private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))  # noqa: S101 - ours have one
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key.id)])
    start = to_datetime(key.created_at)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(int.from_bytes(key.id.encode()[-16:], "big"))
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=365 * YEARS))
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode("ascii")
