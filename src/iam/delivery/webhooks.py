"""Webhooks: who wants to be told of which events, where."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from iam.db.notice_tables import delivery
from iam.db.notice_tables import webhook as table
from iam.delivery.signing import make_webhook_secret
from iam.kernel.clock import Instant
from iam.kernel.errors import Missing
from iam.kernel.ids import WEBHOOK, make_id
from iam.kernel.secrets import Random

ALL_TYPES = "*"


class WebhookMissing(Missing):
    """There is no such webhook, or not for this caller."""

    code = "webhook_not_found"
    title = "There is no such webhook."


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver. `organization` None: of the whole installation. `event_types`: `*` is all."""

    id: str
    organization: str | None
    url: str
    secret: str = field(repr=False)
    event_types: tuple[str, ...]
    enabled: bool
    created_at: Instant


def create_webhook(
    connection: Connection,
    *,
    organization: str | None,
    url: str,
    event_types: Sequence[str],
    now: Instant,
    random: Random,
) -> Webhook:
    """Add a webhook with a secret of its own. It is told of what happens from now on.

    The address has been checked (`check_webhook_url`), and the organization exists.
    """
    made = Webhook(
        id=make_id(WEBHOOK, now, random),
        organization=organization,
        url=url,
        secret=make_webhook_secret(random),
        event_types=tuple(event_types),
        enabled=True,
        created_at=now,
    )
    connection.execute(
        insert(table),
        {
            "id": made.id,
            "organization": organization,
            "url": url,
            "secret": made.secret,
            "event_types": _written(event_types),
            "enabled": True,
            "created_at": now,
        },
    )
    return made


def find_webhook(connection: Connection, id_: str) -> Webhook:
    """The webhook with this ID.

    Raises:
        WebhookMissing: there is none.
    """
    row = connection.execute(select(table).where(table.c.id == id_)).one_or_none()
    if row is None:
        raise WebhookMissing
    return _webhook(row)


def list_webhooks(
    connection: Connection, organization: str | None, *, after: str | None = None, limit: int = 50
) -> tuple[Webhook, ...]:
    """Webhooks, oldest first, from the one after `after`. `organization` None: all there are."""
    query = select(table).order_by(table.c.id).limit(limit)
    if organization is not None:
        query = query.where(table.c.organization == organization)
    if after is not None:
        query = query.where(table.c.id > after)
    return tuple(_webhook(row) for row in connection.execute(query))


def update_webhook(
    connection: Connection,
    id_: str,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Change what is not None. While it is disabled it is told nothing, and what waits for it waits.

    Raises:
        WebhookMissing: there is none.
    """
    given = {
        "url": url,
        "event_types": None if event_types is None else _written(event_types),
        "enabled": enabled,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if changes:
        connection.execute(update(table).where(table.c.id == id_).values(changes))
    return find_webhook(connection, id_)


def delete_webhook(connection: Connection, id_: str) -> Webhook:
    """Delete a webhook and what was to go to it; answer what it was.

    Raises:
        WebhookMissing: there is none.
    """
    found = find_webhook(connection, id_)
    connection.execute(delete(table).where(table.c.id == id_))
    connection.execute(delete(delivery).where(delivery.c.webhook == id_))
    return found


def _written(event_types: Sequence[str]) -> str:
    return f",{','.join(event_types)},"


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        organization=row.organization,
        url=row.url,
        secret=row.secret,
        event_types=tuple(row.event_types.strip(",").split(",")),
        enabled=row.enabled,
        created_at=Instant(row.created_at),
    )
