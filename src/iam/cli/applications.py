"""Applications from the command line."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from iam.cli.database import opened_database
from iam.cli.directory import PAGE, DisplayName, Name, Organization, checked, note
from iam.cli.output import print_rows
from iam.directory.applications import Application
from iam.kernel.clock import system_clock
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random
from iam.sessions import rules
from iam.sessions.model import BUILT_IN_ORGANIZATION

applications = typer.Typer(help="Applications: list, create, update.", no_args_is_help=True)

BackchannelUri = Annotated[
    str | None,
    typer.Option(help="Where it is told that a session has ended (back-channel logout)."),
]
FrontchannelUri = Annotated[
    str | None,
    typer.Option(help="What browsers load in a frame at sign-out (front-channel logout)."),
]
Consent = Annotated[str | None, typer.Option(help="none, or required: ask each person first.")]
Manages = Annotated[
    bool | None,
    typer.Option(
        help="Whoever has its secret can do what an administrator of its organization can (Hanzo, Casdoor)."
    ),
]


@applications.command("list")
def list_applications(organization: Organization) -> None:
    """List the applications of an organization."""
    from iam.directory.applications import list_applications as listed

    with opened_database() as (_, database):
        found = database.read(lambda c: listed(c, organization, limit=PAGE))
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
    manages_organization: Manages = None,
) -> None:
    """Create an application; prints its client ID and, this once, its secret."""
    from iam.api.applications_api import check_hosts
    from iam.api.openid_members import ApplicationForm, check_openid, split_members
    from iam.directory.applications import create_application as create
    from iam.directory.client_settings import ClientSettings
    from iam.directory.openid_settings import OpenidSettings
    from iam.directory.organizations import find_organization
    from iam.keys.client_keys import check_jwks

    body = checked(
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
        manages_organization=manages_organization,
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
            note(connection, "application.created", now, **about)
            return made

        application, secret = database.write(work)
    print(f"client_id      {application.client_id}")
    if secret is not None:
        print(f"client_secret  {secret}  (shown this once)")
    _warn(organization, manages_organization)


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
    manages_organization: Manages = None,
) -> None:
    """Change how an application signs out and asks, and whether it administers.

    An empty address takes one away.
    """
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
        "manages_organization": manages_organization,
    }
    removed = {key: None for key, value in given.items() if value == "" and key.endswith("_uri")}
    form = checked(
        ApplicationChangeForm, **{key: given[key] for key in given.keys() - removed.keys()}
    )
    chosen, client, members = split_members(form.model_dump(include=form.model_fields_set))
    if not chosen and not client and not members and not removed:
        raise Invalid("Say what to change.")
    with opened_database() as (settings, database):
        now = system_clock()

        def work(connection: Connection) -> None:
            after, _ = change(
                connection,
                organization,
                name,
                ApplicationChange(**members, openid={**chosen, **removed}, client=client),
                actor=OPERATOR,
                now=now,
                random=system_random,
            )
            check_openid(settings, after)
            changed = sorted({*form.model_fields_set, *removed})
            about = {"organization": organization, "application": name}
            note(connection, "application.updated", now, **about, data={"changed": changed})

        database.write(work)
    print(f"Changed application {organization}/{name}.")
    _warn(organization, manages_organization)


def _warn(organization: str, manages: bool | None) -> None:
    if manages:
        whose = "of everything" if organization == BUILT_IN_ORGANIZATION else f"of {organization}"
        print(f"Whoever has its secret can do what an administrator {whose} can.", file=sys.stderr)


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
