"""`/console/records`: the session records of an organization, each ID a tag that can be ended."""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.scope import organization_in_scope, organizations_of, require_console
from iam.kernel.clock import Instant
from iam.languages import N_, gettext
from iam.sessions import store
from iam.sessions.listing import count_live_sessions, list_records
from iam.sessions.model import RecordKey, Session, SessionRecord
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import moment, page_errors, render
from iam.web.rights import Right
from iam.web.session_words import device_of, short_id
from iam.web.visitor import visitor_of

_PAGE = 50
_TAGS = 100
"""IDs of one record that a page shows, newest first; a back end can have thousands."""

_NOTICES = {
    "ended": N_("The session has ended, on every node."),
    "record": N_("All sessions of the record have ended, on every node."),
    "over": N_("That was over already. Nothing was changed."),
}


@page_errors
async def show_records(request: Request) -> Response:
    """GET: a page of records, by organization, user and application."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.SEE_SESSIONS)
    search = query_text(request, "q")
    # What stands in the address and no organization has for a name is looked for all the same.
    name = query_text(request, "organization") or visitor.session.organization
    after = query_text(request, "after_user"), query_text(request, "after_application")

    def work(connection: Connection) -> dict[str, Any]:
        return _read(connection, person, name, search, after, now)

    context = await in_thread(lambda: engine.database.read(work))
    notice = _NOTICES.get(request.query_params.get("notice", ""))
    here = {key: value for key, value in request.query_params.items() if key != "notice"}
    return render(
        request,
        "console_records.html",
        person=person,
        csrf=visitor.csrf,
        search=search,
        here=f"/console/records?{urlencode(here)}" if here else "/console/records",
        flash={"kind": "success", "text": gettext(notice)} if notice else None,
        **context,
    )


def _read(
    connection: Connection,
    person: Person,
    name: str,
    search: str,
    after: tuple[str, str],
    now: Instant,
) -> dict[str, Any]:
    organization = organization_in_scope(connection, person, name)
    page = list_records(
        connection,
        organization=organization.name,
        now=now,
        user_contains=search or None,
        after=RecordKey(organization.name, *after) if after[0] else None,
        limit=_PAGE,
    )
    ids = [one for record in page.items for one in record.session_ids[-_TAGS:]]
    sessions = store.read_sessions(connection, ids)
    next_href = None
    if page.next is not None:
        query = {"organization": organization.name, "q": search}
        query |= {"after_user": page.next.user, "after_application": page.next.application}
        next_href = f"/console/records?{urlencode(query)}"
    live, users, applications = count_live_sessions(connection, organization.name, now)
    return {
        "organization": organization.name,
        "organizations": [
            {
                "name": one.name,
                "display_name": one.display_name,
                "selected": one.name == organization.name,
            }
            for one in organizations_of(connection, person)
        ],
        "records": [_record(one, sessions, person.session.id, now) for one in page.items],
        "counts": {"sessions": live, "users": users, "applications": applications},
        "next_href": next_href,
    }


def _record(
    record: SessionRecord, sessions: dict[str, Session], own: str, now: Instant
) -> dict[str, Any]:
    shown = [sessions[one] for one in reversed(record.session_ids[-_TAGS:]) if one in sessions]
    return {
        "organization": record.organization,
        "user": record.user,
        "application": record.application,
        "created": moment(record.created_at, now),
        "total": len(record.session_ids),
        "tags": [
            {
                "id": one.id,
                "short": short_id(one.id),
                "current": one.id == own,
                "device": device_of(one).label,
                "icon": device_of(one).icon,
                "ip": one.ip,
                "last_active": moment(one.last_active_at, now),
            }
            for one in shown
        ],
    }
