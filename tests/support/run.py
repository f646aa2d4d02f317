"""One directory per test run, and the guard that cleans up behind it.

The tests start real servers, some of them shared by all pytest-xdist workers. Whoever starts one leaves its
process ID in the run's directory; the guard, a shell that waits for the end of its standard input, ends
them all and removes the directory when the test run is over. The input is a pipe whose other end only
the pytest process holds, so the guard acts also when pytest is killed with `kill -9`.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VARIABLE = "HANZO_TEST_RUN"
"""Tells the workers the directory. Not `IAM_…`: those names are the server's settings."""

# Two rounds, because a PostgreSQL that is ended by SIGQUIT takes its own children along in good order.
# A zombie counts as gone: in a container there may be nobody to reap it.
_GUARD = """
alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
read -r _
for round in QUIT KILL; do
    for file in "$1"/*.pid; do
        [ -e "$file" ] || continue
        pid=$(cat "$file")
        kill -$round "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do alive "$pid" || break; sleep 0.05; done
    done
done
rm -rf "$1"
"""


class Run:
    """A test run, in the process that pytest was started as."""

    def __init__(self) -> None:
        # Not under pytest's own directory: that is closed to the user whom PostgreSQL runs as.
        self.directory = Path(tempfile.mkdtemp(prefix="iam-test-"))
        self.directory.chmod(0o711)
        os.environ[_VARIABLE] = str(self.directory)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for pytest, the guard comes after
        )

    def close(self) -> None:
        """End what is still running and remove the directory; returns when that is done."""
        self._guard.communicate()
        self._guard.wait()
        os.environ.pop(_VARIABLE, None)
        shutil.rmtree(self.directory, ignore_errors=True)


def run_directory() -> Path:
    """The directory of this test run: short (a Unix socket fits), and gone afterwards."""
    return Path(os.environ[_VARIABLE])


def guard_process(pid: int, name: str) -> Path:
    """Have the guard end process `pid`; delete the answered file once it has ended by itself."""
    file = run_directory() / f"{name}-{pid}.pid"
    file.write_text(str(pid))
    return file


@contextmanager
def shared_lock(name: str) -> Iterator[None]:
    """Mutual exclusion between the workers of this run."""
    with (run_directory() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
