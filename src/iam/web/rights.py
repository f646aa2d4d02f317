"""What the roles of this server allow. The one table that the API and the console both ask.

A role counts in its own organization; a role in `built-in` counts in all of the installation. Every other
role is an application's business: the gate passes it on, and here it allows nothing.
"""

from collections.abc import Iterable
from enum import StrEnum

from iam.directory.users import ADMINISTRATOR, AUDITOR, SUPPORT


class Right(StrEnum):
    """What somebody may do with what belongs to the organizations that they reach."""

    SEE_SESSIONS = "see_sessions"
    """Sessions and session records, with their story."""
    END_SESSIONS = "end_sessions"
    READ = "read"
    """All else: the directory, policies, webhooks, the audit log."""
    CHANGE = "change"
    """Everything: also locking and extending a session."""


_NONE: frozenset[Right] = frozenset()
RIGHTS: dict[str, frozenset[Right]] = {
    ADMINISTRATOR: frozenset(Right),
    AUDITOR: frozenset({Right.SEE_SESSIONS, Right.READ}),
    SUPPORT: frozenset({Right.SEE_SESSIONS, Right.END_SESSIONS}),
}


def rights_of(roles: Iterable[str]) -> frozenset[Right]:
    """What these roles allow together."""
    return _NONE.union(*(RIGHTS.get(role, _NONE) for role in roles))
