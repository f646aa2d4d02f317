"""Rows of sessions and session records. Statements only: the rules are in `lifecycle`.

Locks are always taken in one order, so that no two pieces of work wait for each other in a ring:
session rows by ID (a parent is older than its children, so it comes first), then records by key.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    any_,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from iam.db.prepared import Asked, Prepared, together, values_of
from iam.db.tables import DUE_AT, session
from iam.kernel.addresses import address_bytes
from iam.kernel.clock import Instant
from iam.kernel.events import Actor
from iam.sessions import records
from iam.sessions.model import (
    EndReason,
    Identity,
    LiveRow,
    RecordKey,
    Selection,
    Session,
)

LIVE_COLUMNS = (
    session.c.id,
    session.c.secret_hash,
    session.c.organization,
    session.c.user_name,
    session.c.application,
    session.c.parent,
    session.c.instance,
    session.c.last_active_at,
    session.c.idle_timeout,
    session.c.expires_at,
    session.c.ended_at,
    session.c.end_reason,
    session.c.display_name,
    session.c.email,
    session.c.roles,
    session.c.locked_at,
)
_LIVE = session.c.ended_at.is_(None)
_READ_SESSION = Prepared(select(session).where(session.c.id == bindparam("session_id")))
_READ_LIVE_ROW = Prepared(select(*LIVE_COLUMNS).where(session.c.id == bindparam("session_id")))


def read_live_row(connection: Connection, session_id: str) -> LiveRow | None:
    """What a validation needs of one session: a primary-key read."""
    row = _READ_LIVE_ROW.one_or_none(connection, {"session_id": session_id})
    return LiveRow._make(row) if row is not None else None


def read_session(connection: Connection, session_id: str) -> Session | None:
    """One session, live or ended; None if there is no such row."""
    row = _READ_SESSION.one_or_none(connection, {"session_id": session_id})
    return _session(row) if row is not None else None


def inserting(connection: Connection, new: Session, secret_hash: bytes) -> list[Asked]:
    """What adds the row and puts its ID at the end of its record's array, making the record if need be."""
    row = {
        "id": new.id,
        "secret_hash": secret_hash,
        "organization": new.organization,
        "user_name": new.user,
        "application": new.application,
        "parent": new.parent,
        "instance": new.instance,
        "created_at": new.created_at,
        "authenticated_at": new.authenticated_at,
        "last_active_at": new.last_active_at,
        "idle_timeout": new.idle_timeout,
        "expires_at": new.expires_at,
        "check_at": new.idle_expires_at,
        "display_name": new.identity.display_name,
        "email": new.identity.email,
        "roles": ",".join(new.identity.roles),
        "amr": list(new.amr),
        "acr": new.acr,
        "ip": new.ip,
        "user_agent": new.user_agent,
        "device": new.device,
        "metadata": dict(new.metadata),
        "address": address_bytes(new.ip),
        "entered_through": new.entered_through,
        "remembered": new.remembered,
    }
    return [records.adding(connection, new), (_INSERT_SESSION, row)]


# The statements of a start are built once: putting one together costs more than running it.
_INSERT_SESSION = Prepared(
    insert(session).values(values_of(session, "ended_at", "end_reason", "ended_by", "locked_at"))
)


def entered(
    connection: Connection, browser: str, application: str, instance: str | None
) -> tuple[str, ...]:
    """The IDs of the sessions of this application, whose end is not noted, that were entered from a browser
    session: its children, and those that do not end with it."""
    values = {"browser": browser, "application": application, "instance": instance}
    return tuple(
        row.id
        for rows in together(connection, *((one, values) for one in _ENTERED))
        for row in rows
    )


def _entered_by(column: Column[Any]) -> Prepared:
    # Each side by an index of its own.
    return Prepared(
        select(session.c.id).where(
            column == bindparam("browser"),
            _LIVE,
            session.c.application == bindparam("application"),
            session.c.instance.is_not_distinct_from(bindparam("instance", type_=Text)),
        )
    )


_ENTERED = (_entered_by(session.c.parent), _entered_by(session.c.entered_through))


