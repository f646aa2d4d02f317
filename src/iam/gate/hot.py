"""The hot path: a token and a host in, identity headers out. Raw ASGI, one primary-key read.

Never answers 5xx because of what somebody sent; a proxy reads 200 as "let in" and everything else as
"do not".
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from iam.gate.asked import Asked, joined, original_host
from iam.gate.doors import Door, door_at
from iam.gate.hosts import Home, Hosts
from iam.gate.refusal import ApplicationWrong, HostRequired, HostUnknown, ProxyUnknown, refusal
from iam.kernel.clock import after, to_iso
from iam.kernel.errors import IamError
from iam.kernel.secrets import NOBODY, Token, parse_token
from iam.sessions.model import LiveRow
from iam.sessions.validate import SessionUnknown, judge, refused
from iam.settings import is_loopback
from iam.web.address import is_trusted
from iam.web.cookies import APP, cookie_name
from iam.web.engine import Engine
from iam.web.problems import problem

Answer = Callable[[int, bytes, bytes], None]
"""Called once, with status, header lines (each with its line break) and body."""

_log = structlog.get_logger("iam.gate")

_BEARER = re.compile(rb"(?i:bearer)(?:[ \t]+(.*))?", re.DOTALL)


class Gate:
    """The ASGI callable, and the same without ASGI for the server's short way (`submit`)."""

    def __init__(self, engine: Engine) -> None:
        self.settings, self.clock = engine.settings, engine.clock
        self.touch, self.validations = engine.touches.note, engine.metrics.validations
        self.read = engine.reader.submit
        self._hosts = Hosts(engine.database, engine.settings, engine.threads)
        name = re.escape(cookie_name(engine.settings, APP).encode())
        self._cookies = re.compile(rb"(?:^|;)[ \t]*" + name + rb"[ \t]*=([^;]*)").findall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered: asyncio.Future[tuple[int, bytes, bytes]] = (
            asyncio.get_running_loop().create_future()
        )

        def answer(status: int, head: bytes, body: bytes) -> None:
            if not answered.done():  # the client may have gone meanwhile
                answered.set_result((status, head, body))

        door = door_at(scope["path"])
        assert door is not None  # noqa: S101 - the server brings nothing else here
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if door.continues or scope["method"] in ("GET", "HEAD"):
            self.submit(
                door,
                self.believes(scope["client"][0] if scope["client"] else None),
                joined(headers, b"cookie", b";"),
                joined(headers, b"authorization", b","),
                joined(headers, door.host, b","),
                lambda: Asked(scope["method"], _path(scope), headers),
                answer,
            )
        else:
            other = problem(405, "method_not_allowed", "The gate is asked with GET or HEAD.")
            other.headers["allow"] = "GET, HEAD"
            _send(answer, other)
        status, head, body = await answered
        lines = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[:-1]]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    def believes(self, peer: str | None) -> bool:
        """Whether who asks from this address may say what a browser asked for: a proxy on this machine
        or among the trusted ones."""
        return peer is not None and (is_loopback(peer) or is_trusted(peer, self.settings))

    def submit(
        self,
        door: Door,
        believed: bool,
        cookie: bytes | None,
        authorization: bytes | None,
        host: bytes | None,
        asked: Callable[[], Asked],
        answer: Answer,
    ) -> None:
        """Answer a question, now or when its host and its session have been read.

        Args:
            door: where it was asked.
            believed: whether the asker is (`believes`).
            cookie, authorization, host: those headers' values (the host's is `door.host`), joined where
                they came twice.
            asked: gives the whole question, if it should be needed.
            answer: where the answer goes.
        """
        token = self._token(cookie, authorization)
        question = _Question(self, token, door, asked, answer)
        if not (believed or door.to_anybody):
            question.refuse(ProxyUnknown())
            return
        if host is None and door.original_url:
            host = original_host(asked().headers)
        now = self.clock()
        known = self._hosts.known(host, now)
        if known is None:
            self._hosts.find(host, now, question.at_home)
        elif known.home is None:
            question.at_home(known.host, None, None)
        else:
            question.host, question.home = known.host, known.home
            self.read(token.session_id, question.decide)

    def _token(self, cookie: bytes | None, authorization: bytes | None) -> Token:
        bearer = _BEARER.fullmatch(authorization) if authorization is not None else None
        if bearer is not None:
            # A bearer token decides alone. Other schemes are the application's own business.
            return parse_token((bearer[1] or b"").strip().decode("latin-1"))
        # A cookie that came twice is worth nothing: one of them may have been planted.
        found = self._cookies(cookie) if cookie is not None else ()
        return parse_token(found[0].strip().decode("latin-1")) if len(found) == 1 else NOBODY


