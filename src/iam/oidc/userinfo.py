"""Userinfo: asks the session at every call, and so refuses the moment it ends."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.oidc.tokens import TokenInvalid, read_access_token
from iam.sessions.validate import Outcome, verdict_on
from iam.web.engine import engine_of


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
    row = await engine.reader.read(token.session_id)
    verdict = verdict_on(row, now)
    engine.metrics.validations[str(verdict.outcome)] += 1
    if row is None or verdict.outcome is not Outcome.VALID:
        state = "is locked" if verdict.outcome is Outcome.LOCKED else "has ended"
        return _refuse(401, "invalid_token", f"The session {state}")
    if "openid" not in token.scope:
        return _refuse(403, "insufficient_scope", "The scope openid was not asked for", "openid")
    claims: dict[str, str] = {"sub": token.subject}
    if "profile" in token.scope:
        claims |= {"name": row.display_name, "preferred_username": row.user}
    if "email" in token.scope and row.email is not None:
        claims["email"] = row.email
    return JSONResponse(claims, headers={"cache-control": "no-store"})


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
