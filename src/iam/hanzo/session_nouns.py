"""Sessions by the nouns of Hanzo IAM: `POST /v1/iam/sessions/{list,get,create,update,delete}`.

The same rows as the verbs have, without the envelope: an error has its HTTP status.
"""

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from iam.hanzo.call import Call
from iam.hanzo.errors import Refused, SessionRowMissing
from iam.hanzo.reach import reach_of, require_reach
from iam.hanzo.session_rows import add, delete_row, given, key_of, update
from iam.hanzo.session_verbs import MOST_ROWS, row_views
from iam.hanzo.verbs import Handler, Verb, bare
from iam.kernel.errors import Forbidden
from iam.sessions.model import RecordKey
from iam.sessions.record_lists import RecordFilter, list_rows, read_row


def list_(call: Call) -> Response:
    """`{"owner", "name"?, "application"?}` → `{"sessions": […]}`, newest first."""
    owner = call.text("owner")
    if not owner:
        raise Refused("owner is needed.")
    mine = reach_of(call)
    if mine.organization not in (None, owner):
        raise Forbidden
    # Where nothing is asked for, all that the caller reaches.
    user, application = call.text("name") or mine.user, call.text("application") or mine.application
    if mine.user not in (None, user) or mine.application not in (None, application):
        raise Forbidden
    wanted = RecordFilter(organization=owner, user=user, application=application)

    def work(connection: Connection) -> list[dict[str, Any]]:
        rows = list_rows(connection, wanted, call.now, skip=0, limit=MOST_ROWS + 1)
        if len(rows) > MOST_ROWS:
            raise Refused(f"There are more than {MOST_ROWS} rows: name a user or an application.")
        return row_views(connection, rows)

    return bare({"sessions": call.engine.database.read(work)})


def get(call: Call) -> Response:
    """`{"owner", "name", "application"}` → the row; 404 where there is none."""
    key = key_of(call)
    require_reach(call, key)
    return bare(_row(call, key))


def create(call: Call) -> Response:
    """The row with the given IDs added; no session starts by it."""
    wanted = given(call, exclusive="exclusiveSignin")
    add(call, wanted)
    return bare(_row(call, wanted.key))


def replace(call: Call) -> Response:
    """The row with the given IDs instead of its own: sessions that are not among them end."""
    wanted = given(call, exclusive="exclusiveSignin")
    if wanted.ids is None:
        raise Refused("sessionId is needed.")
    if not update(call, wanted, times=False):
        raise SessionRowMissing
    return bare(_row(call, wanted.key, gone={"sessionId": [], "sessionInfos": []}))


def delete(call: Call) -> Response:
    """`{"deleted": true}` if there was such a row."""
    return bare({"deleted": delete_row(call, key_of(call))})


def _row(call: Call, key: RecordKey, *, gone: dict[str, Any] | None = None) -> dict[str, Any]:
    def work(connection: Connection) -> dict[str, Any]:
        row = read_row(connection, key, call.now)
        if row is not None:
            return row_views(connection, (row,))[0]
        if gone is None:
            raise SessionRowMissing
        names = {"owner": key.organization, "name": key.user, "application": key.application}
        return names | gone

    return call.engine.database.read(work)


def _noun(name: str, handler: Handler, *, writes: bool = True) -> Verb:
    return Verb(
        name=f"sessions/{name}",
        methods=("POST",),
        handler=handler,
        writes=writes,
        own_status=True,
        prefixes=("/v1/iam/",),
    )


VERBS: tuple[Verb, ...] = (
    _noun("list", list_, writes=False),
    _noun("get", get, writes=False),
    _noun("create", create),
    _noun("update", replace),
    _noun("delete", delete),
)
