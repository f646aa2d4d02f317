"""Organizations, applications and users from the command line."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.directory.applications import Application
from iam.directory.users import User
from iam.kernel.clock import system_clock, to_iso
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random

organizations = typer.Typer(help="Organizations: list, create.", no_args_is_help=True)
applications = typer.Typer(help="Applications: list, create.", no_args_is_help=True)
users = typer.Typer(help="Users: list, create, disable, enable, password.", no_args_is_help=True)

Organization = Annotated[str, typer.Argument(help="Name of the organization.")]
Name = Annotated[str, typer.Argument(help="Name.")]
DisplayName = Annotated[str | None, typer.Option("--display-name", help="What people read.")]
_PAGE = 1000


@organizations.command("list")
def list_organizations() -> None:
    """List all organizations."""
    from iam.directory.organizations import list_organizations as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, limit=_PAGE))
    rows = [(one.name, one.display_name, to_iso(one.created_at)) for one in found]
    print_rows("Organizations", ("name", "display name", "created"), rows)


@organizations.command("create")
def create_organization(name: Name, display_name: DisplayName = None) -> None:
    """Create an organization."""
    from iam.directory.organizations import create_organization as create

    with opened_database() as (_, database):
        database.write(lambda c: create(c, name, display_name, system_clock()))
    print(f"Created organization {name}.")


@applications.command("list")
def list_applications(organization: Organization) -> None:
    """List the applications of an organization."""
    from iam.directory.applications import list_applications as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, organization, limit=_PAGE))
    rows = [
        (a.name, a.client_id, "yes" if a.enabled else "no", " ".join(a.gate_hosts)) for a in found
    ]
    print_rows(f"Applications of {organization}", ("name", "client ID", "enabled", "hosts"), rows)


@applications.command("create")
def create_application(
    organization: Organization,
    name: Name,
    display_name: DisplayName = None,
    redirect_uri: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    gate_host: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
) -> None:
    """Create an application; prints its client ID and, this once, its secret."""
    from iam.directory.applications import create_application as create
    from iam.directory.organizations import find_organization

    with opened_database() as (_, database):

        def work(connection: Connection) -> tuple[Application, str | None]:
            find_organization(connection, organization)
            return create(
                connection,
                organization=organization,
                name=name,
                display_name=display_name,
                redirect_uris=redirect_uri or (),
                gate_hosts=gate_host or (),
                now=system_clock(),
                random=system_random,
            )

        application, secret = database.write(work)
    print(f"client_id      {application.client_id}\nclient_secret  {secret}  (shown this once)")


@users.command("list")
def list_users(organization: Organization) -> None:
    """List the users of an organization."""
    from iam.directory.users import list_users as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, organization, limit=_PAGE))
    rows = [(u.name, u.display_name, u.email, ", ".join(u.roles), u.enabled) for u in found]
    print_rows(
        f"Users of {organization}", ("name", "display name", "e-mail", "roles", "enabled"), rows
    )


@users.command("create")
def create_user(
    organization: Organization,
    name: Name,
    display_name: DisplayName = None,
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    password: Annotated[bool, typer.Option(help="Ask for a password.")] = True,
) -> None:
    """Create a user; asks for the password unless --no-password."""
    from iam.directory.organizations import find_organization
    from iam.directory.users import create_user as create
    from iam.server.build import make_passwords

    with opened_database() as (settings, database):
        hashed = make_passwords(settings, system_random).hash(_ask()) if password else None

        def work(connection: Connection) -> User:
            find_organization(connection, organization)
            return create(
                connection,
                organization=organization,
                name=name,
                password_hash=hashed,
                display_name=display_name,
                email=email,
                roles=role or (),
                now=system_clock(),
                random=system_random,
            )

        database.write(work)
    print(f"Created user {organization}/{name}.")


@users.command("password")
def set_password(organization: Organization, name: Name) -> None:
    """Set a user's password (asked for) and end all their sessions."""
    from iam.server.build import make_passwords

    with opened_database() as (settings, _):
        hashed = make_passwords(settings, system_random).hash(_ask())
    _change(organization, name, password_hash=hashed)
    print(f"New password for {organization}/{name}; their sessions have ended.")


@users.command("disable")
def disable(organization: Organization, name: Name) -> None:
    """Disable a user and end all their sessions."""
    _change(organization, name, enabled=False)
    print(f"Disabled {organization}/{name}; their sessions have ended.")


@users.command("enable")
def enable(organization: Organization, name: Name) -> None:
    """Let a disabled user sign in again."""
    _change(organization, name, enabled=True)
    print(f"Enabled {organization}/{name}.")


def _ask() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _change(
    organization: str, name: str, *, enabled: bool | None = None, password_hash: str | None = None
) -> None:
    from iam.directory.users import UserChange, update_user

    change = UserChange(enabled=enabled, password_hash=password_hash)
    with opened_database() as (_, database):
        database.write(
            lambda connection: update_user(
                connection,
                organization,
                name,
                change,
                actor=OPERATOR,
                now=system_clock(),
                random=system_random,
            )
        )
