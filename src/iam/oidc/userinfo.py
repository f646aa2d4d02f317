"""Userinfo: asks the session at every call, and so refuses the moment it ends."""

from functools import partial

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.oidc import spent
from iam.oidc.tokens import AccessToken, TokenInvalid, read_access_token
from iam.sessions.model import LiveRow
from iam.sessions.policy import end_reason
from iam.sessions.store import read_live_row
from iam.web.engine import engine_of, in_thread


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
        token = read_access_token(text.strip(), engine.keys, engine.settings.issuer, now)
    except TokenInvalid as error:
        return _refuse(401, "invalid_token", f"This access token is not valid: {error}")
    if engine.settings.issuer not in token.audience:
        return _refuse(401, "invalid_token", "This access token is for another resource")
    row, revoked = await in_thread(lambda: engine.database.read(partial(_read, token)))
    outcome = "unknown" if row is None else "ended" if end_reason(row, now) else "valid"
    engine.metrics.validations[outcome] += 1
    if row is None or outcome == "ended":
        return _refuse(401, "invalid_token", "The session has ended")
    if revoked:
        return _refuse(401, "invalid_token", "This access token was revoked")
    if "openid" not in token.scope:
        return _refuse(403, "insufficient_scope", "The scope openid was not asked for", "openid")
    claims: dict[str, str] = {"sub": token.subject}
    if "profile" in token.scope:
        claims |= {"name": row.display_name, "preferred_username": row.user}
    if "email" in token.scope and row.email is not None:
        claims["email"] = row.email
    return JSONResponse(claims, headers={"cache-control": "no-store"})


def _read(token: AccessToken, connection: Connection) -> tuple[LiveRow | None, bool]:
    row = read_live_row(connection, token.session_id)
    return row, spent.is_spent(connection, spent.REVOKED, token.client_id, token.jti)


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
