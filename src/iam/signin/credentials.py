"""What follows where a user's password or second factor has changed: sessions that began under the former one
end, and an event says so."""

from collections.abc import Mapping

from sqlalchemy import Connection

from iam import audit
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Actor, Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import cut
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, Selection


def credentials_changed(
    connection: Connection,
    type_: str,
    organization: str,
    user: str,
    *,
    data: Mapping[str, object],
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    holder: str | None = None,
    end_others: bool = True,
) -> tuple[Ended, ...]:
    """End the sessions of a user whose credentials have just changed, and write the event of that change.

    The caller holds the organization's rules (`sessions.rules`), so that no sign-in with the former
    credentials is under way and starts a session after this.

    Args:
        type_, data: of the event.
        holder: the session that changed them, which stays; None where it was none of the user's own.
        end_others: False if whoever holds it wants to keep the others.

    Returns:
        Those whose end is noted already; the others are as much over (`sessions.cut`).
    """
    ended: tuple[Ended, ...] = ()
    if end_others:
        ended = cut.end_at_once(
            connection,
            Selection(organization=organization, user=user, but=holder),
            reason=EndReason.CREDENTIALS_CHANGED,
            actor=actor,
            now=now,
            random=random,
            origin=origin,
        )
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type=type_,
        actor=actor,
        organization=organization,
        user=user,
        session=holder,
        origin=origin,
        data=data,
    )
    audit.append(connection, [event])
    return ended