def lock_live(connection: Connection, session_ids: Iterable[str]) -> tuple[Session, ...]:
    """Lock the rows of these sessions that have no end noted, in ID order, and read them.

    Until the commit nobody can end them, touch them or start a child of theirs.
    """
    wanted = sorted(set(session_ids))
    if not wanted:
        return ()
    rows = _LOCK[connection.dialect.name].rows(connection, {"ids": wanted})
    return tuple(_session(row) for row in rows)


def children_of(connection: Connection, session_ids: Sequence[str]) -> tuple[str, ...]:
    """The IDs of the sessions entered from these that have no end noted."""
    if not session_ids:
        return ()
    rows = _CHILDREN[connection.dialect.name].rows(connection, {"ids": list(session_ids)})
    return tuple(row.id for row in rows)


def _among(statement: Select[Any], column: ColumnElement[str]) -> dict[str, Prepared]:
    """The statement for rows whose `column` is one of `ids`, by dialect. A list of any length is one
    parameter: the statement stays the same, and so does its plan."""
    listed = func.json_each(bindparam("ids", type_=JSON)).table_valued("value")
    anyone = any_(bindparam("ids", type_=ARRAY(Text)))
    return {
        "sqlite": Prepared(statement.where(column.in_(select(listed.c.value)))),
        "postgresql": Prepared(statement.where(column == anyone)),
    }


_LOCK = _among(select(session).where(_LIVE).order_by(session.c.id).with_for_update(), session.c.id)
_CHILDREN = _among(select(session.c.id).where(_LIVE), session.c.parent)


def note_ends(
    connection: Connection,
    ends: Sequence[tuple[Session, Instant, EndReason, Actor]],
) -> None:
    """Write these ends on the rows (which the caller has locked) and take the IDs off the records."""
    if connection.dialect.name == "sqlite":
        names = ("b_id", "b_at", "b_reason", "b_by")
        rows = ((ended.id, at, str(reason), by) for ended, at, reason, by in ends)
        _NOTE_END.run(connection, *(dict(zip(names, row, strict=True)) for row in rows))
    else:
        lists = {
            "ids": [ended.id for ended, *_ in ends],
            "ats": [at for _, at, _, _ in ends],
            "reasons": [str(reason) for _, _, reason, _ in ends],
            "actors": [by for *_, by in ends],
        }
        _NOTE_ENDS.run(connection, lists)
    gone: dict[RecordKey, set[str]] = {}
    for ended, *_ in ends:
        gone.setdefault(ended.record_key, set()).add(ended.id)
    records.remove(connection, gone)


_NOTE_END = Prepared(
    update(session)
    .where(session.c.id == bindparam("b_id"))
    .values(
        ended_at=bindparam("b_at"),
        end_reason=bindparam("b_reason"),
        ended_by=bindparam("b_by"),
    )
)


# On PostgreSQL all of them in one round trip.
_NOTE_ENDS = Prepared(
    text(
        "UPDATE session SET ended_at = e.at, end_reason = e.reason, ended_by = e.actor "
        "FROM unnest(CAST(:ids AS text[]), CAST(:ats AS bigint[]), CAST(:reasons AS text[]),"
        " CAST(:actors AS text[])) AS e (id, at, reason, actor) WHERE session.id = e.id"
    )
)


def set_secret(connection: Connection, session_id: str, secret_hash: bytes) -> None:
    """Replace the secret of a session; the former one proves nothing from the commit on."""
    connection.execute(
        update(session).where(session.c.id == session_id).values(secret_hash=secret_hash)
    )


def set_authentication(connection: Connection, after: Session) -> None:
    """Write when and how the holder of this session (which the caller has locked) has authenticated."""
    connection.execute(
        update(session)
        .where(session.c.id == after.id)
        .values(authenticated_at=after.authenticated_at, amr=list(after.amr), acr=after.acr)
    )


def set_place(connection: Connection, after: Session) -> None:
    """Write where this session (which the caller has locked) is used from."""
    connection.execute(
        update(session)
        .where(session.c.id == after.id)
        .values(ip=after.ip, address=address_bytes(after.ip), user_agent=after.user_agent)
    )


def set_identity(connection: Connection, organization: str, user: str, who: Identity) -> None:
    """Rewrite who the gate says these live sessions' user is."""
    connection.execute(
        update(session)
        .where(session.c.organization == organization, session.c.user_name == user, _LIVE)
        .values(display_name=who.display_name, email=who.email, roles=",".join(who.roles))
    )


