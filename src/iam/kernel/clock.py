"""Instants and durations.

An *instant* is an integer: milliseconds since 1970-01-01 UTC. A *duration* is an integer number of
seconds. Both databases store them as they are, so that a deadline is compared in one machine
instruction and never in a database's own time zone or clock.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType

Instant = NewType("Instant", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

Clock = Callable[[], Instant]
"""Where the edges get the time from; below them it is an argument."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_clock() -> Instant:
    """The machine's clock. Only the edges (server, command line) may hold it."""
    return Instant(time.time_ns() // 1_000_000)


def after(instant: Instant, seconds: int) -> Instant:
    """The instant `seconds` after (or, negative, before) `instant`."""
    return Instant(instant + seconds * 1000)


def to_datetime(instant: Instant) -> datetime:
    """The same moment as an aware UTC datetime, exact to the millisecond."""
    return _EPOCH + timedelta(milliseconds=instant)


def to_iso(instant: Instant) -> str:
    """RFC 3339 in UTC with milliseconds, `2026-11-23T10:00:00.000Z`: the form of every door."""
    return f"{_to_the_second(instant // 1000)}.{instant % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    # The instants of one answer are often of one second.
    return to_datetime(Instant(seconds * 1000)).strftime("%Y-%m-%dT%H:%M:%S")


def from_iso(text: str) -> Instant:
    """The instant an RFC 3339 / ISO 8601 text names.

    Raises:
        ValueError: not such a text, or one without an offset (whose time would that be?).
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset, for example 2026-11-23T10:00:00Z")
    return Instant((moment - _EPOCH) // timedelta(milliseconds=1))
