"""Organizations by the verbs of Casdoor. `admin` owns all of them."""

from typing import Any

from sqlalchemy import Connection

from iam import audit
from iam.api.schemas import OrganizationBody, OrganizationPatch
from iam.directory import organizations
from iam.directory.legacy import list_members
from iam.directory.names import OrganizationMissing, check_name
from iam.directory.organizations import (
    Organization,
    OrganizationChange,
    find_organization,
    list_organizations,
)
from iam.hanzo.asking import asked, checked, choose, differing, given_members, named
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.kept import change_kept
from iam.hanzo.objects import (
    OWNER,
    layer_of,
    organization_members,
    read_organization_members,
)
from iam.hanzo.policies import turned_by
from iam.hanzo.reach import administers_installation, require_administrator
from iam.hanzo.verbs import Verb, get, post
from iam.kernel.errors import Forbidden
from iam.sessions import rules
from iam.sessions.layers import read_policies, read_policy
from iam.sessions.lifecycle import Ended
from iam.sessions.policy import Layer, Policy
from iam.sessions.policy_change import change_policy

_NAMES = {"name": "name", "display_name": "displayName"}
_ALL = 1_000_000
_NOTHING = Policy()


def get_organizations(call: Call) -> Reply:
    """`GET get-organizations?owner=admin`: those that the caller administers."""
    views, count = choose(call.engine.database.read(lambda c: views_of(c, call)), asked(call))
    return Reply(data=views, data2=count)


def get_organization_names(call: Call) -> Reply:
    """`GET get-organization-names`: the same, by name alone."""
    views = call.engine.database.read(lambda c: views_of(c, call))
    return Reply(data=[{one: view[one] for one in ("name", "displayName")} for view in views])


def get_organization(call: Call) -> Reply:
    """`GET get-organization?id=admin/name`: for its administrators and whoever is in it."""
    owner, name = split_id(call.query("id"), 2)
    if owner != OWNER or (name != call.home and not administers_installation(call)):
        raise Forbidden

    def work(connection: Connection) -> dict[str, Any] | None:
        try:
            return read_organization_members(connection, find_organization(connection, name))
        except OrganizationMissing:
            return None

    return Reply(data=call.engine.database.read(work))


def add_organization(call: Call) -> Reply:
    """`POST add-organization`: for administrators of the installation."""
    require_administrator(call, None)
    name = _meant(call)
    check_name(name)
    form = checked(
        OrganizationBody, _NAMES, name=name, display_name=call.text("displayName") or None
    )
    turned = turned_by(call.body, "organization")
    disabled = call.flag("disableSignin")

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, name)
        made = organizations.create_organization(connection, name, form.display_name, call.now)
        audit.append(connection, [call.event("organization.created", organization=name)])
        change_policy(connection, layer_of(made), turned, origin=call.origin, **call.cause)
        change_kept(connection, "organization", name, name, call.body, _shown(made))
        if disabled:
            _change(connection, call, name, OrganizationChange(enabled=False), ["enabled"])

    call.engine.database.write(work)
    return affected(True)


def update_organization(call: Call) -> Reply:
    """`POST update-organization?id&columns`: what the body does not mention stays. Only administrators of the
    installation close one (`disableSignin`)."""
    name = _meant(call)
    require_administrator(call, name)
    given = given_members(call)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        rules.hold_rules(connection, name)
        try:
            before = find_organization(connection, name)
        except OrganizationMissing:
            return False, ()
        layer = layer_of(before)
        shown = organization_members(before, read_policy(connection, layer), {})
        new = differing(given, shown)
        change, names = _turned(call, new, before)
        turned = turned_by(new, "organization")
        changed = change_policy(connection, layer, turned, origin=call.origin, **call.cause)
        if change_kept(connection, "organization", name, name, given, _shown(before)):
            names.append("legacy_members")
        ended = _change(connection, call, name, change, names)
        return True, (*changed.impact.noted, *ended)

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def delete_organization(call: Call) -> Reply:
    """`POST delete-organization`: with its users, applications and sessions; for administrators of the
    installation."""
    require_administrator(call, None)
    name = _meant(call)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        try:
            ended = organizations.delete_organization(connection, name, **call.cause)
        except OrganizationMissing:
            return False, ()
        audit.append(connection, [call.event("organization.deleted", organization=name)])
        return True, ended

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def views_of(connection: Connection, call: Call) -> list[dict[str, Any]]:
    """The organizations that the caller administers, as they are answered.

    Raises:
        Unauthenticated, Forbidden: they administer none.
    """
    everything = administers_installation(call)
    require_administrator(call, None if everything else call.home)
    if everything:
        found = list_organizations(connection, limit=_ALL)
    else:
        found = (find_organization(connection, call.home),)
    policies = read_policies(connection, "organization")
    kept = list_members(connection, "organization", None if everything else call.home)
    return [
        organization_members(
            one,
            policies.get(Layer("organization", one.name), _NOTHING),
            kept.get((one.name, one.name), {}),
        )
        for one in found
    ]


def _meant(call: Call) -> str:
    if not call.query("id") and not call.text("owner"):
        # Hanzo's clients leave the owner out: there is but one.
        name = call.text("name")
        if not name:
            raise Refused("owner and name are needed.")
        return name
    owner, name = named(call)
    if owner != OWNER:
        raise Refused(f"The owner of an organization is {OWNER}.")
    return name


def _shown(organization: Organization) -> dict[str, Any]:
    return organization_members(organization, _NOTHING, {})


def _turned(
    call: Call, given: dict[str, Any], before: Organization
) -> tuple[OrganizationChange, list[str]]:
    names: list[str] = []
    display_name, enabled = None, None
    if "displayName" in given:
        wanted = given["displayName"] or before.name
        display_name = checked(OrganizationPatch, _NAMES, display_name=wanted).display_name
        names.append("display_name")
    if "disableSignin" in given:
        if not isinstance(given["disableSignin"], bool):
            raise Refused("disableSignin must be true or false.")
        if not administers_installation(call):
            raise Forbidden
        enabled = not given["disableSignin"]
        names.append("enabled")
    return OrganizationChange(display_name=display_name, enabled=enabled), names


def _change(
    connection: Connection, call: Call, name: str, change: OrganizationChange, names: list[str]
) -> tuple[Ended, ...]:
    if not names:
        return ()
    _, ended = organizations.update_organization(connection, name, change, **call.cause)
    data = {"changed": sorted(names)}
    event = call.event("organization.updated", organization=name, data=data)
    audit.append(connection, [event])
    return ended


VERBS: tuple[Verb, ...] = (
    get("get-organizations", get_organizations),
    get("get-organization-names", get_organization_names),
    get("get-organization", get_organization),
    post("add-organization", add_organization),
    post("update-organization", update_organization),
    post("delete-organization", delete_organization),
)