def select_live(
    connection: Connection, selection: Selection, *, limit: int | None = None
) -> tuple[str, ...]:
    """The IDs of the sessions that are meant and have no end noted, oldest first."""
    query = select(session.c.id).where(_LIVE, *_matches(selection)).order_by(session.c.id)
    if limit is not None:
        query = query.limit(limit)
    return tuple(connection.execute(query).scalars())


def select_due(
    connection: Connection, organization: str | None, now: Instant, limit: int
) -> tuple[str, ...]:
    """Sessions that a deadline may have ended, by index; `end_reason` has the last word on each."""
    # In the index's order: without it PostgreSQL may go through the table from its beginning, where in the
    # middle of a sweep lie all those that have been noted before.
    query = select(session.c.id).where(_LIVE, session.c.check_at <= now)
    query = query.order_by(session.c.check_at).limit(limit)
    if organization is not None:
        query = query.where(session.c.organization == organization)
    return tuple(connection.execute(query).scalars())


def check_later(connection: Connection, alive: Iterable[Session]) -> None:
    """Have these (which the caller has locked) looked at again when they may be over."""
    later = [{"b_id": one.id, "b_at": one.idle_expires_at} for one in alive]
    if later:
        statement = update(session).where(session.c.id == bindparam("b_id"))
        connection.execute(statement.values(check_at=bindparam("b_at")), later)


def check_in_time(connection: Connection, organization: str | None) -> None:
    """After deadlines have moved to earlier: have the sweep look no later than they say."""
    sooner = text(f"check_at > {DUE_AT.text}")
    statement = update(session).where(_LIVE, sooner).values(check_at=DUE_AT)
    if organization is not None:
        statement = statement.where(session.c.organization == organization)
    connection.execute(statement)


def purge_ended(connection: Connection, before: Instant, limit: int) -> int:
    """Delete up to `limit` rows that ended before this instant; answer how many."""
    old = select(session.c.id).where(session.c.ended_at < before).limit(limit)
    return connection.execute(delete(session).where(session.c.id.in_(old))).rowcount


def read_sessions(connection: Connection, session_ids: Sequence[str]) -> dict[str, Session]:
    """These sessions by ID; those without a row are left out."""
    if not session_ids:
        return {}
    query = select(session).where(session.c.id.in_(session_ids))
    return {row.id: _session(row) for row in connection.execute(query)}


def _matches(selection: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (session.c.organization, selection.organization),
        (session.c.user_name, selection.user),
        (session.c.application, selection.application),
        (session.c.parent, selection.parent),
        (session.c.instance, selection.instance),
    ):
        if value is not None:
            conditions.append(column == value)
    if selection.but is not None:
        conditions += but(selection.but)
    return conditions


def but(session_id: str) -> list[ColumnElement[bool]]:
    """All but this session, what was entered from it, and what it was entered from."""
    entered = func.coalesce(session.c.parent, session.c.entered_through, "")
    origin = select(entered).where(session.c.id == session_id).scalar_subquery()
    return [
        session.c.id != session_id,
        entered != session_id,
        session.c.id != func.coalesce(origin, ""),
    ]


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        organization=row.organization,
        user=row.user_name,
        application=row.application,
        parent=row.parent,
        instance=row.instance,
        created_at=Instant(row.created_at),
        authenticated_at=None if row.authenticated_at is None else Instant(row.authenticated_at),
        last_active_at=Instant(row.last_active_at),
        idle_timeout=row.idle_timeout,
        expires_at=Instant(row.expires_at),
        ended_at=None if row.ended_at is None else Instant(row.ended_at),
        end_reason=None if row.end_reason is None else EndReason(row.end_reason),
        ended_by=None if row.ended_by is None else Actor(row.ended_by),
        identity=Identity(
            display_name=row.display_name,
            email=row.email,
            roles=tuple(row.roles.split(",")) if row.roles else (),
        ),
        amr=tuple(row.amr),
        acr=row.acr,
        ip=row.ip,
        user_agent=row.user_agent,
        device=row.device,
        metadata=row.metadata,
        entered_through=row.entered_through,
        remembered=row.remembered,
        locked_at=None if row.locked_at is None else Instant(row.locked_at),
    )
