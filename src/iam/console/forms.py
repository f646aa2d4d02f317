"""Forms of the console: fields as data, read one by one, each mistake in words beside its field."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_PLAIN = re.compile(r"[^\x00-\x1f\x7f]*")

Kind = Literal["text", "password", "lines", "choices", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as a page shows it. Of `lines`, each line is a value; of `choices`, each checked box."""

    name: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    required: bool = False
    options: Sequence[tuple[str, str]] = ()
    value: Any = ""

    def with_value(self, value: Any) -> "Field":
        """The same field with what stands in it."""
        return Field(
            name=self.name,
            label=self.label,
            kind=self.kind,
            hint=self.hint,
            required=self.required,
            options=self.options,
            value=value,
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
        words: str = "This cannot be used.",
        required: bool = False,
    ) -> str:
        """The value of a field without surrounding space; '' if it is empty or wrong."""
        value = self.fields.get(name, "").strip()
        if not value:
            if required:
                self.wrong[name] = "This is needed."
            return ""
        if len(value) > longest:
            self.wrong[name] = f"At most {longest} characters."
        elif not _PLAIN.fullmatch(value) or (
            pattern is not None and not re.fullmatch(pattern, value, re.ASCII)
        ):
            self.wrong[name] = words
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
            self.wrong[name] = f"At most {most} lines."
        for value in values:
            if len(value) > longest or not re.fullmatch(pattern, value, re.ASCII):
                self.wrong[name] = f"“{value[:80]}”: {words}"
        return values

    def choices(self, name: str, options: Sequence[tuple[str, str]]) -> list[str]:
        """The boxes of a field that are checked: sent as `<name>.<value>`."""
        return [value for value, _ in options if f"{name}.{value}" in self.fields]

    def choice(self, name: str, options: Sequence[tuple[str, str]]) -> str:
        """The option that was chosen."""
        value = self.fields.get(name, "")
        if value not in dict(options):
            self.wrong[name] = "Choose one of these."
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
