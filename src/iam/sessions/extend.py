"""Extending: a live session may go on for as long as the policy allows from now."""

from sqlalchemy import Connection, update

from iam import audit
from iam.db.tables import session as table
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Conflict
from iam.kernel.events import NOWHERE, Actor, Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import store
from iam.sessions.layers import effective_policy
from iam.sessions.model import Session
from iam.sessions.policy import end_reason
from iam.sessions.rules import share_rules


class SessionOver(Conflict):
    """What has ended is not brought back."""

    code = "session_over"
    title = "There is no such live session; only a live one can be changed."


def extend(
    connection: Connection,
    session: Session,
    *,
    lifetime: int | None,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> Session:
    """Move the end of a session's lifetime to `lifetime` seconds from now: no further than the maximum
    lifetime that its policy gives from now, never past its parent's end, and never back.

    Raises:
        SessionOver: it has ended.
    """
    share_rules(connection, session.organization)
    # A parent is older than its children, so this is the order in which everybody locks.
    family = [session.id] if session.parent is None else [session.parent, session.id]
    locked = {one.id: one for one in store.lock_live(connection, family)}
    found = locked.get(session.id)
    if found is None or end_reason(found, now) is not None:
        raise SessionOver
    policy = effective_policy(
        connection,
        found.organization,
        found.application,
        user=found.user,
        roles=found.identity.roles,
    )
    _, longest = policy.times(remembered=found.remembered)
    until = after(now, longest if lifetime is None else min(lifetime, longest))
    if found.parent is not None:
        parent = locked.get(found.parent)
        if parent is None or end_reason(parent, now) is not None:
            raise SessionOver
        until = min(until, parent.expires_at)
    if until > found.expires_at:
        connection.execute(update(table).where(table.c.id == found.id).values(expires_at=until))
        event = Event(
            id=make_id(EVENT, now, random),
            at=now,
            type="session.extended",
            actor=actor,
            organization=found.organization,
            user=found.user,
            application=found.application,
            session=found.id,
            origin=origin,
            data={"expires_at": until},
        )
        audit.append(connection, [event])
    extended = store.read_session(connection, found.id)
    if extended is None:
        raise SessionOver
    return extended
