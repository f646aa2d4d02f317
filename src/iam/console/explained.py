"""The rules of a session, knob by knob: what holds, and which layer says so.

Knobs are read off the policy itself: one that is added there is explained here as well.
"""

from typing import Any

from sqlalchemy import Connection

from iam.console.rows import span_words
from iam.sessions.knobs import KNOBS, Knob, Value
from iam.sessions.layers import read_said
from iam.sessions.model import Session
from iam.sessions.policy import INSTALLATION, Layer, home_of

_WORDS = {
    "remember_idle_timeout": "Idle timeout, if kept signed in",
    "remember_maximum_lifetime": "Maximum lifetime, if kept signed in",
    "exclusive": "One session at a time",
    "maximum_sessions": "Sessions per application",
    "at_limit": "When there is no room",
    "maximum_user_sessions": "Places per user",
    "reauthentication_age": "Sign in again after",
    "end_children": "Ends what was entered from it",
    "notify_on_expiry": "Tell of deadlines",
}
_VALUES = {
    "refuse": "refuse",
    "ask": "ask which to end",
    "end_oldest": "end the oldest",
    "end_least_recently_active": "end the least active",
}


def explain_policy(connection: Connection, session: Session) -> list[dict[str, Any]]:
    """Each knob for a session that this user would start there now, and what each layer says of it."""
    owner, application = session.organization, session.application
    said = read_said(connection, owner)
    roles = session.identity.roles
    layers = (
        ("Installation", INSTALLATION),
        ("Organization", Layer("organization", owner)),
        ("Application", Layer("application", home_of(application, owner), application)),
        *((f"Role {role}", Layer("role", owner, role)) for role in sorted(roles)),
        ("User", Layer("user", owner, session.user)),
    )
    names = {layer: name for name, layer in layers}
    settled = said.explain(application, user=session.user, roles=roles)
    return [
        {
            "name": knob.name,
            "words": knob_words(knob),
            "about": knob.about,
            "value": value_words(knob, settled[knob.name].value),
            "by": names.get(layer) if (layer := settled[knob.name].layer) is not None else None,
            "layers": [
                (name, value_words(knob, getattr(said.policies[layer], knob.name)))
                for name, layer in layers
                if layer in said.policies and getattr(said.policies[layer], knob.name) is not None
            ],
        }
        for knob in KNOBS
    ]


def knob_words(knob: Knob) -> str:
    """What a knob is called."""
    return _WORDS.get(knob.name, knob.name.replace("_", " ").capitalize())


def value_words(knob: Knob, value: Value) -> str:
    """A knob's value in words; a dash where there is no such rule."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if knob.kind == "seconds" and isinstance(value, int):
        return _exact_span(value) if value else "never"
    return _VALUES.get(str(value), f"{value:,}" if isinstance(value, int) else str(value))


def _exact_span(seconds: int) -> str:
    """Seconds in words that leave nothing out: "12 h", "1 h 30 min"."""
    words, left = [], seconds
    for unit in (86400, 3600, 60, 1):
        if left >= unit:
            words.append(span_words(left - left % unit))
            left %= unit
    return " ".join(words) or "0 s"
