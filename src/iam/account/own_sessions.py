"""`/account/sessions`: where I am signed in, and the button that ends it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.kernel.clock import Instant
from iam.kernel.errors import Missing
from iam.languages import N_, _, gettext
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, LiveRow, Selection, Session
from iam.sessions.policy import end_reason
from iam.web.address import origin_of
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.fresh import require_fresh
from iam.web.pages import moment, page_errors, render, see_other
from iam.web.returning import HOME
from iam.web.session_words import application_names, device_of
from iam.web.signing_out import sign_out, signed_out_page
from iam.web.visitor import posting_visitor, visitor_of

_SHOWN = 500
_NOTICES = {
    "ended": N_("Signed out there. That session is over, everywhere."),
    "others": N_("Signed out everywhere else. Only this browser is still signed in."),
    "password": N_(
        "Your password is changed. Nobody is signed in with the old one, unless you kept them."
    ),
    "over": N_("That session was over already."),
}


class SessionMissing(Missing):
    """No session of this user has that ID."""

    code = "session_not_found"
    title = "There is no such session of yours."


@page_errors
async def show_sessions(request: Request) -> Response:
    """GET: the live sessions of whoever looks, by device."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    sessions, names = await in_thread(
        lambda: engine.database.read(lambda c: _own(c, visitor.session, now))
    )
    notice = _NOTICES.get(request.query_params.get("notice", ""))
    return render(
        request,
        "account_sessions.html",
        person=visitor.person,
        csrf=visitor.csrf,
        devices=_by_device(sessions, names, visitor.session.id, now),
        others=sum(one.seat != visitor.session.id for one in sessions),
        flash={"kind": "success", "text": gettext(notice)} if notice else None,
    )


@page_errors
async def end_one(request: Request) -> Response:
    """POST: end one of the own sessions; the one this page is seen with is a sign-out."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    wanted, me = fields.get("id", ""), visitor.session
    if visitor.holds(wanted):
        left = await sign_out(request, visitor.person.actor, now, wanted)
        return await signed_out_page(request, left)
    about = _("You wanted to sign out one of your other sessions.")
    await require_fresh(request, visitor, _("Sign out there"), now, about=about, back=HOME)

    def work(connection: Connection) -> tuple[Ended, ...]:
        session = store.read_session(connection, wanted)
        if session is None or (session.organization, session.user) != (me.organization, me.user):
            raise SessionMissing
        return lifecycle.end(
            connection,
            [wanted],
            reason=EndReason.ENDED_BY_USER,
            actor=visitor.person.actor,
            now=now,
            random=engine.random,
            origin=origin_of(request, engine.settings),
        )

    ended = await in_thread(lambda: engine.database.write(work))
    engine.count_ended(ended)
    return see_other(f"/account/sessions?notice={'ended' if ended else 'over'}")


@page_errors
async def end_others(request: Request) -> Response:
    """POST: end all own sessions but this browser's and what was entered from it."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    me = visitor.session
    about = _("You wanted to sign out all your other sessions.")
    await require_fresh(request, visitor, _("Sign out all others"), now, about=about, back=HOME)
    selection = Selection(organization=me.organization, user=me.user, but=me.id)
    ended = await in_thread(
        lambda: engine.database.write(
            lambda c: lifecycle.end_selected(
                c,
                selection,
                reason=EndReason.ENDED_BY_USER,
                actor=visitor.person.actor,
                now=now,
                random=engine.random,
                origin=origin_of(request, engine.settings),
            )
        )
    )
    engine.count_ended(ended)
    return see_other("/account/sessions?notice=others")


def _own(connection: Connection, me: LiveRow, now: Instant) -> tuple[list[Session], dict[str, str]]:
    ids = store.select_live(connection, Selection(organization=me.organization, user=me.user))
    # A service's user may have thousands: the newest are shown, and always the one in use.
    shown = list(dict.fromkeys([me.id, *ids[-_SHOWN:]]))
    found = store.read_sessions(connection, shown)
    live = [one for one in found.values() if end_reason(one, now) is None]
    return live, application_names(connection, live)


def _by_device(
    sessions: Sequence[Session], names: dict[str, str], current: str, now: Instant
) -> list[dict[str, Any]]:
    """Sessions by device: one browser session and all that was entered from it is one device."""
    groups: dict[str, list[Session]] = {}
    for session in sorted(sessions, key=lambda one: (one.parent is not None, one.id)):
        belongs = session.seat != session.id or session.is_browser_session
        key = session.seat if belongs else f"device {device_of(session).label}"
        groups.setdefault(key, []).append(session)
    ordered = sorted(
        groups.items(),
        key=lambda group: (group[0] != current, -max(one.last_active_at for one in group[1])),
    )
    return [
        {
            "label": device_of(group[0]).label,
            "icon": device_of(group[0]).icon,
            "current": key == current,
            "sessions": [_shown(one, names, current, now) for one in group],
        }
        for key, group in ordered
    ]


def _shown(session: Session, names: dict[str, str], current: str, now: Instant) -> dict[str, Any]:
    return {
        "id": session.id,
        "application": session.application,
        "application_name": names[session.application],
        "current": session.id == current,
        "locked": session.locked_at is not None,
        "started": moment(session.created_at, now),
        "last_active": moment(session.last_active_at, now),
        "idle_expires": moment(session.idle_expires_at, now),
        "expires": moment(session.expires_at, now),
        "ip": session.ip,
        "instance": session.instance,
        "place": None,
    }
