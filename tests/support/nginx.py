"""A real nginx in front of what a test runs."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Process
from tests.support.run import run_directory

# Everything nginx would write elsewhere goes to the test's directory. `user` matters to root alone,
# whose workers would otherwise be somebody who may not enter it.
_CONFIG = """
daemon off;
worker_processes 1;
error_log stderr info;
pid {directory}/nginx.pid;
{user}
events {{ worker_connections 256; }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{http}
}}
"""


@contextmanager
def run_nginx(http: str, ready: str, status: int = 200) -> Iterator[Process]:
    """Run nginx with `http` inside its http block until the `with` block ends.

    `ready` is a URL that answers `status` when nginx is up. Raises RuntimeError with nginx's words
    when the configuration is wrong.
    """
    # Debian keeps it where only root's PATH looks.
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed: run scripts/test-tools.sh")
    directory = Path(tempfile.mkdtemp(prefix="nginx-", dir=run_directory()))
    user = f"user {pwd.getpwuid(0).pw_name};" if os.getuid() == 0 else ""
    config = directory / "nginx.conf"
    config.write_text(_CONFIG.format(directory=directory, user=user, http=http))
    command = [program, "-p", f"{directory}/", "-c", str(config), "-e", "stderr"]
    with Process(command, name="nginx") as process:
        process.wait_ready(ready, status)
        yield process
