"""A change of the rules, carried through to the sessions that live under them.

All of it is statements over many rows, in the transaction that stored the change: from the commit on, what
is too old or too many is over on every node. Deadlines only move to earlier: a looser rule is for
sessions that start from now on, because an existing one may have been given less on purpose.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    text,
    true,
    update,
)

from iam.db.tables import DUE_AT
from iam.db.tables import session as table
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM, Actor
from iam.kernel.secrets import Random
from iam.sessions import store
from iam.sessions.cut import cut, cut_at
from iam.sessions.knobs import AtLimit
from iam.sessions.layers import Said, read_said
from iam.sessions.lifecycle import BATCH, Ended, end_due
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason, Session
from iam.sessions.policy import NAMES, EffectivePolicy, Layer
from iam.sessions.regroup import bring_down, regroup
from iam.sessions.search import lives

SAMPLE = 10
"""Sessions that a change is illustrated with."""
_LIVE = table.c.ended_at.is_(None)
_TIMES = frozenset(
    ("idle_timeout", "maximum_lifetime", "remember_idle_timeout", "remember_maximum_lifetime")
)
_LIMITS = frozenset(("exclusive", "maximum_sessions", "maximum_user_sessions"))
_FELT = _TIMES | _LIMITS | {"end_children"}
"""The knobs that live sessions feel; the others are asked when something happens."""
Pair = tuple[str, str]
"""An organization and an application."""


@dataclass(kw_only=True)
class Impact:
    """What a change did to live sessions."""

    shortened: Counter[Pair] = field(default_factory=Counter)
    ended: Counter[Pair] = field(default_factory=Counter)
    sample: tuple[Session, ...] = ()
    """Some of them, as they are now."""
    noted: tuple[Ended, ...] = ()
    """The ends that are noted already; the sweep notes the others."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Live sessions of one application under one policy."""

    pair: Pair
    policy: EffectivePolicy
    members: ColumnElement[bool]
    users: ColumnElement[bool]
    """Whose sessions they are, at any application."""


def apply_policy(
    connection: Connection,
    layer: Layer,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    changed: Collection[str] = NAMES,
) -> Impact:
    """Bring the live sessions that a layer governs down to what all layers say now.

    Call it in the transaction that stored the change, after `hold_rules` with the layer's `reach`. What
    its time ends has the reason `policy`, what there is no room for `limit` or `exclusive`. The first
    thousand ends are noted here, the rest by the sweep.

    Args:
        changed: the knobs that were turned. Sessions that were extended keep what they were given
            until a time is.
    """
    impact = Impact()
    _settle_due(connection, layer, now)
    groups = list(_groups(connection, layer)) if _FELT.intersection(changed) else []
    samples: list[str] = []
    times = bool(_TIMES.intersection(changed))
    if "end_children" in changed:
        samples += _regroup(connection, layer, groups, actor, now, impact, times=times)
    if times:
        samples += _shorten(connection, layer, groups, impact)
    if times or "end_children" in changed:
        _end_what_is_too_old(connection, layer, actor, now, impact)
    if _LIMITS.intersection(changed):
        for group in groups:
            _make_room(connection, group, actor, now)
    impact.ended = Counter(dict(_cut_by_pair(connection, now, None)))
    over = select(table.c.id).where(*cut_at(now)).limit(SAMPLE)
    samples = [*connection.execute(over).scalars(), *samples]
    chosen = list(dict.fromkeys(samples))[:SAMPLE]
    found = store.read_sessions(connection, chosen)
    impact.sample = tuple(found[one] for one in chosen)
    impact.noted = end_due(connection, layer.reach, now=now, random=random, limit=BATCH).ended
    return impact


def _settle_due(connection: Connection, layer: Layer, now: Instant) -> None:
    """What a deadline had ended before the change keeps its own reason and instant."""
    idle_at = table.c.last_active_at + table.c.idle_timeout * 1000
    reason = case((idle_at < table.c.expires_at, str(EndReason.IDLE)), else_=str(EndReason.EXPIRED))
    statement = update(table).where(*_of_users(layer), *_due(now))
    # Not `now`, by which is known what the change itself ends.
    values = {"expires_at": DUE_AT, "check_at": now - 1, "end_reason": reason, "ended_by": SYSTEM}
    connection.execute(statement.values(values))


def _due(now: Instant) -> tuple[ColumnElement[bool], ...]:
    over: Any = text(f"{DUE_AT.text} <= :due").bindparams(due=now)
    return (_LIVE, table.c.end_reason.is_(None), table.c.check_at <= now, over)


