"""From a table of verbs to routes: every verb stands under `/api/` and under `/v1/iam/`.

A handler is a function of a `Call`. A plain one runs in a thread (it may use the database), a coroutine on
the event loop. It answers a `Reply`, or a response of its own, and raises what is wrong.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from iam.hanzo.call import Call, read_body
from iam.hanzo.credentials import Shown, who_calls
from iam.hanzo.envelope import Reply, json_answer, refused, respond
from iam.hanzo.messages import language_of
from iam.kernel.clock import Instant
from iam.kernel.errors import IamError
from iam.oidc.cross_origin import cross_origin
from iam.sessions.store import read_session
from iam.web.address import origin_of
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.fresh import is_fresh
from iam.web.problems import status_of

PREFIXES = ("/api/", "/v1/iam/")
DEPRECATED_SINCE = 1795651200
"""Seconds since 1970: when secrets in the query were deprecated here, from the first day on."""

Handler = Callable[[Call], Reply | Response | Awaitable[Reply | Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One operation, and how it is called."""

    name: str
    methods: tuple[str, ...]
    handler: Handler
    writes: bool = False
    """Whether it changes something: with a cookie it must then come from a page of this server, by
    whatever method it is called."""
    own_status: bool = False
    """Whether errors have their HTTP status (as the nouns of Hanzo IAM do) and not 200."""
    cross_origin: bool = False
    """Whether scripts of any origin may call it, without cookies."""
    prefixes: tuple[str, ...] = PREFIXES
    reads_body: bool = True


def get(name: str, handler: Handler, *, writes: bool = False) -> Verb:
    """A verb that is asked with GET."""
    return Verb(name=name, methods=("GET",), handler=handler, writes=writes)


def post(name: str, handler: Handler) -> Verb:
    """A verb that is asked with POST, and changes something."""
    return Verb(name=name, methods=("POST",), handler=handler, writes=True)


def routes_of(*verbs: Verb) -> list[Route]:
    """The routes of these verbs."""
    return [_route(verb, prefix + verb.name) for verb in verbs for prefix in verb.prefixes]


def _route(verb: Verb, path: str) -> Route:
    if verb.cross_origin:
        return cross_origin(path, _endpoint(verb), *verb.methods)
    return Route(path, _endpoint(verb), methods=list(verb.methods))


def _endpoint(verb: Verb) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            call = await _call_of(request, verb)
            response = await _answered(verb, call)
        except IamError as error:
            response = _refusal(verb, request, error)
        if _secret_in_query(request):
            response.headers["deprecation"] = f"@{DEPRECATED_SINCE}"  # RFC 9745 §2.1
        return response

    return answer


async def _call_of(request: Request, verb: Verb) -> Call:
    engine = engine_of(request)
    now = engine.clock()
    reads = verb.reads_body and request.method == "POST"
    body = await read_body(request) if reads else {}
    shown, stale = await in_thread(lambda: _judged(engine, request, now, verb))
    call = Call(
        request=request,
        engine=engine,
        now=now,
        origin=origin_of(request, engine.settings),
        shown=shown,
        body=body,
        stale=stale,
    )
    if verb.writes:
        call.check_origin()
    return call


def _judged(engine: Engine, request: Request, now: Instant, verb: Verb) -> tuple[Shown, bool]:
    """Who calls, and whether they would have to sign in again before they administer anything."""
    shown = who_calls(engine, request, now)
    person = shown.person
    if not verb.writes or not shown.by_cookie or person is None or not person.rights:
        return shown, False
    session = engine.database.look(lambda c: read_session(c, person.session.id))
    proved_at = session.authenticated_at if session is not None else None
    return shown, not is_fresh(proved_at, engine.settings, now)


async def _answered(verb: Verb, call: Call) -> Response:
    handler = verb.handler
    if inspect.iscoroutinefunction(handler):
        result = await handler(call)
    else:
        result = await in_thread(lambda: handler(call))
    if isinstance(result, Response):
        return result
    assert isinstance(result, Reply)  # noqa: S101 - what a handler answers
    return respond(result)


def _refusal(verb: Verb, request: Request, error: IamError) -> Response:
    response = refused(error, language_of(request))
    if verb.own_status:
        response.status_code = status_of(error)
        if response.status_code == 401:
            response.headers["www-authenticate"] = 'Bearer error="invalid_token"'
    return response


def _secret_in_query(request: Request) -> bool:
    names = ("clientSecret", "accessSecret", "accessToken", "access_token")
    return any(name in request.query_params for name in names)


def bare(content: Any, status: int = 200) -> Response:
    """An answer without the envelope."""
    return json_answer(content, status)
