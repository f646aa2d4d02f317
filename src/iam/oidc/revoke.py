"""Revocation (RFC 7009): an application gives back what it was given.

A refresh token stands for the application's session: to revoke it ends that session, and with it every
token of it at once (§2.1). The browser session stays, and so do other applications. An access token is
revoked alone.
"""

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.oidc import access_tokens, refresh_tokens
from iam.oidc.clients import OpenidClient
from iam.oidc.protocol import Provider
from iam.oidc.token import receive, refuse
from iam.oidc.tokens import TokenInvalid
from iam.sessions.model import EndReason
from iam.web.address import origin_of
from iam.web.engine import engine_of, in_thread

_NOTE = "refresh token revoked"


async def revoke(request: Request) -> Response:
    """`POST /oauth/revoke`. A token that is unknown or over is answered like one that was revoked."""
    engine = engine_of(request)
    now, origin = engine.clock(), origin_of(request, engine.settings)
    try:
        asked = await receive(request)
        if not asked.parameters.get("token"):
            raise InvalidRequestError("token is missing.")

        def work(connection: Connection) -> Provider:
            provider = Provider(connection, engine, now, origin)
            client = provider.authenticate_client(asked, endpoint="revoke")
            _revoke(provider, client, asked.parameters["token"])
            return provider

        provider = await in_thread(lambda: engine.database.write(work))
    except OAuth2Error as error:
        return refuse(error)
    engine.count_ended(provider.ended)
    return Response(headers={"cache-control": "no-store", "pragma": "no-cache"})


def _revoke(provider: Provider, client: OpenidClient, text: str) -> None:
    connection, engine, now = provider.connection, provider.engine, provider.now
    if text.startswith("rft_"):
        refresh = refresh_tokens.find(connection, text, now)
        if refresh is not None:
            _check_owner(client, refresh.client_id)
            provider.end(refresh.session_id, client, EndReason.SIGNED_OUT, _NOTE)
        return
    try:
        access = access_tokens.read_access_token(
            connection, text, engine.keys, engine.settings.issuer, now
        )
    except TokenInvalid:
        return
    _check_owner(client, access.client_id)
    access_tokens.revoke(connection, access)


def _check_owner(client: OpenidClient, owner: str) -> None:
    if client.get_client_id() != owner:
        raise InvalidGrantError("This token was issued to another application.")
