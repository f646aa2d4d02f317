"""The browser of somebody who signs in or out on these paths: its cookies, under our name and under theirs.

All of them hold the same token of one browser session. None holds a session ID, which is no secret.
"""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from iam.hanzo.credentials import COOKIES, their_cookie
from iam.kernel.clock import Instant
from iam.sessions.lifecycle import Started
from iam.signin.known_devices import REMEMBERED
from iam.web.accounts import read_held
from iam.web.cookies import (
    DEVICE,
    append_cookie,
    set_browser_session,
    set_cookie,
)
from iam.web.engine import Engine, in_thread
from iam.web.visitor import forget_browser


async def accounts_beside(engine: Engine, request: Request, now: Instant) -> tuple[str, ...]:
    """The sessions of the other accounts in this browser. These paths keep one account and know no others;
    but who signs in here is not to be there twice."""
    held = await in_thread(
        lambda: engine.database.read(lambda c: read_held(c, request, engine.settings, now))
    )
    return tuple(one.row.id for one in held.others)


def keep_session(
    headers: MutableHeaders,
    engine: Engine,
    request: Request,
    started: Started,
    now: Instant,
    device: str,
) -> None:
    """Have the browser keep a session that was started or raised: also under the name that pages on these
    paths look for."""
    settings, session = engine.settings, started.session
    set_browser_session(headers, settings, started, now)
    max_age = (session.expires_at - now) // 1000 if session.remembered else None
    append_cookie(headers, settings, their_cookie(request), started.token, max_age)
    set_cookie(headers, settings, DEVICE, device, REMEMBERED)


def forget_session(headers: MutableHeaders, engine: Engine) -> None:
    """After a sign-out: no name is left."""
    forget_browser(headers, engine)
    for name in COOKIES:
        append_cookie(headers, engine.settings, name, "", 0)
