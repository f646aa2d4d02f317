"""What somebody signs in to: which organization, which application, and where it leads."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from iam.directory.applications import Application, find_application, find_client
from iam.directory.brands import NO_BRAND, Brand, read_brand
from iam.directory.names import NAME_PATTERN, ApplicationMissing, OrganizationMissing
from iam.directory.organizations import Organization, find_organization
from iam.directory.providers import Provider, list_providers
from iam.kernel.errors import Forbidden
from iam.kernel.ids import is_client_id
from iam.languages import _
from iam.sessions.layers import effective_policy
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION
from iam.settings import Settings
from iam.web.targets import host_target, uri_targets

_NAME = re.compile(NAME_PATTERN, re.ASCII)


class OrganizationOff(Forbidden):
    """The organization somebody wants to sign in to is disabled."""

    code = "organization_disabled"
    title = "This organization is switched off."


class ApplicationOff(Forbidden):
    """The application somebody wants to enter is disabled."""

    code = "application_disabled"
    title = "This application is switched off."


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a sign-in page was asked to lead.

    `application` is set when one was named by its client ID; `organization` when the application or
    the page's address settles it. Otherwise the person says which.
    """

    client_id: str = ""
    path: str = "/sign-in"
    application: Application | None = None
    organization: Organization | None = None
    own_name: str = "Hanzo IAM"
    providers: tuple[Provider, ...] = ()
    """By which else one can sign in, where the organization is settled."""
    brand: Brand = NO_BRAND
    may_remember: bool = False
    """Whether one may ask to be kept signed in, as far as that is known before it is known who one is."""

    @property
    def name(self) -> str:
        """What the page says one signs in to."""
        return self.application.display_name if self.application else self.own_name


def find_destination(
    connection: Connection, client_id: str, organization: str | None
) -> Destination:
    """The destination of a client ID ('' for none) and an organization in the page's address.

    Raises:
        ApplicationMissing, OrganizationMissing: unknown, or the two do not go together.
        ApplicationOff, OrganizationOff: it is disabled.
    """
    own = find_application(connection, BUILT_IN_ORGANIZATION, BUILT_IN_APPLICATION)
    application = _application(connection, client_id)
    if application is not None and organization not in (None, application.organization):
        raise ApplicationMissing
    home = application.organization if application is not None else organization
    if home is not None and not _NAME.fullmatch(home):
        raise OrganizationMissing
    policy = effective_policy(connection, home or BUILT_IN_ORGANIZATION, BUILT_IN_APPLICATION)
    return Destination(
        may_remember=policy.may_remember,
        client_id=application.client_id if application is not None else "",
        path="/sign-in" if organization is None else f"/sign-in/{organization}",
        application=application,
        organization=_organization(connection, home) if home is not None else None,
        providers=_providers(connection, home) if home is not None else (),
        own_name=own.display_name,
        brand=read_brand(connection, home) if home is not None else NO_BRAND,
    )


def _organization(connection: Connection, name: str) -> Organization:
    found = find_organization(connection, name)
    if not found.enabled:
        raise OrganizationOff(_closed(found.display_name))
    return found


def _providers(connection: Connection, organization: str) -> tuple[Provider, ...]:
    return tuple(one for one in list_providers(connection, organization) if one.enabled)


def _application(connection: Connection, client_id: str) -> Application | None:
    if not client_id:
        return None
    found = find_client(connection, client_id) if is_client_id(client_id) else None
    if found is None:
        raise ApplicationMissing(_("No application here has this client ID."))
    if not found.enabled:
        raise ApplicationOff(_closed(found.display_name))
    # The server's own application serves every organization: it settles nothing.
    return None if found.name == BUILT_IN_APPLICATION else found


def _closed(name: str) -> str:
    return _("%(name)s takes no sign-ins at the moment.", name=name)


def form_targets(destination: Destination, settings: Settings) -> tuple[str, ...]:
    """What the page's `form-action` must allow besides the page's own origin (`web.targets`)."""
    application = destination.application
    if application is None:
        return ()
    found = [one for uri in application.redirect_uris for one in uri_targets(uri)]
    for host in application.gate_hosts:
        found += host_target("https", host)
        if not settings.secure:
            found += host_target("http", host)
    return tuple(dict.fromkeys(found))
