"""The documents say what is there: everything the outside can meet is in its reference, nothing stale."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic_core import PydanticUndefined
from starlette.routing import BaseRoute, Route

import iam
from iam import hanzo
from iam.api import openapi_document
from iam.gate import HOT_PATHS
from iam.kernel.errors import IamError
from iam.sessions.knobs import KNOBS, Knob
from iam.settings import Settings
from tests.support.world import World

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PACKAGE = ROOT / "src" / "iam"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

EVENT_TYPE = re.compile(r"[a-z_]+\.[a-z_]+")
PROBLEM_CODE_ARGUMENT = 1  # problem(status, code, title)


def rows(name: str) -> dict[str, str]:
    """The tables of a reference page: what stands in the first cell as code, and its whole line.

    Raises AssertionError when a page lists something twice.
    """
    found: dict[str, str] = {}
    for line in (REFERENCE / name).read_text().splitlines():
        match = re.match(r"\| `([^`]+)` \|", line)
        if match:
            assert match[1] not in found, f"{name} lists {match[1]} twice"
            found[match[1]] = line
    return found


def trees() -> Iterator[ast.Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ast.parse(path.read_text())


def event_types() -> set[str]:
    """What stands as a dotted word in a call that makes or notes an event."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name_of(node).strip("_").lower() in (
                "event",
                "note",
                "credentials_changed",
                "finish",  # an enrolment, which hands the word on
            ):
                given = [*node.args, *(word.value for word in node.keywords if word.arg == "type")]
                found |= {
                    part.value
                    for one in given
                    for part in ast.walk(one)
                    if isinstance(part, ast.Constant)
                    and isinstance(part.value, str)
                    and EVENT_TYPE.fullmatch(part.value)
                }
    return found


def _name_of(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def error_codes() -> set[str]:
    """Every `code` that a problem document or an error page may carry."""
    for module in pkgutil.walk_packages(iam.__path__, "iam."):
        if not module.name.endswith(("__main__", ".env")) and ".versions." not in module.name:
            importlib.import_module(module.name)
    found, waiting = set[str](), IamError.__subclasses__()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found.add(kind.code)
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found |= set(_codes_of_call(node))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_code_table(node):
                found |= {
                    part.value
                    for part in ast.walk(node)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }
    return found


def _codes_of_call(node: ast.Call) -> Iterator[str]:
    name = _name_of(node)
    if name not in ("problem", "error_page", "gate_page"):
        return
    given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    if name == "problem" and len(node.args) > PROBLEM_CODE_ARGUMENT:
        given.append(node.args[PROBLEM_CODE_ARGUMENT])
    for one in given:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _is_code_table(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(one, ast.Name) and one.id.endswith("_CODES") for one in targets)


def commands() -> dict[str, Any]:
    """`iam …`, each command by the words that call it."""
    from iam.cli.main import app

    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[" ".join(words)] = command
            return
        for name, child in children.items():
            walk(child, (*words, name))

    walk(typer.main.get_command(app), ("iam",))
    return found


def served(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """(method, path) of every page; what lies under `/v1` is as the OpenAPI document has it."""
    for path, methods in openapi_document()["paths"].items():
        yield from ((method.upper(), path) for method in methods)
    for route in routes:
        if not isinstance(route, Route):
            assert route.path == "/static", "a mount that this test cannot see into"  # type: ignore[attr-defined] # any mount has one
        else:
            for method in (route.methods or set()) - {"HEAD"}:
                yield method, re.sub(r":[a-z]+}", "}", route.path)


def test_every_setting_is_described_with_its_default_and_nothing_else() -> None:
    described = rows("settings.md")
    fields = {f"IAM_{name.upper()}": field for name, field in Settings.model_fields.items()}

    assert set(described) == set(fields)
    missing = [
        name
        for name, field in fields.items()
        if field.default not in (PydanticUndefined, None, "", ())
        and f"`{field.default}`" not in described[name]
    ]
    assert missing == [], "the default is not in its row"


def test_every_event_type_is_described_and_nothing_else() -> None:
    assert set(rows("events.md")) == event_types()


def test_every_event_type_can_be_chosen_for_a_webhook() -> None:
    from iam.kernel.events import EVENT_TYPES

    assert set(EVENT_TYPES) == event_types()


def test_every_end_reason_is_described() -> None:
    from iam.sessions.model import EndReason

    text = (REFERENCE / "events.md").read_text()

    assert [reason for reason in EndReason if f"- `{reason}`" not in text] == []


def test_every_knob_of_a_policy_is_described_as_it_is_and_nothing_else() -> None:
    described = rows("policies.md")

    assert described == {knob.name: _row(knob) for knob in KNOBS}


def _row(knob: Knob) -> str:
    words = {"None": "none", "True": "yes", "False": "no"}
    default = words.get(str(knob.default), f"`{knob.default}`")
    return f"| `{knob.name}` | {knob.kind} | {default} | {knob.wins} | {knob.about} |"


def test_every_error_code_is_described_and_nothing_else() -> None:
    assert set(rows("errors.md")) == error_codes()


def test_every_command_is_described_with_its_options_and_nothing_else() -> None:
    described, there = rows("commands.md"), commands()

    assert set(described) == set(there)
    missing = [
        f"{words} {option}"
        for words, command in there.items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--help" and f"`{option}" not in described[words]
    ]
    assert missing == []


def test_every_route_is_described_and_nothing_else(world: World) -> None:
    paths = {f"{method} {path}" for method, path in served(world.app.pages.routes)}
    paths |= {f"GET {path}" for path in HOT_PATHS}
    described = {
        f"{method} {path}"
        for cell in rows("api.md")
        for methods, _, path in [cell.partition(" ")]
        for method in methods.split(",")
    }

    assert described - paths == set(), "described, but not there"
    assert paths - described == set(), "there, but not described"


def test_every_route_of_hanzo_and_casdoor_is_described_and_nothing_else() -> None:
    paths = {
        f"{method} {route.path}"
        for route in hanzo.routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = set()
    for cell in rows("hanzo.md"):
        methods, _, path = cell.partition(" ")
        for method in methods.split(","):
            if path.startswith("/"):
                described.add(f"{method} {path}")
            else:
                described |= {f"{method} {prefix}{path}" for prefix in ("/api/", "/v1/iam/")}

    assert described - paths == set(), "described, but not there"
    assert paths - described == set(), "there, but not described"


def test_every_metric_is_described_and_nothing_else(world: World) -> None:
    families = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in world.engine.metrics.registry.collect()
    }

    assert set(rows("metrics.md")) == families


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_links_of_a_document_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)

    assert broken == []


def _anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).strip().replace(" ", "-") for one in headings}


def test_every_document_can_be_found_from_the_readme() -> None:
    seen, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in seen:
            continue
        seen.add(document)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", document.read_text()):
            linked = (document.parent / target).resolve()
            if linked.exists():
                waiting.append(linked)

    assert [path.relative_to(ROOT).as_posix() for path in DOCUMENTS if path not in seen] == []
