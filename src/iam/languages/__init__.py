"""In which language, and in which time zone, people are spoken to.

Owns: the catalogs of translated sentences; how dates and numbers are written.
Does not own: the sentences themselves, which stand in English where they are used; who prefers what
(`directory`); what a browser asks for (`web`).
Hands to: everything that makes words for people.

Whoever answers a person says once, with `speaking`, what that person reads; everything that makes words for
them, however deep, asks `_` for them. It is a context variable and no argument because words are made
everywhere, and never decide anything: outside of `speaking`, as in the API, the log and the command line,
everything is English.

Sentences are written in English where they are used, marked with `_`, and translated whole, never put
together of pieces: other languages put them in another order. `scripts/languages.py` collects them into the
catalogs.
"""

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from gettext import c2py
from pathlib import Path

CATALOGS = Path(__file__).parent / "catalogs"

ENGLISH = "en"
LANGUAGES = {
    ENGLISH: "English",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "ja": "日本語",
    "zh": "中文",
}
"""What there is: the tag of each language (BCP 47), and what its speakers call it."""

_LONGEST = 500
_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q\s*=\s*([0-9.]{1,5})\s*)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Reader:
    """What a person reads: one of `LANGUAGES`, and the IANA name of their time zone; None if it is not known,
    which is UTC for the server and the browser's own for its scripts."""

    language: str = ENGLISH
    zone: str | None = None


_NOBODY = Reader()
_reader: ContextVar[Reader] = ContextVar("reader", default=_NOBODY)


def reader() -> Reader:
    """Who is spoken to now."""
    return _reader.get()


@contextmanager
def speaking(language: str, zone: str | None = None) -> Iterator[None]:
    """Speak to somebody who reads this."""
    before = _reader.set(Reader(language, zone))
    try:
        yield
    finally:
        _reader.reset(before)


def speak(locale: str | None, zone: str | None) -> None:
    """Within `speaking`: go on as the person wishes who has now become known. None leaves what there is."""
    now = _reader.get()
    _reader.set(replace(now, language=spoken(locale) or now.language, zone=zone or now.zone))


def spoken(locale: str | None) -> str | None:
    """The language of a tag ("de-AT" is German) if we speak it."""
    language = (locale or "").partition("-")[0].partition("_")[0].lower()
    return language if language in LANGUAGES else None


def preferred(accept_language: str) -> str | None:
    """The language that a browser asks for first of those we speak (RFC 9110 §12.5.4); None if none."""
    wishes: list[tuple[float, str]] = []
    for part in accept_language[:_LONGEST].split(","):
        found = _RANGE.fullmatch(part)
        language = spoken(found[1]) if found else None
        if found and language:
            try:
                quality = float(found[2] or 1)
            except ValueError:
                continue
            if quality > 0:
                wishes.append((-quality, language))
    # The sort is stable: among equals the first said is first.
    return min(wishes, key=lambda wish: wish[0])[1] if wishes else None


@dataclass(frozen=True, slots=True)
class _Catalog:
    sentences: dict[str | tuple[str, str], str | tuple[str, ...]]
    plural: Callable[[int], int]


@functools.cache
def _catalog(language: str) -> _Catalog:
    # Only who is shown a page in another language pays for the reading, and for the library.
    from babel.messages.pofile import read_po

    with (CATALOGS / f"{language}.po").open("rb") as file:
        read = read_po(file, locale=language)
    sentences: dict[str | tuple[str, str], str | tuple[str, ...]] = {}
    for message in read:
        if not message.id or message.fuzzy:
            continue
        one = message.id if isinstance(message.id, str) else message.id[0]
        said = message.string
        if said:
            key = (message.context, one) if message.context else one
            sentences[key] = said if isinstance(said, str) else tuple(said)
    return _Catalog(sentences, c2py(read.plural_expr))


def _said(key: str | tuple[str, str], otherwise: str) -> str:
    language = _reader.get().language
    if language == ENGLISH:
        return otherwise
    found = _catalog(language).sentences.get(key)
    return found if isinstance(found, str) and found else otherwise


def gettext(message: str) -> str:
    """The sentence in the reader's language, its places not filled; as it is where it is not translated."""
    return _said(message, message)


def pgettext(context: str, message: str) -> str:
    """The same, of a word that means several things: `context` says which."""
    return _said((context, message), message)


def ngettext(one: str, many: str, number: int) -> str:
    """The sentence in the form that the number has in the reader's language, its places not filled."""
    otherwise = one if number == 1 else many
    language = _reader.get().language
    if language == ENGLISH:
        return otherwise
    catalog = _catalog(language)
    found = catalog.sentences.get(one)
    if not isinstance(found, tuple):
        return otherwise
    return found[min(catalog.plural(number), len(found) - 1)] or otherwise


def _(message: str, **places: object) -> str:
    """The sentence in the reader's language, with `%(name)s` filled in (a percent sign is written `%%`)."""
    return gettext(message) % places


def n_(one: str, many: str, number: int, **places: object) -> str:
    """The same in the form that the number has; its place is `%(number)s`, written with separators."""
    return ngettext(one, many, number) % {"number": written(number), **places}


def written(number: int) -> str:
    """A number as the reader writes it: 1,312 or 1.312."""
    if _reader.get().language == ENGLISH:
        return f"{number:,}"
    from babel.numbers import format_decimal

    return format_decimal(number, locale=_reader.get().language)


def NP_(context: str, message: str) -> str:  # noqa: N802 - read by scripts/languages.py; as `N_`
    """The same for `pgettext`, which is given the context again."""
    return message


def N_(message: str) -> str:  # noqa: N802 - the field's name for it: marks now, translates later
    """Mark a sentence of a table for the catalogs; whoever uses it passes it to `_`."""
    return message
