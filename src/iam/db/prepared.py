"""Statements that run thousands of times a second.

SQLAlchemy's way from a statement to its rows costs ten times what SQLite takes to run it, and psycopg's
four times what libpq takes. A `Prepared` is still written in SQLAlchemy Core, once for both databases;
it is compiled at its first use and then given to the driver directly
(docs/decisions/0007-hot-statements-go-to-the-driver.md).
"""

import itertools
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Connection,
    Delete,
    Dialect,
    Insert,
    Select,
    Table,
    TextClause,
    Update,
    bindparam,
)
from sqlalchemy.exc import DBAPIError

Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]
Statement = Select[Any] | Insert | Update | Delete | TextClause


def values_of(table: Table, *but: str) -> dict[str, Any]:
    """For an `INSERT`: a parameter for each column, named like it, except for these."""
    return {
        column.name: bindparam(column.name, type_=column.type)
        for column in table.columns
        if column.name not in but
    }


class Prepared:
    """A statement whose parameters are all `bindparam`s, ready to run on either database."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}
        self.selects = isinstance(statement, Select)

    def run(self, connection: Connection, *rows: Values) -> None:
        """Run it once for each of these sets of values.

        Raises:
            sqlalchemy.exc.DBAPIError: as `Connection.execute` does.
        """
        compiled = self.compiled(connection.dialect)
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
        compiled = self.compiled(connection.dialect)
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

    def compiled(self, dialect: Dialect) -> "Compiled":
        """The statement as this database is given it."""
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        return compiled


Asked = tuple[Prepared, Values]
"""A statement and the values to run it with."""


def together(connection: Connection, *asked: Asked) -> list[list[Any]]:
    """Run these, none of which needs what another gives, in their order; answer the rows of each.

    On PostgreSQL they make one round trip to the database, with the beginning of the transaction if
    nothing was asked in it yet.

    Raises:
        sqlalchemy.exc.DBAPIError: as `Connection.execute` does, for the first that fails.
    """
    if connection.dialect.name != "postgresql":
        return _in_turn(connection, asked)
    from iam.db.libpq import run_together

    compiled: list[Any] = [prepared.compiled(connection.dialect) for prepared, _ in asked]
    try:
        found = run_together(
            connection,
            [(one, values) for one, (_, values) in zip(compiled, asked, strict=True)],
        )
    except connection.dialect.loaded_dbapi.Error as error:
        text = "; ".join(one.text for one in compiled)
        raise _wrapped(connection, text, error) from error
    return [[one.row(row) for row in rows] for one, rows in zip(compiled, found, strict=True)]


def _in_turn(connection: Connection, asked: Sequence[Asked]) -> list[list[Any]]:
    found: list[list[Any]] = []
    for prepared, group in itertools.groupby(asked, key=itemgetter(0)):
        values = [one for _, one in group]
        if prepared.selects or len(values) == 1:
            found += [prepared.rows(connection, one) for one in values]
        else:
            prepared.run(connection, *values)
            found += [[] for _ in values]
    return found


def _compile(statement: Statement, dialect: Dialect) -> "Compiled":
    if dialect.name != "postgresql":
        return Compiled(statement, dialect)
    # Only there: whose sessions are in SQLite need not carry the other driver.
    from iam.db.libpq import CompiledForLibpq

    return CompiledForLibpq(statement, dialect)


class Compiled:
    """The text for one database, and how values are written for it and read from it."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
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
        self._make: Callable[[Any], Any] = row._make if columns else tuple
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
