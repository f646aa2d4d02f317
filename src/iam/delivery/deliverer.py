"""The deliverer of one process: takes what is due and sends it, each receiver by itself.

A receiver has a task of its own, with a bounded number of notices under way: one that hangs delays
nobody else. Many nodes may deliver at once; they share out the work by what they claim.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
import structlog
from anyio import CapacityLimiter

from iam.db import Database
from iam.delivery import outbox
from iam.delivery.claims import Claim
from iam.delivery.send import LogoutToken, SamlLogout, message_of, open_client, send
from iam.kernel.clock import Clock
from iam.kernel.secrets import Random

_log = structlog.get_logger("iam.delivery")
AT_ONCE = 8
"""Notices to one receiver that one process has under way."""
RECEIVERS = 64
"""Receivers that one process serves at a time; the others get their turn as soon as one is through."""
_GRACE = 30  # seconds that a claim outlives the longest attempt by

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class Deliverer:
    """`timeout` (seconds) bounds an attempt; `count` is told of each state a notice came to."""

    database: Database
    clock: Clock
    random: Random
    threads: CapacityLimiter
    timeout: int
    attempts: int
    allow_private: bool
    logout_token: LogoutToken
    saml_logout: SamlLogout
    count: Callable[[str], None] = lambda _outcome: None
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _client: Any = None

    async def step(self) -> None:
        """See for which receivers something is due and start on them; return without waiting."""
        now = self.clock()
        due = await self._read(lambda c: outbox.receivers_with_due(c, now))
        for receiver in due:
            if receiver not in self._running and len(self._running) < RECEIVERS:
                task = asyncio.create_task(self._serve(receiver))
                self._running[receiver] = task
                task.add_done_callback(partial(self._finished, receiver))

    async def run_due(self) -> None:
        """Send all that is due now, and return when that is done."""
        await self.step()
        await asyncio.gather(*self._running.values())

    async def close(self) -> None:
        """Stop. What is under way goes out again when its claim runs out: here or from another node."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _finished(self, receiver: str, task: asyncio.Task[None]) -> None:
        del self._running[receiver]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The database is away: the claims run out, and the next step finds them due again.
            _log.warning("delivery broke off", receiver=receiver, error=str(error))

    async def _serve(self, receiver: str) -> None:
        """Send to one receiver until nothing is due; a place that gets free is filled at once, so that
        one notice that hangs does not hold up the sessions beside it."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                claims = await self._claim(receiver, AT_ONCE - len(under_way))
                under_way |= {asyncio.create_task(self._deliver(one)) for one in claims}
                if not under_way:
                    return
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
        finally:
            for one in under_way:
                one.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _claim(self, receiver: str, limit: int) -> tuple[Claim, ...]:
        now, lease = self.clock(), self.timeout + _GRACE
        return await self._write(lambda c: outbox.claim(c, receiver, now, lease=lease, limit=limit))

    async def _deliver(self, claimed: Claim) -> None:
        if self._client is None:
            self._client = open_client(self.timeout)
        # In a thread: to sign takes a while, and the gate's answers are made on this one.
        message = await anyio.to_thread.run_sync(
            partial(message_of, claimed, self.clock(), self.logout_token, self.saml_logout),
            limiter=self.threads,
        )
        outcome = await send(
            self._client,
            claimed,
            message,
            seconds=self.timeout,
            allow_private=self.allow_private,
        )
        state = await self._write(
            lambda c: outbox.settle(
                c,
                claimed,
                outcome,
                self.clock(),
                attempts=self.attempts,
                random=self.random,
            )
        )
        self.count("failed" if state == "pending" else state)
        if state == "dead":
            _log.warning("notice given up", notice=claimed.notice.id, error=outcome.error)

    async def _read(self, work: Callable[[Any], Result]) -> Result:
        return await anyio.to_thread.run_sync(
            partial(self.database.read, work), limiter=self.threads
        )

    async def _write(self, work: Callable[[Any], Result]) -> Result:
        return await anyio.to_thread.run_sync(
            partial(self.database.write, work), limiter=self.threads
        )
