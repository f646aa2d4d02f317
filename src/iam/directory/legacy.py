"""Members of objects that mean nothing to us, of clients that expect them back (Hanzo IAM, Casdoor).

They are kept as they came, beside the object that they belong to, and go with it. No rule reads them.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.hanzo_tables import legacy_members as table
from iam.kernel.errors import Invalid

Kind = Literal[
    "organization",
    "application",
    "user",
    "provider",
    "cert",
    "token",
    "role",
    "group",
    "permission",
]
"""Of what; an organization's own are kept under its name twice. Of the kinds after `user` there may be
some that are nothing but what is kept."""

LARGEST = 64 * 1024
"""Bytes of JSON that are kept of one object."""


class MembersTooLarge(Invalid):
    """More is to be kept of an object than there is room for."""

    code = "legacy_members_too_large"
    title = "The members that are only kept are more than 64 KiB together."


def read_members(
    connection: Connection, kind: Kind, organization: str, name: str
) -> dict[str, Any]:
    """What is kept of this object; empty where nothing is."""
    query = select(table.c.members).where(*_is(kind, organization, name))
    return dict(connection.execute(query).scalar_one_or_none() or {})


def read_all_members(
    connection: Connection, kind: Kind, organization: str, names: Collection[str]
) -> dict[str, dict[str, Any]]:
    """What is kept of these objects of an organization, by name; without those of which nothing is."""
    query = select(table.c.name, table.c.members).where(
        table.c.kind == kind, table.c.organization == organization, table.c.name.in_(names)
    )
    return {row.name: dict(row.members) for row in connection.execute(query)}


def list_members(
    connection: Connection, kind: Kind, organization: str | None
) -> dict[tuple[str, str], dict[str, Any]]:
    """What is kept of all objects of a kind, by organization and name; None: of every organization."""
    query = select(table).where(table.c.kind == kind).order_by(table.c.organization, table.c.name)
    if organization is not None:
        query = query.where(table.c.organization == organization)
    return {(row.organization, row.name): dict(row.members) for row in connection.execute(query)}


def count_members(connection: Connection, kind: Kind, organization: str) -> int:
    """Of how many objects of this kind anything is kept in an organization."""
    query = select(func.count()).where(table.c.kind == kind, table.c.organization == organization)
    return int(connection.execute(query).scalar_one())


def keep_members(
    connection: Connection,
    kind: Kind,
    organization: str,
    name: str,
    members: Mapping[str, Any],
) -> None:
    """Keep these members, in the place of those that were kept. The object must exist.

    Raises:
        MembersTooLarge: they are more than `LARGEST`.
    """
    if not members:
        forget_members(connection, kind, organization, name)
        return
    if len(json.dumps(members)) > LARGEST:
        raise MembersTooLarge
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"kind": kind, "organization": organization, "name": name, "members": dict(members)}
    connection.execute(
        insert(table)
        .values(values)
        .on_conflict_do_update(
            index_elements=list(table.primary_key), set_={"members": dict(members)}
        )
    )


def forget_members(connection: Connection, kind: Kind, organization: str, name: str) -> None:
    """Forget what is kept of an object that is deleted: whoever takes its name starts without."""
    connection.execute(delete(table).where(*_is(kind, organization, name)))


def _is(kind: Kind, organization: str, name: str) -> tuple[Any, ...]:
    return table.c.kind == kind, table.c.organization == organization, table.c.name == name
