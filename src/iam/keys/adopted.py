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


class KeyUnusable(Invalid):
    """Nothing that tokens could be signed with here."""

    code = "signing_key_unusable"
    title = "This key cannot sign tokens here."


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
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    key_id = make_id(KEY, now, random)
    return AdoptedKey(
        SigningKey(key_id, algorithm, read_key(pem, key_id, algorithm), active_at, now),
        sha256(public).digest(),
    )
