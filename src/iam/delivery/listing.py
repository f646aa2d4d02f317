"""What became of notices: one, those of an event, those of a session, all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from iam import audit
from iam.db.notice_tables import client_session, webhook
from iam.db.notice_tables import delivery as table
from iam.db.saml_tables import saml_provider
from iam.db.tables import application
from iam.kernel.clock import Instant
from iam.kernel.errors import Missing
from iam.kernel.ids import APPLICATION, DELIVERY, EVENT, WEBHOOK

State = Literal["pending", "delivered", "dead"]

# Bound on the IDs in one statement: databases limit their number.
_BATCH = 1000
_TOLD = application.c.backchannel_logout_uri.is_not(None)
_ORGANIZATION = func.coalesce(
    webhook.c.organization, application.c.organization, saml_provider.c.organization
)
_APPLICATION = func.coalesce(application.c.name, saml_provider.c.application)


class DeliveryMissing(Missing):
    """There is no such delivery, or not for this caller."""

    code = "delivery_not_found"
    title = "There is no such delivery."


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


def find_delivery(connection: Connection, id_: str) -> Delivery:
    """The delivery with this ID.

    Raises:
        DeliveryMissing: there is none.
    """
    row = connection.execute(_listed().where(table.c.id == id_)).one_or_none()
    if row is None:
        raise DeliveryMissing
    return _delivery(row)


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
        query = query.where(or_(table.c.session_id.in_(sessions), _together(connection, sessions)))
    if before is not None:
        last = select(table.c.seq).where(table.c.id == before).scalar_subquery()
        query = query.where(table.c.seq < last)
    return tuple(_delivery(row) for row in connection.execute(query))


def deliveries_of(
    connection: Connection, session_id: str, events: Sequence[str], *, organization: str | None
) -> tuple[Delivery, ...]:
    """The notices of these events of a session, oldest first; `organization` None: to whomever."""
    hooks, told = select(webhook.c.id), select(application.c.client_id).where(_TOLD)
    if organization is not None:
        hooks = hooks.where(webhook.c.organization == organization)
        told = told.where(application.c.organization == organization)
    # A notice is called after its event and its receiver (`audit.outbox`), so that no search is needed.
    receivers = connection.execute(hooks.union_all(told)).scalars()
    ends = [one.removeprefix(WEBHOOK).removeprefix(APPLICATION) for one in receivers]
    ids = [DELIVERY + event.removeprefix(EVENT) + end for event in events for end in ends]
    wanted = [table.c.id.in_(ids[first : first + _BATCH]) for first in range(0, len(ids), _BATCH)]
    found: dict[str, Delivery] = {}
    for condition in (*wanted, _together(connection, [session_id])):
        rows = connection.execute(_listed().where(condition))
        found |= {row.id: _delivery(row) for row in rows}
    return tuple(sorted(found.values(), key=lambda one: (one.created_at, one.id)))


def _together(connection: Connection, sessions: Collection[str]) -> ColumnElement[bool]:
    """The notices that tell of the end of one of these sessions along with all of their user's: they have
    the name of that end, and are to those whom the session itself would have been told to."""
    names = audit.ended_together(connection, sessions)
    query = select(client_session.c.client_id).where(client_session.c.session_id.in_(sessions))
    clients = list(connection.execute(query).scalars()) if names else []
    return table.c.id.in_(
        DELIVERY + name.removeprefix(EVENT) + client.removeprefix(APPLICATION)
        for name in names
        for client in clients
    )


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
