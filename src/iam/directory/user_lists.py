"""Lists of users by page number and by any member, as clients of Hanzo IAM and Casdoor ask for them.

Those clients count pages and rows. `users.list_users` does neither, and is what everybody else should use.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    cast,
    func,
    or_,
    select,
    tuple_,
)

from iam.db.hanzo_tables import legacy_members as kept
from iam.db.tables import user_account as table
from iam.directory.users import User, users_by

_COLUMNS: dict[str, ColumnElement[Any]] = {
    "owner": table.c.organization,
    "name": table.c.name,
    "id": table.c.id,
    "displayName": table.c.display_name,
    "email": table.c.email,
    "createdTime": table.c.created_at,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """Which users are meant. `organization` None: of all."""

    organization: str | None
    field: str = ""
    """A member by its name with those clients: one of ours, or one that is only kept."""
    value: str = ""
    """Part of it, in any case."""


def list_page(
    connection: Connection,
    wanted: UserFilter,
    *,
    skip: int,
    limit: int,
    sort: str = "",
    down: bool = True,
) -> tuple[User, ...]:
    """Users that match, newest first by default. What is only kept sorts nothing."""
    place = _COLUMNS.get(sort, table.c.created_at)
    columns = (place, table.c.organization, table.c.name)
    order = [one.desc() if down else one.asc() for one in columns]

    def narrowed(query: Select[Any]) -> Select[Any]:
        return query.where(*_narrowed(wanted)).order_by(*order).offset(skip).limit(limit)

    return users_by(connection, narrowed)


def count_users(connection: Connection, wanted: UserFilter) -> int:
    """How many users match."""
    query = select(func.count()).select_from(table).where(*_narrowed(wanted))
    return int(connection.execute(query).scalar_one())


def users_with_member(
    connection: Connection, organization: str, member: str, value: str
) -> tuple[User, ...]:
    """Users of whom exactly this is kept; two at most, for two are too many."""
    owners = (
        select(kept.c.name)
        .where(kept.c.kind == "user", kept.c.organization == organization)
        .where(kept.c.members[member].as_string() == value)
    )
    return users_by(
        connection,
        lambda query: query.where(
            table.c.organization == organization, table.c.name.in_(owners)
        ).limit(2),
    )


def users_with_role(connection: Connection, organization: str, role: str) -> tuple[User, ...]:
    """Users of an organization who have this role, by name."""
    holds = cast(table.c.roles, Text).contains(json.dumps(role), autoescape=True)
    found = users_by(
        connection,
        lambda query: query.where(table.c.organization == organization, holds).order_by(
            table.c.name
        ),
    )
    return tuple(one for one in found if role in one.roles)


def users_with_roles(connection: Connection, organization: str | None) -> tuple[User, ...]:
    """Users who have any role, by name. None: of all organizations."""
    has = cast(table.c.roles, Text) != "[]"
    here = [] if organization is None else [table.c.organization == organization]
    return users_by(connection, lambda query: query.where(has, *here).order_by(table.c.name))


def _narrowed(wanted: UserFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.organization is not None:
        conditions.append(table.c.organization == wanted.organization)
    if not wanted.field:
        return conditions
    part = wanted.value.lower()
    if wanted.field in _COLUMNS:
        text = func.lower(func.coalesce(cast(_COLUMNS[wanted.field], Text), ""))
        conditions.append(text.contains(part, autoescape=True))
        return conditions
    holds = func.lower(kept.c.members[wanted.field].as_string())
    owners = select(kept.c.organization, kept.c.name).where(
        kept.c.kind == "user", holds.contains(part, autoescape=True)
    )
    if wanted.organization is not None:
        owners = owners.where(kept.c.organization == wanted.organization)
    conditions.append(or_(tuple_(table.c.organization, table.c.name).in_(owners)))
    return conditions
