"""Groups and permissions by the verbs of Casdoor: kept as they came and given back, and nothing more.

A group here says nothing of anybody: users keep their `groups` as any member of no meaning. A permission
allows nothing: `enforce` says so, and who may do what is said by roles.
"""

from typing import Any, Literal

from sqlalchemy import Connection

from iam.hanzo.asking import asked, choose, given_members, named
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.kept_rows import (
    add_row,
    delete_row,
    find_row,
    list_rows,
    organization_of,
    update_row,
)
from iam.hanzo.reach import administers_installation, require_administrator
from iam.hanzo.verbs import Verb, get, post

_Kind = Literal["group", "permission"]


def _list(call: Call, kind: _Kind) -> Reply:
    everything = not call.query("owner") and administers_installation(call)
    return _rows(call, kind, None if everything else organization_of(call, call.query("owner")))


def _rows(call: Call, kind: _Kind, organization: str | None, role: str = "") -> Reply:
    require_administrator(call, organization)
    wanted = asked(call)
    rows = call.engine.database.read(lambda c: list_rows(c, kind, organization))
    if role:
        rows = [one for one in rows if _has(one, "roles", role)]
    found, count = choose(rows, wanted)
    return Reply(data=found, data2=count)


def _has(row: dict[str, Any], member: str, value: str) -> bool:
    held = row.get(member)
    return isinstance(held, list) and value in held


def _one(call: Call, kind: _Kind) -> Reply:
    owner, name = split_id(call.query("id"), 2)
    organization = organization_of(call, owner)
    require_administrator(call, organization)
    return Reply(data=call.engine.database.read(lambda c: find_row(c, kind, organization, name)))


def _add(call: Call, kind: _Kind) -> Reply:
    organization, name = _meant(call)
    call.engine.database.write(lambda c: add_row(c, call, kind, organization, name))
    return affected(True)


def _update(call: Call, kind: _Kind) -> Reply:
    organization, name = _meant(call)
    given = given_members(call)

    def work(connection: Connection) -> bool:
        return update_row(connection, kind, organization, name, given)

    return affected(call.engine.database.write(work))


def _delete(call: Call, kind: _Kind) -> Reply:
    organization, name = _meant(call)
    return affected(call.engine.database.write(lambda c: delete_row(c, kind, organization, name)))


def _meant(call: Call) -> tuple[str, str]:
    owner, name = named(call)
    organization = organization_of(call, owner)
    require_administrator(call, organization)
    return organization, name


def permissions_by_role(call: Call) -> Reply:
    """`GET get-permissions-by-role?id=owner/name`: those whose `roles` name this one."""
    owner, name = split_id(call.query("id"), 2)
    return _rows(call, "permission", organization_of(call, owner), f"{owner}/{name}")


def _verbs(kind: _Kind) -> tuple[Verb, ...]:
    return (
        get(f"get-{kind}s", lambda call: _list(call, kind)),
        get(f"get-{kind}", lambda call: _one(call, kind)),
        post(f"add-{kind}", lambda call: _add(call, kind)),
        post(f"update-{kind}", lambda call: _update(call, kind)),
        post(f"delete-{kind}", lambda call: _delete(call, kind)),
    )


VERBS: tuple[Verb, ...] = (
    *_verbs("group"),
    *_verbs("permission"),
    get("get-permissions-by-role", permissions_by_role),
)
