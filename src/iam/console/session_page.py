"""`/console/sessions/{id}`: everything about one session, live or ended."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.scope import require_console, session_in_scope
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM
from iam.sessions.listing import MAXIMUM_PAGE
from iam.sessions.model import Session
from iam.sessions.policy import end_reason
from iam.sessions.search import SessionFilter, list_sessions
from iam.web.engine import engine_of, in_thread
from iam.web.pages import moment, page_errors, render
from iam.web.session_words import actor_words, device_of, short_id
from iam.web.visitor import visitor_of


@page_errors
async def show_session(request: Request) -> Response:
    """GET: one session with its parent and children."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor)
    wanted = str(request.path_params["id"])

    def work(connection: Connection) -> tuple[Session, tuple[Session, ...]]:
        session = session_in_scope(connection, person, wanted.replace("\x00", ""))
        children = SessionFilter(organization=session.organization, parent=session.id)
        return session, list_sessions(connection, children, now, limit=MAXIMUM_PAGE).items

    session, children = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_session.html",
        person=person,
        csrf=visitor.csrf,
        session=_whole(session, visitor.holds(session.id), now),
        children=[_child(one, now) for one in children],
        here=f"/console/sessions/{session.id}",
        flash=None,
    )


def _whole(session: Session, current: bool, now: Instant) -> dict[str, Any]:
    reason = end_reason(session, now)
    shown: dict[str, Any] = {
        name: getattr(session, name)
        for name in (
            *("id", "organization", "user", "application", "parent", "instance"),
            *("amr", "acr", "ip", "user_agent", "metadata"),
        )
    }
    for name in ("created_at", "last_active_at", "idle_expires_at", "expires_at"):
        shown[name] = moment(getattr(session, name), now)
    shown["authenticated_at"] = (
        None if session.authenticated_at is None else moment(session.authenticated_at, now)
    )
    shown |= {"state": "active", "ended_at": None, "end_reason": None, "ended_by": None}
    if reason is not None:
        # A deadline that the sweep has not noted yet has ended it all the same.
        shown |= {
            "state": "ended",
            "ended_at": moment(session.over_at, now),
            "end_reason": str(reason),
            "ended_by": actor_words(session.ended_by or SYSTEM),
        }
    device = device_of(session)
    return shown | {"device": device.label, "icon": device.icon, "current": current}


def _child(session: Session, now: Instant) -> dict[str, Any]:
    return {
        "id": session.id,
        "short": short_id(session.id),
        "application": session.application,
        "state": "active" if end_reason(session, now) is None else "ended",
        "last_active": moment(session.last_active_at, now),
        "instance": session.instance,
    }
