"""The two validating readers: what a session's row says now, never what it said.

Validations that wait at the same moment share one `SELECT … WHERE id IN (…)`. Nothing is kept
between two of them, and the query that answers a validation always starts after the validation
arrived: an end that was committed before a request came in is seen by it.

A failure is an answer too: everybody in the batch gets the error, and the door stays shut.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from iam.db import Database, DatabaseUnavailable
from iam.db.engine import sqlite_module
from iam.sessions.model import LiveRow
from iam.sessions.store import LIVE_COLUMNS

Done = Callable[[LiveRow | None, DatabaseUnavailable | None], None]
"""Called once with the row (None: there is no such session) or with the error that hid it."""

BATCH = 64
"""Sessions in one statement, at most: more only makes the first of them wait for the last."""
COLUMNS = ", ".join(column.name for column in LIVE_COLUMNS)


class Reader(Protocol):
    """Reads the row a validation needs. Belongs to one event loop."""

    def submit(self, session_id: str, done: Done) -> None:
        """Read one session's row as committed now and hand it to `done`, after this has returned."""
        ...

    async def read(self, session_id: str) -> LiveRow | None:
        """The same for those that can wait; None if there is no such row.

        Raises:
            DatabaseUnavailable: it cannot be read. The caller refuses: it fails closed.
        """
        ...

    async def close(self) -> None:
        """Give the connections back; who still waits gets an error."""
        ...


class Waiting(ABC):
    """What both readers share: the validations that wait for the next query."""

    def __init__(self) -> None:
        self._pending: list[tuple[str, Done]] = []

    def submit(self, session_id: str, done: Done) -> None:
        """See `Reader.submit`."""
        if not self._pending:
            # All requests that this turn of the event loop finds on its sockets get on board.
            asyncio.get_running_loop().call_soon(self._depart)
        self._pending.append((session_id, done))

    async def read(self, session_id: str) -> LiveRow | None:
        """See `Reader.read`."""
        found: asyncio.Future[LiveRow | None] = asyncio.get_running_loop().create_future()

        def done(row: LiveRow | None, error: DatabaseUnavailable | None) -> None:
            if found.done():  # its caller was cancelled meanwhile
                return
            if error is None:
                found.set_result(row)
            else:
                found.set_exception(error)

        self.submit(session_id, done)
        return await found

    @abstractmethod
    def _depart(self) -> None:
        """Ask for what waits, as much of it as can be asked for now."""


def deliver(batch: list[tuple[str, Done]], rows: dict[str, LiveRow]) -> None:
    find = rows.get
    for session_id, done in batch:
        try:
            done(find(session_id), None)
        except Exception as bug:  # noqa: BLE001 - one's bug must not leave the rest of the batch waiting
            _report(bug)


def refuse(batch: list[tuple[str, Done]], error: DatabaseUnavailable) -> None:
    for _, done in batch:
        try:
            done(None, error)
        except Exception as bug:  # noqa: BLE001 - nor the rest of a refused one
            _report(bug)


def _report(bug: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "a validation could not be answered", "exception": bug}
    )


class SqliteReader(Waiting):
    """Reads on the event loop itself: a batch takes tens of microseconds, a thread would cost more.

    One connection in autocommit: each statement is a read transaction of its own, which starts with
    the newest commit of any connection.
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._statements = [
            f"SELECT {COLUMNS} FROM session WHERE id IN ({','.join('?' * n)})"  # noqa: S608 - constants
            for n in range(BATCH + 1)
        ]
        self._module = sqlite_module()
        self._connection = self._module.connect(
            Path(str(database.url.database)).absolute().as_uri() + "?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=0.25,
            cached_statements=BATCH * 2,
            check_same_thread=False,
        )
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
                cursor = self._connection.execute(
                    self._statements[len(batch)], [session_id for session_id, _ in batch]
                )
                rows = {row[0]: LiveRow._make(row) for row in cursor.fetchall()}
            except self._module.Error as error:
                refusal = DatabaseUnavailable(str(error))
                refusal.__cause__ = error
                refuse(batch, refusal)
            else:
                deliver(batch, rows)


def open_reader(database: Database) -> Reader:
    """The reader for this database. Call it on the event loop that will use it."""
    if database.is_sqlite:
        return SqliteReader(database)
    # Only there: whose sessions are in SQLite need not carry the other driver.
    from iam.sessions.reader_postgres import PostgresReader

    return PostgresReader(database)
