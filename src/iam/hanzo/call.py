"""One request as its handler gets it: who calls, what was asked, and the means to do it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from iam.hanzo.credentials import Shown
from iam.hanzo.errors import MalformedBody, Refused
from iam.hanzo.messages import Language, language_of
from iam.kernel.clock import Instant
from iam.kernel.errors import Unauthenticated
from iam.kernel.events import Actor, Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.web.caller import Caller, Client, Person
from iam.web.csrf import check_origin
from iam.web.engine import Engine

LONGEST = 8192
"""Characters of a parameter: as long as a token may be."""
_DEEPEST = 16
_FIELDS = 100
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose credentials were judged. `body` is its JSON object or form; empty if it has none."""

    request: Request
    engine: Engine
    now: Instant
    origin: Origin
    shown: Shown
    body: Body
    stale: bool = False
    """A change is wanted by a browser's cookie, and its user signed in too long ago (`web.fresh`)."""

    @property
    def language(self) -> Language:
        """In which it is to be answered."""
        return language_of(self.request)

    @property
    def caller(self) -> Caller:
        """Who calls.

        Raises:
            Unauthenticated: nobody.
        """
        if self.shown.caller is None:
            raise Unauthenticated
        return self.shown.caller

    @property
    def person(self) -> Person | None:
        """The user who calls, if it is one."""
        return self.shown.person

    @property
    def home(self) -> str:
        """The caller's organization."""
        caller = self.caller
        if isinstance(caller, Client):
            return caller.organization
        return caller.session.organization

    @property
    def own_sessions(self) -> frozenset[str]:
        """The session that this call is made with, and the one that it would end with."""
        if self.person is None:
            return frozenset()
        own = self.person.session
        return frozenset(one for one in (own.id, own.parent) if one is not None)

    @property
    def actor(self) -> Actor:
        """Who events say it was."""
        return self.caller.actor

    @property
    def cause(self) -> dict[str, Any]:
        """The arguments that everything which changes something takes."""
        return {"actor": self.actor, "now": self.now, "random": self.engine.random}

    def event(self, type_: str, **members: Any) -> Event:
        """An event that this call is the cause of."""
        return Event(
            id=make_id(EVENT, self.now, self.engine.random),
            at=self.now,
            type=type_,
            actor=self.actor,
            origin=self.origin,
            **members,
        )

    def check_origin(self) -> None:
        """See that a request which a browser's cookie speaks for comes from a page of this server.

        Raises:
            ForgerySuspected: it comes from another site.
        """
        if self.shown.by_cookie:
            check_origin(self.request, self.engine.settings)

    def query(self, name: str) -> str:
        """A parameter of the query; empty if it is absent.

        Raises:
            Refused: it is too long, or holds what no database takes.
        """
        return _checked(name, self.request.query_params.get(name, "").strip())

    def text(self, name: str) -> str:
        """A member of the body that is text; empty if it is absent or null.

        Raises:
            Refused: it is something else, or too long.
        """
        value = self.body.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Refused(f"{name} must be a string.")
        return _checked(name, value)

    def flag(self, name: str) -> bool:
        """A member of the body that is true or false; false if it is absent or null.

        Raises:
            Refused: it is something else.
        """
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise Refused(f"{name} must be true or false.")
        return bool(value)

    def texts(self, name: str) -> list[str] | None:
        """A member of the body that is a list of texts; None if it is absent or null.

        Raises:
            Refused: it is something else, or too long.
        """
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise Refused(f"{name} must be a list of strings.")
        return [_checked(name, one) for one in value]

    def either(self, name: str) -> str:
        """A parameter of the query or, if it is not there, of the body."""
        return self.query(name) or self.text(name)


def split_id(text: str, parts: int, name: str = "id") -> tuple[str, ...]:
    """The parts of an ID such as `owner/name`.

    Raises:
        Refused: they are not so many.
    """
    found = tuple(text.split("/"))
    if len(found) != parts or not all(found):
        form = "/".join(("owner", "name", "application")[:parts])
        raise Refused(f"{name} must have the form {form}.")
    return found


async def read_body(request: Request) -> Body:
    """The body: a JSON object whatever Content-Type says (some clients say none), or a form that says so.

    Raises:
        MalformedBody: it is neither.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORMS:
        form = await request.form(max_files=0, max_fields=_FIELDS)
        fields: dict[str, Any] = {}
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                raise MalformedBody("Files are not taken here.")
            fields.setdefault(name, value)
        return _storable(fields)
    text = await request.body()
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error
    if not isinstance(found, dict):
        raise MalformedBody
    return _storable(found)


def _storable(body: dict[str, Any]) -> Body:
    """Itself, if both databases can hold it (no NUL for PostgreSQL, no half of a surrogate pair)."""
    _check(body, _DEEPEST)
    return body


def _check(value: object, deeper: int) -> None:
    if isinstance(value, str):
        if "\x00" in value or _broken(value):
            raise MalformedBody("A text holds a character that cannot be stored.")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise MalformedBody("A number is none.")
    elif isinstance(value, (dict, list)):
        if not deeper:
            raise MalformedBody(f"It is nested deeper than {_DEEPEST}.")
        if isinstance(value, dict):
            for name in value:
                _check(name, deeper)
        for one in value.values() if isinstance(value, dict) else value:
            _check(one, deeper - 1)


def _broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _checked(name: str, value: str) -> str:
    if len(value) > LONGEST or "\x00" in value or _broken(value):
        raise Refused(f"{name} cannot be that.")
    return value
