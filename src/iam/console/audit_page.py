"""`/console/audit`: what happened, by any filter, live, and as a file."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from iam.audit.search import EventFilter, FoundEvents, search_events
from iam.console.filters import instant_of, options
from iam.console.scope import organizations_of, require_console, scope_of
from iam.kernel.events import EVENT_TYPES, Event, event_members
from iam.kernel.ids import EVENT, is_id
from iam.languages import N_, _, gettext
from iam.web.caller import Person
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.event_words import event_name, tell
from iam.web.forms import FormInvalid, query_text
from iam.web.pages import page_errors, render
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/audit"
_PAGE = 50
_EXPORTED = 10_000
"""Events of one file at most; who wants more goes on from its last one, or takes the API."""
_TEXTS = ("id", "type", "user", "application", "session", "actor", "reason", "ip")
_TIMES = ("since", "until")
WORDS = {
    "id": N_("Reference"),
    "type": N_("What"),
    "user": N_("User"),
    "application": N_("Application"),
    "session": N_("Session"),
    "actor": N_("Done by"),
    "reason": N_("Reason"),
    "ip": N_("Address"),
    "since": N_("Since"),
    "until": N_("Until"),
}
_COLUMNS = (
    "id",
    "at",
    "type",
    "actor",
    "organization",
    "user",
    "application",
    "session",
    "reason",
    "ip",
    "user_agent",
    "data",
)


@dataclass(frozen=True, slots=True)
class _Asked:
    organization: str
    members: Mapping[str, str]
    mistakes: tuple[str, ...]

    def event_filter(self, organization: str | None) -> EventFilter:
        members: dict[str, Any] = dict(self.members)
        for name in _TIMES:
            if name in members:
                members[name] = instant_of(members[name])
        return EventFilter(organization=organization, **members)

    def href(self, path: str, **changes: str | None) -> str:
        query = {**self.members, "organization": self.organization, **changes}
        given = urlencode({name: value for name, value in query.items() if value})
        return f"{path}?{given}" if given else path


@page_errors
async def show_audit(request: Request) -> Response:
    """GET: a page of events, newest first."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, asked = require_console(visitor, Right.READ), _asked(request)
    cursor = query_text(request, "cursor")
    before = cursor if is_id(EVENT, cursor) else None

    def work(connection: Connection) -> dict[str, Any]:
        organization = scope_of(connection, person, asked.organization)
        found = FoundEvents((), None)
        if not asked.mistakes:
            wanted = asked.event_filter(organization)
            found = search_events(connection, wanted, before=before, limit=_PAGE)
        return {
            "organization": organization,
            "organizations": _choices(connection, person, organization),
            "events": [_told(one, tell(one, now)) for one in found.events],
            "next_href": asked.href(PATH, cursor=found.next) if found.next else None,
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_audit.html",
        person=person,
        csrf=visitor.csrf,
        members=asked.members,
        mistakes=asked.mistakes,
        chips=[
            {
                "word": gettext(WORDS[name]),
                "value": event_name(value) if name == "type" else value,
                "href": asked.href(PATH, **{name: None}),
            }
            for name, value in asked.members.items()
        ],
        types=[(one, event_name(one)) for one in EVENT_TYPES],
        first=before is None,
        first_href=asked.href(PATH),
        exports=[
            (words, asked.href(f"{PATH}/export", format=name))
            for name, words in (("csv", "CSV"), ("json", "JSON"))
        ],
        **context,
    )


@page_errors
async def export(request: Request) -> Response:
    """GET: up to 10,000 of the events that match, newest first, as CSV or JSON."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, asked = require_console(visitor, Right.READ), _asked(request)
    if asked.mistakes:
        raise FormInvalid(asked.mistakes[0])
    organization = await in_thread(
        lambda: engine.database.read(lambda c: scope_of(c, person, asked.organization))
    )
    as_json = request.query_params.get("format") == "json"
    pages = _pages(engine, asked.event_filter(organization))
    name = f"events.{'json' if as_json else 'csv'}"
    return StreamingResponse(
        _json(pages) if as_json else _csv(pages),
        media_type="application/json" if as_json else "text/csv; charset=utf-8",
        headers={
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="{name}"',
            "x-content-type-options": "nosniff",
        },
    )


def _asked(request: Request) -> _Asked:
    members = {name: value for name in (*_TEXTS, *_TIMES) if (value := query_text(request, name))}
    mistakes = []
    for name in _TIMES:
        try:
            instant_of(members.get(name, "2026-01-01T00:00"))
        except (ValueError, OverflowError):
            mistake = _("give a time such as 2026-11-23T10:00.")
            field = gettext(WORDS[name])
            mistakes.append(_("%(field)s: %(mistake)s", field=field, mistake=mistake))
    return _Asked(query_text(request, "organization"), members, tuple(mistakes))


def _choices(
    connection: Connection, person: Person, organization: str | None
) -> list[dict[str, object]]:
    everywhere = [("", _("All organizations"))] if person.reaches_installation else []
    listed = ((one.name, one.display_name) for one in organizations_of(connection, person))
    return options([*everywhere, *listed], organization or "")


def _told(event: Event, told: Any) -> dict[str, Any]:
    return {"told": told, "data": json.dumps(event_members(event)["data"], ensure_ascii=False)}


async def _pages(engine: Engine, wanted: EventFilter) -> AsyncIterator[tuple[Event, ...]]:
    before: str | None = None
    left = _EXPORTED
    while left > 0:
        work = _Page(wanted, before, min(left, 200))
        found = await in_thread(lambda page=work: engine.database.read(page.read))  # type: ignore[misc]  # mypy cannot infer defaults
        yield found.events
        left -= len(found.events)
        before = found.next
        if before is None:
            return


@dataclass(frozen=True, slots=True)
class _Page:
    wanted: EventFilter
    before: str | None
    limit: int

    def read(self, connection: Connection) -> FoundEvents:
        return search_events(connection, self.wanted, before=self.before, limit=self.limit)


async def _json(pages: AsyncIterator[tuple[Event, ...]]) -> AsyncIterator[str]:
    yield "["
    separator = "\n"
    async for events in pages:
        for one in events:
            yield separator + json.dumps(event_members(one), ensure_ascii=False)
            separator = ",\n"
    yield "\n]\n"


async def _csv(pages: AsyncIterator[tuple[Event, ...]]) -> AsyncIterator[str]:
    yield ",".join(_COLUMNS) + "\r\n"
    async for events in pages:
        out = io.StringIO()
        writer = csv.writer(out)
        for one in events:
            members = event_members(one)
            members["data"] = json.dumps(members["data"], ensure_ascii=False)
            writer.writerow([_cell(members[name]) for name in _COLUMNS])
        yield out.getvalue()


def _cell(value: object) -> str:
    """A value that no spreadsheet takes for a formula: a user agent may begin with `=`."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
