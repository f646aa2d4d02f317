"""How an application takes part in OpenID Connect, beyond its addresses and its grants.

Where a specification has a name for it, it is that of the registration (OpenID Connect Registration §2,
Back-Channel Logout §2.2, Front-Channel Logout §2).
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from sqlalchemy import Row

ConsentRule = Literal["none", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenidSettings:
    """What one application has chosen; the defaults are what it has without choosing."""

    require_pkce: bool = True
    """Whether its authorization requests need PKCE. Those of an application without a secret always do."""
    default_max_age: int | None = None
    """Seconds after which its users sign in again, where a request does not say `max_age`."""
    consent: ConsentRule = "none"
    """Whether a person is asked before it learns anything: `required` for an application of others."""
    backchannel_logout_uri: str | None = None
    """Where it is told that a session of its own has ended; None: it is not told."""
    backchannel_logout_session_required: bool = False
    """Whether it understands no notice without `sid`. Ours always have it."""
    frontchannel_logout_uri: str | None = None
    """What the browser loads in a frame when it signs out; None: nothing."""
    frontchannel_logout_session_required: bool = False
    """Whether that needs `iss` and `sid`. Ours always have them."""


OPENID_SETTINGS = frozenset(one.name for one in fields(OpenidSettings))


def openid_row(settings: OpenidSettings) -> dict[str, object]:
    """The columns of `application` that these settings are."""
    return asdict(settings)


def openid_of(row: Row[Any]) -> OpenidSettings:
    """The settings in a row of `application`."""
    return OpenidSettings(**{name: getattr(row, name) for name in OPENID_SETTINGS})
