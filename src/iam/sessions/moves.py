"""A session that is used from another address or by another program than before: an event of its timeline.

Noticed where its holder's browser comes to us, behind the requests: what was seen waits in the process with
the touches (`touch.Touches`), so that there is one look for many requests, and a write only for a move.
"""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection, select

from iam import audit
from iam.db.tables import session as table
from iam.kernel.clock import Instant
from iam.kernel.events import Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import store
from iam.sessions.model import Session
from iam.sessions.policy import end_reason


def note_moves(
    connection: Connection, seen: Mapping[str, Origin], now: Instant, random: Random
) -> int:
    """Note where these sessions were seen last; answer how many had been elsewhere.

    Of what is not known on either side nothing is said.
    """
    columns = (table.c.id, table.c.ip, table.c.user_agent)
    rows = connection.execute(select(*columns).where(table.c.id.in_(list(seen)))).all()
    elsewhere = [one.id for one in rows if _moved(one.ip, one.user_agent, seen[one.id])]
    events = []
    for session in store.lock_live(connection, elsewhere):
        there = seen[session.id]
        if end_reason(session, now) is None and _moved(session.ip, session.user_agent, there):
            now_at = replace(
                session,
                ip=there.ip or session.ip,
                user_agent=there.user_agent or session.user_agent,
            )
            store.set_place(connection, now_at)
            events.append(_event(session, there, now, random))
    audit.append(connection, events)
    return len(events)


def _moved(ip: str | None, user_agent: str | None, there: Origin) -> bool:
    pairs = ((ip, there.ip), (user_agent, there.user_agent))
    return any(None not in (before, after) and before != after for before, after in pairs)


def _event(session: Session, there: Origin, now: Instant, random: Random) -> Event:
    data: dict[str, object] = {}
    if there.ip != session.ip:
        data["from_ip"] = session.ip
    if there.user_agent != session.user_agent:
        data["from_user_agent"] = session.user_agent
    return Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="session.moved",
        actor=user_actor(session.organization, session.user),
        organization=session.organization,
        user=session.user,
        application=session.application,
        session=session.id,
        origin=there,
        data=data,
    )
