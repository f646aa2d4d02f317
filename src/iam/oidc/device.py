"""The device authorization endpoint (RFC 8628 §3.1): a device without a browser asks for a code."""

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Error,
    UnauthorizedClientError,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.oidc import device_requests
from iam.oidc.device_grant import DEVICE_CODE
from iam.oidc.protocol import Answer, ProtocolRequest, Provider
from iam.oidc.resources import asked_audience
from iam.oidc.token import receive, refuse, respond
from iam.web.address import origin_of
from iam.web.engine import engine_of, in_thread


async def device_authorization(request: Request) -> Response:
    """`POST /oauth/device`: a code for the device to ask with, and one for its user to enter."""
    try:
        asked = await receive(request)
    except OAuth2Error as error:
        return refuse(error)
    return await answer_device_request(request, asked)


async def answer_device_request(request: Request, asked: ProtocolRequest) -> Response:
    """Give the codes, or refuse them."""
    engine = engine_of(request)
    now, origin = engine.clock(), origin_of(request, engine.settings)

    def work(connection: Connection) -> tuple[str, str]:
        client = Provider(connection, engine, now, origin).authenticate_client(
            asked, endpoint="device"
        )
        if not client.check_grant_type(DEVICE_CODE):
            raise UnauthorizedClientError("This application is not for devices.")
        return device_requests.begin(
            connection,
            client_id=client.get_client_id(),
            scope=client.get_allowed_scope(asked.parameters.get("scope")),
            audience=asked_audience(connection, client.application, asked.parameters),
            origin=origin,
            now=now,
            random=engine.random,
        )

    try:
        device_code, user_code = await in_thread(lambda: engine.database.write(work))
    except OAuth2Error as error:
        return refuse(error)
    page = f"{engine.settings.issuer}/device"
    body = {
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={user_code}",
        "expires_in": device_requests.LIFETIME,
        "interval": device_requests.INTERVAL,
    }
    return respond(Answer(200, body))
