"""What somebody does about their own sessions with their password: change it, lock and unlock."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from iam.api.access import OwnCall, OwnSession, PathName, answer
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.schemas import PasswordChangeBody, UnlockBody
from iam.api.session_api import mine
from iam.api.views import RotatedView, SessionView, session_view
from iam.kernel.clock import Instant
from iam.kernel.errors import Throttled, Unauthenticated
from iam.sessions.lifecycle import Started
from iam.sessions.lock import NotLocked, lock
from iam.sessions.validate import Outcome, require_valid, validate
from iam.signin.factors import CodeWrong
from iam.signin.password_change import PasswordChange, change_password
from iam.signin.proof import PasswordWrong
from iam.signin.unlock import Unlock, unlock_with_password
from iam.web.address import origin_of
from iam.web.caller import Person, presented_token
from iam.web.cookies import set_browser_session
from iam.web.engine import Engine, engine_of, in_hash_pool

router = APIRouter(tags=["session"])
Result = TypeVar("Result")


@router.post(
    "/v1/me/password",
    operation_id="changeMyPassword",
    summary="Change one's own password",
    response_model=RotatedView,
    responses=errors(401, 403, 429, body=True),
    openapi_extra=secured(BY_SESSION),
)
async def change(request: Request, call: OwnSession, body: PasswordChangeBody) -> Response:
    """Ends all other sessions of the caller (unless `end_others` is false) and gives the session in use
    a new token; the former one no longer works. Who has a second factor sends `code` as well (403
    `factor_required`). 403 `password_wrong`, `code_wrong`: wrong ones count as failed sign-ins."""
    engine = call.engine
    wanted = PasswordChange(
        holder=call.caller.session,
        current=body.current_password,
        new=body.new_password,
        code=body.code,
        end_others=body.end_others,
        origin=call.origin,
    )
    work = partial(
        change_password,
        engine.database,
        engine.passwords,
        engine.cipher,
        wanted,
        call.now,
        engine.random,
    )
    changed = await _proven(engine, work)
    engine.count_ended(changed.ended)
    return rotated_answer(request, engine, changed.rotated, call.now)


@router.post(
    "/v1/me/sessions/{id}/lock",
    operation_id="lockMySession",
    summary="Lock one of one's own sessions",
    response_model=SessionView,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def lock_mine(call: OwnSession, id: PathName) -> Response:  # noqa: A002 - the path's word
    """With its children; also the one in use, whose holder can then only unlock it. 200 also when it
    was locked already."""
    locked = call.engine.database.write(
        lambda c: lock(c, mine(c, call, id).id, origin=call.origin, **call.cause)
    )
    return answer(session_view(locked, call.now))


def _locked_call(request: Request) -> OwnCall:
    engine = engine_of(request)
    now, token = engine.clock(), presented_token(request, engine.settings)
    if token is None:
        raise Unauthenticated
    verdict = engine.database.look(lambda connection: validate(connection, token, now))
    engine.metrics.validations[str(verdict.outcome)] += 1
    if verdict.outcome is not Outcome.LOCKED or verdict.row is None:
        require_valid(verdict)
        raise NotLocked
    return OwnCall(engine, now, origin_of(request, engine.settings), Person(verdict.row))


LockedSession = Annotated[OwnCall, Depends(_locked_call)]
"""The holder of a locked session, who may do nothing with it but what takes this."""


@router.post(
    "/v1/session/unlock",
    operation_id="unlockOwnSession",
    summary="Unlock the session this request is made with",
    response_model=RotatedView,
    responses=errors(401, 403, 409, 429, body=True),
    openapi_extra=secured(BY_SESSION),
)
async def unlock(request: Request, call: LockedSession, body: UnlockBody) -> Response:
    """With the password of its user, and what was locked with it; it goes on with a new token. Who has a
    second factor sends `code` as well (403 `factor_required`). 403 `password_wrong`, `code_wrong`: wrong
    ones count as failed sign-ins. 409: it is not locked (`not_locked`), or the
    browser session that it was entered from is (`parent_locked`)."""
    engine, holder = call.engine, call.caller.session
    wanted = Unlock(
        holder=holder,
        session=holder.id,
        password=body.password,
        code=body.code,
        origin=call.origin,
    )
    work = partial(
        unlock_with_password,
        engine.database,
        engine.passwords,
        engine.cipher,
        wanted,
        call.now,
        engine.random,
    )
    return rotated_answer(request, engine, await _proven(engine, work), call.now)


async def _proven(engine: Engine, work: Callable[[], Result]) -> Result:
    """Run in the hash pool what a password has to prove, counted like a sign-in if it does not."""
    try:
        return await in_hash_pool(engine, work)
    except (PasswordWrong, CodeWrong):
        engine.metrics.sign_ins["failed"] += 1
        raise
    except Throttled:
        engine.metrics.sign_ins["throttled"] += 1
        raise


def rotated_answer(request: Request, engine: Engine, rotated: Started, now: Instant) -> Response:
    """The session and its new token: to a browser as its cookie, which no script can read."""
    by_cookie = "authorization" not in request.headers
    body: dict[str, Any] = {"session": session_view(rotated.session, now)}
    response = answer({**body, "token": None if by_cookie else rotated.token})
    if by_cookie:
        set_browser_session(response.headers, engine.settings, rotated, now)
    return response