class _Question:
    """One request on its way through: first its host is found, then its session is read."""

    __slots__ = ("_answer", "_asked", "_door", "_gate", "_token", "home", "host")

    def __init__(
        self, gate: Gate, token: Token, door: Door, asked: Callable[[], Asked], answer: Answer
    ) -> None:
        self._gate, self._token, self._door = gate, token, door
        self._asked, self._answer = asked, answer
        self.host: str | None = None

    def at_home(self, host: str | None, home: Home | None, error: IamError | None) -> None:
        """The host and its application are found: read the session."""
        if error is not None:
            self._fail(error)
        elif host is None:
            self.refuse(HostRequired())
        elif home is None:
            self.refuse(HostUnknown())
        else:
            self.host, self.home = host, home
            self._gate.read(self._token.session_id, self.decide)

    def decide(self, row: LiveRow | None, error: IamError | None) -> None:
        """The session's row is read: answer."""
        if error is not None:
            self._fail(error)
            return
        gate = self._gate
        now = gate.clock()
        try:
            outcome, row, reason = judge(self._token, row, now)
            if row is None:
                gate.validations["unknown"] += 1
                self.refuse(SessionUnknown())
            elif reason is not None:
                gate.validations[str(outcome)] += 1
                self.refuse(refused(reason))
            elif (row.organization, row.application) != self.home:
                # Not by the session's `instance`: a back end may give its sessions any label, also the
                # name of somebody else's host.
                gate.validations["wrong_application"] += 1
                self.refuse(ApplicationWrong())
            else:
                gate.validations["valid"] += 1
                gate.touch(row, now)
                self._let_in(row)
        except Exception as bug:  # noqa: BLE001 - nobody may be left without an answer
            _log.exception("crash", exc_info=bug)
            _send(self._answer, problem(500, "internal_error", "Something went wrong on our side."))

    def _let_in(self, row: LiveRow) -> None:
        if self._door.as_json:
            body = _session_json(row)
            more = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
            self._answer(200, _identity(row) + more, body)
        else:
            self._answer(200, _identity(row) + b"content-length: 0\r\n", b"")

    def refuse(self, error: IamError) -> None:
        """Answer no, as the door says it."""
        answer = refusal(self._door, self._asked(), self.host, error, self._gate.settings)
        _send(self._answer, answer)

    def _fail(self, error: IamError) -> None:
        _log.warning("unavailable", code=error.code, detail=error.detail)
        self._gate.validations["failed"] += 1
        self.refuse(error)


def hot_path(engine: Engine) -> Gate:
    """The gate of this engine, for requests that have a door of it (`door_at`)."""
    return Gate(engine)


def _path(scope: Scope) -> str:
    """The path and query as they were sent, nothing decoded."""
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    return bytes(scope["raw_path"] + query).decode("latin-1")


def _send(answer: Answer, response: Response) -> None:
    lines = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
    answer(response.status_code, b"".join(lines), bytes(response.body))


def _identity(row: LiveRow) -> bytes:
    # By position: this is one of the few lines that run forty thousand times a second.
    session_id, _, organization, user, application, _, _, _, _, _, _, _, name, email, roles, _ = row
    if email is None:
        email = ""
    together = f"{user}{email}{name}{roles}{organization}{application}"
    if not together.isascii() or not together.isprintable() or "%" in together:
        user, email, name, roles = _encoded(user), _encoded(email), _encoded(name), _encoded(roles)
        organization, application = _encoded(organization), _encoded(application)
    return (
        f"remote-user: {user}\r\nremote-email: {email}\r\nremote-name: {name}\r\n"
        f"remote-groups: {roles}\r\nx-iam-session: {session_id}\r\n"
        f"x-iam-organization: {organization}\r\nx-iam-application: {application}\r\n"
        "cache-control: no-store\r\n"
    ).encode("ascii")


_HARMLESS = "".join(chr(one) for one in range(0x20, 0x7F) if chr(one) != "%")


def _encoded(value: str) -> str:
    """Percent-encoded UTF-8 where it is not printable ASCII: a line break in a name would be a
    header of its owner's making."""
    return quote(value, safe=_HARMLESS, errors="replace")


def _session_json(row: LiveRow) -> bytes:
    idle_at = min(row.expires_at, after(row.last_active_at, row.idle_timeout))
    session: dict[str, Any] = {
        "id": row.id,
        "organization": row.organization,
        "user": row.user,
        "application": row.application,
        "parent": row.parent,
        "instance": row.instance,
        "last_active_at": to_iso(row.last_active_at),
        "idle_expires_at": to_iso(idle_at),
        "expires_at": to_iso(row.expires_at),
        "state": "active",
        "display_name": row.display_name,
        "email": row.email,
        "roles": row.roles.split(",") if row.roles else [],
    }
    return msgspec.json.encode(session)
