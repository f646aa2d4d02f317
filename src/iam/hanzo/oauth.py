"""The OAuth endpoints under the names that those clients know: translated, and answered by the OAuth door.

Where people go (authorize, logout), a redirect leads on to our own page. Where programs call, parameters
may also come as JSON or in the query, as theirs do.
"""

import json
from functools import partial
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from iam.delivery.logouts import note_client_session
from iam.directory.users import find_user
from iam.hanzo.tokens import LegacyProvider, refreshed_scope, scope_of
from iam.hanzo.windows import popup, silent
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden, Throttled, Unauthenticated
from iam.oidc.authorize import PATH as AUTHORIZE
from iam.oidc.client_auth import authenticate
from iam.oidc.clients import OpenidClient
from iam.oidc.cross_origin import cross_origin
from iam.oidc.device import answer_device_request
from iam.oidc.discovery import configuration, jwks
from iam.oidc.introspect import introspect
from iam.oidc.logout import PATH as LOGOUT
from iam.oidc.protocol import Answer, ProtocolRequest
from iam.oidc.revoke import revoke
from iam.oidc.token import answer_token_request, key_of, read_pairs, refuse, respond
from iam.oidc.tokens import Grant
from iam.oidc.userinfo import userinfo
from iam.sessions.lifecycle import Started
from iam.signin.arrival import Arrival, NoRoom
from iam.signin.password_sign_in import PasswordAttempt, sign_in_with_password
from iam.web.address import origin_of
from iam.web.engine import Engine, engine_of, in_hash_pool, in_thread
from iam.web.pages import see_other
from iam.web.returning import HOME

_MOST_FIELDS = 50
_OWN = ("silentSignin", "popup", "popup_type", "provider_hint", "signup_method")
"""Parameters of their sign-in page."""


async def authorize(request: Request) -> Response:
    """`GET /login/oauth/authorize`: on to our own, with the scopes that are meant."""
    pairs = request.query_params.multi_items()
    asked = [
        (name, scope_of(value) if name == "scope" else value)
        for name, value in pairs
        if name not in _OWN
    ]
    if "scope" not in request.query_params:
        asked.append(("scope", scope_of("")))
    if request.query_params.get("silentSignin") == "1":
        return await silent(request, asked)
    if request.query_params.get("popup") == "1":
        request.state.asked = asked
        return await popup(request)
    return see_other(f"{AUTHORIZE}?{urlencode(asked)}")


async def own_pages(_request: Request) -> Response:
    """Where theirs have a person's profile: on to the pages about oneself, whoever was named."""
    return see_other(HOME)


async def sign_in_page(_request: Request) -> Response:
    """Their pages for signing in and for registering, which nobody does here by themselves."""
    return see_other("/sign-in")


async def logout(request: Request) -> Response:
    """`/v1/iam/oauth/logout`: on to our own."""
    query = request.url.query
    return see_other(f"{LOGOUT}?{query}" if query else LOGOUT)


async def access_token(request: Request) -> Response:
    """`POST /api/login/oauth/access_token`, the token endpoint."""
    return await _token(request, None)


async def refresh_token(request: Request) -> Response:
    """`POST /api/login/oauth/refresh_token`: the same, of one grant."""
    return await _token(request, "refresh_token")


async def device(request: Request) -> Response:
    """`POST /api/device-auth`: a code for the device, and one for its user to enter at our own page."""
    try:
        asked = await _receive(request, {})
    except OAuth2Error as error:
        return refuse(error)
    parameters = asked.parameters | {"scope": scope_of(asked.parameters.get("scope", ""))}
    asked = ProtocolRequest("POST", parameters.items(), asked.headers.get("Authorization"))
    return await answer_device_request(request, asked)


async def _token(request: Request, grant_type: str | None) -> Response:
    try:
        asked = await _receive(request, {} if grant_type is None else {"grant_type": grant_type})
        if asked.parameters.get("grant_type") == "password":
            return await _by_password(request, asked)
    except OAuth2Error as error:
        return refuse(error)
    return await answer_token_request(request, asked, LegacyProvider)


async def _receive(request: Request, settled: dict[str, str]) -> ProtocolRequest:
    """A request in any of the forms that they take. Credentials that come twice count as the body has them.

    Raises:
        InvalidRequestError: it is in none.
    """
    pairs = await _pairs(request)
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise InvalidRequestError("A parameter came more than once.")
    asked = dict(pairs) | settled
    if asked.get("grant_type") == "client_credentials":
        asked.pop("scope", None)  # all of ours are about a user
    elif "scope" in asked:
        narrowed = refreshed_scope(asked.pop("scope"))
        asked |= {"scope": narrowed} if narrowed else {}
    authorization = request.headers.get("authorization")
    if "client_secret" in asked:
        authorization = None
    return ProtocolRequest("POST", asked.items(), authorization)


async def _pairs(request: Request) -> list[tuple[str, str]]:
    body = await request.body()
    if not body.strip():
        return request.query_params.multi_items()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return await read_pairs(request)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("Send a form, or a JSON object.") from error
    if not isinstance(found, dict) or len(found) > _MOST_FIELDS:
        raise InvalidRequestError("Send a form, or a JSON object.")
    # What has no value counts as absent (RFC 6749 §3.2).
    given = {name: value for name, value in found.items() if value not in (None, "")}
    if not all(isinstance(value, str) for value in given.values()):
        raise InvalidRequestError("All parameters are texts.")
    return list(given.items())


