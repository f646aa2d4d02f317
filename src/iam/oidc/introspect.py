"""Introspection (RFC 7662): whether a token is good, read off its session at every call."""

from typing import Any, NamedTuple

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidRequestError,
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.applications import Application
from iam.kernel.clock import Instant
from iam.oidc import client_auth, refresh_tokens
from iam.oidc.access_tokens import concerns, find_session, read_access_token
from iam.oidc.protocol import Answer, ProtocolRequest
from iam.oidc.refresh_tokens import Standing
from iam.oidc.token import receive, refuse, respond
from iam.oidc.tokens import AccessToken, TokenInvalid, one_or_many
from iam.sessions.model import Session
from iam.web.engine import Engine, engine_of, in_thread

INACTIVE: dict[str, object] = {"active": False}


class SignedIn(NamedTuple):
    """What is told of a token's session."""

    session_id: str
    user: str
    amr: tuple[str, ...]
    acr: str | None
    authenticated_at: Instant | None


def described(token: AccessToken, who: SignedIn | None, issuer: str) -> dict[str, object]:
    """What is told of an access token that is good (RFC 7662 §2.2)."""
    return {
        **_of_session(who),
        **({"scope": " ".join(token.scope)} if token.scope else {}),
        "client_id": token.client_id,
        "token_type": "Bearer" if token.jkt is None else "DPoP",
        **({"cnf": {"jkt": token.jkt}} if token.jkt is not None else {}),
        **({"act": token.act} if token.act is not None else {}),
        "exp": token.expires_at,
        "iat": token.issued_at,
        "sub": token.subject,
        "aud": one_or_many(token.audience),
        "iss": issuer,
        "jti": token.jti,
    }


async def introspect(request: Request) -> Response:
    """`POST /oauth/introspect`, for applications that authenticate. A look is not activity.

    They are told of tokens that were issued to them, and of those that are for them: of their own
    organization, with one of their names (`resources`) as the audience. Any other token is to them
    like none at all.
    """
    engine = engine_of(request)
    now = engine.clock()
    try:
        asked = await receive(request)

        def work(connection: Connection) -> dict[str, object]:
            caller = _caller(connection, engine, asked, now)
            return _look(connection, engine, caller, asked.parameters["token"], now)

        if not asked.parameters.get("token"):
            raise InvalidRequestError("token is missing.")
        # An assertion is used up, which takes a connection that writes.
        database = engine.database
        run = database.write if "client_assertion" in asked.parameters else database.read
        body = await in_thread(lambda: run(work))
    except OAuth2Error as error:
        return refuse(error)
    return respond(Answer(200, body))


def _caller(
    connection: Connection, engine: Engine, asked: ProtocolRequest, now: Instant
) -> Application:
    client = client_auth.authenticate(
        connection,
        asked.parameters,
        asked.headers.get("Authorization"),
        issuer=engine.settings.issuer,
        now=now,
    )
    if client.application.public:
        # Anybody knows its client ID: that is no authentication (RFC 7662 §2.1, against scanning).
        raise client_auth.refused()
    return client.application


def _look(
    connection: Connection, engine: Engine, caller: Application, text: str, now: Instant
) -> dict[str, object]:
    # Of which kind it is, its form says: the hint is not needed.
    if text.startswith("rft_"):
        return _refresh_token(connection, caller, text, now)
    try:
        token = read_access_token(connection, text, engine.keys, engine.settings.issuer, now)
    except TokenInvalid:
        return INACTIVE
    session = find_session(connection, token.session_id, now) if token.session_id else None
    if not concerns(connection, token, session, caller):
        return INACTIVE
    return described(token, _signed_in(session), engine.settings.issuer)


def _refresh_token(
    connection: Connection, caller: Application, text: str, now: Instant
) -> dict[str, object]:
    token = refresh_tokens.find(connection, text, now)
    if token is None or token.client_id != caller.client_id or token.standing is Standing.STALE:
        return INACTIVE
    session = find_session(connection, token.session_id, now)
    if session is None:
        return INACTIVE
    return {
        **_of_session(_signed_in(session)),
        "scope": " ".join(token.scope),
        "client_id": token.client_id,
        "exp": session.expires_at // 1000,
        "iat": token.created_at // 1000,
        "sub": token.subject,
    }


def _signed_in(session: Session | None) -> SignedIn | None:
    if session is None:
        return None
    return SignedIn(session.id, session.user, session.amr, session.acr, session.authenticated_at)


def _of_session(who: SignedIn | None) -> dict[str, Any]:
    """RFC 9470 §6.2: how the user signed in, besides who it is and which session."""
    if who is None:
        return {"active": True}
    body: dict[str, Any] = {"active": True, "username": who.user, "sid": who.session_id}
    if who.acr is not None:
        body["acr"] = who.acr
    if who.amr:
        body["amr"] = list(who.amr)
    if who.authenticated_at is not None:
        body["auth_time"] = who.authenticated_at // 1000
    return body
