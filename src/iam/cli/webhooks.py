"""Webhooks and deliveries from the command line."""

from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from iam import audit
from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.kernel.clock import Instant, system_clock, to_iso
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random

webhooks = typer.Typer(help="Webhooks: list, create, delete.", no_args_is_help=True)
deliveries = typer.Typer(help="Deliveries: list, redeliver.", no_args_is_help=True)

Organization = Annotated[str | None, typer.Option(help="Of this organization.")]
_PAGE = 1000


@webhooks.command("list")
def list_webhooks(organization: Organization = None) -> None:
    """List webhooks, oldest first."""
    from iam.delivery.webhooks import list_webhooks as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, organization, limit=_PAGE))
    rows = [
        (
            one.id,
            one.organization or "(installation)",
            one.url,
            " ".join(one.event_types),
            "yes" if one.enabled else "no",
        )
        for one in found
    ]
    print_rows("Webhooks", ("id", "organization", "url", "event types", "enabled"), rows)


@webhooks.command("create")
def create_webhook(
    url: Annotated[str, typer.Argument(help="Where notices go, https://…")],
    organization: Organization = None,
    event_type: Annotated[
        list[str] | None, typer.Option("--event-type", help="May be repeated; default: all.")
    ] = None,
) -> None:
    """Create a webhook of an organization, or without one of the installation; print its secret."""
    from pydantic import ValidationError

    from iam.api.schemas import WebhookBody
    from iam.delivery.addresses import check_webhook_url
    from iam.delivery.webhooks import create_webhook as create
    from iam.directory.organizations import find_organization

    types = event_type or ["*"]
    try:
        body = WebhookBody(organization=organization, url=url, event_types=types)
    except ValidationError as error:
        raise Invalid(
            "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
        ) from None
    with opened_database() as (settings, database):
        check_webhook_url(url, allow_private=settings.delivery_allow_private)
        now = system_clock()

        def work(connection: Connection) -> Any:
            if organization is not None:
                find_organization(connection, organization)
            made = create(
                connection,
                organization=organization,
                url=url,
                event_types=body.event_types,
                now=now,
                random=system_random,
            )
            data = {"webhook": made.id, "url": url, "event_types": list(made.event_types)}
            _note(connection, "webhook.created", now, organization, data)
            return made

        made = database.write(work)
    print(f"Created webhook {made.id}.")
    print(f"secret (shown this once): {made.secret}")


@webhooks.command("delete")
def delete_webhook(webhook: Annotated[str, typer.Argument(help="Webhook ID, whk_…")]) -> None:
    """Delete a webhook, with all that waits for it."""
    from iam.delivery.webhooks import delete_webhook as delete

    def work(connection: Connection) -> None:
        gone = delete(connection, webhook)
        data = {"webhook": gone.id, "url": gone.url}
        _note(connection, "webhook.deleted", system_clock(), gone.organization, data)

    with opened_database() as (_, database):
        database.write(work)
    print(f"Deleted webhook {webhook}.")


@deliveries.command("list")
def list_deliveries(
    state: Annotated[
        str | None, typer.Option(help="pending, delivered or dead (given up).")
    ] = None,
    webhook: Annotated[str | None, typer.Option(help="To this webhook.")] = None,
    application: Annotated[
        str | None, typer.Option(help="To applications of this name, of ended sessions.")
    ] = None,
    session: Annotated[str | None, typer.Option(help="Of this session, ses_….")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10000)] = 100,
) -> None:
    """List notices and what became of them, newest first."""
    from iam.delivery.listing import list_deliveries as listed

    if state not in (None, "pending", "delivered", "dead"):
        raise Invalid("--state is pending, delivered or dead.")
    with opened_database() as (_, database):
        found = database.read(
            lambda c: listed(
                c,
                organization=None,
                webhook_id=webhook,
                application_name=application,
                sessions=None if session is None else [session],
                state=state,
                limit=limit,
            )
        )
    rows = [
        (
            one.id,
            one.webhook or f"{one.organization}/{one.application}",
            one.event,
            one.session,
            one.state,
            one.attempts,
            one.last_status or one.last_error,
            to_iso(one.next_at) if one.state == "pending" else None,
        )
        for one in found
    ]
    columns = ("id", "to", "event", "session", "state", "attempts", "last answer", "next attempt")
    print_rows("Deliveries", columns, rows)


@deliveries.command("redeliver")
def redeliver(delivery: Annotated[str, typer.Argument(help="Delivery ID, dlv_…")]) -> None:
    """Send a notice once more, whether it was delivered or given up."""
    from iam.delivery.outbox import redeliver as send_again

    now = system_clock()

    def work(connection: Connection) -> None:
        again = send_again(connection, delivery, now)
        data = {
            "delivery": delivery,
            "webhook": again.webhook,
            "application": again.application,
        }
        _note(connection, "delivery.redelivered", now, again.organization, data)

    with opened_database() as (_, database):
        database.write(work)
    print(f"Delivery {delivery} goes out again.")


def _note(
    connection: Connection,
    type_: str,
    now: Instant,
    organization: str | None,
    data: dict[str, Any],
) -> None:
    event = Event(
        id=make_id(EVENT, now, system_random),
        at=now,
        type=type_,
        actor=OPERATOR,
        organization=organization,
        data=data,
    )
    audit.append(connection, [event])
