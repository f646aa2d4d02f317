"""How many sessions match a filter: exactly, or as closely as a page needs it."""

from dataclasses import dataclass

from sqlalchemy import Connection, Select, select

from iam.db.tables import session
from iam.kernel.clock import Instant
from iam.sessions.search import (
    LOOKED_AT,
    SessionFilter,
    count_of,
    narrow,
    nth,
    plan_for_these_values,
    sides_of,
    wide,
)

COUNTED_AT_MOST = 10_000
"""Up to here an estimate is exact."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many sessions match, and whether that is exact."""

    number: int
    exact: bool


def count_sessions(
    connection: Connection, wanted: SessionFilter, now: Instant, *, exact: bool
) -> Count:
    """How many sessions match. An estimate is exact up to `COUNTED_AT_MOST`, and beyond that what the
    database's own statistics say (SQLite has none for this: there it is exact)."""
    plan_for_these_values(connection)
    queries = [
        select(session.c.id).where(*side, *narrow(wanted), *wide(wanted))
        for side in sides_of(connection, wanted.state, now)
    ]
    if not exact and connection.dialect.name != "sqlite":
        some = sum(count_of(connection, one.limit(COUNTED_AT_MOST + 1)) for one in queries)
        if some <= COUNTED_AT_MOST:
            return Count(some, exact=True)
        guess = sum(_planned(connection, one) for one in queries)
        return Count(max(guess, COUNTED_AT_MOST + 1), exact=False)
    return Count(sum(count_of(connection, one) for one in queries), exact=True)


def count_some(connection: Connection, wanted: SessionFilter, now: Instant) -> Count:
    """How many sessions match, at a cost that does not grow with how many there are: exact up to
    `COUNTED_AT_MOST`. What has no index of its own is counted among the newest `LOOKED_AT` of each side.
    Where it is not exact, there are at least so many."""
    plan_for_these_values(connection)
    number, exact = 0, True
    for side in sides_of(connection, wanted.state, now):
        query = select(session.c.id).where(*side, *narrow(wanted)).order_by(session.c.id.desc())
        if not wide(wanted):
            number += count_of(connection, query.limit(COUNTED_AT_MOST + 1))
            continue
        looked_at = query.add_columns(
            session.c.device, session.c.amr, session.c.acr, session.c.last_active_at
        )
        some = looked_at.limit(LOOKED_AT).subquery("looked_at").c
        number += count_of(connection, select(some.id).where(*wide(wanted, some)))
        exact = exact and nth(connection, query, LOOKED_AT + 1) is None
    most = min(number, COUNTED_AT_MOST)
    return Count(most, exact=exact and number <= COUNTED_AT_MOST)


def _planned(connection: Connection, query: Select[tuple[str]]) -> int:
    """How many rows PostgreSQL expects."""
    compiled = query.compile(connection, compile_kwargs={"render_postcompile": True})
    explained = connection.exec_driver_sql(
        f"EXPLAIN (FORMAT JSON) {compiled.string}", dict(compiled.params)
    )
    return int(explained.scalar_one()[0]["Plan"]["Plan Rows"])
