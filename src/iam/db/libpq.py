"""Prepared statements on PostgreSQL: past psycopg's cursor, whose generators cost more than the round trip,
to libpq's own blocking call."""

import itertools
from collections.abc import Sequence
from typing import Any

from psycopg import errors, pq
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
        self._name = f"iam_{next(self._NUMBERS)}".encode()

    def execute(self, connection: Connection, values: Values) -> Sequence[Any]:
        """See `Compiled.execute`."""
        driver: Any = connection.connection.driver_connection
        link: pq.abc.PGconn = driver.pgconn
        if link.transaction_status != pq.TransactionStatus.INTRANS and not driver.autocommit:
            # How a transaction begins is the driver's to know: its first statement goes that way.
            return super().execute(connection, values)
        known = _known_to(connection, driver)
        if self._name not in known.statements:
            _checked(link, link.prepare(self._name, self._numbered))
            known.statements.add(self._name)
        written = self.parameters(values)
        sent: Any = known.adapters.dump_sequence(
            [written[one] for one in self._order], self._formats
        )
        result = _checked(link, link.exec_prepared(self._name, sent))
        known.adapters.set_pgresult(result)
        return known.adapters.load_rows(0, result.ntuples, tuple)

    def execute_each(self, connection: Connection, rows: Sequence[Values]) -> None:
        """See `Compiled.execute_each`."""
        for values in rows:
            self.execute(connection, values)


class _Known:
    """What one connection to PostgreSQL has been told: the statements prepared on it."""

    def __init__(self, driver: Any) -> None:
        self.statements: set[bytes] = set()
        self.adapters = Transformer(driver)
        self.is_stale = False


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
