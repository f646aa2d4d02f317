"""Running uvicorn, with one process or several."""

import contextlib
import ctypes
import os
import sys
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from iam.gate import GateProtocol
from iam.kernel.clock import system_clock
from iam.kernel.secrets import system_random
from iam.logs import configure_logs
from iam.server.app import create_server_app
from iam.server.build import build_engine
from iam.settings import Settings, load_settings

# Eight passwords being hashed or a sweep going on must not make the event loop wait for its turn at
# the interpreter for the default 5 ms, which is a hundred validations.
_SWITCH_INTERVAL = 0.0005
_M_ARENA_MAX = -8  # malloc.h of glibc


def worker_app() -> ASGIApp:
    """The application of this process, from the environment."""
    settings = load_settings()
    configure_logs(settings.log_level)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    _share_heaps()
    return create_server_app(partial(build_engine, settings, system_clock, system_random))


def _share_heaps() -> None:
    """Have the C library keep two heaps instead of up to eight for each core.

    A heap keeps what its threads once needed. They take turns at the interpreter: they do not wait for
    each other's heap as well.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library has no such knob
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def run(settings: Settings) -> None:
    """Serve until told to stop. The database has been prepared."""
    # Workers read the environment again: what the command line overrode has to be there.
    os.environ["IAM_HOST"], os.environ["IAM_PORT"] = settings.host, str(settings.port)
    os.environ["IAM_WORKERS"] = str(settings.workers)
    uvicorn.run(
        "iam.server.run:worker_app",
        factory=True,
        http=GateProtocol,
        # Nothing here speaks it; a proxy's question about an application's web socket is an ordinary one.
        ws="none",
        host=settings.host,
        port=settings.port,
        workers=settings.workers if settings.workers > 1 else None,
        access_log=False,
        log_config=None,
        server_header=False,
        # Forwarded headers are our own business (web.address), with our own list of proxies.
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
    )
