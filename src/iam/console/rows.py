"""Sessions as rows of the console's lists."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM
from iam.languages import N_, _, written
from iam.sessions.model import Session
from iam.sessions.policy import end_reason, home_of
from iam.web.pages import moment
from iam.web.session_words import actor_words, device_of, short_id

Names = dict[tuple[str, str], str]
"""What people call applications, by (organization of the session, application)."""
_UNITS = (
    (86400, N_("%(number)s d")),
    (3600, N_("%(number)s h")),
    (60, N_("%(number)s min")),
)
_LOW = 20
"""Per cent of the idle timeout below which a session is shown as about to end."""


def names_of(connection: Connection, sessions: Iterable[Session]) -> Names:
    """What people call the applications of these sessions, of whatever organization."""
    names: Names = {}
    for session in sessions:
        key = session.organization, session.application
        if key not in names:
            home = home_of(session.application, session.organization)
            try:
                names[key] = find_application(connection, home, session.application).display_name
            except ApplicationMissing:
                names[key] = session.application
    return names


def row_of(session: Session, names: Names, own: str, now: Instant) -> dict[str, Any]:
    """One session as a row shows it."""
    device, reason = device_of(session), end_reason(session, now)
    shown: dict[str, Any] = {
        "id": session.id,
        "short": short_id(session.id),
        "current": session.id == own,
        "organization": session.organization,
        "user": session.user,
        "display_name": session.identity.display_name,
        "application": session.application,
        "application_name": names[session.organization, session.application],
        "instance": session.instance,
        "parent": session.parent,
        "device": device.label,
        "icon": device.icon,
        "ip": session.ip,
        "amr": session.amr,
        "started": moment(session.created_at, now),
        "last_active": moment(session.last_active_at, now),
        "live": reason is None,
        "locked": reason is None and session.locked_at is not None,
    }
    if reason is None:
        return shown | _time_left(session, now)
    # A deadline that the sweep has not noted yet has ended it all the same.
    return shown | {
        "ended": moment(session.over_at, now),
        "reason": str(reason),
        "ended_by": actor_words(session.ended_by or SYSTEM),
    }


def _time_left(session: Session, now: Instant) -> dict[str, Any]:
    left = session.idle_expires_at - now
    per_cent = max(1, min(100, left * 100 // max(1, session.idle_timeout * 1000)))
    return {
        "ends": moment(session.idle_expires_at, now),
        "latest": moment(session.expires_at, now),
        "left": span_words(left // 1000),
        "left_at_most": span_words((session.expires_at - now) // 1000),
        "left_per_cent": per_cent,
        "low": per_cent <= _LOW,
    }


def span_words(seconds: int) -> str:
    """A stretch of time in its largest unit: "24 min"."""
    for unit, words in _UNITS:
        if seconds >= unit:
            return _(words, number=written(seconds // unit))
    return _("%(number)s s", number=max(0, seconds))
