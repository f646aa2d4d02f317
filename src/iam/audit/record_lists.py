"""Lists of events by page number, as clients of Hanzo IAM and Casdoor ask for records.

Those clients count pages and rows. `events` and `search` do neither, and are what everybody else should use.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, func, select

from iam.audit.events import event_of
from iam.audit.search import LOOKED_AT
from iam.db.tables import event as table
from iam.kernel.events import Event

Field = Literal["name", "organization", "user", "clientIp", "action"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which events are meant. `organization` None: all of the installation."""

    organization: str | None
    field: Field | None = None
    value: str = ""
    """A whole name; or part of something else, which is looked for among the newest `LOOKED_AT` events."""
    types: tuple[str, ...] = ()
    """What an action is called here; where `field` is `action`."""


def list_records(
    connection: Connection,
    wanted: RecordFilter,
    *,
    skip: int,
    limit: int,
    down: bool = True,
) -> tuple[Event, ...]:
    """Events that match, newest first by default."""
    query, place = _narrowed(wanted)
    order = place.desc() if down else place.asc()
    rows = connection.execute(query.order_by(order).offset(skip).limit(limit))
    return tuple(event_of(row) for row in rows)


def count_records(connection: Connection, wanted: RecordFilter) -> int:
    """How many events match."""
    query, _ = _narrowed(wanted)
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def _narrowed(wanted: RecordFilter) -> tuple[Select[Any], ColumnElement[str]]:
    query = select(table)
    if wanted.organization is not None:
        query = query.where(table.c.organization == wanted.organization)
    if wanted.field is None:
        return query, table.c.id
    if wanted.field == "name":
        return query.where(table.c.id == wanted.value), table.c.id
    # Taken first, looked at then: the hope to meet a match soon must not lead through all there is.
    some = query.order_by(table.c.id.desc()).limit(LOOKED_AT).subquery("looked_at")
    condition: ColumnElement[bool]
    if wanted.field == "action":
        part = some.c.type.contains(wanted.value.lower(), autoescape=True)
        condition = part | some.c.type.in_(wanted.types)
    else:
        column = {
            "organization": some.c.organization,
            "user": some.c.user_name,
            "clientIp": some.c.ip,
        }[wanted.field]
        text = func.lower(func.coalesce(column, ""))
        condition = text.contains(wanted.value.lower(), autoescape=True)
    return select(some).where(condition), some.c.id
