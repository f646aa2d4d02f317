"""Userinfo: asks the session at every call, and so refuses the moment it ends."""

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.kernel.clock import Instant
from iam.oidc.access_tokens import read_access_token
from iam.oidc.tokens import AccessToken, TokenInvalid
from iam.sessions.model import LiveRow
from iam.sessions.policy import end_reason
from iam.sessions.store import read_live_row
from iam.web.engine import Engine, engine_of, in_thread


async def userinfo(request: Request) -> Response:
    """`GET` or `POST /oauth/userinfo` (Core §5.3) with `Authorization: Bearer`, RFC 6750 §2.1.

    A look is not activity: a client that polls must not keep alive a session nobody uses.
    """
    engine = engine_of(request)
    now = engine.clock()
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return _refuse(401, None, "Show an access token: Authorization: Bearer …")
    try:
        token, row = await in_thread(
            lambda: engine.database.read(lambda c: _read(c, engine, text.strip(), now))
        )
    except TokenInvalid as error:
        return _refuse(401, "invalid_token", f"This access token is not valid: {error}")
    outcome = "unknown" if row is None else "ended" if end_reason(row, now) else "valid"
    engine.metrics.validations[outcome] += 1
    if row is None or outcome == "ended":
        return _refuse(401, "invalid_token", "The session has ended")
    if "openid" not in token.scope:
        return _refuse(403, "insufficient_scope", "The scope openid was not asked for", "openid")
    claims: dict[str, str] = {"sub": token.subject}
    if "profile" in token.scope:
        claims |= {"name": row.display_name, "preferred_username": row.user}
    if "email" in token.scope and row.email is not None:
        claims["email"] = row.email
    return JSONResponse(claims, headers={"cache-control": "no-store"})


def _read(
    connection: Connection, engine: Engine, text: str, now: Instant
) -> tuple[AccessToken, LiveRow | None]:
    issuer = engine.settings.issuer
    token = read_access_token(connection, text, engine.keys, issuer, now)
    if issuer not in token.audience or token.session_id is None:
        raise TokenInvalid("it is for another resource")
    return token, read_live_row(connection, token.session_id)


def _refuse(status: int, error: str | None, description: str, scope: str | None = None) -> Response:
    """RFC 6750 §3: a request without a token is told how, not what went wrong."""
    challenge = "Bearer"
    body = {"error": error or "authentication_required", "error_description": description}
    if error is not None:
        challenge += f' error="{error}", error_description="{description}"'
    if scope is not None:
        challenge += f', scope="{scope}"'
    headers = {"www-authenticate": challenge, "cache-control": "no-store"}
    return JSONResponse(body, status, headers=headers)
