"""Who may do what under `/v1`, and the small things every route needs.

Another tenant's objects do not exist for a caller: they are answered exactly like unknown ones.
"""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from fastapi import Depends, Path, Query, Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from iam.directory.names import ApplicationMissing, OrganizationMissing
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden, Missing
from iam.kernel.events import Event, Origin
from iam.kernel.ids import EVENT, make_id
from iam.sessions import store
from iam.sessions.model import Session
from iam.web.address import origin_of
from iam.web.caller import (
    Caller,
    Client,
    Person,
    caller_of,
    person_of,
    proven_client,
    require_right,
)
from iam.web.engine import Engine, engine_of
from iam.web.fresh import AuthenticationStale, is_fresh
from iam.web.returning import sign_in_address
from iam.web.rights import Right

OWN_SESSION_ENDED = "x-own-session-ended"
"""Header of an answer without a body: the caller's own session was among what it ended."""


class SessionMissing(Missing):
    """There is no such session, or not for this caller."""

    code = "session_not_found"
    title = "There is no such session."


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who makes it, when, from where, and to which engine."""

    engine: Engine
    now: Instant
    origin: Origin
    caller: Caller

    def event(self, type_: str, **members: Any) -> Event:
        """An event that this call is the cause of."""
        return Event(
            id=make_id(EVENT, self.now, self.engine.random),
            at=self.now,
            type=type_,
            actor=self.caller.actor,
            origin=self.origin,
            **members,
        )

    @property
    def cause(self) -> dict[str, Any]:
        """The arguments that everything which changes something takes."""
        return {"actor": self.caller.actor, "now": self.now, "random": self.engine.random}

    @property
    def own_session(self) -> str | None:
        """The ID of the session that this call is made with."""
        return self.caller.session.id if isinstance(self.caller, Person) else None

    @property
    def home(self) -> str:
        """The caller's organization."""
        if isinstance(self.caller, Client):
            return self.caller.organization
        return self.caller.session.organization


def _any_call(request: Request) -> Call:
    engine = engine_of(request)
    now = engine.clock()
    caller = caller_of(engine, request, now)
    return Call(engine, now, origin_of(request, engine.settings), caller)


def _own_call(request: Request) -> "OwnCall":
    engine = engine_of(request)
    now = engine.clock()
    person = person_of(engine, request, now)
    return OwnCall(engine, now, origin_of(request, engine.settings), person)


def _call_with(right: Right) -> Callable[[Request], Call]:
    """What finds the call of a person with this right, or of an application."""

    def find(request: Request) -> Call:
        call = _any_call(request)
        if isinstance(call.caller, Person):
            try:
                require_right(call.caller, right)
            except Forbidden as error:
                raise Forbidden(
                    f"{str(error.detail).rstrip('.')}, or client credentials."
                ) from error
            _require_fresh(request, call, call.caller)
        return call

    return find


def _person_with(right: Right) -> Callable[[Request], "OwnCall"]:
    """What finds the call of a person with this right."""

    def find(request: Request) -> OwnCall:
        call = _any_call(request)
        person = require_right(call.caller, right)
        _require_fresh(request, call, person)
        return OwnCall(call.engine, call.now, call.origin, person)

    return find


def _require_fresh(request: Request, call: Call, person: Person) -> None:
    """What the console asks of a browser (`web.fresh`), the API asks of the same browser: else whoever finds
    it unattended calls the one instead of the other. Whoever sends a token holds more than a browser.

    Here it is every change, there the sensitive ones. There a person reads what they do, and would be held
    up over a display name or a logo; here a script of a page calls, for which one rule without exceptions is
    easier to follow, and no operation can be forgotten.

    Raises:
        AuthenticationStale: a change is wanted by a cookie, and its user signed in too long ago.
    """
    if request.method in ("GET", "HEAD") or "authorization" in request.headers:
        return
    engine = call.engine
    session = engine.database.look(lambda c: store.read_session(c, person.session.id))
    if session is None or not is_fresh(session.authenticated_at, engine.settings, call.now):
        raise AuthenticationStale(sign_in_address("/console", prompt="login"))


_manager_call = _call_with(Right.CHANGE)


@dataclass(frozen=True, slots=True)
class OwnCall(Call):
    """A call by a user."""

    caller: Person


OwnSession = Annotated[OwnCall, Depends(_own_call)]
"""Any user, by a session of any application."""
Manager = Annotated[Call, Depends(_manager_call)]
"""An administrator, or an application by its client credentials."""
SessionsReader = Annotated[Call, Depends(_call_with(Right.SEE_SESSIONS))]
"""Whoever may see sessions, or an application by its client credentials."""
SessionsEnder = Annotated[Call, Depends(_call_with(Right.END_SESSIONS))]
"""Whoever may end sessions, or an application by its client credentials."""
SessionsViewer = Annotated[OwnCall, Depends(_person_with(Right.SEE_SESSIONS))]
"""A person who may see sessions."""
Reader = Annotated[OwnCall, Depends(_person_with(Right.READ))]
"""An administrator or an auditor."""
Administrator = Annotated[OwnCall, Depends(_person_with(Right.CHANGE))]
"""An administrator of the installation or of an organization."""


