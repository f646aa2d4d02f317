"""Moving in from the command line."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.kernel.clock import system_clock
from iam.kernel.errors import Invalid
from iam.kernel.secrets import system_random
from iam.moving.records import plain

if TYPE_CHECKING:
    from iam.moving.findings import Report
    from iam.moving.source import Source

_LONGEST_SHOWN = 100

app = typer.Typer(help="Moving in from another server: casdoor.", no_args_is_help=True)


@app.callback()
def _moving() -> None:
    """So that `casdoor` is a word of its own while it is the only one."""


@app.command("casdoor")
def import_casdoor(
    database_url: Annotated[
        str | None,
        typer.Option(
            help="mysql://user@host/casdoor, postgresql://user@host/casdoor or sqlite:////path.",
            envvar="CASDOOR_DATABASE_URL",
        ),
    ] = None,
    init_data: Annotated[
        Path | None,
        typer.Option(help="Or a file: init_data.json, or what `casdoor -export` wrote."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    organization: Annotated[
        list[str] | None,
        typer.Option(help="Only this organization, by its name there; may be repeated."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Also into organizations that are here already.")
    ] = False,
    signing_key: Annotated[
        bool,
        typer.Option(help="Sign with their key, so that certificates which applications keep fit."),
    ] = True,
    applications_manage: Annotated[
        bool,
        typer.Option(
            "--applications-manage",
            help="Let applications administer their organization with their secret, as there.",
        ),
    ] = False,
    table_prefix: Annotated[str, typer.Option(help="tableNamePrefix of its app.conf.")] = "",
    report: Annotated[
        Path | None,
        typer.Option(help="Write what is not as it was, object by object, to this file."),
    ] = None,
) -> None:
    """Take over organizations, applications, users and the signing key of Casdoor or Hanzo IAM."""
    from iam.keys.cipher import open_cipher
    from iam.moving.move import Move, Options, move_in
    from iam.server.build import make_passwords

    if (database_url is None) == (init_data is None):
        raise Invalid("Say either --database-url or --init-data.")
    _check_report(report)
    with (
        opened_database() as (settings, database),
        _source(database_url, init_data, table_prefix) as source,
    ):
        counted = source.count()
        with _progress(counted.users) as advance:
            move = Move(
                source=source,
                database=database,
                passwords=make_passwords(settings, system_random),
                cipher=open_cipher(settings),
                clock=system_clock,
                random=system_random,
                advance=advance,
                options=Options(
                    organizations=frozenset(organization) if organization else None,
                    merge=merge,
                    signing_key=signing_key,
                    manage=applications_manage,
                    dry_run=dry_run,
                    allow_private=settings.delivery_allow_private,
                    workers=settings.password_workers,
                ),
            )
            found = move_in(move, counted)
    if report is not None:
        with report.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in found.lines())
    _print(found, dry_run=dry_run, report=report)


def _source(url: str | None, path: Path | None, prefix: str) -> "AbstractContextManager[Source]":
    from iam.moving.databases import opened_source
    from iam.moving.init_data import open_init_data

    return (
        nullcontext(open_init_data(path)) if path is not None else opened_source(url or "", prefix)
    )


def _check_report(path: Path | None) -> None:
    """See that the report can be written, before the work whose report it is."""
    if path is None:
        return
    try:
        path.touch()
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}.") from error


@contextmanager
def _progress(users: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal for as long as users are taken over; a pipe gets none."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("users"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("users", total=users)
        yield lambda number: progress.advance(task, number)


def _print(found: "Report", *, dry_run: bool, report: Path | None) -> None:
    from iam.moving.findings import KINDS, WORDS

    rows = [
        (kind, *(found.fates[kind][fate] for fate in ("taken", "there", "refused")))
        for kind in KINDS
        if kind in found.fates
    ]
    taken = "to be taken over" if dry_run else "taken over"
    print_rows("What is there", ("kind", taken, "here already", "not taken over"), rows)
    said = [
        (kind, _shown(field) or "(all of it)", WORDS[reason], number, _shown(example))
        for kind, field, reason, number, example in found.summed()
    ]
    print()
    print_rows("Not as it was", ("kind", "field", "why", "how many", "one of them"), said)
    if found.unread:
        print()
        unread = [(_shown(name), number) for name, number in sorted(found.unread.items())]
        print_rows("Not read at all", ("what", "how many"), unread)
    if report is not None:
        print(f"\nObject by object: {report}")
    if dry_run:
        print("\nNothing was written. Without --dry-run this is what happens.")


def _shown(theirs: str) -> str:
    """A name of theirs as a terminal may have it: it could hold what moves the cursor, or means a colour."""
    from rich.markup import escape

    return escape(plain(theirs.encode("utf-8", "replace").decode(), _LONGEST_SHOWN))
