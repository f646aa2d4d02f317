"""`/console/applications`: what one signs in to, and one of them with what it needs to be set up."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.asking import notice_of, one_organization, path_of
from iam.console.forms import Field
from iam.console.scope import organization_in_scope, require_console
from iam.console.snippets import gate_snippets, openid_snippets
from iam.directory.applications import Application, find_application, list_applications
from iam.directory.saml_providers import SamlProviderMissing, find_provider
from iam.kernel.clock import Instant
from iam.languages import N_
from iam.sessions.counting import Count, count_some
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.search import SessionFilter
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import moment, page_errors, render
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/applications"
_PAGE = 50
GRANTS = (
    ("authorization_code", N_("Authorization code: people sign in")),
    ("refresh_token", N_("Refresh token: tokens without the person, while the session lives")),
    ("client_credentials", N_("Client credentials: the application for itself")),
)
KINDS = (
    ("confidential", N_("On a server: it keeps a client secret")),
    ("public", N_("In a browser or on a phone: it can keep none")),
)
NAME = Field(
    name="name",
    label=N_("Name"),
    required=True,
    hint=N_("a-z, 0-9 and . _ -, up to 63. It identifies the application and stays."),
)
KIND = Field(
    name="kind", label=N_("Where it runs"), kind="choice", options=KINDS, value="confidential"
)
EDITED = (
    Field(name="display_name", label=N_("Name as people read it")),
    Field(
        name="redirect_uris",
        label=N_("Redirect URIs"),
        kind="lines",
        hint=N_(
            "One a line, compared exactly. https, http on a loopback address, or an app's own scheme."
        ),
    ),
    Field(
        name="post_logout_redirect_uris",
        label=N_("Redirect URIs after sign-out"),
        kind="lines",
        hint=N_("One a line."),
    ),
    Field(
        name="gate_hosts",
        label=N_("Hosts behind the gate"),
        kind="lines",
        hint=N_(
            "One a line, as browsers know them: wiki.example.com. Taking one away ends the sessions there."
        ),
    ),
    Field(name="grant_types", label=N_("Grant types"), kind="choices", options=GRANTS),
)
RIGHTS = Field(
    name="rights",
    label=N_("Rights"),
    kind="choices",
    options=(("manages_organization", N_("Its client secret administers the organization")),),
    value=(),
    hint=N_(
        "For back ends written for Hanzo or Casdoor only. Whoever has the secret can do all that an "
        "administrator can: read and end every session, make users, take over accounts."
    ),
    warns=True,
)
_NOTICES = {
    "created": N_("The application has been added."),
    "saved": N_("Saved."),
    "saml": N_("It is registered by its metadata, and is a SAML service provider from now on."),
    "no-saml": N_("It is no SAML service provider any more."),
    "disabled": N_("The application is disabled, and all its sessions have ended."),
    "enabled": N_("The application is enabled."),
    "deleted": N_("The application is deleted, and all its sessions have ended."),
}


@page_errors
async def show_applications(request: Request) -> Response:
    """GET: applications of an organization by name."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.READ), query_text(request, "organization")
    cursor = query_text(request, "cursor")

    def work(connection: Connection) -> dict[str, Any]:
        organization, choices = one_organization(connection, person, name)
        found = list_applications(connection, organization, after=cursor or None, limit=_PAGE + 1)
        following = None
        if len(found) > _PAGE:
            query = {"organization": organization, "cursor": found[_PAGE - 1].name}
            following = f"{PATH}?{urlencode(query)}"
        return {
            "organization": organization,
            "organizations": choices,
            "applications": [_row(one, now) for one in found[:_PAGE]],
            "next_href": following,
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_applications.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        **context,
    )


@page_errors
async def show_application(request: Request) -> Response:
    """GET: one application."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.READ)
    owner, name = (str(request.path_params[one]) for one in ("organization", "name"))
    issuer = engine.settings.issuer
    context = await in_thread(
        lambda: engine.database.read(
            lambda c: read_application(c, person, owner, name, issuer, now)
        )
    )
    return render(
        request,
        "console_application.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        error=None,
        wrong={},
        **context,
    )


def read_application(
    connection: Connection, person: Person, owner: str, name: str, issuer: str, now: Instant
) -> dict[str, Any]:
    """What the page of an application shows.

    Raises:
        OrganizationMissing, ApplicationMissing: there is none, or not for this administrator.
    """
    owner, name = owner.replace("\x00", ""), name.replace("\x00", "")
    organization_in_scope(connection, person, owner)
    found = find_application(connection, owner, name)
    # The server's own serves the users of every organization: how many is no business of one.
    live = Count(0, exact=True)
    if name != BUILT_IN_APPLICATION:
        wanted = SessionFilter(organization=owner, application=name, state="active")
        live = count_some(connection, wanted, now)
    values = {
        "display_name": found.display_name,
        "redirect_uris": "\n".join(found.redirect_uris),
        "post_logout_redirect_uris": "\n".join(found.post_logout_redirect_uris),
        "gate_hosts": "\n".join(found.gate_hosts),
        "grant_types": found.grant_types,
        "rights": [RIGHTS.options[0][0]] if found.client.manages_organization else [],
    }
    return {
        "organization": owner,
        "application": _row(found, now),
        "own": name == BUILT_IN_APPLICATION,
        "live": live,
        "fields": [one.with_value(values[one.name]) for one in fields_for(found)],
        "here": path_of("applications", owner, name),
        "addresses": _addresses(found, issuer),
        "openid_snippets": openid_snippets(
            issuer,
            found.client_id,
            next(iter(found.redirect_uris), ""),
            public=found.public,
        ),
        "gate_snippets": gate_snippets(next(iter(found.gate_hosts), "")),
        "saml": _saml(connection, owner, name),
        "metadata": "",
    }


def fields_for(application: Application) -> tuple[Field, ...]:
    """The fields of an application: without rights if it has no secret that could use them."""
    own = application.name == BUILT_IN_APPLICATION
    return EDITED if own or not application.client.has_secret else (*EDITED, RIGHTS)


def _addresses(application: Application, issuer: str) -> list[str]:
    """Where an application can be opened: its hosts behind the gate, else where it is called back."""
    if application.gate_hosts:
        scheme = urlsplit(issuer).scheme
        return [f"{scheme}://{host}/" for host in application.gate_hosts[:3]]
    found = [urlsplit(uri) for uri in application.redirect_uris]
    origins = [f"{one.scheme}://{one.netloc}/" for one in found if one.scheme in ("https", "http")]
    return list(dict.fromkeys(origins))[:1]


def _saml(connection: Connection, owner: str, name: str) -> dict[str, Any] | None:
    try:
        found = find_provider(connection, owner, name)
    except SamlProviderMissing:
        return None
    return {
        "entity_id": found.entity_id,
        "consumers": [one.url for one in found.metadata.consumers],
        "logout": [one.url for one in found.metadata.logout],
        "signed": found.requires_signed_requests,
        "name_id": found.options.name_id_format,
    }


def _row(application: Application, now: Instant) -> dict[str, Any]:
    return {
        "name": application.name,
        "display_name": application.display_name,
        "client_id": application.client_id,
        "public": application.public,
        "manages": application.client.manages_organization,
        "redirect_uris": application.redirect_uris,
        "gate_hosts": application.gate_hosts,
        "enabled": application.enabled,
        "created": moment(application.created_at, now),
        "href": path_of("applications", application.organization, application.name),
    }
