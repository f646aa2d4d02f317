"""Filters of sessions as the console's address has them, and in plain words.

The names are those of `GET /v1/sessions`, so that what one sees here one can also ask the API for.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from iam.kernel.addresses import network_range
from iam.kernel.clock import Instant, from_iso, to_iso
from iam.languages import N_, NP_, _, gettext
from iam.sessions.listing import State
from iam.sessions.search import SessionFilter, Sort

WORDS = {
    "user": N_("User"),
    "application": N_("Application"),
    "parent": N_("Entered from"),
    "instance": N_("Instance"),
    "ip": N_("Address"),
    "device": N_("Device"),
    "browser": N_("Browser"),
    "amr": N_("Signed in by"),
    "acr": N_("Assurance"),
    "started_after": N_("Started since"),
    "started_before": N_("Started before"),
    "last_active_before": N_("Not active since"),
}
"""What each filter is called. The organization is chosen apart: it says whose sessions these are."""

STATES: tuple[tuple[str, str], ...] = (
    ("active", NP_("sessions", "Live")),
    ("locked", NP_("sessions", "Locked")),
    ("ended", NP_("sessions", "Ended")),
    ("all", NP_("sessions", "All")),
)
_TIMES = ("started_after", "started_before", "last_active_before")
_LONGEST = 255
# What a field for date and time sends; it is taken as UTC, and the field says so.
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an address asks for."""

    organization: str
    """'' is all that the administrator may see."""
    members: Mapping[str, str]
    """The filters that are set, as they were written."""
    state: str
    sort: str
    cursor: str
    mistakes: tuple[str, ...]
    """Sentences about what cannot be understood. Nothing is listed then, and nothing ended."""

    def session_filter(self, organization: str | None, **more: Any) -> SessionFilter:
        """The filter, bound to this organization."""
        members: dict[str, Any] = dict(self.members)
        for name in _TIMES:
            if name in members:
                members[name] = instant_of(members[name])
        state: State | None = None if self.state == "all" else self.state  # type: ignore[assignment]  # one of STATES
        return SessionFilter(organization=organization, **{**members, "state": state, **more})

    def href(self, path: str, **changes: str | None) -> str:
        """The same with these members in place of its own; None takes one away. Without the cursor: it
        belongs to one list."""
        query: dict[str, str] = {**self.members}
        if self.organization:
            query["organization"] = self.organization
        if self.state != "active":
            query["state"] = self.state
        if self.sort != "-created_at":
            query["sort"] = self.sort
        for name, value in changes.items():
            query.pop(name, None)
            if value is not None:
                query[name] = value
        return f"{path}?{urlencode(query)}" if query else path

    def fields(self) -> list[tuple[str, str]]:
        """The filter as hidden fields of a form."""
        return [
            *self.members.items(),
            ("organization", self.organization),
            ("state", self.state),
            ("sort", self.sort),
        ]


def read_filters(given: Mapping[str, str]) -> Asked:
    """What a query or a form asks for."""
    members: dict[str, str] = {}
    mistakes: list[str] = []
    for name, word in WORDS.items():
        value = given.get(name, "").strip()
        if not value:
            continue
        mistake = _mistake(name, value)
        if mistake:
            mistakes.append(_("%(field)s: %(mistake)s", field=gettext(word), mistake=mistake))
        members[name] = value[:_LONGEST]
    state, sort = given.get("state", "active"), given.get("sort", "-created_at")
    cursor, organization = given.get("cursor", ""), given.get("organization", "").strip()
    return Asked(
        organization=organization[:_LONGEST] if "\x00" not in organization else "\ufffd",
        members=members,
        state=state if state in dict(STATES) else "active",
        sort=sort if sort in get_args(Sort) else "-created_at",
        cursor=cursor if len(cursor) <= 2 * _LONGEST and "\x00" not in cursor else "",
        mistakes=tuple(mistakes),
    )


def chips(asked: Asked, path: str, applications: Mapping[str, str]) -> list[dict[str, str]]:
    """The filters in words, each with the address that is without it."""
    return [
        {
            "name": name,
            "word": gettext(WORDS[name]),
            "value": _value_words(name, value, applications),
            "href": asked.href(path, **{name: None}),
        }
        for name, value in asked.members.items()
    ]


def is_network(text: str) -> bool:
    """Whether this is an address or a network."""
    try:
        network_range(text)
    except ValueError:
        return False
    return True


def _mistake(name: str, value: str) -> str | None:
    if "\x00" in value or len(value) > _LONGEST:
        return _("this is too long, or holds what no name holds.")
    if name == "ip" and not is_network(value):
        return _("give an address such as 203.0.113.7, or a network such as 10.0.0.0/8.")
    if name in _TIMES:
        try:
            instant_of(value)
        except (ValueError, OverflowError):
            return _("give a time such as 2026-11-23T10:00.")
    return None


def instant_of(text: str) -> Instant:
    """The instant that a field for date and time sends, which is taken as UTC, or that RFC 3339 names.

    Raises:
        ValueError, OverflowError: it is neither.
    """
    return max(from_iso(f"{text}Z" if _LOCAL.fullmatch(text) else text.upper()), Instant(0))


def _value_words(name: str, value: str, applications: Mapping[str, str]) -> str:
    if name in _TIMES:
        try:
            return to_iso(instant_of(value))[:16].replace("T", " ") + " UTC"
        except (ValueError, OverflowError):
            return value
    if name == "application":
        return applications.get(value, value)
    if name == "parent":
        return f"…{value[-6:]}"
    return value


def options(values: Iterable[tuple[str, str]], chosen: str) -> list[dict[str, object]]:
    """Choices of a select: (value, words)."""
    return [{"value": one, "words": words, "selected": one == chosen} for one, words in values]
