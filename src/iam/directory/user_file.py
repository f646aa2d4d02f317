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

COLUMNS = ("name", "display_name", "email", "roles")
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
    mistakes: tuple[str, ...]


def read_users(text: str) -> list[Line]:
    """The lines of a file.

    Raises:
        FileUnreadable: it is too large, is no CSV, or its header is not one of ours.
    """
    if len(text) > LARGEST:
        raise FileUnreadable(f"The file may have {LARGEST // 1024} KiB.")
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
                raise FileUnreadable(f"At most {MOST_LINES:,} users at a time.")
            line = _line(reader.line_num, columns, values, seen)
            seen.setdefault(line.name, line.number)
            lines.append(line)
    except csv.Error as error:
        raise FileUnreadable(f"Line {reader.line_num}: this is no CSV ({error}).") from error
    if not lines:
        raise FileUnreadable("There is no user in it.")
    return lines


def _check_header(columns: list[str]) -> None:
    unknown = [one for one in columns if one not in COLUMNS]
    if "name" not in columns or unknown or len(set(columns)) != len(columns):
        known = ", ".join(COLUMNS)
        raise FileUnreadable(
            f"The first line names the columns: name, and any other of {known}, each once."
        )


def _line(number: int, columns: list[str], values: list[str], seen: dict[str, int]) -> Line:
    given = {name: value.strip() for name, value in zip(columns, values, strict=False)}
    name, email = given.get("name", ""), given.get("email", "")
    display_name = given.get("display_name", "")
    roles = tuple(dict.fromkeys(given.get("roles", "").replace("|", " ").split()))
    mistakes = []
    if len(values) != len(columns):
        mistakes.append(f"{len(values)} values where the header names {len(columns)} columns")
    if not re.fullmatch(USER_NAME_PATTERN, name, re.ASCII):
        mistakes.append("the name: letters, digits and . _ @ + -, up to 127")
    elif name in seen:
        mistakes.append(f"the same name as line {seen[name]}")
    if len(display_name) > 128 or not _PLAIN.fullmatch(display_name):
        mistakes.append("the display name: at most 128 characters, on one line")
    if email and (len(email) > 254 or not re.fullmatch(EMAIL_PATTERN, email, re.ASCII)):
        mistakes.append("this is no e-mail address")
    if len(roles) > _MOST_ROLES:
        mistakes.append(f"at most {_MOST_ROLES} roles")
    if any(not re.fullmatch(ROLE_PATTERN, one, re.ASCII) for one in roles):
        mistakes.append("a role: letters, digits and . _ : -, up to 63")
    return Line(
        number=number,
        name=name,
        display_name=display_name,
        email=email,
        roles=roles,
        mistakes=tuple(mistakes),
    )
