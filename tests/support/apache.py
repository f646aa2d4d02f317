"""A real Apache in front of what a test runs, with Debian's modules."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Process
from tests.support.run import run_directory

MODULES = Path("/usr/lib/apache2/modules")
# Its workers read no file, so that it does not matter whom root has them run as.
_CONFIG = """
ServerRoot {directory}
DefaultRuntimeDir {directory}
PidFile {directory}/apache.pid
ErrorLog /dev/stderr
LogLevel warn
Listen 127.0.0.1:{port}
ServerName 127.0.0.1
{user}
{modules}
{config}
"""
_LOADED = (
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "headers",
    "proxy",
    "proxy_http",
)


@contextmanager
def run_apache(
    config: str, *, port: int, ready: str, status: int = 200, modules: Sequence[str] = ()
) -> Iterator[Process]:
    """Run Apache on `port` with `config`, and these modules besides the usual ones, until the `with`
    block ends.

    `ready` is a URL that answers `status` when it is up. Raises RuntimeError with Apache's words when the
    configuration is wrong.
    """
    program = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("Apache is not installed: run scripts/test-tools.sh")
    directory = Path(tempfile.mkdtemp(prefix="apache-", dir=run_directory()))
    file = directory / "apache.conf"
    file.write_text(
        _CONFIG.format(
            directory=directory,
            port=port,
            user="User nobody\nGroup nogroup" if os.getuid() == 0 else "",
            modules="\n".join(
                f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in (*_LOADED, *modules)
            ),
            config=config,
        )
    )
    command = [program, "-f", str(file), "-DFOREGROUND"]
    with Process(command, name="apache") as process:
        process.wait_ready(ready, status)
        yield process
