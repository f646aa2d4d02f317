"""The values: a session, a session record, the reasons for which a session ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from iam.kernel.clock import Instant, after
from iam.kernel.events import Actor

# The application that a sign-in page is: its sessions are the browser sessions. It lives in the
# organization `built-in` and serves the users of every organization.
BUILT_IN_ORGANIZATION = "built-in"
BUILT_IN_APPLICATION = "app-built-in"


class EndReason(StrEnum):
    """Why a session is over. The words are part of the API, the events and the metrics."""

    SIGNED_OUT = "signed_out"
    ENDED_BY_USER = "ended_by_user"
    ENDED_BY_ADMIN = "ended_by_admin"
    IDLE = "idle"
    EXPIRED = "expired"
    EXCLUSIVE = "exclusive"
    LIMIT = "limit"
    PARENT_ENDED = "parent_ended"
    USER_DISABLED = "user_disabled"
    CREDENTIALS_CHANGED = "credentials_changed"
    APPLICATION_DISABLED = "application_disabled"
    POLICY = "policy"
    REFRESH_REUSE = "refresh_reuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the gate says a session's user is, kept on the session so that one row is the answer."""

    display_name: str
    email: str | None = None
    roles: tuple[str, ...] = ()


class LiveRow(NamedTuple):
    """What a validation reads, in the order of `store.LIVE_COLUMNS`: one row, nothing to look up."""

    id: str
    secret_hash: bytes
    organization: str
    user: str
    application: str
    parent: str | None
    instance: str | None
    last_active_at: Instant
    idle_timeout: int
    expires_at: Instant
    ended_at: Instant | None
    end_reason: str | None
    display_name: str
    email: str | None
    roles: str
    locked_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login instance: one user, one application, one device, browser or service instance."""

    id: str
    organization: str
    user: str
    application: str
    parent: str | None
    instance: str | None
    created_at: Instant
    authenticated_at: Instant | None
    last_active_at: Instant
    idle_timeout: int
    expires_at: Instant
    ended_at: Instant | None
    end_reason: EndReason | None
    ended_by: Actor | None
    identity: Identity
    amr: tuple[str, ...]
    acr: str | None
    ip: str | None
    user_agent: str | None
    device: str | None
    metadata: Mapping[str, object]
    entered_through: str | None = None
    """The browser session it was entered from, where it does not end with that one."""
    remembered: bool = False
    """Whether its holder asked to be kept signed in."""
    locked_at: Instant | None = None
    """Since when it is refused until its user unlocks it (`sessions.lock`)."""

    @property
    def seat(self) -> str:
        """What is counted as one place where a user is signed in: a browser session and all that was
        entered from it, or else the session itself."""
        return self.parent or self.entered_through or self.id

    @property
    def idle_expires_at(self) -> Instant:
        """When it ends if its holder does nothing more; never later than `expires_at`."""
        return min(self.expires_at, after(self.last_active_at, self.idle_timeout))

    @property
    def over_at(self) -> Instant:
        """When it ended, or ends if its holder does nothing more. What a cut has ended (a reason without
        an instant: `sessions.cut`) ended at its `expires_at`."""
        if self.ended_at is not None:
            return self.ended_at
        return self.expires_at if self.end_reason is not None else self.idle_expires_at

    @property
    def is_browser_session(self) -> bool:
        """Whether applications can be entered from it."""
        # Not from one that was entered itself: an end reaches children, and they have none.
        return self.application == BUILT_IN_APPLICATION and self.parent is None

    @property
    def record_key(self) -> "RecordKey":
        """The record whose array holds its ID while it lives."""
        return RecordKey(self.organization, self.user, self.application)


class RecordKey(NamedTuple):
    """What a session record is found by. Its order is also the order in which records are locked."""

    organization: str
    user: str
    application: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """The aggregate of one organization, user and application: the array of its live session IDs."""

    organization: str
    user: str
    application: str
    created_at: Instant
    session_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which live sessions are meant: all that match every member that is set.

    `organization` is required unless every session of the installation is meant.
    """

    organization: str | None
    user: str | None = None
    application: str | None = None
    parent: str | None = None
    instance: str | None = None
    but: str | None = None
    """A session to leave out: the one its user is using. What it was entered from and what was entered
    from it stay too."""

    @property
    def is_everywhere(self) -> bool:
        """Whether it is all that one user has."""
        narrower = (self.application, self.parent, self.instance, self.but)
        return None not in (self.organization, self.user) and narrower == (None,) * 4
