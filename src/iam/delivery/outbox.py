"""The outbox: claiming what is due, noting what came of it, giving up, sending again, purging.

Receivers are webhooks, and applications (of OpenID Connect and of SAML) that are told when their sessions
end. Of one receiver and session only the oldest pending notice is ever claimed: so they arrive in order. A
claim moves `next_at` ahead by a lease; a node that dies loses it when that runs out, and another one
sends the notice once more: at least once, never not at all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from iam import audit
from iam.db.notice_tables import delivery as table
from iam.db.notice_tables import webhook
from iam.db.saml_tables import saml_provider
from iam.db.tables import application
from iam.delivery.claims import Claim, Outcome, WebhookNotice
from iam.delivery.logouts import LogoutNotice, read_subjects
from iam.delivery.saml_logouts import soap_notices
from iam.delivery.webhooks import Webhook
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Conflict, Missing
from iam.kernel.events import Event
from iam.kernel.ids import APPLICATION, DELIVERY, EVENT, SAML_PROVIDER, WEBHOOK, is_id
from iam.kernel.secrets import Random

State = Literal["pending", "delivered", "dead"]

FIRST_PAUSE = 5
"""Seconds before the second attempt; each later pause is three times the one before."""
LONGEST_PAUSE = 6 * 60 * 60
_FACTOR = 3
PURGED = 1000
"""Rows that one purge takes away at most."""


class DeliveryMissing(Missing):
    """There is no such delivery, or not for this caller."""

    code = "delivery_not_found"
    title = "There is no such delivery."


class DeliveryPending(Conflict):
    """It is already to be sent."""

    code = "delivery_pending"
    title = "This is still to be delivered: it need not be asked for again."


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice to one webhook, or to one application (by name) that it tells of an end. `next_at`:
    when it is tried (or, if it is under way, tried again)."""

    id: str
    webhook: str | None
    application: str | None
    organization: str | None
    event: str
    session: str | None
    state: State
    attempts: int
    next_at: Instant
    last_status: int | None
    last_error: str | None
    created_at: Instant
    delivered_at: Instant | None


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
    work = _events if is_id(WEBHOOK, receiver) else _logouts
    return work(connection, receiver, rows)


def _events(connection: Connection, webhook_id: str, rows: Sequence[Row[Any]]) -> tuple[Claim, ...]:
    target = connection.execute(
        select(webhook.c.url, webhook.c.secret).where(webhook.c.id == webhook_id)
    ).one_or_none()
    if target is None:
        return ()
    events = audit.read_events(connection, [row.event for row in rows])
    return tuple(
        Claim(row.seq, row.attempts, target.url, WebhookNotice(events[row.event], target.secret))
        for row in rows
    )


def _logouts(connection: Connection, client_id: str, rows: Sequence[Row[Any]]) -> tuple[Claim, ...]:
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
    return tuple(
        Claim(
            row.seq,
            row.attempts,
            client.url,
            LogoutNotice(
                id=row.id,
                client_id=client_id,
                subject=subjects[row.session_id],
                session=None
                if "everywhere" in events[row.event].data and not client.by_session
                else row.session_id,
                algorithm=client.algorithm,
            ),
        )
        for row in rows
        if row.session_id in subjects
    )


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


def _forget(connection: Connection, gone: Sequence[int]) -> None:
    """A session that is history no longer takes with it what its application knew it by."""
    if gone:
        forgotten = {"state": "dead", "last_error": "session_forgotten"}
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


def list_deliveries(
    connection: Connection,
    *,
    organization: str | None,
    webhook_id: str | None = None,
    application_name: str | None = None,
    sessions: Collection[str] | None = None,
    state: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> tuple[Delivery, ...]:
    """Deliveries, newest first; `organization` None: all. `before`: the ID of the last one of the page
    before. `sessions`: only what tells of one of these."""
    query = _listed().order_by(table.c.seq.desc()).limit(limit)
    for column, value in (
        (_ORGANIZATION, organization),
        (table.c.webhook, webhook_id),
        (_APPLICATION, application_name),
        (table.c.state, state),
    ):
        if value is not None:
            query = query.where(column == value)
    if sessions is not None:
        query = query.where(table.c.session_id.in_(sessions))
    if before is not None:
        last = select(table.c.seq).where(table.c.id == before).scalar_subquery()
        query = query.where(table.c.seq < last)
    return tuple(_delivery(row) for row in connection.execute(query))


def deliveries_of(
    connection: Connection, events: Sequence[str], *, organization: str | None
) -> tuple[Delivery, ...]:
    """The notices of these events, oldest first; `organization` None: to whomever."""
    hooks, told = select(webhook.c.id), select(application.c.client_id).where(_TOLD)
    if organization is not None:
        hooks = hooks.where(webhook.c.organization == organization)
        told = told.where(application.c.organization == organization)
    # A notice is called after its event and its receiver (`audit.outbox`), so that no search is needed.
    receivers = connection.execute(hooks.union_all(told)).scalars()
    ends = [one.removeprefix(WEBHOOK).removeprefix(APPLICATION) for one in receivers]
    ids = [DELIVERY + event.removeprefix(EVENT) + end for event in events for end in ends]
    found: list[Delivery] = []
    for first in range(0, len(ids), _BATCH):
        rows = connection.execute(_listed().where(table.c.id.in_(ids[first : first + _BATCH])))
        found += [_delivery(row) for row in rows]
    return tuple(sorted(found, key=lambda one: (one.created_at, one.id)))


# Bound on the IDs in one statement: databases limit their number.
_BATCH = 1000


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


def find_delivery(connection: Connection, id_: str) -> Delivery:
    """The delivery with this ID.

    Raises:
        DeliveryMissing: there is none.
    """
    row = connection.execute(_listed().where(table.c.id == id_)).one_or_none()
    if row is None:
        raise DeliveryMissing
    return _delivery(row)


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
_ORGANIZATION = func.coalesce(
    webhook.c.organization, application.c.organization, saml_provider.c.organization
)
_APPLICATION = func.coalesce(application.c.name, saml_provider.c.application)


def _listed() -> Any:
    """With whom it goes to; what went to somebody who is gone is nobody's any more."""
    columns = (
        _ORGANIZATION.label("organization"),
        webhook.c.id.label("hook"),
        _APPLICATION.label("name"),
    )
    return (
        select(table, *columns)
        .outerjoin(webhook, webhook.c.id == table.c.webhook)
        .outerjoin(application, application.c.client_id == table.c.webhook)
        .outerjoin(saml_provider, saml_provider.c.id == table.c.webhook)
        .where(
            func.coalesce(webhook.c.id, application.c.client_id, saml_provider.c.id).is_not(None)
        )
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        webhook=row.hook,
        application=row.name,
        organization=row.organization,
        event=row.event,
        session=row.session_id,
        state=row.state,
        attempts=row.attempts,
        next_at=Instant(row.next_at),
        last_status=row.last_status,
        last_error=row.last_error,
        created_at=Instant(row.created_at),
        delivered_at=None if row.delivered_at is None else Instant(row.delivered_at),
    )
