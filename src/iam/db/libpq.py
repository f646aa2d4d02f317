"""Prepared statements on PostgreSQL: past psycopg's cursor, whose generators cost more than the round trip,
to libpq's own calls: the blocking one for one statement, its pipeline for several."""

import itertools
import select
from collections.abc import Sequence
from typing import Any

from psycopg import IsolationLevel, errors, pq
from psycopg.adapt import PyFormat, Transformer
from sqlalchemy import Connection, Dialect, Engine, event

from iam.db.prepared import Compiled, Statement, Values


class CompiledForLibpq(Compiled):
    """On PostgreSQL: past psycopg's cursor, whose generators cost more than the round trip, to libpq's
    own blocking call. Values are written and rows are read by psycopg's adapters all the same."""

    _NUMBERS = itertools.count()

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        kind: Any = type(dialect)
        numbered: Any = statement.compile(dialect=kind(paramstyle="numeric_dollar"))
        self._numbered = str(numbered).encode()
        self._order: Sequence[str] = numbered.positiontup
        self._formats = [PyFormat.TEXT] * len(self._order)
        self.name = f"iam_{next(self._NUMBERS)}".encode()

    def execute(self, connection: Connection, values: Values) -> Sequence[Any]:
        """See `Compiled.execute`."""
        driver: Any = connection.connection.driver_connection
        link: pq.abc.PGconn = driver.pgconn
        if link.transaction_status != pq.TransactionStatus.INTRANS and not driver.autocommit:
            # How a transaction begins is the driver's to know: its first statement goes that way.
            return super().execute(connection, values)
        known = _known_to(connection, driver)
        self.prepare(link, known)
        result = _checked(link, link.exec_prepared(self.name, self.written(known, values)))
        return known.rows(result)

    def prepare(self, link: pq.abc.PGconn, known: "_Known") -> None:
        """Have this connection know the statement."""
        if self.name not in known.statements:
            _checked(link, link.prepare(self.name, self._numbered))
            known.statements.add(self.name)

    def written(self, known: "_Known", values: Values) -> Any:
        """The values as they are sent."""
        written = self.parameters(values)
        return known.adapters.dump_sequence([written[one] for one in self._order], self._formats)

    def execute_each(self, connection: Connection, rows: Sequence[Values]) -> None:
        """See `Compiled.execute_each`."""
        for values in rows:
            self.execute(connection, values)


_PLAIN: dict[IsolationLevel | None, bytes] = {
    None: b"BEGIN",
    IsolationLevel.READ_COMMITTED: b"BEGIN ISOLATION LEVEL READ COMMITTED",
}


def run_together(
    connection: Connection, asked: Sequence[tuple[CompiledForLibpq, Values]]
) -> list[Sequence[Any]]:
    """Run these one after the other in one round trip, with the beginning of the transaction if that is
    still to come. Each sees what the ones before it did. Raises the driver's errors."""
    driver: Any = connection.connection.driver_connection
    link: pq.abc.PGconn = driver.pgconn
    begins = link.transaction_status == pq.TransactionStatus.IDLE and not driver.autocommit
    if len(asked) < 1 + (not begins):
        return [one.execute(connection, values) for one, values in asked]
    if begins and (driver.isolation_level not in _PLAIN or driver.read_only or driver.deferrable):
        # How such a transaction begins is the driver's to know.
        return [one.execute(connection, values) for one, values in asked]
    known = _known_to(connection, driver)
    for one, _ in asked:
        one.prepare(link, known)
    sent = [(one.name, one.written(known, values)) for one, values in asked]
    link.enter_pipeline_mode()
    try:
        if begins:
            link.send_query_params(_PLAIN[driver.isolation_level], None)
        for name, values in sent:
            link.send_query_prepared(name, values)
        link.pipeline_sync()
        known.send(link)
        results = [_next(link, known) for _ in range(begins + len(sent))]
        known.wait(link)
        link.get_result()  # that of the synchronisation
    finally:
        if link.status == pq.ConnStatus.OK:
            link.exit_pipeline_mode()
    # The first that failed is the one that says why; those after it were not run.
    return [known.rows(_checked(link, one)) for one in results][begins:]


def _next(link: pq.abc.PGconn, known: "_Known") -> pq.abc.PGresult:
    known.wait(link)
    result = link.get_result()
    if result is None:
        raise errors.OperationalError("the connection was lost")
    known.wait(link)
    link.get_result()  # nothing: between two statements' results
    return result


class _Known:
    """What one connection to PostgreSQL has been told: the statements prepared on it."""

    def __init__(self, driver: Any) -> None:
        self.statements: set[bytes] = set()
        self.adapters = Transformer(driver)
        self.is_stale = False
        self._poll = select.poll()
        self._poll.register(driver.pgconn.socket, select.POLLIN)

    def rows(self, result: pq.abc.PGresult) -> Sequence[Any]:
        """What a statement has selected."""
        self.adapters.set_pgresult(result)
        return self.adapters.load_rows(0, result.ntuples, tuple)

    def send(self, link: pq.abc.PGconn) -> None:
        """Send all that is to be sent. What comes meanwhile is taken in: the server may wait for that."""
        if not link.flush():
            return
        poll = select.poll()  # `select.select` knows no file beyond the thousandth
        poll.register(link.socket, select.POLLIN | select.POLLOUT)
        while link.flush():
            if any(happened & ~select.POLLOUT for _, happened in poll.poll()):
                link.consume_input()

    def wait(self, link: pq.abc.PGconn) -> None:
        """Wait for the next result; libpq's own way to do so would keep all other threads waiting too."""
        while link.is_busy():
            self._poll.poll()
            link.consume_input()


def _known_to(connection: Connection, driver: Any) -> _Known:
    info = connection.info
    known: _Known | None = info.get(_KNOWN)
    if known is None:
        known = info[_KNOWN] = _Known(driver)
    if known.is_stale:
        found = _checked(driver.pgconn, driver.pgconn.exec_(_STILL_THERE))
        known.statements = {found.get_value(row, 0) or b"" for row in range(found.ntuples)}
        known.is_stale = False
    return known


_KNOWN = "iam_prepared"
_STILL_THERE = b"SELECT name FROM pg_prepared_statements WHERE name LIKE 'iam\\_%'"


def forget_on_rollback(engine: Engine) -> None:
    """Have connections of this engine look which statements they still have after a rollback.

    psycopg may deallocate every statement of a connection then, because what they name may be gone.
    """

    def mark(connection: Connection, *_savepoint: object) -> None:
        # A lost connection forgets by itself.
        known = connection.info.get(_KNOWN) if not connection.invalidated else None
        if known is not None:
            known.is_stale = True

    event.listen(engine, "rollback", mark)
    event.listen(engine, "rollback_savepoint", mark)


def _checked(link: pq.abc.PGconn, result: pq.abc.PGresult) -> pq.abc.PGresult:
    if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        return result
    error = errors.error_from_result(result)
    # libpq makes up this result when the connection is gone: it has no code to tell the kind by.
    raise errors.OperationalError(str(error)) if link.status == pq.ConnStatus.BAD else error
