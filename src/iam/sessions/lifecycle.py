"""Start, rotate, end: the only ways in which a session changes.

Each takes a connection (one transaction, which is the caller's) and `now`, and writes the event of
what it did along with it. When the transaction is committed, it is true on every node.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from iam import audit
from iam.db.prepared import together
from iam.kernel.authn import acr_of
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Unauthenticated
from iam.kernel.events import NOWHERE, SYSTEM, Actor, Event, Origin
from iam.kernel.ids import EVENT, SESSION, make_id
from iam.kernel.secrets import Random, hash_secret, make_secret, make_token
from iam.sessions import store, touch
from iam.sessions.model import EndReason, Identity, Selection, Session
from iam.sessions.policy import EffectivePolicy, end_reason, outlives


class ParentEnded(Unauthenticated):
    """The browser session that an application should be entered from is over."""

    code = "parent_ended"
    title = "The browser session has ended. Sign in again."


class EntryLocked(ParentEnded):
    """The browser session is locked, or its session of that application is: nothing is entered."""

    code = "session_locked"
    title = "This session is locked. Unlock it with your password."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What a session is started with. Nothing here is an ID or a secret: those are always made anew,
    so that nobody can have a victim use a session whose key they already hold (fixation)."""

    organization: str
    user: str
    application: str
    identity: Identity
    parent: str | None = None
    authenticated_at: Instant | None = None
    amr: tuple[str, ...] = ()
    origin: Origin = NOWHERE
    device: str | None = None
    instance: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    maximum_lifetime: int | None = None
    """Seconds; makes this session end earlier than its policy says, never later."""
    remembered: bool = False
    """Its holder asks to be kept signed in, which counts where the policy allows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A new session and the token that is its only key: shown once, not stored."""

    session: Session
    token: str
    ended: tuple["Ended", ...] = ()
    """What it took the place of."""
    raised: bool = False
    """The session was there before: its holder has authenticated again (`sessions.raising`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A session whose end was noted, and why."""

    session: Session
    at: Instant
    reason: EndReason
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a look at the sessions whose time may have come brought: who was over, and whether there
    may be more to look at."""

    ended: tuple[Ended, ...]
    more: bool


def start(
    connection: Connection,
    new: NewSession,
    policy: EffectivePolicy,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
) -> Started:
    """Start a session, entered in its record, with a new ID and secret.

    As a child it lives no longer than its parent, by either deadline; under a policy that does not
    want that it starts as a session of its own (`policy.outlives`).

    Raises:
        ParentEnded: there is no such parent, it is over or locked.
    """
    remembered = new.remembered and policy.may_remember
    idle_timeout, longest = policy.times(remembered=remembered)
    expires_at = after(now, min(longest, new.maximum_lifetime or longest))
    parent = _live_parent(connection, new.parent, now) if new.parent is not None else None
    if parent is not None and outlives(policy, parent):
        parent = None
    if parent is not None:
        idle_timeout = min(idle_timeout, parent.idle_timeout)
        expires_at = min(expires_at, parent.expires_at)
        # Entering an application is activity of the browser session too, and a child must never
        # have been active later than its parent: its own row has to be enough to judge it.
        touch.write_touches(connection, {parent.id: now}, now)
    secret = make_secret(random)
    session = Session(
        id=make_id(SESSION, now, random),
        organization=new.organization,
        user=new.user,
        application=new.application,
        parent=parent.id if parent is not None else None,
        instance=new.instance,
        created_at=now,
        authenticated_at=new.authenticated_at,
        last_active_at=now,
        idle_timeout=idle_timeout,
        expires_at=expires_at,
        ended_at=None,
        end_reason=None,
        ended_by=None,
        identity=new.identity,
        amr=new.amr,
        acr=acr_of(new.amr),
        ip=new.origin.ip,
        user_agent=new.origin.user_agent,
        device=new.device,
        metadata=new.metadata,
        entered_through=new.parent if parent is None else None,
        remembered=remembered,
    )
    data = {"parent": session.parent} if session.parent else {}
    event = _event("session.started", session, actor, now, random, new.origin, None, data)
    together(
        connection,
        *store.inserting(connection, session, hash_secret(secret)),
        *audit.appending(connection, [event]),
    )
    return Started(session=session, token=make_token(session.id, secret))


def _live_parent(connection: Connection, parent_id: str, now: Instant) -> Session:
    # Not a shared lock: it is touched below, and two starts that shared it would wait for each other.
    locked = store.lock_live(connection, [parent_id])
    if not locked or not locked[0].is_browser_session or end_reason(locked[0], now) is not None:
        raise ParentEnded
    if locked[0].locked_at is not None:
        raise EntryLocked
    return locked[0]


def rotate(
    connection: Connection,
    session_id: str,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> Started | None:
    """Give a live session a new secret under its old ID; None if it is over.

    From the commit on the former token is that of an unknown session. It is no activity by itself: a
    caller for whom it is touches the session, and the parent with it.
    """
    locked = store.lock_live(connection, [session_id])
    if not locked or end_reason(locked[0], now) is not None:
        return None
    secret = make_secret(random)
    store.set_secret(connection, session_id, hash_secret(secret))
    event = _event("session.rotated", locked[0], actor, now, random, origin, None, {})
    audit.append(connection, [event])
    return Started(session=locked[0], token=make_token(session_id, secret))


def end(
    connection: Connection,
    session_ids: Iterable[str],
    *,
    reason: EndReason,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    note: str | None = None,
    everywhere: str | None = None,
) -> tuple[Ended, ...]:
    """End these sessions and their children; answer what was ended, in ID order.

    A session that a deadline has ended already keeps that as its reason, at the instant of that
    deadline; one whose end is noted is left as it is, so that nothing ends twice. Unknown IDs are
    passed over.

    Args:
        everywhere: where all that a user has ends together, a name for that: an application is then told
            once of its user, not of each session.
    """
    wanted = set(session_ids)
    if not wanted:
        return ()
    locked = {s.id: s for s in store.lock_live(connection, _family(connection, wanted))}
    # A child that was started between the look and the lock; no other can come, for its parent is
    # locked now.
    late = set(_family(connection, wanted)) - locked.keys()
    locked.update((s.id, s) for s in store.lock_live(connection, late))
    ends = []
    for session in sorted(locked.values(), key=lambda one: one.id):
        over = end_reason(session, now)
        if over is not None:
            # By a deadline, or by a cut: that one has left word who it was.
            who = session.ended_by or SYSTEM
            ended = Ended(session=session, at=session.over_at, reason=over, actor=who)
        elif session.id in wanted:
            ended = Ended(session=session, at=now, reason=reason, actor=actor)
        else:
            ended = Ended(session=session, at=now, reason=EndReason.PARENT_ENDED, actor=actor)
        ends.append(ended)
    if ends:
        store.note_ends(connection, [(e.session, e.at, e.reason, e.actor) for e in ends])
        more = {"note": note, "everywhere": everywhere}
        audit.append(connection, [_ended_event(e, now, random, origin, more) for e in ends])
    return tuple(ends)


def _family(connection: Connection, session_ids: set[str]) -> Sequence[str]:
    return [*session_ids, *store.children_of(connection, sorted(session_ids))]


def end_due(
    connection: Connection,
    organization: str | None,
    *,
    now: Instant,
    random: Random,
    limit: int,
) -> Due:
    """Look at up to `limit` sessions that may be over (None: of any organization) and note the end
    of those whose deadline has passed."""
    ids = store.select_due(connection, organization, now, limit)
    alive: list[Session] = []
    over: list[Session] = []
    for session in store.lock_live(connection, ids):
        (alive if end_reason(session, now) is None else over).append(session)
    # The others have been active since they started, or since they were last looked at.
    store.check_later(connection, alive)
    reason, gone = EndReason.EXPIRED, [session.id for session in over]
    ended = end(connection, gone, reason=reason, actor=SYSTEM, now=now, random=random)
    return Due(ended=ended, more=len(ids) == limit)


def end_selected(
    connection: Connection,
    selection: Selection,
    *,
    reason: EndReason,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    note: str | None = None,
    limit: int | None = None,
) -> tuple[Ended, ...]:
    """End all live sessions that a selection means (or its `limit` oldest), with their children."""
    ids = store.select_live(connection, selection, limit=limit)
    everywhere = make_id(EVENT, now, random) if selection.is_everywhere else None
    ended: list[Ended] = []
    for first in range(0, len(ids), BATCH):
        ended += end(
            connection,
            ids[first : first + BATCH],
            reason=reason,
            actor=actor,
            now=now,
            random=random,
            origin=origin,
            note=note,
            everywhere=everywhere,
        )
    return tuple(ended)


# Bound on the IDs in one statement: databases limit their number.
BATCH = 1000


def _ended_event(
    ended: Ended, now: Instant, random: Random, origin: Origin, more: Mapping[str, str | None]
) -> Event:
    data: dict[str, object] = {"ended_at": ended.at}
    if ended.reason is EndReason.PARENT_ENDED:
        data["parent"] = ended.session.parent
    data |= {name: value for name, value in more.items() if value is not None}
    return _event(
        "session.ended",
        ended.session,
        ended.actor,
        now,
        random,
        origin,
        ended.reason,
        data,
    )


def _event(
    type_: str,
    session: Session,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin,
    reason: EndReason | None,
    data: Mapping[str, object],
) -> Event:
    return Event(
        id=make_id(EVENT, now, random),
        at=now,
        type=type_,
        actor=actor,
        organization=session.organization,
        user=session.user,
        application=session.application,
        session=session.id,
        reason=reason,
        origin=origin,
        data=data,
    )
