"""A million live sessions, written past the server, straight into the tables."""

import base64
import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg

from iam.db import Database, open_database
from iam.db.engine import sqlite_module
from iam.directory.applications import create_application
from iam.directory.organizations import create_organization
from iam.kernel.clock import Instant, after, system_clock
from iam.kernel.ids import SESSION, USER, make_id
from iam.kernel.secrets import system_random
from iam.server.build import prepare_database
from iam.settings import Settings
from tests.support.run import run_directory

HOST = "app.bench"
ORGANIZATION = "bench"
APPLICATION = "app"
MANY = "user000000"
"""The user with a thousand sessions."""
USERS = 1000
PASSWORD = "open sesame 1"

_SESSION = (
    "id",
    "secret_hash",
    "organization",
    "user_name",
    "application",
    "created_at",
    "authenticated_at",
    "last_active_at",
    "idle_timeout",
    "expires_at",
    "check_at",
    "display_name",
    "email",
    "roles",
    "amr",
    "acr",
    "ip",
    "user_agent",
    "device",
    "metadata",
)
_USER = (
    "id",
    "organization",
    "name",
    "password_hash",
    "display_name",
    "email",
    "roles",
    "enabled",
    "created_at",
)
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
_RECORDS = (
    "INSERT INTO session_record (organization, user_name, application, created_at, session_ids) "
    "SELECT organization, user_name, application, min(created_at), {array}(id) FROM session "
    "GROUP BY organization, user_name, application"
)


class Seed:
    """What was made: addresses of databases are filled with the same sessions."""

    def __init__(self, directory: Path, sessions: int) -> None:
        self.sessions = sessions
        self.tokens = directory / "tokens"
        self.names = directory / "names"
        self.names.write_text("".join(f"user{number:06d}\n" for number in range(1, USERS)))
        self.client: dict[str, str] = {}
        """client_id:client_secret by database URL."""

    def fill(self, url: str) -> None:
        """Migrate the database at `url` and put everything into it."""
        settings = Settings(database_url=url, data_dir=run_directory(), admin_password=PASSWORD)
        prepare_database(settings, system_clock, system_random)
        database = open_database(url)
        now = system_clock()
        self.client[url] = database.write(lambda c: _directory(c, now))
        hasher = settings.password_memory_kib, settings.password_passes
        write = _write_sqlite if database.is_sqlite else _write_postgres
        write(database, "user_account", _USER, _users(now, hasher))
        with self.tokens.open("w") as tokens:
            write(database, "session", _SESSION, self._rows(now, tokens))
        array = "json_group_array" if database.is_sqlite else "array_agg"
        with database.engine.connect() as connection:
            connection.exec_driver_sql(_RECORDS.format(array=array))
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
        if not database.is_sqlite:
            with psycopg.connect(_plain(database), autocommit=True) as plain:
                plain.execute("VACUUM session")
                plain.execute("CHECKPOINT")
        database.close()

    def without_first(self, count: int) -> Path:
        """The tokens of all sessions but the oldest `count`."""
        path = self.tokens.with_name("live")
        with self.tokens.open() as all_tokens, path.open("w") as some:
            some.writelines(line for number, line in enumerate(all_tokens) if number >= count)
        return path

    def _rows(self, now: Instant, tokens: Any) -> Iterator[tuple[object, ...]]:
        # The same ones for each database, so that one file of tokens serves all.
        dice = random.Random(7)
        for number in range(self.sessions):
            created = Instant(now - dice.randrange(6 * 3600_000))
            session_id = make_id(SESSION, Instant(1_790_000_000_000 + number * 20), dice.randbytes)
            secret = base64.urlsafe_b64encode(dice.randbytes(32)).rstrip(b"=").decode()
            tokens.write(f"{session_id}.{secret}\n")
            user = MANY if number < 1000 else f"user{1 + number // 3:06d}"
            yield (
                session_id,
                sha256(secret.encode()).digest(),
                ORGANIZATION,
                user,
                APPLICATION,
                created,
                created,
                now,
                4 * 3600,  # so that nothing ends while a slow machine is measured
                after(created, 12 * 3600),
                Instant(min(after(created, 12 * 3600), after(now, 4 * 3600))),
                f"Some {user}",
                f"{user}@bench.example",
                "editor,reader",
                '["pwd"]',
                "urn:hanzo:iam:acr:1",
                "203.0.113.9",
                _AGENT,
                "Chrome on Linux",
                "{}",
            )


def _directory(connection: Any, now: Instant) -> str:
    create_organization(connection, ORGANIZATION, None, now)
    application, secret = create_application(
        connection,
        organization=ORGANIZATION,
        name=APPLICATION,
        gate_hosts=[HOST],
        now=now,
        random=system_random,
    )
    return f"{application.client_id}:{secret}"


def _users(now: Instant, hasher: tuple[int, int]) -> Iterator[tuple[object, ...]]:
    from iam.signin.passwords import Passwords

    passwords = Passwords(memory_kib=hasher[0], passes=hasher[1], random=system_random)
    stored = passwords.hash(PASSWORD)
    for number in range(USERS):
        name = f"user{number:06d}"
        user_id = make_id(USER, now, system_random)
        yield (user_id, ORGANIZATION, name, stored, f"Some {name}", None, "[]", True, now)


def _write_sqlite(
    database: Database, table: str, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]
) -> None:
    connection = sqlite_module().connect(str(database.url.database), isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    marks = ",".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", rows)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _write_postgres(
    database: Database, table: str, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]
) -> None:
    with (
        psycopg.connect(_plain(database)) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


def _plain(database: Database) -> str:
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)
