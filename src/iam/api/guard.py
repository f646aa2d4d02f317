"""What every request meets before any parsing: bounds on the body, its type, a query said once.

The framework would read a body of any length, take one of another type for an empty one, and of a
parameter that comes twice choose the last.
"""

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iam.kernel.errors import Invalid
from iam.web.problems import problem

LARGEST_BODY = 64 * 1024
LARGER_BODIES = {"/v1/sessions/validate": 1024 * 1024}
"""A thousand tokens need more than the rest."""


class Guard:
    """Answers 413, 415 and 422; hands everything else on with its body read whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _ambiguous(scope["query_string"]):
            mistakes = [{"field": "query", "message": "A parameter is given more than once."}]
            refusal = problem(422, Invalid.code, Invalid.title, errors=mistakes)
            await refusal(scope, receive, send)
            return
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


def _ambiguous(query: bytes) -> bool:
    """Whether a parameter comes twice: which of the two is meant, others may judge otherwise."""
    names = [pair.split(b"=", 1)[0] for pair in query.split(b"&") if pair]
    return len(names) != len({unquote_to_bytes(name.replace(b"+", b" ")) for name in names})


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
