"""Pushed authorization requests (RFC 9126): what the browser carries is a reference, and no more."""

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidRequestError,
    OAuth2Error,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.oidc.dpop import ProofInvalid
from iam.oidc.protocol import Answer, ProtocolRequest, Provider
from iam.oidc.pushed import LIFETIME, push
from iam.oidc.token import key_of, receive, refuse, respond, with_nonce
from iam.web.address import origin_of
from iam.web.engine import engine_of, in_thread

_CREDENTIALS = ("client_secret", "client_assertion", "client_assertion_type")
_ELSEWHERE = ("request", "request_uri")


async def pushed_request(request: Request) -> Response:
    """`POST /oauth/par`: judged like an authorization request, as far as that needs no person."""
    engine = engine_of(request)
    now, origin = engine.clock(), origin_of(request, engine.settings)
    try:
        asked = await receive(request)

        def work(connection: Connection) -> str:
            provider = Provider(connection, engine, now, origin)
            client = provider.authenticate_client(asked, endpoint="par")
            if any(name in asked.parameters for name in _ELSEWHERE):
                raise InvalidRequestError("A pushed request holds its parameters itself.")
            client_id = client.get_client_id()
            kept = {name: v for name, v in asked.parameters.items() if name not in _CREDENTIALS}
            kept["client_id"] = client_id
            jkt = key_of(request, connection, engine, now)
            if jkt is not None and kept.setdefault("dpop_jkt", jkt) != jkt:
                raise ProofInvalid("The proof is of another key than dpop_jkt.")
            if not client.check_redirect_uri(asked.parameters.get("redirect_uri", "")):
                raise InvalidRequestError("This redirect_uri is not registered.")
            if asked.parameters.get("response_type") != "code":
                raise OAuth2Error("Use response_type=code.", error="unsupported_response_type")
            # It is being pushed, as may be required of it.
            provider.get_consent_grant(
                ProtocolRequest("POST", kept.items(), again={"request_uri": ""})
            )
            return push(connection, client_id, kept, now, engine.random)

        request_uri = await in_thread(lambda: engine.database.write(work))
    except OAuth2Error as error:
        error.redirect_uri = None  # there is no browser to send anywhere
        return with_nonce(refuse(error), request, engine, now)
    answer = respond(Answer(201, {"request_uri": request_uri, "expires_in": LIFETIME}))
    return with_nonce(answer, request, engine, now)
