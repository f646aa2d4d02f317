"""Moving in from the command line."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.kernel.clock import system_clock
from iam.kernel.errors import Invalid
from iam.kernel.secrets import system_random

if TYPE_CHECKING:
    from iam.moving.findings import Report
    from iam.moving.source import Source

app = typer.Typer(help="Moving in from another server: casdoor.", no_args_is_help=True)


@app.callback()
def _moving() -> None:
    """So that `casdoor` stays a word of its own while it is the only one."""


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
        Path | None, typer.Option(help="Or a file such as init_data.json, or of casdoor -export.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    organization: Annotated[
        list[str] | None,
        typer.Option(help="Only this organization, by its name there; may be repeated."),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Also into organizations that are here already."),
    ] = False,
    signing_key: Annotated[
        bool,
        typer.Option(help="Sign with their key, so that certificates kept by applications fit."),
    ] = True,
    table_prefix: Annotated[str, typer.Option(help="tableNamePrefix of its app.conf.")] = "",
    report: Annotated[
        Path | None, typer.Option(help="Write what was not taken over, object by object, here.")
    ] = None,
) -> None:
    """Take over organizations, applications, users and keys of Casdoor or Hanzo IAM."""
    from iam.keys.cipher import open_cipher
    from iam.moving.move import Move, Options, move_in
    from iam.server.build import make_passwords

    if (database_url is None) == (init_data is None):
        raise Invalid("Say either --database-url or --init-data.")
    with (
        _report_file(report) as write_report,
        opened_database() as (settings, database),
        _source(database_url, init_data, table_prefix) as source,
    ):
        counted = source.count()
        options = Options(
            organizations=frozenset(organization) if organization else None,
            merge=merge,
            signing_key=signing_key,
            dry_run=dry_run,
            allow_private=settings.delivery_allow_private,
            workers=settings.password_workers,
        )
        with _progress(counted.users) as advance:
            move = Move(
                source=source,
                database=database,
                passwords=make_passwords(settings, system_random),
                cipher=open_cipher(settings),
                clock=system_clock,
                random=system_random,
                options=options,
                advance=advance,
            )
            found = move_in(move, counted)
        write_report(found)
    _print(found, dry_run=dry_run, report=report)


def _source(url: str | None, path: Path | None, prefix: str):  # type: ignore[no-untyped-def]
    from iam.moving.databases import opened_source
    from iam.moving.init_data import open_init_data

    if url is not None:
        return opened_source(url, prefix)
    assert path is not None
    return nullcontext(open_init_data(path))
