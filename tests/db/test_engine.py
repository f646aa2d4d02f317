"""One transaction a piece of work: all of it or nothing, repeated where the database asks for that."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from iam.db import Database, DatabaseUnavailable, open_database
from iam.db.engine import SAFE_SQLITE, sqlite_module
from iam.db.lease import take_lease
from iam.db.migrate import migrate
from tests.support.heart import START, Heart, after
from tests.support.postgres import Cluster
from tests.support.race import race

_TALLY = "SELECT failures FROM throttle WHERE key = :key"


def _add(connection: Connection, key: str) -> None:
    connection.execute(
        text("INSERT INTO throttle VALUES (:key, 0, 0, 0)"),
        {"key": key},
    )


def _count(connection: Connection, key: str) -> None:
    connection.execute(
        text("UPDATE throttle SET failures = failures + 1 WHERE key = :key"), {"key": key}
    )


@pytest.fixture
def tallies(database: Database) -> Database:
    """A database with two rows to count in."""
    for key in ("a", "b"):
        database.write(lambda c, k=key: _add(c, k))  # type: ignore[misc] # mypy cannot infer defaults
    return database


def _read(database: Database, key: str) -> int:
    return int(database.read(lambda c: c.execute(text(_TALLY), {"key": key}).scalar_one()))


def test_what_raises_has_written_nothing(tallies: Database) -> None:
    def work(connection: Connection) -> None:
        _count(connection, "a")
        _add(connection, "a")

    with pytest.raises(IntegrityError):
        tallies.write(work)

    assert _read(tallies, "a") == 0


def test_writes_of_many_threads_are_all_there(tallies: Database) -> None:
    def work() -> None:
        for _ in range(20):
            tallies.write(lambda c: _count(c, "a"))

    assert race(*[work] * 8) == [None] * 8
    assert _read(tallies, "a") == 160


def test_two_that_meet_in_a_deadlock_both_come_through_and_count_once(tallies: Database) -> None:
    # On SQLite there is one writer at a time: nobody to meet.
    meeting = threading.Barrier(1 if tallies.is_sqlite else 2)
    tries: list[str] = []

    def work(first: str, second: str) -> None:
        def cross(connection: Connection) -> None:
            tries.append(first)
            _count(connection, first)
            if len(tries) <= 2:
                meeting.wait(60)
            _count(connection, second)

        tallies.write(cross)

    assert race(lambda: work("a", "b"), lambda: work("b", "a")) == [None, None]
    assert (_read(tallies, "a"), _read(tallies, "b")) == (2, 2)
    assert len(tries) == (2 if tallies.is_sqlite else 3)


def test_readers_cannot_write_on_postgresql_and_see_only_what_is_committed(
    tallies: Database,
) -> None:
    inside, looked = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        _count(connection, "a")
        inside.set()
        assert looked.wait(60)

    def look() -> int:
        assert inside.wait(60)
        seen = _read(tallies, "a")
        looked.set()
        return seen

    assert race(lambda: tallies.write(write), look) == [None, 0]
    assert _read(tallies, "a") == 1


def test_a_database_that_is_away_is_said_to_be_unavailable(durable_cluster: Cluster) -> None:
    database = open_database(durable_cluster.new_database())
    database.write(lambda c: c.execute(text("CREATE TABLE t (n INTEGER)")))
    durable_cluster.crash()

    for use in (database.read, database.write):
        with pytest.raises(DatabaseUnavailable):
            use(lambda c: c.execute(text("SELECT 1")))

    durable_cluster.start()
    assert database.write(lambda c: c.execute(text("SELECT 1")).scalar_one()) == 1
    database.close()


def test_work_goes_through_on_connections_that_a_restart_has_broken(
    durable_cluster: Cluster,
) -> None:
    database = open_database(durable_cluster.new_database())
    database.write(lambda c: c.execute(text("CREATE TABLE t (n INTEGER)")))
    durable_cluster.stop()
    durable_cluster.start()

    database.write(lambda c: c.execute(text("INSERT INTO t VALUES (1)")))

    assert database.read(lambda c: c.execute(text("SELECT n FROM t")).scalar_one()) == 1
    database.close()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://root@localhost/iam", "postgres"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(Exception, match=r"expected sqlite|Could not parse"):
        open_database(url)


def test_sqlite_syncs_every_commit_and_checks_references(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'new' / 'iam.db'}")

    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert database.read(pragmas) == database.write(pragmas) == ["wal", 2, 1]
    assert sqlite_module().sqlite_version_info >= SAFE_SQLITE
    database.close()


def test_a_database_that_was_small_when_it_was_closed_uses_its_indexes_when_it_has_grown(
    tmp_path: Path,
) -> None:
    """Otherwise each second's touches would read all sessions, and each notice all events."""
    url = f"sqlite:///{tmp_path / 'iam.db'}"
    small = open_database(url)
    migrate(small)
    Heart(small).start()
    small.close()
    database = open_database(url)
    touches = "UPDATE session SET last_active_at = t.value FROM json_each('{}') AS t "
    children = "SELECT id FROM session WHERE ended_at IS NULL AND parent IN "
    notices = "SELECT session.id FROM event AS session JOIN webhook AS w ON w.enabled AND "
    for statement in (
        touches + "WHERE session.id = t.key",
        children + "(SELECT value FROM json_each('[]'))",
        notices + "w.organization = session.organization WHERE session.id = ''",
    ):
        rows = database.read(
            lambda c, one=statement: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}").all()  # type: ignore[misc] # mypy cannot infer defaults
        )
        plan = [str(row.detail) for row in rows]
        assert any(step.startswith("SEARCH session ") for step in plan), plan
    database.close()


