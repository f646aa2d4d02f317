"""SAML service providers from the command line."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from iam import audit
from iam.cli.database import opened_database
from iam.cli.directory import Name, Organization
from iam.cli.output import print_json, print_rows
from iam.kernel.clock import Instant, system_clock, to_iso
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import system_random

providers = typer.Typer(
    help="Applications as SAML service providers: set, show, delete.", no_args_is_help=True
)
app = typer.Typer(help="SAML as a whole: its keys.", no_args_is_help=True)


@app.command("keys")
def list_keys() -> None:
    """List the SAML keys, by what they are for now."""
    from iam.keys import load_saml_keys
    from iam.keys.cipher import open_cipher

    with opened_database() as (settings, database):
        cipher, now = open_cipher(settings), system_clock()
        rows = []
        for use, word in (("signing", "signs"), ("encryption", "is encrypted for")):
            found = database.read(lambda c, use=use: load_saml_keys(c, cipher, now, use))  # type: ignore[misc]  # mypy cannot infer defaults
            for number, one in enumerate(found):
                state = word if number == 0 else "next" if one.active_at > now else "retiring"
                until = to_iso(one.retires_at) if one.retires_at is not None else ""
                rows.append((one.id, state, to_iso(one.active_at), until))
    print_rows("SAML keys", ("key", "state", "from", "until"), rows)


@app.command("rotate-key")
def rotate_key(
    ahead: Annotated[
        int, typer.Option(help="Days for which the new certificate is only published.", min=0)
    ] = 14,
    keep: Annotated[
        int, typer.Option(help="Days for which the former one stays published after that.", min=0)
    ] = 30,
) -> None:
    """Make new SAML keys: published now, they sign when providers have had time to fetch them."""
    from iam.keys.cipher import open_cipher
    from iam.keys.rotation import rotate_saml

    with opened_database() as (settings, database):
        signs, _ = rotate_saml(
            database,
            open_cipher(settings),
            settings.issuer,
            ahead=ahead * 24 * 60 * 60,
            kept=keep * 24 * 60 * 60,
            actor=OPERATOR,
            now=system_clock(),
            random=system_random,
        )
    print(f"{signs.id}  signs from {to_iso(signs.active_at)}")


@providers.command("set")
def set_provider(
    organization: Organization,
    name: Name,
    metadata: Annotated[
        str,
        typer.Argument(
            help="A file with its metadata (- is standard input), or its https address."
        ),
    ],
    signer: Annotated[
        str | None,
        typer.Option(help="A file with the certificate (PEM) that signs what is at the address."),
    ] = None,
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
    encrypt_assertion: Annotated[
        bool, typer.Option(help="Encrypt the assertion with the key in its metadata.")
    ] = False,
) -> None:
    """Register an application as a SAML service provider by its metadata."""
    from pydantic import ValidationError

    from iam.api.saml_views import SamlProviderBody, document_of
    from iam.directory.applications import find_application
    from iam.directory.saml_providers import set_provider as register

    try:
        body = SamlProviderBody.model_validate(
            {
                **(
                    {"metadata_url": metadata}
                    if metadata.startswith(("https://", "http://"))
                    else {"metadata": read_text(metadata)}
                ),
                "metadata_signer": read_text(signer) if signer is not None else None,
                "require_signed_requests": require_signed_requests,
                "sign_response": sign_response,
                "sign_assertion": sign_assertion,
                "name_id_format": name_id_format,
                "attributes": dict(_pair(one) for one in attribute or ()),
                "allow_idp_initiated": allow_idp_initiated,
                "logout_ends_browser_session": logout_ends_browser_session,
                "encrypt_assertion": encrypt_assertion,
            }
        )
    except ValidationError as error:
        raise Invalid(
            "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
        ) from None
    options = body.options()
    source = (body.metadata_url, body.metadata_signer) if body.metadata_url else None
    with opened_database() as (settings, database):
        now = system_clock()
        document = document_of(body, settings, now)

        def work(connection: Connection) -> Any:
            find_application(connection, organization, name)
            made = register(
                connection,
                organization,
                name,
                document,
                options,
                source=source,
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
    from iam.directory.saml_sources import find_source

    def work(connection: Connection) -> Any:
        found = find_provider(connection, organization, name)
        return found, find_source(connection, found.id)

    with opened_database() as (_, database):
        print_json(saml_provider_view(*database.read(work)))


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


def read_text(path: str) -> str:
    """The text of a file; - is standard input.

    Raises:
        Invalid: it cannot be read.
    """
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
