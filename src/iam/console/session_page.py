"""`/console/sessions/{id}`: everything about one session, live or ended."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.console.explained import explain_policy
from iam.console.rows import names_of, row_of
from iam.console.scope import require_console, session_in_scope
from iam.delivery.listing import Delivery, deliveries_of
from iam.delivery.webhooks import list_webhooks
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM
from iam.languages import N_, _, gettext
from iam.sessions import store
from iam.sessions.listing import MAXIMUM_PAGE
from iam.sessions.model import Session
from iam.sessions.policy import end_reason
from iam.sessions.search import SessionFilter, entered_from, list_sessions, outliving_of
from iam.signin.federated_sessions import read_federated
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.event_words import tell
from iam.web.pages import moment, page_errors, render
from iam.web.rights import Right
from iam.web.session_words import actor_words, device_of
from iam.web.visitor import visitor_of

_TOLD = 200
"""Events of a timeline that a page tells; a session that has more is told from its start."""
_NOTICES = {
    "extended": ("success", N_("The session may go on for longer.")),
    "not-extended": ("info", N_("It may go on for that long already. Nothing was changed.")),
    "locked": (
        "success",
        N_("The session is locked until its user shows their password once more."),
    ),
    "again": ("success", N_("The notice is being sent again.")),
    "pending": ("info", N_("That notice is still to be sent: it need not be asked for again.")),
}


@page_errors
async def show_session(request: Request) -> Response:
    """GET: one session with its family, its story, its rules, and who was told of it."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.SEE_SESSIONS)
    wanted = str(request.path_params["id"]).replace("\x00", "")
    context = await in_thread(
        lambda: engine.database.read(lambda c: _read(c, person, wanted, visitor.session.id, now))
    )
    notice = _NOTICES.get(request.query_params.get("notice", ""))
    return render(
        request,
        "console_session.html",
        person=person,
        csrf=visitor.csrf,
        here=f"/console/sessions/{context['session']['id']}",
        flash={"kind": notice[0], "text": gettext(notice[1])} if notice else None,
        **context,
    )


def _read(
    connection: Connection, person: Person, wanted: str, own: str, now: Instant
) -> dict[str, Any]:
    session = session_in_scope(connection, person, wanted)
    entered_by = session.parent or session.entered_through
    root = store.read_session(connection, entered_by) if entered_by else session
    family: list[Session] = []
    outliving: list[Session] = []
    if root is not None:
        ids = outliving_of(connection, root.id, limit=MAXIMUM_PAGE)
        outliving = list(store.read_sessions(connection, ids).values())
        members = SessionFilter(organization=session.organization, parent=root.id)
        page = list_sessions(connection, members, now, limit=MAXIMUM_PAGE, sort="created_at")
        family = [root, *page.items]
    names = names_of(connection, [session, *family, *outliving])
    entered = entered_from(connection, session.id)
    events = audit.timeline(connection, session.id, entered, limit=_TOLD)
    bound = None if person.reaches_installation else person.session.organization
    deliveries = deliveries_of(
        connection,
        session.id,
        [one.id for one in events if one.session == session.id],
        organization=bound,
    )
    urls = {one.id: one.url for one in list_webhooks(connection, bound, limit=1000)}
    types = {one.id: one.type for one in events}
    born = read_federated(connection, {session.id, session.seat})
    return {
        "federated": born.get(session.id, born.get(session.seat)),
        "session": row_of(session, names, own, now) | _whole(session, now),
        "family": [row_of(one, names, own, now) for one in family],
        "outliving": [row_of(one, names, own, now) for one in outliving],
        "timeline": [tell(one, now) for one in events],
        "own_events": session.id,
        "policy": explain_policy(connection, session),
        "deliveries": [
            delivery_row(one, receiver_of(one, urls), types.get(one.event, ""), now)
            for one in deliveries
        ],
    }


def receiver_of(delivery: Delivery, urls: Mapping[str, str]) -> str:
    """Who a notice goes to: the address of a webhook, or an application by its name."""
    if delivery.webhook is None:
        return _("the application %(name)s", name=delivery.application)
    return urls.get(delivery.webhook, delivery.webhook)


def delivery_row(delivery: Delivery, url: str, type_: str, now: Instant) -> dict[str, Any]:
    """A notice as a page shows it."""
    return {
        "id": delivery.id,
        "url": url,
        "type": _("back-channel logout") if delivery.webhook is None else type_,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status": delivery.last_status,
        "error": delivery.last_error,
        "session": delivery.session,
        "created": moment(delivery.created_at, now),
        "delivered": moment(delivery.delivered_at, now) if delivery.delivered_at else None,
        "next": moment(delivery.next_at, now),
    }


def _whole(session: Session, now: Instant) -> dict[str, Any]:
    reason = end_reason(session, now)
    shown: dict[str, Any] = {
        name: getattr(session, name)
        for name in ("amr", "acr", "user_agent", "metadata", "entered_through")
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
    return shown | {"device": device.label, "icon": device.icon}
