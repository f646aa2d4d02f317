"""The hot path: a token and a host in, identity headers out. Raw ASGI, one primary-key read.

Never answers 302 and never 5xx because of what somebody sent; a proxy reads 2xx as "let in" and
everything else as "do not".
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from iam.gate.hosts import Home, Hosts, Target, host_name, parse_target, path_of, scheme_of
from iam.kernel.clock import after, to_iso
from iam.kernel.errors import Forbidden, IamError
from iam.kernel.secrets import NOBODY, Token, parse_token
from iam.sessions.model import LiveRow
from iam.sessions.validate import SessionEnded, SessionUnknown, judge
from iam.web.cookies import APP, cookie_name
from iam.web.engine import Engine
from iam.web.problems import problem, problem_of

NGINX = "/gate/nginx"
CHECK = "/gate/check"
HOT_PATHS = frozenset({NGINX, CHECK})

Headers = Iterable[tuple[bytes, bytes]]
Answer = Callable[[int, bytes, bytes], None]
"""Called once, with status, header lines (each with its line break) and body."""

_log = structlog.get_logger("iam.gate")


class HostRequired(Forbidden):
    """The proxy does not say which host it asks for, so nobody can be let in there."""

    code = "host_required"
    title = "The proxy must send X-Forwarded-Host (or X-Original-URL)."


class HostUnknown(Forbidden):
    """No enabled application has this host among its gate hosts."""

    code = "gate_host_unknown"
    title = "No application answers on this host."


class ApplicationWrong(Forbidden):
    """The session is good, but of another application than the one on this host."""

    code = "wrong_application"
    title = "This session is of another application."


class _Asked(NamedTuple):
    """A request as far as the gate reads it; a header that came twice is joined by commas."""

    as_json: bool
    token: Token
    forwarded: dict[bytes, str]
    scheme: str


_FORWARDED = frozenset(
    {b"x-forwarded-host", b"x-original-url", b"x-forwarded-proto", b"x-forwarded-uri"}
    | {b"x-original-uri"}
)
_BEARER = re.compile(rb"(?i:bearer)(?:[ \t]+(.*))?", re.DOTALL)


class Gate:
    """The ASGI callable, and the same without ASGI for the server's short way (`submit`)."""

    def __init__(self, engine: Engine) -> None:
        self._settings, self._clock = engine.settings, engine.clock
        self._reader, self._touches = engine.reader, engine.touches
        self._validations = engine.metrics.validations
        self._hosts = Hosts(engine.database)
        name = re.escape(cookie_name(engine.settings, APP).encode())
        self._cookies = re.compile(rb"(?:^|;)[ \t]*" + name + rb"[ \t]*=([^;]*)").findall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered: asyncio.Future[tuple[int, bytes, bytes]] = (
            asyncio.get_running_loop().create_future()
        )

        def answer(status: int, head: bytes, body: bytes) -> None:
            if not answered.done():  # the client may have gone meanwhile
                answered.set_result((status, head, body))

        self.submit(scope["method"], scope["path"] == CHECK, scope["headers"], answer)
        status, head, body = await answered
        headers = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[:-1]]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    def submit(self, method: str, as_json: bool, headers: Headers, answer: Answer) -> None:
        """Answer a request, now or when its host and its session have been read."""
        if method not in ("GET", "HEAD"):
            refusal = problem(405, "method_not_allowed", "The gate is asked with GET or HEAD.")
            refusal.headers["allow"] = "GET, HEAD"
            _send(answer, refusal)
            return
        asked = self._read(as_json, headers)
        host = _host(asked)
        if host is None:
            _send(answer, problem_of(HostRequired()))
            return
        self._hosts.find(host, self._clock(), partial(self._at_home, asked, host, answer))

    def _read(self, as_json: bool, headers: Headers) -> _Asked:
        forwarded: dict[bytes, str] = {}
        cookie, authorization = b"", None
        for name, value in headers:
            if name == b"cookie":
                cookie = cookie + b";" + value if cookie else value
            elif name == b"authorization":
                authorization = value if authorization is None else authorization + b", " + value
            elif name in _FORWARDED:
                text = value.decode("latin-1")
                before = forwarded.get(name)
                forwarded[name] = text if before is None else f"{before}, {text}"
        bearer = _BEARER.fullmatch(authorization) if authorization is not None else None
        if bearer is not None:
            # A bearer token decides alone. Other schemes are the application's own business.
            token = parse_token((bearer[1] or b"").strip().decode("latin-1"))
        else:
            # A cookie that came twice is worth nothing: one of them may have been planted.
            found = self._cookies(cookie)
            token = parse_token(found[0].strip().decode("latin-1")) if len(found) == 1 else NOBODY
        scheme = scheme_of(self._settings, forwarded.get(b"x-forwarded-proto"))
        return _Asked(as_json, token, forwarded, scheme)

    def _at_home(
        self, asked: _Asked, host: str, answer: Answer, home: Home | None, error: IamError | None
    ) -> None:
        if error is not None:
            self._fail(answer, error)
        elif home is None:
            _send(answer, problem_of(HostUnknown()))
        else:
            done = partial(self._decide, asked, host, home, answer)
            self._reader.submit(asked.token.session_id, done)

    def _decide(
        self,
        asked: _Asked,
        host: str,
        home: Home,
        answer: Answer,
        row: LiveRow | None,
        error: IamError | None,
    ) -> None:
        if error is not None:
            self._fail(answer, error)
            return
        try:
            self._judge(asked, host, home, answer, row)
        except Exception as bug:  # noqa: BLE001 - see below
            # Nobody may be left without an answer, nor the others whose rows came along.
            _log.exception("crash", exc_info=bug)
            _send(answer, problem(500, "internal_error", "Something went wrong on our side."))

    def _judge(
        self, asked: _Asked, host: str, home: Home, answer: Answer, row: LiveRow | None
    ) -> None:
        now = self._clock()
        _, row, reason = judge(asked.token, row, now)
        if row is None:
            self._validations["unknown"] += 1
            self._refuse(asked, host, answer, problem_of(SessionUnknown()))
        elif reason is not None:
            self._validations["ended"] += 1
            self._refuse(asked, host, answer, problem_of(SessionEnded(reason)))
        elif (row.organization, row.application) != home:
            # Not by the session's `instance`: a back end may give its sessions any label, also the
            # name of somebody else's host.
            self._validations["wrong_application"] += 1
            _send(answer, problem_of(ApplicationWrong()))
        else:
            self._validations["valid"] += 1
            self._touches.note(row, now)
            if asked.as_json:
                body = _session_json(row)
                more = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
                answer(200, _identity(row) + more, body)
            else:
                answer(200, _identity(row) + b"content-length: 0\r\n", b"")

    def _refuse(self, asked: _Asked, host: str, answer: Answer, refusal: Response) -> None:
        target = self._page(asked, host)
        address = f"{self._settings.issuer}/gate/enter?rd={quote(target.url, safe='')}"
        refusal.headers["location"] = address
        refusal.headers["x-iam-sign-in"] = address
        _send(answer, refusal)

    def _page(self, asked: _Asked, host: str) -> Target:
        """The page that somebody who has to sign in first wanted to see."""
        forwarded = asked.forwarded
        original = forwarded.get(b"x-original-url")
        if original is not None:
            try:
                target = parse_target(original, self._settings)
            except IamError:
                pass
            else:
                if target.host == host:
                    return target
        path = forwarded.get(b"x-forwarded-uri") or forwarded.get(b"x-original-uri")
        return Target(asked.scheme, host, path_of(path))

    def _fail(self, answer: Answer, error: IamError) -> None:
        _log.warning("unavailable", code=error.code, detail=error.detail)
        self._validations["failed"] += 1
        _send(answer, problem(503, error.code, error.title))


def hot_path(engine: Engine) -> Gate:
    """The gate of this engine, for requests whose path is in `HOT_PATHS`."""
    return Gate(engine)


def _host(asked: _Asked) -> str | None:
    host = asked.forwarded.get(b"x-forwarded-host")
    if host is None:
        url = asked.forwarded.get(b"x-original-url", "")
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            return None
        host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return host_name(host, asked.scheme)


def _send(answer: Answer, response: Response) -> None:
    lines = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
    answer(response.status_code, b"".join(lines), bytes(response.body))


def _identity(row: LiveRow) -> bytes:
    user, email, name, roles = row.user, row.email or "", row.display_name, row.roles
    organization, application = row.organization, row.application
    together = user + email + name + roles + organization + application
    if not together.isascii() or not together.isprintable() or "%" in together:
        user, email, name, roles = _encoded(user), _encoded(email), _encoded(name), _encoded(roles)
        organization, application = _encoded(organization), _encoded(application)
    return (
        f"remote-user: {user}\r\nremote-email: {email}\r\nremote-name: {name}\r\n"
        f"remote-groups: {roles}\r\nx-iam-session: {row.id}\r\n"
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
