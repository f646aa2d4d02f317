"""The end of every way of signing in, as a browser sees it: on to where it was going; or, where there is
no room for one more session, the page on which its person says which of theirs ends."""

from hashlib import sha256
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.kernel.clock import Instant
from iam.kernel.secrets import make_secret
from iam.languages import n_
from iam.sessions.lifecycle import Started
from iam.sessions.limits import Crowd
from iam.sessions.model import Session
from iam.signin.arrival import Arrival, NoRoom
from iam.signin.codes import issue_code
from iam.signin.known_devices import REMEMBERED
from iam.web.accounts import Held, take_in
from iam.web.brand_files import brand_for
from iam.web.cookies import (
    DEVICE,
    FLOW,
    clear_cookie,
    is_made,
    read_cookie,
    set_cookie,
)
from iam.web.csrf import csrf_token
from iam.web.destination import Destination, form_targets
from iam.web.engine import engine_of, in_thread
from iam.web.pages import moment, render, see_other
from iam.web.session_words import application_names, device_of

CHOOSE = "/choose-sessions"
LIMIT_TICKET = "limit"
"""The kind of code (`signin.codes`) that stands for a proof that was good, while its person chooses."""
_LIFETIME = 5 * 60
_SHOWN = 40


async def signed_in(
    request: Request, held: Held, started: Started, return_to: str, device: str
) -> Response:
    """Lead somebody on who has just signed in; their browser keeps what it is told again by, and beside it
    the other accounts that it `held` before."""
    engine, now = engine_of(request), engine_of(request).clock()
    engine.metrics.sign_ins["succeeded"] += 1
    engine.count_started(started)
    response = see_other(return_to)
    await take_in(engine, request, response.headers, held, started, now)
    set_cookie(response.headers, engine.settings, DEVICE, device, REMEMBERED)
    clear_cookie(response.headers, engine.settings, FLOW)
    return response


async def choose_for_sign_in(
    request: Request,
    destination: Destination,
    arrival: Arrival,
    full: NoRoom,
    return_to: str,
    error: str | None = None,
) -> Response:
    """The page for somebody who has shown who they are and for whom there is no room."""
    engine, now = engine_of(request), engine_of(request).clock()
    flow = read_cookie(request, engine.settings, FLOW) or ""
    # Who comes unasked (SAML) has begun nothing here that would have given them one.
    fresh = not is_made(flow)
    if fresh:
        flow = make_secret(engine.random)

    def work(connection: Connection) -> tuple[str, dict[str, str]]:
        ticket = issue_code(
            connection,
            LIMIT_TICKET,
            browser_session="",
            payload={
                "flow": sha256(flow.encode()).hexdigest(),
                "proven": full.proven.to_payload(),
                "remember": arrival.remember,
            },
            now=now,
            random=engine.random,
            lifetime=_LIFETIME,
        )
        return ticket, application_names(connection, full.crowd.sessions)

    ticket, names = await in_thread(lambda: engine.database.write(work))
    response = await choice_page(
        request,
        full.crowd,
        names,
        now,
        csrf=csrf_token(flow),
        ticket=ticket,
        destination=destination,
        return_to=return_to,
        error=error,
    )
    if fresh:
        set_cookie(response.headers, engine.settings, FLOW, flow)
    return response


async def choice_page(
    request: Request,
    crowd: Crowd,
    names: dict[str, str],
    now: Instant,
    *,
    csrf: str,
    ticket: str | None,
    destination: Destination,
    return_to: str,
    error: str | None,
) -> Response:
    """The page itself. `ticket`: what stands for the proof; None for somebody who is signed in."""
    whose = next((one.organization for one in crowd.sessions), None)
    return render(
        request,
        "choose_sessions.html",
        status=409 if error else 200,
        csrf=csrf,
        form_targets=form_targets(destination, engine_of(request).settings),
        path=CHOOSE,
        ticket=ticket,
        application=destination.client_id,
        application_name=destination.name,
        return_to=return_to,
        surplus=crowd.surplus,
        # Whoever has hundreds chooses among those they have used least.
        sessions=[_shown(one, names, now) for one in crowd.sessions[-_SHOWN:]],
        error=error,
        brand=await brand_for(engine_of(request), whose),
    )


def _shown(session: Session, names: dict[str, str], now: Instant) -> dict[str, Any]:
    device = device_of(session)
    return {
        "id": session.id,
        "device": device.label,
        "icon": device.icon,
        "application_name": names[session.application],
        "last_active": moment(session.last_active_at, now),
        "started": moment(session.created_at, now),
        "ip": session.ip,
    }


def choose_more(crowd: Crowd) -> str:
    """What is said to somebody who has chosen too few."""
    return n_(
        "Choose at least %(number)s session to end.",
        "Choose at least %(number)s sessions to end.",
        crowd.surplus,
    )
