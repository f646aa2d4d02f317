"""The rules of a session, knob by knob: what holds, and which layer says so.

Knobs are read off the policy itself: one that is added there is explained here as well.
"""

from typing import Any

from sqlalchemy import Connection

from iam.console.rows import span_words
from iam.languages import N_, _, gettext, written
from iam.sessions.knobs import KNOBS, Knob, Value
from iam.sessions.layers import read_said
from iam.sessions.model import Session
from iam.sessions.policy import INSTALLATION, Layer, home_of

_WORDS = {
    "idle_timeout": N_("Idle timeout"),
    "maximum_lifetime": N_("Maximum lifetime"),
    "remember_idle_timeout": N_("Idle timeout, if kept signed in"),
    "remember_maximum_lifetime": N_("Maximum lifetime, if kept signed in"),
    "exclusive": N_("One session at a time"),
    "maximum_sessions": N_("Sessions per application"),
    "at_limit": N_("When there is no room"),
    "maximum_user_sessions": N_("Places per user"),
    "reauthentication_age": N_("Sign in again after"),
    "end_children": N_("Ends what was entered from it"),
    "notify_on_expiry": N_("Tell of deadlines"),
}
_VALUES = {
    "refuse": N_("refuse"),
    "ask": N_("ask which to end"),
    "end_oldest": N_("end the oldest"),
    "end_least_recently_active": N_("end the least active"),
}


def explain_policy(connection: Connection, session: Session) -> list[dict[str, Any]]:
    """Each knob for a session that this user would start there now, and what each layer says of it."""
    owner, application = session.organization, session.application
    said = read_said(connection, owner)
    roles = session.identity.roles
    layers = (
        (_("Installation"), INSTALLATION),
        (_("Organization"), Layer("organization", owner)),
        (_("Application"), Layer("application", home_of(application, owner), application)),
        *((_("Role %(name)s", name=role), Layer("role", owner, role)) for role in sorted(roles)),
        (_("User"), Layer("user", owner, session.user)),
    )
    names = {layer: name for name, layer in layers}
    settled = said.explain(application, user=session.user, roles=roles)
    return [
        {
            "name": knob.name,
            "words": knob_words(knob),
            "about": gettext(knob.about),
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
    return gettext(_WORDS.get(knob.name, knob.name.replace("_", " ").capitalize()))


def value_words(knob: Knob, value: Value) -> str:
    """A knob's value in words; a dash where there is no such rule."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if knob.kind == "seconds" and isinstance(value, int):
        return _exact_span(value) if value else _("never")
    if isinstance(value, int):
        return written(value)
    return gettext(_VALUES.get(value, value))


def _exact_span(seconds: int) -> str:
    """Seconds in words that leave nothing out: "12 h", "1 h 30 min"."""
    words, left = [], seconds
    for unit in (86400, 3600, 60, 1):
        if left >= unit:
            words.append(span_words(left - left % unit))
            left %= unit
    return " ".join(words) or span_words(0)
