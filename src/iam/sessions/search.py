"""Searching sessions, live and ended: which match a filter, in which order, and how many they are.

Live sessions and history have indexes of their own (`db.tables`), so each question goes to both sides
separately and the answers are merged. What has no index of its own (device, browser, method, class,
last activity) is looked for among a bounded number of sessions at a time, so that no page costs more
than that: it can be shorter than asked for while there is a next one.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Text,
    and_,
    cast,
    collate,
    func,
    literal,
    select,
    text,
    tuple_,
)

from iam.db.tables import DUE_AT, session
from iam.kernel.addresses import network_range
from iam.kernel.clock import Instant
from iam.kernel.errors import Invalid
from iam.kernel.ids import SESSION, first_id
from iam.sessions import store
from iam.sessions.listing import MAXIMUM_PAGE, Page, State
from iam.sessions.model import Session

LOOKED_AT = 5_000
"""So many sessions are looked at for one page of a filter without an index of its own."""
SORTED_AT_MOST = 5_000
"""So many sessions are put into an order for which there is no index."""
_NAMED = 1000
_LATEST = (1 << 63) - 1

Sort = Literal[
    "-created_at",
    "created_at",
    "-last_active_at",
    "last_active_at",
    "-expires_at",
    "expires_at",
    "-ended_at",
    "ended_at",
    "user",
    "-user",
    "application",
    "-application",
    "device",
    "-device",
    "ip",
    "-ip",
]
"""What a list can be ordered by; a minus stands for the largest, newest or last first."""

_SORTED_BY: dict[str, ColumnElement[Any]] = {
    "last_active_at": session.c.last_active_at,
    "expires_at": session.c.expires_at,
    "ended_at": session.c.ended_at,
    "user": session.c.user_name,
    "application": session.c.application,
    "device": session.c.device,
    "ip": session.c.address,
}


class TooManyToSort(Invalid):
    """An order without an index is for lists that fit on a few pages."""

    code = "too_many_to_sort"
    title = f"More than {SORTED_AT_MOST} sessions match: narrow the filter to sort them by this."


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions are meant: those that match every member that is set.

    `organization` None means all of the installation: only its administrator may ask that.
    """

    organization: str | None
    user: str | None = None
    application: str | None = None
    parent: str | None = None
    instance: str | None = None
    ip: str | None = None
    """An address, or a network as `10.0.0.0/8`."""
    device: str | None = None
    browser: str | None = None
    """The part of the device before " on ", in any case."""
    amr: str | None = None
    """One of the methods of authentication."""
    acr: str | None = None
    started_after: Instant | None = None
    """At this instant or later."""
    started_before: Instant | None = None
    last_active_before: Instant | None = None
    state: State | None = None
    but: str | None = None
    """A session to leave out, with what it was entered from and what was entered from it."""


def list_sessions(
    connection: Connection,
    wanted: SessionFilter,
    now: Instant,
    *,
    before: str | None = None,
    limit: int = 50,
    sort: Sort = "-created_at",
) -> Page[Session, str]:
    """Sessions in this order, newest first by default.

    Args:
        before: `next` of the page before; by `created_at` that is a session ID.
        limit: at most `MAXIMUM_PAGE`.

    Raises:
        TooManyToSort: there is no index for this order, and too many match.
    """
    limit = min(limit, MAXIMUM_PAGE)
    plan_for_these_values(connection)
    key = sort.removeprefix("-")
    if key == "created_at":
        ids, following = _by_start(connection, wanted, now, before, limit, down=sort[0] == "-")
    else:
        ids, following = _by_column(connection, wanted, now, before, limit, sort)
    found = store.read_sessions(connection, ids)
    return Page(items=tuple(found[one] for one in ids if one in found), next=following)


def entered_from(connection: Connection, session_id: str) -> tuple[str, ...]:
    """The IDs of all sessions that were entered from this one and are still kept."""
    query = select(session.c.id).where(session.c.parent == session_id)
    return tuple(connection.execute(query).scalars())


def outliving_of(connection: Connection, session_id: str, *, limit: int) -> tuple[str, ...]:
    """The IDs of the first sessions that were entered through this one and do not end with it."""
    query = select(session.c.id).where(session.c.entered_through == session_id)
    return tuple(connection.execute(query.order_by(session.c.id).limit(limit)).scalars())


