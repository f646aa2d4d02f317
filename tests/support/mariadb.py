"""A real MariaDB that the tests start themselves, one for the whole run.

It listens on a free port of 127.0.0.1 and stands for MySQL as well: both are read by the same statements.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pymysql

from tests.support.ports import free_port
from tests.support.run import guard_process, run_directory, shared_lock

_PATIENCE = 60
"""Seconds until it answers."""
_SETTINGS = (
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_general_ci",  # as Casdoor makes its database
)


class MariaDb:
    """A MariaDB server in a directory of its own."""

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self.password = password

    @classmethod
    def shared(cls) -> "MariaDb":
        """The run's server, started by whichever worker asks first; the run's guard stops it."""
        directory = run_directory() / "mariadb"
        known = directory / "address"
        with shared_lock("mariadb"):
            if known.exists():
                port, password = known.read_text().split()
                return cls(int(port), password)
            server = cls(free_port(), secrets.token_hex(16))
            server._start(directory)
            known.write_text(f"{server.port} {server.password}")
            return server

    def new_database(self) -> str:
        """A new, empty database; answers its name."""
        name = f"casdoor_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def url(self, database: str) -> str:
        """Its address as Casdoor's operator would write it."""
        return f"mysql://casdoor:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str | None = None) -> Any:
        """A connection; each statement is its own transaction."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="casdoor",
            password=self.password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
        )

    def execute(self, *statements: str, database: str | None = None) -> None:
        with self.connect(database) as connection, connection.cursor() as cursor:
            for one in statements:
                cursor.execute(one)

    def _start(self, directory: Path) -> None:
        directory.mkdir(mode=0o711)
        data, log = directory / "data", directory / "log"
        data.mkdir()
        user = _server_user()
        if user is not None:
            for one in (directory, data):
                os.chown(one, user.pw_uid, user.pw_gid)
        as_user = (
            {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        )
        setup = directory / "setup.sql"
        setup.write_text(
            f"CREATE USER casdoor@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO casdoor@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        made = subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            **as_user,  # type: ignore[call-overload]  # each is an argument of it
        )
        if made.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed:\n{made.stdout}\n{made.stderr}")
        # By way of a shell, which it outlives: it is nobody's child here, and the guard ends it.
        started = subprocess.run(
            [
                "/bin/sh",
                "-c",
                f'"$@" >{log} 2>&1 </dev/null & echo $!',
                "sh",
                _program("mariadbd"),
                *_SETTINGS,
                f"--datadir={data}",
                f"--socket={directory}/socket",
                f"--pid-file={directory}/pid",
                f"--port={self.port}",
                f"--init-file={setup}",
            ],
            cwd=directory,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            start_new_session=True,
            **as_user,  # type: ignore[call-overload]  # the same
        )
        guard_process(int(started.stdout), "mariadb")
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.connect().close()
            except pymysql.Error:
                if time.monotonic() > until:
                    raise RuntimeError(f"MariaDB did not start:\n{log.read_text()}") from None
                time.sleep(0.1)
            else:
                return


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError("MariaDB is not installed: run scripts/test-tools.sh")
    return found


def _server_user() -> pwd.struct_passwd | None:
    """Whom MariaDB runs as: None for ourselves, somebody without privileges if we are root."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None
