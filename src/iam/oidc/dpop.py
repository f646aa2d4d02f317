"""Proof of possession (RFC 9449): a request shows that its sender has a key, and not only a token.

A proof is for one request, once, within a minute; a nonce of ours in it shows that it was not made
beforehand. Nonces are made from the time and a key that all nodes have, and so are kept nowhere.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol
from sqlalchemy import Connection

from iam.kernel.clock import Instant, after
from iam.keys.cipher import Cipher
from iam.keys.client_keys import REGISTRY, KeysRefused, PublicKey, fits, public_key
from iam.oidc import spent

OLDEST = 60
"""Seconds that a proof may take to arrive."""
SKEW = 30
"""Seconds by which a client's clock may be ahead."""
NONCE_STEP = 150
"""Seconds between two nonces; each is taken for one to two steps."""
_LONGEST = 8192
_LONGEST_JTI = 255
_DEFAULT_PORTS = {"http": 80, "https": 443}


class ProofInvalid(OAuth2Error):  # type: ignore[misc] # Authlib's base has no types
    """RFC 9449 §5."""

    error = "invalid_dpop_proof"


class NonceWanted(OAuth2Error):  # type: ignore[misc] # Authlib's base has no types
    """RFC 9449 §8: the answer carries the nonce to use."""

    error = "use_dpop_nonce"


def make_nonce(cipher: Cipher, now: Instant) -> str:
    """The nonce of now."""
    return _nonce(cipher.sign(_message(now // 1000 // NONCE_STEP)), now // 1000 // NONCE_STEP)


def proven_key(
    connection: Connection,
    proofs: Sequence[str],
    *,
    method: str,
    url: str,
    cipher: Cipher,
    now: Instant,
    access_token: str | None = None,
) -> str | None:
    """The thumbprint (RFC 7638) of the key that a request proves; None if it has no proof.

    The proof is used up by it, so the connection has to be one that may write.

    Args:
        proofs: the values of all headers `DPoP`.
        url: where the request was sent to, without its query.
        access_token: the one that goes with the request, at a resource.

    Raises:
        ProofInvalid: one of the checks of §4.3 fails.
        NonceWanted: it has no nonce of ours, or an old one.
    """
    if not proofs:
        return None
    if len(proofs) > 1 or len(proofs[0]) > _LONGEST:
        raise ProofInvalid("Send one proof.")
    key, claims = _verified(proofs[0])
    if claims.get("htm") != method or _normal(claims.get("htu")) != _normal(url):
        raise ProofInvalid("The proof is for another request.")
    made_at, jti = claims.get("iat"), claims.get("jti")
    if not isinstance(made_at, int | float) or not abs(made_at) < 1 << 40:
        raise ProofInvalid("The proof does not say when it was made.")
    made = Instant(int(made_at * 1000))
    if not after(now, -OLDEST) < made <= after(now, SKEW):
        raise ProofInvalid("The proof is too old, or from the future.")
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        raise ProofInvalid("The proof has no jti.")
    if access_token is not None and claims.get("ath") != _text(
        sha256(access_token.encode("utf-8", "surrogatepass")).digest()
    ):
        raise ProofInvalid("The proof is for another access token.")
    if not _is_fresh(claims.get("nonce"), cipher, now):
        raise NonceWanted("Use the nonce in the header DPoP-Nonce.")
    thumbprint: str = key.thumbprint()
    if not spent.spend(connection, spent.PROOF, thumbprint, jti, after(made, OLDEST)):
        raise ProofInvalid("The proof was used before.")
    return thumbprint


def _verified(text: str) -> tuple[PublicKey, Mapping[str, Any]]:
    found: list[PublicKey] = []

    def its_own(token: GuestProtocol) -> PublicKey:
        # The one place where a header's key is taken: it proves nothing but that the sender has it.
        header: Mapping[str, Any] = token.headers()
        jwk = header.get("jwk")
        if not isinstance(jwk, Mapping):
            raise ProofInvalid("The proof has no key.")
        key = public_key(jwk)
        if header.get("typ") != "dpop+jwt" or not fits(key, str(header.get("alg"))):
            raise ProofInvalid("This is no proof.")
        found.append(key)
        return key

    try:
        claims = json.loads(jws.deserialize_compact(text, its_own, registry=REGISTRY).payload)
    except (JoseError, KeysRefused, ValueError, TypeError, RecursionError) as error:
        raise ProofInvalid("The proof cannot be verified.") from error
    if not isinstance(claims, dict):
        raise ProofInvalid("This is no proof.")
    return found[0], claims


def _normal(url: object) -> tuple[str, str, int | None, str] | None:
    """§4.3: compared without query and fragment, host and scheme in any case, with the default port."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), port or _DEFAULT_PORTS.get(scheme), parts.path


def _is_fresh(nonce: object, cipher: Cipher, now: Instant) -> bool:
    if not isinstance(nonce, str):
        return False
    step, _, rest = nonce.partition(".")
    current = now // 1000 // NONCE_STEP
    if step not in (str(current), str(current - 1)):
        return False
    try:
        authenticator = base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4))
    except ValueError:
        return False
    return cipher.signed(_message(int(step)), authenticator)


def _message(step: int) -> bytes:
    return f"dpop nonce {step}".encode()


def _nonce(authenticator: bytes, step: int) -> str:
    return f"{step}.{_text(authenticator)}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
