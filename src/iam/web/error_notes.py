"""Error pages have a reference, by which an administrator finds in the audit log what was refused, and why.

Anybody can bring about an error page, without signing in: so a process notes some a minute and no more. An
error beyond that has no reference; its line is in the server's log like that of every other.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.directory.names import OrganizationMissing
from iam.directory.organizations import find_organization
from iam.kernel.clock import Instant
from iam.kernel.errors import Unavailable
from iam.kernel.events import SYSTEM, Event, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow
from iam.sessions.validate import validate
from iam.web.address import origin_of
from iam.web.cookies import BROWSER, read_cookie
from iam.web.engine import Engine, engine_of, in_thread

Handler = Callable[[Request], Awaitable[Response]]
_LONGEST = 200
_log = structlog.get_logger("iam.web")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorNote:
    """An error that a page has shown: the ID of the event that it becomes, and what it said."""

    id: str
    at: Instant
    status: int
    code: str
    text: str


def noted(handler: Handler) -> Handler:
    """Have the error pages of a handler noted: only they have references."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        request.state.error_note = None
        response = await handler(request)
        await _note(request)
        return response

    return answer


def refer(request: Request, status: int, code: str, text: str) -> str | None:
    """The reference of an error that is about to be shown; None if it gets none."""
    engine = engine_of(request)
    now = engine.clock()
    _log.info("page error", status=status, code=code, path=request.url.path[:_LONGEST])
    if not hasattr(request.state, "error_note") or not engine.error_notes.take(now):
        return None
    made = make_id(EVENT, now, engine.random)
    request.state.error_note = ErrorNote(id=made, at=now, status=status, code=code, text=text)
    return made


async def _note(request: Request) -> None:
    found: ErrorNote | None = request.state.error_note
    if found is None:
        return
    engine = engine_of(request)
    try:
        await in_thread(lambda: engine.database.write(lambda c: _write(c, engine, request, found)))
    except Unavailable as error:
        # The page is what matters: it says what has gone wrong in any case.
        _log.warning("page error not noted", reference=found.id, error=str(error))


def _write(connection: Connection, engine: Engine, request: Request, found: ErrorNote) -> None:
    row = _visitor(connection, engine, request, found.at)
    organization = row.organization if row is not None else _asked_for(connection, request)
    event = Event(
        id=found.id,
        at=found.at,
        type="page.refused",
        actor=user_actor(row.organization, row.user) if row is not None else SYSTEM,
        organization=organization,
        user=row.user if row is not None else None,
        session=row.id if row is not None else None,
        origin=origin_of(request, engine.settings),
        data={
            "status": found.status,
            "code": found.code,
            # Without the query: there may be a secret in it.
            "path": request.url.path.replace("\x00", "")[:_LONGEST],
            "method": request.method,
            "text": found.text.replace("\x00", "")[:_LONGEST],
        },
    )
    audit.append(connection, [event])


def _visitor(
    connection: Connection, engine: Engine, request: Request, now: Instant
) -> LiveRow | None:
    token = read_cookie(request, engine.settings, BROWSER)
    verdict = validate(connection, token, now) if token is not None else None
    row = verdict.living if verdict is not None else None
    return row if row is not None and row.application == BUILT_IN_APPLICATION else None


def _asked_for(connection: Connection, request: Request) -> str | None:
    """The organization whose sign-in page it is, so that its own administrators find the error."""
    named = request.path_params.get("organization") if "/sign-in/" in request.url.path else None
    if not named or "\x00" in str(named):
        return None
    try:
        return find_organization(connection, str(named)).name
    except OrganizationMissing:
        return None
