"""Sessions from the command line: list, show, end, lock."""

import re
from typing import Annotated, Any, get_args

import typer
from sqlalchemy import Connection

from iam.cli.database import opened_database
from iam.cli.output import print_json, print_rows
from iam.db import Database
from iam.kernel.addresses import network_range
from iam.kernel.clock import Instant, after, from_iso, system_clock, to_iso
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random
from iam.sessions.model import EndReason, Session
from iam.sessions.policy import end_reason
from iam.sessions.search import SessionFilter, Sort, list_sessions

app = typer.Typer(help="Sessions: list, show, end, lock.", no_args_is_help=True)

SessionId = Annotated[str, typer.Argument(help="Session ID, ses_…")]
Organization = Annotated[str | None, typer.Option(help="Of this organization.")]
User = Annotated[str | None, typer.Option(help="Of this user (needs --organization).")]
Application = Annotated[str | None, typer.Option(help="Of this application.")]
Instance = Annotated[str | None, typer.Option(help="Of this instance of a back end.")]
Parent = Annotated[str | None, typer.Option(help="Entered from this browser session.")]
Address = Annotated[str | None, typer.Option("--ip", help="From this address or network.")]
Device = Annotated[str | None, typer.Option(help="On this device: 'Firefox on Linux'.")]
Browser = Annotated[str | None, typer.Option(help="With this browser: 'firefox'.")]
Method = Annotated[str | None, typer.Option("--amr", help="Proved by this method.")]
Class = Annotated[str | None, typer.Option("--acr", help="Of this authentication class.")]
After = Annotated[
    str | None, typer.Option("--after", help="Started then or later: 2h (ago), an instant.")
]
Before = Annotated[str | None, typer.Option(help="Started before: 2h (ago), 30m, 7d, an instant.")]
Idle = Annotated[str | None, typer.Option(help="Last active before: 2h (ago), an instant.")]

_AGO = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
_PAGE = 200
_TITLES = {
    "active": "Live sessions",
    "locked": "Locked sessions",
    "ended": "Ended sessions",
    "all": "Sessions",
}


