"""Server processes: ours and the clients' beside it, started, watched, killed."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.support.ports import free_port
from tests.support.run import guard_process, run_directory

_PATIENCE = 60.0
"""Seconds until a server that does not come up, or go down, is given up: far beyond any slow machine."""


class Process:
    """A running program whose output goes to a file. As a context manager it ends with the block."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        name: str = "process",
    ) -> None:
        """Start `command`. `env` is added to a clean environment, not to that of the tests."""
        self.name = name
        self.output = run_directory() / f"{name}-{time.monotonic_ns()}.log"
        with self.output.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                env=_clean_environment() | dict(env or {}),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._guarded = guard_process(self._process.pid, name)

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def logs(self) -> str:
        """What it has printed so far, standard output and error together."""
        return self.output.read_text(errors="replace")

    def wait_ready(self, url: str, status: int = 200) -> None:
        """Wait until `url` answers `status`. Raises RuntimeError with the output if it does not."""
        last: object = "no answer"
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if not self.running:
                raise RuntimeError(
                    f"{self.name} ended with {self._process.returncode}:\n{self.logs()}"
                )
            try:
                last = _status(url)
            except OSError as error:
                last = error
            if last == status:
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name}: {url} gave {last}, not {status}:\n{self.logs()}")

    def kill(self) -> None:
        """End it as a crash would (`kill -9`): nothing of it gets to run again."""
        self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> int:
        """Ask it to stop (SIGTERM) and wait for that; answers its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end and answer its exit status (negative: the signal that ended it)."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"{self.name} did not stop:\n{self.logs()}") from None
        self._guarded.unlink(missing_ok=True)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.running:
            self.terminate()
        if error is not None:
            sys.stderr.write(f"--- {self.name}:\n{self.logs()}\n")


class Server(Process):
    """`iam serve` as a process of its own, on a free port unless one is given, and ready."""

    def __init__(
        self,
        *,
        database_url: str,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        name: str = "iam",
    ) -> None:
        """Start the server and wait for its `/readyz`.

        Args:
            database_url: as in `IAM_DATABASE_URL`.
            port: the same again for a restart, so that the issuer stays.
            env: further settings, `IAM_…`.
            arguments: of `iam serve`.
            name: in messages, where a test runs several.
        """
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "IAM_DATABASE_URL": database_url,
            "IAM_ISSUER": self.url,
            "IAM_HOST": "127.0.0.1",
            "IAM_PORT": str(self.port),
            "IAM_DATA_DIR": str(run_directory()),
        } | dict(env or {})
        command = [sys.executable, "-m", "iam.cli", "serve", *arguments]
        super().__init__(command, env=self.settings, name=name)
        try:
            self.wait_ready(f"{self.url}/readyz")
        except BaseException:
            if self.running:
                self.kill()
            raise

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `iam …` beside the server, with the server's settings."""
        return subprocess.run(
            [sys.executable, "-m", "iam.cli", *arguments],
            env=_clean_environment() | self.settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )


def _clean_environment() -> dict[str, str]:
    """What a program needs of ours: no setting of a developer's own server, no proxy."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _status(url: str) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer: {error}") from error
    finally:
        connection.close()
