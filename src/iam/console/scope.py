"""What somebody with a role may see: all of the installation, or the own organization and no other."""

from sqlalchemy import Connection

from iam.directory.organizations import Organization, find_organization, list_organizations
from iam.kernel.errors import Forbidden, Missing
from iam.languages import _
from iam.sessions import store
from iam.sessions.model import Session
from iam.web.caller import Person, require_reach
from iam.web.rights import Right
from iam.web.visitor import Visitor

_ORGANIZATIONS = 1000


class SessionMissing(Missing):
    """No session that this person may see has that ID."""

    code = "session_not_found"
    title = "There is no such session."


def require_console(visitor: Visitor, right: Right) -> Person:
    """The person, if they have this right.

    Raises:
        Forbidden: they do not.
    """
    person, name = visitor.person, visitor.session.display_name
    if right not in person.rights:
        if right is Right.CHANGE:
            raise Forbidden(
                _("This is for administrators. You are signed in as %(name)s.", name=name)
            )
        raise Forbidden(
            _("This is for those who have a role for it. You are signed in as %(name)s.", name=name)
        )
    return person


def organizations_of(connection: Connection, person: Person) -> tuple[Organization, ...]:
    """The organizations this person can choose from."""
    if person.reaches_installation:
        return list_organizations(connection, limit=_ORGANIZATIONS)
    return (find_organization(connection, person.session.organization),)


def organization_in_scope(connection: Connection, person: Person, name: str) -> Organization:
    """The organization of that name.

    Raises:
        OrganizationMissing: there is none, or it is another tenant: the two look the same.
    """
    require_reach(person, name)
    return find_organization(connection, name)


def scope_of(connection: Connection, person: Person, name: str) -> str | None:
    """The organization that a list is bound to: the one of that name; without one all that there is for
    this person, which is None for who reaches the installation.

    Raises:
        OrganizationMissing: there is none, or it is another tenant: the two look the same.
    """
    if name:
        return organization_in_scope(connection, person, name).name
    return None if person.reaches_installation else person.session.organization


def session_in_scope(connection: Connection, person: Person, session_id: str) -> Session:
    """The session with that ID, live or ended.

    Raises:
        SessionMissing: there is none, or it is another tenant's: the two look the same.
    """
    session = store.read_session(connection, session_id) if len(session_id) <= 64 else None
    if session is None or not person.reaches(session.organization):
        raise SessionMissing
    return session
