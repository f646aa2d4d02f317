"""Cookies, each with one job and its own name.

`__Host-` makes a browser refuse a cookie that another host of the same domain planted. Names are
compared exactly and a name that comes twice is worth nothing (cookie tossing). On an http issuer,
which is only ever a loopback address, the names go without prefix and `Secure`.
"""

import re

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection

from iam.kernel.clock import Instant
from iam.kernel.secrets import Random, make_secret
from iam.sessions.lifecycle import Started
from iam.settings import Settings

BROWSER = "iam"
"""The browser session."""
OTHERS = "iam-others"
"""The browser sessions of the other accounts that somebody is signed in with (`web.accounts`)."""
KEPT = "iam-others-kept"
"""Those of them whose holders asked to be kept signed in: only these may outlast the browser."""
FLOW = "iam-flow"
"""A sign-in under way; proves nothing but that form and answer are of one browser."""
APP = "iam-app"
"""The gate's, on an application's own host."""
DEVICE = "iam-device"
"""What a browser is told again by, so that its next sign-in is no news; proves nothing."""
LANGUAGE = "iam-language"
"""The language that this browser is answered in where nobody is signed in."""
_MADE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # by make_secret


def cookie_name(settings: Settings, name: str) -> str:
    """The cookie's name as browsers know it."""
    return f"__Host-{name}" if settings.secure else name


def read_cookie(request: HTTPConnection, settings: Settings, name: str) -> str | None:
    """The cookie's value; None if it is absent, or ambiguous because it came more than once."""
    return cookie_value(request, cookie_name(settings, name))


def cookie_value(request: HTTPConnection, wanted: str) -> str | None:
    """The same, of a cookie by the name that browsers know it by."""
    found = [
        value.strip()
        for header in request.headers.getlist("cookie")
        for key, separator, value in (part.partition("=") for part in header.split(";"))
        if separator and key.strip() == wanted
    ]
    return found[0] if len(found) == 1 else None


def set_cookie(
    headers: MutableHeaders,
    settings: Settings,
    name: str,
    value: str,
    max_age: int | None = None,
) -> None:
    """Set a cookie that ends with the browser, or after `max_age` seconds."""
    append_cookie(headers, settings, cookie_name(settings, name), value, max_age)


def append_cookie(
    headers: MutableHeaders, settings: Settings, whole_name: str, value: str, max_age: int | None
) -> None:
    """The same, of a cookie by the name that browsers know it by; with a `max_age` of 0 it is deleted."""
    secure = "; Secure" if settings.secure else ""
    kept = f"; Max-Age={max_age}" if max_age is not None else ""
    cookie = f"{whole_name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{kept}"
    headers.append("set-cookie", cookie)


def set_browser_session(
    headers: MutableHeaders, settings: Settings, started: Started, now: Instant
) -> None:
    """The cookie of a browser session: it ends with the browser, unless its holder asked to be kept
    signed in. When the session ends the cookie is worth nothing, however long it is kept."""
    session = started.session
    max_age = (session.expires_at - now) // 1000 if session.remembered else None
    set_cookie(headers, settings, BROWSER, started.token, max_age)


def is_made(value: str) -> bool:
    """Whether a cookie's value has the form of those that are made here."""
    return _MADE.fullmatch(value) is not None


def device_secret(request: HTTPConnection, settings: Settings, random: Random) -> str:
    """What this browser is told again by: its cookie's value, or a new one if it has none of ours."""
    held = read_cookie(request, settings, DEVICE) or ""
    return held if is_made(held) else make_secret(random)


def clear_cookie(headers: MutableHeaders, settings: Settings, name: str) -> None:
    """Delete a cookie: with the same attributes, or browsers keep it."""
    append_cookie(headers, settings, cookie_name(settings, name), "", 0)