async def only_known_parameters(request: Request) -> None:
    """Refuse a query with a parameter that the route has not: a misspelt filter would list everything, and a
    misspelt `dry_run` would be none.

    Raises:
        RequestValidationError: it names them.
    """
    _refuse_unknown(request, request.scope["route"])


def _refuse_unknown(request: Request, route: APIRoute) -> None:
    if not request.scope["query_string"]:
        return
    fields = get_flat_params(route.dependant)
    known = {one.alias for one in fields if isinstance(one.field_info, params.Query)}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        words = "This parameter is not known here."
        raise RequestValidationError(
            [{"type": "extra", "loc": ("query", name), "msg": words} for name in unknown]
        )


class OneHop(APIRoute):
    """A route of the form `(call: Manager, body: SomeBody) -> Change`, made by `Engine.changes`.

    The framework would take a turn of a thread for the caller, another for the work, and some time to
    find out what the two need: together more than starting a session takes. Documented like every route.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What Starlette calls."""
        work, takes = self.endpoint, get_type_hints(self.endpoint)["body"]

        async def handle(request: Request) -> Response:
            _refuse_unknown(request, self)
            sent, engine = await request.body(), engine_of(request)
            client = await proven_client(engine, request)
            return await engine.changes.run(
                lambda: work(_call_by(request, client), _parsed(takes, sent))
            )

        return handle


def _call_by(request: Request, client: Client | None) -> Call:
    """The call of this client; None: it is still to be found out who calls."""
    if client is None:
        return _manager_call(request)
    engine = engine_of(request)
    return Call(engine, engine.clock(), origin_of(request, engine.settings), client)


def _parsed(takes: type[BaseModel], sent: bytes) -> BaseModel:
    """The body as the framework would read it.

    Raises:
        RequestValidationError: as the framework does.
    """
    try:
        decoded = json.loads(sent) if sent else None
    except (ValueError, RecursionError) as error:
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",)}]) from error
    if decoded is None:
        raise RequestValidationError([_MISSING])
    try:
        return takes.model_validate(decoded)
    except ValidationError as error:
        mistakes = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(mistakes) from error


_MISSING = {"type": "missing", "loc": ("body",), "msg": "Field required"}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a list or a bulk change may go over. None: no bound."""

    organization: str | None
    application: str | None


def reach(call: Call, organization: str | None, application: str | None) -> Reach:
    """The part of what is asked for that there is for this caller.

    Raises:
        OrganizationMissing, ApplicationMissing: what is named is not the caller's.
    """
    caller = call.caller
    if isinstance(caller, Client):
        if organization not in (None, caller.organization):
            raise OrganizationMissing
        if application not in (None, caller.name):
            raise ApplicationMissing
        return Reach(caller.organization, caller.name)
    if caller.reaches_installation:
        return Reach(organization, application)
    if organization not in (None, call.home):
        raise OrganizationMissing
    return Reach(call.home, application)


def reaches(call: Call, session: Session) -> bool:
    """Whether this session exists for the caller."""
    caller = call.caller
    if isinstance(caller, Client):
        return caller.key == (session.organization, session.application)
    return caller.reaches(session.organization)


def require_organization(call: OwnCall, organization: str) -> None:
    """Let only those pass for whom this organization exists.

    Raises:
        OrganizationMissing: it does not.
    """
    if not call.caller.reaches(organization):
        raise OrganizationMissing


def require_installation(call: OwnCall) -> None:
    """Let only an administrator of the installation pass.

    Raises:
        Forbidden: the caller administers an organization.
    """
    if not call.caller.administers_installation:
        raise Forbidden("This needs an administrator of the installation.")


def answer(content: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer, kept by no cache."""
    return JSONResponse(content, status, headers={"cache-control": "no-store", **headers})


def nothing(*, own_session_ended: bool = False) -> Response:
    """204, saying in a header if the caller has just lost their own session."""
    headers = {"cache-control": "no-store"}
    if own_session_ended:
        headers[OWN_SESSION_ENDED] = "true"
    return Response(status_code=204, headers=headers)


_PLAIN = r"^[^\x00-\x1f\x7f]*$"
PathName = Annotated[str, Path(min_length=1, max_length=256, pattern=_PLAIN)]
Text = Annotated[str | None, Query(max_length=512, pattern=_PLAIN)]
Cursor = Annotated[
    str | None, Query(max_length=512, pattern=_PLAIN, description="`next` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page.")]
