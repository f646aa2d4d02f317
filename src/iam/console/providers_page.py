"""`/console/providers`: who else says who the people of an organization are, and one of them."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console import provider_saml
from iam.console.asking import named, notice_of, one_organization, path_of
from iam.console.forms import Field
from iam.console.scope import organization_in_scope, require_console
from iam.directory.patterns import ISSUER_PATTERN, WEBHOOK_URL_PATTERN
from iam.directory.provider_options import AuthMethod, Preset
from iam.directory.providers import Attribute, Provider, find_provider, list_providers
from iam.directory.saml_sources import find_source
from iam.kernel.clock import Instant
from iam.languages import N_
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import moment, page_errors, render
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/providers"
KINDS = {"oidc": "OpenID Connect", "oauth2": "OAuth 2", "saml": "SAML"}
COMMON = (
    Field(name="display_name", label=N_("Name on its button")),
    Field(
        name="behaviour",
        label=N_("People"),
        kind="choices",
        options=(("creates_users", N_("Whoever it knows and we do not becomes a user of ours")),),
        value=(),
    ),
    Field(
        name="trusted_domains",
        label=N_("Mail domains for which it is believed"),
        kind="lines",
        hint=N_(
            "One a line, such as acme.example. Only there is somebody linked to the user of ours who has "
            "the address."
        ),
    ),
    Field(
        name="attributes",
        label=N_("Attributes"),
        kind="lines",
        hint=N_(
            "What of ours is filled by which claim or attribute of theirs, one a line: roles=groups. "
            "Of ours: %(attributes)s."
        ),
        places={"attributes": ", ".join(get_args(Attribute))},
    ),
)
_CLIENT = Field(name="client_id", label=N_("Client ID that it knows us by"), required=True)
SECRET = Field(
    name="client_secret",
    label=N_("Client secret"),
    kind="password",
    hint=N_("Kept encrypted and never shown. Left empty it stays as it is."),
)
_AUTH = Field(
    name="auth_method",
    label=N_("We prove ourselves there by"),
    kind="choice",
    options=tuple((one, one) for one in get_args(AuthMethod)),
)
_SCOPES = Field(name="scopes", label=N_("Scopes"), hint=N_("With spaces between them."))
_EMAIL = (
    "trust_email",
    N_("Its addresses count as verified, though it does not say so of each"),
)
OPTIONS: Mapping[str, tuple[Field, ...]] = {
    "oidc": (
        Field(
            name="issuer",
            label=N_("Issuer"),
            required=True,
            hint=N_(
                "Exactly as its discovery document says it, such as https://login.example.com."
            ),
        ),
        _CLIENT,
        SECRET,
        _AUTH.with_value("client_secret_basic"),
        _SCOPES.with_value("openid profile email"),
        Field(
            name="options",
            label=N_("Options"),
            kind="choices",
            options=(
                ("userinfo", N_("Ask its userinfo endpoint as well")),
                _EMAIL,
                ("sign_out_there", N_("Whoever signs out here is led on to sign out there")),
            ),
            value=("userinfo",),
        ),
    ),
    "oauth2": (
        Field(
            name="preset",
            label=N_("Preset"),
            kind="choice",
            options=(
                ("", N_("None: all endpoints below")),
                *((one, one) for one in get_args(Preset)),
            ),
        ),
        _CLIENT,
        SECRET,
        _AUTH.with_value("client_secret_post"),
        _SCOPES,
        *(
            Field(name=name, label=label, hint=N_("Empty: as the preset says."))
            for name, label in (
                ("authorization_endpoint", N_("Authorization endpoint")),
                ("token_endpoint", N_("Token endpoint")),
                ("userinfo_endpoint", N_("Userinfo endpoint")),
                ("emails_endpoint", N_("Endpoint for e-mail addresses")),
                ("issuer", N_("Issuer")),
                ("subject_claim", N_("Claim that never changes")),
            )
        ),
        Field(name="options", label=N_("Options"), kind="choices", options=(_EMAIL,), value=()),
    ),
    "saml": provider_saml.FIELDS,
}
PATTERNS = {
    "issuer": ISSUER_PATTERN,
    "authorization_endpoint": WEBHOOK_URL_PATTERN,
    "token_endpoint": WEBHOOK_URL_PATTERN,
    "userinfo_endpoint": WEBHOOK_URL_PATTERN,
    "emails_endpoint": WEBHOOK_URL_PATTERN,
}
_NOTICES = {
    "created": N_("The provider is there, and its button on the sign-in page."),
    "saved": N_("Saved."),
    "disabled": N_("The provider is disabled: nobody signs in by it. Whom it let in stays in."),
    "enabled": N_("The provider is enabled."),
    "fetched": N_("Its metadata has been fetched: what it says counts from now on."),
    "deleted": N_("The provider is deleted, with its links."),
}


@page_errors
async def show_providers(request: Request) -> Response:
    """GET: the providers of an organization by name."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.READ), query_text(request, "organization")

    def work(connection: Connection) -> dict[str, Any]:
        organization, choices = one_organization(connection, person, name)
        found = list_providers(connection, organization)
        return {
            "organization": organization,
            "organizations": choices,
            "providers": [_row(one, engine.settings.issuer, now) for one in found],
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_providers.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        **context,
    )


