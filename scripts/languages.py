"""Collect the sentences of the code into the catalogs, and say what is left to translate.

    python scripts/languages.py          bring the catalogs in step with the code
    python scripts/languages.py --left   and print, for each language, what has no translation yet

What is marked is found by Babel: `_`, `n_`, `N_` and their like in Python, in templates, and in the scripts'
list. The titles of errors are found by themselves: every class of an error has one.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from iam.languages import ENGLISH, LANGUAGES

SOURCE = Path(__file__).parent.parent / "src"
CATALOGS = SOURCE / "iam/languages/catalogs"
_KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "n_": (1, 2),
    "pgettext": ((1, "c"), 2),
    "NP_": ((1, "c"), 2),
}
_COMMENTS = ["Translators:"]
# Of the header: what says when and by whom, as the history does.
_OF_THE_MOMENT = (
    b'"Project-Id',
    b'"Report-Msgid',
    b'"POT-Creation',
    b'"PO-Revision',
    b'"Last-Translator',
    b'"Language-Team',
    b'"Generated-By',
)


def collect() -> Catalog:
    """The template: every sentence of the code, with the files that say it."""
    template = Catalog(project="Hanzo IAM", version="0", charset="utf-8", fuzzy=False)
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix == ".py":
            method = "python"
        elif path.suffix == ".html":
            method = "jinja2.ext:babel_extract"
        else:
            continue
        place = path.relative_to(SOURCE).as_posix()
        options = {
            "trimmed": "true",
            "trim_blocks": "true",
            "lstrip_blocks": "true",
            "silent": "false",
        }
        found = extract_from_file(method, path, _KEYWORDS, _COMMENTS, options)
        for _line, message, comments, context in found:
            template.add(message, locations=[(place, 1)], auto_comments=comments, context=context)
        if method == "python":
            for title in _titles(ast.parse(path.read_text())):
                template.add(title, locations=[(place, 1)])
    return template


def _titles(module: ast.Module) -> Iterator[str]:
    """What classes of errors are called: their `title`, beside a `code`."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            said = {}
            for line in node.body:
                target = line.targets[0] if isinstance(line, ast.Assign) else None
                if isinstance(line, ast.AnnAssign):
                    target = line.target
                value = line.value if isinstance(line, ast.Assign | ast.AnnAssign) else None
                if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                    said[target.id] = value.value
            title = said.get("title")
            if "code" in said and isinstance(title, str):
                yield title


def in_step(language: str, template: Catalog) -> Catalog:
    """The catalog of a language with the sentences of the template, and the translations it has of them."""
    path = CATALOGS / f"{language}.po"
    if path.exists():
        with path.open("rb") as file:
            catalog = read_po(file, locale=language)
    else:
        catalog = Catalog(locale=language, charset="utf-8", fuzzy=False)
    # What has changed is translated anew: a guess that is nearly right is wrong.
    catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
    catalog.obsolete.clear()
    return catalog


def write(language: str, catalog: Catalog) -> None:
    """Write it, in an order and a form that change only where a sentence does."""
    catalog.header_comment = "# Kept in step with the code by scripts/languages.py."
    written = BytesIO()
    write_po(written, catalog, width=0, sort_by_file=True, include_lineno=False)
    lines = written.getvalue().splitlines(keepends=True)
    kept = (line for line in lines if not line.startswith(_OF_THE_MOMENT))
    (CATALOGS / f"{language}.po").write_bytes(b"".join(kept))


def untranslated(catalog: Catalog) -> list[str]:
    """The sentences that have no translation, or not in every form."""
    left = []
    for message in catalog:
        forms = (
            [message.string] if isinstance(message.string, str) else list(message.string or [""])
        )
        if message.id and not all(forms):
            left.append(message.id if isinstance(message.id, str) else message.id[0])
    return left


def main() -> int:
    """Bring the catalogs in step; answer 1 if there is something left to translate."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--left", action="store_true", help="print what has no translation yet")
    show = arguments.parse_args().left
    template, any_left = collect(), False
    for language in LANGUAGES:
        if language == ENGLISH:
            continue
        catalog = in_step(language, template)
        write(language, catalog)
        left = untranslated(catalog)
        any_left = any_left or bool(left)
        print(f"{language}: {len(catalog)} sentences, {len(left)} to translate")
        for sentence in left if show else []:
            print(f"    {sentence}")
    return 1 if any_left else 0


if __name__ == "__main__":
    sys.exit(main())
