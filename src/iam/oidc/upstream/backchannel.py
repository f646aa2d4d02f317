"""`/oauth/backchannel-logout/{provider}`: a provider says that somebody has signed out there.

What was born from that sign-in ends here, with all that was entered from it, and our applications are told
as of every end (OpenID Connect Back-Channel Logout §2.5 to §2.8).
"""

import structlog
from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.delivery.fetch import FetchFailed
from iam.delivery.provider_addresses import ProviderUrlRefused
from iam.directory.provider_options import OidcOptions
from iam.directory.providers import Provider, find_provider_by_id
from iam.kernel.clock import Instant
from iam.kernel.events import provider_actor
from iam.oidc import spent
from iam.oidc.token import read_pairs
from iam.oidc.upstream.endpoints import AnswerRefused, endpoints_of
from iam.oidc.upstream.tokens import LogoutToken, read_logout_token
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason
from iam.signin.federated_sessions import born_at
from iam.web.address import origin_of
from iam.web.engine import Engine, engine_of, in_thread

_HEADERS = {"cache-control": "no-store"}
_log = structlog.get_logger("iam.upstream")


async def told_of_logout(request: Request) -> Response:
    """POST: a logout token. 200 also where nothing was left to end; 400 where it is not believed."""
    engine, now = engine_of(request), engine_of(request).clock()
    try:
        pairs = await read_pairs(request)
    except OAuth2Error:
        return _refused("The request is no form.")
    tokens = [value for name, value in pairs if name == "logout_token"]
    if len(tokens) != 1:
        return _refused("One logout_token is needed.")
    id_ = request.path_params["provider"].replace("\x00", "")
    provider = await in_thread(lambda: engine.database.read(lambda c: find_provider_by_id(c, id_)))
    # A disabled one as well: whom it let in before may still be signed out by it.
    if provider is None or provider.kind != "oidc":
        return _refused("There is no such provider.")
    try:
        token = await _read(engine, provider, tokens[0], now)
    except AnswerRefused as refused:
        _log.warning("logout token refused", provider=provider.id, detail=refused.detail)
        return _refused(refused.detail or refused.title)
    except (FetchFailed, ProviderUrlRefused) as error:
        # Not refused: what is needed to judge it is missing, and it may be sent again.
        _log.warning("logout token not judged", provider=provider.id, detail=error.detail)
        body = {"error": "temporarily_unavailable"}
        return JSONResponse(body, 503, headers={**_HEADERS, "retry-after": "5"})
    ended = await in_thread(lambda: _end(engine, request, provider, token, now))
    if ended is None:
        return _refused("This logout_token was used before.")
    engine.count_ended(ended)
    return Response(status_code=200, headers=_HEADERS)


async def _read(engine: Engine, provider: Provider, text: str, now: Instant) -> LogoutToken:
    options = OidcOptions.of(provider.options)
    endpoints = await endpoints_of(engine, options, now)
    return await read_logout_token(engine, endpoints, text, options.issuer, options.client_id, now)


def _end(
    engine: Engine, request: Request, provider: Provider, token: LogoutToken, now: Instant
) -> tuple[Ended, ...] | None:
    """End what the token is about; None if it came before (§2.6, the tenth check)."""

    def work(connection: Connection) -> tuple[Ended, ...] | None:
        if not spent.spend(connection, spent.LOGOUT, provider.id, token.id, token.until):
            return None
        meant = born_at(connection, provider.id, session=token.session, subject=token.subject)
        return lifecycle.end(
            connection,
            meant,
            reason=EndReason.SIGNED_OUT,
            actor=provider_actor(provider.organization, provider.name),
            now=now,
            random=engine.random,
            origin=origin_of(request, engine.settings),
            note=f"signed out at {provider.display_name}",
        )

    return engine.database.write(work)


def _refused(why: str) -> Response:
    body = {"error": "invalid_request", "error_description": why}
    return JSONResponse(body, 400, headers=_HEADERS)
