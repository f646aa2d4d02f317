"""The short way through the server for the gate's question.

uvicorn runs every request as a task that talks ASGI; for a validation that costs more than the
validation. Here the parsed request goes to the gate directly, and its answer is written in one piece
when the reader's batch comes home. A request that is out of the ordinary in any way (another method,
a body, an upgrade, a client that does not read, a pipeline) takes the way of all others: the gate's
ASGI callable gives the same answer, only slower.

It rests on four names inside uvicorn's `HttpToolsProtocol`: `on_headers_complete`, `cycle`,
`on_response_complete` and `server_state.default_headers`. tests/gate/test_protocol.py holds both ways
to the same answers and fails when the names move.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from iam.gate.hot import CHECK, NGINX, Gate

STATE_KEY = "gate"
"""Under this name the server puts the `Gate` into the state of its lifespan."""

# As they are sent, so that nothing has to be parsed: the address is a validation and nothing else.
_PATHS = {NGINX.encode(): False, CHECK.encode(): True}
_OUT_OF_THE_ORDINARY = frozenset((b"content-length", b"transfer-encoding", b"expect", b"upgrade"))


class GateProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with the gate in front of its task."""

    def on_headers_complete(self) -> None:
        """The head of a request is there: a validation starts, anything else is uvicorn's."""
        as_json = _PATHS.get(self.url)
        if as_json is None or not self._is_ordinary():
            super().on_headers_complete()
            return
        gate: Gate = self.app_state[STATE_KEY]
        exchange = _Exchange(self, self.parser.should_keep_alive())
        self.cycle = exchange  # type: ignore[assignment]  # it asks a cycle for what ours has
        gate.submit("GET", as_json, self.headers, exchange.answer)

    def _is_ordinary(self) -> bool:
        for name, _ in self.headers:
            if name in _OUT_OF_THE_ORDINARY:
                return False
        cycle: Any = self.cycle
        return (
            self.parser.get_method() == b"GET"
            and STATE_KEY in self.app_state
            and (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and self.limit_concurrency is None
            and self.parser.get_http_version() == "1.1"
        )


class _Deaf:
    """Nobody waits for the body of a validation."""

    def set(self) -> None:
        """Do nothing."""


class _Exchange:
    """One validation on a connection: what uvicorn asks of its `cycle`, and no more."""

    __slots__ = ("disconnected", "keep_alive", "more_body", "protocol", "response_complete")
    message_event = _Deaf()

    def __init__(self, protocol: GateProtocol, keep_alive: bool) -> None:
        self.protocol = protocol
        self.keep_alive = keep_alive
        self.disconnected = False
        self.more_body = True
        self.response_complete = False

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Write the response and leave the connection as uvicorn leaves it."""
        protocol = self.protocol
        if self.disconnected or protocol.transport.is_closing():
            return  # nobody is there to hear it
        self.response_complete = True
        ours = _default_head(protocol.server_state.default_headers)
        close = b"" if self.keep_alive else b"connection: close\r\n"
        protocol.transport.write(STATUS_LINE[status] + ours + close + head + b"\r\n" + body)
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


class _DefaultHead:
    """uvicorn's own headers as they are sent; it makes a new list once a second, for `date`."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._written = b""

    def __call__(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        if self._headers is not headers:
            self._headers = headers
            self._written = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        return self._written


_default_head = _DefaultHead()
