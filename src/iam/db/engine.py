"""Two databases, one way to use them: `read(work)` and `write(work)`.

`work` is a function of a connection. What it returns is returned after the commit; if it raises,
nothing was written. It may be run again when the database asked for that (a deadlock between two
nodes), so it must not do anything but talk to its connection.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from iam.kernel.errors import Unavailable

Result = TypeVar("Result")
Work = Callable[[Connection], Result]

# SQLite before this can corrupt a WAL file that two connections write at the same instant.
SAFE_SQLITE = (3, 51, 3)
_ATTEMPTS = 4
# PostgreSQL: serialization_failure, deadlock_detected. Both rolled everything back: safe to repeat.
_REPEATABLE_STATES = frozenset({"40001", "40P01"})


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or broke off before the commit was known."""

    code = "database_unavailable"
    title = "The database does not answer. Try again in a moment."


def sqlite_module() -> ModuleType:
    """The newest SQLite at hand: the `pysqlite3` wheel where there is one, else Python's own."""
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        import sqlite3

        return sqlite3
    module: ModuleType = dbapi2
    return module


class _TakenBack(Exception):
    """Rolls a rehearsal back."""


class Database:
    """An open database. Safe to use from many threads; one per process."""

    def __init__(self, url: URL, reader: Engine, looker: Engine, writer: Engine) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = writer
        self._reader, self._looker = reader, looker
        # One writer at a time in this process, queued fairly by us instead of by SQLite's busy
        # handler, which sleeps and retries and so starves the unlucky. PostgreSQL needs no lock.
        self._writing: AbstractContextManager[Any] = (
            threading.Lock() if self.is_sqlite else nullcontext()
        )

    def read(self, work: Work[Result]) -> Result:
        """Run `work` on one consistent view of the data.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        return self._run(self._reader, work)

    def look(self, work: Work[Result]) -> Result:
        """Run `work`, which is a single statement: one statement is a consistent view by itself, and
        costs a third without a transaction around it.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        return self._run(self._looker, work)

    def write(self, work: Work[Result]) -> Result:
        """Run `work` in one transaction and return after it is durable.

        Raises:
            DatabaseUnavailable: the database does not answer; nothing was written, unless it broke
                off during the commit itself, which nobody can know.
        """
        with self._writing:
            return self._run(self.engine, work)

    def rehearse(self, work: Work[Result]) -> Result:
        """Run `work` as `write` does, take back whatever it wrote, and return what it returned.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        results: list[Result] = []

        def and_back(connection: Connection) -> None:
            results.append(work(connection))
            raise _TakenBack

        try:
            self.write(and_back)
        except _TakenBack:
            return results[-1]
        raise AssertionError("unreachable")

    def write_each(self, works: Sequence[Work[Result]]) -> list[Result | Exception]:
        """Do what `write` does for each of these; answer what each returned or raised, in their order.

        On SQLite they share one transaction, each inside a savepoint of its own: the disk is waited for
        once, and what one of them raises undoes that one alone. PostgreSQL commits together what comes
        together by itself.
        """
        if not self.is_sqlite or len(works) < 2:
            return [_outcome(lambda work=work: self.write(work)) for work in works]  # type: ignore[misc]  # mypy cannot infer defaults
        together = _outcome(lambda: self.write(lambda c: [_apart(c, work) for work in works]))
        return [together] * len(works) if isinstance(together, Exception) else together

    def close(self) -> None:
        """Give all connections back. SQLite also refreshes its statistics and folds in the WAL."""
        if self.is_sqlite:
            self.write(_refresh_statistics)
        self._reader.dispose()
        self._looker.dispose()
        self.engine.dispose()

    def _run(self, engine: Engine, work: Work[Result]) -> Result:
        for attempt in range(1, _ATTEMPTS + 1):
            finished = False
            try:
                with engine.begin() as connection:
                    result = work(connection)
                    finished = True
                return result
            except PoolExhausted as error:
                raise DatabaseUnavailable("All connections are in use.") from error
            except OperationalError as error:
                # Once `work` is through, only the commit is left: repeating it might do it twice.
                broken_off = error.connection_invalidated and not finished
                if attempt == _ATTEMPTS or not (broken_off or _asks_to_repeat(error)):
                    raise DatabaseUnavailable(str(error.orig)) from error
                # Two transactions that met in a deadlock must not meet again in step.
                time.sleep(random.uniform(0, 0.01) * attempt)  # noqa: S311 - spreads retries, guards nothing
        raise AssertionError("unreachable")


_SMALL = 10_000
_STATISTICS = ("sqlite_stat1", "sqlite_stat4")


def _refresh_statistics(connection: Connection) -> None:
    """Have SQLite count its tables anew, and forget what it found of small ones.

    Who knows a table as having a handful of rows reads all of it where an index would serve, and goes on
    doing so when there are a million. Who knows nothing takes the index.
    """
    connection.exec_driver_sql("PRAGMA optimize")
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    there = set(connection.exec_driver_sql(query).scalars())
    if not there.issuperset(_STATISTICS):
        return
    # The first number of `stat` is that of the rows.
    query = "SELECT tbl FROM sqlite_stat1 GROUP BY tbl HAVING max(CAST(stat AS INTEGER)) < ?"
    for small in connection.exec_driver_sql(query, (_SMALL,)).scalars().all():
        for table in _STATISTICS:
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE tbl = ?", (small,))  # noqa: S608 - constants


def _outcome(work: Callable[[], Result]) -> Result | Exception:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - it is the answer of one among many
        return error


def _apart(connection: Connection, work: Work[Result]) -> Result | Exception:
    cursor = connection.connection.cursor()
    cursor.execute("SAVEPOINT apart")
    result = _outcome(lambda: work(connection))
    if isinstance(result, OperationalError):
        # The disk is full or broken: SQLite may have given up the whole transaction.
        raise result
    if isinstance(result, Exception):
        cursor.execute("ROLLBACK TO apart")
    cursor.execute("RELEASE apart")
    cursor.close()
    return result


def _asks_to_repeat(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _REPEATABLE_STATES


def open_database(url: str) -> Database:
    """Open (and for SQLite create) the database that `url` names; no table is touched.

    Args:
        url: `sqlite:////absolute/path.db` or `postgresql://user@host/name`.

    Raises:
        ValueError: not the URL of a SQLite file or a PostgreSQL database.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(
            parsed, pool_size=20, max_overflow=20, pool_timeout=10, pool_use_lifo=True
        )
        # Only here: whose sessions are in SQLite need not carry the other driver.
        from iam.db.libpq import forget_on_rollback

        forget_on_rollback(engine)
        # The same connections; but all statements of one `read` see the data of one moment.
        reader: Engine = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        looker: Engine = engine.execution_options(
            isolation_level="AUTOCOMMIT", postgresql_readonly=True
        )
        return Database(parsed, reader, looker, engine)
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ValueError("expected sqlite:////path/to/file.db or postgresql://user@host/database")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    reader = _sqlite_engine(parsed, "BEGIN", connections=8)
    writer = _sqlite_engine(parsed, "BEGIN IMMEDIATE", connections=1)
    looker = _sqlite_engine(parsed, None, connections=8)
    return Database(parsed, reader, looker, writer)


def _sqlite_engine(url: URL, begin: str | None, *, connections: int) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite"),
        module=sqlite_module(),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=30,
        # The one used last again: each keeps its own pages in memory, and turn by turn all would.
        pool_use_lifo=True,
        connect_args={
            "check_same_thread": False,
            "isolation_level": None,
            "timeout": 10,
        },
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        prepare_sqlite(connection)

    if begin is not None:

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            # The driver's own implicit BEGIN is deferred and upgrades half-way, which can fail; we
            # say it.
            connection.connection.cursor().execute(begin)

    return engine


def prepare_sqlite(connection: Any) -> None:
    """The settings every SQLite connection of ours has."""
    for pragma in (
        "journal_mode=WAL",
        # A power cut must not bring an ended session back: the commit waits for the disk.
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "journal_size_limit=67108864",
        "busy_timeout=10000",
        # No mmap: a WAL reset under a mapped file is how a public post-mortem lost data.
        "mmap_size=0",
    ):
        connection.execute(f"PRAGMA {pragma}")
