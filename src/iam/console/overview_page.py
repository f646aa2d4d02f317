"""`/console`: how things stand: who is signed in now, and what happened lately."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.audit.figures import HOUR, Figures, read_figures
from iam.console.charts import bars, ceiling, line
from iam.console.filters import options
from iam.console.scope import organizations_of, require_console, scope_of
from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing
from iam.kernel.clock import Instant, to_datetime
from iam.languages import N_, _, gettext, times, written
from iam.sessions.figures import LOOKED_AT, count_live, read_shares
from iam.sessions.model import EndReason
from iam.sessions.policy import home_of
from iam.signin.devices import UNKNOWN_DEVICE, device_kind
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.event_words import tell
from iam.web.forms import query_text
from iam.web.pages import page_errors, render, see_other
from iam.web.rights import Right
from iam.web.session_words import device_words
from iam.web.visitor import visitor_of

_LATEST = 8
_DAY = 24
"""Hours."""


@dataclass(frozen=True, slots=True)
class _Range:
    """A stretch of time that one can look at, in so many pieces of so many hours."""

    name: str
    words: str
    last: str
    pieces: int
    hours: int


_RANGES = {
    one.name: one
    for one in (
        _Range("24h", N_("24 hours"), N_("the last 24 hours"), 24, 1),
        _Range("7d", N_("7 days"), N_("the last 7 days"), 28, 6),
        _Range("30d", N_("30 days"), N_("the last 30 days"), 30, 24),
    )
}


@page_errors
async def show_overview(request: Request) -> Response:
    """GET: figures and charts of the last 24 hours, 7 days or 30 days."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    if Right.READ not in visitor.person.rights and Right.SEE_SESSIONS in visitor.person.rights:
        return see_other("/console/sessions")
    person = require_console(visitor, Right.READ)
    name = query_text(request, "organization")
    wanted = _RANGES.get(request.query_params.get("range", ""), _RANGES["24h"])
    context = await in_thread(
        lambda: engine.database.read(lambda c: _read(c, person, name, wanted, now))
    )
    return render(request, "console_overview.html", person=person, csrf=visitor.csrf, **context)


def _read(
    connection: Connection, person: Person, name: str, wanted: _Range, now: Instant
) -> dict[str, Any]:
    organization = scope_of(connection, person, name)
    stretch = wanted.hours * HOUR
    # The last piece is the one that is under way.
    start = Instant(now // stretch * stretch - (wanted.pieces - 1) * stretch)
    hourly = read_figures(connection, organization, start, HOUR)
    live = count_live(connection, organization, now)
    latest = audit.list_events(connection, organization=organization, limit=_LATEST)
    words = [
        _piece_words(to_datetime(Instant(start + piece * stretch)), wanted)
        for piece in range(wanted.pieces)
    ]
    return {
        "organization": organization,
        "organizations": options(
            [
                *([("", _("All organizations"))] if person.reaches_installation else []),
                *((one.name, one.display_name) for one in organizations_of(connection, person)),
            ],
            organization or "",
        ),
        "range": _spoken(wanted),
        "ranges": [_spoken(one) for one in _RANGES.values()],
        "live": live,
        "latest": [tell(one, now) for one in latest],
        **_charts(hourly, live.number, words, wanted.hours),
        **_shares(connection, organization),
    }


def _spoken(one: _Range) -> _Range:
    """The same in the reader's language."""
    return replace(one, words=gettext(one.words), last=gettext(one.last))


def _piece_words(date: datetime, wanted: _Range) -> str:
    """When a piece of the charts begins, in UTC: the hour, the day, or both."""
    if wanted.hours < _DAY:
        time = date.strftime("%H:%M")
        if wanted.pieces * wanted.hours == _DAY:
            return time
        return _("%(date)s, %(time)s", date=times.day_of_year(date.date()), time=time)
    return times.day_of_year(date.date())


def _charts(hourly: Figures, live: int, words: list[str], hours: int) -> dict[str, Any]:
    figures: Counter[tuple[int, str]] = Counter()
    for (hour, kind), number in hourly.items():
        figures[hour // hours, kind] += number

    def of(kind: str) -> list[int]:
        return [figures[piece, kind] for piece in range(len(words))]

    ends = {str(reason): of(f"session.ended:{reason}") for reason in EndReason}
    started, signed_in, failed = (
        of(kind) for kind in ("session.started", "sign_in.succeeded", "sign_in.failed")
    )
    lived = _lived(hourly, live, len(words), hours)
    top, top_in = ceiling(max(lived)), ceiling(max(map(sum, zip(signed_in, failed, strict=True))))
    said = [
        _(
            "%(when)s: %(number)s signed in, %(wrong)s failed",
            when=when,
            number=written(number),
            wrong=written(wrong),
        )
        for when, number, wrong in zip(words, signed_in, failed, strict=True)
    ]
    reasons = sorted(((sum(v), name) for name, v in ends.items() if sum(v)), reverse=True)
    return {
        "words": words,
        "lived": lived,
        "lived_line": line(lived, top),
        "lived_bars": bars(
            [[top] * len(words)],
            [
                _("%(when)s: %(number)s", when=when, number=written(number))
                for when, number in zip(words, lived, strict=True)
            ],
            top,
        )[0],
        "lived_top": top,
        "signed_in": signed_in,
        "failed": failed,
        "sign_in_bars": bars([signed_in, failed], said, top_in),
        "sign_in_top": top_in,
        "totals": {
            "started": sum(started),
            "ended": sum(map(sum, ends.values())),
            "signed_in": sum(signed_in),
            "failed": sum(failed),
        },
        "reasons": [
            {"name": name, "number": number, "per_cent": _per_cent(number, reasons[0][0])}
            for number, name in reasons
        ],
    }


def _lived(hourly: Figures, live: int, pieces: int, hours: int) -> list[int]:
    """The most sessions that lived at the end of an hour of each piece: those of now, without what came
    and with what went since."""
    change: Counter[int] = Counter()
    for (hour, kind), number in hourly.items():
        if kind == "session.started":
            change[hour] += number
        elif kind.startswith("session.ended"):
            change[hour] -= number
    most, lived = [0] * pieces, live
    # Of the last piece, the hours to come have nothing in them.
    for hour in range(pieces * hours - 1, -1, -1):
        most[hour // hours] = max(most[hour // hours], lived)
        lived = max(0, lived - change[hour])
    return most


def _shares(connection: Connection, organization: str | None) -> dict[str, Any]:
    shares = read_shares(connection, organization)
    applications = []
    for owner, name, number in shares.applications:
        try:
            shown = find_application(connection, home_of(name, owner), name).display_name
        except ApplicationMissing:
            shown = name
        applications.append(
            {
                "organization": owner,
                "name": name,
                "words": shown,
                "number": number,
                "per_cent": _per_cent(number, shares.applications[0][2]),
            }
        )
    return {
        "applications": applications,
        "devices": [
            {
                "name": name,
                "words": device_words(name or UNKNOWN_DEVICE),
                "icon": device_kind(name, None),
                "number": number,
                "per_cent": _per_cent(number, shares.devices[0][1]),
            }
            for name, number in shares.devices
        ],
        "shares_of": shares.of if shares.of >= LOOKED_AT else None,
    }


def _per_cent(number: int, largest: int) -> int:
    return max(1, number * 100 // max(1, largest))
