"""ID and access tokens: JWTs, signed and read with the installation's own keys only."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol, RSAKey

from iam.kernel.clock import Instant, after
from iam.keys import SigningKey
from iam.keys.signing import ALGORITHMS
from iam.sessions.model import Session

OFFLINE = "offline_access"
SCOPES = ("openid", "profile", "email", OFFLINE)

ACCESS_TOKEN_LIFETIME = 10 * 60
"""Seconds. A resource server that never asks us accepts an ended session's token for so long."""
ID_TOKEN_LIFETIME = 5 * 60
"""Seconds in which a client must have read it."""

_ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - the header of RFC 9068 §2.1, not a password
_LONGEST = 8192
_REGISTRY = jws.JWSRegistry(algorithms=list(ALGORITHMS))


class TokenInvalid(Exception):
    """A text that is no token of ours for this purpose, or too old a one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What tokens are issued for: the user, the session entered, and what the client asked."""

    client_id: str
    subject: str
    """The user's ID; of an application that asks for itself its client ID."""
    session: Session | None
    """None: there is no user, and so no session."""
    scope: tuple[str, ...]
    nonce: str | None = None
    acr: str | None = None
    """The class that the ID token has to name; None: the one that the session has reached."""
    audience: tuple[str, ...] = ()
    """The resources that the access token is for; none: for this server (userinfo)."""
    jkt: str | None = None
    """The thumbprint of the key that whoever uses the access token has to prove (RFC 9449 §6)."""
    act: Mapping[str, Any] | None = None
    """Who acts for the subject (RFC 8693 §4.1)."""
    until: Instant | None = None
    """When the access token is over at the latest."""
    userinfo_claims: tuple[str, ...] = ()
    """Claims that userinfo says besides those of the scope (Core §5.5), and the same of the ID token."""
    id_token_claims: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What else an access token that is a JWT says of the user, for clients that read it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token that was verified says."""

    jti: str
    subject: str
    session_id: str | None
    client_id: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    issued_at: int
    expires_at: int
    """Both in seconds since 1970, as the token has them."""
    jkt: str | None
    act: Mapping[str, Any] | None
    userinfo_claims: tuple[str, ...] = ()


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
    issued, expires = now // 1000, access_token_until(grant, now) // 1000
    claims: dict[str, Any] = {
        **grant.claims,
        "iss": issuer,
        "sub": grant.subject,
        "aud": one_or_many(grant.audience or (issuer,)),
        "client_id": grant.client_id,
        "iat": issued,
        "exp": expires,
        "jti": jti,
    }
    if grant.session is not None:
        claims |= {"sid": grant.session.id, **_how(grant.session)}
    if grant.scope:
        claims["scope"] = " ".join(grant.scope)
    if grant.jkt is not None:
        claims["cnf"] = {"jkt": grant.jkt}
    if grant.act is not None:
        claims["act"] = dict(grant.act)
    if grant.userinfo_claims:
        claims["userinfo_claims"] = list(grant.userinfo_claims)
    return _sign(claims, key, _ACCESS_TOKEN_TYPE), max(0, expires - issued)


def _how(session: Session) -> dict[str, Any]:
    """When and how the user has authenticated (Core §2; RFC 9068 §2.2.1, for resources that ask for more:
    RFC 9470)."""
    claims: dict[str, Any] = {}
    if session.authenticated_at is not None:
        claims["auth_time"] = session.authenticated_at // 1000
    if session.amr:
        claims["amr"] = list(session.amr)
    if session.acr is not None:
        claims["acr"] = session.acr
    return claims


def access_token_until(grant: Grant, now: Instant) -> Instant:
    """When an access token that is issued now is over: never after its session."""
    bounds = [after(now, ACCESS_TOKEN_LIFETIME)]
    bounds += [grant.session.expires_at] if grant.session is not None else []
    bounds += [grant.until] if grant.until is not None else []
    return min(bounds)


def one_or_many(audience: tuple[str, ...]) -> str | list[str]:
    """An audience as a claim (RFC 7519 §4.1.3)."""
    return audience[0] if len(audience) == 1 else list(audience)


def make_id_token(
    grant: Grant,
    session: Session,
    said: Mapping[str, str],
    access_token: str,
    key: SigningKey,
    issuer: str,
    now: Instant,
) -> str:
    """An ID token (OpenID Connect Core §2) of this session that goes with this access token; `said`: what
    else of the user it was asked to say."""
    issued = now // 1000
    claims: dict[str, Any] = {
        **said,
        "iss": issuer,
        "sub": grant.subject,
        "aud": grant.client_id,
        "azp": grant.client_id,
        "iat": issued,
        "exp": issued + ID_TOKEN_LIFETIME,
        "sid": session.id,
        "at_hash": _half_hash(access_token),
    }
    claims |= _how(session)
    if grant.acr is not None:
        claims["acr"] = grant.acr
    if grant.nonce is not None:
        claims["nonce"] = grant.nonce
    return _sign(claims, key, "JWT")


def read_jwt_access_token(
    text: str, keys: tuple[SigningKey, ...], issuer: str, now: Instant
) -> AccessToken:
    """What this access token says. Whom it is for (`audience`) is the caller's to check.

    Raises:
        TokenInvalid: not signed by us, not an access token (an ID token is none), or too old.
    """
    claims = _verify(text, keys, _ACCESS_TOKEN_TYPE)
    if claims.get("iss") != issuer:
        raise TokenInvalid("it is another issuer's")
    try:
        audience = claims["aud"]
        token = AccessToken(
            jti=claims["jti"],
            subject=claims["sub"],
            session_id=claims.get("sid"),
            client_id=claims["client_id"],
            scope=tuple(claims.get("scope", "").split()),
            audience=(audience,) if isinstance(audience, str) else tuple(audience),
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            jkt=claims.get("cnf", {}).get("jkt"),
            act=claims.get("act"),
            userinfo_claims=tuple(claims.get("userinfo_claims", ())),
        )
    except KeyError as error:
        raise TokenInvalid("a claim is missing") from error
    if now >= token.expires_at * 1000:
        raise TokenInvalid("it has expired")
    return token


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
    header = {"alg": key.algorithm, "kid": key.id, "typ": type_}
    return jwt.encode(header, claims, key.key, registry=_REGISTRY)


def _verify(text: str, keys: tuple[SigningKey, ...], type_: str) -> Mapping[str, Any]:
    if len(text) > _LONGEST:
        raise TokenInvalid("it is too long")

    def ours(token: GuestProtocol) -> RSAKey | ECKey:
        # By `kid` among our own keys: what else a header names (jwk, jku, x5u) is never looked at.
        header = token.headers()
        for one in keys:
            if one.id == header.get("kid") and one.algorithm == header.get("alg"):
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
