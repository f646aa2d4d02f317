"""A signing key that another server has signed with, taken over with the name under which it is trusted."""

from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from iam.kernel.clock import Instant
from iam.kernel.errors import Invalid
from iam.kernel.ids import KEY, make_id
from iam.kernel.secrets import Random
from iam.keys.signing import ALGORITHMS, SigningKey, read_key

_LARGEST_PEM = 64 * 1024
_SHORTEST_RSA, _LONGEST_RSA = 2048, 8192

PUBLISHED = frozenset(
    {
        "e9750c7433124b38d6d3c7aee87a65b64e80c3b6ec2cade26a9a9fadad061b4a",  # Casdoor, 2021
        "a9fa0d881b4b8737788c8f73e9ac964c57638465aa9c5d53fe0ec757fc19a72f",  # Casdoor, 2026
        "8c3f9e4ca79947bc1f2ca04947ab0689f1b8700659276aca7136dc647d9e951c",  # Hanzo IAM, 2026
    }
)
"""Keys that come with the source of those servers (`object/token_jwt_key.key`), and that one which is started
from its source signs with: by the SHA-256 of their public halves."""


class KeyUnusable(Invalid):
    """Nothing that tokens could be signed with here."""

    code = "signing_key_unusable"
    title = "This key cannot sign tokens here."


class KeyPublished(KeyUnusable):
    """The private half is there for everybody to read: with it anybody could make tokens of any session
    and any application."""

    code = "signing_key_published"
    title = "The private half of this key is published."


@dataclass(frozen=True, slots=True)
class AdoptedKey:
    """A key pair of somebody else's, and the SHA-256 of its public half."""

    signing_key: SigningKey
    fingerprint: bytes


def adopt(
    private_key: str,
    certificate: str,
    algorithm: str,
    *,
    active_at: Instant,
    now: Instant,
    random: Random,
) -> AdoptedKey:
    """The key pair in these two PEM texts, to sign from `active_at` on. It is not stored yet.

    Raises:
        KeyUnusable: another algorithm, too short, no private key, or not that of the certificate.
        KeyPublished: everybody has it.
    """
    if algorithm not in ALGORITHMS or max(len(private_key), len(certificate)) > _LARGEST_PEM:
        raise KeyUnusable
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
        trusted = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("It cannot be read.") from error
    if isinstance(key, rsa.RSAPrivateKey):
        fits = algorithm == "RS256" and _SHORTEST_RSA <= key.key_size <= _LONGEST_RSA
    else:
        fits = (
            isinstance(key, ec.EllipticCurvePrivateKey)
            and algorithm == "ES256"
            and isinstance(key.curve, ec.SECP256R1)
        )
    if not fits or not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyUnusable("It is not of this algorithm, or too short.")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if trusted.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != public:
        raise KeyUnusable("It is not the key of the certificate.")
    fingerprint = sha256(public)
    if fingerprint.hexdigest() in PUBLISHED:
        raise KeyPublished
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    key_id = make_id(KEY, now, random)
    return AdoptedKey(
        SigningKey(key_id, algorithm, read_key(pem, key_id, algorithm), active_at, now),
        fingerprint.digest(),
    )
