"""What a list is asked for with, and what of an object's members a change is about.

Lists take `p` and `pageSize`, `field` and `value`, `sortField` and `sortOrder`; changes take `columns`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from iam.hanzo.call import Call, split_id
from iam.hanzo.errors import Refused

Row = TypeVar("Row")
Form = TypeVar("Form", bound=BaseModel)

MOST_ROWS = 5_000
"""So many rows one answer holds: who has more asks page by page."""
_MOST_PAGES = 1_000_000
_MEMBER = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
_NOTHING = ("", "undefined", "null")
"""What an SDK sends for a parameter that it was not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which rows of a list. `paged` false: all of them, if they are not too many."""

    skip: int = 0
    limit: int = MOST_ROWS + 1
    paged: bool = False
    field: str = ""
    value: str = ""
    sort: str = ""
    down: bool = True

    def of(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows that were read by `limit`, if one answer holds them.

        Raises:
            Refused: it does not.
        """
        if not self.paged and len(rows) > MOST_ROWS:
            raise Refused(f"There are more than {MOST_ROWS} rows: use p and pageSize.")
        return rows


def asked(call: Call) -> Asked:
    """What of a list is asked for. Newest first, where nothing else is.

    Raises:
        Refused: by a page or a member that cannot be.
    """
    page, size = _parameter(call, "p"), _parameter(call, "pageSize")
    field, value = _parameter(call, "field"), _parameter(call, "value")
    sort, order = _parameter(call, "sortField"), _parameter(call, "sortOrder")
    for name in (field, sort):
        if name and not _MEMBER.fullmatch(name):
            raise Refused("field and sortField must be names of members.")
    # Theirs sorts ascending only by that very word.
    found = Asked(field=field if value else "", value=value, sort=sort, down=order != "ascend")
    if not page or not size:
        return found
    for text in (page, size):
        if not (text.isascii() and text.isdigit() and len(text) <= 7):
            raise Refused("p and pageSize must be numbers.")
    number, rows = int(page), int(size)
    if not 1 <= number <= _MOST_PAGES or not 1 <= rows <= MOST_ROWS:
        raise Refused(f"p begins with 1, and pageSize is 1 to {MOST_ROWS}.")
    return Asked(
        skip=(number - 1) * rows,
        limit=rows,
        paged=True,
        field=found.field,
        value=value,
        sort=sort,
        down=found.down,
    )


def _parameter(call: Call, name: str) -> str:
    found = call.query(name)
    return "" if found in _NOTHING else found


def choose(
    rows: Sequence[dict[str, Any]], wanted: Asked
) -> tuple[Sequence[dict[str, Any]], int | None]:
    """Of all rows those that are asked for, and how many match, where a page is."""
    if wanted.field:
        part = wanted.value.lower()
        rows = [one for one in rows if part in _text(one.get(wanted.field)).lower()]
    member = wanted.sort or "createdTime"
    rows = sorted(rows, key=lambda one: _text(one.get(member)), reverse=wanted.down)
    found = wanted.of(rows[wanted.skip : wanted.skip + wanted.limit])
    return found, len(rows) if wanted.paged else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def columns_of(call: Call) -> frozenset[str]:
    """The members that a change is about, by their JSON names (`display_name` is `displayName`); none: all
    that the body holds."""
    names = (one.strip() for one in _parameter(call, "columns").split(","))
    return frozenset(_member(one) for one in names if one)


def _member(column: str) -> str:
    first, *rest = column.split("_")
    return first + "".join(one[:1].upper() + one[1:] for one in rest)


def given_members(call: Call) -> dict[str, Any]:
    """The members in the body that a change is about."""
    columns = columns_of(call)
    return {name: value for name, value in call.body.items() if not columns or name in columns}


def differing(given: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Of these members those that are other than they are shown: an object that was read and is sent back
    whole changes nothing. Null says nothing."""
    return {
        name: value
        for name, value in given.items()
        if value is not None and not (name in shown and value == shown[name])
    }


def named(call: Call, *, parameter: str = "id") -> tuple[str, str]:
    """Owner and name of the object that a change is of: by the query, else by the body. Where both say it,
    they say the same: what is checked is what is changed.

    Raises:
        Refused: neither does, or they differ.
    """
    owner, name = call.text("owner"), call.text("name")
    by_query = call.query(parameter)
    if not by_query:
        if not owner or not name:
            raise Refused("owner and name are needed.")
        return owner, name
    meant = split_id(by_query, 2, parameter)
    if owner not in ("", meant[0]) or name not in ("", meant[1]):
        raise Refused(f"{parameter} and the body name different objects; nothing can be renamed.")
    return meant[0], meant[1]


def checked(form: type[Form], names: dict[str, str], **members: Any) -> Form:
    """A form of the native API, filled by members that are called otherwise there (`names`, by ours).

    Raises:
        Refused: a member breaks one of its rules.
    """
    try:
        return form(**members)
    except ValidationError as error:
        first = error.errors()[0]
        ours = str(first["loc"][0]) if first["loc"] else ""
        raise Refused(f"{names.get(ours, ours)}: {first['msg']}") from error