def test_a_lease_is_held_by_one_until_it_runs_out_and_renewed_by_its_holder(
    database: Database,
) -> None:
    def take(holder: str, seconds: float) -> bool:
        at = after(START, int(seconds))
        return database.write(lambda c: take_lease(c, "sweep", holder, at, 30))

    assert take("one", 0)
    assert not take("two", 29)
    assert take("one", 29)
    assert not take("two", 58)
    assert take("two", 59)
    assert not take("one", 60)


def test_of_many_nodes_one_gets_the_lease(database: Database) -> None:
    takes = [
        lambda h=str(n): database.write(lambda c: take_lease(c, "sweep", h, START, 30))
        for n in range(6)
    ]

    assert sorted(race(*takes)) == [False] * 5 + [True]


def test_works_written_together_are_undone_each_alone(tallies: Database) -> None:
    def half(connection: Connection) -> None:
        _count(connection, "a")
        raise KeyError("a bug")

    def once_more(connection: Connection) -> str:
        _count(connection, "b")
        return "counted"

    results = tallies.write_each([once_more, half, lambda c: _add(c, "a"), once_more])

    assert [results[0], results[3]] == ["counted", "counted"]
    assert isinstance(results[1], KeyError)
    assert isinstance(results[2], IntegrityError)
    assert (_read(tallies, "a"), _read(tallies, "b")) == (0, 2)


def test_works_written_together_share_their_fate_when_the_disk_is_full(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'iam.db'}")
    database.write(lambda c: c.execute(text("CREATE TABLE t (n TEXT)")))
    database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 20"))

    def small(connection: Connection) -> None:
        connection.execute(text("INSERT INTO t VALUES ('small')"))

    def large(connection: Connection) -> None:
        connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": "x" * 500_000})

    results = database.write_each([small, large, small])

    assert [type(one) for one in results] == [DatabaseUnavailable] * 3
    assert database.read(lambda c: c.execute(text("SELECT count(*) FROM t")).scalar_one()) == 0
    assert database.write_each([small, small]) == [None, None]
    database.close()
