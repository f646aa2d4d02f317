"""Errors as people and programs see them: the only place that knows HTTP statuses.

Programs get RFC 9457 `application/problem+json` with a stable `code`; people get a page.
"""

from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.kernel.errors import (
    Conflict,
    Forbidden,
    IamError,
    Invalid,
    Missing,
    Throttled,
    Unauthenticated,
    Unavailable,
)

_STATUS: dict[type[IamError], int] = {
    Invalid: 422,
    Unauthenticated: 401,
    Forbidden: 403,
    Missing: 404,
    Conflict: 409,
    Throttled: 429,
    Unavailable: 503,
}
_HTTP_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    431: "headers_too_large",
}
_log = structlog.get_logger("iam.web")


def status_of(error: IamError) -> int:
    """The HTTP status of this kind of error."""
    return next(status for kind, status in _STATUS.items() if isinstance(error, kind))


def problem(
    status: int, code: str, title: str, detail: str | None = None, **members: object
) -> Response:
    """An RFC 9457 answer. `code` is stable; `title` and `detail` are for people."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "code": code}
    if detail:
        body["detail"] = detail
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = f'Bearer realm="iam", error="{code}"'
    if status == 429 or status == 503:
        headers["retry-after"] = str(members.get("retry_after", 1))
    return JSONResponse(
        {**body, **members}, status, headers=headers, media_type="application/problem+json"
    )


def problem_of(error: IamError) -> Response:
    """The problem+json answer for an error of ours."""
    return problem(status_of(error), error.code, error.title, error.detail, **error.members)


def on_iam_error(request: Request, error: Exception) -> Response:
    """Exception handler for every `IamError`."""
    assert isinstance(error, IamError)  # noqa: S101 - what it is registered for
    if isinstance(error, Unavailable):
        _log.warning("unavailable", path=request.url.path, code=error.code, detail=error.detail)
        # The operator reads why in the log; the caller learns nothing of the inside.
        return problem(status_of(error), error.code, error.title)
    return problem_of(error)


def on_http_error(_request: Request, error: Exception) -> Response:
    """Exception handler for Starlette's own errors (no such route, wrong method …)."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    code = _HTTP_CODES.get(error.status_code, "invalid_request")
    response = problem(error.status_code, code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


def on_crash(request: Request, error: Exception) -> Response:
    """Exception handler for our own bugs: logged whole, answered without a word of the inside."""
    _log.error("crash", path=request.url.path, method=request.method, exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side. It has been logged.")
