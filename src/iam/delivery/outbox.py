"""The outbox: claiming what is due, noting what came of it, giving up, sending again, purging.

Receivers are webhooks, and applications (of OpenID Connect and of SAML) that are told when their sessions
end. Of one receiver and session only the oldest pending notice is ever claimed: so they arrive in order. A
claim moves `next_at` ahead by a lease; a node that dies loses it when that runs out, and another one
sends the notice once more: at least once, never not at all.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from iam import audit
from iam.db.notice_tables import delivery as table
from iam.db.notice_tables import webhook
from iam.db.saml_tables import saml_provider
from iam.db.tables import application
from iam.delivery.claims import Claim, Outcome, WebhookNotice
from iam.delivery.listing import Delivery, State, find_delivery
from iam.delivery.logouts import LogoutNotice, read_subjects
from iam.delivery.saml_logouts import soap_notices
from iam.delivery.webhooks import Webhook
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Conflict
from iam.kernel.events import Event
from iam.kernel.ids import APPLICATION, DELIVERY, EVENT, SAML_PROVIDER, WEBHOOK, is_id
from iam.kernel.secrets import Random
from iam.sessions import store
from iam.sessions.model import Selection

FIRST_PAUSE = 5
"""Seconds before the second attempt; each later pause is three times the one before."""
LONGEST_PAUSE = 6 * 60 * 60
_FACTOR = 3
PURGED = 1000
"""Rows that one purge takes away at most."""


class DeliveryPending(Conflict):
    """It is already to be sent."""

    code = "delivery_pending"
    title = "This is still to be delivered: it need not be asked for again."


def receivers_with_due(connection: Connection, now: Instant) -> tuple[str, ...]:
    """The enabled webhooks and the applications for which something is due."""

    def due(receiver: ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(
            table.c.webhook == receiver, table.c.state == "pending", table.c.next_at <= now
        )

    hooks = select(webhook.c.id).where(webhook.c.enabled, due(webhook.c.id))
    told = select(application.c.client_id).where(_TOLD, due(application.c.client_id))
    soap = select(saml_provider.c.id).where(_SOAP, due(saml_provider.c.id))
    return tuple(connection.execute(hooks.union_all(told, soap)).scalars())


def claim(
    connection: Connection, receiver: str, now: Instant, *, lease: int, limit: int
) -> tuple[Claim, ...]:
    """Take up to `limit` notices to this receiver that are due, each of another session, for `lease`
    seconds. Nobody else gets them in that time."""
    earlier = table.alias("earlier")
    waits = exists().where(
        earlier.c.webhook == table.c.webhook,
        earlier.c.session_id == table.c.session_id,
        earlier.c.state == "pending",
        earlier.c.seq < table.c.seq,
    )
    query = (
        select(table.c.seq)
        .where(
            table.c.webhook == receiver,
            table.c.state == "pending",
            table.c.next_at <= now,
            ~waits,
        )
        .order_by(table.c.next_at, table.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = list(connection.execute(query).scalars())
    if not found:
        return ()
    rows = connection.execute(
        update(table)
        .where(table.c.seq.in_(found))
        .values(attempts=table.c.attempts + 1, next_at=after(now, lease))
        .returning(*table.c)
    ).all()
    if is_id(SAML_PROVIDER, receiver):
        return _saml_logouts(connection, receiver, rows)
    if is_id(WEBHOOK, receiver):
        return _events(connection, receiver, rows)
    return _logouts(connection, receiver, rows, now)


def _events(connection: Connection, webhook_id: str, rows: Sequence[Row[Any]]) -> tuple[Claim, ...]:
    target = connection.execute(
        select(webhook.c.url, webhook.c.secret).where(webhook.c.id == webhook_id)
    ).one_or_none()
    if target is None:
        return ()
    events = audit.read_events(connection, [row.event for row in rows])
    _forget(connection, [row.seq for row in rows if row.event not in events], "event_forgotten")
    return tuple(
        Claim(row.seq, row.attempts, target.url, WebhookNotice(events[row.event], target.secret))
        for row in rows
        if row.event in events
    )


def _logouts(
    connection: Connection, client_id: str, rows: Sequence[Row[Any]], now: Instant
) -> tuple[Claim, ...]:
    client = connection.execute(
        select(
            application.c.backchannel_logout_uri.label("url"),
            application.c.id_token_signed_response_alg.label("algorithm"),
            application.c.backchannel_logout_session_required.label("by_session"),
        ).where(application.c.client_id == client_id)
    ).one_or_none()
    if client is None or client.url is None:
        return ()
    events = audit.read_events(connection, [row.event for row in rows])
    subjects = read_subjects(connection, [row.session_id for row in rows])
    _forget(connection, [row.seq for row in rows if row.session_id not in subjects])
    _forget(connection, [row.seq for row in rows if row.event not in events], "event_forgotten")
    return tuple(
        Claim(
            row.seq,
            row.attempts,
            client.url,
            LogoutNotice(
                id=row.id,
                client_id=client_id,
                subject=subjects[row.session_id],
                session=_named(connection, row, events[row.event], client.by_session, now),
                algorithm=client.algorithm,
            ),
        )
        for row in rows
        if row.session_id in subjects and row.event in events
    )


def _named(
    connection: Connection, row: Row[Any], end: Event, by_session: bool, now: Instant
) -> str | None:
    """The session that the notice of this end names; None: all that its user had."""
    together = str(end.data.get("everywhere", ""))
    # The notice that stands for all of them has their common name (`audit.outbox`).
    if not together or not row.id.startswith(DELIVERY + together.removeprefix(EVENT)):
        return end.session
    there = Selection(organization=end.organization, user=end.user, application=end.application)
    if not by_session and not store.select_live(connection, there, limit=1):
        return None
    # They have signed in again before the application could be told. By their name alone it would end that
    # session too: so it is told of each that has ended, as if they had ended one by one.
    for one in audit.ended_with(connection, end):
        if one.id != end.id:
            _tell(connection, row.webhook, one, now)
    return end.session


def _tell(connection: Connection, client_id: str, end: Event, now: Instant) -> None:
    """Put the notice of this one end into the outbox, if it is not there and the client knows the session."""
    if end.session is None or end.session not in read_subjects(connection, [end.session]):
        return
    new = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {
        "id": DELIVERY + end.id.removeprefix(EVENT) + client_id.removeprefix(APPLICATION),
        "webhook": client_id,
        "event": end.id,
        "session_id": end.session,
        "state": "pending",
        "attempts": 0,
        "next_at": now,
        "created_at": end.at,
    }
    connection.execute(new(table).values(values).on_conflict_do_nothing(index_elements=["id"]))


def _saml_logouts(
    connection: Connection, provider: str, rows: Sequence[Row[Any]]
) -> tuple[Claim, ...]:
    notices = soap_notices(connection, provider, {row.id: row.session_id for row in rows})
    _forget(connection, [row.seq for row in rows if row.id not in notices])
    return tuple(
        Claim(row.seq, row.attempts, notices[row.id].url, notices[row.id])
        for row in rows
        if row.id in notices
    )


def _forget(connection: Connection, gone: Sequence[int], why: str = "session_forgotten") -> None:
    """Give up what waited for so long that what it tells of is history no longer: a session, with which goes
    what its application knew it by, or an event (`audit.purge`)."""
    if gone:
        forgotten = {"state": "dead", "last_error": why}
        connection.execute(update(table).where(table.c.seq.in_(gone)).values(forgotten))


def settle(
    connection: Connection,
    claimed: Claim,
    outcome: Outcome,
    now: Instant,
    *,
    attempts: int,
    random: Random,
) -> State:
    """Note what came of an attempt; after `attempts` of them without success it is given up.

    Whoever lost the claim meanwhile can still say that it arrived, and nothing else.
    """
    values: dict[str, Any] = {"last_status": outcome.status, "last_error": outcome.error}
    mine = and_(table.c.seq == claimed.seq, table.c.state == "pending")
    if outcome.error is None:
        state: State = "delivered"
        values |= {"state": state, "delivered_at": now}
    else:
        mine = and_(mine, table.c.attempts == claimed.attempt)
        state = "dead" if outcome.final or claimed.attempt >= attempts else "pending"
        values |= {"state": state, "next_at": after(now, pause(claimed.attempt, random))}
    connection.execute(update(table).where(mine).values(values))
    return state


def pause(attempt: int, random: Random) -> int:
    """Seconds to wait after attempt number `attempt`: thrice as long each time, spread by a half to
    either side, so that what failed together does not come back together."""
    middle: int = min(FIRST_PAUSE * _FACTOR ** min(attempt - 1, 20), LONGEST_PAUSE)
    return max(1, middle // 2 + middle * int.from_bytes(random(2), "big") // 65536)


def add(connection: Connection, target: Webhook, event: Event) -> Delivery:
    """Put a notice of this event, which has been written, into the outbox, whatever types `target`
    wants and whether it is enabled; answer it, or the one that is already there."""
    id_ = DELIVERY + event.id.removeprefix(EVENT) + target.id.removeprefix(WEBHOOK)
    there = connection.execute(select(table.c.seq).where(table.c.id == id_)).first()
    if there is None:
        connection.execute(
            insert(table),
            {
                "id": id_,
                "webhook": target.id,
                "event": event.id,
                "session_id": event.session,
                "state": "pending",
                "attempts": 0,
                "next_at": event.at,
                "created_at": event.at,
            },
        )
    return find_delivery(connection, id_)


def redeliver(connection: Connection, id_: str, now: Instant) -> Delivery:
    """Send it once more, with all attempts again, whether it was delivered or given up.

    Raises:
        DeliveryMissing: there is none.
        DeliveryPending: it is still to be delivered.
    """
    found = find_delivery(connection, id_)
    changed = connection.execute(
        update(table)
        .where(table.c.id == id_, table.c.state != "pending")
        .values(state="pending", attempts=0, next_at=now, delivered_at=None)
    )
    if not changed.rowcount:
        raise DeliveryPending
    return find_delivery(connection, found.id)


def purge(connection: Connection, now: Instant, retention: int) -> int:
    """Delete what is older than `retention` seconds and waits for nobody; answer how many rows."""
    nobody = and_(
        ~exists().where(webhook.c.id == table.c.webhook),
        ~exists().where(application.c.client_id == table.c.webhook, _TOLD),
        ~exists().where(saml_provider.c.id == table.c.webhook, _SOAP),
    )
    over = or_(table.c.state != "pending", nobody)
    old = (
        select(table.c.seq)
        .where(table.c.created_at < after(now, -retention), over)
        .order_by(table.c.created_at)
        .limit(PURGED)
    )
    gone: int = connection.execute(delete(table).where(table.c.seq.in_(old))).rowcount
    return gone


_TOLD = application.c.backchannel_logout_uri.is_not(None)
_SOAP = saml_provider.c.soap_logout_url.is_not(None)
