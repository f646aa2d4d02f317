"""Events in plain words, as the pages of several doors tell them."""

from dataclasses import dataclass
from typing import Any

from iam.kernel.clock import Instant
from iam.kernel.events import Event
from iam.web.pages import Moment, moment
from iam.web.session_words import actor_words, short_id

_WORDS = {
    "application.created": "Application created",
    "application.deleted": "Application deleted",
    "application.secret_rotated": "Client secret replaced",
    "application.updated": "Application changed",
    "consent.granted": "Consent given",
    "consent.withdrawn": "Consent withdrawn",
    "delivery.redelivered": "Notice sent again",
    "factor.added": "Second factor added",
    "factor.recovery_renewed": "New recovery codes",
    "factor.recovery_used": "Recovery code used",
    "factor.removed": "Second factor removed",
    "installation.created": "Installation set up",
    "keys.rotated": "Signing keys rotated",
    "mail.resent": "Mail sent again",
    "organization.created": "Organization created",
    "organization.deleted": "Organization deleted",
    "organization.updated": "Organization changed",
    "page.refused": "Error page shown",
    "policy.updated": "Policy changed",
    "provider.created": "Provider added",
    "provider.deleted": "Provider deleted",
    "provider.linked": "Linked to a provider",
    "provider.unlinked": "Link to a provider removed",
    "provider.updated": "Provider changed",
    "record.added": "Noted by an application",
    "session.ended": "Session ended",
    "registration_token.created": "Registration token made",
    "session.extended": "Session extended",
    "session.locked": "Session locked",
    "session.moved": "Used from elsewhere",
    "session.refreshed": "Refreshed by its application",
    "session.rotated": "New secret",
    "session.started": "Session started",
    "session.unlocked": "Session unlocked",
    "sessions.bulk_end": "Many sessions ended",
    "sessions.not_before": "Everything before an instant ended",
    "sign_in.disowned": "“This was not me”",
    "sign_in.failed": "Sign-in failed",
    "sign_in.new_device": "Signed in with a new device",
    "sign_in.succeeded": "Signed in",
    "user.created": "User created",
    "user.deleted": "User deleted",
    "user.link_mailed": "Link to set a password mailed",
    "user.updated": "User changed",
    "webhook.created": "Webhook created",
    "webhook.deleted": "Webhook deleted",
    "webhook.tested": "Webhook tried",
    "webhook.updated": "Webhook changed",
}
REASONS = {
    "signed_out": "the person signed out",
    "ended_by_user": "the person ended it from another device",
    "ended_by_admin": "an administrator ended it",
    "idle": "not used for longer than its idle timeout",
    "expired": "its maximum lifetime was over",
    "exclusive": "a newer sign-in replaced it",
    "limit": "it made room for a newer session",
    "parent_ended": "its browser session ended",
    "user_disabled": "the user was disabled or removed",
    "credentials_changed": "a credential changed",
    "application_disabled": "the application was disabled or removed",
    "policy": "a stricter policy took effect",
    "refresh_reuse": "a used refresh token came back",
    "credentials": "user name or password not right",
    "blocked": "too many attempts",
    "code": "password right, code not",
    "federation_refused": "nobody here is meant, or they may not sign in this way",
    "not_admitted": "the user or the application is switched off",
}
"""Why something ended or failed."""
_SHOWN = (
    "note",
    "changed",
    "url",
    "sessions",
    "roles",
    "layer",
    "provider",
    "from_ip",
    "from_user_agent",
)
"""Members of an event's data that say more to people than to programs."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a page shows it. `more` is what else there is to know, in words."""

    id: str
    type: str
    words: str
    at: Moment
    more: str
    actor: str | None
    user: str | None
    application: str | None
    organization: str | None
    session: str | None
    short: str | None
    reason: str | None
    ip: str | None
    kind: str


def event_name(type_: str) -> str:
    """What an event is called. One that has no words yet is called by its type: never hidden."""
    return _WORDS.get(type_, type_)


def tell(event: Event, now: Instant) -> Told:
    """One event in words."""
    more = [REASONS.get(event.reason, event.reason)] if event.reason else []
    more += [_data_words(name, event.data[name]) for name in _SHOWN if event.data.get(name)]
    return Told(
        id=event.id,
        type=event.type,
        words=event_name(event.type),
        at=moment(event.at, now),
        more=" · ".join(more),
        actor=actor_words(event.actor),
        user=event.user,
        application=event.application,
        organization=event.organization,
        session=event.session,
        short=short_id(event.session) if event.session else None,
        reason=event.reason,
        ip=event.origin.ip,
        kind=_kind(event.type),
    )


def _data_words(name: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(one) for one in value)
    if name == "sessions":
        return f"{value:,} sessions" if isinstance(value, int) else str(value)
    if name.startswith("from_"):
        return f"before: {value}"
    return str(value) if name in ("note", "url") else f"{name}: {value}"


def _kind(type_: str) -> str:
    """How it is marked: good, bad, over, or plain."""
    if type_ in ("session.started", "sign_in.succeeded"):
        return "good"
    if type_ == "sign_in.failed" or type_.endswith(".deleted"):
        return "bad"
    return (
        "over"
        if type_ in ("session.ended", "sessions.bulk_end", "sessions.not_before")
        else "plain"
    )
