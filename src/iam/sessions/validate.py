"""Validation: is this token the key of a session that lives?

Every door that lets somebody in because of a session comes through here, with a row that was read
for this request. Nothing is remembered between two requests.
"""

from enum import StrEnum
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from iam.kernel.clock import Instant
from iam.kernel.errors import Unauthenticated
from iam.kernel.secrets import Token, parse_token, proves
from iam.sessions.model import EndReason, LiveRow
from iam.sessions.policy import Deadlines, end_reason
from iam.sessions.store import read_live_row


class Outcome(StrEnum):
    """What a validation finds."""

    VALID = "valid"
    UNKNOWN = "unknown"
    ENDED = "ended"
    LOCKED = "locked"


class Hold(StrEnum):
    """Why a session that lives is refused all the same."""

    LOCKED = "locked"


Refusal = EndReason | Hold


class Verdict(NamedTuple):
    """`row` is there unless the session is unknown; `reason` exactly if it is known and refused."""

    outcome: Outcome
    row: LiveRow | None
    reason: Refusal | None

    @property
    def living(self) -> LiveRow | None:
        """The row if the session lives, also one that is locked: for what its holder may always do,
        which is to end it."""
        return self.row if self.outcome in (Outcome.VALID, Outcome.LOCKED) else None


class SessionUnknown(Unauthenticated):
    """No session has this token: malformed, never issued, or with a secret that does not prove it."""

    code = "session_unknown"
    title = "This session is not known. Sign in."


class SessionEnded(Unauthenticated):
    """The token is right and its session is over; `end_reason` says why."""

    code = "session_ended"
    title = "This session has ended. Sign in again."

    def __init__(self, reason: EndReason) -> None:
        super().__init__(end_reason=str(reason))
        self.reason = reason


class SessionLocked(Unauthenticated):
    """The token is right and its session lives, but is locked."""

    code = "session_locked"
    title = "This session is locked. Unlock it with the password of its user."


def refused(reason: Refusal) -> Unauthenticated:
    """The error that a refusal is."""
    return SessionLocked() if isinstance(reason, Hold) else SessionEnded(reason)


class Lockable(Deadlines, Protocol):
    """What a refusal depends on."""

    @property
    def locked_at(self) -> Instant | None: ...


def refusal(session: Lockable, now: Instant) -> Refusal | None:
    """Why a request with this session is refused at `now`; None lets it in.

    What every door asks. `end_reason` says what it adds to: whether the session is over.
    """
    reason = end_reason(session, now)
    if reason is None and session.locked_at is not None:
        return Hold.LOCKED
    return reason


_UNKNOWN = Verdict(Outcome.UNKNOWN, None, None)


def judge(token: Token, row: LiveRow | None, now: Instant) -> Verdict:
    """The verdict on a token, given the row its session ID names.

    Why a session is over is told only to who can prove to have held it; to everybody else an ended
    session and one that never was are the same.
    """
    if not proves(token.secret, row.secret_hash if row is not None else _NO_HASH) or row is None:
        return _UNKNOWN
    return verdict_on(row, now)


def verdict_on(row: LiveRow | None, now: Instant) -> Verdict:
    """The verdict where something else than its token has named the session: a signed claim."""
    if row is None:
        return _UNKNOWN
    reason = refusal(row, now)
    if reason is None:
        return Verdict(Outcome.VALID, row, None)
    return Verdict(Outcome.LOCKED if reason is Hold.LOCKED else Outcome.ENDED, row, reason)


# Compared with when there is no row, so that an unknown ID costs the same hash and comparison.
_NO_HASH = bytes(32)


def validate(connection: Connection, text: str, now: Instant) -> Verdict:
    """The verdict on whatever a caller presents as a token: one primary-key read."""
    token = parse_token(text)
    return judge(token, read_live_row(connection, token.session_id), now)


def require_valid(verdict: Verdict) -> LiveRow:
    """The row of a valid verdict.

    Raises:
        SessionUnknown: the token names no session that it proves.
        SessionEnded: it does, and the session is over.
        SessionLocked: it lives, and is locked.
    """
    if verdict.row is None:
        raise SessionUnknown
    if verdict.reason is not None:
        raise refused(verdict.reason)
    return verdict.row
