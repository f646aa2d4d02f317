"""Signing in with a password, and what everybody may do with their own sessions."""

from functools import partial

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response

from iam.api.access import (
    Cursor,
    Limit,
    OwnCall,
    OwnSession,
    PathName,
    SessionMissing,
    answer,
    nothing,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.schemas import SignInBody
from iam.api.views import EndedView, SessionsView, SessionView, StartedView, session_view
from iam.kernel.errors import Throttled
from iam.kernel.events import SYSTEM
from iam.kernel.ids import SESSION, is_id
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, Selection, Session
from iam.sessions.search import SessionFilter, list_sessions
from iam.sessions.validate import SessionUnknown
from iam.signin.arrival import Arrival, NoRoom
from iam.signin.factors import CodeWrong
from iam.signin.password_sign_in import CredentialsInvalid, PasswordAttempt
from iam.signin.second_step import sign_in_with_code
from iam.web.address import origin_of
from iam.web.engine import engine_of, in_hash_pool
from iam.web.visitor import forget_browser

router = APIRouter(tags=["session"])


@router.post(
    "/v1/sign-in",
    operation_id="signIn",
    summary="Sign in with a user name and a password",
    status_code=201,
    response_model=StartedView,
    responses=errors(401, 403, 409, 429, body=True),
)
async def sign_in(request: Request, body: SignInBody) -> Response:
    """Starts a session of the application and answers its token. Unknown user, wrong password and
    disabled account are one and the same answer. 403 `factor_required`: the password is right, and its
    owner has a second factor: ask again with `code`; `code_wrong`: that one was not right. 409
    `session_limit`: the policy leaves no room; where it lets the person choose (`may_choose`), ask again
    with `end_sessions`, at least `surplus` of `sessions`."""
    engine = engine_of(request)
    now = engine.clock()
    attempt = PasswordAttempt(
        organization=body.organization,
        username=body.username,
        password=body.password,
        arrival=Arrival(
            application=body.application,
            origin=origin_of(request, engine.settings),
            remember=body.remember,
            give_up=tuple(body.end_sessions),
            mails=engine.settings.sends_mail,
        ),
    )
    work = partial(
        sign_in_with_code,
        engine.database,
        engine.passwords,
        engine.cipher,
        attempt,
        body.code,
        now,
        engine.random,
    )
    counts = engine.metrics.sign_ins
    try:
        started = await in_hash_pool(engine, work)
    except (CredentialsInvalid, CodeWrong):
        counts["failed"] += 1
        raise
    except Throttled:
        counts["throttled"] += 1
        raise
    except NoRoom:
        counts["failed"] += 1
        raise
    counts["succeeded"] += 1
    engine.count_started(started)
    return answer(
        {"session": session_view(started.session, now), "token": started.token},
        201,
        location=f"/v1/sessions/{started.session.id}",
    )


@router.get(
    "/v1/session",
    operation_id="getOwnSession",
    summary="The session this request is made with",
    response_model=SessionView,
    responses=errors(401),
    openapi_extra=secured(BY_SESSION),
)
def own_session(call: OwnSession) -> Response:
    """401 with `session_unknown`, `session_ended` (then `end_reason` says why) or `session_locked` if it
    is not good."""
    session = call.engine.database.read(lambda c: store.read_session(c, call.caller.session.id))
    if session is None:
        raise SessionUnknown
    return answer(session_view(session, call.now))


@router.delete(
    "/v1/session",
    operation_id="signOut",
    summary="End the session this request is made with",
    status_code=204,
    responses=errors(401, 403),
    openapi_extra=secured(BY_SESSION),
)
def sign_out(request: Request, call: OwnSession) -> Response:
    """The applications entered from it end with it."""
    own = call.caller.session.id
    ended = call.engine.database.write(
        lambda c: lifecycle.end(
            c, [own], reason=EndReason.SIGNED_OUT, origin=call.origin, **call.cause
        )
    )
    call.engine.count_ended(ended)
    gone = nothing(own_session_ended=True)
    if "authorization" not in request.headers:
        forget_browser(gone.headers, call.engine)
    return gone


@router.get(
    "/v1/me/sessions",
    operation_id="listMySessions",
    summary="One's own live sessions, newest first",
    response_model=SessionsView,
    responses=errors(401),
    openapi_extra=secured(BY_SESSION),
)
def my_sessions(call: OwnSession, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """At all applications and on all devices."""
    own = call.caller.session
    wanted = SessionFilter(organization=own.organization, user=own.user, state="active")
    page = call.engine.database.read(
        lambda c: list_sessions(c, wanted, call.now, before=cursor, limit=limit)
    )
    return answer({"items": [session_view(s, call.now) for s in page.items], "next": page.next})


@router.delete(
    "/v1/me/sessions/{id}",
    operation_id="endMySession",
    summary="End one of one's own sessions",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def end_my_session(call: OwnSession, id: PathName) -> Response:  # noqa: A002 - the path's word
    """204 also when it was over already."""
    own = call.caller.session

    def work(connection: Connection) -> tuple[Ended, ...]:
        session = mine(connection, call, id)
        reason = EndReason.SIGNED_OUT if session.id == own.id else EndReason.ENDED_BY_USER
        return lifecycle.end(
            connection, [session.id], reason=reason, origin=call.origin, **call.cause
        )

    ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return nothing(own_session_ended=any(one.session.id == own.id for one in ended))


@router.post(
    "/v1/me/sessions/end-others",
    operation_id="endMyOtherSessions",
    summary="End all of one's own sessions but the one in use",
    response_model=EndedView,
    responses=errors(401, 403),
    openapi_extra=secured(BY_SESSION),
)
def end_my_others(call: OwnSession) -> Response:
    """The browser session that the one in use was entered from stays, and so do its children."""
    own = call.caller.session
    selection = Selection(organization=own.organization, user=own.user, but=own.id)
    ended = call.engine.database.write(
        lambda c: lifecycle.end_selected(
            c, selection, reason=EndReason.ENDED_BY_USER, origin=call.origin, **call.cause
        )
    )
    call.engine.count_ended(ended)
    ids = [one.session.id for one in ended if one.actor != SYSTEM]
    return answer({"ended": len(ids), "ids": ids, "own_session_ended": own.id in ids})


def mine(connection: Connection, call: OwnCall, session_id: str) -> Session:
    """The session, if it is one of the caller's own."""
    session = store.read_session(connection, session_id) if is_id(SESSION, session_id) else None
    own = call.caller.session
    if session is None or (session.organization, session.user) != (own.organization, own.user):
        raise SessionMissing
    return session
