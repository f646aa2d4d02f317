"""Endpoints that a browser application calls from its own origin (CORS).

Open to every origin, and never with cookies: what these answer depends on what the request itself shows.
The authorization and logout endpoints are not among them: people go there, scripts do not (RFC 9700 §2.6).
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ANYBODY = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "WWW-Authenticate, DPoP-Nonce",
}
_PREFLIGHT = {
    **_ANYBODY,
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "Authorization, Content-Type, DPoP",
    "access-control-max-age": "600",
}


def cross_origin(
    path: str, endpoint: Callable[[Request], Awaitable[Response]], *methods: str
) -> Route:
    """The route of an endpoint that scripts of any origin may call."""

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        response = await endpoint(request)
        response.headers.update(_ANYBODY)
        return response

    return Route(path, answer, methods=[*methods, "OPTIONS"])
