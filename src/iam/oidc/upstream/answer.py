"""From a provider's answer to what it vouches for: the code for tokens, the tokens for claims."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from joserfc import jwt

from iam.delivery.fetch import FetchFailed
from iam.directory.provider_options import Oauth2Options, OidcOptions, default_claims
from iam.directory.providers import Provider
from iam.kernel.clock import Instant
from iam.kernel.secrets import make_secret
from iam.keys import signer
from iam.languages import _
from iam.oidc.client_auth import ASSERTION_TYPE
from iam.oidc.upstream.endpoints import (
    AnswerRefused,
    Endpoints,
    Options,
    endpoints_of,
    options_of,
    text_of,
)
from iam.oidc.upstream.journey import Underway, callback_of
from iam.oidc.upstream.tokens import Expected, read_id_token
from iam.oidc.upstream.words import failed_with
from iam.signin.federation import Vouched
from iam.signin.provider_secrets import open_secret
from iam.web.engine import Engine
from iam.web.provider_onward import hint_about

_ASSERTION_LIFE = 60
_FORM = "application/x-www-form-urlencoded"
_LONGEST_TOKEN = 16 * 1024


async def vouched_for(
    engine: Engine,
    provider: Provider,
    answer: Mapping[str, str],
    under_way: Underway,
    now: Instant,
) -> Vouched:
    """What a provider says of somebody who comes back with this answer.

    Raises:
        AnswerRefused: it is not to be believed.
        ProviderFailed: it says that it did not sign them in.
        FetchFailed, ProviderUrlRefused: it cannot be asked what there is to ask.
    """
    options = options_of(provider)
    endpoints = await endpoints_of(engine, options, now)
    _check_issuer(endpoints, answer)
    if "error" in answer:
        raise failed_with(answer["error"])
    if not answer.get("code"):
        raise AnswerRefused(_("It has no code."))
    tokens = await _redeem(engine, provider, options, endpoints, answer["code"], under_way, now)
    access_token = text_of(tokens.get("access_token"), _LONGEST_TOKEN)
    if isinstance(options, OidcOptions):
        return await _by_id_token(
            engine, provider, options, endpoints, tokens, access_token, under_way, now
        )
    return await _by_userinfo(engine, provider, options, endpoints, access_token)


def _check_issuer(endpoints: Endpoints, answer: Mapping[str, str]) -> None:
    """RFC 9207 §2.4: an answer that names its issuer names this one, and one who does so always does."""
    given = answer.get("iss")
    if given is None:
        if endpoints.names_itself:
            raise AnswerRefused(_("It does not say whose it is."))
    elif endpoints.issuer is not None and given != endpoints.issuer:
        raise AnswerRefused(_("It is another provider's."))


async def _redeem(
    engine: Engine,
    provider: Provider,
    options: Options,
    endpoints: Endpoints,
    code: str,
    under_way: Underway,
    now: Instant,
) -> Mapping[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback_of(engine, provider),
        "code_verifier": under_way.verifier,
    }
    headers = {"content-type": _FORM}
    secret = open_secret(engine.cipher, provider) or ""
    if options.auth_method == "client_secret_basic":
        # RFC 6749 §2.3.1: each half is form-urlencoded before they are joined.
        halves = f"{quote_plus(options.client_id)}:{quote_plus(secret)}"
        headers["authorization"] = f"Basic {base64.b64encode(halves.encode()).decode()}"
    else:
        form["client_id"] = options.client_id
    if options.auth_method == "client_secret_post":
        form["client_secret"] = secret
    elif options.auth_method == "private_key_jwt":
        form["client_assertion_type"] = ASSERTION_TYPE
        audience = endpoints.issuer or endpoints.token
        form["client_assertion"] = _assertion(engine, options.client_id, audience, now)
    fetched = await engine.fetcher.fetch("POST", endpoints.token, headers, urlencode(form).encode())
    if fetched.status >= 500:
        raise FetchFailed(f"Its token endpoint answered {fetched.status}.")
    tokens = fetched.members()
    # GitHub says 200 to what it refuses.
    if fetched.status != 200 or "error" in tokens:
        raise AnswerRefused(_("It does not know the code that it has sent you with, or not us."))
    if str(tokens.get("token_type", "bearer")).lower() != "bearer":
        raise AnswerRefused(_("Its access token is of a kind that is not known here."))
    return tokens


def _assertion(engine: Engine, client_id: str, audience: str, now: Instant) -> str:
    """Who we are, by the key that `/oauth/jwks` publishes (RFC 7523 §2.2)."""
    key = signer(engine.keys, "RS256")
    issued = now // 1000
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": make_secret(engine.random),
        "iat": issued,
        "exp": issued + _ASSERTION_LIFE,
    }
    header = {"alg": key.algorithm, "kid": key.id}
    return jwt.encode(header, claims, key.key, algorithms=[key.algorithm])


async def _by_id_token(
    engine: Engine,
    provider: Provider,
    options: OidcOptions,
    endpoints: Endpoints,
    tokens: Mapping[str, Any],
    access_token: str | None,
    under_way: Underway,
    now: Instant,
) -> Vouched:
    journey = under_way.journey
    text = text_of(tokens.get("id_token"), _LONGEST_TOKEN)
    if text is None:
        raise AnswerRefused(_("It has sent no ID token."))
    expected = Expected(
        issuer=options.issuer,
        client_id=options.client_id,
        nonce=under_way.nonce,
        access_token=access_token,
        since=journey.since,
    )
    claims = await read_id_token(engine, endpoints, text, expected, now)
    told: dict[str, Any] = dict(claims)
    if options.userinfo and endpoints.userinfo is not None and access_token is not None:
        more = await _ask(engine, endpoints.userinfo, access_token)
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
            # Core §5.3.2: who swaps an access token must not become somebody by it.
            raise AnswerRefused(_("It tells of somebody else than it has signed in."))
        told = {**more, **claims}
    hint = None
    if options.sign_out_there and endpoints.end_session is not None:
        kept = json.dumps({"id_token": text, "end_session": endpoints.end_session})
        hint = engine.cipher.encrypt(kept, hint_about(provider.id), engine.random)
    amr = claims.get("amr")
    return Vouched(
        provider=provider,
        subject=claims["sub"],
        claims=told,
        defaults=default_claims(options),
        email_verified=options.trust_email or _email_verified(provider, told),
        session=text_of(claims.get("sid")),
        amr=tuple(filter(None, map(text_of, amr[:20]))) if isinstance(amr, list) else (),
        acr=text_of(claims.get("acr")),
        hint=hint,
        authenticated_at=_authenticated_at(claims, journey.since, now),
    )


def _authenticated_at(
    claims: Mapping[str, Any], since: Instant | None, now: Instant
) -> Instant | None:
    """When they signed in there. Clocks differ by a little: what was found to be late enough is so."""
    value = claims.get("auth_time")
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1 << 40:
        return None
    at = max(Instant(int(value * 1000)), since or Instant(0))
    return min(at, now)


async def _by_userinfo(
    engine: Engine,
    provider: Provider,
    options: Oauth2Options,
    endpoints: Endpoints,
    access_token: str | None,
) -> Vouched:
    if access_token is None or endpoints.userinfo is None:
        raise AnswerRefused(_("It has sent no access token."))
    claims = await _ask(engine, endpoints.userinfo, access_token)
    if not isinstance(claims, dict):
        raise AnswerRefused(_("It does not say who you are."))
    value = claims.get(options.subject_claim)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    subject = text_of(str(value) if is_number else value)
    if subject is None:
        raise AnswerRefused(_("It does not say who you are."))
    verified = options.trust_email or _email_verified(provider, claims)
    if endpoints.emails is not None:
        listed = _verified_email(await _ask(engine, endpoints.emails, access_token))
        claims = {**claims, "email": listed}
        verified = options.trust_email or (listed is not None and _is_of_email(provider))
    return Vouched(
        provider=provider,
        subject=subject,
        claims=claims,
        defaults=default_claims(options),
        email_verified=verified,
    )


async def _ask(engine: Engine, url: str, access_token: str) -> Any:
    fetched = await engine.fetcher.fetch("GET", url, {"authorization": f"Bearer {access_token}"})
    if fetched.status >= 500:
        raise FetchFailed(f"{url} answered {fetched.status}.")
    if fetched.status != 200:
        raise AnswerRefused(_("It does not take its own access token."))
    return fetched.value()


def _verified_email(listed: Any) -> str | None:
    """The address that is both the first and verified, in a list as GitHub gives it."""
    for one in listed[:100] if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("primary") is True and one.get("verified") is True:
            return text_of(one.get("email"))
    return None


def _email_verified(provider: Provider, claims: Mapping[str, Any]) -> bool:
    """Whether the address that is taken of these claims is said to be verified: that is said of `email`,
    and of no other claim that an address may be taken from (Core §5.1)."""
    return _is_of_email(provider) and _is_true(claims.get("email_verified"))


def _is_of_email(provider: Provider) -> bool:
    return provider.attributes.get("email", "email") == "email"


def _is_true(value: Any) -> bool:
    return value is True or value == "true"  # as a text from some
