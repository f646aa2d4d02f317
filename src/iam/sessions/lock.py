"""Lock and unlock: a live session that is refused until its user has shown who they are once more.

It stays what it is: listed, counted, entered in its record, its deadlines running. Locking a browser
session locks what was entered from it, so that one row is still enough to judge a request; those that
were locked with it are unlocked with it.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select, update

from iam import audit
from iam.db.tables import session as table
from iam.kernel.authn import acr_of
from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict
from iam.kernel.events import NOWHERE, Actor, Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import lifecycle, store, touch
from iam.sessions.extend import SessionOver
from iam.sessions.lifecycle import Started
from iam.sessions.model import Session
from iam.sessions.policy import end_reason


class NotLocked(Conflict):
    """There is nothing to unlock."""

    code = "not_locked"
    title = "This session is not locked."


class ParentLocked(Conflict):
    """The browser session that it was entered from is locked: that one is to be unlocked."""

    code = "parent_locked"
    title = "The browser session is locked: unlock that one."


def lock(
    connection: Connection,
    session_id: str,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> Session:
    """Lock a session with what was entered from it; what is locked already stays so, since when it was.

    Raises:
        SessionOver: it has ended.
    """
    # A parent before its children, which is the order in which everybody locks; while it is held no
    # other child can be started.
    own = store.lock_live(connection, [session_id])
    if not own or end_reason(own[0], now) is not None:
        raise SessionOver
    children = store.lock_live(connection, store.children_of(connection, [session_id]))
    new = [s for s in (*own, *children) if s.locked_at is None and end_reason(s, now) is None]
    _set_locked(connection, new, now)
    cause = (actor, now, random, origin)
    audit.append(connection, [_event("session.locked", one, *cause) for one in new])
    return _now(connection, session_id)


def unlock(
    connection: Connection,
    session_id: str,
    *,
    holder: str,
    amr: tuple[str, ...],
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> Started:
    """Unlock a session for a person who has just authenticated; the holder's gets a new secret.

    Args:
        holder: the session whose token was shown: this one, or the one that it was entered from.
        amr: by which methods they have.

    Raises:
        SessionOver: it has ended.
        NotLocked: it is not locked (any more).
        ParentLocked: the browser session that it was entered from is locked as well.
    """
    rows = {s.id: s for s in store.lock_live(connection, [holder, session_id])}
    found, own = rows.get(session_id), rows.get(holder)
    for one in (found, own):
        if one is None or end_reason(one, now) is not None:
            raise SessionOver
    if found is None or found.locked_at is None:
        raise NotLocked
    if found.parent is not None and _is_locked(connection, found.parent):
        raise ParentLocked
    children = store.lock_live(connection, store.children_of(connection, [session_id]))
    together = [found, *(one for one in children if one.locked_at == found.locked_at)]
    _set_locked(connection, together, None)
    cause = (actor, now, random, origin)
    audit.append(connection, [_event("session.unlocked", one, *cause) for one in together])
    # Whoever was asked for this anew has authenticated now; nobody has for a back end's own session.
    proven = table.c.authenticated_at.is_not(None)
    statement = update(table).where(table.c.id == holder, proven)
    values = {"authenticated_at": now, "amr": list(amr), "acr": acr_of(amr)}
    connection.execute(statement.values(**values))
    active = {one for one in (session_id, found.parent, holder) if one is not None}
    touch.write_touches(connection, dict.fromkeys(active, now), now)
    rotated = lifecycle.rotate(
        connection, holder, actor=actor, now=now, random=random, origin=origin
    )
    if rotated is None:
        raise SessionOver
    return rotated


def locked_child(connection: Connection, parent: str, application: str, now: Instant) -> str | None:
    """The session of this application that was entered from this browser session, if it is locked."""
    query = select(table.c.id).where(
        or_(table.c.parent == parent, table.c.entered_through == parent),
        table.c.application == application,
        table.c.ended_at.is_(None),
        table.c.locked_at.is_not(None),
    )
    found = store.read_sessions(connection, list(connection.execute(query).scalars()))
    return min((s.id for s in found.values() if end_reason(s, now) is None), default=None)


def _is_locked(connection: Connection, session_id: str) -> bool:
    query = select(table.c.locked_at).where(table.c.id == session_id, table.c.ended_at.is_(None))
    return connection.execute(query).scalar_one_or_none() is not None


def _set_locked(connection: Connection, sessions: Iterable[Session], at: Instant | None) -> None:
    ids = [one.id for one in sessions]
    for first in range(0, len(ids), lifecycle.BATCH):
        batch = table.c.id.in_(ids[first : first + lifecycle.BATCH])
        connection.execute(update(table).where(batch).values(locked_at=at))


def _now(connection: Connection, session_id: str) -> Session:
    found = store.read_session(connection, session_id)
    if found is None:
        raise SessionOver
    return found


def _event(
    type_: str, session: Session, actor: Actor, now: Instant, random: Random, origin: Origin
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
        origin=origin,
        data={"parent": session.parent} if session.parent else {},
    )
