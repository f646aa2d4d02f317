"""Sessions as the pages of several doors show them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing
from iam.kernel.events import OPERATOR, SYSTEM
from iam.languages import N_, _
from iam.sessions.model import Session
from iam.sessions.policy import home_of
from iam.signin.devices import UNKNOWN_DEVICE, device_kind, device_label

_USER = N_("%(name)s (%(organization)s)")
_ACTORS = {
    "application": N_("the application %(name)s (%(organization)s)"),
    "mail": N_("the link in a mail to %(name)s (%(organization)s)"),
    "provider": N_("the provider %(name)s (%(organization)s)"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """What a session is used with, in words and as the name of a picture."""

    label: str
    icon: str


def device_of(session: Session) -> Device:
    """The device of a session. Where none is known, an instance is a server."""
    made = device_label(session.user_agent)
    label = session.device or made
    if label == UNKNOWN_DEVICE and session.instance is not None:
        return Device(session.instance, "server")
    # What a back end has called it stays so; what is entered from a browser has that one's device.
    entered = session.parent is not None or session.entered_through is not None
    words = device_words(label) if entered or label in (made, UNKNOWN_DEVICE) else label
    return Device(words, device_kind(label, session.user_agent))


def device_words(label: str) -> str:
    """What `signin.devices.device_label` has made, in the reader's language."""
    if label == UNKNOWN_DEVICE:
        return _("Unknown device")
    browser, on, system = label.rpartition(" on ")
    return _("%(browser)s on %(system)s", browser=browser, system=system) if on else label


def short_id(session_id: str) -> str:
    """The end of an ID, by which people tell two apart (the beginning is the time)."""
    return f"…{session_id[-6:]}"


def actor_words(actor: str | None) -> str | None:
    """Who did it: `user:acme/alice` becomes `alice (acme)`."""
    if actor is None or actor == SYSTEM:
        return None if actor is None else _("the server, when its time was over")
    if actor == OPERATOR:
        return _("the operator, on the command line")
    kind, _colon, name = actor.partition(":")
    organization, _slash, own = name.partition("/")
    if not own:
        return actor
    return _(_ACTORS.get(kind, _USER), name=own, organization=organization)


def application_names(connection: Connection, sessions: Iterable[Session]) -> dict[str, str]:
    """What people call the applications of these sessions (of one organization), by name."""
    names: dict[str, str] = {}
    for session in sessions:
        if session.application not in names:
            home = home_of(session.application, session.organization)
            try:
                found = find_application(connection, home, session.application).display_name
            except ApplicationMissing:
                found = session.application
            names[session.application] = found
    return names
