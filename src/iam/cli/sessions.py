"""Sessions from the command line: list, show, end."""

from typing import Annotated

import typer

from iam.cli.database import opened_database
from iam.cli.output import print_json, print_rows
from iam.kernel.clock import Instant, system_clock, to_iso
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random
from iam.sessions.model import EndReason, Selection, Session
from iam.sessions.policy import end_reason

app = typer.Typer(help="Sessions: list, show, end.", no_args_is_help=True)

SessionId = Annotated[str, typer.Argument(help="Session ID, ses_…")]
Organization = Annotated[str | None, typer.Option(help="Of this organization.")]
User = Annotated[str | None, typer.Option(help="Of this user (needs --organization).")]
Application = Annotated[str | None, typer.Option(help="Of this application.")]


@app.command("list")
def list_sessions(
    organization: Organization = None,
    user: User = None,
    application: Application = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10000)] = 100,
) -> None:
    """List live sessions, oldest first."""
    from iam.sessions import store

    selection = Selection(organization=organization, user=user, application=application)
    now = system_clock()
    with opened_database() as (_, database):
        ids = database.read(lambda c: store.select_live(c, selection, limit=limit))
        found = database.read(lambda c: store.read_sessions(c, ids))
    rows = [
        (
            s.id,
            f"{s.organization}/{s.user}",
            s.application,
            s.device,
            s.ip,
            to_iso(s.last_active_at),
        )
        for s in sorted(found.values(), key=lambda one: one.id)
        if end_reason(s, now) is None
    ]
    columns = ("id", "user", "application", "device", "address", "last active")
    print_rows("Live sessions", columns, rows)


@app.command("show")
def show(session_id: SessionId) -> None:
    """Show one session, live or ended, as JSON."""
    from iam.sessions import store

    with opened_database() as (_, database):
        session = database.read(lambda c: store.read_session(c, session_id))
    if session is None:
        typer.echo(f"iam: There is no session {session_id}.", err=True)
        raise typer.Exit(1)
    print_json(_shown(session, system_clock()))


@app.command("end")
def end(
    session_ids: Annotated[list[str] | None, typer.Argument(help="Session IDs.")] = None,
    organization: Organization = None,
    user: User = None,
    application: Application = None,
    everything: Annotated[bool, typer.Option("--all", help="Every live session there is.")] = False,
) -> None:
    """End sessions by ID, or all that the options name. Returns when no node accepts them any more."""
    from iam.sessions import lifecycle, store

    narrowed = any((organization, user, application))
    if not session_ids and not narrowed and not everything:
        raise typer.BadParameter("name session IDs, --organization/--user/--application, or --all")
    if user and not organization:
        raise typer.BadParameter("--user needs --organization: names are of an organization")
    selection = Selection(organization=organization, user=user, application=application)
    ended = 0
    with opened_database() as (_, database):
        ids = session_ids or database.read(lambda c: store.select_live(c, selection))
        with typer.progressbar(length=len(ids), label="Ending") as progress:
            for first in range(0, len(ids), 500):
                batch = ids[first : first + 500]
                ended += len(
                    database.write(
                        lambda c, batch=batch: lifecycle.end(  # type: ignore[misc]  # bound now, run now
                            c,
                            batch,
                            reason=EndReason.ENDED_BY_ADMIN,
                            actor=OPERATOR,
                            now=system_clock(),
                            random=system_random,
                        )
                    )
                )
                progress.update(len(batch))
    print(f"Ended {ended} session{'' if ended == 1 else 's'} (children counted).")


def _shown(session: Session, now: Instant) -> dict[str, object]:
    reason = end_reason(session, now)
    over = session.ended_at or (session.idle_expires_at if reason else None)
    return {
        "id": session.id,
        "organization": session.organization,
        "user": session.user,
        "application": session.application,
        "parent": session.parent,
        "instance": session.instance,
        "created_at": to_iso(session.created_at),
        "last_active_at": to_iso(session.last_active_at),
        "idle_expires_at": to_iso(session.idle_expires_at),
        "expires_at": to_iso(session.expires_at),
        "amr": list(session.amr),
        "device": session.device,
        "ip": session.ip,
        "state": "active" if reason is None else "ended",
        "ended_at": to_iso(over) if over is not None else None,
        "end_reason": reason,
        "ended_by": session.ended_by,
    }
