"""`/console/sessions`: every session, live and ended, by any filter and in any order."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.filters import STATES, Asked, chips, is_network, options, read_filters
from iam.console.rows import names_of, row_of
from iam.console.scope import organizations_of, require_console, scope_of
from iam.directory.applications import list_applications
from iam.directory.users import users_like
from iam.kernel.clock import Instant
from iam.kernel.ids import SESSION, is_id
from iam.languages import N_, _, gettext, n_, pgettext, written
from iam.sessions.counting import Count, count_some
from iam.sessions.listing import Page
from iam.sessions.model import BUILT_IN_APPLICATION, Session
from iam.sessions.search import SORTED_AT_MOST, TooManyToSort, list_sessions
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import page_errors, render, see_other
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/sessions"
_PAGE = 50
_APPLICATIONS = 200

_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    # What it is sorted by, its words, and whether the largest comes first.
    ("user", N_("User"), False),
    ("application", N_("Application"), False),
    ("device", N_("Device"), False),
    ("ip", N_("Address"), False),
    ("", N_("Signed in by"), False),
    ("created_at", N_("Started"), True),
    ("last_active_at", N_("Last active"), True),
)
_NOTICES = {
    "ended": N_("The session has ended, on every node."),
    "over": N_("That was over already. Nothing was changed."),
    "none": N_("No live session is chosen. Nothing was changed."),
}
_MANY = re.compile(r"ended-([1-9][0-9]{0,5})", re.ASCII)


@page_errors
async def show_list(request: Request) -> Response:
    """GET: a page of sessions."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.SEE_SESSIONS)
    asked = read_filters(request.query_params)
    typed = query_text(request, "q")
    if typed:
        return see_other(_found(asked, typed))
    context = await in_thread(
        lambda: engine.database.read(lambda c: _read(c, person, asked, visitor.session.id, now))
    )
    notice = _notice(request.query_params.get("notice", ""))
    return render(
        request,
        "console_list.html",
        person=person,
        csrf=visitor.csrf,
        flash={"kind": "success", "text": notice} if notice else None,
        asked=asked,
        here=asked.href(PATH, cursor=asked.cursor or None),
        **context,
    )


def _notice(code: str) -> str | None:
    many = _MANY.fullmatch(code)
    if many is None:
        text = _NOTICES.get(code)
        return gettext(text) if text else None
    return n_(
        "%(number)s session has ended, on every node.",
        "%(number)s sessions have ended, on every node.",
        int(many[1]),
    )


def _found(asked: Asked, typed: str) -> str:
    """What somebody means who types this: a session, an address, or else a user."""
    if is_id(SESSION, typed):
        return f"{PATH}/{quote(typed)}"
    return asked.href(PATH, **{"ip" if is_network(typed) else "user": typed})


def _read(
    connection: Connection, person: Person, asked: Asked, own: str, now: Instant
) -> dict[str, Any]:
    organization = scope_of(connection, person, asked.organization)
    page: Page[Session, str] = Page((), None)
    count, mistakes = Count(0, exact=True), asked.mistakes
    if not mistakes:
        wanted = asked.session_filter(organization)
        count = count_some(connection, wanted, now)
        try:
            page = list_sessions(
                connection,
                wanted,
                now,
                before=asked.cursor or None,
                limit=_PAGE,
                sort=asked.sort,  # type: ignore[arg-type]  # `read_filters` has looked
            )
        except TooManyToSort:
            mistakes = (
                _(
                    "More than %(number)s sessions match, too many to be sorted like that. "
                    "Narrow the filter; here they are newest first.",
                    number=written(SORTED_AT_MOST),
                ),
            )
            asked = replace(asked, sort="-created_at", cursor="")
            page = list_sessions(connection, wanted, now, limit=_PAGE)
    applications = _applications(connection, organization)
    names = names_of(connection, page.items)
    nothing = not page.items and not asked.cursor and not mistakes
    unknown = asked.members.get("user", "") if nothing else ""
    like = users_like(connection, organization, unknown) if unknown and organization else ()
    return {
        "organization": organization,
        "organizations": options(
            [
                *([("", _("All organizations"))] if person.reaches_installation else []),
                *((one.name, one.display_name) for one in organizations_of(connection, person)),
            ],
            organization or "",
        ),
        "rows": [row_of(one, names, own, now) for one in page.items],
        "count": count,
        "mistakes": mistakes,
        "chips": chips(asked, PATH, applications),
        "states": [
            {
                "words": pgettext("sessions", words),
                "href": asked.href(PATH, state=None if state == "active" else state),
                "current": asked.state == state,
            }
            for state, words in STATES
        ],
        "columns": _columns(asked),
        "applications": list(applications.items()),
        "first": not asked.cursor,
        "first_href": asked.href(PATH),
        "next_href": asked.href(PATH, cursor=page.next) if page.next else None,
        "like": [{"user": name, "href": asked.href(PATH, user=name)} for name in like],
    }


def _applications(connection: Connection, organization: str | None) -> dict[str, str]:
    found = {BUILT_IN_APPLICATION: _("Browser session")}
    if organization is not None:
        listed = list_applications(connection, organization, limit=_APPLICATIONS)
        found |= {one.name: one.display_name for one in listed if one.name not in found}
    return found


def _columns(asked: Asked) -> list[dict[str, Any]]:
    last = (
        ("ended_at", N_("Ended"), True)
        if asked.state == "ended"
        else ("expires_at", N_("Time left"), False)
    )
    # Of what is over, how it came about is on its own page.
    hidden: dict[str, tuple[str, ...]] = {
        "active": (),
        "locked": (),
        "all": ("",),
        "ended": ("", "last_active_at"),
    }
    current, down = asked.sort.removeprefix("-"), asked.sort[0] == "-"
    columns = []
    for key, words, largest_first in (*_COLUMNS, last):
        if key in hidden[asked.state]:
            continue
        is_current = bool(key) and key == current
        turned = not down if is_current else largest_first
        sort = f"{'-' if turned else ''}{key}"
        columns.append(
            {
                "key": key,
                "words": gettext(words),
                "sorted": ("descending" if down else "ascending") if is_current else None,
                "href": asked.href(PATH, sort=None if sort == "-created_at" else sort)
                if key
                else None,
            }
        )
    return columns
