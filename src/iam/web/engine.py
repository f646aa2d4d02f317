"""What a running process is made of. Doors get it whole; tests build it with their own clock."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import Request

from iam.db import Database
from iam.delivery.fetch import Documents, Fetcher
from iam.directory.callers import Callers
from iam.kernel.clock import Clock, Instant
from iam.kernel.secrets import Random
from iam.keys import KeyRing, SigningKey
from iam.keys.cipher import Cipher
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.model import LiveRow
from iam.sessions.reader import Reader
from iam.sessions.touch import Touches
from iam.settings import Settings
from iam.signin.passwords import Passwords
from iam.web.changes import Changes
from iam.web.metrics import Metrics

Result = TypeVar("Result")


@dataclass(slots=True)
class Allowance:
    """So many at once, and so many a minute. For one process's event loop and threads: that two take the last
    one together does no harm."""

    at_once: int = 60
    a_minute: int = 20
    _left: float = 60
    _at: Instant | None = None

    def take(self, now: Instant) -> bool:
        """Whether there is one more; it is taken."""
        gained = 0.0 if self._at is None else max(0, now - self._at) / 60_000 * self.a_minute
        self._left, self._at = min(self.at_once, self._left + gained), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts. `clock` and `random` are read here, at the edge, and handed down as arguments."""

    settings: Settings
    database: Database
    clock: Clock
    random: Random
    reader: Reader[LiveRow]
    touches: Touches
    passwords: Passwords
    # Its own bounded pool: a burst of sign-ins must not take the threads of everything else.
    hash_pool: ThreadPoolExecutor
    # For what all others wait for (the gate's hosts, the jobs, readiness): not behind the callers, who
    # may all be waiting for one long change.
    threads: CapacityLimiter
    changes: Changes
    callers: Callers
    cipher: Cipher
    # What is asked of other servers, and what they publish.
    fetcher: Fetcher
    documents: Documents
    key_ring: KeyRing
    metrics: Metrics
    error_notes: Allowance = field(default_factory=Allowance)
    """How many error pages are still written down (`web.error_notes`)."""
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What doors have opened on the way, to be closed with the rest."""

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """The signing keys as they are now, the one that signs by RS256 first."""
        return self.key_ring.at(self.clock())

    def count_started(self, started: Started) -> Started:
        """Count a start, and what it took the place of (after its commit), and hand it on."""
        self.metrics.started += not started.raised
        self.count_ended(started.ended)
        return started

    def count_ended(self, ended: Iterable[Ended]) -> int:
        """Count ends (after their commit), by reason; answer how many."""
        number = 0
        for one in ended:
            self.metrics.ended[str(one.reason)] += 1
            number += 1
        return number


def engine_of(request: Request) -> Engine:
    """The engine of the application that serves this request."""
    engine: Engine = request.app.state.engine
    return engine


async def in_thread(work: Callable[[], Result], threads: CapacityLimiter | None = None) -> Result:
    """Run blocking work (anything that touches the database) off the event loop.

    `threads`: which bounded number of threads it takes one of; by default the one for all callers.
    """
    return await anyio.to_thread.run_sync(work, limiter=threads)


async def in_hash_pool(engine: Engine, work: Callable[[], Result]) -> Result:
    """Run work that hashes a password in the pool that bounds how many are hashed at once.

    It speaks the language of whoever waits for it.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(engine.hash_pool, copy_context().run, work)
