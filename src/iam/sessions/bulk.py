"""Bulk ends: proposed, confirmed, done in steps, and taken up again by whoever comes.

A proposal is a row that says who would end what, how many that are, and of those started before which
instant: sessions started later are never among them, so the set can only shrink. Each step ends some
of them and moves the row's position in one transaction: after a crash the next step goes on there,
and nothing is ended twice.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, not_, or_, select, update

from iam import audit
from iam.db.tables import bulk_end as table
from iam.db.tables import session
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Conflict, Missing
from iam.kernel.events import NOWHERE, Actor, Event, Origin
from iam.kernel.ids import BULK_END, EVENT, is_id, make_id
from iam.kernel.secrets import Random
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason
from iam.sessions.search import SessionFilter, lives, narrow, wide

UNCONFIRMED_AT_MOST = 100
"""A filter that matches more sessions has to be confirmed."""
STEP = 500
"""Sessions that one transaction ends: so that everybody else's writes come in between."""
CONFIRM_WITHIN = 15 * 60
"""Seconds after which a proposal is void."""
_ABANDONED = 60
_KEPT = 7 * 24 * 60 * 60


class ConfirmationRequired(Conflict):
    """So many sessions are ended only by who has seen how many they are."""

    code = "confirmation_required"
    title = "This ends more than 100 sessions. Send it with dry_run, then with its confirm."


class ConfirmationInvalid(Conflict):
    """The confirmation is another's, of another filter, or too old."""

    code = "confirmation_invalid"
    title = "This confirmation is not for this filter and caller, or too old. Do a dry run again."


