"""Events in plain words, as the pages of several doors tell them."""

from dataclasses import dataclass
from typing import Any

from iam.kernel.clock import Instant
from iam.kernel.events import Event
from iam.languages import N_, _, gettext, n_
from iam.web.pages import Moment, moment
from iam.web.session_words import actor_words, short_id

_WORDS = {
    "application.created": N_("Application created"),
    "application.deleted": N_("Application deleted"),
    "application.secret_rotated": N_("Client secret replaced"),
    "application.updated": N_("Application changed"),
    "consent.granted": N_("Consent given"),
    "consent.withdrawn": N_("Consent withdrawn"),
    "delivery.redelivered": N_("Notice sent again"),
    "factor.added": N_("Second factor added"),
    "factor.recovery_renewed": N_("New recovery codes"),
    "factor.recovery_used": N_("Recovery code used"),
    "factor.removed": N_("Second factor removed"),
    "installation.created": N_("Installation set up"),
    "keys.rotated": N_("Signing keys rotated"),
    "mail.resent": N_("Mail sent again"),
    "organization.created": N_("Organization created"),
    "organization.deleted": N_("Organization deleted"),
    "organization.updated": N_("Organization changed"),
    "page.refused": N_("Error page shown"),
    "policy.updated": N_("Policy changed"),
    "provider.created": N_("Provider added"),
    "provider.deleted": N_("Provider deleted"),
    "provider.linked": N_("Linked to a provider"),
    "provider.unlinked": N_("Link to a provider removed"),
    "provider.updated": N_("Provider changed"),
    "record.added": N_("Noted by an application"),
    "session.ended": N_("Session ended"),
    "registration_token.created": N_("Registration token made"),
    "session.extended": N_("Session extended"),
    "session.locked": N_("Session locked"),
    "session.moved": N_("Used from elsewhere"),
    "session.refreshed": N_("Refreshed by its application"),
    "session.rotated": N_("New secret"),
    "session.started": N_("Session started"),
    "session.unlocked": N_("Session unlocked"),
    "sessions.bulk_end": N_("Many sessions ended"),
    "sessions.not_before": N_("Everything before an instant ended"),
    "sign_in.disowned": N_("“This was not me”"),
    "sign_in.failed": N_("Sign-in failed"),
    "sign_in.new_device": N_("Signed in with a new device"),
    "sign_in.succeeded": N_("Signed in"),
    "user.created": N_("User created"),
    "user.deleted": N_("User deleted"),
    "user.link_mailed": N_("Link to set a password mailed"),
    "user.updated": N_("User changed"),
    "webhook.created": N_("Webhook created"),
    "webhook.deleted": N_("Webhook deleted"),
    "webhook.tested": N_("Webhook tried"),
    "webhook.updated": N_("Webhook changed"),
}
REASONS = {
    "signed_out": N_("the person signed out"),
    "ended_by_user": N_("the person ended it from another device"),
    "ended_by_admin": N_("an administrator ended it"),
    "idle": N_("not used for longer than its idle timeout"),
    "expired": N_("its maximum lifetime was over"),
    "exclusive": N_("a newer sign-in replaced it"),
    "limit": N_("it made room for a newer session"),
    "parent_ended": N_("its browser session ended"),
    "user_disabled": N_("the user was disabled or removed"),
    "credentials_changed": N_("a credential changed"),
    "application_disabled": N_("the application was disabled or removed"),
    "policy": N_("a stricter policy took effect"),
    "refresh_reuse": N_("a used refresh token came back"),
    "credentials": N_("user name or password not right"),
    "blocked": N_("too many attempts"),
    "code": N_("password right, code not"),
    "federation_refused": N_("nobody here is meant, or they may not sign in this way"),
    "not_admitted": N_("the user or the application is switched off"),
}
"""Why something ended or failed: for `reason_words`."""
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
_MEMBERS = {
    "changed": N_("changed: %(value)s"),
    "roles": N_("roles: %(value)s"),
    "layer": N_("layer: %(value)s"),
    "provider": N_("provider: %(value)s"),
}
"""Those that need to be called something."""


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
    return gettext(_WORDS[type_]) if type_ in _WORDS else type_


def reason_words(code: str) -> str:
    """Why something ended or failed; a reason without words is shown as its code."""
    return gettext(REASONS[code]) if code in REASONS else code


def tell(event: Event, now: Instant) -> Told:
    """One event in words."""
    more = [reason_words(event.reason)] if event.reason else []
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
        if not isinstance(value, int):
            return str(value)
        return n_("%(number)s session", "%(number)s sessions", value)
    if name.startswith("from_"):
        return _("before: %(value)s", value=value)
    if name == "note":
        # Ours are marked where they are written; what somebody has noted stays as it is.
        return gettext(str(value))
    return _(_MEMBERS[name], value=value) if name in _MEMBERS else str(value)


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
