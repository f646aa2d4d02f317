"""How many sessions live now, and what most of them are: at a cost that does not grow with their number."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from iam.audit import figures
from iam.db.tables import DUE_AT, session
from iam.kernel.clock import Instant
from iam.sessions.counting import Count, count_sessions
from iam.sessions.search import SessionFilter, on_one_core

LOOKED_AT = 20_000
"""So many of the newest live sessions are looked at to say what most of them are."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What the newest live sessions are, most frequent first; `of` is how many were looked at."""

    applications: tuple[tuple[str, str, int], ...]
    """(organization, application, number)."""
    devices: tuple[tuple[str, int], ...]
    of: int


def count_live(connection: Connection, organization: str | None, now: Instant) -> Count:
    """How many sessions live: those of the end of the last hour that was counted, and what has started and
    ended since. Before that has been measured, they are counted: on PostgreSQL exact up to some thousands."""
    level = figures.read_level(connection, organization)
    if level is None:
        wanted = SessionFilter(organization=organization, state="active")
        return count_sessions(connection, wanted, now, exact=False)
    hour, number = level
    since = Instant(hour + figures.HOUR)
    moved = figures.moved_since(connection, since, organization)
    # Over by a deadline and not noted yet: never many, and `check_at` finds them.
    over = (
        select(func.count())
        .select_from(session)
        .where(
            session.c.ended_at.is_(None),
            session.c.check_at <= now,
            text(f"{DUE_AT.text} <= :now").bindparams(now=now),
        )
    )
    if organization is not None:
        over = over.where(session.c.organization == organization)
    gone = connection.execute(over).scalar_one()
    return Count(max(0, number + moved.get(organization or figures.ALL, 0) - gone), exact=True)


def measure_level(connection: Connection) -> tuple[Instant, dict[str, int]] | None:
    """How many sessions lived at the end of the last counted hour, by organization and for all; None if
    that is known. It looks at every live session: for a job, and to be called in one read."""
    hour, level = figures.last_counted(connection), figures.read_level(connection, None)
    if hour is None or (level is not None and level[0] == hour):
        return None
    on_one_core(connection)
    query = (
        select(session.c.organization, func.count())
        .where(session.c.ended_at.is_(None))
        .group_by(session.c.organization)
    )
    live = {str(name): int(number) for name, number in connection.execute(query)}
    live[figures.ALL] = sum(live.values())
    moved = figures.moved_since(connection, Instant(hour + figures.HOUR))
    names = live.keys() | moved.keys()
    return hour, {name: live.get(name, 0) - moved.get(name, 0) for name in names}


def read_shares(connection: Connection, organization: str | None, *, limit: int = 6) -> Shares:
    """What the newest live sessions are."""
    newest = (
        select(session.c.organization, session.c.application, session.c.device)
        .where(session.c.ended_at.is_(None))
        .order_by(session.c.id.desc())
        .limit(LOOKED_AT)
    )
    if organization is not None:
        newest = newest.where(session.c.organization == organization)
    some = newest.subquery("newest").c
    number = func.count().label("number")
    rows = connection.execute(
        select(some.organization, some.application, some.device, number).group_by(
            some.organization, some.application, some.device
        )
    ).all()
    applications: dict[tuple[str, str], int] = {}
    devices: dict[str, int] = {}
    for row in rows:
        key = row.organization, row.application
        applications[key] = applications.get(key, 0) + row.number
        device = row.device or ""
        devices[device] = devices.get(device, 0) + row.number
    by_number = sorted(applications.items(), key=lambda one: (-one[1], one[0]))[:limit]
    return Shares(
        applications=tuple((*key, count) for key, count in by_number),
        devices=tuple(sorted(devices.items(), key=lambda one: (-one[1], one[0]))[:limit]),
        of=sum(row.number for row in rows),
    )
