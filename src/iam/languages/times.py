"""Dates, times and durations as the reader writes them (CLDR, by Babel).

The library takes 10 MB: it is loaded by the first page that is shown, not by a process that only validates. A
page of the console shows 200 instants, of which most are of the same few days: so words are kept.
"""

import functools
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iam.languages import ENGLISH, _, reader

if TYPE_CHECKING:
    from babel import Locale

_KEPT = 1000


@functools.cache
def _locale(language: str) -> "Locale":
    from babel import Locale

    # Day before month, as everywhere else in these pages and in the documents.
    return Locale("en", "GB") if language == ENGLISH else Locale(language)


def local(instant: datetime) -> datetime:
    """The same instant in the reader's time zone; in UTC where that is not known, or is none any more."""
    zone = reader().zone
    try:
        return instant.astimezone(ZoneInfo(zone) if zone else UTC)
    except ZoneInfoNotFoundError:
        return instant.astimezone(UTC)


def exact(instant: datetime) -> str:
    """A date and a time: "26 Nov 2026, 14:02 UTC"."""
    there = local(instant)
    return _("%(date)s, %(time)s", date=_day(there.date(), reader().language), time=_hour(there))


def day(instant: datetime) -> str:
    """A date: "26 Nov 2026"."""
    return _day(local(instant).date(), reader().language)


@functools.lru_cache(_KEPT)
def _day(wanted: date, language: str, parts: str = "yMMMd") -> str:
    from babel import dates

    return dates.format_skeleton(parts, wanted, locale=_locale(language))


def day_of_year(wanted: date) -> str:
    """A date without its year: "26 Nov"."""
    return _day(wanted, reader().language, "MMMd")


def hour(instant: datetime) -> str:
    """A time of day with its zone: "14:02 UTC"."""
    return _hour(local(instant))


def _hour(there: datetime) -> str:
    return f"{there.hour:02}:{there.minute:02} {there.tzname()}"


def ago(distance: timedelta, *, short: bool = False) -> str:
    """A distance from now, in one unit: "3 minutes ago"; a negative one lies ahead: "in 2 hours";
    `short`: "3 min ago"."""
    return _ago(distance, reader().language, short)


@functools.lru_cache(_KEPT)
def _ago(distance: timedelta, language: str, short: bool) -> str:
    from babel import dates

    return dates.format_timedelta(
        -distance,
        add_direction=True,
        threshold=1.0,
        format="short" if short else "long",
        locale=_locale(language),
    )


def length(seconds: float) -> str:
    """A duration in one unit: "3 minutes"."""
    from babel import dates

    return dates.format_timedelta(
        timedelta(seconds=seconds),
        granularity="second",
        threshold=1.0,
        locale=_locale(reader().language),
    )
