"""Public keys that applications register: what their signatures are checked with, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from iam.kernel.errors import Forbidden

PublicKey = RSAKey | ECKey | OKPKey
ALGORITHMS = ("RS256", "ES256", "Ed25519", "EdDSA")
"""What clients may sign with (RFC 7518 §3.1, RFC 9864 §2.2), the last by its name in older libraries."""


class _Registry(jws.JWSRegistry):
    """joserfc's own warns of the name EdDSA whenever a client uses it, which is not for us to mend."""

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"Algorithm of {name!r} is not allowed")
        return self.algorithms[name]


REGISTRY = _Registry(algorithms=list(ALGORITHMS))
"""What reads their signatures."""

_SHORTEST_RSA, _LONGEST_RSA = 2048, 8192
_LONGEST_TEXT, _LONGEST_LIST = 4096, 10
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class KeysRefused(Forbidden):
    """These keys prove nothing, or should not have left their owner."""

    code = "jwks_refused"
    title = "These keys cannot be used."


def check_jwks(jwks: Any) -> None:
    """Refuse a JWK Set (a mapping, or a model with the member `keys`) that holds an unusable key.

    Raises:
        KeysRefused: a private or symmetric key, one of another kind, one too short, or two of one ID.
    """
    if jwks is None:
        return
    keys: Sequence[Mapping[str, Any]] = jwks["keys"] if isinstance(jwks, Mapping) else jwks.keys
    for one in keys:
        public_key(one)
    names = [one["kid"] for one in keys if "kid" in one]
    if len(set(names)) < len(names):
        raise KeysRefused("Two keys have the same kid.")


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """The key that a JWK describes.

    Raises:
        KeysRefused: see `check_jwks`.
    """
    if not all(_is_plain(name) and _is_plain(value) for name, value in jwk.items()):
        raise KeysRefused("A key's members are short texts, or lists of them.")
    if _PRIVATE & jwk.keys():
        raise KeysRefused("Send public keys only, and replace the one that was sent.")
    if isinstance(jwk.get("kid"), list) or jwk.get("use", "sig") != "sig":
        raise KeysRefused("A key is for signatures (use: sig), and its kid is a text.")
    try:
        key: PublicKey
        if jwk.get("kty") == "RSA":
            key = RSAKey.import_key(dict(jwk))
            if not _SHORTEST_RSA <= key.public_key.key_size <= _LONGEST_RSA:
                raise KeysRefused("An RSA key has 2048 to 8192 bits.")
        elif jwk.get("kty") == "EC" and jwk.get("crv") == "P-256":
            key = ECKey.import_key(dict(jwk))
        elif jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519":
            key = OKPKey.import_key(dict(jwk))
        else:
            raise KeysRefused("A key is RSA, EC on P-256, or Ed25519.")
        _ = key.public_key  # what is no point on its curve is found out only here
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise KeysRefused("A key cannot be read.") from error
    return key


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= _LONGEST_LIST and all(
            isinstance(v, str) and _is_plain(v) for v in value
        )
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.isprintable()


def fits(key: PublicKey, algorithm: str) -> bool:
    """Whether this kind of key signs by this algorithm."""
    kinds = {"RS256": RSAKey, "ES256": ECKey, "Ed25519": OKPKey, "EdDSA": OKPKey}
    kind = kinds.get(algorithm)
    return kind is not None and isinstance(key, kind)
