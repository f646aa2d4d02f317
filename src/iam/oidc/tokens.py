"""ID and access tokens: JWTs, RS256, signed and read with the installation's own keys only."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, RSAKey

from iam.directory.users import User
from iam.kernel.clock import Instant, after
from iam.kernel.ids import SESSION, is_id
from iam.keys import SigningKey
from iam.sessions.model import Session

ALGORITHM = "RS256"
SCOPES = ("openid", "profile", "email")

ACCESS_TOKEN_LIFETIME = 10 * 60
"""Seconds. A resource server that never asks us accepts an ended session's token for so long."""
ID_TOKEN_LIFETIME = 5 * 60
"""Seconds in which a client must have read it."""

_ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - the header of RFC 9068 §2.1, not a password
_LONGEST = 8192
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])


class TokenInvalid(Exception):
    """A text that is no token of ours for this purpose, or too old a one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What tokens are issued for: the user, the session entered, and what the client asked."""

    client_id: str
    user: User
    session: Session
    scope: tuple[str, ...]
    nonce: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token that was verified says."""

    subject: str
    session_id: str
    client_id: str
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What an ID token of ours says of whom a client had: the user, the client, the session."""

    subject: str
    client_id: str
    session_id: str


def make_access_token(
    grant: Grant, key: SigningKey, issuer: str, now: Instant, jti: str
) -> tuple[str, int]:
    """An access token (RFC 9068 §2) and the seconds it is good for, never beyond the session's end."""
    until = min(after(now, ACCESS_TOKEN_LIFETIME), grant.session.expires_at)
    issued, expires = now // 1000, until // 1000
    claims = {
        "iss": issuer,
        "sub": grant.user.id,
        "aud": issuer,
        "client_id": grant.client_id,
        "iat": issued,
        "exp": expires,
        "jti": jti,
        "sid": grant.session.id,
        "scope": " ".join(grant.scope),
    }
    return _sign(claims, key, _ACCESS_TOKEN_TYPE), max(0, expires - issued)


def make_id_token(
    grant: Grant, access_token: str, key: SigningKey, issuer: str, now: Instant
) -> str:
    """An ID token (OpenID Connect Core §2) that goes with this access token."""
    issued = now // 1000
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": grant.user.id,
        "aud": grant.client_id,
        "azp": grant.client_id,
        "iat": issued,
        "exp": issued + ID_TOKEN_LIFETIME,
        "sid": grant.session.id,
        "at_hash": _half_hash(access_token),
    }
    if grant.session.authenticated_at is not None:
        claims["auth_time"] = grant.session.authenticated_at // 1000
    if grant.session.amr:
        claims["amr"] = list(grant.session.amr)
    if grant.session.acr is not None:
        claims["acr"] = grant.session.acr
    if grant.nonce is not None:
        claims["nonce"] = grant.nonce
    return _sign(claims, key, "JWT")


def read_access_token(
    text: str, keys: tuple[SigningKey, ...], issuer: str, now: Instant
) -> AccessToken:
    """What this access token says.

    Raises:
        TokenInvalid: not signed by us, not an access token (an ID token is none), or too old.
    """
    claims = _verify(text, keys, _ACCESS_TOKEN_TYPE)
    subject, sid, client_id, scope, expires = (
        claims.get(name) for name in ("sub", "sid", "client_id", "scope", "exp")
    )
    if claims.get("iss") != issuer or claims.get("aud") != issuer:
        raise TokenInvalid("it is another issuer's")
    if not (
        isinstance(subject, str)
        and isinstance(sid, str)
        and is_id(SESSION, sid)
        and isinstance(client_id, str)
        and isinstance(scope, str)
        and isinstance(expires, int)
    ):
        raise TokenInvalid("a claim is missing")
    if now >= expires * 1000:
        raise TokenInvalid("it has expired")
    return AccessToken(
        subject=subject, session_id=sid, client_id=client_id, scope=tuple(scope.split())
    )


def read_hint(text: str, keys: tuple[SigningKey, ...], issuer: str) -> Hint:
    """What an ID token says that a client gives back as `id_token_hint` (Core §3.1.2.1, RP-Initiated
    Logout §2). It may have expired: it tells whom the client had, and proves nothing else.

    Raises:
        TokenInvalid: it is no ID token that we issued.
    """
    claims = _verify(text, keys, "JWT")
    subject, client_id, sid = (claims.get(name) for name in ("sub", "aud", "sid"))
    if claims.get("iss") != issuer:
        raise TokenInvalid("it is another issuer's")
    if not (isinstance(subject, str) and isinstance(client_id, str) and isinstance(sid, str)):
        raise TokenInvalid("a claim is missing")
    return Hint(subject=subject, client_id=client_id, session_id=sid)


def _sign(claims: dict[str, Any], key: SigningKey, type_: str) -> str:
    header = {"alg": ALGORITHM, "kid": key.id, "typ": type_}
    return jwt.encode(header, claims, key.key, algorithms=[ALGORITHM])


def _verify(text: str, keys: tuple[SigningKey, ...], type_: str) -> Mapping[str, Any]:
    if len(text) > _LONGEST:
        raise TokenInvalid("it is too long")

    def ours(token: GuestProtocol) -> RSAKey:
        # By `kid` among our own keys: what else a header names (jwk, jku, x5u) is never looked at.
        kid = token.headers().get("kid")
        for one in keys:
            if one.id == kid:
                return one.key
        raise TokenInvalid("its key is not ours")

    try:
        signed = jws.deserialize_compact(text, ours, registry=_REGISTRY)
        claims = json.loads(signed.payload)
        found = signed.headers().get("typ")
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenInvalid("it cannot be read") from error
    if found != type_ or not isinstance(claims, dict):
        raise TokenInvalid("it is of another kind")
    return claims


def _half_hash(text: str) -> str:
    """`at_hash`, Core §3.1.3.6: the left half of the hash that goes with the signature."""
    return (
        base64.urlsafe_b64encode(sha256(text.encode("ascii")).digest()[:16]).rstrip(b"=").decode()
    )
