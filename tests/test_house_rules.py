"""The house rules that no linter knows, read off the source itself.

What needs an exception gets a line in `EXCEPTIONS`, with its reason.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "iam"

EDGES = ("cli", "server", "web", "gate", "oidc", "saml", "api", "console", "account", "hanzo")
"""Packages that stand at the outside world, where the present moment comes in."""

CLOCKS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.time",
    "time.time_ns",
}
STOPWATCHES = {
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
}
RANDOMNESS = re.compile(r"(secrets\.(?!compare_digest)|random\.|os\.urandom$|uuid\.uuid[1467]$)")

EXCEPTIONS = {
    ("kernel/clock.py", "time.time_ns"): "the one clock, handed in by the edges",
    ("db/engine.py", "random.uniform"): "spreads retries of a deadlock; no value depends on it",
}

LONGEST = 400
"""Lines of a file that is still read in one sitting."""


def _sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if not {"node_modules", ".venv"} & set(path.parts))


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _mentions(path: Path) -> Iterator[str]:
    """The dotted names of what a file uses of other modules, however it imported them.

    A name that is only passed on counts as well: `clock=time.time` reads the clock later.
    """
    tree = ast.parse(path.read_text())
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                imported[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        parts: list[str] = []
        here: ast.AST = node
        while isinstance(here, ast.Attribute):
            parts.insert(0, here.attr)
            here = here.value
        if isinstance(here, ast.Name) and here.id in imported:
            yield ".".join([imported[here.id], *parts])


def test_below_the_edges_nobody_reads_the_clock() -> None:
    found = [
        f"{_name(path)}: {name}"
        for path in _sources("src")
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in EDGES
        for name in _mentions(path)
        if name in CLOCKS | STOPWATCHES and (_name(path), name) not in EXCEPTIONS
    ]

    assert found == [], "take `now` as an argument"


def test_randomness_comes_from_the_kernel_alone() -> None:
    found = [
        f"{_name(path)}: {name}"
        for path in _sources("src")
        if _name(path) != "kernel/secrets.py"
        for name in _mentions(path)
        if RANDOMNESS.match(name) and (_name(path), name) not in EXCEPTIONS
    ]

    assert found == [], "take a `Random` as an argument"


def test_every_exception_is_still_needed() -> None:
    used = {(_name(path), name) for path in _sources("src") for name in _mentions(path)}

    assert set(EXCEPTIONS) - used == set()


@pytest.mark.parametrize(
    "package", sorted(PACKAGE.glob("*/__init__.py")), ids=lambda path: path.parent.name
)
def test_a_package_says_what_it_owns_what_not_and_whom_it_hands_to(package: Path) -> None:
    text = ast.get_docstring(ast.parse(package.read_text())) or ""

    missing = [word for word in ("Owns: ", "Does not own: ", "Hands to: ") if word not in text]

    assert missing == []


def test_every_silenced_check_has_its_reason_beside_it() -> None:
    directive = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:|fmt:\s*(off|skip))")
    reasoned = re.compile(
        r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[\w, -]+\]|pragma: [\w ]+|fmt: \w+)\s*(-|#).*\w{4,}"
    )
    found = [
        f"{path.relative_to(ROOT)}:{token.start[0]}: {token.string}"
        for path in _sources("src", "tests", "benchmarks")
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type == tokenize.COMMENT
        and directive.search(token.string)
        and not reasoned.search(token.string)
    ]

    assert found == [], "write it as `# noqa: S608 - why this is safe`"


def test_no_file_is_too_long_to_be_read_in_one_sitting() -> None:
    lengths = {_name(path): len(path.read_text().splitlines()) for path in _sources("src")}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}
