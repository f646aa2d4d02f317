"""The validating readers: one primary-key read for each validation, never a remembered row.

The only port with two implementations. Both answer with the row as it is committed at the moment
they look; an ended session is therefore refused by the next request on every node.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

import psycopg

from iam.db import Database, DatabaseUnavailable
from iam.db.engine import prepare_sqlite, sqlite_module
from iam.sessions.model import LiveRow
from iam.sessions.store import LIVE_COLUMNS

_COLUMNS = ", ".join(column.name for column in LIVE_COLUMNS)


class Reader(Protocol):
    """Reads the row of a session for a validation."""

    def read(self, session_id: str) -> Awaitable[LiveRow | None]:
        """The row as committed now; None if there is none.

        Raises:
            DatabaseUnavailable: it cannot be read. The caller refuses: it fails closed.
        """
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class SqliteReader:
    """Reads on the event loop: microseconds, less than handing the work to a thread would cost."""

    def __init__(self, database: Database) -> None:
        self._module = sqlite_module()
        self._connection = self._module.connect(
            str(database.url.database), isolation_level=None, check_same_thread=False
        )
        prepare_sqlite(self._connection)
        self._connection.execute("PRAGMA query_only=ON")
        self._query = f"SELECT {_COLUMNS} FROM session WHERE id = ?"  # noqa: S608 - constants

    async def read(self, session_id: str) -> LiveRow | None:
        """See `Reader`. No transaction is left open, so the next read sees the newest commit."""
        try:
            row = self._connection.execute(self._query, (session_id,)).fetchone()
        except self._module.Error as error:
            raise DatabaseUnavailable(str(error)) from error
        return LiveRow._make(row) if row is not None else None

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class PostgresReader:
    """Coalesces: all validations that wait go in one statement, so they share a round trip.

    A validation only takes part in a statement that is sent after it arrived; none is ever answered
    from an earlier one's result. That is what keeps it exact.
    """

    def __init__(self, database: Database, *, connections: int = 2) -> None:
        url = database.url.set(drivername="postgresql")
        self._url = url.render_as_string(hide_password=False)
        self._query = f"SELECT {_COLUMNS} FROM session WHERE id = ANY(%s)"  # noqa: S608 - constants
        self._waiting: dict[str, asyncio.Future[LiveRow | None]] = {}
        self._arrived = asyncio.Event()
        self._senders = [asyncio.ensure_future(self._send()) for _ in range(connections)]

    def read(self, session_id: str) -> asyncio.Future[LiveRow | None]:
        """See `Reader`. Validations of one session that wait together share one answer."""
        future = self._waiting.get(session_id)
        if future is None:
            future = self._waiting[session_id] = asyncio.get_running_loop().create_future()
            self._arrived.set()
        return future

    async def close(self) -> None:
        """Stop sending and close the connections."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    async def _send(self) -> None:
        connection: psycopg.AsyncConnection[Any] | None = None
        try:
            while True:
                await self._arrived.wait()
                batch, self._waiting = self._waiting, {}
                self._arrived.clear()
                if not batch:
                    continue
                try:
                    if connection is None or connection.closed:
                        connection = await psycopg.AsyncConnection.connect(
                            self._url, autocommit=True, prepare_threshold=0, connect_timeout=5
                        )
                    cursor = connection.cursor(binary=True)
                    await cursor.execute(self._query, (list(batch),))
                    rows = await cursor.fetchall()
                except (psycopg.Error, OSError) as error:
                    if connection is not None:
                        await connection.close()
                        connection = None
                    _fail(batch, DatabaseUnavailable(str(error)))
                    continue
                except BaseException:
                    _fail(batch, DatabaseUnavailable("shutting down"))
                    raise
                for row in rows:
                    _answer(batch.pop(row[0]), LiveRow._make(row))
                for future in batch.values():
                    _answer(future, None)
        finally:
            if connection is not None:
                await connection.close()


def _answer(future: asyncio.Future[LiveRow | None], row: LiveRow | None) -> None:
    if not future.done():  # the request may have been cancelled meanwhile
        future.set_result(row)


def _fail(batch: dict[str, asyncio.Future[LiveRow | None]], error: Exception) -> None:
    for future in batch.values():
        if not future.done():
            future.set_exception(error)


def open_reader(database: Database) -> Reader:
    """The reader for this database. Call it on the event loop that will use it."""
    return SqliteReader(database) if database.is_sqlite else PostgresReader(database)
