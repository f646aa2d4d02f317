"""The commands."""

import sys
from typing import Annotated

import typer

from iam.cli import (
    applications,
    directory,
    factors,
    import_casdoor,
    keys,
    mails,
    operations,
    policies,
    providers,
    saml,
    sessions,
    webhooks,
)
from iam.kernel.errors import IamError
from iam.settings import SettingsInvalid

app = typer.Typer(
    name="iam",
    help="Hanzo IAM: the session-centred identity server.\n\nSettings come from the environment "
    "(IAM_ISSUER, IAM_DATABASE_URL …); `iam doctor` shows and checks them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(directory.organizations, name="org")
app.add_typer(applications.applications, name="app")
applications.applications.add_typer(saml.providers, name="saml")
app.add_typer(factors.users, name="user")
app.add_typer(providers.providers, name="provider")
app.add_typer(sessions.app, name="sessions")
app.add_typer(policies.app, name="policy")
app.add_typer(keys.app, name="keys")
app.add_typer(saml.app, name="saml")
app.add_typer(webhooks.webhooks, name="webhooks")
app.add_typer(webhooks.deliveries, name="deliveries")
app.add_typer(mails.mails, name="mails")
app.add_typer(import_casdoor.app, name="import")

Host = Annotated[str | None, typer.Option(help="Address to listen on (IAM_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (IAM_PORT).")]
Workers = Annotated[int | None, typer.Option(help="Processes; above 1 needs PostgreSQL.")]


@app.command()
def serve(host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Start the server. Migrates the database first; makes the administrator on a first start."""
    operations.serve(host=host, port=port, workers=workers)


@app.command()
def migrate() -> None:
    """Bring the database's schema to this version (serve does it by itself)."""
    operations.migrate_database()


@app.command()
def token(
    minutes: Annotated[int, typer.Option(help="Lifetime in minutes.", min=1, max=720)] = 60,
    user: Annotated[str, typer.Option(help="An administrator of built-in.")] = "admin",
) -> None:
    """Print an administrator's API token as the last line, for `Authorization: Bearer`."""
    operations.print_token(minutes=minutes, user=user)


@app.command()
def doctor() -> None:
    """Check settings, database, schema and keys, and say what to do about what is wrong."""
    operations.doctor()


def main() -> None:
    """Entry point: every expected mistake is one sentence on standard error and exit status 1."""
    try:
        app()
    except SettingsInvalid as error:
        for mistake in error.mistakes:
            print(f"iam: {mistake}", file=sys.stderr)
        sys.exit(1)
    except IamError as error:
        print(f"iam: {error.title} {error.detail or ''}".rstrip(), file=sys.stderr)
        sys.exit(1)
