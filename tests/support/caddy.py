"""A real Caddy in front of what a test runs."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Process
from tests.support.run import run_directory

# No interface to change it from outside, no certificates, nothing kept beyond the test.
_OPTIONS = """
{{
    admin off
    auto_https off
    storage file_system {directory}
}}
"""


@contextmanager
def run_caddy(config: str, ready: str, status: int = 200) -> Iterator[Process]:
    """Run Caddy with the sites of `config` until the `with` block ends.

    `ready` is a URL that answers `status` when Caddy is up. Raises RuntimeError with Caddy's words when
    the configuration is wrong.
    """
    program = shutil.which("caddy")
    if program is None:
        raise RuntimeError("Caddy is not installed: run scripts/test-tools.sh")
    directory = Path(tempfile.mkdtemp(prefix="caddy-", dir=run_directory()))
    file = directory / "Caddyfile"
    file.write_text(_OPTIONS.format(directory=directory) + config)
    command = [program, "run", "--config", str(file), "--adapter", "caddyfile"]
    with Process(command, env={"HOME": str(directory)}, name="caddy") as process:
        process.wait_ready(ready, status)
        yield process
