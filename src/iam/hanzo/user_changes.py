"""Users by the verbs of Casdoor, as they are changed: `add-user`, `update-user`, `delete-user`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from iam import audit
from iam.api.schemas import UserBody, UserPatch
from iam.directory import users
from iam.directory.names import UserMissing, check_user_name
from iam.directory.organizations import find_organization
from iam.directory.users import ADMINISTRATOR, User, UserChange, find_user, find_user_by_id
from iam.hanzo.asking import checked, differing, given_members, named
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.kept import change_kept, is_kept
from iam.hanzo.objects import MASK, read_user_members, user_members
from iam.hanzo.reach import administers, require_administrator
from iam.hanzo.user_verbs import is_caller
from iam.hanzo.verbs import Verb, post
from iam.kernel.errors import Forbidden
from iam.sessions import rules
from iam.sessions.lifecycle import Ended
from iam.web.engine import in_hash_pool, in_thread

NAMES = {
    "organization": "owner",
    "name": "name",
    "password": "password",
    "email": "email",
    "display_name": "displayName",
}
"""Members of ours, and what they are called there."""

OF_ONES_OWN = frozenset(
    {
        *("displayName", "firstName", "lastName", "avatar", "bio", "homepage", "location"),
        *("address", "addresses", "region", "language", "gender", "birthday", "education"),
        *("title", "affiliation"),
    }
)
"""What a user may change of themselves. Never what others go by: addresses, groups, tags, balances."""


async def add_user(call: Call) -> Reply:
    """`POST add-user`: with a password, of which only a hash is kept, or without."""
    owner, name = named(call)
    require_administrator(call, owner)
    check_user_name(name)
    form = checked(
        UserBody,
        NAMES,
        organization=owner,
        name=name,
        password=_password(call),
        email=call.text("email") or None,
        display_name=call.text("displayName") or None,
        roles=[ADMINISTRATOR] if call.flag("isAdmin") else [],
    )
    forbidden = call.flag("isForbidden")
    _refuse_deleted(call)
    hashed = await _hashed(call, form.password)

    def work(connection: Connection) -> tuple[Ended, ...]:
        rules.hold_rules(connection, owner)
        find_organization(connection, owner)
        made = users.create_user(
            connection,
            organization=owner,
            name=name,
            password_hash=hashed,
            display_name=form.display_name,
            email=form.email,
            roles=form.roles,
            now=call.now,
            random=call.engine.random,
        )
        data = {"roles": form.roles}
        audit.append(
            connection, [call.event("user.created", organization=owner, user=name, data=data)]
        )
        change_kept(connection, "user", owner, name, call.body, user_members(made, {}))
        if not forbidden:
            return ()
        return _change(connection, call, made, UserChange(enabled=False), ["enabled"])

    call.engine.count_ended(await in_thread(lambda: call.engine.database.write(work)))
    return affected(True)


async def update_user(call: Call) -> Reply:
    """`POST update-user?id&columns`, or `?owner&userId`: what the body does not mention stays. Forbidding
    somebody and setting a password end their sessions."""
    by_id = call.query("userId") if not call.query("id") else ""
    owner = call.query("owner") or call.text("owner") if by_id else named(call)[0]
    name = call.text("name") if by_id else named(call)[1]
    mine = not by_id and is_caller(call, owner, name)
    if not mine:
        require_administrator(call, owner)
    if by_id and call.text("owner") not in ("", owner):
        raise Refused("owner and the body name different objects; nothing can be moved.")
    _refuse_deleted(call)
    given = given_members(call)
    password = _password(call) if "password" in given else None
    if password is not None and not administers(call, owner):
        raise Forbidden  # with set-password, which asks for the old one
    hashed = await _hashed(call, password)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        rules.hold_rules(connection, owner)
        user = _meant(connection, owner, name, by_id)
        if user is None:
            return False, ()
        wanted = _turned(given, user, hashed)
        shown = user_members(user, {})
        if not administers(call, owner):
            _check_own(given, read_user_members(connection, user), shown)
        names = list(wanted.names)
        if change_kept(connection, "user", owner, user.name, given, shown):
            names.append("legacy_members")
        return True, _change(connection, call, user, wanted.change, names)

    found, ended = await in_thread(lambda: call.engine.database.write(work))
    call.engine.count_ended(ended)
    return affected(found)


def delete_user(call: Call) -> Reply:
    """`POST delete-user`: with all their sessions, at once."""
    owner, name = named(call)
    require_administrator(call, owner)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        try:
            ended = users.delete_user(connection, owner, name, **call.cause)
        except UserMissing:
            return False, ()
        audit.append(connection, [call.event("user.deleted", organization=owner, user=name)])
        return True, ended

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turned:
    change: UserChange
    names: tuple[str, ...]
    """Of what is changed, as our events call it."""


def _turned(given: Mapping[str, Any], user: User, hashed: str | None) -> _Turned:
    """What the members that we decide would change."""
    new = differing(given, user_members(user, {}))
    values: dict[str, Any] = {} if hashed is None else {"password_hash": hashed}
    for member in ("isAdmin", "isForbidden"):
        if not isinstance(new.get(member, False), bool):
            raise Refused(f"{member} must be true or false.")
    if "displayName" in new:
        # They let it be empty; here the name takes its place, as for somebody new.
        wanted = new["displayName"] or user.name
        values["display_name"] = checked(UserPatch, NAMES, display_name=wanted).display_name
    if "email" in new:
        values["email"] = checked(UserPatch, NAMES, email=new["email"] or None).email or ""
    if "isAdmin" in new:
        others = [one for one in user.roles if one != ADMINISTRATOR]
        values["roles"] = [*others, ADMINISTRATOR] if new["isAdmin"] else others
    if "isForbidden" in new:
        values["enabled"] = not new["isForbidden"]
    names = {"password_hash": "password"}
    return _Turned(
        change=UserChange(**values), names=tuple(names.get(one, one) for one in sorted(values))
    )


def _check_own(given: Mapping[str, Any], now: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    """Let a user change of themselves only what is theirs.

    Raises:
        Forbidden: it is something else.
    """
    for name, value in given.items():
        ours = name in ("email", "isAdmin", "isForbidden", "displayName")
        if name in OF_ONES_OWN or not (ours or is_kept("user", name, shown)):
            continue
        # An SDK sends whole objects, with what it does not know as nothing.
        if value != now.get(name) and not (not value and not now.get(name)):
            raise Forbidden


def _change(
    connection: Connection, call: Call, user: User, change: UserChange, names: list[str]
) -> tuple[Ended, ...]:
    if not names:
        return ()
    owner, name = user.organization, user.name
    after, ended = users.update_user(connection, owner, name, change, **call.cause)
    data: dict[str, Any] = {"changed": sorted(names)}
    if change.roles is not None:
        data["roles"] = list(after.roles)
    event = call.event("user.updated", organization=owner, user=name, data=data)
    audit.append(connection, [event])
    return ended


def _meant(connection: Connection, owner: str, name: str, by_id: str) -> User | None:
    if by_id:
        user = find_user_by_id(connection, by_id)
        if user is None or user.organization != owner:
            return None
        if name not in ("", user.name):
            raise Refused("userId and the body name different users; nobody can be renamed.")
        return user
    try:
        return find_user(connection, owner, name)
    except UserMissing:
        return None


def _refuse_deleted(call: Call) -> None:
    if call.flag("isDeleted"):
        raise Refused("isDeleted cannot be set: use delete-user, or isForbidden.")


def _password(call: Call) -> str | None:
    """The password in the body; None for none, and for what stands in its place where a user is read."""
    given = call.text("password")
    return None if given in ("", MASK) else checked(UserPatch, NAMES, password=given).password


async def _hashed(call: Call, password: str | None) -> str | None:
    """The hash to store, made in the pool that bounds how many are made at once. Nobody who waits for it
    keeps a thread from others."""
    if password is None:
        return None
    engine = call.engine
    return await in_hash_pool(engine, lambda: engine.passwords.hash(password))


VERBS: tuple[Verb, ...] = (
    post("add-user", add_user),
    post("update-user", update_user),
    post("delete-user", delete_user),
)