def _shorten(
    connection: Connection, layer: Layer, groups: Sequence[_Group], impact: Impact
) -> list[str]:
    """Move deadlines to earlier; answer some of the sessions whose were."""
    samples: list[str] = []
    # Parents first: a child is brought down to what its parent has by then.
    for children in (False, True):
        for group in groups:
            meant = (_LIVE, group.members, _too_long(group.policy, children=children))
            if len(samples) < SAMPLE:
                query = select(table.c.id).where(*meant).limit(SAMPLE - len(samples))
                samples += connection.execute(query).scalars()
            idle_timeout, expires_at = _bounds(group.policy, children=children)
            statement = update(table).where(*meant)
            changed = connection.execute(
                statement.values(
                    idle_timeout=_lesser(table.c.idle_timeout, idle_timeout),
                    expires_at=_lesser(table.c.expires_at, expires_at),
                )
            ).rowcount
            impact.shortened[group.pair] += changed
    store.check_in_time(connection, layer.reach)
    return samples


def _regroup(
    connection: Connection,
    layer: Layer,
    groups: Sequence[_Group],
    actor: Actor,
    now: Instant,
    impact: Impact,
    *,
    times: bool,
) -> list[str]:
    """Have sessions end with their browser session, or not; answer some of those that will.

    Who will is counted as shortened, once: here, or as its deadlines are brought down, by `_shorten` if
    `times` are turned as well.
    """
    samples: list[str] = []
    for group in groups:
        idle_timeout, expires_at = _bounds(group.policy, children=False)
        within = and_(table.c.idle_timeout <= idle_timeout, table.c.expires_at <= expires_at)
        done = regroup(
            connection,
            group.members,
            group.policy,
            unmoved=within if times else true(),
            actor=actor,
            now=now,
            sample=SAMPLE,
        )
        samples += done.sample
        impact.shortened[group.pair] += done.unmoved
        if not times:
            impact.shortened[group.pair] += bring_down(connection, group.members)
    store.check_in_time(connection, layer.reach)
    return samples


def _end_what_is_too_old(
    connection: Connection, layer: Layer, actor: Actor, now: Instant, impact: Impact
) -> None:
    before = dict(_cut_by_pair(connection, now, EndReason.POLICY))
    cut(connection, (*_governed(layer), *_due(now)), EndReason.POLICY, actor, now)
    # What is over is no longer counted as shortened.
    for pair, number in _cut_by_pair(connection, now, EndReason.POLICY):
        impact.shortened[pair] -= number - before.get(pair, 0)
    impact.shortened = +impact.shortened


def _governed(layer: Layer) -> list[ColumnElement[bool]]:
    """The sessions that a layer may bear on. What governs browser sessions bears on their children too."""
    users = _of_users(layer)
    if layer.kind != "application" or layer.name == BUILT_IN_APPLICATION:
        return users
    return [*users, table.c.application == layer.name]


def _of_users(layer: Layer) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if layer.reach is not None:
        conditions.append(table.c.organization == layer.reach)
    if layer.kind == "role":
        conditions.append(("," + table.c.roles + ",").contains(f",{layer.name},", autoescape=True))
    if layer.kind == "user":
        conditions.append(table.c.user_name == layer.name)
    return conditions


def _groups(connection: Connection, layer: Layer) -> Iterator[_Group]:
    """The live sessions that a layer governs, by application and policy."""
    governed = (_LIVE, *_governed(layer))
    organizations = select(table.c.organization).where(*governed).distinct()
    for organization in connection.execute(organizations).scalars().all():
        here = table.c.organization == organization
        said = read_said(connection, organization)
        own = sorted(said.names("user"))
        roles = said.names("role")
        kinds = [table.c.application, *([table.c.roles] if roles else [])]
        everybody = and_(here, table.c.user_name.not_in(own)) if own else here
        alike: dict[tuple[str, EffectivePolicy], list[str]] = {}
        for row in connection.execute(select(*kinds).where(*governed, everybody).distinct()):
            written = row.roles if roles else ""
            policy = said.holds(row.application, roles=_relevant(written, roles))
            alike.setdefault((row.application, policy), []).append(written)
        for (application, policy), texts in alike.items():
            users = and_(everybody, table.c.roles.in_(texts)) if roles else everybody
            yield _group(layer, organization, application, policy, users)
        if own:
            yield from _own_groups(connection, layer, said, own, roles)


def _own_groups(
    connection: Connection, layer: Layer, said: Said, own: list[str], roles: frozenset[str]
) -> Iterator[_Group]:
    """The groups of the users who have a policy of their own."""
    theirs = and_(table.c.organization == said.organization, table.c.user_name.in_(own))
    kinds = select(table.c.application, table.c.user_name, table.c.roles).distinct()
    for row in connection.execute(kinds.where(_LIVE, *_governed(layer), theirs)).all():
        policy = said.holds(row.application, user=row.user_name, roles=_relevant(row.roles, roles))
        users = and_(theirs, table.c.user_name == row.user_name, table.c.roles == row.roles)
        yield _group(layer, said.organization, row.application, policy, users)


