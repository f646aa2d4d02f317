"""Sessions as the pages of several doors show them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing
from iam.kernel.events import OPERATOR, SYSTEM
from iam.sessions.model import Session
from iam.sessions.policy import home_of
from iam.signin.devices import UNKNOWN_DEVICE, device_kind, device_label


@dataclass(frozen=True, slots=True)
class Device:
    """What a session is used with, in words and as the name of a picture."""

    label: str
    icon: str


def device_of(session: Session) -> Device:
    """The device of a session. Where none is known, an instance is a server."""
    label = session.device or device_label(session.user_agent)
    if label == UNKNOWN_DEVICE and session.instance is not None:
        return Device(session.instance, "server")
    return Device(label, device_kind(label, session.user_agent))


def short_id(session_id: str) -> str:
    """The end of an ID, by which people tell two apart (the beginning is the time)."""
    return f"…{session_id[-6:]}"


def actor_words(actor: str | None) -> str | None:
    """Who did it: `user:acme/alice` becomes `alice (acme)`."""
    if actor is None or actor == SYSTEM:
        return None if actor is None else "the server, when its time was over"
    if actor == OPERATOR:
        return "the operator, on the command line"
    kind, _, name = actor.partition(":")
    organization, _, own = name.partition("/")
    if not own:
        return actor
    before = {
        "application": "the application ",
        "mail": "the link in a mail to ",
        "provider": "the provider ",
    }.get(kind, "")
    return f"{before}{own} ({organization})"


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
