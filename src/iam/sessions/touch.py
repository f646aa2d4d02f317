"""Write-behind of activity: what the stated precision of idle timeouts is made of.

A touch is kept in the process and goes out with all others about once a second. It is kept only when
it moves `last_active_at` by more than 1/20 of the idle timeout (60 s at the most). A crash loses no
more than that second: a session can end that much early, never late.
"""

import json
from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import Connection, text

from iam.db.prepared import Prepared
from iam.db.tables import DUE_AT
from iam.kernel.clock import Instant
from iam.kernel.events import Origin

_FLUSH_EVERY = 1000  # milliseconds
_COARSEST = 60_000  # milliseconds


class Touched(Protocol):
    """Any value that carries what a touch needs of a session."""

    @property
    def id(self) -> str: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def last_active_at(self) -> Instant: ...
    @property
    def idle_timeout(self) -> int: ...


class Touches:
    """The touches that wait to be written. One per process; no lock: each step is one dict operation."""

    def __init__(self) -> None:
        self._pending: dict[str, Instant] = {}
        self._seen: dict[str, Origin] = {}
        self.due_at: Instant | None = None
        """When the oldest of them wants to be written; None when there is none."""

    def note(self, row: Touched, now: Instant, origin: Origin | None = None) -> None:
        """The holder of this (just validated) session did something at `now`, from `origin` where a door
        can tell.

        The parent is touched along: a child is never active later than its parent.
        """
        step = row.idle_timeout * 50  # a twentieth, in milliseconds
        if now - row.last_active_at < min(step, _COARSEST):
            return
        self._pending[row.id] = now
        if origin is not None:
            self._seen[row.id] = origin
        if row.parent is not None:
            self._pending[row.parent] = now
        # Close to the deadline a touch cannot wait: the next request must not find the session idle.
        left = row.last_active_at + row.idle_timeout * 1000 - now
        due = Instant(now + min(_FLUSH_EVERY, step, left // 2))
        if self.due_at is None or due < self.due_at:
            self.due_at = due

    def take(self) -> dict[str, Instant]:
        """All that wait, for `write_touches`; what is noted meanwhile waits for the next time."""
        self.due_at = None
        taken: dict[str, Instant] = {}
        while self._pending:
            session_id, at = self._pending.popitem()
            taken[session_id] = at
        return taken

    def take_seen(self) -> dict[str, Origin]:
        """Where sessions were seen since, for `moves.note_moves`."""
        seen, self._seen = self._seen, {}
        return seen

    def put_back(self, touches: dict[str, Instant], now: Instant) -> None:
        """Keep touches that could not be written (the database was away) for another try."""
        for session_id, at in touches.items():
            self._pending.setdefault(session_id, at)
        self.due_at = Instant(now + _FLUSH_EVERY)


def write_touches(connection: Connection, touches: Mapping[str, Instant], now: Instant) -> None:
    """Move `last_active_at` forward (never back) on those that live at `now`.

    A touch that comes too late (the database was away, a policy became stricter) is dropped: whoever
    has been refused once is not let in again.
    """
    if not touches:
        return
    if connection.dialect.name == "sqlite":
        pairs = {"touches": json.dumps(dict(touches)), "now": now}
        _TOUCH_SQLITE.run(connection, pairs)
    else:
        # As texts: the driver would write a list value by value, which costs more than to change the row.
        ids = sorted(touches)
        ats = ",".join(str(touches[one]) for one in ids)
        lists = {"ids": f"{{{','.join(ids)}}}", "ats": f"{{{ats}}}", "now": now}
        _TOUCH_POSTGRESQL.run(connection, lists)


# One statement for all: thousands of them one by one would keep the interpreter from the validations
# that go on beside it.
_TOUCH = (
    "UPDATE session SET last_active_at = touched.at FROM ({touched}) AS touched "  # noqa: S608 - constants
    "WHERE session.id = touched.id AND ended_at IS NULL AND last_active_at < touched.at "
    f"AND {DUE_AT.text} > :now"
)
_TOUCH_SQLITE = Prepared(
    text(_TOUCH.format(touched="SELECT key AS id, value AS at FROM json_each(:touches)"))
)
# Rows are found by the index, and so locked, in the order of these lists, in which everybody locks. In a
# small table they may be found otherwise. To lock them first, in an order that no planner could change, would
# write each of them twice: a ring of two that wait for each other is broken by the database, and whoever it
# turned away tries again (`db.engine`).
_TOUCH_POSTGRESQL = Prepared(
    text(
        _TOUCH.format(
            touched="SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:ats AS bigint[])) AS t (id, at)"
        )
    )
)
