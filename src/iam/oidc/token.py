"""The token endpoint: whatever is granted, for tokens."""

from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidRequestError,
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.kernel.clock import Instant
from iam.oidc.client_credentials import ClientCredentialsGrant
from iam.oidc.device_grant import DeviceGrant
from iam.oidc.dpop import make_nonce, proven_key
from iam.oidc.exchange import ExchangeGrant
from iam.oidc.protocol import Answer, ProtocolRequest, Provider
from iam.oidc.refresh_grant import RefreshGrant
from iam.web.address import origin_of
from iam.web.changes import Change
from iam.web.engine import Engine, engine_of

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50


async def token(request: Request) -> Response:
    """`POST /oauth/token` (RFC 6749 §4.1.3, OpenID Connect Core §3.1.3)."""
    try:
        asked = await receive(request)
    except OAuth2Error as error:
        return refuse(error)
    return await answer_token_request(request, asked)


async def answer_token_request(
    request: Request, asked: ProtocolRequest, kind: type[Provider] = Provider
) -> Response:
    """Give what is asked for, or refuse it. `kind` is the provider that judges."""
    engine = engine_of(request)
    now, origin = engine.clock(), origin_of(request, engine.settings)
    if not asked.parameters.get("grant_type"):
        return refuse(InvalidRequestError("grant_type is missing."))

    def work(connection: Connection) -> tuple[Answer, Provider]:
        provider = kind(connection, engine, now, origin)
        for grant in _GRANTS:
            provider.register_grant(grant)
        # Refusals are answers, not exceptions: the code they used up is committed with them.
        try:
            provider.jkt = key_of(request, connection, engine, now)
            answer: Answer = provider.create_token_response(asked)
        except OAuth2Error as error:
            answer = provider.refuse(error)
        return answer, provider

    def finish(result: tuple[Answer, Provider]) -> Response:
        answer, provider = result
        for started in provider.started:
            engine.count_started(started)
        engine.count_ended(provider.ended)
        for session in provider.touched:
            engine.touches.note(session, now)
        return with_nonce(respond(answer), request, engine, now)

    # Tokens are asked for by the hundred: on SQLite those who wait share a commit.
    return await engine.changes.run(lambda: Change(work, finish))


_GRANTS = (RefreshGrant, ClientCredentialsGrant, DeviceGrant, ExchangeGrant)


async def receive(request: Request) -> ProtocolRequest:
    """A request of an application: a form, no parameter of which may come twice (RFC 6749 §3.2).

    Raises:
        InvalidRequestError: it is not.
    """
    asked = ProtocolRequest("POST", await read_pairs(request), request.headers.get("authorization"))
    if asked.repeated:
        raise InvalidRequestError("A parameter came more than once.")
    return asked


def key_of(request: Request, connection: Connection, engine: Engine, now: Instant) -> str | None:
    """The thumbprint of the key that a request at an endpoint of ours proves; None if it proves none.

    Raises:
        ProofInvalid, NonceWanted: see `dpop.proven_key`.
    """
    return proven_key(
        connection,
        request.headers.getlist("dpop"),
        method=request.method,
        url=engine.settings.issuer + request.url.path,
        cipher=engine.cipher,
        now=now,
    )


def with_nonce(response: Response, request: Request, engine: Engine, now: Instant) -> Response:
    """Whoever sends proofs is given the nonce for the next (RFC 9449 §8.2)."""
    if "dpop" in request.headers:
        response.headers["dpop-nonce"] = make_nonce(engine.cipher, now)
    return response


def refuse(error: OAuth2Error) -> Response:
    """An error in the form of RFC 6749 §5.2."""
    status, body, headers = error()
    return respond(Answer(status, body, dict(headers)))


async def read_pairs(request: Request) -> list[tuple[str, str]]:
    """The parameters of a posted form, repetitions included.

    Raises:
        InvalidRequestError: the body is no such form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequestError(f"Send the parameters as {_FORM}.")
    text = (await request.body()).decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InvalidRequestError("There are too many parameters.") from error


def respond(answer: Answer) -> Response:
    """A protocol answer as an HTTP one; never cached."""
    headers = {
        name: value for name, value in answer.headers.items() if name.lower() != "content-type"
    }
    headers |= {"Cache-Control": "no-store", "Pragma": "no-cache"}
    if answer.location is not None:
        # 303, not 302 or 307: what was posted to us is never posted on (RFC 9700 §4.12).
        return Response(status_code=303, headers=headers)
    return JSONResponse(answer.body, answer.status, headers=headers)
