"""The cut: any number of sessions are over at one instant, by one statement.

To note an end takes a row, a record and an event each; a million of them take minutes. A cut writes
the reason and the deadline on the rows alone: `end_reason` says so from the commit on, on every node,
and the sweep notes the ends afterwards with that reason and actor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select, update

from iam import audit
from iam.db.tables import session
from iam.kernel.clock import Instant, to_iso
from iam.kernel.events import NOWHERE, Actor, Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, Selection
from iam.sessions.rules import hold_rules
from iam.sessions.search import SessionFilter, lives, narrow, wide


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How many sessions are over by a cut: those that were meant, and their children."""

    sessions: int
    children: int


def count_before(
    connection: Connection, wanted: SessionFilter, before: Instant, now: Instant
) -> int:
    """How many live sessions `not_before` would end, without their children."""
    query = select(func.count()).where(*_meant(wanted, before, now))
    return int(connection.execute(query).scalar_one())


def not_before(
    connection: Connection,
    wanted: SessionFilter,
    before: Instant,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    note: str | None = None,
) -> Cut:
    """Everything that matches and was authenticated (or else started) before an instant is over.

    Starts that are under way are waited for, so that none of them slips past.
    """
    hold_rules(connection, wanted.organization)
    done = cut(connection, _meant(wanted, before, now), EndReason.ENDED_BY_ADMIN, actor, now)
    data: dict[str, object] = {
        "before": to_iso(before),
        "sessions": done.sessions,
        "children": done.children,
    }
    data |= {} if wanted.amr is None else {"amr": wanted.amr}
    data |= {} if note is None else {"note": note}
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sessions.not_before",
        actor=actor,
        organization=wanted.organization,
        user=wanted.user,
        application=wanted.application,
        origin=origin,
        data=data,
    )
    audit.append(connection, [event])
    return done


def cut(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    reason: EndReason,
    actor: Actor,
    now: Instant,
) -> Cut:
    """End the sessions that meet these conditions (which must see to it that they live), and their
    children. Call it with the rules held, so that no start slips past."""
    meant = _cut(connection, conditions, reason, actor, now)
    entered = (lives(now), session.c.parent.in_(select(session.c.id).where(*cut_at(now))))
    children = _cut(connection, entered, EndReason.PARENT_ENDED, actor, now)
    return Cut(sessions=meant, children=children)


def cut_at(now: Instant) -> tuple[ColumnElement[bool], ...]:
    """What was cut at this instant and is not noted: found by the index of what is due."""
    return (
        session.c.ended_at.is_(None),
        session.c.check_at == now,
        session.c.end_reason.is_not(None),
    )


def end_at_once(
    connection: Connection,
    selection: Selection,
    *,
    reason: EndReason,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    note: str | None = None,
) -> tuple[Ended, ...]:
    """End all that a selection means; answer those whose end is noted here.

    The oldest thousand are noted, as always; however many there are beyond, they are cut, and the
    sweep notes them. For selections that mean children along with their parents (all of a user, of
    an organization) or none that have any (an application's), after `hold_rules`.
    """
    ended = lifecycle.end_selected(
        connection,
        selection,
        reason=reason,
        actor=actor,
        now=now,
        random=random,
        origin=origin,
        note=note,
        limit=lifecycle.BATCH,
    )
    rest = SessionFilter(
        organization=selection.organization,
        user=selection.user,
        application=selection.application,
        parent=selection.parent,
        instance=selection.instance,
        but=selection.but,
    )
    _cut(connection, (lives(now), *narrow(rest)), reason, actor, now)
    return ended


def _meant(wanted: SessionFilter, before: Instant, now: Instant) -> tuple[ColumnElement[bool], ...]:
    proved_at = func.coalesce(session.c.authenticated_at, session.c.created_at)
    return (lives(now), *narrow(wanted), *wide(wanted), proved_at < before)


def _cut(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    reason: EndReason,
    actor: Actor,
    now: Instant,
) -> int:
    # Locked in the order in which everybody locks, so that no two wait for each other in a ring.
    locked = select(session.c.id).where(*conditions).order_by(session.c.id).with_for_update()
    statement = update(session).where(session.c.id.in_(locked))
    return connection.execute(
        statement.values(expires_at=now, check_at=now, end_reason=str(reason), ended_by=actor)
    ).rowcount
