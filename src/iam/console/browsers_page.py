"""`/console/browsers`: browser sessions as a tree: who is signed in with which browser, and what they
have entered from it."""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.filters import options
from iam.console.rows import names_of, row_of
from iam.console.scope import organizations_of, require_console, scope_of
from iam.kernel.clock import Instant
from iam.kernel.ids import SESSION, is_id
from iam.languages import _
from iam.sessions import store
from iam.sessions.model import BUILT_IN_APPLICATION, Session
from iam.sessions.policy import end_reason
from iam.sessions.search import SessionFilter, list_sessions
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import page_errors, render
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/browsers"
_PAGE = 25
_CHILDREN = 1000
"""Children that one page shows at most."""


@page_errors
async def show_browsers(request: Request) -> Response:
    """GET: a page of live browser sessions, newest first, each with its children."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.SEE_SESSIONS)
    organization, user = query_text(request, "organization"), query_text(request, "user")
    cursor = query_text(request, "cursor")

    def work(connection: Connection) -> dict[str, Any]:
        before = cursor if is_id(SESSION, cursor) else None
        return _read(connection, person, organization, user, before, visitor.session.id, now)

    context = await in_thread(lambda: engine.database.read(work))
    query = {"organization": organization, "user": user, "cursor": cursor}
    given = urlencode({name: value for name, value in query.items() if value})
    return render(
        request,
        "console_browsers.html",
        person=person,
        csrf=visitor.csrf,
        here=f"{PATH}?{given}" if given else PATH,
        user=user,
        flash=None,
        **context,
    )


def _read(
    connection: Connection,
    person: Person,
    name: str,
    user: str,
    before: str | None,
    own: str,
    now: Instant,
) -> dict[str, Any]:
    organization = scope_of(connection, person, name)
    wanted = SessionFilter(
        organization=organization,
        user=user or None,
        application=BUILT_IN_APPLICATION,
        state="active",
    )
    page = list_sessions(connection, wanted, now, before=before, limit=_PAGE)
    ids = sorted(store.children_of(connection, [one.id for one in page.items]))[:_CHILDREN]
    children: dict[str | None, list[Session]] = {}
    for child in store.read_sessions(connection, ids).values():
        if end_reason(child, now) is None:
            children.setdefault(child.parent, []).append(child)
    shown = [*page.items, *(one for some in children.values() for one in some)]
    names = names_of(connection, shown)
    following = None
    if page.next is not None:
        query = {"organization": organization or "", "user": user, "cursor": page.next}
        following = f"{PATH}?{urlencode({k: v for k, v in query.items() if v})}"
    return {
        "organization": organization,
        "organizations": options(
            [
                *([("", _("All organizations"))] if person.reaches_installation else []),
                *((one.name, one.display_name) for one in organizations_of(connection, person)),
            ],
            organization or "",
        ),
        "browsers": [
            row_of(one, names, own, now)
            | {
                "children": [
                    row_of(child, names, own, now)
                    for child in sorted(children.get(one.id, ()), key=lambda child: child.id)
                ]
            }
            for one in page.items
        ],
        "first": before is None,
        "next_href": following,
    }
