"""Sessions by the verbs of Casdoor: `get-sessions`, `get-session`, `add-session`, `update-session`,
`delete-session`, `is-session-duplicated`."""

from typing import Any, get_args

from sqlalchemy import Connection

from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.reach import Reach, reach_of, require_reach
from iam.hanzo.session_rows import add, delete_one, delete_row, given, key_of, row_view, update
from iam.hanzo.verbs import Verb, get, post
from iam.kernel.errors import Forbidden
from iam.sessions.layers import Said, read_said
from iam.sessions.model import RecordKey
from iam.sessions.record_lists import (
    Field,
    RecordFilter,
    RecordRow,
    Sort,
    count_rows,
    list_rows,
    read_row,
)

MOST_ROWS = 5_000
"""So many rows one answer holds: who has more asks page by page."""
_MOST_PAGES = 1_000_000


def get_sessions(call: Call) -> Reply:
    """`GET get-sessions?owner&p&pageSize&field&value&sortField&sortOrder`: `data2` is how many match, where
    a page was asked for."""
    wanted = _wanted(call, reach_of(call))
    sort, down = _order(call)
    page = _page(call)
    skip, limit = page or (0, MOST_ROWS + 1)

    def work(connection: Connection) -> tuple[list[dict[str, Any]], int | None]:
        rows = list_rows(connection, wanted, call.now, skip=skip, limit=limit, sort=sort, down=down)
        if page is None and len(rows) > MOST_ROWS:
            raise Refused(f"There are more than {MOST_ROWS} rows: use p and pageSize.")
        count = count_rows(connection, wanted, call.now) if page is not None else None
        return row_views(connection, rows), count

    views, count = call.engine.database.read(work)
    return Reply(data=views, data2=count)


def row_views(connection: Connection, rows: tuple[RecordRow, ...]) -> list[dict[str, Any]]:
    """Rows as they are answered."""
    said: dict[str, Said] = {}
    for row in rows:
        owner = row.key.organization
        if owner not in said:
            said[owner] = read_said(connection, owner)
    return [row_view(row, said[row.key.organization]) for row in rows]


def _wanted(call: Call, mine: Reach) -> RecordFilter:
    owner = call.query("owner") or None
    if mine.organization is not None and owner not in (None, mine.organization):
        raise Forbidden
    field, value = call.query("field"), call.query("value")
    if field and value and field not in get_args(Field):
        raise Refused(f"Rows can be looked for by {', '.join(get_args(Field))}.")
    return RecordFilter(
        organization=owner or mine.organization,
        user=mine.user,
        application=mine.application,
        field=field if field and value else None,  # type: ignore[arg-type]  # it was looked for above
        value=value,
    )


def _order(call: Call) -> tuple[Sort, bool]:
    sort, order = call.query("sortField") or "createdTime", call.query("sortOrder")
    if sort not in get_args(Sort):
        raise Refused(f"Rows can be sorted by {', '.join(get_args(Sort))}.")
    # Theirs sorts ascending only by that very word, and the newest first where no order is asked for.
    return sort, order != "ascend"  # type: ignore[return-value]  # it was looked for above


def _page(call: Call) -> tuple[int, int] | None:
    """Rows to pass over, and rows to answer; None where no page is asked for."""
    page, size = call.query("p"), call.query("pageSize")
    if not page or not size:
        return None
    for text in (page, size):
        if not (text.isascii() and text.isdigit() and len(text) <= 7):
            raise Refused("p and pageSize must be numbers.")
    number, rows = int(page), int(size)
    if not 1 <= number <= _MOST_PAGES or not 1 <= rows <= MOST_ROWS:
        raise Refused(f"p begins with 1, and pageSize is 1 to {MOST_ROWS}.")
    return (number - 1) * rows, rows


def get_session(call: Call) -> Reply:
    """`GET get-session?sessionPkId=owner/name/application`: null where there is none."""
    key = _asked_key(call)
    require_reach(call, key)

    def work(connection: Connection) -> dict[str, Any] | None:
        row = read_row(connection, key, call.now)
        return row_views(connection, (row,))[0] if row is not None else None

    return Reply(data=call.engine.database.read(work))


def is_session_duplicated(call: Call) -> Reply:
    """`GET is-session-duplicated?sessionPkId&sessionId`: whether the user has another session there."""
    key, session_id = _asked_key(call), call.query("sessionId")
    require_reach(call, key)
    row = call.engine.database.read(lambda c: read_row(c, key, call.now))
    ids = row.ids if row is not None else ()
    return Reply(data=len(ids) > 1 or (len(ids) == 1 and ids[0] != session_id))


def _asked_key(call: Call) -> RecordKey:
    return RecordKey(*split_id(call.query("sessionPkId"), 3, "sessionPkId"))


def add_session(call: Call) -> Reply:
    """`POST add-session`: IDs that the client has made itself are kept. No session starts by it."""
    add(call, given(call))
    return affected(True)


def update_session(call: Call) -> Reply:
    """`POST update-session?columns`: without `columns` an empty list says nothing, as with theirs."""
    wanted = given(call)
    columns = {one.strip() for one in call.query("columns").split(",") if one.strip()}
    names_ids = bool(columns & {"session_id", "sessionId"})
    if (columns and not names_ids) or (not columns and not wanted.ids):
        wanted = wanted.without_ids()
    times = not columns or bool(columns & {"created_time", "createdTime"})
    return affected(update(call, wanted, times=times))


def delete_session(call: Call) -> Reply:
    """`POST delete-session?sessionId`: one ID, or without `sessionId` the whole row."""
    key, session_id = key_of(call), call.query("sessionId")
    if session_id:
        return affected(delete_one(call, key, session_id))
    return affected(delete_row(call, key))


VERBS: tuple[Verb, ...] = (
    get("get-sessions", get_sessions),
    get("get-session", get_session),
    get("is-session-duplicated", is_session_duplicated),
    post("add-session", add_session),
    post("update-session", update_session),
    post("delete-session", delete_session),
)
