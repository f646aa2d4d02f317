"""Every route of the API as its own document lists them, so that no table can forget one."""

from typing import Any, NamedTuple

from iam.api import openapi_document


class Operation(NamedTuple):
    id: str
    method: str
    path: str
    body: str | None
    """The name of the schema of its request body."""
    query: tuple[str, ...]


def operations() -> list[Operation]:
    """All operations of the OpenAPI document."""
    return [
        Operation(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            body=_body(operation),
            query=tuple(p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"),
        )
        for path, methods in openapi_document()["paths"].items()
        for method, operation in methods.items()
    ]


def _body(operation: dict[str, Any]) -> str | None:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    # Where there is a choice among several, by the first of them.
    name: str = schema.get("oneOf", [schema])[0].get("$ref", "")
    return name.rpartition("/")[2] or None


OPERATIONS = operations()
