"""Running the load generator: a small C program, because a slower one would measure itself."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from tests.support.run import run_directory

LOAD_CORES = frozenset(sorted(os.sched_getaffinity(0))[-1:])
"""Where the load generator runs: a client that wanders would slow what it measures."""


class Load(msgspec.Struct):
    """What a run of load measured. Latencies are milliseconds."""

    rate: float
    done: int
    good: int
    bad: int
    p50: float
    p90: float
    p99: float
    p999: float


@dataclass(frozen=True)
class Requests:
    """What is sent: a request with one `@@`, and what may stand there (lines of one length)."""

    template: Path
    values: Path

    @classmethod
    def make(cls, name: str, head: list[str], body: str, values: Path) -> "Requests":
        """Write the template of a request with these header lines."""
        template = run_directory() / f"{name}.http"
        template.write_bytes(("\r\n".join(head) + "\r\n\r\n" + body).encode())
        return cls(template, values)


@cache
def _program() -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise SystemExit("The load generator needs a C compiler: apt-get install gcc libc6-dev")
    program = run_directory() / "load"
    source = Path(__file__).with_name("load.c")
    subprocess.run([compiler, "-O2", "-o", program, source, "-lm"], check=True)
    return program


def start_load(
    port: int, requests: Requests, *, seconds: float, connections: int = 64, rate: float = 0
) -> "subprocess.Popen[bytes]":
    """Start sending; `rate` 0 means as fast as the answers come."""
    command = [_program(), str(port), str(connections), str(seconds), str(rate)]
    command += [requests.template, requests.values]
    return subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=_last_core)  # noqa: PLW1509 - it only pins


def finish_load(process: "subprocess.Popen[bytes]") -> Load:
    """Wait for the end of it. Raises RuntimeError if a request was not answered 2xx."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("the load generator failed")
    load = msgspec.json.decode(output, type=Load)
    if load.bad or not load.done:
        raise RuntimeError(f"not all requests were answered well: {load}")
    return load


def run_load(
    port: int, requests: Requests, *, seconds: float, connections: int = 64, rate: float = 0
) -> Load:
    """Send and wait for the end."""
    return finish_load(
        start_load(port, requests, seconds=seconds, connections=connections, rate=rate)
    )


def _last_core() -> None:
    os.sched_setaffinity(0, LOAD_CORES)
