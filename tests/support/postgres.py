"""A real PostgreSQL cluster that the tests start themselves.

One is shared by the whole run and does not sync to disk (`Cluster.shared`); a crash test makes its own
durable one. PostgreSQL refuses to run as root, so a test run by root hands it to `postgres` or `nobody`.
"""

import os
import pwd
import secrets
import select
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.support.ports import free_port
from tests.support.run import guard_process, run_directory, shared_lock

_TEMPLATE = "iam_template"

# Text sorts as in a usual installation and not byte by byte, so that a query whose order depends on the
# database's collation is found out here.
_INITDB = (
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--locale-provider=icu",
    "--icu-locale=en-US",
    "--username=iam",
    "--auth=password",
    "--no-sync",
    "--no-instructions",
)
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "jit": "off",
}
_NOT_DURABLE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class Cluster:
    """A PostgreSQL server in a directory of its own, on a free port of 127.0.0.1."""

    def __init__(self, directory: Path, port: int, password: str) -> None:
        self.directory = directory
        self.port = port
        self._password = password
        self._guarded: Path | None = None

    @classmethod
    def shared(cls) -> "Cluster":
        """The run's cluster, started by whichever worker asks first; the run's guard stops it."""
        directory = run_directory() / "pg"
        known = directory / "address"
        with shared_lock("postgres"):
            if known.exists():
                port, password = known.read_text().split()
                return cls(directory, int(port), password)
            cluster = cls.create(directory, durable=False)
            known.write_text(f"{cluster.port} {cluster._password}")
            return cluster

    @classmethod
    def create(
        cls, directory: Path, *, durable: bool, settings: dict[str, str] | None = None
    ) -> "Cluster":
        """Make and start a cluster in `directory`, which must lie in the run's directory.

        `durable` keeps PostgreSQL's promise over a crash (fsync). `settings` are further lines of
        postgresql.conf. The caller stops it.
        """
        directory.mkdir(mode=0o700)
        user = _server_user()
        if user is not None:
            os.chown(directory, user.pw_uid, user.pw_gid)
        password = secrets.token_urlsafe(24)
        cluster = cls(directory, free_port(), password)
        password_file = directory / "password"
        password_file.write_text(password)
        password_file.chmod(0o644)  # the directory is closed to others
        cluster._run("initdb", f"--pwfile={password_file}", *_INITDB)
        lines = _SETTINGS | ({} if durable else _NOT_DURABLE) | (settings or {})
        with (cluster.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
        cluster.start()
        return cluster

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self.directory / "log"

    def start(self) -> None:
        """Start the server and wait until it answers. Raises RuntimeError with its log otherwise."""
        options = f"-p {self.port} -k {self.directory}"
        self._run("pg_ctl", "start", "--wait", f"--log={self.log}", f"--options={options}")
        self._guarded = guard_process(self._pid(), "postgres")

    def stop(self) -> None:
        """Stop the server, ending its connections; nothing is lost."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")
        self._forget()

    def crash(self) -> None:
        """Kill the server as a power cut would its processes: no shutdown, no checkpoint."""
        postmaster = self._pid()
        children = _children(postmaster)
        for pid in (postmaster, *children):
            os.kill(pid, signal.SIGKILL)
        for pid in (postmaster, *children):
            _wait_gone(pid)
        # A new server would take over the lock files of a dead one; but where nobody reaps it (the
        # first process of a container may not), the dead one still counts as a process.
        for lock in (self.data / "postmaster.pid", *self.directory.glob(".s.PGSQL.*")):
            lock.unlink()
        self._forget()

    def remove(self) -> None:
        """Stop the server if it runs, and delete its directory."""
        if self._guarded is not None:
            self.stop()
        shutil.rmtree(self.directory)

    def url(self, database: str) -> str:
        """The address of `database` as the server's settings take it."""
        return f"postgresql+psycopg://iam:{self._password}@127.0.0.1:{self.port}/{database}"

    def prepare_template(self, prepare: Callable[[str], None], template: str = _TEMPLATE) -> None:
        """Fill the database that `new_database(prepared=True)` copies, or another one, once per run.

        `prepare` is given the address of an empty database. It must close every connection it made.
        """
        with shared_lock("postgres-template"):
            if self._has(template):
                return
            filling = f"{template}_filling"
            self.drop(self.url(filling))  # another worker's attempt that failed
            self._create(filling, "template0")
            prepare(self.url(filling))
            with self.connect() as connection:
                connection.execute(f"ALTER DATABASE {filling} RENAME TO {template}")

    def is_empty(self, url: str) -> bool:
        """Whether this is the address of a database of this cluster that nothing is in yet."""
        place, _, name = url.rpartition("/")
        if place != self.url("").rstrip("/"):
            return False
        with self.connect(name) as connection:
            query = "SELECT to_regclass('public.session') IS NULL"
            row = connection.execute(query).fetchone()
            return row is not None and bool(row[0])

    def fill(self, url: str, template: str) -> None:
        """Make the database at `url`, which is empty, a copy of one that was prepared."""
        self.drop(url)
        self._create(url.rpartition("/")[2], template)

    def new_database(self, *, prepared: bool = False) -> str:
        """A new database, empty or a copy of the prepared one; answers its address."""
        name = f"test_{secrets.token_hex(6)}"
        self._create(name, _TEMPLATE if prepared else "template0")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Delete the database at `url`, whoever is still connected."""
        name = sql.Identifier(url.rpartition("/")[2])
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        """A connection of the superuser, each statement its own transaction."""
        return psycopg.connect(
            self.url(database).replace("+psycopg", ""), autocommit=True, connect_timeout=10
        )

    def _has(self, database: str) -> bool:
        with self.connect() as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            return connection.execute(query, [database]).fetchone() is not None

    def _create(self, name: str, template: str) -> None:
        # FILE_COPY of the few megabytes of an empty schema is faster than writing them to the log,
        # except for the checkpoints that it takes: they are free without fsync.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def _forget(self) -> None:
        if self._guarded is not None:
            self._guarded.unlink(missing_ok=True)
        self._guarded = None

    def _run(self, program: str, *arguments: str) -> None:
        user = _server_user()
        who: dict[str, Any] = (
            {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        )
        # Output goes to a file: the server that pg_ctl starts keeps it open, so a pipe would never end.
        output = self.directory / "commands"
        with output.open("a") as file:
            done = subprocess.run(
                [_programs() / program, f"--pgdata={self.data}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                check=False,
                **who,
            )
        if done.returncode != 0:
            log = self.log.read_text() if self.log.exists() else ""
            raise RuntimeError(f"{program} failed:\n{output.read_text()}\n{log}")


def _programs() -> Path:
    """The directory with PostgreSQL's own programs; the newest where there are several."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if not found:
        raise RuntimeError("PostgreSQL 15 or later is not installed: run scripts/test-tools.sh")
    return found[-1].parent


def _server_user() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as: None for ourselves, somebody without privileges if we are root."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in found.split()]


def _wait_gone(pid: int) -> None:
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([watched], [], [], 10)
    finally:
        os.close(watched)
