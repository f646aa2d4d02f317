"""Changes that come by the hundred: one trip to a thread and, on SQLite, one commit for all who wait.

A trip from the event loop to a thread and back costs as much as starting a session. So callers queue
here instead, and a thread that is at work takes those who came meanwhile along, without being woken for
each. What they write is kept apart (`Database.write_each`): one that fails undoes nobody else's.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from iam.db import Database


@dataclass(frozen=True, slots=True)
class Change:
    """What a request wants written, and the answer when it is durable."""

    work: Callable[[Connection], Any]
    answer: Callable[[Any], Response]


Prepare = Callable[[], Change]
"""Finds out who calls and what they want; raises what is wrong with it."""
_Asked = tuple[Prepare, "asyncio.Future[Response]"]
_Outcome = tuple["asyncio.Future[Response]", Response | Exception]


class Changes:
    """The queue and its threads. Belongs to one event loop, which alone counts who is idle."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # SQLite has one writer, which takes along whoever waits. PostgreSQL has many, and they commit
        # together by themselves.
        self._workers, self._most = (1, 32) if database.is_sqlite else (6, 1)
        self._idle = self._workers
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="change")
        self._waiting: deque[_Asked] = deque()

    async def run(self, prepare: Prepare) -> Response:
        """Have a change made; answer after its commit. Raises what `prepare` or its work raises."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Response] = loop.create_future()
        self._waiting.append((prepare, answered))
        self._rouse(loop)
        return await answered

    def close(self) -> None:
        """Finish what waits."""
        self._threads.shutdown(wait=True)

    def _rouse(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._idle and self._waiting:
            self._idle -= 1
            self._threads.submit(self._work, loop)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while asked := self._take():
            loop.call_soon_threadsafe(_deliver, self._make(asked))
        loop.call_soon_threadsafe(self._rest, loop)

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        self._idle += 1
        self._rouse(loop)  # somebody may have come after the thread had looked for the last time

    def _take(self) -> list[_Asked]:
        taken: list[_Asked] = []
        try:
            while len(taken) < self._most:
                taken.append(self._waiting.popleft())
        except IndexError:  # another thread was faster
            pass
        return taken

    def _make(self, asked: list[_Asked]) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        changes: list[tuple[Change, asyncio.Future[Response]]] = []
        for prepare, answered in asked:
            try:
                changes.append((prepare(), answered))
            except Exception as error:  # noqa: BLE001 - raised again where it was asked for
                outcomes.append((answered, error))
        written = self._database.write_each([change.work for change, _ in changes])
        for (change, answered), result in zip(changes, written, strict=True):
            outcomes.append((answered, _answer(change, result)))
        return outcomes


def _answer(change: Change, result: Any) -> Response | Exception:
    if isinstance(result, Exception):
        return result
    try:
        return change.answer(result)
    except Exception as bug:  # noqa: BLE001 - raised again where it was asked for
        return bug


def _deliver(outcomes: list[_Outcome]) -> None:
    for answered, outcome in outcomes:
        if answered.done():  # its caller has gone
            continue
        if isinstance(outcome, Exception):
            answered.set_exception(outcome)
        else:
            answered.set_result(outcome)
