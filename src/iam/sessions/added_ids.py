"""Session IDs that a client keeps here for itself, beside ours (Hanzo IAM, Casdoor).

An application that has sessions of its own lists them with ours: they are kept word for word, in order. They
prove nothing, and no door asks for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.hanzo_tables import added_session_ids as table
from iam.kernel.clock import Instant
from iam.sessions.model import RecordKey

MOST = 100
"""So many IDs are kept of one user and application: the newest."""
LONGEST = 255
"""Characters of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedIds:
    """What a client keeps of one user and application. `created_time` is `created_at` as the client wrote
    it."""

    ids: tuple[str, ...]
    created_at: Instant
    created_time: str


def read_added(connection: Connection, key: RecordKey, *, lock: bool = False) -> AddedIds | None:
    """What is kept; None if nothing is. `lock`: nobody else changes it until the commit."""
    query = select(table).where(*_is(key))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _added(row)


def read_many(connection: Connection, keys: Sequence[RecordKey]) -> dict[RecordKey, AddedIds]:
    """What is kept under these keys (a few hundred at a time); without those under which nothing is."""
    if not keys:
        return {}
    key = tuple_(table.c.organization, table.c.user_name, table.c.application)
    query = select(table).where(key.in_([tuple(one) for one in keys]))
    return {
        RecordKey(row.organization, row.user_name, row.application): _added(row)
        for row in connection.execute(query)
    }


def hold_added(
    connection: Connection, key: RecordKey, created_at: Instant, created_time: str
) -> AddedIds:
    """What is kept, locked; begun empty, with these times, if nothing is. Two that add at once both do.

    The user must exist (the caller has looked, under `rules.share_rules`).
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {
        "organization": key.organization,
        "user_name": key.user,
        "application": key.application,
        "created_at": created_at,
        "created_time": created_time,
        "ids": [],
    }
    # In one statement, which locks the row either way: nobody can delete it in between.
    statement = (
        insert(table)
        .values(values)
        .on_conflict_do_update(
            index_elements=list(table.primary_key), set_={"created_at": table.c.created_at}
        )
        .returning(table)
    )
    return _added(connection.execute(statement).one())


def keep_added(connection: Connection, key: RecordKey, ids: Sequence[str]) -> None:
    """Keep these IDs (the caller holds them); of more than `MOST` the newest, each once."""
    kept = list(dict.fromkeys(ids))[-MOST:]
    connection.execute(update(table).where(*_is(key)).values(ids=kept))


def set_created(
    connection: Connection, key: RecordKey, created_at: Instant, created_time: str
) -> None:
    """Keep when it was begun, by the client's own word."""
    times = {"created_at": created_at, "created_time": created_time}
    connection.execute(update(table).where(*_is(key)).values(times))


def forget_added(connection: Connection, key: RecordKey) -> bool:
    """Forget what is kept; answer whether anything was."""
    return connection.execute(delete(table).where(*_is(key))).rowcount > 0


def forget_application(connection: Connection, organization: str, application: str) -> None:
    """Forget what is kept of an application that is deleted. (That of a user goes with their row.)"""
    connection.execute(
        delete(table).where(
            table.c.organization == organization, table.c.application == application
        )
    )


def _added(row: Row[Any]) -> AddedIds:
    return AddedIds(
        ids=tuple(row.ids), created_at=Instant(row.created_at), created_time=row.created_time
    )


def _is(key: RecordKey) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.organization == key.organization,
        table.c.user_name == key.user,
        table.c.application == key.application,
    )
