"""Whose end is whose: what a change of `end_children` makes of the sessions that were entered from a browser.

A session that is to end with its browser session becomes that one's child, with deadlines no later than
its; one that is to outlive it goes on by itself, with the deadlines that it has.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    update,
)

from iam.db.tables import session as table
from iam.kernel.clock import Instant
from iam.kernel.events import Actor
from iam.sessions.cut import cut
from iam.sessions.model import EndReason
from iam.sessions.policy import EffectivePolicy
from iam.sessions.search import lives

_browser: Any = table.alias("browser")
_ENTERED_THROUGH = _browser.c.id == table.c.entered_through
_PARENT = _browser.c.id == table.c.parent


@dataclass(frozen=True, slots=True)
class Regrouped:
    """Sessions that will end with their browser session and would not have: how many of them keep the
    deadlines they have, and some of all of them."""

    unmoved: int
    sample: tuple[str, ...]


def regroup(
    connection: Connection,
    members: ColumnElement[bool],
    policy: EffectivePolicy,
    *,
    unmoved: ColumnElement[bool],
    actor: Actor,
    now: Instant,
    sample: int,
) -> Regrouped:
    """Have the live sessions of one application under one policy end with their browser session, or not.

    Where no layer says, those outlive it that `policy.outlives` says so of. Where one says that they do
    not, those whose browser session is over already are over as well. Call it with the rules held, and
    what is over settled; then `bring_down`, or what does more.

    Args:
        unmoved: that a session's deadlines are none that are moved afterwards for another reason.
    """
    here = and_(table.c.ended_at.is_(None), table.c.end_reason.is_(None), members)
    if policy.end_children is not True:
        _release(connection, and_(here, _outlives(policy, _PARENT)))
    if policy.end_children is False:
        return Regrouped(0, ())
    apart = and_(here, table.c.parent.is_(None), table.c.entered_through.is_not(None))
    # First, and in the order in which everybody locks: a browser session that ends at this moment takes
    # those along that are its children by then, or is over before they become it.
    entered = select(table.c.entered_through).where(apart)
    held = select(table.c.id).where(table.c.id.in_(entered), table.c.ended_at.is_(None))
    connection.execute(held.order_by(table.c.id).with_for_update()).all()
    if policy.end_children is True:
        alone = and_(lives(now), apart, ~exists().where(_ENTERED_THROUGH, *_is_live()))
        cut(connection, (alone,), EndReason.POLICY, actor, now)
    joining = and_(apart, exists().where(_ENTERED_THROUGH, *_is_live(), ~_outlives_it(policy)))
    within = exists().where(
        _ENTERED_THROUGH,
        table.c.idle_timeout <= _browser.c.idle_timeout,
        table.c.expires_at <= _browser.c.expires_at,
    )
    kept = select(func.count()).select_from(table).where(joining, within, unmoved)
    unmoved_now = int(connection.execute(kept).scalar_one())
    return Regrouped(unmoved_now, _join(connection, joining, sample))


def bring_down(connection: Connection, members: ColumnElement[bool]) -> int:
    """Children no later than their browser session, by either deadline; answer how many were."""
    parents = select(_browser.c.id).where(_PARENT)
    later = exists(
        parents.where(
            or_(
                table.c.idle_timeout > _browser.c.idle_timeout,
                table.c.expires_at > _browser.c.expires_at,
            )
        )
    )
    statement = update(table).where(
        table.c.ended_at.is_(None), table.c.end_reason.is_(None), members, later
    )
    changed: int = connection.execute(
        statement.values(
            idle_timeout=_at_most(table.c.idle_timeout, _browser.c.idle_timeout),
            expires_at=_at_most(table.c.expires_at, _browser.c.expires_at),
        )
    ).rowcount
    return changed


def _at_most(own: ColumnElement[int], parents: ColumnElement[int]) -> ColumnElement[int]:
    bound = select(parents).where(_PARENT).scalar_subquery()
    return case((own > bound, bound), else_=own)


def _release(connection: Connection, freed: ColumnElement[bool]) -> None:
    statement = update(table).where(freed, table.c.parent.is_not(None))
    connection.execute(statement.values(entered_through=table.c.parent, parent=None))


def _join(connection: Connection, joining: ColumnElement[bool], sample: int) -> tuple[str, ...]:
    """Make them children; answer some of them."""
    shown = tuple(connection.execute(select(table.c.id).where(joining).limit(sample)).scalars())
    if not shown:
        return ()
    # As if they had been children all along: the activity of a child is its parent's, and what is entered
    # from a locked one is locked.
    active = (
        select(func.max(table.c.last_active_at)).where(joining, _ENTERED_THROUGH).scalar_subquery()
    )
    connection.execute(
        update(_browser).where(active > _browser.c.last_active_at).values(last_active_at=active)
    )
    locked_at = select(_browser.c.locked_at).where(_ENTERED_THROUGH).scalar_subquery()
    connection.execute(
        update(table)
        .where(joining)
        .values(
            parent=table.c.entered_through,
            entered_through=None,
            locked_at=func.coalesce(table.c.locked_at, locked_at),
        )
    )
    return shown


def _is_live() -> tuple[ColumnElement[bool], ...]:
    return _browser.c.ended_at.is_(None), _browser.c.end_reason.is_(None)


def _outlives(policy: EffectivePolicy, whose: ColumnElement[bool]) -> ColumnElement[bool]:
    if policy.end_children is False:
        return true()
    return exists().where(whose, _outlives_it(policy))


def _outlives_it(policy: EffectivePolicy) -> ColumnElement[bool]:
    """`policy.outlives`, of the browser session that a query is about."""
    if policy.end_children is not None:
        return false()
    return or_(
        _browser.c.idle_timeout < policy.idle_timeout,
        _browser.c.expires_at - _browser.c.created_at < policy.maximum_lifetime * 1000,
    )
