"""Applications by the verbs of Casdoor, as they are read.

`admin` owns all of them there, and their names are unique; here each organization has its own. So
`admin/name` means the one of the organization that is named beside it or, without that, of the caller's own.
"""

from typing import Any

from sqlalchemy import Connection

from iam.directory.applications import (
    Application,
    find_application,
    list_applications,
    organizations_with,
)
from iam.directory.legacy import list_members, read_members
from iam.directory.names import ApplicationMissing
from iam.directory.organizations import list_organizations
from iam.hanzo.asking import asked, choose
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply
from iam.hanzo.errors import Refused
from iam.hanzo.objects import OWNER, application_members, read_application_members
from iam.hanzo.reach import administers, administers_installation, require_administrator
from iam.hanzo.user_verbs import meant_user
from iam.hanzo.verbs import Verb, get
from iam.kernel.errors import Forbidden
from iam.sessions.layers import read_policies
from iam.sessions.policy import Layer, Policy
from iam.web.caller import Client

_ALL = 1_000_000
_NOTHING = Policy()


def get_applications(call: Call) -> Reply:
    """`GET get-applications?owner=admin&organization`: those that the caller administers."""
    owner = call.query("owner")
    organization = call.query("organization") or ("" if owner == OWNER else owner)
    if not organization and not administers_installation(call):
        organization = call.home
    return _listed(call, organization or None)


def get_organization_applications(call: Call) -> Reply:
    """`GET get-organization-applications?organization`: those of one organization."""
    return _listed(call, call.query("organization") or call.home)


def _listed(call: Call, organization: str | None) -> Reply:
    require_administrator(call, organization)
    wanted = asked(call)
    views = call.engine.database.read(lambda c: views_of(c, organization))
    found, count = choose(views, wanted)
    return Reply(data=found, data2=count)


def get_application(call: Call) -> Reply:
    """`GET get-application?id=admin/name`: for administrators, and for the application itself."""

    def work(connection: Connection) -> dict[str, Any] | None:
        organization, name = meant_application(connection, call, *split_id(call.query("id"), 2))
        require_application(call, organization, name)
        try:
            found = find_application(connection, organization, name)
        except ApplicationMissing:
            return None
        return read_application_members(connection, found)

    return Reply(data=call.engine.database.read(work))


def get_user_application(call: Call) -> Reply:
    """`GET get-user-application?id=owner/name`: the one that `signupApplication` of a user names, if there
    is one."""

    def work(connection: Connection) -> dict[str, Any] | None:
        user = meant_user(connection, call)
        if user is None:
            return None
        kept = read_members(connection, "user", user.organization, user.name)
        name = kept.get("signupApplication")
        if not isinstance(name, str):
            return None
        require_application(call, user.organization, name)
        try:
            found = find_application(connection, user.organization, name)
        except ApplicationMissing:
            return None
        return read_application_members(connection, found)

    return Reply(data=call.engine.database.read(work))


def meant_application(connection: Connection, call: Call, owner: str, name: str) -> tuple[str, str]:
    """Organization and name of the application that is meant; whether there is one is not said.

    Raises:
        Refused: more than one has this name, and the caller has to say of which organization.
    """
    if owner != OWNER:
        return owner, name
    organization = call.text("organization") or call.query("organization")
    if organization:
        return organization, name
    if administers_installation(call):
        having = organizations_with(connection, name)
        if len(having) > 1:
            raise Refused(f"More than one organization has an application {name}: name it as well.")
        if having:
            return having[0], name
    return call.home, name


def require_application(call: Call, organization: str, name: str) -> None:
    """Let only those pass for whom this application exists.

    Raises:
        Unauthenticated, Forbidden: it does not.
    """
    caller = call.caller
    itself = isinstance(caller, Client) and caller.key == (organization, name)
    if not itself and not administers(call, organization):
        raise Forbidden


def views_of(connection: Connection, organization: str | None) -> list[dict[str, Any]]:
    """All applications of an organization, or of all, as they are answered."""
    if organization is not None:
        owners = [organization]
    else:
        owners = [one.name for one in list_organizations(connection, limit=_ALL)]
    policies = read_policies(connection, "application", organization)
    kept = list_members(connection, "application", organization)
    found: list[Application] = []
    for owner in owners:
        found += list_applications(connection, owner, limit=_ALL)
    return [
        application_members(
            one,
            policies.get(Layer("application", one.organization, one.name), _NOTHING),
            kept.get((one.organization, one.name), {}),
        )
        for one in found
    ]


VERBS: tuple[Verb, ...] = (
    get("get-applications", get_applications),
    get("get-organization-applications", get_organization_applications),
    get("get-application", get_application),
    get("get-user-application", get_user_application),
)
