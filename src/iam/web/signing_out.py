"""Signing out, as every door does it: the browser session ends with all that was entered from it,
and the browser forgets what it kept of us."""

from starlette.requests import Request
from starlette.responses import Response

from iam.kernel.clock import Instant
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, LiveRow
from iam.web.address import origin_of
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.pages import render, see_other
from iam.web.visitor import forget_browser


async def sign_out_browser(
    request: Request, row: LiveRow, now: Instant, *also: str
) -> tuple[Ended, ...]:
    """End this browser session with its children, and the sessions `also`; answer what has ended."""
    engine = engine_of(request)
    ended = await in_thread(
        lambda: engine.database.write(
            lambda c: lifecycle.end(
                c,
                [row.id, *also],
                reason=EndReason.SIGNED_OUT,
                actor=Person(row).actor,
                now=now,
                random=engine.random,
                origin=origin_of(request, engine.settings),
            )
        )
    )
    engine.count_ended(ended)
    return ended


def signed_out_page(
    request: Request,
    *,
    applications: int = 0,
    onward: str | None = None,
    onward_name: str = "",
) -> Response:
    """What somebody sees whose browser session has just ended; the browser forgets it as well.

    Args:
        applications: how many sessions of applications ended with it.
        onward: where a link leads on to, an address that was checked; `onward_name` is whose it is.
    """
    response = render(
        request,
        "signed_out.html",
        applications=applications,
        onward=onward,
        onward_name=onward_name,
    )
    forget_browser(response.headers, engine_of(request))
    return response


def signed_out_onward(request: Request, onward: str) -> Response:
    """Lead somebody who has just signed out on to an address that was checked."""
    response = see_other(onward)
    forget_browser(response.headers, engine_of(request))
    return response
