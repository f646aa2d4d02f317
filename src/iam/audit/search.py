"""Searching events by anything, at a cost that is bounded whatever is searched for.

Only the organization and the session have an index. Everything else is looked for among a bounded number
of events at a time: a page can be shorter than asked for, even empty, while there is a next one.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from iam.audit.events import MAXIMUM_PAGE, event_of
from iam.db.tables import event as table
from iam.kernel.clock import Instant
from iam.kernel.events import Event
from iam.kernel.ids import EVENT, first_id

LOOKED_AT = 20_000
"""So many events are looked at for one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are meant: those that match every member that is set.

    `organization` None means all of the installation: only its administrator may ask that.
    """

    organization: str | None
    id: str | None = None
    type: str | None = None
    user: str | None = None
    application: str | None = None
    session: str | None = None
    actor: str | None = None
    reason: str | None = None
    ip: str | None = None
    since: Instant | None = None
    """At this instant or later."""
    until: Instant | None = None


@dataclass(frozen=True, slots=True)
class FoundEvents:
    """A page of events, newest first. `next` goes into `before` for the next; None: this is the last."""

    events: tuple[Event, ...]
    next: str | None


def search_events(
    connection: Connection, wanted: EventFilter, *, before: str | None = None, limit: int = 50
) -> FoundEvents:
    """A page of the events that match.

    Args:
        before: `next` of the page before.
        limit: at most `MAXIMUM_PAGE`.
    """
    limit = min(limit, MAXIMUM_PAGE)
    query = select(table).where(*_narrow(wanted)).order_by(table.c.id.desc())
    if before is not None:
        query = query.where(table.c.id < before)
    wide = _wide(wanted)
    if not wide:
        rows = connection.execute(query.limit(limit + 1)).all()
        end = None
    else:
        # Taken first, looked at then: the hope to meet a match soon must not lead through all there is.
        some = query.limit(LOOKED_AT).subquery("looked_at").c
        matching = select(*some).where(*(some[name] == value for name, value in wide.items()))
        rows = connection.execute(matching.order_by(some.id.desc()).limit(limit + 1)).all()
        last = query.with_only_columns(table.c.id).offset(LOOKED_AT - 1).limit(1)
        end = connection.execute(last).scalar_one_or_none() if len(rows) <= limit else None
    events = tuple(event_of(row) for row in rows[:limit])
    return FoundEvents(events, events[-1].id if len(rows) > limit else end)


def _narrow(wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (table.c.organization, wanted.organization),
        (table.c.id, wanted.id),
        (table.c.session_id, wanted.session),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.since is not None:
        conditions.append(table.c.id >= first_id(EVENT, wanted.since))
    if wanted.until is not None:
        conditions.append(table.c.id < first_id(EVENT, wanted.until))
    return conditions


def _wide(wanted: EventFilter) -> dict[str, str]:
    members = {
        "type": wanted.type,
        "user_name": wanted.user,
        "application": wanted.application,
        "actor": wanted.actor,
        "reason": wanted.reason,
        "ip": wanted.ip,
    }
    return {name: value for name, value in members.items() if value is not None}
