"""`init_data.json`: what Casdoor reads at a start, and what its export writes."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from iam.moving.records import Record
from iam.moving.source import READ, Counted, SourceUnreadable

_LARGEST_FILE = 512 * 1024 * 1024
"""Bytes. All of it is in memory at once, several times over: a database is read in pieces."""


class InitData:
    """The data of a file."""

    # What Casdoor does with such a file: it hashes what has no type.
    passwords_as_typed = True

    def __init__(self, data: dict[str, list[Record]]) -> None:
        self._data = data

    def count(self) -> Counted:
        unread = {name: len(rows) for name, rows in self._data.items() if name not in READ and rows}
        users, sessions = (len(self._data.get(name, ())) for name in ("users", "sessions"))
        return Counted(users, sessions, unread)

    def all_of(self, name: str) -> Sequence[Record]:
        return self._data.get(name, ())

    def users(self, batch: int) -> Iterator[Sequence[Record]]:
        found = self._data.get("users", ())
        for start in range(0, len(found), batch):
            yield found[start : start + batch]


def open_init_data(path: Path) -> InitData:
    """Read a file.

    Raises:
        SourceUnreadable: it is not there, too large, no JSON, or has another shape.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SourceUnreadable(
                f"{path} is larger than {_LARGEST_FILE >> 20} MiB: give the database (--database-url)."
            )
        data: Any = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SourceUnreadable(f"{path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise SourceUnreadable(f"{path} is not UTF-8 (at byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise SourceUnreadable(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from error
    except (RecursionError, ValueError) as error:
        raise SourceUnreadable(f"{path} is no JSON that can be read: {error}.") from error
    return InitData(_checked(path, data))


def _checked(path: Path, data: Any) -> dict[str, list[Record]]:
    if not isinstance(data, dict):
        raise SourceUnreadable(f"{path} is JSON, but no object with lists such as organizations.")
    checked: dict[str, list[Record]] = {}
    for name, rows in data.items():
        if rows is None:
            continue
        known = name in READ
        if not isinstance(rows, list):
            if known:
                raise SourceUnreadable(f"{path}: {name} is no list.")
            continue
        if known and not all(isinstance(one, dict) for one in rows):
            raise SourceUnreadable(f"{path}: {name} holds something that is no object.")
        checked[str(name)] = rows
    if not any(checked.get(name) for name in ("organizations", "applications", "users")):
        raise SourceUnreadable(f"{path} holds no organizations, applications or users.")
    return checked
