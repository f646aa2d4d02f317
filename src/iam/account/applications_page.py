"""`/account/applications`: which applications one is signed in to, what they know, and how to end that."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.users import find_user
from iam.kernel.clock import Instant
from iam.languages import N_, _, gettext
from iam.sessions import store
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow, Selection
from iam.sessions.policy import end_reason
from iam.signin import consents
from iam.web.address import origin_of
from iam.web.consent_words import scope_words
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.fresh import require_fresh
from iam.web.pages import moment, page_errors, render, see_other
from iam.web.session_words import application_names
from iam.web.visitor import posting_visitor, visitor_of

PATH = "/account/applications"
_LOOKED_AT = 500
_NOTICES = {
    "withdrawn": N_("Withdrawn. You are signed out there, and asked again if you come back."),
}


@page_errors
async def show_applications(request: Request) -> Response:
    """GET: applications with a live session of theirs, and those they have allowed something."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    found = await in_thread(
        lambda: engine.database.read(lambda c: _applications(c, visitor.session, now))
    )
    notice = _NOTICES.get(request.query_params.get("notice", ""))
    return render(
        request,
        "account_applications.html",
        person=visitor.person,
        csrf=visitor.csrf,
        applications=found,
        flash={"kind": "success", "text": gettext(notice)} if notice else None,
    )


@page_errors
async def withdraw(request: Request) -> Response:
    """POST: take back what an application was allowed, and end one's sessions there."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    me, application = visitor.session, fields.get("application", "")
    deed = _("Withdraw access of %(application)s", application=application[:64])
    about = _(
        "You wanted to take back what you had allowed %(application)s.",
        application=application[:64],
    )
    await require_fresh(request, visitor, deed, now, about=about, back=PATH)
    ended = await in_thread(
        lambda: engine.database.write(
            lambda c: consents.withdraw(
                c,
                me.organization,
                me.user,
                application,
                now=now,
                random=engine.random,
                origin=origin_of(request, engine.settings),
            )
        )
    )
    engine.count_ended(ended)
    return see_other(f"{PATH}?notice=withdrawn")


def _applications(connection: Connection, me: LiveRow, now: Instant) -> list[dict[str, Any]]:
    selection = Selection(organization=me.organization, user=me.user)
    ids = store.select_live(connection, selection)[-_LOOKED_AT:]
    live = [
        one
        for one in store.read_sessions(connection, ids).values()
        if end_reason(one, now) is None and one.application != BUILT_IN_APPLICATION
    ]
    names = application_names(connection, live)
    found: dict[str, dict[str, Any]] = {
        name: {"name": name, "title": title, "sessions": 0, "scopes": [], "granted": None}
        for name, title in names.items()
    }
    for one in live:
        found[one.application]["sessions"] += 1
    user_id = find_user(connection, me.organization, me.user).id
    for allowed in consents.list_consents(connection, user_id):
        row = found.setdefault(
            allowed.application,
            {"name": allowed.application, "title": allowed.display_name, "sessions": 0},
        )
        row["scopes"] = [scope_words(one) for one in allowed.scopes]
        row["granted"] = moment(allowed.granted_at, now)
    return sorted(found.values(), key=lambda one: str(one["title"]).lower())
