"""Tokens that a provider signed: ID tokens and logout tokens, verified with its own published keys.

Everything that a token says of itself is hostile until its signature holds: the algorithm must be one of
ours to choose, and the key one that the provider publishes at the address its issuer told.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256, sha512
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol

from iam.kernel.clock import Instant, after
from iam.keys.client_keys import REGISTRY, KeysRefused, PublicKey, fits, public_key
from iam.languages import _
from iam.oidc.upstream.endpoints import AnswerRefused, Endpoints, text_of
from iam.web.engine import Engine

SKEW = 60
"""Seconds by which a provider's clock may differ from ours."""
_LONGEST = 16 * 1024
_KEYS_GOOD_FOR = 60 * 60
_KEYS_AGAIN = 60
"""Seconds after which keys are fetched anew because one is missing: whoever sends tokens that name keys
which do not exist has us ask the provider no more often."""
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_NAMES = ("kty", "kid", "use", "alg", "crv", "x", "y", "n", "e")


class _KeyMissing(Exception):
    """None of the keys that are known is the one that a token names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an ID token has to fit. `since`: the person has to have signed in there at that instant or
    later, and the token has to say so."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None
    since: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """What a logout token says: whom or which session it is about, and what it is called itself."""

    subject: str | None
    session: str | None
    id: str
    until: Instant


async def read_id_token(
    engine: Engine, endpoints: Endpoints, text: str, expected: Expected, now: Instant
) -> Mapping[str, Any]:
    """The claims of an ID token (OpenID Connect Core §3.1.3.7).

    Raises:
        AnswerRefused: it is not to be believed; `detail` says why.
        FetchFailed: the provider's keys cannot be had.
    """
    header, claims = await _verified(engine, endpoints, text, now)
    if str(header.get("typ", "JWT")).lower() not in ("jwt", "application/jwt"):
        # A logout token or an access token is signed by the same keys.
        raise AnswerRefused(_("Its token is no ID token."))
    _check_parties(claims, expected.issuer, expected.client_id)
    _check_times(claims, now)
    if not hmac.compare_digest(str(claims.get("nonce")).encode(), expected.nonce.encode()):
        raise AnswerRefused(_("Its ID token belongs to another sign-in."))
    _check_hash(claims, header, expected.access_token)
    if text_of(claims.get("sub")) is None:
        raise AnswerRefused(_("Its ID token says nobody."))
    if expected.since is not None:
        signed_in = _seconds(
            claims, "auth_time", _("Its ID token does not say when you signed in.")
        )
        if after(signed_in, SKEW) < expected.since:
            raise AnswerRefused(_("You were asked to show once more who you are, and did not."))
    return claims


async def read_logout_token(
    engine: Engine, endpoints: Endpoints, text: str, issuer: str, client_id: str, now: Instant
) -> LogoutToken:
    """What a logout token says (OpenID Connect Back-Channel Logout §2.6).

    Raises:
        AnswerRefused: it is none, or not to be believed; `detail` says why.
        FetchFailed: the provider's keys cannot be had.
    """
    header, claims = await _verified(engine, endpoints, text, now)
    if str(header.get("typ", "logout+jwt")).lower() not in ("logout+jwt", "jwt"):
        raise AnswerRefused(_("The token is no logout token."))
    _check_parties(claims, issuer, client_id)
    _check_times(claims, now)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict):
        raise AnswerRefused(_("The token is about no sign-out."))
    if "nonce" in claims:
        # What has one is an ID token, of which anybody may hold one who has signed in.
        raise AnswerRefused(_("A logout token has no nonce."))
    subject, session = (text_of(claims.get(name)) for name in ("sub", "sid"))
    id_ = text_of(claims.get("jti"))
    if (subject is None and "sub" in claims) or (session is None and "sid" in claims):
        raise AnswerRefused(_("Whom it is about cannot be read."))
    if (subject is None and session is None) or id_ is None:
        raise AnswerRefused(_("A logout token has a sub or a sid, and a jti."))
    until = after(_seconds(claims, "exp", _("It does not expire.")), SKEW)
    return LogoutToken(subject=subject, session=session, id=id_, until=until)


async def _verified(
    engine: Engine, endpoints: Endpoints, text: str, now: Instant
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if endpoints.jwks is None:
        raise AnswerRefused(_("The provider publishes no keys."))
    if len(text) > _LONGEST:
        raise AnswerRefused(_("Its token is too long."))
    keys = await engine.documents.get(endpoints.jwks, now, max_age=_KEYS_GOOD_FOR)
    try:
        return _verify(text, keys)
    except _KeyMissing:
        # It may have changed its keys since.
        keys = await engine.documents.get(endpoints.jwks, now, max_age=_KEYS_AGAIN)
    try:
        return _verify(text, keys)
    except _KeyMissing:
        raise AnswerRefused(_("Its token is signed by a key that it does not publish.")) from None


def _verify(text: str, jwks: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    def theirs(token: GuestProtocol) -> PublicKey:
        # Among the published keys: what the header carries (jwk, jku, x5u) is not looked at.
        header = token.headers()
        found = list(_fitting(jwks, header.get("kid"), str(header.get("alg"))))
        if len(found) != 1:
            raise _KeyMissing
        return found[0]

    try:
        token = jws.deserialize_compact(text, theirs, registry=REGISTRY)
        claims = json.loads(token.payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise AnswerRefused(_("Its token is not signed as it must be.")) from error
    if not isinstance(claims, dict):
        raise AnswerRefused(_("Its token says nothing."))
    return token.headers(), claims


def _fitting(jwks: Mapping[str, Any], kid: object, algorithm: str) -> list[PublicKey]:
    published = jwks.get("keys")
    found: list[PublicKey] = []
    for one in published[:100] if isinstance(published, list) else ():
        if not isinstance(one, dict) or (kid is not None and one.get("kid") != kid):
            continue
        if one.get("alg", algorithm) not in (algorithm, "EdDSA", "Ed25519"):
            continue
        try:
            # A set may hold keys of other kinds, and members that mean nothing to us.
            key = public_key({name: one[name] for name in _NAMES if name in one})
        except KeysRefused:
            continue
        if fits(key, algorithm):
            found.append(key)
    return found


def _check_parties(claims: Mapping[str, Any], issuer: str, client_id: str) -> None:
    if claims.get("iss") != issuer:
        raise AnswerRefused(_("Its token is another issuer's."))
    audience = claims.get("aud")
    for_whom = [audience] if isinstance(audience, str) else audience
    if not isinstance(for_whom, list) or client_id not in for_whom:
        raise AnswerRefused(_("Its token is for somebody else."))
    party = claims.get("azp")
    if party not in (None, client_id) or (len(for_whom) > 1 and party is None):
        raise AnswerRefused(_("Its token was given to somebody else."))


def _check_times(claims: Mapping[str, Any], now: Instant) -> None:
    if now >= after(_seconds(claims, "exp", _("Its token does not expire.")), SKEW):
        raise AnswerRefused(_("Its token has expired."))
    for name in ("iat", "nbf"):
        if name == "nbf" and name not in claims:
            continue
        if _seconds(claims, name, _("Its token does not say when it was made.")) > after(now, SKEW):
            raise AnswerRefused(_("Its token is of the future."))


def _check_hash(
    claims: Mapping[str, Any], header: Mapping[str, Any], access_token: str | None
) -> None:
    if "at_hash" not in claims or access_token is None:
        return
    # As its signature hashes (Core §3.1.3.6); Ed25519 does it with SHA-512.
    hashed = sha256 if str(header.get("alg")).endswith("256") else sha512
    digest = hashed(access_token.encode("utf-8", "surrogatepass")).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not hmac.compare_digest(half, str(claims["at_hash"]).encode("utf-8", "surrogatepass")):
        raise AnswerRefused(_("Its ID token goes with another access token."))


def _seconds(claims: Mapping[str, Any], name: str, missing: str) -> Instant:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1 << 40:
        raise AnswerRefused(missing)
    return Instant(int(value * 1000))
