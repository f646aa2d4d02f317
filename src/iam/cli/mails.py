"""Mails from the command line."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from iam import audit
from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.kernel.clock import system_clock, to_iso
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random

mails = typer.Typer(help="Mails about new devices: list, resend.", no_args_is_help=True)


@mails.command("list")
def list_mails(
    state: Annotated[
        str | None, typer.Option(help="pending, delivered or dead (given up).")
    ] = None,
    organization: Annotated[str | None, typer.Option(help="Of this organization.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10000)] = 100,
) -> None:
    """List mails and what became of them, newest first."""
    from iam.delivery.mails import list_mails as listed

    if state not in (None, "pending", "delivered", "dead"):
        raise Invalid("--state is pending, delivered or dead.")
    with opened_database() as (_, database):
        found = database.read(
            lambda c: listed(c, organization=organization, state=state, limit=limit)
        )
    rows = [
        (
            one.id,
            one.organization,
            one.user,
            one.recipient,
            one.state,
            one.attempts,
            " ".join(str(part) for part in (one.last_status, one.last_error) if part is not None),
            to_iso(one.next_at) if one.state == "pending" else None,
        )
        for one in found
    ]
    columns = ("id", "organization", "user", "to", "state", "attempts", "last answer")
    print_rows("Mails", (*columns, "next attempt"), rows)


@mails.command("resend")
def resend(mail: Annotated[str, typer.Argument(help="Mail ID, eml_…")]) -> None:
    """Send a mail once more, whether it was delivered or given up."""
    from iam.delivery.mails import resend as send_again

    now = system_clock()

    def work(connection: Connection) -> None:
        again = send_again(connection, mail, now)
        event = Event(
            id=make_id(EVENT, now, system_random),
            at=now,
            type="mail.resent",
            actor=OPERATOR,
            organization=again.organization,
            data={"mail": mail},
        )
        audit.append(connection, [event])

    with opened_database() as (_, database):
        database.write(work)
    print(f"Mail {mail} goes out again.")
