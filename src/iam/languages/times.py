"""Dates, times and durations as the reader writes them (CLDR, by Babel).

The library takes 10 MB: it is loaded by the first page that is shown, not by a process that only validates.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iam.languages import ENGLISH, _, reader

_MONTH_IN_WORDS = "yMMMd"


def _locale() -> str:
    language = reader().language
    # Day before month, as everywhere else in these pages and in the documents.
    return "en_GB" if language == ENGLISH else language


def local(instant: datetime) -> datetime:
    """The same instant in the reader's time zone; in UTC where that is not known, or is none any more."""
    try:
        return instant.astimezone(ZoneInfo(reader().zone or "UTC"))
    except ZoneInfoNotFoundError:
        return instant.astimezone(UTC)


def zone_name(instant: datetime) -> str:
    """What the reader's zone is called then: "UTC", "CET"."""
    return local(instant).tzname() or "UTC"


def exact(instant: datetime) -> str:
    """A date and a time: "26 Nov 2026, 14:02 UTC"."""
    return _("%(date)s, %(time)s", date=day(instant), time=hour(instant))


def day(instant: datetime) -> str:
    """A date: "26 Nov 2026"."""
    from babel import dates

    return dates.format_skeleton(_MONTH_IN_WORDS, local(instant), locale=_locale())


def hour(instant: datetime) -> str:
    """A time of day with its zone: "14:02 UTC"."""
    return f"{local(instant).strftime('%H:%M')} {zone_name(instant)}"


def ago(distance: timedelta, *, short: bool = False) -> str:
    """A distance from now, in one unit: "3 minutes ago"; a negative one lies ahead: "in 2 hours";
    `short`: "3 min ago"."""
    from babel import dates

    return dates.format_timedelta(
        -distance,
        add_direction=True,
        threshold=1.0,
        format="short" if short else "long",
        locale=_locale(),
    )


def length(seconds: float) -> str:
    """A duration in one unit: "3 minutes"."""
    from babel import dates

    return dates.format_timedelta(
        timedelta(seconds=seconds), granularity="second", threshold=1.0, locale=_locale()
    )