@page_errors
async def show_provider(request: Request) -> Response:
    """GET: one provider."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.READ)
    owner, name = named(request)
    issuer = engine.settings.issuer
    context = await in_thread(
        lambda: engine.database.read(lambda c: read_provider(c, person, owner, name, issuer, now))
    )
    return render(
        request,
        "console_provider.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        error=None,
        wrong={},
        **context,
    )


def read_provider(
    connection: Connection, person: Person, owner: str, name: str, issuer: str, now: Instant
) -> dict[str, Any]:
    """What the page of a provider shows.

    Raises:
        OrganizationMissing, ProviderMissing: there is none, or not for them.
    """
    organization_in_scope(connection, person, owner)
    found = find_provider(connection, owner, name)
    saml = None
    if found.kind == "saml":
        saml = provider_saml.metadata_of(found.options, find_source(connection, found.id), now)
    return {
        "organization": owner,
        "provider": _row(found, issuer, now),
        "fields": fields_of(found),
        "addresses": provider_saml.our_addresses(issuer) if saml else [],
        "saml": saml,
        "here": path_of("providers", owner, name),
    }


def fields_for(kind: str) -> tuple[Field, ...]:
    """The fields of a provider of this kind in their order: of SAML first where its metadata is."""
    if kind == "saml":
        source, rest = OPTIONS[kind][:2], OPTIONS[kind][2:]
        return (COMMON[0], *source, *COMMON[1:], *rest)
    return (*COMMON, *OPTIONS[kind])


def fields_of(provider: Provider) -> list[Field]:
    """The fields of a provider as they stand."""
    stored = provider.options
    values: dict[str, Any] = {
        "display_name": provider.display_name,
        "behaviour": ["creates_users"] if provider.creates_users else [],
        "trusted_domains": "\n".join(provider.trusted_domains),
        "attributes": "\n".join(f"{ours}={claim}" for ours, claim in provider.attributes.items()),
        "scopes": " ".join(stored.get("scopes") or ()),
    }
    fields: Sequence[Field] = fields_for(provider.kind)
    if provider.kind == "saml":
        values |= provider_saml.values_of(stored)
        fields = provider_saml.with_format(fields, stored)
    shown = []
    for one in fields:
        if one.name == "options":
            value: Any = [name for name, _words in one.options if stored.get(name)]
        elif one.kind == "password":
            value = ""
        else:
            value = values.get(one.name, stored.get(one.name) or "")
        shown.append(one.with_value(value))
    return shown


def _row(provider: Provider, issuer: str, now: Instant) -> dict[str, Any]:
    spoken = provider.kind in ("oidc", "oauth2")
    return {
        "id": provider.id,
        "name": provider.name,
        "display_name": provider.display_name,
        "kind": KINDS[provider.kind],
        "enabled": provider.enabled,
        "has_client": spoken,
        "creates_users": provider.creates_users,
        "has_secret": provider.sealed_secret is not None,
        "redirect_uri": f"{issuer}/oauth/callback/{provider.id}" if spoken else None,
        "logout_uri": f"{issuer}/oauth/backchannel-logout/{provider.id}"
        if provider.kind == "oidc"
        else None,
        "created": moment(provider.created_at, now),
        "href": path_of("providers", provider.organization, provider.name),
    }
