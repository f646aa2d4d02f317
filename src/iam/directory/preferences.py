"""What people have said about how pages speak to them."""

import functools
import zoneinfo
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from iam.db.prepared import Prepared, together
from iam.db.tables import user_account
from iam.kernel.errors import Invalid
from iam.languages import LANGUAGES

_HERE = (user_account.c.organization == bindparam("organization")) & (
    user_account.c.name == bindparam("name")
)
_READ = Prepared(select(user_account.c.locale, user_account.c.zoneinfo).where(_HERE))


class PreferenceInvalid(Invalid):
    """A language that is not spoken here, or a time zone that does not exist."""

    code = "preference_invalid"
    title = "There is no such language or time zone."


@dataclass(frozen=True, slots=True)
class Preferences:
    """`locale`: the tag of a language (BCP 47), `zone`: the IANA name of a time zone; each None for whatever
    the browser says."""

    locale: str | None = None
    zone: str | None = None

    @property
    def exist(self) -> bool:
        """Whether the language is spoken here and the time zone is one."""
        return self.locale in (None, *LANGUAGES) and self.zone in (None, *time_zones())

    def changed(self, locale: str | None, zone: str | None) -> "Preferences":
        """With another language and zone: None leaves one, the empty string removes it."""
        return Preferences(
            self.locale if locale is None else locale or None,
            self.zone if zone is None else zone or None,
        )


NO_PREFERENCES = Preferences()


def columns_of(preferences: Preferences) -> dict[str, str | None]:
    """Where they stand in a user's row."""
    return {"locale": preferences.locale, "zoneinfo": preferences.zone}


@functools.cache
def time_zones() -> tuple[str, ...]:
    """The time zones to choose from, by name: those of places, and UTC."""
    places = (zone for zone in zoneinfo.available_timezones() if "/" in zone)
    return ("UTC", *sorted(zone for zone in places if not zone.startswith(("Etc/", "SystemV/"))))


def check_preferences(wanted: Preferences) -> Preferences:
    """`wanted`, if it can be chosen.

    Raises:
        PreferenceInvalid: the language is not spoken here, or the time zone does not exist.
    """
    if not wanted.exist:
        raise PreferenceInvalid
    return wanted


def read_preferences(connection: Connection, organization: str, name: str) -> Preferences:
    """What this user has said; nothing of whoever does not exist."""
    [rows] = together(connection, (_READ, {"organization": organization, "name": name}))
    return Preferences(rows[0].locale, rows[0].zoneinfo) if rows else NO_PREFERENCES


def set_preferences(
    connection: Connection, organization: str, name: str, wanted: Preferences
) -> bool:
    """Note it; answer whether anything is different now.

    Raises:
        PreferenceInvalid: it is none that can be chosen.
    """
    if read_preferences(connection, organization, name) == check_preferences(wanted):
        return False
    here = (user_account.c.organization == organization) & (user_account.c.name == name)
    connection.execute(update(user_account).where(here).values(columns_of(wanted)))
    return True
