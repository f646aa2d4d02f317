"""Background jobs: writing touches, the sweep. Each step is one short transaction in a thread.

A job that fails (the database is away) says so in the log and tries again; it never ends.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from iam.db.lease import take_lease
from iam.kernel.errors import IamError
from iam.kernel.ids import make_id
from iam.sessions import store, sweep
from iam.signin import codes, throttle
from iam.web.engine import Engine, in_thread

_log = structlog.get_logger("iam.jobs")
_LEASE = 30  # seconds
# Between two batches the sweep gives way, so that validations never wait behind a long run of it.
_PAUSE = 0.02


async def run_jobs(engine: Engine) -> None:
    """Run all jobs until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_forever("touches", 0.1, lambda: write_touches(engine)))
        holder = make_id("node_", engine.clock(), engine.random)
        interval = engine.settings.sweep_interval
        group.create_task(_forever("sweep", interval, lambda: sweep_once(engine, holder)))


async def write_touches(engine: Engine) -> None:
    """Write the touches whose time has come."""
    due_at, now = engine.touches.due_at, engine.clock()
    if due_at is None or now < due_at:
        return
    touches = engine.touches.take()
    try:
        await in_thread(lambda: engine.database.write(lambda c: store.touch(c, touches, now)))
    except IamError:
        engine.touches.put_back(touches, now)
        raise


async def sweep_once(engine: Engine, holder: str) -> int:
    """One sweep, if this node holds the lease: expire, purge, tidy up; answer how many expired."""
    database, random = engine.database, engine.random
    engine.metrics.active = await in_thread(lambda: database.read(store.count_live))
    expired = 0
    while await in_thread(
        lambda: database.write(lambda c: take_lease(c, "sweep", holder, engine.clock(), _LEASE))
    ):
        ended = await in_thread(
            lambda: database.write(lambda c: sweep.expire(c, engine.clock(), random))
        )
        expired += engine.count_ended(ended)
        purged = await in_thread(
            lambda: database.write(
                lambda c: sweep.purge(c, engine.clock(), engine.settings.retention)
            )
        )
        if not ended and not purged:
            break
        await asyncio.sleep(_PAUSE)
    await in_thread(lambda: database.write(lambda c: codes.purge(c, engine.clock())))
    await in_thread(lambda: database.write(lambda c: throttle.purge(c, engine.clock())))
    if expired:
        _log.info("sweep", expired=expired)
    return expired


async def _forever(name: str, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await step()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a job must survive whatever one round meets
            _log.warning("job failed", job=name, error=str(error), exc_info=error)
        await asyncio.sleep(seconds)
