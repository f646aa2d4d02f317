"""Statements that run thousands of times a second.

SQLAlchemy's way from a statement to its rows costs ten times what SQLite takes to run it, and psycopg's
four times what libpq takes. A `Prepared` is still written in SQLAlchemy Core, once for both databases;
it is compiled at its first use and then given to the driver directly
(docs/decisions/0007-hot-statements-go-to-the-driver.md).
"""

import itertools
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer
from sqlalchemy import (
    Connection,
    Delete,
    Dialect,
    Engine,
    Insert,
    Select,
    TextClause,
    Update,
    event,
)
from sqlalchemy.exc import DBAPIError

Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]
_Statement = Select[Any] | Insert | Update | Delete | TextClause


class Prepared:
    """A statement whose parameters are all `bindparam`s, ready to run on either database."""

    def __init__(self, statement: _Statement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, *rows: Values) -> None:
        """Run it once for each of these sets of values.

        Raises:
            sqlalchemy.exc.DBAPIError: as `Connection.execute` does.
        """
        compiled = self._for(connection.dialect)
        try:
            if len(rows) == 1:
                compiled.execute(connection, rows[0])
            else:
                compiled.execute_each(connection, rows)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _wrapped(connection, compiled.text, error) from error

    def rows(self, connection: Connection, values: Values) -> list[Any]:
        """Run it and fetch what it selects, as named tuples of its columns.

        Raises:
            sqlalchemy.exc.DBAPIError: as `Connection.execute` does.
        """
        compiled = self._for(connection.dialect)
        try:
            found = compiled.execute(connection, values)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _wrapped(connection, compiled.text, error) from error
        return [compiled.row(one) for one in found]

    def one_or_none(self, connection: Connection, values: Values) -> Any:
        """The only row, None if there is none."""
        found = self.rows(connection, values)
        if len(found) > 1:
            raise AssertionError("a key has two rows")
        return found[0] if found else None

    def _for(self, dialect: Dialect) -> "_Compiled":
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            kind = _CompiledForLibpq if dialect.name == "postgresql" else _Compiled
            compiled = self._compiled[dialect.name] = kind(self._statement, dialect)
        return compiled


class _Compiled:
    """The text for one database, and how values are written for it and read from it."""

    def __init__(self, statement: _Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._names: Sequence[str] | None = compiled.positiontup
        self._constants = {
            name: bind.value for bind, name in compiled.bind_names.items() if not bind.required
        }
        self._binds: list[tuple[str, _Convert]] = [
            (name, convert)
            for bind, name in compiled.bind_names.items()
            if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        ]
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        names = [column.name for column in columns]
        row: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024 - its fields are known only here
        self._make: Callable[[Any], Any] = row._make
        self._results: list[tuple[int, _Convert]] = [
            (number, convert)
            for number, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]

    def execute(self, connection: Connection, values: Values) -> Sequence[Any]:
        """Run it with these values; answer the driver's rows. Raises the driver's errors."""
        cursor: Any = connection.connection.cursor()
        cursor.execute(self.text, self.parameters(values))
        found: Sequence[Any] = cursor.fetchall() if cursor.description is not None else ()
        cursor.close()
        return found

    def execute_each(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Run it once for each of these. Raises the driver's errors."""
        cursor = connection.connection.cursor()
        cursor.executemany(self.text, [self.parameters(values) for values in rows])
        cursor.close()

    def parameters(self, values: Values) -> Any:
        """The values as the driver takes them."""
        written = {**self._constants, **values}
        for name, convert in self._binds:
            written[name] = convert(written[name])
        return written if self._names is None else [written[name] for name in self._names]

    def row(self, found: Sequence[Any]) -> Any:
        """What the driver gave, as a named tuple."""
        if self._results:
            found = list(found)
            for number, convert in self._results:
                found[number] = convert(found[number])
        return self._make(found)


class _CompiledForLibpq(_Compiled):
    """On PostgreSQL: past psycopg's cursor, whose generators cost more than the round trip, to libpq's
    own blocking call. Values are written and rows are read by psycopg's adapters all the same."""

    _NUMBERS = itertools.count()

    def __init__(self, statement: _Statement, dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        kind: Any = type(dialect)
        numbered: Any = statement.compile(dialect=kind(paramstyle="numeric_dollar"))
        self._numbered = str(numbered).encode()
        self._order: Sequence[str] = numbered.positiontup
        self._formats = [PyFormat.TEXT] * len(self._order)
        self._name = f"iam_{next(self._NUMBERS)}".encode()

    def execute(self, connection: Connection, values: Values) -> Sequence[Any]:
        """See `_Compiled.execute`."""
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
        """See `_Compiled.execute_each`."""
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


def _wrapped(connection: Connection, statement: str, error: Exception) -> DBAPIError:
    """The driver's error as SQLAlchemy's: what `Database` reads to repeat, give up or reconnect."""
    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    lost = dialect.is_disconnect(error, connection.connection, None)  # type: ignore[arg-type]  # the stub is narrower than the code
    wrapped = DBAPIError.instance(
        statement, None, error, base, connection_invalidated=lost, dialect=dialect
    )
    if lost:
        # As SQLAlchemy does: who lost one connection has lost those that wait in the pool as well.
        pool: Any = connection.engine.pool
        pool._invalidate(connection.connection, error)  # noqa: SLF001 - it has no public name
        connection.invalidate(error)
    if not isinstance(wrapped, DBAPIError):
        raise wrapped
    return wrapped
