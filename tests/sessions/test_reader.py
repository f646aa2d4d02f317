"""The validating readers: what is committed now, for everybody who waits, and never without an answer."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from iam.db import Database, DatabaseUnavailable, open_database
from iam.db.migrate import migrate
from iam.db.tables import session
from iam.kernel.clock import Instant
from iam.sessions import reader_postgres
from iam.sessions.model import LiveRow
from iam.sessions.reader import BATCH, SESSIONS, Reader, open_reader
from iam.sessions.reader_postgres import PostgresReader
from tests.support.postgres import Cluster

NOW = Instant(1_795_000_000_000)


def session_id(number: int) -> str:
    return f"ses_{number:026d}"


def fill(database: Database, count: int) -> None:
    rows = [
        {
            "id": session_id(number),
            "secret_hash": bytes(32),
            "organization": "acme",
            "user_name": f"user{number}",
            "application": "wiki",
            "created_at": NOW,
            "last_active_at": NOW,
            "idle_timeout": 1800,
            "expires_at": NOW + 1000,
            "check_at": NOW + 1000,
            "display_name": "Somebody",
            "roles": "",
            "amr": [],
            "metadata": {},
        }
        for number in range(count)
    ]
    database.write(lambda c: c.execute(session.insert(), rows))


def end(database: Database, number: int) -> None:
    database.write(
        lambda c: c.execute(
            session.update()
            .where(session.c.id == session_id(number))
            .values(ended_at=NOW, end_reason="signed_out")
        )
    )


def run(database: Database, work: Callable[[Reader[LiveRow]], Awaitable[None]]) -> None:
    """Run `work` with a reader on a loop of its own, and leave nothing behind."""

    async def main() -> None:
        reader = open_reader(database, SESSIONS)
        try:
            await work(reader)
        finally:
            await reader.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_all_who_wait_get_their_own_row(database: Database) -> None:
    fill(database, 300)

    async def work(reader: Reader[LiveRow]) -> None:
        wanted = [*range(300), 999, 5, 5]
        rows = await asyncio.gather(*(reader.read(session_id(one)) for one in wanted))
        users = [row.user if row is not None else None for row in rows]
        assert users == [*(f"user{one}" for one in range(300)), None, "user5", "user5"]
        assert isinstance(rows[0], LiveRow)
        assert rows[0].secret_hash == bytes(32)
        assert rows[0].email is None

    run(database, work)


def test_a_row_is_read_as_it_was_written(database: Database) -> None:
    fill(database, 1)
    strange = {
        "secret_hash": bytes(range(0, 256, 8)),
        "display_name": 'An "odd", \\n[name]\n\t\x7f\u2028 {} null \U0001f600',
        "email": "",
        "parent": "null",
        "last_active_at": 2**53 + 1,
    }
    database.write(lambda c: c.execute(session.update().values(strange)))

    async def work(reader: Reader[LiveRow]) -> None:
        row = await reader.read(session_id(0))
        assert row is not None
        assert {name: getattr(row, name) for name in strange} == strange
        assert (row.instance, row.ended_at, row.roles) == (None, None, "")

    run(database, work)


def test_whatever_is_asked_for_is_a_key_like_any_other(database: Database) -> None:
    fill(database, 1)

    async def work(reader: Reader[LiveRow]) -> None:
        odd = ["", '"', "]", "\\", "ses_\u00e9\U0001f600", "x" * 100_000]
        rows = await asyncio.gather(*(reader.read(one) for one in [*odd, session_id(0)]))
        assert [row is not None for row in rows] == [False] * len(odd) + [True]

    run(database, work)


def test_an_end_is_seen_by_the_very_next_read(database: Database) -> None:
    fill(database, 100)

    async def work(reader: Reader[LiveRow]) -> None:
        for number in range(100):
            before = await reader.read(session_id(number))
            assert before is not None
            assert before.end_reason is None
            end(database, number)
            after = await reader.read(session_id(number))
            assert after is not None
            assert after.end_reason == "signed_out"

    run(database, work)


def test_a_callers_bug_leaves_nobody_else_waiting(database: Database) -> None:
    fill(database, 2)

    async def work(reader: Reader[LiveRow]) -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what))

        def broken(*_: object) -> None:
            raise ValueError("a bug")

        reader.submit(session_id(0), broken)
        row = await reader.read(session_id(1))
        assert row is not None
        assert [str(one["exception"]) for one in reported] == ["a bug"]

    run(database, work)


def test_a_closed_reader_refuses(database: Database) -> None:
    async def work(reader: Reader[LiveRow]) -> None:
        await reader.close()
        with pytest.raises(DatabaseUnavailable):
            await reader.read(session_id(1))

    run(database, work)


@pytest.fixture
def postgres_database(postgres_cluster: Cluster) -> Iterator[Database]:
    """PostgreSQL alone has connections that can break."""
    url = postgres_cluster.new_database()
    database = open_database(url)
    migrate(database)
    yield database
    database.close()
    postgres_cluster.drop(url)


_OF_READERS = (
    "FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND query LIKE 'PREPARE%' AND datname = current_database()"
)
_READERS = f"SELECT pg_terminate_backend(pid) {_OF_READERS}"
_READER_PIDS = f"SELECT pid {_OF_READERS}"


async def read_until_it_works(reader: Reader[LiveRow], number: int) -> LiveRow | None:
    while True:
        try:
            return await reader.read(session_id(number))
        except DatabaseUnavailable:
            await asyncio.sleep(0.01)


def test_a_broken_connection_is_an_error_and_mends_itself(postgres_database: Database) -> None:
    fill(postgres_database, 200)
    url = postgres_database.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def work(reader: Reader[LiveRow]) -> None:
        for _ in range(3):
            assert await read_until_it_works(reader, 7) is not None
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_READERS)
            answers = await asyncio.gather(
                *(reader.read(session_id(one)) for one in range(200)), return_exceptions=True
            )
            for number, answer in enumerate(answers):
                if not isinstance(answer, DatabaseUnavailable):
                    assert isinstance(answer, LiveRow)
                    assert answer.user == f"user{number}"
        assert await read_until_it_works(reader, 7) is not None

    run(postgres_database, work)


def test_a_database_that_is_silent_counts_as_away(postgres_database: Database) -> None:
    fill(postgres_database, 1)
    url = postgres_database.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def main() -> None:
        reader = PostgresReader(postgres_database, SESSIONS, patience=0.3)
        assert await reader.read(session_id(0)) is not None
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE session IN ACCESS EXCLUSIVE MODE")
            answers = await asyncio.gather(
                *(reader.read(session_id(0)) for _ in range(200)), return_exceptions=True
            )
            assert all(isinstance(one, DatabaseUnavailable) for one in answers)
        assert await read_until_it_works(reader, 0) is not None
        await reader.close()

    asyncio.run(main())


@pytest.mark.parametrize(("others", "company"), [(1, 0.005), (BATCH, 600.0)])
def test_who_waits_long_or_fills_a_batch_goes_by_another_connection(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch, others: int, company: float
) -> None:
    monkeypatch.setattr(reader_postgres, "_COMPANY", company)
    fill(postgres_database, 1 + others)
    url = postgres_database.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def main() -> None:
        reader = PostgresReader(postgres_database, SESSIONS, patience=60)
        assert await reader.read(session_id(0)) is not None
        with psycopg.connect(url, autocommit=True) as connection:
            while len(backends := [pid for (pid,) in connection.execute(_READER_PIDS)]) < 2:
                await asyncio.sleep(0.01)
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            reads = [asyncio.ensure_future(reader.read(session_id(0)))]
            await asyncio.sleep(0)  # it is under way
            numbers = range(1, 1 + others)
            for one in numbers:
                reads.append(asyncio.ensure_future(reader.read(session_id(one))))
                await asyncio.sleep(0)  # they come in different turns of the loop
            await asyncio.sleep(0.1)
            os.kill(backends[0], signal.SIGCONT)
            await asyncio.wait(reads, timeout=30, return_when="FIRST_COMPLETED")
            await asyncio.sleep(0.1)  # had all gone by one, it would have answered all of them
            assert sum(one.done() for one in reads) in (1, others)
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        users = [row.user for row in await asyncio.gather(*reads) if row]
        assert users == [f"user{one}" for one in range(1 + others)]
        await reader.close()

    asyncio.run(main())
