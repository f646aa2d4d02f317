"""Following events as they are committed, without ever passing one over.

Event IDs are made when a request begins; a transaction that takes long commits an event with an older ID
than what others have been shown by then. So the feed follows another order, one in which nothing is ever
put in before what was read (docs/decisions/0008-the-feed-follows-transactions.md).
"""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, cast, func, literal_column, select
from sqlalchemy import tuple_ as row_of

from iam.audit.events import event_of
from iam.db.tables import event as table
from iam.kernel.clock import Instant, after
from iam.kernel.events import Event
from iam.kernel.ids import EVENT, first_id

PAGE = 500
_DAY = 24 * 60 * 60
_ROW = literal_column("event.rowid", BigInteger)
# PostgreSQL: every transaction below this has ended, and this very statement sees what it wrote.
_ALL_ENDED_BELOW = literal_column(
    "pg_snapshot_xmin(pg_current_snapshot())::text::bigint", BigInteger
)
# No transaction of this cluster has this number yet.
_UNUSED_FROM = literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint", BigInteger)
_LAST_ID = EVENT + "z" * 26


class Position(NamedTuple):
    """How far somebody has read. `number` is a transaction's on PostgreSQL, a row's on SQLite.

    Below the event ID `since` nothing is new any more, a day before one began: no transaction takes so
    long. It guards against a restored database, whose old events have numbers of another count.
    """

    number: int
    id: str
    since: str


def newest(connection: Connection, now: Instant) -> Position:
    """Where somebody starts who wants to know what happens from now on."""
    if connection.dialect.name == "sqlite":
        query = select(func.coalesce(func.max(_ROW), 0)).select_from(table)
        number = connection.execute(query).scalar_one()
    else:
        number = connection.execute(select(_ALL_ENDED_BELOW)).scalar_one()
    return Position(number, "", _since(now))


def position_of(connection: Connection, id_: str, organization: str | None) -> Position | None:
    """The position of an event that somebody has had; None if there is none for them."""
    sqlite = connection.dialect.name == "sqlite"
    number = _ROW if sqlite else func.coalesce(table.c.txid, 0)
    query = select(number.label("number"), table.c.at).where(table.c.id == id_)
    if organization is not None:
        query = query.where(table.c.organization == organization)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    if not sqlite:
        below, unused = connection.execute(select(_ALL_ENDED_BELOW, _UNUSED_FROM)).one()
        if found.number >= unused:
            # The database was restored into another cluster, which counts transactions from further back.
            return Position(0, id_, _since(found.at))
        if found.number >= below:
            # Not from the feed, which shows only what has settled: others before it are still at work.
            return Position(below - 1, _LAST_ID, _since(found.at))
    return Position(found.number, id_, _since(found.at))


def read_after(connection: Connection, position: Position) -> tuple[tuple[Event, ...], Position]:
    """The next events of the whole installation, `PAGE` at most, and how far one has then read."""
    if connection.dialect.name == "sqlite":
        query: Any = select(_ROW.label("number"), table).where(position.number < _ROW)
        query = query.order_by(_ROW)
    else:
        last = row_of(
            cast(bindparam("number", position.number), BigInteger),
            cast(bindparam("last", position.id), Text),
        )
        query = select(table.c.txid.label("number"), table).where(
            row_of(table.c.txid, table.c.id) > last,
            table.c.txid < _ALL_ENDED_BELOW,
            table.c.id > position.since,
        )
        query = query.order_by(table.c.txid, table.c.id)
    rows = connection.execute(query.limit(PAGE)).all()
    if not rows:
        return (), position
    return tuple(event_of(row) for row in rows), position._replace(
        number=rows[-1].number, id=rows[-1].id
    )


def _since(at: Instant) -> str:
    return first_id(EVENT, after(at, -_DAY))