class BulkEndMissing(Missing):
    """There is no such bulk end, or not for this caller."""

    code = "bulk_end_not_found"
    title = "There is no such bulk end."


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkEnd:
    """A bulk end as it stands. `number` is how many it was about when it was proposed, with children;
    `processed` how many of them it has ended."""

    id: str
    actor: Actor
    wanted: SessionFilter
    note: str | None
    number: int
    created_at: Instant
    confirmed_at: Instant | None
    finished_at: Instant | None
    processed: int
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step ended, and how the bulk end stands after it."""

    bulk: BulkEnd
    ended: tuple[Ended, ...] = ()


def count_meant(connection: Connection, wanted: SessionFilter, now: Instant) -> int:
    """How many live sessions match, and of what was entered from them how many more would end."""
    match = _match(wanted)
    meant = select(func.count()).select_from(session).where(lives(now), *match)
    # NULL would be neither: a member without a value does not match.
    others = not_(func.coalesce(and_(*match), False)) if match else session.c.id.is_(None)
    parents = select(session.c.id).where(lives(now), *match)
    children = (
        select(func.count())
        .select_from(session)
        .where(lives(now), session.c.parent.in_(parents), others)
    )
    return sum(int(connection.execute(one).scalar_one()) for one in (meant, children))


def select_meant(
    connection: Connection,
    wanted: SessionFilter,
    now: Instant,
    *,
    beyond: str = "",
    limit: int,
) -> tuple[str, ...]:
    """The IDs of the live sessions that match, oldest first, after this one."""
    query = select(session.c.id).where(lives(now), session.c.id > beyond, *_match(wanted))
    return tuple(connection.execute(query.order_by(session.c.id).limit(limit)).scalars())


def meant_among(
    connection: Connection, wanted: SessionFilter, now: Instant, ids: Sequence[str]
) -> set[str]:
    """Those of these sessions that live and match."""
    query = select(session.c.id).where(lives(now), session.c.id.in_(ids), *_match(wanted))
    return set(connection.execute(query).scalars())


def end_few(
    connection: Connection,
    wanted: SessionFilter,
    *,
    note: str | None,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> tuple[Ended, ...]:
    """End what matches, in one transaction and without asking.

    Raises:
        ConfirmationRequired: they are more than `UNCONFIRMED_AT_MOST`.
    """
    ids = select_meant(connection, wanted, now, limit=UNCONFIRMED_AT_MOST + 1)
    if len(ids) > UNCONFIRMED_AT_MOST:
        raise ConfirmationRequired
    reason = EndReason.ENDED_BY_ADMIN
    return lifecycle.end(
        connection,
        ids,
        reason=reason,
        actor=actor,
        now=now,
        random=random,
        origin=origin,
        note=note,
    )


def propose(
    connection: Connection,
    wanted: SessionFilter,
    *,
    note: str | None,
    actor: Actor,
    now: Instant,
    random: Random,
) -> BulkEnd:
    """Keep what would be ended, to be confirmed by the same actor with the same filter."""
    bulk = BulkEnd(
        id=make_id(BULK_END, now, random),
        actor=actor,
        wanted=wanted,
        note=note,
        number=count_meant(connection, wanted, now),
        created_at=now,
        confirmed_at=None,
        finished_at=None,
        processed=0,
        position="",
    )
    row = {**asdict(bulk), "filter": asdict(wanted), "updated_at": now}
    del row["wanted"]
    connection.execute(insert(table).values(row))
    return bulk


def confirm(
    connection: Connection,
    bulk_id: str,
    wanted: SessionFilter,
    *,
    note: str | None,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> BulkEnd:
    """Let a proposal begin; one that has begun goes on where it was.

    Raises:
        ConfirmationInvalid: it is not this actor's for this filter, or older than `CONFIRM_WITHIN`.
    """
    found = _locked(connection, bulk_id)
    if found is None or (found.actor, found.wanted) != (actor, wanted):
        raise ConfirmationInvalid
    if found.confirmed_at is not None:
        return found
    if now >= after(found.created_at, CONFIRM_WITHIN):
        raise ConfirmationInvalid
    note = note if note is not None else found.note
    _set(connection, bulk_id, confirmed_at=now, updated_at=now, note=note)
    members = {name: value for name, value in asdict(wanted).items() if value is not None}
    data: dict[str, object] = {"bulk_end": bulk_id, "sessions": found.number, "filter": members}
    data |= {} if note is None else {"note": note}
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sessions.bulk_end",
        actor=actor,
        organization=wanted.organization,
        user=wanted.user,
        application=wanted.application,
        origin=origin,
        data=data,
    )
    audit.append(connection, [event])
    return read_bulk_end(connection, bulk_id)


def take_step(
    connection: Connection,
    bulk_id: str,
    *,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    limit: int = STEP,
) -> Step:
    """End the next `limit` sessions of a confirmed bulk end, with their children.

    Raises:
        BulkEndMissing: there is none of this ID that has been confirmed.
    """
    bulk = _locked(connection, bulk_id)
    if bulk is None or bulk.confirmed_at is None:
        raise BulkEndMissing
    if bulk.finished_at is not None:
        return Step(bulk=bulk)
    # Up to and with the instant at which they were counted.
    started = _earlier(bulk.wanted.started_before, Instant(bulk.created_at + 1))
    members = {**asdict(bulk.wanted), "started_before": started}
    ids = select_meant(connection, SessionFilter(**members), now, beyond=bulk.position, limit=limit)
    reason, who = EndReason.ENDED_BY_ADMIN, bulk.actor
    ended = lifecycle.end(
        connection,
        ids,
        reason=reason,
        actor=who,
        now=now,
        random=random,
        origin=origin,
        note=bulk.note,
    )
    _set(
        connection,
        bulk_id,
        processed=bulk.processed + sum(one.actor == who for one in ended),
        position=ids[-1] if ids else bulk.position,
        updated_at=now,
        finished_at=now if len(ids) < limit else None,
    )
    return Step(bulk=read_bulk_end(connection, bulk_id), ended=ended)


def take_up(connection: Connection, *, now: Instant, random: Random, limit: int) -> Step | None:
    """A step of a confirmed bulk end that nobody has gone on with for a minute; None if there is none."""
    abandoned = select(table.c.id).where(
        table.c.confirmed_at.is_not(None),
        table.c.finished_at.is_(None),
        table.c.updated_at <= after(now, -_ABANDONED),
    )
    found = connection.execute(abandoned.order_by(table.c.id).limit(1)).scalar_one_or_none()
    if found is None:
        return None
    step = take_step(connection, found, now=now, random=random, limit=limit)
    # Taken up once, it is gone on with at once: until it is finished it counts as abandoned.
    if step.bulk.finished_at is None:
        _set(connection, found, updated_at=after(now, -_ABANDONED))
    return step


def read_bulk_end(connection: Connection, bulk_id: str) -> BulkEnd:
    """A bulk end as it stands.

    Raises:
        BulkEndMissing: there is none of this ID.
    """
    found = _read(connection, bulk_id, lock=False)
    if found is None:
        raise BulkEndMissing
    return found


def purge(connection: Connection, now: Instant) -> None:
    """Forget the proposals that were not confirmed in time, and what was finished a week ago."""
    void = and_(table.c.confirmed_at.is_(None), table.c.created_at < after(now, -CONFIRM_WITHIN))
    connection.execute(delete(table).where(or_(void, table.c.finished_at < after(now, -_KEPT))))


def _match(wanted: SessionFilter) -> Sequence[Any]:
    if wanted.state == "ended":
        return (session.c.ended_at.is_not(None),)  # which no live session is
    return (*narrow(wanted), *wide(wanted))


def _earlier(one: Instant | None, other: Instant) -> Instant:
    return other if one is None else min(one, other)


def _locked(connection: Connection, bulk_id: str) -> BulkEnd | None:
    return _read(connection, bulk_id, lock=True)


def _read(connection: Connection, bulk_id: str, *, lock: bool) -> BulkEnd | None:
    if not is_id(BULK_END, bulk_id):
        return None
    query = select(table).where(table.c.id == bulk_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _bulk_end(row)


def _set(connection: Connection, bulk_id: str, **values: object) -> None:
    connection.execute(update(table).where(table.c.id == bulk_id).values(**values))


def _bulk_end(row: Row[Any]) -> BulkEnd:
    return BulkEnd(
        id=row.id,
        actor=Actor(row.actor),
        wanted=SessionFilter(**row.filter),
        note=row.note,
        number=row.number,
        created_at=Instant(row.created_at),
        confirmed_at=None if row.confirmed_at is None else Instant(row.confirmed_at),
        finished_at=None if row.finished_at is None else Instant(row.finished_at),
        processed=row.processed,
        position=row.position,
    )
