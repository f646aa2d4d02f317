"""What somebody does about their own sessions with their password: change it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from iam.api.access import OwnSession, answer
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.schemas import PasswordChangeBody
from iam.api.views import RotatedView, session_view
from iam.kernel.clock import Instant
from iam.kernel.errors import Throttled
from iam.sessions.lifecycle import Started
from iam.signin.password_change import PasswordChange, change_password
from iam.signin.proof import PasswordWrong
from iam.web.cookies import BROWSER, set_cookie
from iam.web.engine import Engine

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
    a new token; the former one no longer works. 403 `password_wrong`: the current password is not
    right; wrong ones count as failed sign-ins."""
    engine = call.engine
    wanted = PasswordChange(
        holder=call.caller.session,
        current=body.current_password,
        new=body.new_password,
        end_others=body.end_others,
        origin=call.origin,
    )
    work = partial(
        change_password, engine.database, engine.passwords, wanted, call.now, engine.random
    )
    changed = await _proven(engine, work)
    engine.count_ended(changed.ended)
    return rotated_answer(request, engine, changed.rotated, call.now)


async def _proven(engine: Engine, work: Callable[[], Result]) -> Result:
    """Run in the hash pool what a password has to prove, counted like a sign-in if it does not."""
    try:
        return await asyncio.get_running_loop().run_in_executor(engine.hash_pool, work)
    except PasswordWrong:
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
        set_cookie(response.headers, engine.settings, BROWSER, rotated.token)
    return response
