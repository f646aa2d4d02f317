"""What every request meets before any parsing: bounds on the body and its type.

The framework would read a body of any length and take one of another type for an empty one.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iam.web.problems import problem

LARGEST_BODY = 64 * 1024
LARGER_BODIES = {"/v1/sessions/validate": 1024 * 1024}
"""A thousand tokens need more than the rest."""


class Guard:
    """Answers 413 and 415; hands everything else on with its body read whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        bound = LARGER_BODIES.get(scope["path"], LARGEST_BODY)
        headers = dict(scope["headers"])
        body = b"" if _declared(headers) > bound else await _read(receive, bound)
        if _declared(headers) > bound or body is None:
            refusal = problem(413, "body_too_large", f"The body may have {bound} bytes.")
            await refusal(scope, receive, send)
            return
        kind = headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        if body and kind != b"application/json":
            title = "Send the body as application/json."
            await problem(415, "unsupported_media_type", title)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def _declared(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0


async def _read(receive: Receive, bound: int) -> bytes | None:
    """The whole body; None as soon as it is larger than its bound."""
    parts, seen, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        part = message.get("body", b"")
        parts.append(part)
        seen += len(part)
        more = message.get("more_body", False)
        if seen > bound:
            return None
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
