"""Lists of records by page number, with what clients have added to them (Hanzo IAM, Casdoor).

Those clients count pages and rows. `listing` does neither, and is what everybody else should use.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    cast,
    exists,
    func,
    not_,
    or_,
    select,
    tuple_,
    union_all,
)

from iam.db.hanzo_tables import added_session_ids as added
from iam.db.tables import session, session_record
from iam.kernel.clock import Instant
from iam.sessions import added_ids, listing, store
from iam.sessions.added_ids import AddedIds
from iam.sessions.model import RecordKey, Session, SessionRecord
from iam.sessions.search import lives, plan_for_these_values

Field = Literal["owner", "name", "application", "sessionId"]
"""What rows are looked for by: part of a name in any case, or a whole session ID."""
DESCRIBED = 100
"""Of so many sessions of a row more is read than their ID."""
Sort = Literal["owner", "name", "application", "createdTime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which rows are meant: those that match every member that is set. `organization` None: of all."""

    organization: str | None
    user: str | None = None
    application: str | None = None
    field: Field | None = None
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """One user and application: the live sessions, and what a client has added."""

    key: RecordKey
    created_at: Instant
    session_ids: tuple[str, ...]
    """Of the live sessions, in the order of their starts."""
    sessions: tuple[Session, ...]
    """The newest `DESCRIBED` of them."""
    added: tuple[str, ...]
    created_time: str | None = None
    """When it began, as a client wrote it: where there is no session."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ours first."""
        return (*self.session_ids, *self.added)


def read_row(connection: Connection, key: RecordKey, now: Instant) -> RecordRow | None:
    """The row of one user and application; None if there is neither a session nor anything added."""
    return next(iter(_rows(connection, [key], now)), None)


def count_rows(connection: Connection, wanted: RecordFilter, now: Instant) -> int:
    """How many rows match."""
    plan_for_these_values(connection)
    sides = union_all(*_sides(wanted, now)).subquery()
    return int(connection.execute(select(func.count()).select_from(sides)).scalar_one())


def count_users_with_sessions(connection: Connection, organization: str, now: Instant) -> int:
    """How many users of an organization have a live session of any application."""
    plan_for_these_values(connection)
    query = select(func.count(session_record.c.user_name.distinct())).where(
        session_record.c.organization == organization, _has_live(now)
    )
    return int(connection.execute(query).scalar_one())


def list_rows(
    connection: Connection,
    wanted: RecordFilter,
    now: Instant,
    *,
    skip: int,
    limit: int,
    sort: Sort = "createdTime",
    down: bool = True,
) -> tuple[RecordRow, ...]:
    """Rows that match, in this order, newest first by default."""
    plan_for_these_values(connection)
    sides = union_all(*_sides(wanted, now)).subquery()
    place = {
        "owner": sides.c.organization,
        "name": sides.c.user_name,
        "application": sides.c.application,
        "createdTime": sides.c.created_at,
    }[sort]
    # What settles the order among equals goes the same way, so that an index is read in one direction.
    columns = (place, sides.c.organization, sides.c.user_name, sides.c.application)
    order = [one.desc() if down else one.asc() for one in columns]
    found = connection.execute(select(sides).order_by(*order).offset(skip).limit(limit)).all()
    keys = [RecordKey(row.organization, row.user_name, row.application) for row in found]
    return _rows(connection, keys, now)


def _sides(wanted: RecordFilter, now: Instant) -> tuple[Any, Any]:
    """Records that have a live session, and what was added where there is none."""
    ours = select(*_key(session_record), session_record.c.created_at).where(
        _has_live(now), *_narrowed(wanted, session_record, now)
    )
    there = exists().where(
        *(a == b for a, b in zip(_key(session_record), _key(added), strict=True)), _has_live(now)
    )
    theirs = select(*_key(added), added.c.created_at).where(
        not_(there), *_narrowed(wanted, added, now)
    )
    return ours, theirs


def _key(table: Any) -> tuple[ColumnElement[str], ...]:
    return table.c.organization, table.c.user_name, table.c.application


def _has_live(now: Instant) -> ColumnElement[bool]:
    """A record is there until the sweep has noted that its last session's deadline has passed. These few
    are found by index, and only they are looked at closer."""
    over = select(*_key(session)).where(
        session.c.ended_at.is_(None), session.c.check_at <= now, not_(lives(now))
    )
    same = (a == b for a, b in zip(_key(session), _key(session_record), strict=True))
    alive = exists().where(and_(*same), lives(now)).correlate(session_record)
    return or_(tuple_(*_key(session_record)).not_in(over), alive)


def _narrowed(wanted: RecordFilter, table: Any, now: Instant) -> list[ColumnElement[bool]]:
    conditions = [
        column == value
        for column, value in zip(
            _key(table), (wanted.organization, wanted.user, wanted.application), strict=True
        )
        if value is not None
    ]
    if wanted.field == "sessionId":
        holds = select(*_key(session)).where(session.c.id == wanted.value, lives(now))
        kept = cast(added.c.ids, Text).contains(json.dumps(wanted.value), autoescape=True)
        also = select(*_key(added)).where(kept)
        conditions.append(or_(tuple_(*_key(table)).in_(holds), tuple_(*_key(table)).in_(also)))
    elif wanted.field is not None:
        names = dict(zip(("owner", "name", "application"), _key(table), strict=True))
        part = func.lower(names[wanted.field])
        conditions.append(part.contains(wanted.value.lower(), autoescape=True))
    return conditions


def _rows(connection: Connection, keys: Sequence[RecordKey], now: Instant) -> tuple[RecordRow, ...]:
    """The rows under these keys, in their order."""
    rows: list[RecordRow] = []
    for first in range(0, len(keys), _BATCH):
        some = keys[first : first + _BATCH]
        records = listing.live_records(connection, some, now)
        kept = added_ids.read_many(connection, some)
        ids = [one for record in records.values() for one in record.session_ids[-DESCRIBED:]]
        found: dict[str, Session] = {}
        for start in range(0, len(ids), _BATCH):
            found |= store.read_sessions(connection, ids[start : start + _BATCH])
        rows += [
            _row(key, records.get(key), kept.get(key), found)
            for key in some
            if key in records or key in kept
        ]
    return tuple(rows)


# Bound on the keys in one statement: databases limit the number of values.
_BATCH = 300


def _row(
    key: RecordKey,
    record: SessionRecord | None,
    kept: AddedIds | None,
    found: Mapping[str, Session],
) -> RecordRow:
    began = record or kept
    assert began is not None  # noqa: S101 - the caller has looked
    ids = record.session_ids if record is not None else ()
    return RecordRow(
        key=key,
        created_at=began.created_at,
        created_time=kept.created_time if record is None and kept is not None else None,
        session_ids=ids,
        sessions=tuple(found[one] for one in ids[-DESCRIBED:] if one in found),
        added=kept.ids if kept is not None else (),
    )
