"""A language that nobody speaks: every sentence of the catalogs in ⟦brackets⟧, so that what is shown without
them has not been marked for translation, or is not collected."""

import functools
import re
from collections.abc import Collection, Iterator
from html.parser import HTMLParser

import pytest
from jinja2 import Environment

from iam import languages
from scripts.languages import collect

GERMAN = {"accept-language": "de"}
"""What a browser sends to be spoken to in it."""

_READ = (
    "alt",
    "aria-label",
    "data-confirm-label",
    "data-confirm-text",
    "data-confirm-title",
    "data-once",
    "placeholder",
    "title",
)
"""Attributes that people read or hear."""
# What is in them is data, or no text at all.
_SKIPPED = frozenset({"code", "script", "style", "svg"})
_EMPTY = frozenset({"br", "hr", "img", "input", "link", "meta"})
_LETTER = re.compile(r"[^\W\d_]")
_PIECES = re.compile(
    r"\A\s*card-page|\b(?:aria-invalid|aria-describedby|data-confirm-\w+)=\"[^\"A-Z]*\"|\bautofocus\b"
)
_ALWAYS = ("Hanzo IAM", *languages.LANGUAGES.values())


@functools.cache
def _pseudo() -> languages._Catalog:
    sentences: dict[str | tuple[str, str], str | tuple[str, ...]] = {}
    for message in collect():
        if message.id:
            ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
            said = tuple(f"⟦{one}⟧" for one in ids)
            key = (message.context, ids[0]) if message.context else ids[0]
            sentences[key] = said[0] if len(said) == 1 else said
    return languages._Catalog(sentences, lambda number: int(number != 1))


def speak_pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put it in the place of German."""
    found, before = _pseudo(), languages._catalog
    monkeypatch.setattr(
        languages,
        "_catalog",
        lambda language: found if language == "de" else before(language),
    )


class _Reader(HTMLParser):
    """What somebody reads of a page: its texts, each with what it stands in, and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._is_read:
            self.found += [
                (f"{tag} {name}", text) for name, text in attrs if name in _READ and text
            ]
        if tag not in _EMPTY:
            self._open.append((tag, tag not in _SKIPPED and ("aria-hidden", "true") not in attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in [one for one, _ in self._open]:
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._is_read:
            self.found.append((self._open[-1][0] if self._open else "", data))

    @property
    def _is_read(self) -> bool:
        return all(read for _, read in self._open)


def unmarked(page: str, data: Collection[str] = ()) -> list[str]:
    """What stands on a page outside of ⟦brackets⟧ and is none of these names and values. Dates and durations
    are as German has them: they are looked at by their words."""
    reader = _Reader()
    reader.feed(page)
    known = sorted((*_ALWAYS, *data), key=len, reverse=True)
    left, depth = [], 0
    for where, text in reader.found:
        # A sentence with markup in it goes on over several texts; an attribute is whole.
        outside, within = _outside(text, 0 if " " in where else depth)
        if " " not in where:
            depth = within
        for name in known:
            outside = outside.replace(name, "")
        if where.startswith("time"):
            outside = "".join(re.findall(r"\bago\b|\bin\b (?=\d+ [a-z])|\bnow\b", outside))
        if _LETTER.search(outside):
            left.append(f"{where}: {' '.join(text.split())}")
    return left


def _outside(text: str, depth: int) -> tuple[str, int]:
    kept: list[str] = []
    for part in _parts(text):
        depth += {"⟦": 1, "⟧": -1}.get(part, 0)
        if depth == 0 and part != "⟧":
            kept.append(part)
    return "".join(kept), depth


def _parts(text: str) -> Iterator[str]:
    yield from re.findall(r"[⟦⟧]|[^⟦⟧]+", text)


def unmarked_in(template: str) -> list[str]:
    """What the source of a template says to people without marking it, also where no test ever looks: its
    text outside of Jinja's own."""
    html, within = [], 0
    in_block = False
    for _, kind, value in Environment(extensions=["jinja2.ext.i18n"]).lex(template):
        in_block = kind != "block_end" if kind in ("block_begin", "block_end") else in_block
        if in_block and kind == "name":
            within += {"trans": 1, "endtrans": -1}.get(value, 0)
        if kind == "data" and not within:
            html.append(value)
        if kind == "variable_begin":
            html.append("…")
    # Macros and blocks hold pieces of tags as well: nobody reads those.
    return unmarked(_PIECES.sub("", "".join(html)))
