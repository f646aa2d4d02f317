"""The validating reader on PostgreSQL: libpq's own non-blocking calls on a few connections."""

import asyncio
import itertools
import struct
from typing import Any, Generic

from psycopg import AsyncConnection, Error, OperationalError, pq
from psycopg.adapt import Transformer
from sqlalchemy import func, text
from sqlalchemy.dialects import postgresql

from iam.db import Database, DatabaseUnavailable
from iam.sessions.reader import BATCH, Done, Found, Question, Reader, deliver, refuse

_TEXT = 25
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left it so
_WAITS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds before each try to mend a connection; the last one again and again."""
_COMPANY = 0.005
"""Seconds that questions wait for the batch under way to come home, unless they fill one of their own."""


class PostgresReader(Reader[Found]):
    """Reads over a few connections of its own, one batch in flight on each.

    While a batch travels, the next one gathers: the busier, the more validations share a round
    trip. A further connection is for a whole batch that waits, or for one that has waited long
    enough: half-empty batches side by side cost the database more than they save anybody. Works on
    libpq's own non-blocking calls, because one answer has to reach many waiting requests at once, and
    an `await` for each would cost more than the read.
    """

    def __init__(
        self,
        database: Database,
        question: Question[Found],
        *,
        connections: int = 2,
        patience: float = 2.0,
    ) -> None:
        """`patience`: seconds after which a silent database counts as away."""
        super().__init__()
        url = database.url.set(drivername="postgresql")
        self._conninfo = url.render_as_string(hide_password=False)
        self.patience = patience
        self.make, self.statement = question.make, question.name.encode()
        key, *_ = question.columns
        statement = question.select.where(key == func.any(text("$1")))
        self._prepare = f"PREPARE {question.name} (text[]) AS {statement.compile(dialect=_DIALECT)}"
        self._idle: list[_Line[Found]] = []
        self._lines = [_Line(self) for _ in range(connections)]
        self._is_late_soon = False

    async def close(self) -> None:
        """See `Reader.close`."""
        for line in self._lines:
            await line.shut()
        waiting, self._pending = self._pending, []
        refuse(waiting, DatabaseUnavailable("the reader is closed"))

    async def connect(self) -> AsyncConnection[Any]:
        """A new connection that knows the statement. Raises psycopg.Error, TimeoutError."""
        async with asyncio.timeout(self.patience):
            connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
            try:
                # Named by SQL, used by the protocol: the two share their names.
                await connection.execute(self._prepare)
            except BaseException:
                connection.pgconn.finish()
                raise
        return connection

    def came_home(self, line: "_Line[Found]") -> None:
        """A line has answered (or is new): it may carry what waits."""
        self._idle.append(line)
        if self._pending:
            self._depart()

    def went_away(self, line: "_Line[Found]") -> None:
        """A line has broken; if it was the last one, nobody waits for its return."""
        if line in self._idle:
            self._idle.remove(line)
        self._depart()

    def _depart(self) -> None:
        while self._pending and self._idle:
            if len(self._pending) < BATCH and any(line.is_under_way for line in self._lines):
                if not self._is_late_soon:
                    self._is_late_soon = True
                    asyncio.get_running_loop().call_later(_COMPANY, self._on_late)
                return
            self._send()
        if self._pending and not any(line.is_promising for line in self._lines):
            waiting, self._pending = self._pending, []
            refuse(waiting, DatabaseUnavailable("no connection to the database"))

    def _on_late(self) -> None:
        self._is_late_soon = False
        if self._pending and self._idle:
            self._send()

    def _send(self) -> None:
        batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
        self._idle.pop().send(batch)


class _Line(Generic[Found]):
    """One connection with at most one batch in flight; it mends itself when it breaks."""

    def __init__(self, reader: PostgresReader[Found]) -> None:
        self._reader = reader
        self._connection: AsyncConnection[Any] | None = None
        self._decode = Transformer()
        self._socket = -1
        self._flight: list[tuple[str, Done[Found]]] = []
        self._deadline: asyncio.TimerHandle | None = None
        self._is_new = True
        self._is_shut = False
        self._mending = asyncio.get_running_loop().create_task(self._mend(0.0))

    @property
    def is_promising(self) -> bool:
        """Whether a batch should wait for it: it carries one, or has just begun to connect."""
        return not self._is_shut and (self._connection is not None or self._is_new)

    @property
    def is_under_way(self) -> bool:
        """Whether it carries a batch."""
        return bool(self._flight)

    @property
    def _link(self) -> pq.abc.PGconn:
        if self._connection is None:
            raise AssertionError("nothing is sent or watched on a broken line")
        return self._connection.pgconn

    async def open(self) -> None:
        """Connect. Raises psycopg.Error, TimeoutError."""
        connection = await self._reader.connect()
        self._decode = Transformer(connection)
        self._connection = connection
        self._is_new = False
        self._socket = connection.pgconn.socket
        asyncio.get_running_loop().add_reader(self._socket, self._on_readable)
        self._reader.came_home(self)

    async def shut(self) -> None:
        """Close for good; the batch in flight gets an error."""
        self._is_shut = True
        self._mending.cancel()
        await asyncio.gather(self._mending, return_exceptions=True)
        self._break(OperationalError("the reader is closed"))

    def send(self, batch: list[tuple[str, Done[Found]]]) -> None:
        """Ask for these sessions in one query. A failure goes to the batch, not to the caller."""
        self._flight = batch
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._reader.patience, self._on_silence)
        link = self._link
        try:
            link.send_query_prepared(
                self._reader.statement,
                [_text_array([key for key, _ in batch])],
                [pq.Format.BINARY],
                pq.Format.BINARY,
            )
            if link.flush():
                loop.add_writer(self._socket, self._on_writable)
        except Error as error:
            # Not from in here: the caller is going through what waits.
            loop.call_soon(self._break, error, self._connection)

    def _on_writable(self) -> None:
        try:
            if not self._link.flush():
                asyncio.get_running_loop().remove_writer(self._socket)
        except Error as error:
            self._break(error)

    def _on_readable(self) -> None:
        link = self._link
        rows: dict[str, Found] | None = None
        try:
            link.consume_input()
            if link.is_busy():
                return
            while (result := link.get_result()) is not None:
                if result.status != pq.ExecStatus.TUPLES_OK:
                    raise OperationalError(result.get_error_message())
                self._decode.set_pgresult(result)
                found = self._decode.load_rows(0, result.ntuples, self._reader.make)
                rows = {row[0]: row for row in found}
        except Error as error:
            self._break(error)
            return
        if rows is None:
            return  # a notice or a changed parameter: nothing was asked
        batch, self._flight = self._flight, []
        if self._deadline is not None:
            self._deadline.cancel()
        # First the next query, then these answers: the database works while we write them.
        self._reader.came_home(self)
        deliver(batch, rows)

    def _on_silence(self) -> None:
        self._break(OperationalError("the database did not answer in time"))

    def _break(self, error: Exception, of: AsyncConnection[Any] | None = None) -> None:
        connection = self._connection
        if connection is None or (of is not None and of is not connection):
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        connection.pgconn.finish()
        self._connection = None
        if self._deadline is not None:
            self._deadline.cancel()
        batch, self._flight = self._flight, []
        if not self._is_shut:
            self._mending = loop.create_task(self._mend(_WAITS[0]))
        refusal = DatabaseUnavailable(str(error))
        refusal.__cause__ = error
        refuse(batch, refusal)
        self._reader.went_away(self)

    async def _mend(self, first: float) -> None:
        for wait in itertools.chain([first], _WAITS, itertools.repeat(_WAITS[-1])):
            await asyncio.sleep(wait)
            try:
                await self.open()
            except (Error, OSError, TimeoutError):
                self._is_new = False
                self._reader.went_away(self)
                continue
            return


def _text_array(texts: list[str]) -> bytes:
    """PostgreSQL's binary form of a one-dimensional text[]."""
    parts = [struct.pack("!5i", 1, 0, _TEXT, len(texts), 1)]
    for each in texts:
        value = each.encode()
        parts += (len(value).to_bytes(4, "big"), value)
    return b"".join(parts)
