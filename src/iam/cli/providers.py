"""Providers and links from the command line."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from iam import audit
from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.cli.saml import read_text
from iam.kernel.clock import Instant, system_clock, to_iso
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR, Event
from iam.kernel.ids import EVENT, PROVIDER, make_id
from iam.kernel.secrets import system_random
from iam.sessions import rules

providers = typer.Typer(
    help="Providers by which people sign in: list, create, enable, disable, delete, links, unlink.",
    no_args_is_help=True,
)

Organization = Annotated[str, typer.Argument(help="Name of the organization.")]
Name = Annotated[str, typer.Argument(help="Name of the provider.")]
User = Annotated[str, typer.Argument(help="Name of the user.")]


@providers.command("list")
def list_providers(organization: Organization) -> None:
    """List the providers of an organization."""
    from iam.directory.organizations import find_organization
    from iam.directory.providers import Provider
    from iam.directory.providers import list_providers as listed

    def work(connection: Connection) -> tuple[Provider, ...]:
        find_organization(connection, organization)
        return listed(connection, organization)

    with opened_database() as (_, database):
        found = database.read(work)
    rows = [
        (one.id, one.name, one.kind, one.display_name, "yes" if one.enabled else "no")
        for one in found
    ]
    columns = ("id", "name", "kind", "display name", "enabled")
    print_rows(f"Providers of {organization}", columns, rows)


@providers.command("create")
def create_provider(
    organization: Organization,
    name: Name,
    kind: Annotated[str, typer.Option(help="oidc, oauth2 or saml.")] = "oidc",
    issuer: Annotated[str | None, typer.Option(help="Its issuer, https://…")] = None,
    preset: Annotated[
        str | None, typer.Option(help="github, google, microsoft or gitlab (kind oauth2).")
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(help="A file with its metadata, or its https address (kind saml)."),
    ] = None,
    metadata_signer: Annotated[
        str | None,
        typer.Option(help="A file with the certificate (PEM) that signs what is at that address."),
    ] = None,
    client_id: Annotated[str | None, typer.Option(help="What we are called there.")] = None,
    client_secret_file: Annotated[
        str | None, typer.Option(help="A file with the client secret; - reads standard input.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Any other option: name=value (value as JSON or text).")
    ] = None,
    display_name: Annotated[str | None, typer.Option(help="“Continue with …”")] = None,
    creates_users: Annotated[
        bool, typer.Option("--creates-users", help="Make users of whom it knows and we do not.")
    ] = False,
    trusted_domain: Annotated[
        list[str] | None, typer.Option(help="A mail domain for which it is believed.")
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="What of ours=which claim: roles=groups.")
    ] = None,
) -> None:
    """Let people of an organization sign in by another provider; prints what it has to know of us."""
    from iam.api.provider_members import provider_view

    given = {"issuer": issuer, "preset": preset, "client_id": client_id}
    given |= _metadata(metadata, metadata_signer)
    body = {
        "organization": organization,
        "name": name,
        "kind": kind,
        "display_name": display_name,
        "creates_users": creates_users,
        "trusted_domains": trusted_domain or [],
        "attributes": _pairs("--attribute", attribute),
        "options": {key: value for key, value in given.items() if value is not None}
        | {key: _json_or_text(value) for key, value in _pairs("--option", option).items()},
        "client_secret": _read_secret(client_secret_file),
    }
    made, issuer_of_ours = _create(body)
    view = provider_view(made, issuer_of_ours)
    print(f"Created provider {made.name} ({made.id}).")
    if made.kind == "saml":
        print(f"metadata                {issuer_of_ours}/saml/sp/metadata")
    print(f"redirect_uri            {view['redirect_uri']}")
    if view["backchannel_logout_uri"] is not None:
        print(f"backchannel_logout_uri  {view['backchannel_logout_uri']}")


def _metadata(where: str | None, signer: str | None) -> dict[str, str | None]:
    if where is None:
        return {}
    if where.startswith(("https://", "http://")):
        pem = read_text(signer) if signer is not None else None
        return {"metadata_url": where, "metadata_signer": pem}
    return {"metadata": read_text(where)}


def _create(body: dict[str, Any]) -> tuple[Any, str]:
    from pydantic import TypeAdapter, ValidationError

    from iam.api.provider_members import ProviderBody
    from iam.api.saml_upstream import SamlOptionsBody, stored_saml_options
    from iam.delivery.provider_addresses import check_options
    from iam.directory.providers import NewProvider
    from iam.directory.providers import create_provider as create
    from iam.directory.saml_identity import note_source
    from iam.keys.cipher import open_cipher
    from iam.signin.provider_secrets import seal_secret

    try:
        checked: Any = TypeAdapter(ProviderBody).validate_python(body)
    except ValidationError as error:
        mistakes = error.errors(include_input=False)
        words = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in mistakes)
        raise Invalid("; ".join(words)) from None
    options = checked.options.model_dump()
    with opened_database() as (settings, database):
        now = system_clock()
        if isinstance(checked.options, SamlOptionsBody):
            options = stored_saml_options(checked.options, settings, now)
        else:
            check_options(checked.kind, options, allow_private=settings.delivery_allow_private)
        id_ = make_id(PROVIDER, now, system_random)
        sealed = None
        if checked.client_secret is not None:
            sealed = seal_secret(open_cipher(settings), id_, checked.client_secret, system_random)
        new = NewProvider(
            kind=checked.kind,
            display_name=checked.display_name or checked.name,
            options=options,
            creates_users=checked.creates_users,
            trusted_domains=tuple(checked.trusted_domains),
            attributes=checked.attributes,
        )

        def work(connection: Connection) -> Any:
            rules.hold_rules(connection, checked.organization)
            made = create(
                connection,
                checked.organization,
                checked.name,
                new,
                provider_id=id_,
                sealed_secret=sealed,
                now=now,
                random=system_random,
            )
            note_source(connection, made, now)
            data = {"provider": made.name, "kind": made.kind}
            _note(connection, "provider.created", now, checked.organization, data)
            return made

        return database.write(work), settings.issuer


@providers.command("enable")
def enable_provider(organization: Organization, name: Name) -> None:
    """Let people sign in by a disabled provider again."""
    _switch(organization, name, enabled=True)
    print(f"Enabled provider {name}.")


@providers.command("disable")
def disable_provider(organization: Organization, name: Name) -> None:
    """Let nobody sign in by a provider; whom it let in stays in."""
    _switch(organization, name, enabled=False)
    print(f"Disabled provider {name}.")


def _switch(organization: str, name: str, *, enabled: bool) -> None:
    from dataclasses import replace

    from iam.directory.providers import find_provider, update_provider

    now = system_clock()

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, organization)
        before = find_provider(connection, organization, name)
        after = replace(before, enabled=enabled)
        update_provider(connection, organization, name, after, sealed_secret=None, now=now)
        data = {"provider": name, "changed": ["enabled"]}
        _note(connection, "provider.updated", now, organization, data)

    with opened_database() as (_, database):
        database.write(work)


@providers.command("delete")
def delete_provider(organization: Organization, name: Name) -> None:
    """Delete a provider with its links; whom it let in stays in."""
    from iam.directory.providers import delete_provider as delete

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, organization)
        delete(connection, organization, name)
        _note(connection, "provider.deleted", system_clock(), organization, {"provider": name})

    with opened_database() as (_, database):
        database.write(work)
    print(f"Deleted provider {name}.")


@providers.command("links")
def list_links(organization: Organization, user: User) -> None:
    """List by which providers a user is known."""
    from iam.directory.providers import find_provider_by_id, link_id
    from iam.directory.providers import list_links as listed
    from iam.directory.users import find_user

    def work(connection: Connection) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for one in listed(connection, find_user(connection, organization, user).id):
            provider = find_provider_by_id(connection, one.provider)
            used = to_iso(one.last_used_at) if one.last_used_at is not None else None
            name = provider.name if provider is not None else None
            rows.append((link_id(one), name, one.subject, to_iso(one.created_at), used))
        return rows

    with opened_database() as (_, database):
        found = database.read(work)
    print_rows(f"Links of {user}", ("id", "provider", "subject", "made", "last used"), found)


@providers.command("unlink")
def remove_link(
    organization: Organization,
    user: User,
    link: Annotated[str, typer.Argument(help="Link ID, lnk_…")],
) -> None:
    """Have a provider mean a user no more; their sessions go on."""
    from iam.directory.providers import find_own_link, find_provider_by_id
    from iam.directory.providers import remove_link as remove
    from iam.directory.users import find_user

    now = system_clock()

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, organization)
        found = find_own_link(connection, find_user(connection, organization, user).id, link)
        provider = find_provider_by_id(connection, found.provider)
        remove(connection, found.provider, found.subject)
        data = {"provider": provider.name if provider else None, "subject": found.subject}
        _note(connection, "provider.unlinked", now, organization, data, user)

    with opened_database() as (_, database):
        database.write(work)
    print(f"Removed link {link} of {user}.")


def _pairs(name: str, given: list[str] | None) -> dict[str, str]:
    found = {}
    for one in given or []:
        key, separator, value = one.partition("=")
        if not separator:
            raise Invalid(f"{name} is name=value.")
        found[key] = value
    return found


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _read_secret(file: str | None) -> str | None:
    # Not an argument of its own: those stand in the list of processes, for everybody on the machine.
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read.") from error
    return text.strip()


def _note(
    connection: Connection,
    type_: str,
    now: Instant,
    organization: str,
    data: dict[str, Any],
    user: str | None = None,
) -> None:
    event = Event(
        id=make_id(EVENT, now, system_random),
        at=now,
        type=type_,
        actor=OPERATOR,
        organization=organization,
        user=user,
        data=data,
    )
    audit.append(connection, [event])
