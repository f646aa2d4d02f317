"""`/account/activity`: what happened to one's own account lately, in words."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.audit.search import EventFilter, search_events
from iam.kernel.clock import Instant
from iam.kernel.events import Event
from iam.kernel.ids import SESSION, is_id
from iam.languages import N_, _, gettext
from iam.sessions.model import EndReason, LiveRow, Session
from iam.sessions.policy import end_reason
from iam.sessions.search import SessionFilter, list_sessions
from iam.signin.devices import device_label
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import Moment, moment, page_errors, render
from iam.web.session_words import application_names, device_of, device_words
from iam.web.visitor import visitor_of

_SESSIONS = 30
_FAILURES = 20
_OUT = N_("Signed out of %(what)s")
_ENDS = {
    EndReason.SIGNED_OUT: _OUT,
    EndReason.ENDED_BY_USER: N_("You signed out %(what)s from another device"),
    EndReason.ENDED_BY_ADMIN: N_("An administrator signed you out of %(what)s"),
    EndReason.IDLE: N_("Signed out of %(what)s: nothing was done there for a while"),
    EndReason.EXPIRED: N_("Signed out of %(what)s: its longest time was over"),
    EndReason.CREDENTIALS_CHANGED: N_(
        "Signed out of %(what)s: a password or second factor changed"
    ),
    EndReason.POLICY: N_("Signed out of %(what)s: the rules became stricter"),
    EndReason.EXCLUSIVE: N_("Signed out of %(what)s: you signed in elsewhere"),
    EndReason.LIMIT: N_("Signed out of %(what)s to make room for a newer session"),
}

_WRONG = N_("Somebody tried to sign in with a wrong password")
_FAILED = {
    "blocked": N_("Sign-in refused: too many attempts"),
    "code": N_("Somebody who knows your password entered a wrong code"),
}
_WITH_PARENT = (EndReason.PARENT_ENDED, EndReason.IDLE, EndReason.EXPIRED)


@dataclass(frozen=True, slots=True)
class _Line:
    """One thing that happened. `kind` is how it is marked."""

    instant: Instant
    at: Moment
    words: str
    where: str
    kind: str


@page_errors
async def show_activity(request: Request) -> Response:
    """GET: sign-ins and ends, newest first."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    cursor = query_text(request, "cursor")
    before = cursor if is_id(SESSION, cursor) else None
    context = await in_thread(
        lambda: engine.database.read(lambda c: _read(c, visitor.session, before, now))
    )
    return render(
        request,
        "account_activity.html",
        person=visitor.person,
        csrf=visitor.csrf,
        first=before is None,
        **context,
    )


def _read(connection: Connection, me: LiveRow, before: str | None, now: Instant) -> dict[str, Any]:
    own = SessionFilter(organization=me.organization, user=me.user)
    page = list_sessions(connection, own, now, before=before, limit=_SESSIONS)
    names = application_names(connection, page.items)
    lines = [line for one in page.items for line in _lines(one, names, now)]
    if before is None:
        wanted = EventFilter(organization=me.organization, user=me.user, type="sign_in.failed")
        failed = search_events(connection, wanted, limit=_FAILURES).events
        # No further back than the sessions on this page: what is older stands on no page of theirs.
        oldest = page.items[-1].created_at if page.next else Instant(0)
        lines += [_failed(one, now) for one in failed if one.at >= oldest]
    return {
        "lines": sorted(lines, key=lambda one: one.instant, reverse=True),
        "next_href": f"/account/activity?cursor={page.next}" if page.next else None,
    }


def _lines(session: Session, names: dict[str, str], now: Instant) -> list[_Line]:
    device = device_of(session).label
    where = f"{device}, {session.ip}" if session.ip else device
    name = names[session.application]
    began = session.created_at
    if session.is_browser_session:
        started = _("Signed in with %(device)s", device=device)
    elif session.authenticated_at is None:
        started = _("%(application)s started a session for you", application=name)
    else:
        started = _("Entered %(application)s", application=name)
    lines = [_Line(began, moment(began, now), started, where, "good")]
    reason = end_reason(session, now)
    # What ends with its browser session needs no line of its own: that one has it.
    with_parent = session.parent is not None and reason in _WITH_PARENT
    if reason is not None and not with_parent:
        what = device
        if not session.is_browser_session:
            what = _("%(application)s on %(device)s", application=name, device=device)
        words = _(_ENDS.get(reason, _OUT), what=what)
        over = session.over_at
        lines.append(_Line(over, moment(over, now), words, where, "over"))
    return lines


def _failed(event: Event, now: Instant) -> _Line:
    device = device_words(device_label(event.origin.user_agent))
    where = f"{device}, {event.origin.ip}" if event.origin.ip else device
    words = gettext(_FAILED.get(event.reason or "", _WRONG))
    if event.reason != "blocked" and "provider" in event.data:
        words = _("Sign-in by %(provider)s refused", provider=event.data["provider"])
    return _Line(event.at, moment(event.at, now), words, where, "bad")