def _instant(text: str | None, now: Instant) -> Instant | None:
    """`2h` is two hours ago; everything else an RFC 3339 instant.

    Raises:
        typer.BadParameter: neither of the two.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    try:
        return after(now, -int(ago[1]) * _SECONDS[ago[2]]) if ago else from_iso(text)
    except ValueError as error:
        message = f"{text!r} is neither a time ago (30m, 2h, 7d) nor 2026-11-23T10:00:00Z"
        raise typer.BadParameter(message) from error


def _network(text: str | None) -> str | None:
    try:
        if text is not None:
            network_range(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no address and no network") from error
    return text


@app.command("list")
def list_found(
    organization: Organization = None,
    user: User = None,
    application: Application = None,
    instance: Instance = None,
    parent: Parent = None,
    ip: Address = None,
    device: Device = None,
    browser: Browser = None,
    amr: Method = None,
    acr: Class = None,
    started_after: After = None,
    before: Before = None,
    idle: Idle = None,
    state: Annotated[str, typer.Option(help="active, locked, ended or all.")] = "active",
    sort: Annotated[str, typer.Option(help="created_at, -last_active_at, user …")] = "created_at",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10000)] = 100,
) -> None:
    """List live sessions (or ended ones), oldest first."""
    now = system_clock()
    if sort not in get_args(Sort):
        raise typer.BadParameter(f"sort by one of {', '.join(get_args(Sort))}")
    if state not in _TITLES:
        raise typer.BadParameter("the state is active, locked, ended or all")
    wanted = SessionFilter(
        organization=organization,
        user=user,
        application=application,
        instance=instance,
        parent=parent,
        ip=_network(ip),
        device=device,
        browser=browser,
        amr=amr,
        acr=acr,
        started_after=_instant(started_after, now),
        started_before=_instant(before, now),
        last_active_before=_instant(idle, now),
        state=None if state == "all" else state,  # type: ignore[arg-type]  # one of them, as just checked
    )
    with opened_database() as (_, database):
        found = _found(database, wanted, now, sort, limit)
    rows = [
        (
            s.id,
            f"{s.organization}/{s.user}",
            s.application,
            s.device,
            s.ip,
            to_iso(s.last_active_at),
            *((end_reason(s, now),) if state in ("ended", "all") else ()),
        )
        for s in found
    ]
    columns = ("id", "user", "application", "device", "address", "last active")
    print_rows(_TITLES[state], (*columns, "ended") if state in ("ended", "all") else columns, rows)


def _found(
    database: Database, wanted: SessionFilter, now: Instant, sort: Any, limit: int
) -> list[Session]:
    """The first `limit` that match, over as many pages as they are on."""
    found: list[Session] = []
    before: str | None = None
    while len(found) < limit:
        left = min(_PAGE, limit - len(found))
        page = database.read(
            lambda c, b=before, n=left: list_sessions(  # type: ignore[misc]  # bound now, run now
                c, wanted, now, before=b, limit=n, sort=sort
            )
        )
        found += page.items
        before = page.next
        if before is None:
            break
    return found


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
    instance: Instance = None,
    parent: Parent = None,
    ip: Address = None,
    device: Device = None,
    browser: Browser = None,
    amr: Method = None,
    acr: Class = None,
    started_after: After = None,
    before: Before = None,
    idle: Idle = None,
    everything: Annotated[bool, typer.Option("--all", help="Every live session there is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would end.")] = False,
    reason: Annotated[str | None, typer.Option(help="A note that the events keep.")] = None,
) -> None:
    """End sessions by ID, or all that the options name. Returns when no node accepts them any more."""
    now = system_clock()
    wanted = SessionFilter(
        organization=organization,
        user=user,
        application=application,
        instance=instance,
        parent=parent,
        ip=_network(ip),
        device=device,
        browser=browser,
        amr=amr,
        acr=acr,
        started_after=_instant(started_after, now),
        started_before=_instant(before, now),
        last_active_before=_instant(idle, now),
        state="active",
    )
    narrowed = wanted != SessionFilter(organization=None, state="active")
    if not session_ids and not narrowed and not everything:
        raise typer.BadParameter(
            "name session IDs, --organization/--user/--application …, or --all"
        )
    if user and not organization:
        raise typer.BadParameter("--user needs --organization: names are of an organization")
    with opened_database() as (_, database):
        if session_ids and dry_run:
            raise typer.BadParameter("a dry run is of options: of IDs one knows what ends")
        if session_ids:
            ended = _end_these(database, session_ids, reason)
        elif dry_run:
            _say_what_would_end(database, wanted, now)
            return
        else:
            ended = _end_all(database, wanted, reason)
    print(f"Ended {ended} session{'' if ended == 1 else 's'} (children counted).")


@app.command("lock")
def lock(session_ids: Annotated[list[str], typer.Argument(help="Session IDs.")]) -> None:
    """Lock sessions: refused until their user unlocks them with the password, and not ended."""
    from iam.sessions.lock import lock as lock_one

    now = system_clock()
    with opened_database() as (_, database):

        def work(connection: Connection) -> None:
            # In the order in which everybody locks rows.
            for session_id in sorted(set(session_ids)):
                lock_one(connection, session_id, actor=OPERATOR, now=now, random=system_random)

        database.write(work)
    number = len(set(session_ids))
    print(f"Locked {number} session{'' if number == 1 else 's'} (with their children).")


def _end_these(database: Database, ids: list[str], note: str | None) -> int:
    from iam.sessions import lifecycle

    ended = 0
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
                    note=note,
                )
            )
        )
    return ended


def _say_what_would_end(database: Database, wanted: SessionFilter, now: Instant) -> None:
    from iam.sessions import bulk

    number = database.read(lambda c: bulk.count_meant(c, wanted, now))
    sample = database.read(lambda c: list_sessions(c, wanted, now, limit=10, sort="created_at"))
    rows = [
        (s.id, f"{s.organization}/{s.user}", s.application, s.device, s.ip) for s in sample.items
    ]
    print_rows("The oldest of them", ("id", "user", "application", "device", "address"), rows)
    print(f"Would end {number} session{'' if number == 1 else 's'} (children counted).")


def _end_all(database: Database, wanted: SessionFilter, note: str | None) -> int:
    """In steps that the server takes up should this be interrupted; with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from iam.sessions import bulk

    cause = {"actor": OPERATOR, "now": system_clock(), "random": system_random}
    proposed = database.write(lambda c: bulk.propose(c, wanted, note=note, **cause))  # type: ignore[arg-type]  # as they are named
    database.write(lambda c: bulk.confirm(c, proposed.id, wanted, note=note, **cause))  # type: ignore[arg-type]  # as they are named
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("Ending", total=proposed.number)
        while True:
            step = database.write(
                lambda c: bulk.take_step(c, proposed.id, now=system_clock(), random=system_random)
            )
            progress.update(task, completed=step.bulk.processed)
            if step.bulk.finished_at is not None:
                return step.bulk.processed


def _shown(session: Session, now: Instant) -> dict[str, object]:
    reason = end_reason(session, now)
    over = session.over_at if reason else None
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
        "locked_at": to_iso(session.locked_at) if session.locked_at is not None else None,
        "state": "active" if reason is None else "ended",
        "ended_at": to_iso(over) if over is not None else None,
        "end_reason": reason,
        "ended_by": session.ended_by,
    }
