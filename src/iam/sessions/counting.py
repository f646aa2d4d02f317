"""How many sessions match a filter, at a cost that does not grow with how many there are."""

from typing import Any

from sqlalchemy import Connection, Select, func, select

from iam.db.tables import session
from iam.kernel.clock import Instant
from iam.sessions.search import (
    COUNTED_AT_MOST,
    LOOKED_AT,
    Count,
    SessionFilter,
    narrow,
    sides_of,
    wide,
)


def count_some(connection: Connection, wanted: SessionFilter, now: Instant) -> Count:
    """How many sessions match: exact up to `COUNTED_AT_MOST`. What has no index of its own is counted among
    the newest `LOOKED_AT` of each side. Where it is not exact, there are at least so many."""
    number, exact = 0, True
    for side in sides_of(connection, wanted.state, now):
        query = select(session.c.id).where(*side, *narrow(wanted)).order_by(session.c.id.desc())
        if not wide(wanted):
            number += _count(connection, query.limit(COUNTED_AT_MOST + 1))
            continue
        looked_at = query.add_columns(
            session.c.device, session.c.amr, session.c.acr, session.c.last_active_at
        )
        some = looked_at.limit(LOOKED_AT).subquery("looked_at").c
        number += _count(connection, select(some.id).where(*wide(wanted, some)))
        beyond = connection.execute(query.offset(LOOKED_AT).limit(1)).first()
        exact = exact and beyond is None
    return Count(min(number, COUNTED_AT_MOST), exact=exact and number <= COUNTED_AT_MOST)


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