def _group(
    layer: Layer,
    organization: str,
    application: str,
    policy: EffectivePolicy,
    users: ColumnElement[bool],
) -> _Group:
    members = and_(users, table.c.application == application, *_governed(layer))
    return _Group((organization, application), policy, members, and_(users, *_of_users(layer)))


def _relevant(roles: str, known: frozenset[str]) -> list[str]:
    return [role for role in roles.split(",") if role in known]


def _bounds(
    policy: EffectivePolicy, *, children: bool
) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """The latest deadlines that a session may have: an idle timeout, and an instant."""
    (idle, longest), (idle_kept, longest_kept) = (
        policy.times(remembered=remembered) for remembered in (False, True)
    )
    idle_timeout: ColumnElement[int] = case(
        (table.c.remembered, literal(idle_kept)), else_=literal(idle)
    )
    lifetime: ColumnElement[int] = case(
        (table.c.remembered, literal(longest_kept * 1000)), else_=literal(longest * 1000)
    )
    expires_at = table.c.created_at + lifetime
    if not children:
        return idle_timeout, expires_at
    parent = table.alias("parent_session")
    of_parent = parent.c.id == table.c.parent
    return (
        _lesser(
            idle_timeout,
            func.coalesce(
                select(parent.c.idle_timeout).where(of_parent).scalar_subquery(), idle_timeout
            ),
        ),
        _lesser(
            expires_at,
            func.coalesce(
                select(parent.c.expires_at).where(of_parent).scalar_subquery(), expires_at
            ),
        ),
    )


def _too_long(policy: EffectivePolicy, *, children: bool) -> ColumnElement[bool]:
    idle_timeout, expires_at = _bounds(policy, children=children)
    side = table.c.parent.is_not(None) if children else table.c.parent.is_(None)
    return and_(
        side,
        table.c.end_reason.is_(None),
        or_(table.c.idle_timeout > idle_timeout, table.c.expires_at > expires_at),
    )


def _lesser(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one < other, one), else_=other)


def _make_room(connection: Connection, group: _Group, actor: Actor, now: Instant) -> None:
    """End what is too many. Where the policy would rather refuse or ask, the most recently active stay."""
    policy = group.policy
    if policy.exclusive:
        newest = _beyond(group.members, 1, AtLimit.END_OLDEST, now)
        cut(connection, newest, EndReason.EXCLUSIVE, actor, now)
    if policy.maximum_sessions is not None:
        surplus = _beyond(group.members, policy.maximum_sessions, policy.at_limit, now)
        cut(connection, surplus, EndReason.LIMIT, actor, now)
    if policy.maximum_user_sessions is not None:
        users = and_(group.users, _decided_by(group, now))
        surplus = _beyond(users, policy.maximum_user_sessions, policy.at_limit, now)
        cut(connection, surplus, EndReason.LIMIT, actor, now)


def _decided_by(group: _Group, now: Instant) -> ColumnElement[bool]:
    """Whose places this group decides about. How many a user may have is decided where they sign in; of
    who has sessions of back ends only, at each of these applications."""
    organization, application = group.pair
    here = select(table.c.user_name).where(lives(now), group.members).correlate(None)
    decided = table.c.user_name.in_(here)
    if application == BUILT_IN_APPLICATION:
        return decided
    signed_in = select(table.c.user_name).where(
        lives(now),
        table.c.organization == organization,
        table.c.application == BUILT_IN_APPLICATION,
    )
    return and_(decided, table.c.user_name.not_in(signed_in.correlate(None)))


def _beyond(
    counted: ColumnElement[bool], most: int, at_limit: AtLimit, now: Instant
) -> tuple[ColumnElement[bool], ...]:
    """Those of the counted sessions that live and whose seat is not among their user's first `most`."""
    seat = func.coalesce(table.c.parent, table.c.entered_through, table.c.id)
    active = func.max(table.c.last_active_at).over(partition_by=(table.c.user_name, seat))
    seats = (
        select(table.c.id, table.c.user_name, seat.label("seat"), active.label("active"))
        .where(counted, lives(now))
        .subquery()
    )
    newest = [seats.c.seat.desc()]  # an ID begins with its time
    order = newest if at_limit is AtLimit.END_OLDEST else [seats.c.active.desc(), *newest]
    place = func.dense_rank().over(partition_by=seats.c.user_name, order_by=order)
    ranked = select(seats.c.id, place.label("place")).subquery()
    return (table.c.id.in_(select(ranked.c.id).where(ranked.c.place > most)),)


def _cut_by_pair(
    connection: Connection, now: Instant, reason: EndReason | None
) -> list[tuple[Pair, int]]:
    query = (
        select(table.c.organization, table.c.application, func.count())
        .where(*cut_at(now))
        .group_by(table.c.organization, table.c.application)
    )
    if reason is not None:
        query = query.where(table.c.end_reason == str(reason))
    return [
        ((organization, application), n)
        for organization, application, n in connection.execute(query)
    ]
