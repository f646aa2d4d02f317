"""The rules of a session, knob by knob: what holds, and which layer says so.

Knobs are read off the policy itself: one that is added there is explained here as well.
"""

from dataclasses import fields
from typing import Any

from sqlalchemy import Connection

from iam.console.rows import span_words
from iam.sessions.model import Session
from iam.sessions.policy import INSTALLATION, Layer, effective_policy, home_of, read_policy

_WORDS = {"idle_timeout": "Idle timeout", "maximum_lifetime": "Maximum lifetime"}
_TIMES = ("timeout", "lifetime", "age", "_after", "_within", "interval", "period")


def explain_policy(connection: Connection, session: Session) -> list[dict[str, Any]]:
    """Each knob for a session that this user would start there now."""
    owner, application = session.organization, session.application
    layers = (
        ("Installation", INSTALLATION),
        ("Organization", Layer("organization", owner)),
        ("Application", Layer("application", home_of(application, owner), application)),
    )
    said = [(name, read_policy(connection, layer)) for name, layer in layers]
    effective = effective_policy(connection, owner, application)
    explained = []
    for knob in fields(effective):
        value = getattr(effective, knob.name)
        given = [(name, getattr(policy, knob.name, None)) for name, policy in said]
        by = [name for name, one in given if one is not None and one == value]
        explained.append(
            {
                "words": knob_words(knob.name),
                "value": value_words(knob.name, value),
                "by": by[0] if by else "Default",
                "layers": [(name, value_words(knob.name, one)) for name, one in given],
            }
        )
    return explained


def knob_words(name: str) -> str:
    """What a knob is called."""
    return _WORDS.get(name, name.replace("_", " ").capitalize())


def value_words(name: str, value: object) -> str:
    """A knob's value in words; a dash where it is not set."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and any(part in name for part in _TIMES):
        return _exact_span(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(str(one) for one in value) or "none"
    return str(value)


def _exact_span(seconds: int) -> str:
    """Seconds in words that leave nothing out: "12 h", "1 h 30 min"."""
    words, left = [], seconds
    for unit in (86400, 3600, 60, 1):
        if left >= unit:
            words.append(span_words(left - left % unit))
            left %= unit
    return " ".join(words) or "0 s"
