"""The root application: the gate's hot path first, then the doors."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable

import anyio.to_thread
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iam import account, api, console, gate, hanzo, oidc, saml
from iam.db.migrate import HEAD, current_revision
from iam.kernel.errors import IamError, Unavailable
from iam.server.build import close_engine
from iam.server.jobs import run_jobs
from iam.web import brand_files
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.pages import STATIC
from iam.web.problems import on_crash, on_http_error, on_iam_error, problem

LARGEST_BODY = 1024 * 1024
LARGEST_HEADERS = 32 * 1024
# At work in the database at a time. More of them only take turns at the interpreter, which costs all
# of them a third of their pace, and the validations beside them their punctuality.
_THREADS = 8


async def healthz(_request: Request) -> Response:
    """The process runs. Asks nothing else: a restart would not mend a database that is away."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Whether this node can serve, part by part: 503 names the one that cannot."""
    engine = engine_of(request)
    parts: dict[str, str] = {}
    try:
        database, threads = engine.database, engine.threads
        revision = await in_thread(lambda: database.read(current_revision), threads)
        behind = f"at revision {revision}, needs {HEAD}"
        parts["schema"] = "ok" if revision == HEAD else behind
        await in_thread(lambda: database.write(lambda c: c.execute(text("SELECT 1"))), threads)
        parts["database"] = "ok"
        await engine.reader.read("")
        parts["reader"] = "ok"
    except Unavailable:
        parts["database"] = "does not answer"
    parts["keys"] = "ok" if engine.keys else "there is no signing key"
    ready = all(state == "ok" for state in parts.values())
    body = {"ready": ready, "parts": parts}
    return JSONResponse(body, 200 if ready else 503, headers={"cache-control": "no-store"})


async def metrics(request: Request) -> Response:
    """Prometheus text format. Keep it from the outside at the proxy, as docs/reference says."""
    body = engine_of(request).metrics.render()
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")


def create_app(engine: Engine) -> "Root":
    """The application for an engine, without start-up and jobs: what tests drive."""
    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Mount("/static", StaticFiles(directory=STATIC)),
        *brand_files.routes(),
        *oidc.routes(),
        *saml.routes(),
        *gate.routes(),
        *account.routes(),
        *console.routes(),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            IamError: on_iam_error,
            HTTPException: on_http_error,
            Exception: on_crash,
        },
    )
    app.state.engine = engine
    return Root(app, api.door(engine), hanzo.door(engine), gate.hot_path(engine), engine)


class Root:
    """What uvicorn calls: bounds every request, and takes the gate's before any framework."""

    def __init__(
        self, pages: ASGIApp, programs: ASGIApp, legacy: ASGIApp, hot: gate.Gate, engine: Engine
    ) -> None:
        self.pages, self.programs, self.legacy = pages, programs, legacy
        self.hot, self._engine = hot, engine
        self.introspection = oidc.Introspection(engine, self._to_pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.pages(scope, receive, send)
            return
        path = scope["path"]
        if gate.door_at(path) is not None:
            await self.hot(scope, receive, send)
            return
        if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEADERS:
            answer = problem(431, "headers_too_large", "The request's headers are too large.")
            await answer(scope, receive, send)
            return
        door = path[1:].split("/", 1)[0]
        with self._engine.metrics.durations.labels(door if door in _DOORS else "other").time():
            if path == oidc.INTROSPECTION:
                await self.introspection(scope, receive, send)
            elif hanzo.answers(path):
                await self.legacy(scope, _bounded(receive), send)
            elif door == "v1":
                # Programs call often: their path is not compared with that of every page first.
                await self.programs(scope, receive, send)
            else:
                await self._to_pages(scope, receive, send)

    async def _to_pages(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.pages(scope, _bounded(receive), send)


_DOORS = frozenset(
    {
        *("v1", "api", "oauth", "account", "console", "sign-in", "sign-out"),
        *("device", "gate", ".iam", "saml"),
    }
)


def _bounded(receive: Receive) -> Receive:
    """A body larger than any page takes is not read to its end. (The API bounds its own.)"""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise HTTPException(413, "The body is too large.")
        return message

    return bounded


def create_server_app(build: Callable[[], Engine]) -> ASGIApp:
    """The application as uvicorn runs it: the engine is built on its loop, jobs run beside it."""
    inner: list[ASGIApp] = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, object]]:
        engine = build()
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        root = create_app(engine)
        inner.append(root)
        # What is loaded now stays for good: the collector need not look through it while it serves.
        gc.collect()
        gc.freeze()
        jobs = asyncio.create_task(run_jobs(engine))
        try:
            # For `gate.GateProtocol`, which asks the gate without the way through ASGI.
            yield {gate.STATE_KEY: root.hot}
        finally:
            jobs.cancel()
            await asyncio.gather(jobs, return_exceptions=True)
            await close_engine(engine)

    shell = Starlette(lifespan=lifespan)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await shell(scope, receive, send)
        else:
            await inner[0](scope, receive, send)

    return app
