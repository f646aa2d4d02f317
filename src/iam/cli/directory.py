"""Organizations, applications and users from the command line."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from iam import audit
from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.directory.applications import Application
from iam.kernel.clock import Instant, system_clock, to_iso
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random
from iam.sessions import rules

organizations = typer.Typer(
    help="Organizations: list, create, disable, enable.", no_args_is_help=True
)
applications = typer.Typer(help="Applications: list, create, update.", no_args_is_help=True)
users = typer.Typer(
    help="Users: list, create, disable, enable, password, second factor.", no_args_is_help=True
)

Organization = Annotated[str, typer.Argument(help="Name of the organization.")]
Name = Annotated[str, typer.Argument(help="Name.")]
DisplayName = Annotated[str | None, typer.Option("--display-name", help="What people read.")]
BackchannelUri = Annotated[
    str | None,
    typer.Option(help="Where it is told that a session has ended (back-channel logout)."),
]
FrontchannelUri = Annotated[
    str | None,
    typer.Option(help="What browsers load in a frame at sign-out (front-channel logout)."),
]
Consent = Annotated[str | None, typer.Option(help="none, or required: ask each person first.")]
_PAGE = 1000
Form = TypeVar("Form", bound=BaseModel)


@organizations.command("list")
def list_organizations() -> None:
    """List all organizations."""
    from iam.directory.organizations import list_organizations as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, limit=_PAGE))
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

    _checked(OrganizationBody, name=name, display_name=display_name)
    with opened_database() as (_, database):
        now = system_clock()

        def work(connection: Connection) -> None:
            rules.hold_rules(connection, name)
            create(connection, name, display_name, now)
            _note(connection, "organization.created", now, organization=name)

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
            _note(connection, "organization.updated", now, organization=name, data=data)

        database.write(work)


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
    post_logout_redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Where one may go on to after signing out.")
    ] = None,
    gate_host: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    grant_type: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    public: Annotated[bool, typer.Option("--public", help="It has no secret.")] = False,
    auth_method: Annotated[str | None, typer.Option(help="How it authenticates.")] = None,
    jwks: Annotated[Path | None, typer.Option(help="A file with its public keys.")] = None,
    backchannel_logout_uri: BackchannelUri = None,
    frontchannel_logout_uri: FrontchannelUri = None,
    consent: Consent = None,
) -> None:
    """Create an application; prints its client ID and, this once, its secret."""
    from iam.api.applications_api import check_hosts
    from iam.api.openid_members import ApplicationForm, check_openid, split_members
    from iam.directory.applications import create_application as create
    from iam.directory.client_settings import ClientSettings
    from iam.directory.openid_settings import OpenidSettings
    from iam.directory.organizations import find_organization
    from iam.keys.client_keys import check_jwks

    body = _checked(
        ApplicationForm,
        organization=organization,
        name=name,
        display_name=display_name,
        redirect_uris=redirect_uri,
        post_logout_redirect_uris=post_logout_redirect_uri,
        gate_hosts=gate_host,
        grant_types=grant_type,
        public=public,
        token_endpoint_auth_method=auth_method,
        jwks=_json(jwks),
        backchannel_logout_uri=backchannel_logout_uri,
        frontchannel_logout_uri=frontchannel_logout_uri,
        consent=consent,
    )
    check_jwks(body.jwks)
    chosen, client, members = split_members(body.model_dump(exclude={"policy"}))
    openid = OpenidSettings(**chosen)
    with opened_database() as (settings, database):
        check_hosts(settings, body.gate_hosts)
        now = system_clock()

        def work(connection: Connection) -> tuple[Application, str | None]:
            rules.hold_rules(connection, organization)
            find_organization(connection, organization)
            made = create(
                connection,
                **members,
                client=ClientSettings(**client),
                openid=openid,
                now=now,
                random=system_random,
            )
            check_openid(settings, made[0])
            about = {"organization": organization, "application": name}
            _note(connection, "application.created", now, **about)
            return made

        application, secret = database.write(work)
    print(f"client_id      {application.client_id}")
    if secret is not None:
        print(f"client_secret  {secret}  (shown this once)")


@applications.command("update")
def update_application(
    organization: Organization,
    name: Name,
    post_logout_redirect_uri: Annotated[
        list[str] | None, typer.Option(help="In place of those there are; may be repeated.")
    ] = None,
    backchannel_logout_uri: BackchannelUri = None,
    frontchannel_logout_uri: FrontchannelUri = None,
    consent: Consent = None,
) -> None:
    """Change how an application signs out and asks; an empty address takes one away."""
    from iam.api.openid_members import (
        ApplicationChangeForm,
        check_openid,
        split_members,
    )
    from iam.directory.applications import ApplicationChange
    from iam.directory.applications import update_application as change

    given = {
        "post_logout_redirect_uris": post_logout_redirect_uri,
        "backchannel_logout_uri": backchannel_logout_uri,
        "frontchannel_logout_uri": frontchannel_logout_uri,
        "consent": consent,
    }
    removed = {key: None for key, value in given.items() if value == "" and key.endswith("_uri")}
    form = _checked(
        ApplicationChangeForm, **{key: given[key] for key in given.keys() - removed.keys()}
    )
    chosen, _, members = split_members(form.model_dump(include=form.model_fields_set))
    if not chosen and not members and not removed:
        raise Invalid("Say what to change.")
    with opened_database() as (settings, database):
        now = system_clock()

        def work(connection: Connection) -> None:
            after, _ = change(
                connection,
                organization,
                name,
                ApplicationChange(**members, openid={**chosen, **removed}),
                actor=OPERATOR,
                now=now,
                random=system_random,
            )
            check_openid(settings, after)
            changed = sorted({*form.model_fields_set, *removed})
            about = {"organization": organization, "application": name}
            _note(connection, "application.updated", now, **about, data={"changed": changed})

        database.write(work)
    print(f"Changed application {organization}/{name}.")


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
    from iam.api.schemas import UserBody
    from iam.directory.organizations import find_organization
    from iam.directory.users import create_user as create
    from iam.server.build import make_passwords

    body = _checked(
        UserBody,
        organization=organization,
        name=name,
        display_name=display_name,
        email=email,
        roles=role,
    )
    with opened_database() as (settings, database):
        hashed = make_passwords(settings, system_random).hash(_ask()) if password else None
        now = system_clock()

        def work(connection: Connection) -> None:
            rules.share_rules(connection, organization)
            find_organization(connection, organization)
            create(
                connection,
                **body.model_dump(exclude={"password"}),
                password_hash=hashed,
                now=now,
                random=system_random,
            )
            members = {"organization": organization, "user": name}
            _note(connection, "user.created", now, **members, data={"roles": body.roles})

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
            _note(connection, "user.updated", now, **members, data={"changed": [changed]})

        database.write(work)


def _checked(form: type[Form], **members: object) -> Form:
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


def _json(path: Path | None) -> object:
    """What a file holds as JSON.

    Raises:
        Invalid: it cannot be read, or holds something else.
    """
    if path is None:
        return None
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read as JSON.") from error


def _note(connection: Connection, type_: str, now: Instant, **members: Any) -> None:
    """Write the event of a change, in its transaction."""
    event_id = make_id(EVENT, now, system_random)
    audit.append(connection, [Event(id=event_id, at=now, type=type_, actor=OPERATOR, **members)])
