"""Lists of session records, a page at a time (keyset paging: no page ever shifts under its reader).

State is what `policy.end_reason` says now, not what the sweep has noted so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, func, select, text, tuple_

from iam.db.tables import DUE_AT, session, session_record
from iam.kernel.clock import Instant
from iam.sessions import records
from iam.sessions.model import RecordKey, SessionRecord
from iam.sessions.policy import end_reason

MAXIMUM_PAGE = 200

State = Literal["active", "ended", "locked"]
Item = TypeVar("Item")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item, Key]):
    """One page. `next` goes into the next call's cursor; None when this is the last page."""

    items: tuple[Item, ...]
    next: Key | None


def _in_state(state: Literal["active", "ended"], now: Instant) -> ColumnElement[bool]:
    """`end_reason` in SQL, so that a page of one state is full; the same bound, exclusive."""
    condition = (
        f"(ended_at IS NULL AND {DUE_AT.text} > :now)"
        if state == "active"
        else f"(ended_at IS NOT NULL OR {DUE_AT.text} <= :now)"
    )
    return text(condition).bindparams(now=now)  # type: ignore[return-value]  # a condition, whatever text() is typed as


def list_records(
    connection: Connection,
    *,
    organization: str | None,
    now: Instant,
    user: str | None = None,
    application: str | None = None,
    user_contains: str | None = None,
    after: RecordKey | None = None,
    limit: int = 50,
) -> Page[SessionRecord, RecordKey]:
    """Records that have a live session, by (organization, user, application), live IDs only.

    A page may hold fewer than `limit` while `next` is set: what a deadline has ended since the last
    sweep is left out.

    Args:
        organization: None means all of the installation.
        user_contains: part of a user name.
        after: the page starts with the next record after this key.
    """
    limit = min(limit, MAXIMUM_PAGE)
    key = (
        session_record.c.organization,
        session_record.c.user_name,
        session_record.c.application,
    )
    query = select(session_record).order_by(*key).limit(limit + 1)
    for column, value in zip(key, (organization, user, application), strict=True):
        if value is not None:
            query = query.where(column == value)
    if user_contains:
        name = session_record.c.user_name
        query = query.where(name.contains(user_contains, autoescape=True))
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*after))
    rows = connection.execute(query).all()
    records = [
        SessionRecord(
            organization=row.organization,
            user=row.user_name,
            application=row.application,
            created_at=Instant(row.created_at),
            session_ids=tuple(row.session_ids),
        )
        for row in rows[:limit]
    ]
    live = _only_live(connection, records, now)
    last = records[-1] if len(rows) > limit else None
    return Page(
        items=tuple(record for record in live if record.session_ids),
        next=RecordKey(last.organization, last.user, last.application) if last else None,
    )


def live_record(connection: Connection, key: RecordKey, now: Instant) -> SessionRecord | None:
    """One record with its live IDs; None when the pair has no live session."""
    record = records.read(connection, key)
    if record is None:
        return None
    (live,) = _only_live(connection, [record], now)
    return live if live.session_ids else None


def live_records(
    connection: Connection, keys: Sequence[RecordKey], now: Instant
) -> dict[RecordKey, SessionRecord]:
    """Records by their keys (a few hundred at a time) with their live IDs; without those that have none."""
    if not keys:
        return {}
    table = session_record.c
    key = tuple_(table.organization, table.user_name, table.application)
    query = select(session_record).where(key.in_([tuple(one) for one in keys]))
    found = [records.read_from(row) for row in connection.execute(query)]
    return {
        RecordKey(one.organization, one.user, one.application): one
        for one in _only_live(connection, found, now)
        if one.session_ids
    }


def count_live_sessions(
    connection: Connection, organization: str, now: Instant
) -> tuple[int, int, int]:
    """How many sessions of an organization live now, of how many users, in how many applications."""
    query = select(
        func.count(),
        func.count(session.c.user_name.distinct()),
        func.count(session.c.application.distinct()),
    ).where(session.c.organization == organization, _in_state("active", now))
    sessions, users, applications = connection.execute(query).one()
    return sessions, users, applications


def _only_live(
    connection: Connection, records: Sequence[SessionRecord], now: Instant
) -> list[SessionRecord]:
    """These records without the IDs whose deadline has passed and the sweep has not noted yet."""
    ids = [one for record in records for one in record.session_ids]
    live: set[str] = set()
    for first in range(0, len(ids), _BATCH):
        query: Any = select(
            session.c.id,
            session.c.last_active_at,
            session.c.idle_timeout,
            session.c.expires_at,
            session.c.end_reason,
        ).where(session.c.id.in_(ids[first : first + _BATCH]))
        live |= {row.id for row in connection.execute(query) if end_reason(row, now) is None}
    return [
        SessionRecord(
            organization=record.organization,
            user=record.user,
            application=record.application,
            created_at=record.created_at,
            session_ids=tuple(one for one in record.session_ids if one in live),
        )
        for record in records
    ]


# Bound on the IDs in one statement: databases limit their number.
_BATCH = 1000
