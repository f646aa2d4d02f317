"""Objects that are nothing here but what is kept of them, in one organization: certificates of the clients'
own, and providers of kinds that we do not speak."""

from typing import Any

from sqlalchemy import Connection

from iam.directory.legacy import (
    Kind,
    count_members,
    forget_members,
    keep_members,
    list_members,
    read_members,
)
from iam.directory.organizations import find_organization
from iam.hanzo.call import Call
from iam.hanzo.errors import Refused
from iam.hanzo.kept import change_kept, is_kept
from iam.hanzo.objects import OWNER, shown
from iam.kernel.clock import to_iso
from iam.sessions import rules

_OURS = {"owner": "", "name": ""}
_LONGEST_NAME = 128
MOST = 1000
"""So many rows of a kind an organization may have: they are read together, wherever one is looked for."""


def organization_of(call: Call, owner: str) -> str:
    """Where the objects of an owner are: `admin` stands for the caller's own organization."""
    return call.home if owner in ("", OWNER) else owner


def list_rows(connection: Connection, kind: Kind, organization: str | None) -> list[dict[str, Any]]:
    """Those of an organization, or of all."""
    found = list_members(connection, kind, organization)
    return [
        {**shown(members), "owner": owner, "name": name} for (owner, name), members in found.items()
    ]


def find_row(
    connection: Connection, kind: Kind, organization: str, name: str
) -> dict[str, Any] | None:
    """One of them; None if there is none."""
    members = read_members(connection, kind, organization, name)
    return {**shown(members), "owner": organization, "name": name} if members else None


def check_room(connection: Connection, kind: Kind, organization: str) -> None:
    """See that one row more may be kept. The caller holds the organization's rules.

    Raises:
        Refused: there are `MOST` already.
    """
    if count_members(connection, kind, organization) >= MOST:
        raise Refused(f"There are {MOST} already, and more are not kept.")


def add_row(connection: Connection, call: Call, kind: Kind, organization: str, name: str) -> None:
    """Keep what the body holds.

    Raises:
        Refused: there is one of that name, or none can be called that.
        OrganizationMissing: there is no such organization.
        MembersTooLarge: it is too much.
    """
    if len(name) > _LONGEST_NAME:
        raise Refused(f"name has at most {_LONGEST_NAME} characters.")
    # Alone: of two that add the same name one is told so, and nobody deletes the organization meanwhile.
    rules.hold_rules(connection, organization)
    find_organization(connection, organization)
    if read_members(connection, kind, organization, name):
        raise Refused("name is taken.")
    check_room(connection, kind, organization)
    members = {one: value for one, value in call.body.items() if is_kept(kind, one, _OURS)}
    # A row has to have something, or nothing is kept.
    members["createdTime"] = members.get("createdTime") or to_iso(call.now)
    keep_members(connection, kind, organization, name, members)


def update_row(
    connection: Connection, kind: Kind, organization: str, name: str, given: dict[str, Any]
) -> bool:
    """Keep what is given beside what was kept; answer whether there is such a row."""
    if not read_members(connection, kind, organization, name):
        return False
    change_kept(connection, kind, organization, name, given, _OURS)
    return True


def delete_row(connection: Connection, kind: Kind, organization: str, name: str) -> bool:
    """Forget it; answer whether there was such a row."""
    if not read_members(connection, kind, organization, name):
        return False
    forget_members(connection, kind, organization, name)
    return True
