"""Migrations: they make exactly the tables that the program uses, once, and never go back."""

import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, MetaData, Table, inspect, select, text

from iam.db import Database, open_database
from iam.db import migrate as migrate_module
from iam.db.migrate import HEAD, SchemaTooNew, current_revision, migrate
from iam.db.tables import metadata, session
from tests.support.race import race


@pytest.fixture
def empty(database_url: str) -> Database:
    """An open database without any table."""
    return open_database(database_url)


def test_migrations_make_exactly_the_tables_of_the_program(database: Database) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    assert database.read(compare) == []


def test_every_index_of_the_program_is_there(database: Database) -> None:
    wanted = {index.name for table in metadata.tables.values() for index in table.indexes}
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'index'"
        if database.is_sqlite
        else "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"
    )

    there = set(database.read(lambda c: c.execute(text(query)).scalars().all()))

    assert wanted - there == set()


def test_the_first_migration_goes_from_nothing_to_the_head(empty: Database) -> None:
    assert empty.read(current_revision) is None

    assert migrate(empty) == (None, HEAD)

    assert empty.read(current_revision) == HEAD
    empty.close()


def test_the_revision_that_the_program_needs_is_the_newest_there_is() -> None:
    files = Path(migrate_module.__file__).parent.glob("migrations/versions/[0-9]*.py")

    assert max(path.name[:4] for path in files) == HEAD


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert migrate(database) == (HEAD, HEAD)


def test_nodes_that_start_together_migrate_once(empty: Database) -> None:
    results = race(*[lambda: migrate(empty)] * 4)

    assert sorted(before or "" for before, _ in results) == ["", *[HEAD] * 3]
    empty.close()


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(database: Database) -> None:
    database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))

    with pytest.raises(SchemaTooNew, match="9999"):
        migrate(database)

    assert database.read(current_revision) == "9999"


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    empty.write(lambda c: c.execute(text("CREATE TABLE lease (other TEXT)")))

    with pytest.raises(Exception, match="lease"):
        migrate(empty)

    assert empty.read(lambda c: inspect(c).get_table_names()) == ["lease"]
    empty.close()


def test_a_copied_sqlite_file_is_a_whole_database(migrated_file: Path, tmp_path: Path) -> None:
    shutil.copy(migrated_file, tmp_path / "copy.db")
    database = open_database(f"sqlite:///{tmp_path / 'copy.db'}")

    assert database.read(current_revision) == HEAD
    database.close()


def test_sessions_of_the_first_schema_are_kept(empty: Database) -> None:
    migrate(empty, "0001")
    row = dict.fromkeys(("parent", "instance", "ended_at", "end_reason", "ended_by"))
    row |= dict.fromkeys(("email", "acr", "ip", "user_agent", "device"))
    times = {"created_at": 0, "authenticated_at": 0, "last_active_at": 7_000, "idle_timeout": 60}
    row["ip"] = "2001:db8::7"
    words: dict[str, object] = {
        "organization": "acme",
        "user_name": "bob",
        "application": "wiki",
        "roles": "",
    }
    words |= {"display_name": "Bob", "amr": ["pwd"], "metadata": {"rack": 7}}
    old = [
        {"id": name, "secret_hash": bytes(32), "expires_at": expires_at, **row, **times, **words}
        for name, expires_at in (("ses_b", 10_000), ("ses_a", 100_000))
    ]
    later = ("check_at", "address", "entered_through", "remembered", "locked_at")
    columns = [column for column in session.c if column.name not in later]
    first = Table("session", MetaData(), *[Column(one.name, one.type) for one in columns])
    empty.write(lambda c: c.execute(first.insert(), old))

    migrate(empty)

    query = select(session.c.id, session.c.check_at, session.c.metadata).order_by(session.c.id)
    packed = empty.read(lambda c: c.execute(select(session.c.address).distinct()).scalar_one())
    assert packed == bytes.fromhex("20010db8000000000000000000000007")
    assert empty.read(lambda c: c.execute(query).all()) == [
        ("ses_a", 67_000, {"rack": 7}),
        ("ses_b", 10_000, {"rack": 7}),
    ]
    empty.close()
