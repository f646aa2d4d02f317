"""The FastAPI application: routes, its own error handlers, its OpenAPI document."""

from functools import partial
from importlib.metadata import version
from typing import Any, get_args

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from iam.api import (
    applications_api,
    consents_api,
    directory_api,
    events_api,
    mails_api,
    own_api,
    policies_api,
    progress_api,
    providers_api,
    registrations_api,
    saml_api,
    search_api,
    session_api,
    sessions_api,
    stream_api,
    users_api,
    webhooks_api,
)
from iam.api.access import only_known_parameters
from iam.api.documents import complete
from iam.api.guard import Guard
from iam.directory.providers import Kind
from iam.kernel.errors import IamError, Invalid
from iam.web.engine import Engine
from iam.web.problems import on_crash, on_http_error, on_iam_error, problem

_TAGS = [
    {"name": "session", "description": "Signing in, and one's own sessions."},
    {"name": "sessions", "description": "Sessions and session records of others."},
    {"name": "directory", "description": "Organizations, applications and users."},
    {"name": "policies", "description": "How long sessions last."},
    {"name": "events", "description": "What happened."},
    {"name": "webhooks", "description": "Whom we tell of events, and what became of it."},
    {"name": "mails", "description": "Mails about new devices, and what became of them."},
]


def create_api() -> FastAPI:
    """The application; its `state.engine` is still to be set."""
    app = FastAPI(
        title="Hanzo IAM",
        summary="Sessions, and who may have them.",
        description=(
            "Errors are `application/problem+json` (RFC 9457) with a stable `code`. Instants are "
            "RFC 3339 in UTC, durations are seconds. Lists are paged: pass `next` of one page as "
            "`cursor` to get the one after it."
        ),
        version=version("hanzo-iam"),
        openapi_url="/v1/openapi.json",
        # Their pages load scripts from elsewhere, which our Content-Security-Policy forbids.
        docs_url=None,
        redoc_url=None,
        openapi_tags=_TAGS,
        redirect_slashes=False,
        dependencies=[Depends(only_known_parameters)],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.add_exception_handler(IamError, on_iam_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, on_crash)
    for router in (
        session_api.router,
        own_api.router,
        consents_api.router,
        search_api.router,
        progress_api.router,
        sessions_api.router,
        sessions_api.hot,
        directory_api.router,
        applications_api.router,
        saml_api.router,
        users_api.router,
        providers_api.router,
        registrations_api.router,
        policies_api.router,
        events_api.router,
        stream_api.router,
        webhooks_api.router,
        mails_api.router,
    ):
        app.include_router(router)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]  # FastAPI documents replacing it so
    return app


def door(engine: Engine) -> ASGIApp:
    """What answers every path under `/v1`."""
    app = create_api()
    app.state.engine = engine
    return Guard(_Direct(app))


class _Direct:
    """Answers the routes that take one hop (`access.OneHop`) without the framework's way to them: a dozen
    layers of middleware and routers, which cost as much as starting a session."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._handlers = {
            (method, route.path): route.get_route_handler()
            for route in sessions_api.hot.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = scope["type"] == "http" and self._handlers.get((scope["method"], scope["path"]))
        if not handle:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        request = Request(scope, receive)
        try:
            response = await handle(request)
        except IamError as error:
            response = on_iam_error(request, error)
        except RequestValidationError as error:
            response = await _on_invalid(request, error)
        except Exception as error:  # noqa: BLE001 - what the framework does with a bug
            response = on_crash(request, error)
        await response(scope, receive, send)


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document that `/v1/openapi.json` serves."""
    document: dict[str, Any] = create_api().openapi()
    return document


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = complete(
            get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                license_info=app.license_info,
            )
        )
    return app.openapi_schema


async def _on_invalid(_request: Request, error: Exception) -> Response:
    """422 that names the fields and never repeats what was sent: it may be a password."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problem(400, "malformed_json", "The body is not JSON.")
    mistakes = [
        {"field": _field(one["loc"]), "message": str(one["msg"]).removeprefix("Value error, ")}
        for one in found[:50]
    ]
    return problem(422, Invalid.code, Invalid.title, errors=mistakes)


def _field(location: tuple[int | str, ...]) -> str:
    # A name can be the caller's own invention: bounded, and whatever no UTF-8 can say replaced.
    # Where there are bodies of several kinds the framework names the kind, which is no member.
    members = location[2:] if len(location) > 2 and location[1] in get_args(Kind) else location[1:]
    text = ".".join(str(part) for part in members) or str(location[0])
    return text[:200].encode("utf-8", "replace").decode()


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    if error.status_code == 400:
        return problem(400, "malformed_json", "The body is not JSON.")
    answer = on_http_error(request, error)
    if error.status_code == 405:
        answer.headers["allow"] = ", ".join(sorted(_methods_at(request.app, request.url.path)))
    return answer


def _methods_at(app: FastAPI, path: str) -> set[str]:
    """All methods of a resource (the framework names those of the first route it meets)."""
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(app.routes):
        if route.path and route.methods and compile_path(route.path)[0].match(path):
            found.setdefault(route.path, set()).update(route.methods)
    # `/v1/sessions/end` is a resource of its own, not the session "end".
    return found[min(found, key=lambda one: one.count("{"))] if found else set()
