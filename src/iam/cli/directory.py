"""Organizations and users from the command line, and what commands about things of the directory share."""

from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from iam import audit
from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.kernel.clock import Instant, system_clock, to_iso
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random
from iam.sessions import rules

organizations = typer.Typer(
    help="Organizations: list, create, disable, enable.", no_args_is_help=True
)
users = typer.Typer(
    help="Users: list, create, disable, enable, password, second factor.", no_args_is_help=True
)

Organization = Annotated[str, typer.Argument(help="Name of the organization.")]
Name = Annotated[str, typer.Argument(help="Name.")]
DisplayName = Annotated[str | None, typer.Option("--display-name", help="What people read.")]
PAGE = 1000
Form = TypeVar("Form", bound=BaseModel)


@organizations.command("list")
def list_organizations() -> None:
    """List all organizations."""
    from iam.directory.organizations import list_organizations as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, limit=PAGE))
    rows = [
        (one.name, one.display_name, "yes" if one.enabled else "no", to_iso(one.created_at))
        for one in found
    ]
    print_rows("Organizations", ("name", "display name", "enabled", "created"), rows)


@organizations.command("create")
def create_organization(name: Name, display_name: DisplayName = None) -> None:
    """Create an organization."""
    from iam.api.schemas import OrganizationBody
    from iam.directory.organizations import create_organization as create

    checked(OrganizationBody, name=name, display_name=display_name)
    with opened_database() as (_, database):
        now = system_clock()

        def work(connection: Connection) -> None:
            rules.hold_rules(connection, name)
            create(connection, name, display_name, now)
            note(connection, "organization.created", now, organization=name)

        database.write(work)
    print(f"Created organization {name}.")


@organizations.command("disable")
def disable_organization(name: Name) -> None:
    """Disable an organization and end all its sessions."""
    _switch_organization(name, enabled=False)
    print(f"Disabled organization {name}; its sessions have ended.")


@organizations.command("enable")
def enable_organization(name: Name) -> None:
    """Let the users of a disabled organization sign in again."""
    _switch_organization(name, enabled=True)
    print(f"Enabled organization {name}.")


def _switch_organization(name: str, *, enabled: bool) -> None:
    from iam.directory.organizations import OrganizationChange, update_organization

    change = OrganizationChange(enabled=enabled)
    with opened_database() as (_, database):
        now = system_clock()

        def work(connection: Connection) -> None:
            update_organization(
                connection, name, change, actor=OPERATOR, now=now, random=system_random
            )
            data = {"changed": ["enabled"]}
            note(connection, "organization.updated", now, organization=name, data=data)

        database.write(work)


@users.command("list")
def list_users(organization: Organization) -> None:
    """List the users of an organization."""
    from iam.directory.users import list_users as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, organization, limit=PAGE))
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
    locale: Annotated[str | None, typer.Option(help="Their language, like de.")] = None,
    zoneinfo: Annotated[
        str | None, typer.Option(help="Their time zone, like Europe/Berlin.")
    ] = None,
    password: Annotated[bool, typer.Option(help="Ask for a password.")] = True,
) -> None:
    """Create a user; asks for the password unless --no-password."""
    from iam.api.schemas import UserBody
    from iam.directory.organizations import find_organization
    from iam.directory.preferences import Preferences
    from iam.directory.users import create_user as create
    from iam.server.build import make_passwords

    body = checked(
        UserBody,
        organization=organization,
        name=name,
        display_name=display_name,
        email=email,
        roles=role,
        locale=locale,
        zoneinfo=zoneinfo,
    )
    with opened_database() as (settings, database):
        hashed = make_passwords(settings, system_random).hash(_ask()) if password else None
        now = system_clock()

        def work(connection: Connection) -> None:
            rules.share_rules(connection, organization)
            find_organization(connection, organization)
            create(
                connection,
                **body.model_dump(exclude={"password", "locale", "zoneinfo"}),
                preferences=Preferences(body.locale, body.zoneinfo),
                password_hash=hashed,
                now=now,
                random=system_random,
            )
            members = {"organization": organization, "user": name}
            note(connection, "user.created", now, **members, data={"roles": body.roles})

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
    changed = "password" if enabled is None else "enabled"
    with opened_database() as (_, database):
        now = system_clock()

        def work(connection: Connection) -> None:
            update_user(
                connection,
                organization,
                name,
                change,
                actor=OPERATOR,
                now=now,
                random=system_random,
            )
            members = {"organization": organization, "user": name}
            note(connection, "user.updated", now, **members, data={"changed": [changed]})

        database.write(work)


def checked(form: type[Form], **members: object) -> Form:
    """What was given on the command line, held to the rules of the API's bodies.

    Raises:
        Invalid: it breaks one, in the words that the API has for it.
    """
    try:
        return form(**{name: value for name, value in members.items() if value is not None})
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(str(part) for part in one['loc'])}: "
            + str(one["msg"]).removeprefix("Value error, ")
            for one in error.errors()
        ]
        raise Invalid("; ".join(mistakes)) from error


def note(connection: Connection, type_: str, now: Instant, **members: Any) -> None:
    """Write the event of a change, in its transaction."""
    event_id = make_id(EVENT, now, system_random)
    audit.append(connection, [Event(id=event_id, at=now, type=type_, actor=OPERATOR, **members)])
