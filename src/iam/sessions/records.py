"""Rows of session records: the array of the live session IDs of one organization, user and application.

Statements only. Records are locked after the rows of their sessions, in the order of their keys.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Text,
    bindparam,
    delete,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.prepared import Asked, Prepared, values_of
from iam.db.tables import session_record
from iam.kernel.clock import Instant
from iam.sessions.model import RecordKey, Session, SessionRecord


def adding(connection: Connection, new: Session) -> Asked:
    """What puts a session's ID at the end of its record's array, making the record if need be."""
    statement = _APPEND_SQLITE if connection.dialect.name == "sqlite" else _APPEND_POSTGRESQL
    values = {
        "organization": new.organization,
        "user_name": new.user,
        "application": new.application,
        "created_at": new.created_at,
        "session_ids": [new.id],
        "new_id": new.id,
    }
    return statement, values


_RECORD_KEY = list(session_record.primary_key)
_APPEND_SQLITE = Prepared(
    sqlite.insert(session_record)
    .values(values_of(session_record))
    .on_conflict_do_update(
        index_elements=_RECORD_KEY,
        set_={
            "session_ids": func.json_insert(
                session_record.c.session_ids, "$[#]", bindparam("new_id", type_=Text)
            )
        },
    )
)
_APPEND_POSTGRESQL = Prepared(
    postgresql.insert(session_record)
    .values(values_of(session_record))
    .on_conflict_do_update(
        index_elements=_RECORD_KEY,
        set_={
            "session_ids": func.array_append(
                session_record.c.session_ids, bindparam("new_id", type_=Text)
            )
        },
    )
)


def remove(connection: Connection, gone: Mapping[RecordKey, set[str]]) -> None:
    """Take these IDs off their records, which are locked by key; a record without any is deleted."""
    key = (
        session_record.c.organization,
        session_record.c.user_name,
        session_record.c.application,
    )
    query = (
        select(session_record)
        .where(tuple_(*key).in_([tuple(one) for one in sorted(gone)]))
        .order_by(*key)
        .with_for_update()
    )
    kept, emptied = [], []
    for row in connection.execute(query).all():
        record = RecordKey(row.organization, row.user_name, row.application)
        names = {"b_organization": row.organization, "b_user": row.user_name}
        names["b_application"] = row.application
        left = [one for one in row.session_ids if one not in gone[record]]
        if left:
            kept.append({**names, "b_ids": left})
        else:
            emptied.append(names)
    if kept:
        _KEEP_RECORD.run(connection, *kept)
    if emptied and connection.dialect.name == "sqlite":
        _DROP_RECORD.run(connection, *emptied)
    elif emptied:
        lists = {name: [one[name] for one in emptied] for name in emptied[0]}
        _DROP_RECORDS.run(connection, lists)


_THIS_RECORD = (
    (session_record.c.organization == bindparam("b_organization"))
    & (session_record.c.user_name == bindparam("b_user"))
    & (session_record.c.application == bindparam("b_application"))
)
_KEEP_RECORD = Prepared(
    update(session_record)
    .where(_THIS_RECORD)
    .values(session_ids=bindparam("b_ids", type_=session_record.c.session_ids.type))
)
_DROP_RECORD = Prepared(delete(session_record).where(_THIS_RECORD))
# On PostgreSQL all of them in one round trip.
_DROP_RECORDS = Prepared(
    text(
        "DELETE FROM session_record AS r USING unnest(CAST(:b_organization AS text[]),"
        " CAST(:b_user AS text[]), CAST(:b_application AS text[]))"
        " AS e (organization, user_name, application) WHERE r.organization = e.organization"
        " AND r.user_name = e.user_name AND r.application = e.application"
    )
)


def read(connection: Connection, key: RecordKey) -> SessionRecord | None:
    """One session record; None when the pair has no live session."""
    query = select(session_record).where(
        session_record.c.organization == key.organization,
        session_record.c.user_name == key.user,
        session_record.c.application == key.application,
    )
    row = connection.execute(query).one_or_none()
    return read_from(row) if row is not None else None


def read_from(row: Row[Any]) -> SessionRecord:
    """The record that a row of the table is."""
    return SessionRecord(
        organization=row.organization,
        user=row.user_name,
        application=row.application,
        created_at=Instant(row.created_at),
        session_ids=tuple(row.session_ids),
    )
