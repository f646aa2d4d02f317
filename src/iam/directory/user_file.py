"""Users as a file with one a line brings them: read, checked, and not written yet.

CSV (RFC 4180) with a header line. A column that is not known is refused: what somebody meant by it would be
lost without a word.
"""

import csv
import io
import re
from dataclasses import dataclass

from iam.directory.names import ROLE_PATTERN, USER_NAME_PATTERN
from iam.directory.patterns import EMAIL_PATTERN
from iam.directory.preferences import Preferences
from iam.languages import _, written

COLUMNS = ("name", "display_name", "email", "roles", "locale", "zoneinfo")
MOST_LINES = 1000
LARGEST = 256 * 1024
"""Characters of a file."""
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]*")
_MOST_ROLES = 32


class FileUnreadable(ValueError):
    """The file as a whole cannot be read; the message says why, in words for its sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One user, and what is wrong with the line. `number` counts the lines of the file from 1."""

    number: int
    name: str
    display_name: str
    email: str
    roles: tuple[str, ...]
    preferences: Preferences
    mistakes: tuple[str, ...]


def read_users(text: str) -> list[Line]:
    """The lines of a file.

    Raises:
        FileUnreadable: it is too large, is no CSV, or its header is not one of ours.
    """
    if len(text) > LARGEST:
        raise FileUnreadable(_("The file may have %(number)s KiB.", number=LARGEST // 1024))
    # Spreadsheets put a mark of the byte order in front, and some take semicolons.
    text = text.removeprefix("\ufeff")
    header = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in header else ",", strict=True
    )
    try:
        columns = [one.strip().lower() for one in next(reader, [])]
        _check_header(columns)
        lines: list[Line] = []
        seen: dict[str, int] = {}
        for values in reader:
            if not any(one.strip() for one in values):
                continue
            if len(lines) == MOST_LINES:
                raise FileUnreadable(
                    _("At most %(number)s users at a time.", number=written(MOST_LINES))
                )
            line = _line(reader.line_num, columns, values, seen)
            seen.setdefault(line.name, line.number)
            lines.append(line)
    except csv.Error as error:
        raise FileUnreadable(
            _("Line %(line)s: this is no CSV (%(error)s).", line=reader.line_num, error=error)
        ) from error
    if not lines:
        raise FileUnreadable(_("There is no user in it."))
    return lines


def _check_header(columns: list[str]) -> None:
    unknown = [one for one in columns if one not in COLUMNS]
    if "name" not in columns or unknown or len(set(columns)) != len(columns):
        known = ", ".join(COLUMNS)
        raise FileUnreadable(
            _(
                "The first line names the columns: name, and any other of %(columns)s, each once.",
                columns=known,
            )
        )


def _line(number: int, columns: list[str], values: list[str], seen: dict[str, int]) -> Line:
    given = {name: value.strip() for name, value in zip(columns, values, strict=False)}
    name, email = given.get("name", ""), given.get("email", "")
    display_name = given.get("display_name", "")
    roles = tuple(dict.fromkeys(given.get("roles", "").replace("|", " ").split()))
    mistakes = []
    if len(values) != len(columns):
        mistakes.append(
            _(
                "%(values)s values where the header names %(columns)s columns",
                values=len(values),
                columns=len(columns),
            )
        )
    if not re.fullmatch(USER_NAME_PATTERN, name, re.ASCII):
        mistakes.append(_("the name: letters, digits and . _ @ + -, up to 127"))
    elif name in seen:
        mistakes.append(_("the same name as line %(line)s", line=seen[name]))
    if len(display_name) > 128 or not _PLAIN.fullmatch(display_name):
        mistakes.append(_("the display name: at most 128 characters, on one line"))
    if email and (len(email) > 254 or not re.fullmatch(EMAIL_PATTERN, email, re.ASCII)):
        mistakes.append(_("this is no e-mail address"))
    if len(roles) > _MOST_ROLES:
        mistakes.append(_("at most %(number)s roles", number=_MOST_ROLES))
    if any(not re.fullmatch(ROLE_PATTERN, one, re.ASCII) for one in roles):
        mistakes.append(_("a role: letters, digits and . _ : -, up to 63"))
    preferences = Preferences(given.get("locale") or None, given.get("zoneinfo") or None)
    if not preferences.exist:
        mistakes.append(_("there is no such language or time zone"))
    return Line(
        number=number,
        name=name,
        display_name=display_name,
        email=email,
        roles=roles,
        preferences=preferences,
        mistakes=tuple(mistakes),
    )