async def _by_password(request: Request, asked: ProtocolRequest) -> Response:
    """The grant `password` (RFC 6749 §4.3), for applications that were given it: a user name and a password
    for a session of the application.

    RFC 9700 §2.4 forbids it to new applications, and our own token endpoint does not know it.
    """
    engine, now = engine_of(request), engine_of(request).clock()
    origin = origin_of(request, engine.settings)
    client = await in_thread(
        lambda: engine.database.write(lambda c: _client(c, engine, asked, now))
    )
    if client.application.client.dpop_bound_access_tokens and "dpop" not in request.headers:
        raise InvalidRequestError("This application proves its key (RFC 9449): send a proof.")
    if not client.check_grant_type("password"):
        raise OAuth2Error(
            "grant_type: password is not supported in this application",
            error="unsupported_grant_type",
        )
    username, application = asked.parameters.get("username", ""), client.application
    attempt = PasswordAttempt(
        organization=application.organization,
        username=username.removeprefix(f"{application.organization}/"),
        password=asked.parameters.get("password", ""),
        arrival=Arrival(
            application=application.name, origin=origin, mails=engine.settings.sends_mail
        ),
    )
    started = await sign_in(engine, attempt, now)

    def work(connection: Connection) -> Answer:
        provider = LegacyProvider(connection, engine, now, origin)
        provider.jkt = key_of(request, connection, engine, now)
        return Answer(200, _tokens(provider, client, started, asked.parameters.get("scope", "")))

    return respond(await in_thread(lambda: engine.database.write(work)))


def _client(
    connection: Connection, engine: Engine, asked: ProtocolRequest, now: Instant
) -> OpenidClient:
    return authenticate(
        connection,
        asked.parameters,
        asked.headers.get("Authorization"),
        issuer=engine.settings.issuer,
        now=now,
    )


def _tokens(
    provider: LegacyProvider, client: OpenidClient, started: Started, scope: str
) -> dict[str, object]:
    session, application = started.session, client.application
    user = find_user(provider.connection, session.organization, session.user)
    note_client_session(
        provider.connection, session.id, client_id=application.client_id, subject=user.id
    )
    allowed = client.get_allowed_scope(scope_of(scope))
    grant = Grant(
        client_id=application.client_id,
        subject=user.id,
        session=session,
        scope=tuple(allowed.split()),
    )
    return provider.generate_token(
        client=client,
        user=grant,
        include_refresh_token=client.check_grant_type("refresh_token"),
    )


async def sign_in(engine: Engine, attempt: PasswordAttempt, now: Instant) -> Started:
    """Sign in for tokens.

    Raises:
        InvalidGrantError: it did not work; why is said as far as the sign-in page says it.
    """
    work = partial(
        sign_in_with_password, engine.database, engine.passwords, attempt, now, engine.random
    )
    counts = engine.metrics.sign_ins
    try:
        started = await in_hash_pool(engine, work)
    except Throttled as error:
        counts["throttled"] += 1
        raise InvalidGrantError(error.title) from error
    except (Unauthenticated, Forbidden, NoRoom) as error:
        counts["failed"] += 1
        raise InvalidGrantError(error.title) from error
    counts["succeeded"] += 1
    return engine.count_started(started)


async def webfinger(request: Request) -> Response:
    """`GET /.well-known/webfinger` (OpenID Connect Discovery §2): everybody's issuer is this one, so that
    it is not told whom there is."""
    issuer = engine_of(request).settings.issuer
    rel = "http://openid.net/specs/connect/1.0/issuer"
    found = {
        "subject": request.query_params.get("resource", "")[:512],
        "links": [{"rel": rel, "href": issuer}],
    }
    return respond(Answer(200, found))


async def protected_resource(request: Request) -> Response:
    """`GET /.well-known/oauth-protected-resource` (RFC 9728 §3)."""
    issuer = engine_of(request).settings.issuer
    return respond(
        Answer(
            200,
            {
                "resource": issuer,
                "authorization_servers": [issuer],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["openid", "profile", "email"],
            },
        )
    )


def routes() -> list[BaseRoute]:
    """Their routes."""
    found: list[BaseRoute] = [
        Route("/login/oauth/authorize", authorize),
        Route("/signup/oauth/authorize", authorize),
        Route("/login", sign_in_page),
        Route("/signup/{application}", sign_in_page),
        Route("/users/{organization}/{name}", own_pages),
        cross_origin("/api/login/oauth/access_token", access_token, "POST"),
        cross_origin("/api/login/oauth/refresh_token", refresh_token, "POST"),
        Route("/api/login/oauth/introspect", introspect, methods=["POST"]),
        Route("/api/device-auth", device, methods=["POST"]),
        cross_origin("/oauth/refresh", refresh_token, "POST"),
        Route("/v1/iam/oauth/authorize", authorize),
        cross_origin("/v1/iam/oauth/token", access_token, "POST"),
        cross_origin("/v1/iam/oauth/refresh", refresh_token, "POST"),
        Route("/v1/iam/oauth/introspect", introspect, methods=["POST"]),
        cross_origin("/v1/iam/oauth/revoke", revoke, "POST"),
        cross_origin("/v1/iam/oauth/userinfo", userinfo, "GET", "POST"),
        Route("/v1/iam/oauth/device", device, methods=["POST"]),
        Route("/v1/iam/oauth/logout", logout),
        cross_origin("/.well-known/jwks", jwks, "GET"),
        cross_origin("/.well-known/webfinger", webfinger, "GET"),
        cross_origin("/.well-known/oauth-protected-resource", protected_resource, "GET"),
    ]
    # Theirs are an application's own, and say the same.
    for before in ("/.well-known/{application}", "/v1/iam/.well-known"):
        found += [
            cross_origin(f"{before}/openid-configuration", configuration, "GET"),
            cross_origin(f"{before}/oauth-authorization-server", configuration, "GET"),
            cross_origin(f"{before}/jwks", jwks, "GET"),
        ]
    return found
