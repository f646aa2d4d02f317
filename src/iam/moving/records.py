"""An object of theirs as it was read, and its fields as what they should be.

Field names are those of the JSON (`displayName`), wherever it was read from.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from iam.kernel.clock import Instant, from_iso

Record = Mapping[str, Any]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FLAG = re.compile(r"^(?:is|enable|disable|use|need|has)[A-Z]|Enabled$")
_LARGEST = 1 << 53


class Malformed(Exception):
    """A field has a type that Casdoor never gives it."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def text_of(record: Record, field: str) -> str:
    """A text; empty where there is none. It may hold anything but half a surrogate pair.

    Raises:
        Malformed: it is none.
    """
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(field)
    return value.encode("utf-8", "replace").decode()


def flag_of(record: Record, field: str) -> bool:
    """Whether a flag is set; databases without a type for it have 0 and 1.

    Raises:
        Malformed: it is none.
    """
    value = record.get(field)
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    raise Malformed(field)


def number_of(record: Record, field: str) -> float:
    """A number; 0 where there is none.

    Raises:
        Malformed: it is none, or none that one could count with.
    """
    value = record.get(field)
    if value is None:
        return 0
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -_LARGEST < value < _LARGEST
    ):
        raise Malformed(field)
    return value


def list_of(record: Record, field: str) -> list[Any]:
    """A list; empty where there is none. Databases keep it as JSON in a text.

    Raises:
        Malformed: it is none.
    """
    value = _decoded(record.get(field), field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(field)
    return value


def texts_of(record: Record, field: str) -> list[str]:
    """A list of texts.

    Raises:
        Malformed: it is none.
    """
    found = list_of(record, field)
    if not all(isinstance(one, str) for one in found):
        raise Malformed(field)
    return [one.encode("utf-8", "replace").decode() for one in found]


def mapping_of(record: Record, field: str) -> Mapping[str, Any]:
    """An object of JSON; empty where there is none.

    Raises:
        Malformed: it is none.
    """
    value = _decoded(record.get(field), field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(field)
    return value


def instant_of(record: Record, field: str, otherwise: Instant) -> Instant:
    """A time of theirs (RFC 3339), or `otherwise` where there is none that can be read."""
    value = record.get(field)
    try:
        return (
            max(Instant(0), min(otherwise, from_iso(value)))
            if isinstance(value, str)
            else otherwise
        )
    except (ValueError, OverflowError):
        return otherwise


def plain(text: str, longest: int) -> str:
    """`text` on one line, without control characters and no longer than that."""
    return _CONTROL.sub(" ", text).strip()[:longest].strip()


def is_set(value: object) -> bool:
    """Whether a field holds anything: what it would hold unasked is nothing."""
    return value not in (None, "", 0, False, "[]", "{}", "null") and value != [] and value != {}


def natural(field: str, value: object) -> object:
    """A value as JSON has it. Databases keep lists and objects as texts, and flags as numbers."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, int) and value in (0, 1) and _FLAG.search(field):
        return bool(value)
    return value if isinstance(value, str | int | float | list | dict) else str(value)


def left_over(record: Record, known: frozenset[str]) -> list[str]:
    """The fields that hold something and are not among these."""
    return sorted(name for name, value in record.items() if name not in known and is_set(value))


def _decoded(value: object, field: str) -> object:
    if isinstance(value, bytes | str):
        if not value.strip():
            return None
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise Malformed(field) from None
    return value
