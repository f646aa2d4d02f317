"""Limits: how many sessions a user may have at once, and which of them make room for a new one.

What is counted are *seats*: a browser session and all that was entered from it are one, a session that
an application started for a user is one. So nobody loses a place by entering one more application.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from iam.db.tables import session as table
from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict
from iam.kernel.events import Actor
from iam.kernel.secrets import Random
from iam.sessions import lifecycle, rules, store
from iam.sessions.knobs import AtLimit
from iam.sessions.lifecycle import Ended, NewSession, Started
from iam.sessions.model import EndReason, Session
from iam.sessions.policy import EffectivePolicy, end_reason


class SessionLimit(Conflict):
    """There is no room for another session of this user, and the policy ends none for it."""

    code = "session_limit"
    title = "This user is signed in in as many places as the policy allows."

    def __init__(self, crowd: "Crowd") -> None:
        super().__init__(
            sessions=[session.id for session in crowd.sessions],
            surplus=crowd.surplus,
            may_choose=crowd.may_choose,
        )
        self.crowd = crowd


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The sessions that leave no room for another, the most recently active first: one of each seat.

    `surplus` of them have to go; `may_choose` if their user may say which.
    """

    sessions: tuple[Session, ...]
    surplus: int
    may_choose: bool


def start_within(
    connection: Connection,
    new: NewSession,
    policy: EffectivePolicy,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    chosen: Collection[str] = (),
) -> Started:
    """Start a session within the limits of its policy; `ended` says what made room for it.

    Call `rules.hold_user` before any row is locked, if the policy has limits.

    Args:
        chosen: session IDs that the user would rather give up, where they may choose (`ask`).

    Raises:
        SessionLimit: there is no room.
        ParentEnded: as `lifecycle.start` does.
    """
    ended: tuple[Ended, ...] = ()
    if policy.limits:
        live = _live(connection, new.organization, new.user, now)
        going = []
        if policy.at_limit is AtLimit.ASK and chosen:
            given_up = _places(live, chosen)
            going.append((EndReason.ENDED_BY_USER, given_up))
            live = _remaining(live, given_up)
        for reason, sessions in (*going, *_going(live, new, policy)):
            ended += lifecycle.end(
                connection,
                _tops(sessions),
                reason=reason,
                actor=actor,
                now=now,
                random=random,
                origin=new.origin,
            )
    started = lifecycle.start(connection, new, policy, actor=actor, now=now, random=random)
    return Started(session=started.session, token=started.token, ended=ended)


def crowd(
    connection: Connection, new: NewSession, policy: EffectivePolicy, now: Instant
) -> Crowd | None:
    """Who leaves no room for this session now, where the policy ends none for it; None if there is room.

    For doors that have to know before they start one. What counts is `start_within`.
    """
    if not policy.limits:
        return None
    try:
        _going(_live(connection, new.organization, new.user, now), new, policy)
    except SessionLimit as error:
        return error.crowd
    return None


def hold(connection: Connection, policy: EffectivePolicy, organization: str, user: str) -> None:
    """`rules.hold_user`, if the policy has limits."""
    if policy.limits:
        rules.hold_user(connection, organization, user)


def _live(
    connection: Connection, organization: str, user: str, now: Instant
) -> tuple[Session, ...]:
    query = select(table.c.id).where(
        table.c.organization == organization,
        table.c.user_name == user,
        table.c.ended_at.is_(None),
    )
    ids = list(connection.execute(query).scalars())
    found = store.read_sessions(connection, ids)
    return tuple(one for one in found.values() if end_reason(one, now) is None)


def _going(
    live: tuple[Session, ...], new: NewSession, policy: EffectivePolicy
) -> list[tuple[EndReason, list[Session]]]:
    """The sessions that make room, by the reason for which they end.

    Raises:
        SessionLimit: the policy does not say which, or says that none should.
    """
    going: list[tuple[EndReason, list[Session]]] = []
    if policy.exclusive:
        here = [one for one in live if one.application == new.application]
        others = [one for one in here if one.seat != new.parent]
        going.append((EndReason.EXCLUSIVE, others))
        live = _remaining(live, others)
    if policy.maximum_sessions is not None:
        here = [one for one in live if one.application == new.application]
        others = _surplus(here, new.parent, policy.maximum_sessions, policy.at_limit)
        going.append((EndReason.LIMIT, others))
        live = _remaining(live, others)
    if policy.maximum_user_sessions is not None:
        others = _surplus(live, new.parent, policy.maximum_user_sessions, policy.at_limit)
        going.append((EndReason.LIMIT, others))
    return going


def _surplus(
    counted: Iterable[Session], own: str | None, most: int, at_limit: AtLimit
) -> list[Session]:
    """The sessions in the seats that have to go, so that one more makes no more than `most`."""
    seats: dict[str, list[Session]] = {}
    for session in counted:
        seats.setdefault(session.seat, []).append(session)
    if own in seats:
        return []  # no new seat is taken
    surplus = len(seats) + 1 - most
    if surplus <= 0:
        return []
    by_activity = sorted(seats.values(), key=lambda seat: (_active(seat), seat[0].seat))
    if at_limit in (AtLimit.REFUSE, AtLimit.ASK):
        shown = tuple(_face(seat) for seat in reversed(by_activity))
        raise SessionLimit(
            Crowd(sessions=shown, surplus=surplus, may_choose=at_limit is AtLimit.ASK)
        )
    if at_limit is AtLimit.END_OLDEST:
        by_activity.sort(key=lambda seat: seat[0].seat)  # an ID begins with its time
    return [session for seat in by_activity[:surplus] for session in seat]


def _active(seat: list[Session]) -> Instant:
    return max(session.last_active_at for session in seat)


def _face(seat: list[Session]) -> Session:
    """The one by which a person knows a seat: its browser session, else its first."""
    return min(seat, key=lambda one: (not one.is_browser_session, one.id))


def _places(live: tuple[Session, ...], chosen: Collection[str]) -> list[Session]:
    """Who gives up a browser session gives up the place: also what would outlive it."""
    return [one for one in live if one.id in chosen or one.entered_through in chosen]


def _remaining(live: tuple[Session, ...], going: Iterable[Session]) -> tuple[Session, ...]:
    """Those that stay, when the children of those that go have gone with them."""
    gone = {one.id for one in going}
    return tuple(one for one in live if one.id not in gone and one.parent not in gone)


def _tops(going: Collection[Session]) -> list[str]:
    """Without the children of others among them: these end because their parents do."""
    gone = {one.id for one in going}
    return [one.id for one in going if one.parent not in gone]
