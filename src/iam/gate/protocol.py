"""The short way through the server for the gate's question.

uvicorn takes a request apart header by header and runs it as a task that talks ASGI; for a validation
that costs several times the validation. Here the head of an ordinary question is recognised in one
piece, the gate is asked directly, and its answer is written when the reader's batch comes home. A
request that is out of the ordinary in any way (another method, a body, a header twice, a pipeline, a
client that does not read) takes the way of all others: the gate's ASGI callable gives the same answer,
only slower.

It rests on eight names inside uvicorn's `HttpToolsProtocol`: `data_received`, `cycle`, `flow`, `client`,
`on_response_complete`, `timeout_keep_alive_handler`, `_unsupported_upgrade_warning` and
`server_state.default_headers`.
tests/gate/test_protocol.py holds both ways to the same answers and fails when the names move.
"""

import re
from asyncio import AbstractEventLoop
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from iam.gate.asked import Asked
from iam.gate.doors import DOORS, ENVOY, Door
from iam.gate.hot import Gate

STATE_KEY = "gate"
"""Under this name the server puts the `Gate` into the state of its lifespan."""

_ANSWERED_KEY = "gate_answered"

# A whole head and nothing behind it (RFC 9112 §2.1, §5). Stricter than uvicorn's parser: what is not
# recognised here is not refused but read by that one.
_QUESTIONS = {f"GET {door.path} HTTP/1.1".encode(): door for door in DOORS if not door.continues}
_WITH_QUERY = re.compile(rb"(GET /gate/[a-z]+)\?[!-~]*( HTTP/1\.1)").fullmatch
# HEAD is not among them: its answer has no body, which is out of the ordinary.
_CONTINUED = re.compile(
    rb"(?:GET|POST|PUT|PATCH|DELETE|OPTIONS) " + ENVOY.path.encode() + rb"/[!-~]* HTTP/1\.1"
).fullmatch
_PLAIN = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])
_NAME = re.compile(rb"[!#-'*+.0-9A-Z^-z|~-]+").fullmatch
_READ = frozenset({b"cookie", b"authorization"})
_HOST = b"host"
# What decides where a request ends (smuggling) or what becomes of the connection.
_DECIDING = frozenset(
    {
        b"content-length",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
        b"connection",
    }
)
_HARMLESS, _STRANGE = b"", b"?"
_NOTHING_BEHIND = [b"", b""]
# Lines with a deciding name that decide nothing: a body of no bytes, a connection that stays open, and
# the wish for a web socket, which the proxy means for the application.
_INNOCENT = frozenset(
    {
        b"connection: keep-alive",
        b"content-length: 0",
        b"connection: upgrade",
        b"upgrade: websocket",
    }
)
_LONGEST = 65536
_MOST_NAMES = 256


class _Names(dict[bytes, bytes]):
    """What each name of a header means here, by how it was written: who asks writes the same ones each
    time. Some of `_READ`, `_HOST` for the one that tells the host, or `_HARMLESS`, or `_STRANGE`: then
    the request is out of the ordinary."""

    def __init__(self, host: bytes) -> None:
        super().__init__()
        self._host = host

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if not _NAME(name) or lower in _DECIDING:
            return _STRANGE
        meaning = _HOST if lower == self._host else lower if lower in _READ else _HARMLESS
        if len(self) < _MOST_NAMES:  # whoever invents names must not fill the memory
            self[name] = meaning
        return meaning


_names = {door.host: _Names(door.host) for door in DOORS}


def _door_of(line: bytes) -> Door | None:
    """The door that a request line leads to; None if it is out of the ordinary."""
    if _CONTINUED(line):
        return ENVOY
    with_query = _WITH_QUERY(line)  # nothing is read from it
    return _QUESTIONS.get(b"".join(with_query.groups())) if with_query else None


class GateProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with the gate in front of its parser."""

    loop: AbstractEventLoop
    _parsing = False
    """Whether uvicorn's parser is in the middle of a request: what comes then is its rest."""
    _answered_at = 0.0
    _exchange: "_Exchange | None" = None

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a validation starts, anything else is uvicorn's."""
        if self._parsing or not self._is_free(data) or not self._ask(data):
            super().data_received(data)

    def _ask(self, data: bytes) -> bool:
        """Put the question to the gate; False if anything makes it out of the ordinary."""
        lines = data.split(b"\r\n")
        door = _QUESTIONS.get(lines[0]) or _door_of(lines[0])
        if (
            door is None
            or lines[-2:] != _NOTHING_BEHIND
            # A line break or a control character inside a line is somebody's trick.
            or data.translate(None, _PLAIN) != b"\r\n" * (len(lines) - 1)
        ):
            return False
        cookie = authorization = host = None
        names = _names[door.host]
        for line in lines[1:-2]:
            name, colon, value = line.partition(b":")
            meaning = names[name]
            if meaning:
                if meaning == b"cookie" and cookie is None:
                    cookie = value.strip(b" \t")
                elif meaning == _HOST and host is None:
                    host = value.strip(b" \t")
                elif meaning == b"authorization" and authorization is None:
                    authorization = value.strip(b" \t")
                elif line.lower() not in _INNOCENT:
                    return False
            elif not colon:
                return False
        exchange = self._exchange
        if exchange is None:
            answered = self.app_state.setdefault(
                _ANSWERED_KEY, _Answered(self.loop, self.server_state)
            )
            exchange = _Exchange(self, self.app_state[STATE_KEY], answered)
            self._exchange = exchange
        exchange.begin(data, door, cookie, authorization, host)
        return True

    def _is_free(self, data: bytes) -> bool:
        cycle: Any = self.cycle
        return (
            (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and len(data) <= _LONGEST
            and not self.transport.is_closing()
            and STATE_KEY in self.app_state
            and self.limit_concurrency is None
        )

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a web socket is wished for by proxies whenever a page opens one, and it is the
        application that speaks it. Here the wish is passed over (RFC 9110 §7.8)."""

    def on_message_begin(self) -> None:
        """uvicorn's parser has seen the first byte of a request."""
        self._parsing = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """It has seen the last byte of it."""
        super().on_message_complete()
        self._parsing = False

    def keep_alive(self, now: float) -> None:
        """The short way's answer is written: close the connection when nothing more comes.

        One timer for many answers: to set and to cancel one for each costs as much as half of it.
        """
        self._answered_at = now
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        """The timer has run out: look whether anything was answered meanwhile."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        cycle: Any = self.cycle
        if left > 0 or not cycle.response_complete:
            self.timeout_keep_alive_task = self.loop.call_later(
                left if left > 0 else self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()


class _Deaf:
    """Nobody waits for the body of a validation."""

    def set(self) -> None:
        """Do nothing."""


class _Exchange:
    """The validation under way on a connection: what uvicorn asks of its `cycle`, and no more."""

    __slots__ = (
        "_answered",
        "_believed",
        "_body",
        "_gate",
        "_head",
        "_lines",
        "_protocol",
        "_status",
        "disconnected",
        "keep_alive",
        "response_complete",
    )
    message_event = _Deaf()

    def __init__(self, protocol: GateProtocol, gate: Gate, answered: "_Answered") -> None:
        self._protocol, self._gate, self._answered = protocol, gate, answered
        self._believed = gate.believes(protocol.client[0] if protocol.client else None)
        self._head = self._lines = self._body = b""
        self._status = 0
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = True

    def begin(
        self,
        head: bytes,
        door: Door,
        cookie: bytes | None,
        authorization: bytes | None,
        host: bytes | None,
    ) -> None:
        """Ask the gate. One question at a time: the next one begins after the answer."""
        self._head = head
        self.response_complete = False
        self._protocol.cycle = self  # type: ignore[assignment]  # it asks a cycle for what ours has
        self._gate.submit(
            door, self._believed, cookie, authorization, host, self._asked, self._answer
        )

    def _asked(self) -> Asked:
        first, *lines = self._head.split(b"\r\n")[:-2]
        method, path, _ = first.decode("ascii").split(" ")
        parts = [line.split(b":", 1) for line in lines]
        headers = [(name.lower(), value.strip(b" \t")) for name, value in parts]
        return Asked(method, path, headers)

    def _answer(self, status: int, head: bytes, body: bytes) -> None:
        self._status, self._lines, self._body = status, head, body
        self._answered.add(self)

    def write(self, ours: bytes, now: float) -> None:
        """Write the response, with these lines of the server, and leave the connection as uvicorn
        leaves it. `now`: the time of its loop."""
        self.response_complete = True
        protocol = self._protocol
        transport = protocol.transport
        if self.disconnected or transport.is_closing():
            return  # nobody is there to hear it
        close = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        transport.write(b"".join((STATUS_LINE[self._status], ours, self._lines, close, self._body)))
        if not self.keep_alive:
            transport.close()
        if protocol.pipeline:
            protocol.on_response_complete()
        else:
            protocol.server_state.total_requests += 1
            protocol.keep_alive(now)


class _Answered:
    """Exchanges whose responses go out one right after the other.

    Written one by one, between two validations each, every single one would wake the proxy, which
    costs the kernel as much as the validation.
    """

    def __init__(self, loop: AbstractEventLoop, server: ServerState) -> None:
        self._loop, self._server = loop, server
        self._waiting: list[_Exchange] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def add(self, exchange: _Exchange) -> None:
        """Have it written when this turn of the event loop is over."""
        if not self._waiting:
            self._loop.call_soon(self._write)
        self._waiting.append(exchange)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        headers, now = self._server.default_headers, self._loop.time()
        if headers is not self._headers:  # uvicorn makes a new list once a second, for `date`
            self._headers = headers
            self._lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        for exchange in waiting:
            exchange.write(self._lines, now)
