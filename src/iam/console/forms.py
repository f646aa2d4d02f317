"""Forms of the console: fields as data, read one by one, each mistake in words beside its field."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from iam.languages import _, gettext, written

_PLAIN = re.compile(r"[^\x00-\x1f\x7f]*")

Kind = Literal["text", "password", "lines", "document", "choices", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as a page shows it. Of `lines`, each line is a value; of `choices`, each checked box; a
    `document` may be read from a file. What few need (`more`) is folded away. Of those that are `either`, one
    is needed. The hint of one that `warns` is no advice but a warning.

    Tables of fields say their words in English, marked with `N_`, and pages ask for them `spoken`. `places`
    fill in the hint; `said` are words that are in the reader's language already, or are data.
    """

    name: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    required: bool = False
    options: Sequence[tuple[str, str]] = ()
    value: Any = ""
    places: Mapping[str, object] = field(default_factory=dict)
    said: bool = False
    more: bool = False
    either: bool = False
    warns: bool = False

    def with_options(self, options: Sequence[tuple[str, str]]) -> "Field":
        """The same field with other choices."""
        return replace(self, options=options)

    def with_value(self, value: Any) -> "Field":
        """The same field with what stands in it."""
        return replace(self, value=value)

    def spoken(self) -> "Field":
        """The same field in the reader's language."""
        if self.said:
            return self
        return replace(
            self,
            label=gettext(self.label),
            hint=_(self.hint, **self.places) if self.hint else "",
            options=[(value, gettext(words)) for value, words in self.options],
            said=True,
        )


@dataclass(slots=True)
class Sent:
    """What a form sent, and what is wrong with it so far, by field."""

    fields: Mapping[str, str]
    wrong: dict[str, str] = field(default_factory=dict)

    def text(
        self,
        name: str,
        *,
        longest: int = 128,
        pattern: str | None = None,
        words: str | None = None,
        required: bool = False,
    ) -> str:
        """The value of a field without surrounding space; '' if it is empty or wrong. `words` say what is
        wrong with one that does not fit."""
        value = self.fields.get(name, "").strip()
        if not value:
            if required:
                self.wrong[name] = _("This is needed.")
            return ""
        if len(value) > longest:
            self.wrong[name] = _("At most %(number)s characters.", number=written(longest))
        elif not _PLAIN.fullmatch(value) or (
            pattern is not None and not re.fullmatch(pattern, value, re.ASCII)
        ):
            self.wrong[name] = words or _("This cannot be used.")
        else:
            return value
        return ""

    def lines(
        self, name: str, *, pattern: str, words: str, longest: int = 2048, most: int = 50
    ) -> list[str]:
        """The lines of a field, each once; empty ones do not count."""
        given = self.fields.get(name, "").splitlines()
        values = list(dict.fromkeys(one.strip() for one in given if one.strip()))
        if len(values) > most:
            self.wrong[name] = _("At most %(number)s lines.", number=written(most))
        for value in values:
            if len(value) > longest or not re.fullmatch(pattern, value, re.ASCII):
                self.wrong[name] = _("“%(value)s”: %(words)s", value=value[:80], words=words)
        return values

    def choices(self, name: str, options: Sequence[tuple[str, str]]) -> list[str]:
        """The boxes of a field that are checked: sent as `<name>.<value>`."""
        return [value for value, _ in options if f"{name}.{value}" in self.fields]

    def choice(self, name: str, options: Sequence[tuple[str, str]]) -> str:
        """The option that was chosen."""
        value = self.fields.get(name, "")
        if value not in dict(options):
            self.wrong[name] = _("Choose one of these.")
        return value


def filled(fields: Sequence[Field], sent: Mapping[str, str]) -> list[Field]:
    """The fields with what was sent in them, to be corrected. A password is typed again."""
    shown = []
    for one in fields:
        if one.kind == "password":
            value: Any = ""
        elif one.kind == "choices":
            value = [each for each, _ in one.options if f"{one.name}.{each}" in sent]
        else:
            value = sent.get(one.name, "")
        shown.append(one.with_value(value))
    return shown
