"""The API's own document: current, complete, and true."""

import json
from pathlib import Path
from typing import Any

from iam.api import openapi_document
from tests.support.routes import OPERATIONS
from tests.support.world import World

KEPT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def test_the_document_that_is_kept_is_current() -> None:
    kept = json.loads(KEPT.read_text())
    assert kept == openapi_document(), (
        "run: .venv/bin/python -m iam.api > docs/reference/openapi.json"
    )


def test_the_document_is_served_to_anybody(world: World) -> None:
    answer = world.get("/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == openapi_document()
    assert answer.json()["openapi"].startswith("3.1")


def test_every_operation_says_what_it_does_who_may_and_how_it_fails() -> None:
    document = openapi_document()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method} {path}"
            assert operation["summary"], name
            assert operation["description"], name
            assert operation["tags"], name
            assert operation["operationId"] == "signIn" or operation["security"], name
            failures = {int(s) for s in operation["responses"] if int(s) >= 400}
            assert {401, 422, 503} <= failures, name
            for status in failures:
                content = operation["responses"][str(status)]["content"]
                reference: Any = content["application/problem+json"]["schema"]
                assert reference == {"$ref": "#/components/schemas/Problem"}, name
    assert len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)


def test_no_answer_can_hold_a_password() -> None:
    schemas = openapi_document()["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("View"):
            assert "password" not in schema["properties"], name
