"""How often what happened, hour by hour.

Hours that are over are counted once, by a job, so that a month of a busy installation is a few thousand
small rows. The hours since then are counted from the events themselves: the figures are never behind.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
)

from iam.db.tables import event, event_count
from iam.kernel.clock import Instant, after
from iam.kernel.ids import EVENT, first_id

HOUR = 60 * 60 * 1000
"""Milliseconds."""
COUNTED = ("session.started", "session.ended", "sign_in.succeeded", "sign_in.failed")
"""The types of events that are counted; ends are counted by their reason."""
ALL = ""
"""What stands for all of the installation among the organizations."""
_MARK = "counted"
_LEVEL = "live"
_BACK = 31 * 24
"""So many hours before the first count are counted as well."""
_KEPT = 400 * 24
_AT_ONCE = 20_000
"""Events that one transaction counts, if they are not of one hour."""
_SETTLED = 120
"""Seconds after its end at which an hour is counted: what began in it has been committed by then."""

Figures = Mapping[tuple[int, str], int]
"""How often, by (number of the stretch of time, kind)."""


def count_next_hours(connection: Connection, now: Instant) -> bool:
    """Count the next hours that are over, as many as have few enough events together (at least one);
    answer whether there are more."""
    newest = Instant(after(now, -_SETTLED) // HOUR * HOUR - HOUR)
    last = last_counted(connection)
    first = Instant(last + HOUR) if last is not None else _first_hour(connection, newest)
    if first > newest:
        return False
    until = _until(connection, first, newest)
    for each in (True, False):
        connection.execute(
            insert(event_count).from_select(
                ["organization", "hour", "kind", "number"], _counted(first, until, each=each)
            )
        )
    mark = {"organization": ALL, "hour": until, "kind": _MARK, "number": 0}
    connection.execute(insert(event_count).values(mark))
    connection.execute(delete(event_count).where(event_count.c.hour < until - _KEPT * HOUR))
    return until < newest


def _first_hour(connection: Connection, newest: Instant) -> Instant:
    oldest = select(event.c.at).order_by(event.c.id).limit(1)
    at = connection.execute(oldest).scalar_one_or_none()
    earliest = newest if at is None else at // HOUR * HOUR
    return Instant(max(earliest, newest - _BACK * HOUR))


def _until(connection: Connection, first: Instant, newest: Instant) -> Instant:
    """The last hour that is counted together with `first`."""
    beyond = select(event.c.at).where(event.c.id >= first_id(EVENT, first)).order_by(event.c.id)
    at = connection.execute(beyond.offset(_AT_ONCE).limit(1)).scalar_one_or_none()
    if at is None:
        return newest
    return Instant(min(newest, max(first, at // HOUR * HOUR - HOUR)))


def read_figures(
    connection: Connection, organization: str | None, start: Instant, stretch: int
) -> Figures:
    """How often what happened since `start`, in stretches of time of `stretch` milliseconds.

    Args:
        organization: None means all of the installation.
        start: the beginning of an hour; `stretch` is whole hours.
    """
    figures: Counter[tuple[int, str]] = Counter()
    last = last_counted(connection)
    begun = ((event_count.c.hour - start) // stretch).label("stretch")
    query = (
        select(begun, event_count.c.kind, func.sum(event_count.c.number).label("number"))
        .where(
            event_count.c.organization == (organization or ALL),
            event_count.c.hour >= start,
            event_count.c.kind.not_in((_MARK, _LEVEL)),
        )
        .group_by(begun, event_count.c.kind)
    )
    for row in connection.execute(query):
        figures[row.stretch, row.kind] += int(row.number)
    since = start if last is None else max(start, Instant(last + HOUR))
    begun = ((event.c.at - start) // stretch).label("stretch")
    kind = _kind().label("kind")
    fresh = (
        select(begun, kind, func.count().label("number"))
        .where(event.c.id >= first_id(EVENT, since), event.c.type.in_(COUNTED))
        .group_by(begun, kind)
    )
    if organization is not None:
        fresh = fresh.where(event.c.organization == organization)
    for row in connection.execute(fresh):
        figures[row.stretch, row.kind] += row.number
    return figures


def _counted(first: Instant, until: Instant, *, each: bool) -> Select[Any]:
    """What the rows of these hours are: of each organization, or of all together."""
    hour, kind = event.c.at - event.c.at % HOUR, _kind()
    whose: ColumnElement[Any] = event.c.organization if each else literal(ALL, Text)
    query = select(whose, hour, kind, func.count()).where(
        event.c.id >= first_id(EVENT, first),
        event.c.id < first_id(EVENT, Instant(until + HOUR)),
        event.c.type.in_(COUNTED),
    )
    if each:
        return query.where(event.c.organization.is_not(None)).group_by(whose, hour, kind)
    return query.group_by(hour, kind)


def _kind() -> ColumnElement[str]:
    ended = event.c.type == "session.ended"
    by_reason = literal_column("'session.ended:'", Text) + func.coalesce(event.c.reason, "")
    return case((ended, by_reason), else_=event.c.type)


def store_level(connection: Connection, hour: Instant, levels: Mapping[str, int]) -> None:
    """Keep how many sessions lived at the end of this hour, by organization and for `ALL`: whoever wants
    to know how many live now adds what has started and takes off what has ended since."""
    connection.execute(delete(event_count).where(event_count.c.kind == _LEVEL))
    rows = [
        {"organization": name, "hour": hour, "kind": _LEVEL, "number": number}
        for name, number in levels.items()
    ]
    connection.execute(insert(event_count), rows)


def read_level(connection: Connection, organization: str | None) -> tuple[Instant, int] | None:
    """How many sessions lived at the end of the hour that began at this instant; None if that has not been
    measured yet."""
    query = select(event_count.c.organization, event_count.c.hour, event_count.c.number).where(
        event_count.c.organization.in_((ALL, organization or ALL)), event_count.c.kind == _LEVEL
    )
    found = {row.organization: row for row in connection.execute(query)}
    if ALL not in found:
        return None
    own = found.get(organization or ALL)
    return Instant(found[ALL].hour), own.number if own is not None else 0


def moved_since(
    connection: Connection, since: Instant, organization: str | None = None
) -> dict[str, int]:
    """By how many sessions more started than ended since then, by organization and for `ALL`."""
    change = func.sum(case((event.c.type == "session.started", 1), else_=-1))
    query = (
        select(event.c.organization, change)
        .where(
            event.c.id >= first_id(EVENT, since),
            event.c.type.in_(("session.started", "session.ended")),
        )
        .group_by(event.c.organization)
    )
    if organization is not None:
        query = query.where(event.c.organization == organization)
    moved = {str(name): int(number) for name, number in connection.execute(query)}
    return {**moved, ALL: sum(moved.values())}


def last_counted(connection: Connection) -> Instant | None:
    """The last hour that has been counted."""
    query = select(func.max(event_count.c.hour)).where(
        event_count.c.organization == ALL, event_count.c.kind == _MARK
    )
    found = connection.execute(query).scalar_one()
    return None if found is None else Instant(found)
