"""How an application takes part in OpenID Connect, beyond its addresses and its grants.

The names are those of the registrations' specifications (OpenID Connect Back-Channel Logout §2.2).
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What one application has chosen; the defaults are what it has without choosing."""

    backchannel_logout_uri: str | None = None
    """Where it is told that a session of its own has ended; None: it is not told."""
    backchannel_logout_session_required: bool = False
    """Whether it understands no notice without `sid`. Ours always have it."""


CLIENT_SETTINGS = frozenset(one.name for one in fields(ClientSettings))


def settings_row(settings: ClientSettings) -> dict[str, object]:
    """The columns of `application` that these settings are."""
    return asdict(settings)


def settings_of(row: Row[Any]) -> ClientSettings:
    """The settings in a row of `application`."""
    return ClientSettings(**{name: getattr(row, name) for name in CLIENT_SETTINGS})
