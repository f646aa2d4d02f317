"""The two validating readers: what a row says now, never what it said.

Questions that wait at the same moment share one `SELECT … WHERE id IN (…)`. Nothing is kept
between two of them, and the query that answers a validation always starts after the validation
arrived: an end that was committed before a request came in is seen by it.

A failure is an answer too: everybody in the batch gets the error, and the door stays shut.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    LargeBinary,
    Select,
    case,
    func,
    literal_column,
    null,
    select,
    text,
)
from sqlalchemy.dialects import sqlite

from iam.db import Database, DatabaseUnavailable
from iam.db.engine import sqlite_module
from iam.sessions.model import LiveRow
from iam.sessions.store import LIVE_COLUMNS

Found = TypeVar("Found", bound=tuple[Any, ...])
Done = Callable[[Found | None, DatabaseUnavailable | None], None]
"""Called once with the row (None: there is no such one) or with the error that hid it."""

BATCH = 64
"""Keys in one statement, at most: more only makes the first of them wait for the last."""
_DEPARTURES = (1, BATCH)


@dataclass(frozen=True)
class Question(Generic[Found]):
    """What is read by a key: the first column of `select`, which has no condition of its own.

    `name` is the prepared statement's; `make` takes the values of the columns, a JSON column's decoded.
    """

    name: str
    select: Select[Any]
    make: Callable[[Sequence[Any]], Found]

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """What is read, in order."""
        return list(self.select.selected_columns)


SESSIONS = Question[LiveRow]("iam_read_sessions", select(*LIVE_COLUMNS), LiveRow._make)
"""What a validation needs of a session."""


class Reader(ABC, Generic[Found]):
    """Reads rows by their key. Belongs to one event loop."""

    def __init__(self) -> None:
        self._pending: list[tuple[str, Done[Found]]] = []

    def submit(self, key: str, done: Done[Found]) -> None:
        """Read one row as committed now and hand it to `done`, after this has returned."""
        self._pending.append((key, done))
        # All requests that this turn of the event loop finds on its sockets get on board; and who was held
        # back to fill a batch leaves when it is full.
        if len(self._pending) in _DEPARTURES:
            asyncio.get_running_loop().call_soon(self._depart)

    def read(self, key: str) -> Awaitable[Found | None]:
        """The same for those that can wait; None if there is no such row.

        Raises:
            DatabaseUnavailable: it cannot be read. The caller refuses: it fails closed.
        """
        found: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()

        def done(row: Found | None, error: DatabaseUnavailable | None) -> None:
            if found.done():  # its caller was cancelled meanwhile
                return
            if error is None:
                found.set_result(row)
            else:
                found.set_exception(error)

        self.submit(key, done)
        return found

    @abstractmethod
    async def close(self) -> None:
        """Give the connections back; who still waits gets an error."""

    @abstractmethod
    def _depart(self) -> None:
        """Ask for what waits, as much of it as can be asked for now."""


def deliver(batch: list[tuple[str, Done[Found]]], rows: dict[str, Found]) -> None:
    """Hand each of a batch its row."""
    find = rows.get
    for key, done in batch:
        try:
            done(find(key), None)
        except Exception as bug:  # noqa: BLE001 - one's bug must not leave the rest of the batch waiting
            _report(bug)


def refuse(batch: list[tuple[str, Done[Found]]], error: DatabaseUnavailable) -> None:
    """Hand each of a batch the error."""
    for _, done in batch:
        try:
            done(None, error)
        except Exception as bug:  # noqa: BLE001 - nor the rest of a refused one
            _report(bug)


def _report(bug: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "a question could not be answered", "exception": bug}
    )


class SqliteReader(Reader[Found]):
    """Reads on the event loop itself: a batch takes tens of microseconds, a thread would cost more.

    One connection in autocommit: each statement is a read transaction of its own, which starts with
    the newest commit of any connection.
    """

    def __init__(self, database: Database, question: Question[Found]) -> None:
        super().__init__()
        self._make = question.make
        self._statement = _together(question)
        self._binary = [
            place
            for place, column in enumerate(question.columns)
            if isinstance(column.type, LargeBinary)
        ]
        self._module = sqlite_module()
        try:
            self._connection = self._module.connect(
                Path(str(database.url.database)).absolute().as_uri() + "?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=0.25,
                check_same_thread=False,
            )
        except self._module.Error as error:
            raise DatabaseUnavailable(str(error)) from error
        self._connection.execute("PRAGMA query_only=ON")
        self._connection.execute("PRAGMA mmap_size=0")
        # Room for the upper levels of the key's tree, 4 MB with a million sessions; any commit of another
        # connection empties it.
        self._connection.execute("PRAGMA cache_size=-6144")

    async def close(self) -> None:
        """See `Reader.close`."""
        self._connection.close()
        waiting, self._pending = self._pending, []
        refuse(waiting, DatabaseUnavailable("the reader is closed"))

    def _depart(self) -> None:
        waiting, self._pending = self._pending, []
        for first in range(0, len(waiting), BATCH):
            batch = waiting[first : first + BATCH]
            try:
                rows = self._read([key for key, _ in batch])
            except (self._module.Error, msgspec.DecodeError) as error:
                refusal = DatabaseUnavailable(str(error))
                refusal.__cause__ = error
                refuse(batch, refusal)
            else:
                deliver(batch, rows)

    def _read(self, keys: list[str]) -> dict[str, Found]:
        asked = msgspec.json.encode(keys).decode()
        (answer,) = self._connection.execute(self._statement, (asked,)).fetchone()
        rows: list[list[Any]] = msgspec.json.decode(answer)
        for place in self._binary:
            for row in rows:
                if row[place] is not None:
                    row[place] = bytes.fromhex(row[place])
        make = self._make
        return {row[0]: make(row) for row in rows}


def _together(question: Question[Any]) -> str:
    """The statement that answers a list of keys with a list of rows, both as one JSON text.

    The driver gives up the interpreter's lock for each row that it fetches, and takes it back from
    whoever writes meanwhile: for a batch of sessions that costs as much as to find them.
    """
    key, *_ = question.columns
    row = func.json_array(*(_in_json(column) for column in question.columns))
    statement = (
        select(func.json_group_array(row))
        .select_from(*question.select.get_final_froms())
        .where(key.in_(text("SELECT value FROM json_each(?)")))
    )
    return str(statement.compile(dialect=sqlite.dialect()))


def _in_json(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column's value as JSON has it; bytes in hexadecimal."""
    if isinstance(column.type, LargeBinary):
        return case((column.is_(null()), None), else_=func.hex(column))
    if isinstance(column.type, Boolean):
        return func.json(case((column, literal_column("'true'")), else_=literal_column("'false'")))
    return func.json(column) if isinstance(column.type, JSON) else column


def open_reader(
    database: Database, question: Question[Found], *, connections: int = 2
) -> Reader[Found]:
    """The reader of these rows for this database, over so many connections where it needs some.

    Call it on the event loop that will use it.
    """
    if database.is_sqlite:
        return SqliteReader(database, question)
    # Only there: whose sessions are in SQLite need not carry the other driver.
    from iam.sessions.reader_postgres import PostgresReader

    return PostgresReader(database, question, connections=connections)
