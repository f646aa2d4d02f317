"""Background jobs: writing touches, the sweep, deliveries. Each step is one short transaction in a thread.

A job that fails (the database is away) says so in the log and tries again; it never ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import structlog
from anyio import CapacityLimiter

from iam.db.lease import take_lease
from iam.delivery import outbox
from iam.delivery.deliverer import Deliverer
from iam.kernel.clock import Instant, after
from iam.kernel.ids import make_id
from iam.saml import received
from iam.saml.key import saml_key
from iam.saml.notice import soap_logout
from iam.sessions import bulk, store, sweep, touch
from iam.signin import codes, throttle
from iam.web.engine import Engine, in_thread

_log = structlog.get_logger("iam.jobs")
_LEASE = 30  # seconds
_TOUCHES = 2000
# Between two batches the sweep rests for so many times what the last one took: at most a fifth of a
# core and of the database's writes is its own, however slow they are at the moment.
_REST = 4
# To count a million live sessions takes a fifth of a second; that may be a hundredth of the time.
_REST_OF_COUNT = 100


async def run_jobs(engine: Engine) -> None:
    """Run all jobs until cancelled."""
    deliverer = make_deliverer(engine)
    try:
        await _run_jobs(engine, deliverer)
    finally:
        await deliverer.close()


def make_deliverer(engine: Engine) -> Deliverer:
    """What sends this process's share of the notices."""
    settings, counts = engine.settings, engine.metrics.deliveries

    def count(outcome: str) -> None:
        counts[outcome] += 1

    return Deliverer(
        database=engine.database,
        clock=engine.clock,
        random=engine.random,
        # Its own: many receivers that answer at once must not keep the gate and the sweep waiting.
        threads=CapacityLimiter(2),
        timeout=settings.delivery_timeout,
        attempts=settings.delivery_attempts,
        allow_private=settings.delivery_allow_private,
        saml_logout=lambda notice, now: soap_logout(
            notice, settings.issuer, saml_key(engine, now), now, engine.random
        ),
        count=count,
    )


async def _run_jobs(engine: Engine, deliverer: Deliverer) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_forever("deliveries", 0.5, deliverer.step))
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
        for some in _batches(touches):
            work = partial(touch.write_touches, touches=some, now=now)
            await in_thread(partial(engine.database.write, work), engine.threads)
    except BaseException:
        # Also when the server stops half-way: it writes what waits. To write one twice does no harm.
        engine.touches.put_back(touches, now)
        raise


def _batches(touches: dict[str, Instant]) -> Iterator[dict[str, Instant]]:
    """Neighbours together: they share pages. Small enough that nobody who writes waits for long."""
    ids = sorted(touches)
    for first in range(0, len(ids), _TOUCHES):
        yield {one: touches[one] for one in ids[first : first + _TOUCHES]}


async def sweep_once(engine: Engine, holder: str) -> int:
    """One sweep, if this node holds the lease: expire, purge, tidy up; answer how many expired."""
    clock, random = engine.clock, engine.random
    write = engine.database.write
    expired = 0

    def expire() -> bool:
        nonlocal expired
        due = write(lambda c: sweep.expire(c, clock(), random))
        expired += engine.count_ended(due.ended)
        return due.more

    def take_up() -> bool:
        step = write(lambda c: bulk.take_up(c, now=clock(), random=random, limit=sweep.BATCH))
        if step is not None:
            engine.count_ended(step.ended)
        return step is not None

    def purge() -> bool:
        retention = engine.settings.retention
        return write(lambda c: sweep.purge(c, clock(), retention)) == sweep.BATCH

    def purge_deliveries() -> bool:
        retention = engine.settings.retention
        return write(lambda c: outbox.purge(c, clock(), retention)) == outbox.PURGED

    def tidy() -> bool:
        write(lambda c: codes.purge(c, clock()))
        write(lambda c: throttle.purge(c, clock()))
        write(lambda c: bulk.purge(c, clock()))
        write(lambda c: received.purge(c, clock()))
        return False

    await _count_active(engine)
    await _in_turn(engine, holder, [expire, take_up, purge, purge_deliveries, tidy])
    if expired:
        _log.info("sweep", expired=expired)
    return expired


async def _count_active(engine: Engine) -> None:
    """Count the live sessions for the metrics, unless that was done lately for how long it takes."""
    metrics, began = engine.metrics, time.perf_counter()
    if began < metrics.count_again_at:
        return
    read = engine.database.look
    metrics.active = await in_thread(lambda: read(store.count_live), engine.threads)
    now = time.perf_counter()
    metrics.count_again_at = now + _REST_OF_COUNT * (now - began)


async def _in_turn(engine: Engine, holder: str, steps: list[Callable[[], bool]]) -> None:
    """Take each step again for as long as it says that there is more, with rests, until none does or
    another node holds the lease."""
    renew_at = engine.clock()
    while steps:
        now = engine.clock()
        if now >= renew_at:
            lease = partial(take_lease, name="sweep", holder=holder, now=now, seconds=_LEASE)
            if not await in_thread(partial(engine.database.write, lease), engine.threads):
                return
            renew_at = after(now, _LEASE // 3)
        began = time.perf_counter()
        # One turn each, so that a long list of what is due does not keep the history from being purged.
        steps = [step for step in steps if await in_thread(step, engine.threads)]
        await asyncio.sleep(_REST * (time.perf_counter() - began) if steps else 0)


async def _forever(name: str, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await step()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a job must survive whatever one round meets
            _log.warning("job failed", job=name, error=str(error), exc_info=error)
        await asyncio.sleep(seconds)
