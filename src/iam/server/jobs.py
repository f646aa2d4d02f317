"""Background jobs: writing touches, the sweep, deliveries. Each step is one short transaction in a thread.

A job that fails (the database is away) says so in the log and tries again; it never ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeVar

import structlog
from anyio import CapacityLimiter
from sqlalchemy import Connection

from iam.audit import events, figures
from iam.db.lease import take_lease
from iam.delivery import mails, outbox
from iam.delivery.deliverer import Deliverer
from iam.delivery.fetch import SECONDS
from iam.delivery.logouts import make_logout_token
from iam.delivery.mailer import Mailer
from iam.delivery.saml_sources import BATCH, look_at_sources
from iam.directory import registrations
from iam.kernel.clock import Instant, after
from iam.kernel.ids import make_id
from iam.keys import load_keys, rotation
from iam.keys import saml as saml_keys
from iam.oidc import access_tokens, device_requests, pushed, spent
from iam.saml import received
from iam.saml.key import saml_key
from iam.saml.notice import soap_logout
from iam.sessions import bulk, sweep, touch
from iam.sessions.figures import count_live, measure_level
from iam.sessions.moves import note_moves
from iam.settings import Settings
from iam.signin import codes, federation_requests, known_devices, stepwise, throttle
from iam.web.engine import Engine, in_thread

_log = structlog.get_logger("iam.jobs")
_LEASE = 30  # seconds
_TOUCHES = 2000
# Seconds within which a node knows a new signing key, which signs only long after (PUBLISHED_AHEAD).
_KEYS = 20
_METADATA = 60  # seconds between two looks whether some is due
# Between two batches the sweep rests for so many times what the last one took: at most a fifth of a
# core and of the database's writes is its own, however slow they are at the moment.
_REST = 4
# To count what has moved since the last hour takes as long as there was much; that may be a hundredth of the
# time.
_REST_OF_COUNT = 100


async def run_jobs(engine: Engine) -> None:
    """Run all jobs until cancelled."""
    deliverer, mailer = make_deliverer(engine), make_mailer(engine)
    try:
        await _run_jobs(engine, deliverer, mailer)
    finally:
        await deliverer.close()
        await mailer.close()


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
        logout_token=lambda notice, now: make_logout_token(
            notice, engine.keys, settings.issuer, now
        ),
        saml_logout=lambda notice, now: soap_logout(
            notice, settings.issuer, saml_key(engine, now), now, engine.random
        ),
        count=count,
    )


def make_mailer(engine: Engine) -> Mailer:
    """What sends this process's share of the mails."""
    counts = engine.metrics.mails

    def count(outcome: str) -> None:
        counts[outcome] += 1

    return Mailer(
        settings=engine.settings,
        database=engine.database,
        clock=engine.clock,
        random=engine.random,
        cipher=engine.cipher,
        threads=CapacityLimiter(1),
        count=count,
    )


async def _run_jobs(engine: Engine, deliverer: Deliverer, mailer: Mailer) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_forever("deliveries", 0.5, deliverer.step))
        group.create_task(_forever("mails", 1, mailer.step))
        group.create_task(_forever("touches", 0.1, lambda: write_touches(engine)))
        holder = make_id("node_", engine.clock(), engine.random)
        interval = engine.settings.sweep_interval
        group.create_task(_forever("keys", _KEYS, lambda: look_at_keys(engine)))
        group.create_task(_forever("metadata", _METADATA, lambda: look_at_metadata(engine, holder)))
        group.create_task(_forever("sweep", interval, lambda: sweep_once(engine, holder)))


async def write_touches(engine: Engine) -> None:
    """Write the touches whose time has come."""
    due_at, now = engine.touches.due_at, engine.clock()
    if due_at is None or now < due_at:
        return
    touches, seen = engine.touches.take(), engine.touches.take_seen()
    try:
        for some in _batches(touches):
            work = partial(touch.write_touches, touches=some, now=now)
            await in_thread(partial(engine.database.write, work), engine.threads)
    except BaseException:
        # Also when the server stops half-way: it writes what waits. To write one twice does no harm.
        engine.touches.put_back(touches, now)
        raise
    for few in _batches(seen):
        moving = partial(note_moves, seen=few, now=now, random=engine.random)
        await in_thread(partial(engine.database.write, moving), engine.threads)


