"""Statements that go to the driver directly, one at a time or several in one round trip."""

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, func, literal_column, select, text
from sqlalchemy.exc import IntegrityError

from iam.db import Database, DatabaseUnavailable, open_database
from iam.db.prepared import Prepared, together
from iam.db.tables import throttle
from tests.support.postgres import Cluster
from tests.support.race import race

ADD = Prepared(throttle.insert())
KEYS = Prepared(select(throttle.c.key, throttle.c.failures).order_by(throttle.c.key))
ONE = Prepared(select(throttle.c.key).where(throttle.c.key == bindparam("key")))


def _row(key: str) -> dict[str, object]:
    return {"key": key, "failures": 0, "last_failed_at": 0, "blocked_until": 0}


def _keys(database: Database) -> list[str]:
    return [row.key for row in database.read(lambda c: KEYS.rows(c, {}))]


def test_a_prepared_statement_says_what_went_wrong_as_any_other_does(database: Database) -> None:
    row = {"key": "a", "failures": 0, "last_failed_at": 0, "blocked_until": 0}
    add = Prepared(throttle.insert())
    database.write(lambda c: add.run(c, row, row | {"key": "b"}))

    with pytest.raises(IntegrityError):
        database.write(lambda c: add.run(c, row | {"key": "c"}, row))

    keys = Prepared(select(throttle.c.key, throttle.c.failures).order_by(throttle.c.key))
    assert [one.key for one in database.read(lambda c: keys.rows(c, {}))] == ["a", "b"]


def test_a_prepared_statement_gets_over_a_restart(durable_cluster: Cluster) -> None:
    database = open_database(durable_cluster.new_database())
    one = Prepared(select(literal_column("1").label("one")))
    all_at_once = threading.Barrier(8)

    def look() -> None:
        # All at once, so that the pool holds eight connections, each of which will be broken.
        database.look(lambda c: (one.rows(c, {}), all_at_once.wait(60)))

    race(*[look] * 8)

    durable_cluster.crash()
    with pytest.raises(DatabaseUnavailable):
        database.read(lambda c: one.rows(c, {}))
    durable_cluster.start()

    assert database.read(lambda c: one.rows(c, {})) == [(1,)]
    database.close()


def test_prepared_statements_are_known_again_after_a_rollback(database: Database) -> None:
    count = Prepared(select(func.count().label("number")).select_from(throttle))
    add = Prepared(throttle.insert())
    row = {"failures": 0, "last_failed_at": 0, "blocked_until": 0}

    def work(connection: Connection, key: str) -> int:
        connection.execute(text("SELECT 1"))
        add.run(connection, row | {"key": key})
        return int(count.rows(connection, {})[0].number)

    # Often enough for the driver to prepare the plain statement as well: it has all forgotten then.
    for number in range(8):
        assert database.write(lambda c, key=str(number): work(c, key)) == number + 1  # type: ignore[misc] # mypy cannot infer defaults
    for _ in range(2):
        with pytest.raises(IntegrityError):
            database.write(lambda c: work(c, "0"))

        def undo_a_part(connection: Connection) -> int:
            with pytest.raises(IntegrityError), connection.begin_nested():
                work(connection, "0")
            return int(count.rows(connection, {})[0].number)

        assert database.write(undo_a_part) == 8


def test_what_is_asked_together_is_done_in_order_and_answered_each(database: Database) -> None:
    def work(connection: Connection) -> list[list[tuple[str, ...]]]:
        found = together(
            connection,
            (ADD, _row("a")),
            (ONE, {"key": "a"}),
            (ONE, {"key": "b"}),
            (ADD, _row("b")),
            (ADD, _row("c")),
            (ONE, {"key": "b"}),
        )
        assert together(connection) == []
        assert together(connection, (ONE, {"key": "c"})) == [[("c",)]]
        return found

    for number in range(3):
        answers = database.write(work)
        assert answers == [[], [("a",)], [], [], [], [("b",)]]
        database.write(lambda c: c.execute(throttle.delete()))
        # Also on a connection that has forgotten what it knew, or read in another way meanwhile.
        with pytest.raises(ZeroDivisionError):
            database.write(lambda c: (work(c), 1 // 0))
        assert database.read(lambda c: together(c, (KEYS, {}), (ONE, {"key": "a"}))) == [[], []]
        assert database.look(lambda c: together(c, (KEYS, {}))) == [[]], number


def test_of_what_is_asked_together_all_is_undone_when_one_fails(database: Database) -> None:
    database.write(lambda c: ADD.run(c, _row("a")))

    with pytest.raises(IntegrityError):
        database.write(lambda c: together(c, (ADD, _row("b")), (ADD, _row("a")), (KEYS, {})))
    assert _keys(database) == ["a"]

    def undo_a_part(connection: Connection) -> None:
        together(connection, (ADD, _row("c")), (KEYS, {}))
        with pytest.raises(IntegrityError), connection.begin_nested():
            together(connection, (ADD, _row("d")), (ADD, _row("c")))
        together(connection, (ADD, _row("e")), (KEYS, {}))

    database.write(undo_a_part)
    assert _keys(database) == ["a", "c", "e"]


def test_what_is_asked_together_gets_over_a_restart(durable_cluster: Cluster) -> None:
    database = open_database(durable_cluster.new_database())
    one = Prepared(select(literal_column("1").label("one")))
    database.write(lambda c: together(c, (one, {}), (one, {})))

    durable_cluster.crash()
    with pytest.raises(DatabaseUnavailable):
        database.write(lambda c: together(c, (one, {}), (one, {})))
    durable_cluster.start()

    assert database.write(lambda c: together(c, (one, {}), (one, {}))) == [[(1,)], [(1,)]]
    database.close()


def test_much_is_asked_together_also_where_many_files_are_open(database: Database) -> None:
    with ExitStack() as open_files:
        for _ in range(1100):
            open_files.enter_context(Path(os.devnull).open())
        long = "a" * 20_000_000

        found = database.write(lambda c: together(c, (ONE, {"key": long}), (ONE, {"key": long})))

    assert found == [[], []]
