"""Roles by the verbs of Casdoor.

A role of ours is a name that users have. A role of theirs is an object with a list of users: so its users are
those who have the name, and everything else of it is only kept.
"""

from typing import Any

from sqlalchemy import Connection

from iam import audit
from iam.api.schemas import UserBody, UserPatch
from iam.directory import users
from iam.directory.legacy import forget_members, keep_members, list_members, read_members
from iam.directory.organizations import find_organization
from iam.directory.user_lists import users_with_role, users_with_roles
from iam.directory.users import ADMINISTRATOR, User, UserChange, find_user
from iam.hanzo.asking import asked, checked, choose, given_members, named
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.kept import change_kept, is_kept
from iam.hanzo.kept_rows import check_room
from iam.hanzo.reach import administers_installation, require_administrator
from iam.hanzo.verbs import Verb, get, post
from iam.kernel.clock import to_iso
from iam.sessions import rules
from iam.sessions.lifecycle import Ended

_OURS = {"owner": "", "name": "", "users": []}
_MOST_CHANGES = 500
"""So many users one call gives a role or takes it from: each change is an event, and may end sessions."""
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("createdTime", "displayName", "description"), ""),
    **{one: [] for one in ("groups", "roles", "domains")},
    "isEnabled": True,
}


def get_roles(call: Call) -> Reply:
    """`GET get-roles?owner`: those that have been added, and those that somebody has."""
    everything = not call.query("owner") and administers_installation(call)
    owner = None if everything else call.query("owner") or call.home
    require_administrator(call, owner)
    wanted = asked(call)
    views, count = choose(call.engine.database.read(lambda c: _views(c, owner)), wanted)
    return Reply(data=views, data2=count)


def get_role(call: Call) -> Reply:
    """`GET get-role?id=owner/name`: null where there is none."""
    owner, name = split_id(call.query("id"), 2)
    require_administrator(call, owner)
    return Reply(data=call.engine.database.read(lambda c: _view(c, owner, name)))


def add_role(call: Call) -> Reply:
    """`POST add-role`: its `users` (`owner/name`) have it from now on."""
    owner, name = _meant(call)
    checked(UserBody, {"roles": "name"}, organization=owner, name="any", roles=[name])
    wanted = _users(call, owner)

    def work(connection: Connection) -> tuple[Ended, ...]:
        rules.hold_rules(connection, owner)
        find_organization(connection, owner)
        if _view(connection, owner, name) is not None:
            raise Refused("name is taken.")
        check_room(connection, "role", owner)
        members = {one: value for one, value in call.body.items() if is_kept("role", one, _OURS)}
        members["createdTime"] = members.get("createdTime") or to_iso(call.now)
        keep_members(connection, "role", owner, name, members)
        return _give(connection, call, owner, name, wanted or [])

    call.engine.count_ended(call.engine.database.write(work))
    return affected(True)


def update_role(call: Call) -> Reply:
    """`POST update-role?id&columns`: who is not among `users` any more does not have it any more."""
    owner, name = _meant(call)
    given = given_members(call)
    wanted = _users(call, owner) if "users" in given else None

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        rules.hold_rules(connection, owner)
        if _view(connection, owner, name) is None:
            return False, ()
        change_kept(connection, "role", owner, name, given, _OURS)
        if wanted is None:
            return True, ()
        return True, _give(connection, call, owner, name, wanted)

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def delete_role(call: Call) -> Reply:
    """`POST delete-role`: nobody has it any more."""
    owner, name = _meant(call)
    if name == ADMINISTRATOR:
        raise Refused("The role administrator belongs to the server itself.")

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        rules.hold_rules(connection, owner)
        if _view(connection, owner, name) is None:
            return False, ()
        forget_members(connection, "role", owner, name)
        return True, _give(connection, call, owner, name, [])

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def _meant(call: Call) -> tuple[str, str]:
    owner, name = named(call)
    require_administrator(call, owner)
    return owner, name


def _users(call: Call, owner: str) -> list[str] | None:
    """The names in `users`, who are all of the role's own organization; None if it does not say."""
    given = call.texts("users")
    if given is None:
        return None
    names: list[str] = []
    for one in given:
        if not one:
            continue  # an SDK's role without any has an empty one
        organization, name = split_id(one, 2, "users")
        if organization != owner:
            raise Refused("A role is of users of its own organization.")
        names.append(name)
    return list(dict.fromkeys(names))


def _give(
    connection: Connection, call: Call, owner: str, role: str, wanted: list[str]
) -> tuple[Ended, ...]:
    """Have exactly these users have the role.

    Raises:
        UserMissing: one of them is not there.
        Refused: it is too many changes for one call, or too many roles for one user.
        Reserved: the first administrator would not be one any more.
    """
    having = {one.name: one for one in users_with_role(connection, owner, role)}
    stays = set(wanted)
    going = [one for name, one in having.items() if name not in stays]
    coming = [name for name in wanted if name not in having]
    if len(going) + len(coming) > _MOST_CHANGES:
        raise Refused(f"One call gives or takes a role at most {_MOST_CHANGES} times.")
    ended: list[Ended] = []
    for user in going:
        left = [one for one in user.roles if one != role]
        ended += _change(connection, call, user, left)
    for name in coming:
        user = find_user(connection, owner, name)
        ended += _change(connection, call, user, [*user.roles, role])
    return tuple(ended)


def _change(connection: Connection, call: Call, user: User, roles: list[str]) -> tuple[Ended, ...]:
    checked(UserPatch, {}, roles=roles)
    owner, name = user.organization, user.name
    _, ended = users.update_user(connection, owner, name, UserChange(roles=roles), **call.cause)
    data = {"changed": ["roles"], "roles": roles}
    event = call.event("user.updated", organization=owner, user=name, data=data)
    audit.append(connection, [event])
    return ended


def _views(connection: Connection, owner: str | None) -> list[dict[str, Any]]:
    kept = list_members(connection, "role", owner)
    having: dict[tuple[str, str], list[str]] = {one: [] for one in kept}
    for user in users_with_roles(connection, owner):
        for role in user.roles:
            names = having.setdefault((user.organization, role), [])
            names.append(f"{user.organization}/{user.name}")
    return [_row(*one, kept.get(one, {}), names) for one, names in having.items()]


def _view(connection: Connection, owner: str, name: str) -> dict[str, Any] | None:
    kept = read_members(connection, "role", owner, name)
    having = users_with_role(connection, owner, name)
    if not kept and not having and name != ADMINISTRATOR:
        return None
    return _row(owner, name, kept, [f"{owner}/{one.name}" for one in having])


def _row(owner: str, name: str, kept: dict[str, Any], having: list[str]) -> dict[str, Any]:
    return {**_EMPTY, "displayName": name, **kept, "owner": owner, "name": name, "users": having}


VERBS: tuple[Verb, ...] = (
    get("get-roles", get_roles),
    get("get-role", get_role),
    post("add-role", add_role),
    post("update-role", update_role),
    post("delete-role", delete_role),
)
