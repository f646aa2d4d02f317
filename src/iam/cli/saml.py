"""SAML service providers from the command line."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from iam import audit
from iam.cli.database import opened_database
from iam.cli.directory import Name, Organization
from iam.cli.output import print_json
from iam.kernel.clock import Instant, system_clock
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random

providers = typer.Typer(
    help="Applications as SAML service providers: set, show, delete.", no_args_is_help=True
)


@providers.command("set")
def set_provider(
    organization: Organization,
    name: Name,
    metadata: Annotated[str, typer.Argument(help="A file with its metadata; - is standard input.")],
    require_signed_requests: Annotated[
        bool | None, typer.Option(help="Default: as its metadata says.")
    ] = None,
    sign_response: Annotated[bool, typer.Option(help="Sign the response.")] = True,
    sign_assertion: Annotated[bool, typer.Option(help="Sign the assertion.")] = True,
    name_id_format: Annotated[
        str, typer.Option(help="persistent, transient, emailAddress or unspecified.")
    ] = "persistent",
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SOURCE, for example mail=email. May be repeated."),
    ] = None,
    allow_idp_initiated: Annotated[
        bool, typer.Option(help="Let people in there without its having asked.")
    ] = False,
    logout_ends_browser_session: Annotated[
        bool, typer.Option(help="Its logout ends all that was entered from that browser.")
    ] = True,
) -> None:
    """Register an application as a SAML service provider by its metadata."""
    from pydantic import ValidationError

    from iam.api.saml_views import SamlProviderBody
    from iam.directory.applications import find_application
    from iam.directory.saml_providers import SamlOptions
    from iam.directory.saml_providers import set_provider as register

    try:
        body = SamlProviderBody.model_validate(
            {
                "metadata": _read(metadata),
                "require_signed_requests": require_signed_requests,
                "sign_response": sign_response,
                "sign_assertion": sign_assertion,
                "name_id_format": name_id_format,
                "attributes": dict(_pair(one) for one in attribute or ()),
                "allow_idp_initiated": allow_idp_initiated,
                "logout_ends_browser_session": logout_ends_browser_session,
            }
        )
    except ValidationError as error:
        raise Invalid(
            "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
        ) from None
    options = SamlOptions(**body.model_dump(exclude={"metadata"}))
    with opened_database() as (settings, database):
        now = system_clock()

        def work(connection: Connection) -> Any:
            find_application(connection, organization, name)
            made = register(
                connection,
                organization,
                name,
                body.metadata,
                options,
                now=now,
                random=system_random,
            )
            _note(connection, now, organization, name)
            return made

        made = database.write(work)
    print(f"{made.entity_id} is {organization}/{name}. Give it {settings.issuer}/saml/metadata")


@providers.command("show")
def show_provider(organization: Organization, name: Name) -> None:
    """Show how an application is registered, as JSON."""
    from iam.api.saml_views import saml_provider_view
    from iam.directory.saml_providers import find_provider

    with opened_database() as (_, database):
        found = database.read(lambda c: find_provider(c, organization, name))
    print_json(saml_provider_view(found))


@providers.command("delete")
def delete_provider(organization: Organization, name: Name) -> None:
    """Have an application be no SAML service provider any more. Its sessions go on."""
    from iam.directory.saml_providers import delete_provider as forget

    with opened_database() as (_, database):
        now = system_clock()

        def work(connection: Connection) -> None:
            forget(connection, organization, name)
            _note(connection, now, organization, name)

        database.write(work)
    print(f"{organization}/{name} is no SAML service provider any more.")


def _read(path: str) -> str:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from None


def _pair(text: str) -> tuple[str, str]:
    name, _, source = text.rpartition("=")
    return name, source


def _note(connection: Connection, now: Instant, organization: str, name: str) -> None:
    event = Event(
        id=make_id(EVENT, now, system_random),
        at=now,
        type="application.updated",
        actor=OPERATOR,
        organization=organization,
        application=name,
        data={"changed": ["saml"]},
    )
    audit.append(connection, [event])