_Value = TypeVar("_Value")


def _batches(found: dict[str, _Value]) -> Iterator[dict[str, _Value]]:
    """Neighbours together: they share pages. Small enough that nobody who writes waits for long."""
    ids = sorted(found)
    for first in range(0, len(ids), _TOUCHES):
        yield {one: found[one] for one in ids[first : first + _TOUCHES]}


async def look_at_keys(engine: Engine) -> None:
    """Know the signing keys that there are by now."""
    load = partial(load_keys, cipher=engine.cipher)
    engine.key_ring.replace(await in_thread(partial(engine.database.look, load), engine.threads))


async def look_at_metadata(engine: Engine, holder: str) -> None:
    """Fetch the metadata whose time has come, if this node holds the lease."""
    seconds = _METADATA + BATCH * SECONDS

    def work() -> None:
        now = engine.clock()
        lease = partial(take_lease, name="saml_metadata", holder=holder, now=now, seconds=seconds)
        if engine.database.write(lease):
            look_at_sources(engine.database, engine.settings, engine.clock)

    # A thread of its own: it waits for somebody else's server.
    await in_thread(work, CapacityLimiter(1))


_Purge = Callable[[Connection, Instant, int], int]


def _history(settings: Settings) -> list[tuple[_Purge, int, int]]:
    """What is kept for its time: what deletes it after that, how many rows in one transaction, and for how
    many seconds it is kept."""
    kept: list[tuple[_Purge, int, int]] = [
        (sweep.purge, sweep.BATCH, settings.retention),
        (outbox.purge, outbox.PURGED, settings.retention),
        (mails.purge, outbox.PURGED, settings.retention),
    ]
    if settings.event_retention:
        kept.append((events.purge, events.PURGED, settings.event_retention))
    return kept


# What is worth nothing after its own short time.
_SHORT_LIVED: tuple[Callable[[Connection, Instant], object], ...] = (
    codes.purge,
    throttle.purge,
    spent.purge,
    access_tokens.purge,
    pushed.purge,
    registrations.purge,
    device_requests.purge,
    bulk.purge,
    received.purge,
    saml_keys.purge,
    federation_requests.purge,
    stepwise.purge,
)


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

    def purge(table: _Purge, full: int, retention: int) -> bool:
        return write(lambda c: table(c, clock(), retention)) == full

    def forget() -> bool:
        for table in _SHORT_LIVED:
            write(lambda c, purge=table: purge(c, clock()))  # type: ignore[misc]  # mypy cannot infer defaults
        return write(lambda c: known_devices.purge(c, clock())) == known_devices.PURGED

    def keys() -> bool:
        rotation.keep_up(
            engine.database,
            engine.keys,
            engine.cipher,
            engine.settings.key_rotation,
            clock(),
            random,
        )
        return False

    def count_hours() -> bool:
        more = write(lambda c: figures.count_next_hours(c, clock()))
        if not more and (measured := engine.database.read(measure_level)) is not None:
            write(lambda c: figures.store_level(c, *measured))
        return more

    await _count_active(engine)
    purges = [partial(purge, *kept) for kept in _history(engine.settings)]
    await _in_turn(engine, holder, [expire, take_up, *purges, forget, keys, count_hours])
    if expired:
        _log.info("sweep", expired=expired)
    return expired


async def _count_active(engine: Engine) -> None:
    """Count the live sessions for the metrics, unless that was done lately for how long it takes."""
    metrics, began = engine.metrics, time.perf_counter()
    if began < metrics.count_again_at:
        return
    clock, read = engine.clock, engine.database.read
    found = await in_thread(lambda: read(lambda c: count_live(c, None, clock())), engine.threads)
    metrics.active = found.number
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
