"""Raising: somebody proves again who they are, and goes on with the session they have.

Its ID stays, and so does what was entered from it; its secret does not, for whoever had read the former
one has proved nothing (ASVS 7.2.4, RFC 9470).
"""

from dataclasses import replace

from sqlalchemy import Connection

from iam.kernel.authn import acr_of
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Actor, Origin
from iam.kernel.secrets import Random
from iam.sessions import lifecycle, store, touch
from iam.sessions.lifecycle import Started
from iam.sessions.model import Session


def raise_session(
    connection: Connection,
    session_id: str,
    *,
    amr: tuple[str, ...],
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    authenticated_at: Instant | None = None,
) -> Started | None:
    """Give a live session a new secret, and note that its holder has authenticated by these methods;
    None if it is over. It lives no longer by it than it would have.

    Args:
        authenticated_at: when, if not now. One that is known to be later stays.
    """
    rotated = lifecycle.rotate(
        connection, session_id, actor=actor, now=now, random=random, origin=origin
    )
    if rotated is None:
        return None
    at = now
    if authenticated_at is not None:
        at = max(authenticated_at, rotated.session.authenticated_at or authenticated_at)
    raised = replace(rotated.session, authenticated_at=at, amr=amr, acr=acr_of(amr))
    store.set_authentication(connection, raised)
    touch.write_touches(connection, {session_id: now}, now)
    return replace(rotated, session=replace(raised, last_active_at=now), raised=True)


def follow(connection: Connection, child: Session, parent: Session) -> Session:
    """A child, with what its parent's holder has proved since: so that the application that is entered
    again is told the truth about when and how."""
    at, before = parent.authenticated_at, child.authenticated_at or 0
    # A child that was unlocked by itself may know better. A second factor that was shown besides leaves
    # the time as it was.
    if at is None or at < before or (at == before and parent.amr == child.amr):
        return child
    followed = replace(child, authenticated_at=at, amr=parent.amr, acr=parent.acr)
    store.set_authentication(connection, followed)
    return followed
