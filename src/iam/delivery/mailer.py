"""The mailer of one process: takes the mails that are due and hands them over, a few at a time.

It has tasks and threads of its own: a mail server that hangs keeps nothing but mails waiting. Many nodes
may send at once; they share out the work by what they claim.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio.to_thread
import structlog
from anyio import CapacityLimiter

from iam.db import Database
from iam.delivery import mails, smtp
from iam.delivery.claims import Outcome
from iam.delivery.links import PASSWORD_PATH, PATH, make_link
from iam.delivery.mails import ADDRESS, OUTDATED, Mail
from iam.delivery.message import write_message
from iam.delivery.password_message import password_message
from iam.kernel.clock import Clock
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.settings import Settings, is_loopback

_log = structlog.get_logger("iam.delivery")
AT_ONCE = 4
"""Mails that one process has under way."""
_GRACE = 30  # seconds that a claim outlives the longest attempt by

_KINDS = {
    "device": (PATH, write_message),
    "invitation": (PASSWORD_PATH, password_message),
    "reset": (PASSWORD_PATH, password_message),
}
"""By what a mail is about: where its link leads, and what writes it."""

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class Mailer:
    """`count` is told of each state a mail came to."""

    settings: Settings
    database: Database
    clock: Clock
    random: Random
    cipher: Cipher
    threads: CapacityLimiter
    count: Callable[[str], None] = lambda _outcome: None
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def step(self) -> None:
        """See whether something is due and start on it; return without waiting."""
        now = self.clock()
        if len(self._running) >= AT_ONCE:
            return
        if not await self._in_thread(self.database.read, lambda c: mails.any_due(c, now)):
            return
        while len(self._running) < AT_ONCE:
            task = asyncio.create_task(self._serve())
            self._running.add(task)
            task.add_done_callback(self._finished)

    async def run_due(self) -> None:
        """Send all that is due now, and return when that is done."""
        await self.step()
        await asyncio.gather(*self._running)

    async def close(self) -> None:
        """Stop. What is under way goes out again when its claim runs out: here or from another node."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The database is away: the claims run out, and the next step finds them due again.
            _log.warning("mailing broke off", error=str(error))

    async def _serve(self) -> None:
        """Send one after the other until nothing is due."""
        lease = self.settings.delivery_timeout + _GRACE
        while True:
            now = self.clock()
            claimed = await self._in_thread(
                self.database.write, partial(mails.claim, now=now, lease=lease)
            )
            if claimed is None:
                return
            outcome = await self._send(claimed)
            settled = partial(
                mails.settle,
                claimed=claimed,
                outcome=outcome,
                now=self.clock(),
                attempts=self.settings.delivery_attempts,
                random=self.random,
            )
            state = await self._in_thread(self.database.write, settled)
            self.count("failed" if state == "pending" else state)
            if state == "dead":
                _log.warning("mail given up", mail=claimed.id, error=outcome.error)

    async def _send(self, mail: Mail) -> Outcome:
        settings = self.settings
        if not mail.link_works(self.clock()):
            return Outcome(None, OUTDATED)
        host = urlsplit(settings.issuer).hostname or ""
        if is_loopback(host):
            host = "localhost"
        path, write = _KINDS[mail.kind]
        link = make_link(settings.issuer, self.cipher, mail.id, path)
        try:
            message = write(mail, link, sender=settings.mail_sender, host=host)
        except ValueError:
            return Outcome(None, ADDRESS)
        if (server := settings.mail_server) is not None:
            seconds = settings.delivery_timeout
            return await smtp.hand_over(server, message, own_name=host, seconds=seconds)
        if (folder := settings.mail_folder) is not None:
            name = f"{mail.id}.eml"
            return await self._in_thread(partial(smtp.put_into, folder, name), message)
        return Outcome(None, "no_mail_server")

    async def _in_thread(self, work: Callable[[Any], Result], given: Any) -> Result:
        return await anyio.to_thread.run_sync(partial(work, given), limiter=self.threads)
