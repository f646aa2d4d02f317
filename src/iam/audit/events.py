"""Writing and reading events."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, delete, func, literal_column, select

from iam.audit import outbox
from iam.audit.figures import HOUR, last_counted
from iam.db.prepared import Asked, together
from iam.db.tables import event as table
from iam.kernel.clock import Instant, after
from iam.kernel.events import Actor, Event, Origin
from iam.kernel.ids import EVENT, first_id

MAXIMUM_PAGE = 200
PURGED = 1000
"""How many events one transaction deletes."""


def append(connection: Connection, events: Iterable[Event]) -> None:
    """Write events in the caller's transaction: they exist exactly if what they tell of does.

    With them go the notices to the webhooks that want them (`iam.audit.outbox`).
    """
    together(connection, *appending(connection, events))


def appending(connection: Connection, events: Iterable[Event]) -> list[Asked]:
    """What `append` asks, to go `together` with what the events tell of."""
    rows: list[Mapping[str, Any]] = [
        {
            "id": event.id,
            "at": event.at,
            "type": event.type,
            "actor": event.actor,
            "organization": event.organization,
            "user_name": event.user,
            "application": event.application,
            "session_id": event.session,
            "reason": event.reason,
            "ip": event.origin.ip,
            "user_agent": event.origin.user_agent,
            "data": dict(event.data),
        }
        for event in events
    ]
    return outbox.writing(connection, rows)


def list_events(
    connection: Connection,
    *,
    organization: str | None,
    type_: str | None = None,
    user: str | None = None,
    application: str | None = None,
    session: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> tuple[Event, ...]:
    """Events, newest first. `organization` None means all of the installation.

    Args:
        before: an event ID; the page starts with the next older one (keyset paging).
        limit: at most `MAXIMUM_PAGE`.
    """
    query = select(table).order_by(table.c.id.desc()).limit(min(limit, MAXIMUM_PAGE))
    for column, value in (
        (table.c.organization, organization),
        (table.c.type, type_),
        (table.c.user_name, user),
        (table.c.application, application),
        (table.c.session_id, session),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(table.c.id < before)
    return tuple(event_of(row) for row in connection.execute(query))


def read_events(connection: Connection, ids: Collection[str]) -> dict[str, Event]:
    """Those of these events that there are, by ID."""
    query = select(table).where(table.c.id.in_(ids))
    return {row.id: event_of(row) for row in connection.execute(query)}


def ended_together(connection: Connection, sessions: Collection[str]) -> frozenset[str]:
    """The names of the ends by which one of these ended along with all that its user had."""
    query = select(table.c.data).where(
        table.c.session_id.in_(sessions), table.c.type == "session.ended"
    )
    data = connection.execute(query).scalars()
    return frozenset(str(one["everywhere"]) for one in data if "everywhere" in one)


def ended_with(connection: Connection, end: Event) -> tuple[Event, ...]:
    """The ends at the same application that were noted together with this one, itself among them, where all
    that a user had has ended."""
    query = select(table).where(
        table.c.organization == end.organization,
        # An event's ID begins with its instant: so the index finds them.
        table.c.id >= first_id(EVENT, end.at),
        table.c.id < first_id(EVENT, Instant(end.at + 1)),
        table.c.type == end.type,
        table.c.user_name == end.user,
        table.c.application == end.application,
    )
    found = map(event_of, connection.execute(query.order_by(table.c.id)))
    return tuple(one for one in found if one.data.get("everywhere") == end.data["everywhere"])


def timeline(
    connection: Connection,
    session: str,
    entered: Sequence[str],
    *,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Event, ...]:
    """The events of a session, and the starts of those that were entered from it, oldest first.

    Args:
        after: an event ID; the page starts with the next newer one.
        limit: at most `MAXIMUM_PAGE`.
    """
    limit = min(limit, MAXIMUM_PAGE)
    queries = [select(table).where(table.c.session_id == session)]
    for first in range(0, len(entered), _BATCH):
        some = entered[first : first + _BATCH]
        starts = select(table).where(table.c.session_id.in_(some))
        queries.append(starts.where(table.c.type == "session.started"))
    found: list[Event] = []
    for query in queries:
        ordered = query.where(table.c.id > (after or "")).order_by(table.c.id).limit(limit)
        rows = connection.execute(ordered)
        found += [event_of(row) for row in rows]
    found.sort(key=lambda one: one.id)
    return tuple(found[:limit])


def purge(connection: Connection, now: Instant, retention: int) -> int:
    """Delete events, `PURGED` at most, that are older than `retention` seconds; answer how many.

    Not before they have been counted (`audit.figures`).
    """
    counted = last_counted(connection)
    if counted is None:
        return 0
    until = min(after(now, -retention), Instant(counted + HOUR))
    old = select(table.c.id).where(table.c.id < first_id(EVENT, until))
    if connection.dialect.name == "sqlite":
        # The feed counts rows there, and the number of the last one would be given to the next.
        row = literal_column("event.rowid", BigInteger)
        old = old.where(row < select(func.max(row)).select_from(table).scalar_subquery())
    old = old.order_by(table.c.id).limit(PURGED)
    gone: int = connection.execute(delete(table).where(table.c.id.in_(old))).rowcount
    return gone


# Bound on the IDs in one statement: databases limit their number.
_BATCH = 1000


def event_of(row: Row[Any]) -> Event:
    """The event that a row of the table is."""
    return Event(
        id=row.id,
        at=Instant(row.at),
        type=row.type,
        actor=Actor(row.actor),
        organization=row.organization,
        user=row.user_name,
        application=row.application,
        session=row.session_id,
        reason=row.reason,
        origin=Origin(ip=row.ip, user_agent=row.user_agent),
        data=row.data,
    )
