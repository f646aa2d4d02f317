"""What an administrator may see: all of the installation, or the own organization and no other."""

from sqlalchemy import Connection

from iam.directory.organizations import Organization, find_organization, list_organizations
from iam.kernel.errors import Forbidden, Missing
from iam.sessions import store
from iam.sessions.model import Session
from iam.web.caller import Person, require_administrator
from iam.web.visitor import Visitor

_ORGANIZATIONS = 1000


class SessionMissing(Missing):
    """No session that this administrator may see has that ID."""

    code = "session_not_found"
    title = "There is no such session."


def require_console(visitor: Visitor) -> Person:
    """The person, if they administer anything.

    Raises:
        Forbidden: they do not.
    """
    if not visitor.person.is_administrator:
        name = visitor.session.display_name
        raise Forbidden(f"This page is for administrators. You are signed in as {name}.")
    return visitor.person


def organizations_of(connection: Connection, person: Person) -> tuple[Organization, ...]:
    """The organizations this administrator can choose from."""
    if person.administers_installation:
        return list_organizations(connection, limit=_ORGANIZATIONS)
    return (find_organization(connection, person.session.organization),)


def organization_in_scope(connection: Connection, person: Person, name: str) -> Organization:
    """The organization of that name.

    Raises:
        OrganizationMissing: there is none, or it is another tenant: the two look the same.
    """
    require_administrator(person, name)
    return find_organization(connection, name)


def scope_of(connection: Connection, person: Person, name: str) -> str | None:
    """The organization that a list is bound to: the one of that name; without one all that there is for
    this administrator, which is None for who administers the installation.

    Raises:
        OrganizationMissing: there is none, or it is another tenant: the two look the same.
    """
    if name:
        return organization_in_scope(connection, person, name).name
    return None if person.administers_installation else person.session.organization


def session_in_scope(connection: Connection, person: Person, session_id: str) -> Session:
    """The session with that ID, live or ended.

    Raises:
        SessionMissing: there is none, or it is another tenant's: the two look the same.
    """
    session = store.read_session(connection, session_id) if len(session_id) <= 64 else None
    if session is None or not (
        person.administers_installation or session.organization == person.session.organization
    ):
        raise SessionMissing
    return session
