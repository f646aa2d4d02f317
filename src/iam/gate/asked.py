"""The request that a proxy asks about, as far as it tells. All of it may be what somebody invented."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from iam.gate.doors import Door
from iam.gate.hosts import Target, parse_target, path_of, scheme_of
from iam.kernel.errors import IamError
from iam.settings import Settings

Headers = Iterable[tuple[bytes, bytes]]


class Asked(NamedTuple):
    """A question as it came: its own method, its path with the query, its headers in lower case."""

    method: str
    path: str
    headers: Headers


def joined(headers: Headers, wanted: bytes, between: bytes) -> bytes | None:
    """A header's value, joined where it came twice; None where it did not come."""
    found = [value for name, value in headers if name == wanted]
    return between.join(found) if found else None


def original_host(headers: Headers) -> bytes | None:
    """The host in X-Original-URL, for proxies that do not send X-Forwarded-Host."""
    scheme, separator, rest = (_header(headers, b"x-original-url") or "").partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return None
    return re.split(r"[/?#]", rest, maxsplit=1)[0].encode("latin-1")


def page_of(door: Door, asked: Asked, host: str, settings: Settings) -> Target:
    """The page that somebody who has to sign in first wanted to see."""
    headers = asked.headers
    if door.original_url and (original := _header(headers, b"x-original-url")) is not None:
        try:
            target = parse_target(original, settings)
        except IamError:
            pass
        else:
            if target.host == host:
                return target
    if door.continues:
        path = asked.path.removeprefix(door.path)
    else:
        path = _header(headers, b"x-forwarded-uri") or ""
        if not path and door.original_url:
            path = _header(headers, b"x-original-uri") or ""
    scheme = scheme_of(settings, _header(headers, b"x-forwarded-proto"))
    return Target(scheme, host, path_of(path))


def language_in(headers: Headers) -> str:
    """What a browser wishes to be spoken to in, as it says it (Accept-Language)."""
    return _header(headers, b"accept-language") or ""


def navigates(door: Door, asked: Asked) -> bool:
    """Whether a browser wants to show the answer to a person: only then does a redirect lead anywhere.

    A script would follow it to another origin and see a network error, a form that is posted would
    arrive without its fields, and a program would take the sign-in page for its answer.
    """
    headers = asked.headers
    method = asked.method if door.continues else _header(headers, b"x-forwarded-method")
    mode = _header(headers, b"sec-fetch-mode")
    return (
        method in ("GET", "HEAD")
        and "text/html" in (_header(headers, b"accept") or "").lower()
        and mode in (None, "navigate")
        and (_header(headers, b"x-requested-with") or "").lower() != "xmlhttprequest"
        # Who brings a token of their own is a program; a browser's address bar has none.
        and not (_header(headers, b"authorization") or "").lower().startswith("bearer")
        and joined(headers, b"upgrade", b",") is None
    )


def _header(headers: Headers, wanted: bytes) -> str | None:
    """A header's value; one that came twice is joined by a comma, which no host or path survives."""
    value = joined(headers, wanted, b",")
    return value.decode("latin-1") if value is not None else None
