"""What the OpenAPI document says beyond the routes' own signatures: errors and how to authenticate."""

from typing import Any

PROBLEM = "application/problem+json"

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. Programs read `code`, which is stable; `title` and `detail` are for people.",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "end_reason": {"type": "string"},
        "retry_after": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "code"],
}

SECURITY_SCHEMES: dict[str, Any] = {
    "session": {
        "type": "http",
        "scheme": "bearer",
        "description": "A session's token, `<session ID>.<secret>`.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-iam",
        "description": "The browser session of the sign-in page. On an http loopback issuer: `iam`.",
    },
    "client": {
        "type": "http",
        "scheme": "basic",
        "description": "An application's client ID and client secret.",
    },
}

BY_SESSION: list[dict[str, list[str]]] = [{"session": []}, {"cookie": []}]
BY_CLIENT: list[dict[str, list[str]]] = [{"client": []}]
BY_MANAGER = [*BY_SESSION, *BY_CLIENT]

_MEANINGS = {
    400: "The body is no JSON: `malformed_json`.",
    401: "No valid session or client credentials.",
    403: "The caller may not do this.",
    404: "There is no such thing, or not for this caller.",
    409: "It contradicts what is stored.",
    413: "The body is too large: `body_too_large`.",
    415: "The body is not `application/json`.",
    422: "The request breaks a rule of form; `errors` says which.",
    429: "Too many attempts; `Retry-After` says when again.",
    503: "The database does not answer.",
}


def errors(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The documented error answers of a route; those that any route has need not be named.

    Args:
        body: the route takes a body, so its body can be wrong.
    """
    usual = {422, 503, 413, 415}
    wanted = sorted({*statuses, *usual, *((400,) if body else ())})
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _MEANINGS[status], "content": {PROBLEM: {"schema": schema}}}
        for status in wanted
    }


def secured(schemes: list[dict[str, list[str]]]) -> dict[str, Any]:
    """The `openapi_extra` of a route that one of these authenticates."""
    return {"security": schemes}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """The generated document with what the generator cannot know."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    components["securitySchemes"] = SECURITY_SCHEMES
    for methods in document["paths"].values():
        for method, operation in methods.items():
            if method == "get":  # nothing to bound: a body is not read
                operation["responses"].pop("413", None)
                operation["responses"].pop("415", None)
    return document
