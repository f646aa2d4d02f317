"""Which language a browser is answered in: what its person chose, chose here, or set in the browser.

A choice made where nobody is signed in is the query parameter `ui_locales`, which an application may send as
well (OpenID Connect Core §3.1.2.1); it is kept in a cookie that says nothing but a language. Whoever is known
is spoken to as they said in their account (`visitor.look`).
"""

import functools
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

from iam.languages import ENGLISH, LANGUAGES, preferred, reader, speaking, spoken
from iam.settings import Settings
from iam.web.cookies import LANGUAGE, read_cookie, set_cookie
from iam.web.engine import engine_of
from iam.web.returning import return_path

UI_LOCALES = "ui_locales"
_YEAR = 365 * 86_400
"""Seconds."""


def spoken_to(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Have a page speak the language of whoever asks for it."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        asked = asked_language(request.query_params.get(UI_LOCALES, ""))
        with speaking(asked or language_of(request)):
            response = await handler(request)
        if asked:
            remember_language(response.headers, engine_of(request).settings, asked)
        return response

    return answer


def language_of(request: Request) -> str:
    """The language for a browser whose person is not known, or not yet."""
    chosen = spoken(read_cookie(request, engine_of(request).settings, LANGUAGE))
    return chosen or preferred(request.headers.get("accept-language", "")) or ENGLISH


def other_languages(request: Request) -> list[tuple[str, str, str]]:
    """The page's own address in each of the other languages: tag, name, address. None for the answer
    to a form, whose address is not that of a page."""
    if request.method != "GET":
        return []
    query = [
        # An address to go on to that leads elsewhere is not repeated either.
        (key, return_path(value) if key == "return_to" else value)
        for key, value in request.query_params.multi_items()
        if key != UI_LOCALES
    ]
    return [
        (tag, name, f"?{urlencode([*query, (UI_LOCALES, tag)])}")
        for tag, name in LANGUAGES.items()
        if tag != reader().language
    ]


def remember_language(headers: MutableHeaders, settings: Settings, language: str) -> None:
    """Answer this browser in this language from now on."""
    set_cookie(headers, settings, LANGUAGE, language, _YEAR)


def asked_language(ui_locales: str) -> str | None:
    """The first of these tags that we speak; None if none."""
    return next((known for tag in ui_locales[:200].split() if (known := spoken(tag))), None)
