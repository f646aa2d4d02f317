"""Databases of Casdoor's and Hanzo's: MySQL and MariaDB, PostgreSQL, SQLite. Read, never written to.

Casdoor and Hanzo's first server keep each sort of object in a table of its own, Hanzo's second server all of
them as JSON in one. What is read is one state, however long it takes: one transaction, which can only read.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Text,
    and_,
    column,
    create_engine,
    func,
    inspect,
    or_,
    select,
    table,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from iam.db.engine import sqlite_module
from iam.moving.records import Record
from iam.moving.source import READ, Counted, Source, SourceUnreadable

_PATIENCE = 10
"""Seconds in which a server has to answer at first."""
_TABLES = {name: name.removesuffix("s") for name in READ}
_DOCUMENTS = "_entities"
# Which of these there are tells Casdoor from anything else; more of it may be missing in old versions.
_NEEDED = {
    "organization": {"owner", "name"},
    "application": {"owner", "name", "organization", "client_id"},
    "user": {"owner", "name", "password"},
}
_UNDERSCORE = re.compile(r"_([a-z0-9])")
_PREFIX = re.compile(r"[A-Za-z0-9_]{0,63}", re.ASCII)


@contextmanager
def opened_source(url: str, table_prefix: str = "") -> Iterator[Source]:
    """A database, until the block ends.

    Args:
        table_prefix: Casdoor's `tableNamePrefix`.

    Raises:
        SourceUnreadable: it does not answer, lets us not in, or is none of Casdoor's or Hanzo's.
    """
    if not _PREFIX.fullmatch(table_prefix):
        raise SourceUnreadable("A table prefix is up to 63 letters, digits and underscores.")
    engine = _engine(url)
    try:
        with _asking(engine.url):
            connection = engine.connect()
        try:
            with _asking(engine.url):
                _begin(connection)
                source = _source(connection, table_prefix)
            # What goes wrong out there is not the source's doing, and passes through.
            yield source
        finally:
            with suppress(SQLAlchemyError):  # it is gone already
                connection.close()
    finally:
        engine.dispose()


@contextmanager
def _asking(url: URL) -> Iterator[None]:
    """Have what the database refuses said in a sentence."""
    try:
        yield
    except SQLAlchemyError as error:
        raise SourceUnreadable(_said(url, error)) from error


def _source(connection: Connection, prefix: str) -> Source:
    tables = set(inspect(connection).get_table_names())
    if {prefix + name for name in _NEEDED} <= tables:
        found = CasdoorTables(connection, prefix, tables)
        found.check()
        return found
    if _DOCUMENTS in tables:
        return HanzoDocuments(connection)
    missing = sorted({prefix + name for name in _NEEDED} - tables)
    raise SourceUnreadable(
        f"This is no database of Casdoor or Hanzo: it has no table {missing[0]}"
        " (if tableNamePrefix is set there, give --table-prefix)."
    )


class CasdoorTables:
    """A database with a table for each sort of object."""

    passwords_as_typed = False

    def __init__(self, connection: Connection, prefix: str, tables: set[str]) -> None:
        self._connection = connection
        self._prefix = prefix
        self._tables = tables

    def check(self) -> None:
        """See that the tables are Casdoor's.

        Raises:
            SourceUnreadable: a column is missing that each of its versions has.
        """
        for name, needed in _NEEDED.items():
            missing = needed - set(self._columns(name))
            if missing:
                raise SourceUnreadable(
                    f"This is no database of Casdoor or Hanzo: {self._prefix}{name} has no column"
                    f" {sorted(missing)[0]}."
                )

    def count(self) -> Counted:
        read = {self._prefix + name for name in _TABLES.values()}
        others = sorted(one for one in self._tables - read if one.startswith(self._prefix))
        unread = {one.removeprefix(self._prefix): self._number(one) for one in others}
        kept = f"{self._prefix}session"
        sessions = self._number(kept) if kept in self._tables else 0
        return Counted(
            self._number(f"{self._prefix}user"),
            sessions,
            {name: number for name, number in unread.items() if number},
        )

    def all_of(self, name: str) -> Sequence[Record]:
        singular = _TABLES[name]
        if self._prefix + singular not in self._tables:
            return ()
        columns = self._columns(singular)
        order: list[Any] = [
            column(one) for one in ("owner", "name", "application") if one in columns
        ]
        query: Any = (
            select(*map(column, columns))
            .select_from(table(self._prefix + singular))
            .order_by(*order)
        )
        return [_record(row) for row in _rows(self._connection, query)]

    def users(self, batch: int) -> Iterator[Sequence[Record]]:
        columns = self._columns("user")
        owner, name = column("owner", Text), column("name", Text)
        query: Any = (
            select(*map(column, columns))
            .select_from(table(f"{self._prefix}user"))
            .order_by(owner, name)
            .limit(batch)
        )
        after = query
        while rows := _rows(self._connection, after):
            yield [_record(row) for row in rows]
            last = rows[-1]
            # The database compares, so its own idea of what is equal and what comes next holds.
            after = query.where(
                owner >= last["owner"],
                or_(owner > last["owner"], and_(owner == last["owner"], name > last["name"])),
            )

    def _columns(self, name: str) -> list[str]:
        with _asking(self._connection.engine.url):
            return [
                one["name"] for one in inspect(self._connection).get_columns(self._prefix + name)
            ]

    def _number(self, name: str) -> int:
        query = select(func.count().label("number")).select_from(table(name))
        return int(_rows(self._connection, query)[0]["number"])


class HanzoDocuments:
    """A database with all objects in one table, as JSON."""

    passwords_as_typed = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._query: Any = (
            select(column("id", Text), column("data"))
            .select_from(table(_DOCUMENTS))
            .where(func.coalesce(column("deleted"), 0) == 0)
            .order_by(column("id", Text))
        )

    def count(self) -> Counted:
        kind = column("kind", Text)
        query = (
            select(kind, func.count().label("number"))
            .select_from(table(_DOCUMENTS))
            .where(func.coalesce(column("deleted"), 0) == 0)
            .group_by(kind)
        )
        numbers = {str(row["kind"]): int(row["number"]) for row in _rows(self._connection, query)}
        if not numbers.keys() & set(READ):
            raise SourceUnreadable(
                "This is no database of Casdoor or Hanzo: it holds none of their objects."
            )
        unread = {name: number for name, number in sorted(numbers.items()) if name not in READ}
        return Counted(numbers.get("users", 0), numbers.get("sessions", 0), unread)

    def all_of(self, name: str) -> Sequence[Record]:
        rows = _rows(self._connection, self._query.where(column("kind", Text) == name))
        return [_document(row["id"], row["data"]) for row in rows]

    def users(self, batch: int) -> Iterator[Sequence[Record]]:
        query = self._query.where(column("kind", Text) == "users").limit(batch)
        after = query
        while rows := _rows(self._connection, after):
            yield [_document(row["id"], row["data"]) for row in rows]
            after = query.where(column("id", Text) > rows[-1]["id"])


def _rows(connection: Connection, query: Any) -> Sequence[Mapping[Any, Any]]:
    with _asking(connection.engine.url):
        return connection.execute(query).mappings().all()


def _record(row: Mapping[Any, Any]) -> Record:
    return {_field(str(name)): _value(value) for name, value in row.items()}


def _field(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def _value(value: Any) -> Any:
    # JSON in a blob, which is how some of the lists are kept.
    return (
        bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else value
    )


def _document(id_: str, data: Any) -> Record:
    try:
        found = data if isinstance(data, dict) else json.loads(_value(data))
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SourceUnreadable(f"The object {id_!r} in {_DOCUMENTS} is no JSON object.")
    # What Hanzo calls a password's hash is what Casdoor calls a password.
    if "passwordHash" in found:
        found["password"] = found.pop("passwordHash")
    return found


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise SourceUnreadable(_EXPECTED) from error
    if backend == "sqlite":
        return _sqlite(parsed)
    if not parsed.database:
        raise SourceUnreadable("The URL ends with the name of the database, such as /casdoor.")
    if backend == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": _PATIENCE},
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
    if backend in ("mysql", "mariadb"):
        return create_engine(
            parsed.set(drivername=f"{backend}+pymysql").update_query_dict({"charset": "utf8mb4"}),
            connect_args={"connect_timeout": _PATIENCE},
            isolation_level="AUTOCOMMIT",  # the transaction is begun by `_begin`, as only MySQL does it
        )
    raise SourceUnreadable(_EXPECTED)


_EXPECTED = (
    "Expected mysql://user:password@host:3306/casdoor, postgresql://user:password@host/casdoor or"
    " sqlite:////path/to/casdoor.db."
)


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    if not url.database or not path.is_file():
        raise SourceUnreadable(f"There is no file {path}.")
    module = sqlite_module()

    def connect() -> Any:
        # Opened so that it cannot be written to, not even by mistake of ours.
        return module.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE, isolation_level=None
        )

    return create_engine("sqlite://", creator=connect, module=module)


def _begin(connection: Connection) -> None:
    """Have all that follows see one state, and be able to read only."""
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    elif connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.exec_driver_sql("BEGIN")


def _said(url: URL, error: SQLAlchemyError) -> str:
    """What the database said, in a line and without the password."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    words = said.args[-1] if said.args else said
    line = " ".join(str(words).split())[:300].rstrip(".")
    if url.password:
        line = line.replace(str(url.password), "***")
    return f"{line}."
