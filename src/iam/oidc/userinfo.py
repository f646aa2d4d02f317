"""Userinfo: asks the session at every call, and so refuses the moment it ends."""

from collections.abc import Collection

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.kernel.clock import Instant
from iam.keys.client_keys import ALGORITHMS
from iam.oidc.access_tokens import read_access_token
from iam.oidc.claims import claims_of_scopes, values_for
from iam.oidc.dpop import ProofInvalid, proven_key
from iam.oidc.token import with_nonce
from iam.oidc.tokens import TokenInvalid
from iam.sessions.model import LiveRow
from iam.sessions.store import read_live_row
from iam.sessions.validate import Outcome, verdict_on
from iam.web.engine import Engine, engine_of, in_thread

_SCHEMES = {"bearer": "Bearer", "dpop": "DPoP"}


async def userinfo(request: Request) -> Response:
    """`GET` or `POST /oauth/userinfo` (Core §5.3) with `Authorization: Bearer`, RFC 6750 §2.1, or of a
    token that is bound to a key `DPoP` and a proof, RFC 9449 §7.1.

    A look is not activity: a client that polls must not keep alive a session nobody uses.
    """
    engine = engine_of(request)
    now = engine.clock()
    name, _, text = request.headers.get("authorization", "").partition(" ")
    scheme = _SCHEMES.get(name.lower())
    if scheme is None:
        return _refuse("Bearer", 401, None, "Show an access token: Authorization: Bearer …")
    # A proof is used up, which takes a connection that writes.
    run = engine.database.write if scheme == "DPoP" else engine.database.read
    try:
        row, claims = await in_thread(
            lambda: run(lambda c: _read(c, request, engine, scheme, text.strip(), now))
        )
    except TokenInvalid as error:
        description = f"This access token is not valid: {error}"
        return with_nonce(_refuse(scheme, 401, "invalid_token", description), request, engine, now)
    except OAuth2Error as error:
        refusal = _refuse(scheme, 401, str(error.error), str(error.description))
        return with_nonce(refusal, request, engine, now)
    verdict = verdict_on(row, now)
    engine.metrics.validations[str(verdict.outcome)] += 1
    if row is None or verdict.outcome is not Outcome.VALID:
        state = "is locked" if verdict.outcome is Outcome.LOCKED else "has ended"
        return _refuse(scheme, 401, "invalid_token", f"The session {state}")
    if claims is None:
        description = "The scope openid was not asked for"
        return _refuse(scheme, 403, "insufficient_scope", description, "openid")
    answer = JSONResponse(claims, headers={"cache-control": "no-store"})
    return with_nonce(answer, request, engine, now)


def claims_of(
    connection: Connection,
    subject: str,
    scope: Collection[str],
    row: LiveRow,
    asked: Collection[str] = (),
) -> dict[str, str]:
    """What these scopes, and claims that were asked for by name, let a client know of a session's user
    (Core §5.4)."""
    said = values_for(
        connection,
        {*claims_of_scopes(scope), *asked},
        organization=row.organization,
        user=row.user,
        name=row.display_name,
        email=row.email,
    )
    return {"sub": subject, **said}


def _read(
    connection: Connection, request: Request, engine: Engine, scheme: str, text: str, now: Instant
) -> tuple[LiveRow | None, dict[str, str] | None]:
    """The session that the token names, and what to say of its user: None if that was not asked for."""
    issuer = engine.settings.issuer
    token = read_access_token(connection, text, engine.keys, issuer, now)
    if issuer not in token.audience or token.session_id is None:
        raise TokenInvalid("it is for another resource")
    if scheme == "DPoP":
        jkt = proven_key(
            connection,
            request.headers.getlist("dpop"),
            method=request.method,
            url=issuer + request.url.path,
            cipher=engine.cipher,
            now=now,
            access_token=text,
        )
        if jkt is None:
            raise ProofInvalid("Send a proof.")
        if jkt != token.jkt:
            raise TokenInvalid("it is not bound to this key")
    elif token.jkt is not None:
        # Whoever stole it would show it just like that (RFC 9449 §7.2).
        raise TokenInvalid("it is bound to a key: use DPoP")
    row = read_live_row(connection, token.session_id)
    if row is None or "openid" not in token.scope:
        return row, None
    return row, claims_of(connection, token.subject, token.scope, row, token.userinfo_claims)


def _refuse(
    scheme: str, status: int, error: str | None, description: str, scope: str | None = None
) -> Response:
    """RFC 6750 §3: a request without a token is told how, not what went wrong."""
    challenge = scheme
    body = {"error": error or "authentication_required", "error_description": description}
    if error is not None:
        challenge += f' error="{error}", error_description="{description}"'
    if scope is not None:
        challenge += f', scope="{scope}"'
    if scheme == "DPoP":
        challenge += f', algs="{" ".join(ALGORITHMS)}"'
    headers = {"www-authenticate": challenge, "cache-control": "no-store"}
    return JSONResponse(body, status, headers=headers)