def lives(now: Instant) -> ColumnElement[bool]:
    """`end_reason` is None, in SQL; the same bound, exclusive."""
    return and_(session.c.ended_at.is_(None), _condition(f"{DUE_AT.text} > :now", now))


def narrow(wanted: SessionFilter) -> list[ColumnElement[bool]]:
    """The members of a filter that an index serves."""
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (session.c.organization, wanted.organization),
        (session.c.user_name, wanted.user),
        (session.c.application, wanted.application),
        (session.c.parent, wanted.parent),
        (session.c.instance, wanted.instance),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.state == "locked":
        conditions.append(session.c.locked_at.is_not(None))
    if wanted.ip is not None:
        first, last = network_range(wanted.ip)
        address = session.c.address
        conditions.append(address == first if first == last else address.between(first, last))
    if wanted.started_after is not None:
        conditions.append(session.c.id >= first_id(SESSION, wanted.started_after))
    if wanted.started_before is not None:
        conditions.append(session.c.id < first_id(SESSION, wanted.started_before))
    if wanted.but is not None:
        conditions += store.but(wanted.but)
    return conditions


def wide(wanted: SessionFilter, columns: Any = session.c) -> list[ColumnElement[bool]]:
    """The members of a filter for which sessions have to be looked at one by one: in the table, or in
    the same columns of a selection from it."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.device is not None:
        conditions.append(columns.device == wanted.device)
    if wanted.browser is not None:
        # One comparison for "Firefox on Linux" and for a label that is the browser's name alone.
        label = func.lower(columns.device) + " on "
        conditions.append(label.startswith(f"{wanted.browser.lower()} on ", autoescape=True))
    if wanted.amr is not None:
        # It is kept as JSON text: ["pwd", "otp"].
        methods = cast(columns.amr, Text)
        conditions.append(methods.contains(json.dumps(wanted.amr), autoescape=True))
    if wanted.acr is not None:
        conditions.append(columns.acr == wanted.acr)
    if wanted.last_active_before is not None:
        conditions.append(columns.last_active_at < wanted.last_active_before)
    return conditions


def sides_of(
    connection: Connection, state: State | None, now: Instant
) -> list[list[ColumnElement[bool]]]:
    """What makes up a state, each side with an index of its own."""
    open_, noted = session.c.ended_at.is_(None), session.c.ended_at.is_not(None)
    if state is None:
        return [[open_], [noted]]
    if state in ("active", "locked"):
        return [[lives(now)]]
    over = _condition(f"{DUE_AT.text} <= :now", now)
    # Over by a deadline and not noted yet: hardly ever many. They are named, because PostgreSQL thinks
    # that most are, as most of history is, and would go through all that live.
    due = store.select_due(connection, None, now, _NAMED + 1)
    if len(due) > _NAMED:
        return [[noted], [open_, session.c.check_at <= now, over]]
    return [[noted], [open_, session.c.id.in_(due), over]] if due else [[noted]]


def _condition(sql: str, now: Instant) -> ColumnElement[bool]:
    return text(f"({sql})").bindparams(now=now)  # type: ignore[return-value]  # a condition, whatever text() is typed as


def _by_start(
    connection: Connection,
    wanted: SessionFilter,
    now: Instant,
    before: str | None,
    limit: int,
    *,
    down: bool,
) -> tuple[list[str], str | None]:
    """By ID, which is by start: the IDs of a page and the place where the next one begins."""
    column = session.c.id
    order = column.desc() if down else column.asc()
    conditions = narrow(wanted)
    if before is not None:
        conditions.append(column < before if down else column > before)
    queries = [
        select(column).where(*side, *conditions).order_by(order)
        for side in sides_of(connection, wanted.state, now)
    ]
    looks = bool(wide(wanted))
    ids: list[str] = []
    ends: list[str] = []
    for query in queries:
        asked = _among(query, wanted, down=down) if looks else query
        found = list(connection.execute(asked.limit(limit + 1)).scalars())
        ids += found
        if looks:
            # So far this side is known: to its last match on a full page, or to where it was looked at.
            end = found[-1] if len(found) > limit else nth(connection, query, LOOKED_AT)
            ends += [] if end is None else [end]
    known = (max(ends) if down else min(ends)) if ends else None
    if known is not None:
        ids = [one for one in ids if (one >= known if down else one <= known)]
    ids.sort(reverse=down)
    if len(ids) > limit:
        return ids[:limit], ids[limit - 1]
    return ids, known


def _among(query: Select[tuple[str]], wanted: SessionFilter, *, down: bool) -> Select[tuple[str]]:
    """What matches among the first `LOOKED_AT`. They are selected first: on PostgreSQL the hope to meet
    a match soon would make it go through the sessions of everybody, by the key."""
    looked_at = query.add_columns(
        session.c.device, session.c.amr, session.c.acr, session.c.last_active_at
    )
    some = looked_at.limit(LOOKED_AT).subquery("looked_at").c
    found = select(some.id).where(*wide(wanted, some))
    return found.order_by(some.id.desc() if down else some.id.asc())


def _by_column(
    connection: Connection,
    wanted: SessionFilter,
    now: Instant,
    before: str | None,
    limit: int,
    sort: Sort,
) -> tuple[list[str], str | None]:
    """All that match, put in order here. A cursor is where its page ended: the value and the ID."""
    key, down = sort.removeprefix("-"), sort[0] == "-"
    sides, conditions = sides_of(connection, wanted.state, now), narrow(wanted)
    candidates = [select(session.c.id).where(*side, *conditions) for side in sides]
    if sum(count_of(connection, one.limit(SORTED_AT_MOST + 1)) for one in candidates) > (
        SORTED_AT_MOST
    ):
        raise TooManyToSort
    place = _place_of(connection, key)
    at = None if before is None else _position(before, place)
    found: list[tuple[Any, str]] = []
    for side in sides:
        query = select(place.label("place"), session.c.id)
        query = query.where(*side, *conditions, *wide(wanted))
        if at is not None:
            here = tuple_(place, session.c.id)
            there = tuple_(literal(at[0], place.type), literal(at[1]))
            query = query.where(here < there if down else here > there)
        columns = (place, session.c.id)
        order = [one.desc() if down else one.asc() for one in columns]
        rows = connection.execute(query.order_by(*order).limit(limit + 1))
        found += [(row.place, row.id) for row in rows]
    found.sort(reverse=down)
    page = found[:limit]
    following = f"{page[-1][1]}~{_written(page[-1][0])}" if len(found) > limit else None
    return [one for _, one in page], following


def _place_of(connection: Connection, key: str) -> ColumnElement[Any]:
    """What a list is put in order by; where there is no value, before everything else."""
    column = _SORTED_BY[key]
    if isinstance(column.type, LargeBinary):
        return func.coalesce(column, literal(b"", column.type))
    if isinstance(column.type, BigInteger):
        return func.coalesce(column, literal(-1, column.type))
    text_ = func.coalesce(column, "")
    # By code point, as the sides are merged here, and not as a language sorts.
    return text_ if connection.dialect.name == "sqlite" else collate(text_, "C")


def _position(cursor: str, place: ColumnElement[Any]) -> tuple[Any, str]:
    """Where a page ended. A cursor that we never gave is a place in the list like any other."""
    last_id, _, value = cursor.partition("~")
    try:
        if isinstance(place.type, LargeBinary):
            return bytes.fromhex(value), last_id
        if isinstance(place.type, BigInteger):
            return max(-1, min(int(value), _LATEST)), last_id
    except ValueError:
        return (b"" if isinstance(place.type, LargeBinary) else -1), last_id
    return value, last_id


def _written(place: object) -> str:
    return place.hex() if isinstance(place, bytes) else str(place)


def nth(connection: Connection, query: Select[tuple[str]], number: int) -> str | None:
    """The last ID that is looked at for a page; None when all of them are."""
    found = connection.execute(query.offset(number - 1).limit(1)).scalar_one_or_none()
    return None if found is None else str(found)


def count_of(connection: Connection, query: Select[tuple[str]]) -> int:
    counted = select(func.count()).select_from(query.subquery())
    return int(connection.execute(counted).scalar_one())


def plan_for_these_values(connection: Connection) -> None:
    """PostgreSQL would, from the sixth time on, use one plan for the rarest and the commonest value."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")


def on_one_core(connection: Connection) -> None:
    """PostgreSQL would put several to a count of a million, and whoever validates meanwhile would wait."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SET LOCAL max_parallel_workers_per_gather = 0")
