"""What happened, to whom, by whom and from where: one frozen value per fact.

Events are written in the transaction of what they tell of, so there is never one without the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

from iam.kernel.clock import Instant, to_iso

Actor = NewType("Actor", str)
"""Who did it: `user:<organization>/<name>`, `application:<organization>/<name>`,
`provider:<organization>/<name>` (by which people sign in),
`mail:<organization>/<name>` (the link in a mail to that user), `system`."""

SYSTEM = Actor("system")
"""The server itself: the sweep, a deadline, a first start."""

OPERATOR = Actor("operator")
"""Whoever holds the server's settings: the command line."""


def user_actor(organization: str, name: str) -> Actor:
    """The actor that a user is."""
    return Actor(f"user:{organization}/{name}")


def mail_actor(organization: str, name: str) -> Actor:
    """The actor that whoever follows the link in a mail to this user is: nobody has signed in."""
    return Actor(f"mail:{organization}/{name}")


def application_actor(organization: str, name: str) -> Actor:
    """The actor that an application with client credentials is."""
    return Actor(f"application:{organization}/{name}")


def provider_actor(organization: str, name: str) -> Actor:
    """The actor that a provider is, by which people sign in."""
    return Actor(f"provider:{organization}/{name}")


EVENT_TYPES = (
    "application.created",
    "application.deleted",
    "application.secret_rotated",
    "application.updated",
    "consent.granted",
    "consent.withdrawn",
    "delivery.redelivered",
    "factor.added",
    "factor.recovery_renewed",
    "factor.recovery_used",
    "factor.removed",
    "installation.created",
    "keys.rotated",
    "mail.resent",
    "organization.created",
    "organization.deleted",
    "organization.updated",
    "page.refused",
    "policy.updated",
    "provider.created",
    "provider.deleted",
    "provider.linked",
    "provider.unlinked",
    "provider.updated",
    "record.added",
    "registration_token.created",
    "session.ended",
    "session.extended",
    "session.locked",
    "session.moved",
    "session.refreshed",
    "session.rotated",
    "session.started",
    "session.unlocked",
    "sessions.bulk_end",
    "sessions.not_before",
    "sign_in.disowned",
    "sign_in.failed",
    "sign_in.new_device",
    "sign_in.succeeded",
    "user.created",
    "user.deleted",
    "user.link_mailed",
    "user.updated",
    "webhook.created",
    "webhook.deleted",
    "webhook.tested",
    "webhook.updated",
)
"""Every type there is, for those who choose among them: a mistyped one would never come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request came from, as far as it can be known."""

    ip: str | None = None
    user_agent: str | None = None


NOWHERE = Origin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. `type` is a dotted word such as `session.ended`; docs/reference/events.md lists all."""

    id: str
    at: Instant
    type: str
    actor: Actor
    organization: str | None = None
    user: str | None = None
    application: str | None = None
    session: str | None = None
    reason: str | None = None
    origin: Origin = NOWHERE
    data: Mapping[str, object] = field(default_factory=dict)


def event_members(event: Event) -> dict[str, Any]:
    """An event as the outside sees it; the instants in its data in the form of every door."""
    data = {
        key: to_iso(Instant(value)) if key.endswith("_at") and isinstance(value, int) else value
        for key, value in event.data.items()
    }
    return {
        "id": event.id,
        "at": to_iso(event.at),
        "type": event.type,
        "actor": event.actor,
        "organization": event.organization,
        "user": event.user,
        "application": event.application,
        "session": event.session,
        "reason": event.reason,
        "ip": event.origin.ip,
        "user_agent": event.origin.user_agent,
        "data": data,
    }
