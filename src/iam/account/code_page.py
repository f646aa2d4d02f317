"""`/second-factor`: a code is asked for besides.

Reached in two ways: from the sign-in page, with a ticket that stands for the password that was right; and
on the way into an application that wants it, with the browser session, which is raised by it.
"""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.account.choose_page import ChoiceExpired
from iam.account.unlock_page import wait_words
from iam.directory.users import find_user
from iam.kernel.authn import MULTI_FACTOR
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Throttled
from iam.languages import N_, _, gettext
from iam.sessions import store
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.signin.arrival import Arrival, NoRoom, Proven
from iam.signin.codes import issue_code, redeem_code
from iam.signin.factors import CodeWrong, FactorMissing, find_factor
from iam.signin.password_sign_in import CredentialsInvalid, go_on
from iam.signin.second_step import Claim, show_code, step_up
from iam.web.accounts import hold
from iam.web.address import origin_of
from iam.web.arriving import choose_for_sign_in, signed_in
from iam.web.brand_files import brand_for
from iam.web.cookies import FLOW, device_secret, read_cookie, set_browser_session
from iam.web.csrf import check_csrf, csrf_token
from iam.web.destination import Destination, find_destination, form_targets
from iam.web.engine import engine_of, in_hash_pool, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import HOME, return_path, sign_in_address
from iam.web.visitor import Visitor, posting_visitor, visitor_of

PATH = "/second-factor"
_KIND = "factor"
_LIFETIME = 10 * 60
"""Seconds from the password to the code, however many are tried."""
_MISSING = N_("Enter the code that your authenticator app shows, or one of your recovery codes.")


async def ask_for_code(
    request: Request, destination: Destination, arrival: Arrival, proven: Proven, return_to: str
) -> Response:
    """The page for somebody whose password was right and who has a second factor."""
    engine = engine_of(request)
    waiting = {
        "proven": proven.to_payload(),
        "remember": arrival.remember,
        "until": after(engine.clock(), _LIFETIME),
    }
    return await _ask(request, destination, waiting, return_to)


async def _ask(
    request: Request,
    destination: Destination,
    waiting: Mapping[str, Any],
    return_to: str,
    *,
    status: int = 200,
    error: str | None = None,
) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    flow = read_cookie(request, engine.settings, FLOW) or ""

    def work(connection: Connection) -> str:
        return issue_code(
            connection,
            _KIND,
            browser_session="",
            payload={**waiting, "flow": sha256(flow.encode()).hexdigest()},
            now=now,
            random=engine.random,
            lifetime=(waiting["until"] - now) // 1000,
        )

    ticket = await in_thread(lambda: engine.database.write(work))
    proven = waiting["proven"]
    return await _page(
        request,
        destination,
        return_to,
        csrf=csrf_token(flow),
        ticket=ticket,
        who=(proven["username"], proven["organization"]),
        status=status,
        error=error,
    )


@page_errors
async def show_code_page(request: Request) -> Response:
    """GET: the question to somebody who is signed in; or the way on where there is nothing to ask."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    return_to = return_path(request.query_params.get("return_to"))
    client_id = query_text(request, "application")
    me = visitor.session

    def work(connection: Connection) -> tuple[bool, Destination]:
        session = store.read_session(connection, me.id)
        user = find_user(connection, me.organization, me.user)
        wanted = session is not None and session.acr != MULTI_FACTOR
        asked = wanted and find_factor(connection, user.id) is not None
        return asked, find_destination(connection, client_id, None)

    asked, destination = await in_thread(lambda: engine.database.read(work))
    if not asked:
        return see_other(return_to)
    return await _for_visitor(request, visitor, destination, return_to)


@page_errors
async def check_code_page(request: Request) -> Response:
    """POST: check the code, and lead on."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    return_to = return_path(fields.get("return_to"))
    client_id = fields.get("application", "")
    if "ticket" in fields:
        return await _go_on_signing_in(request, fields, client_id, return_to, now)
    visitor = await posting_visitor(engine, request, fields, now)
    destination = await _destination(request, client_id)
    code = _code(fields)
    if not code:
        return await _for_visitor(
            request, visitor, destination, return_to, status=422, error=gettext(_MISSING)
        )
    work = partial(
        step_up,
        engine.database,
        engine.cipher,
        visitor.session,
        code,
        origin=origin_of(request, engine.settings),
        now=now,
        random=engine.random,
    )
    try:
        raised = await in_thread(work)
    except CodeWrong as error:
        engine.metrics.sign_ins["failed"] += 1
        return await _for_visitor(
            request, visitor, destination, return_to, status=403, error=_try_again(error)
        )
    except Throttled as error:
        engine.metrics.sign_ins["throttled"] += 1
        response = await _for_visitor(
            request, visitor, destination, return_to, status=429, error=_wait(error)
        )
        response.headers["retry-after"] = str(error.retry_after)
        return response
    except FactorMissing:
        return see_other(return_to)
    response = see_other(return_to)
    set_browser_session(response.headers, engine.settings, raised, now)
    return response


async def _go_on_signing_in(
    request: Request, fields: Mapping[str, str], client_id: str, return_to: str, now: Instant
) -> Response:
    engine = engine_of(request)
    flow = read_cookie(request, engine.settings, FLOW)
    check_csrf(request, engine.settings, flow, fields.get("csrf"))
    ticket = await in_thread(
        lambda: engine.database.write(lambda c: redeem_code(c, _KIND, fields["ticket"], now))
    )
    browser = sha256((flow or "").encode()).hexdigest()
    if ticket is None or ticket.replayed or ticket.payload["flow"] != browser:
        raise ChoiceExpired
    waiting: Any = ticket.payload
    destination = await _destination(request, client_id)
    again = partial(_ask, request, destination, waiting, return_to)
    code = _code(fields)
    if not code:
        return await again(status=422, error=gettext(_MISSING))
    proven, device = (
        Proven.from_payload(waiting["proven"]),
        device_secret(request, engine.settings, engine.random),
    )
    held = await hold(engine, request, now)
    arrival = Arrival(
        application=BUILT_IN_APPLICATION,
        origin=origin_of(request, engine.settings),
        beside=held.ids,
        remember=waiting["remember"],
        device=device,
        mails=engine.settings.sends_mail,
    )
    claim = Claim(
        organization=proven.organization,
        username=proven.username,
        code=code,
        application=BUILT_IN_APPLICATION,
        origin=arrival.origin,
    )
    try:
        both = await in_thread(
            lambda: show_code(engine.database, engine.cipher, proven, claim, now, engine.random)
        )
        work = partial(go_on, engine.database, both, arrival, now, engine.random)
        started = await in_hash_pool(engine, work)
    except CodeWrong as error:
        engine.metrics.sign_ins["failed"] += 1
        return await again(status=403, error=_try_again(error))
    except Throttled as error:
        engine.metrics.sign_ins["throttled"] += 1
        response = await again(status=429, error=_wait(error))
        response.headers["retry-after"] = str(error.retry_after)
        return response
    except CredentialsInvalid:
        engine.metrics.sign_ins["failed"] += 1
        return see_other(sign_in_address(return_to, **_application(client_id)))
    except NoRoom as full:
        if not full.crowd.may_choose:
            engine.metrics.sign_ins["failed"] += 1
            raise
        return await choose_for_sign_in(request, destination, arrival, full, return_to)
    return await signed_in(request, held, started, return_to, device)


def _code(fields: Mapping[str, str]) -> str:
    return fields.get("recovery", "").strip() or fields.get("code", "").strip()


async def _destination(request: Request, client_id: str) -> Destination:
    database = engine_of(request).database
    return await in_thread(lambda: database.read(lambda c: find_destination(c, client_id, None)))


async def _for_visitor(
    request: Request,
    visitor: Visitor,
    destination: Destination,
    return_to: str,
    *,
    status: int = 200,
    error: str | None = None,
) -> Response:
    me = visitor.session
    return await _page(
        request,
        destination,
        return_to,
        csrf=visitor.csrf,
        ticket=None,
        who=(me.user, me.organization),
        status=status,
        error=error,
    )


async def _page(
    request: Request,
    destination: Destination,
    return_to: str,
    *,
    csrf: str,
    ticket: str | None,
    who: tuple[str, str],
    status: int,
    error: str | None,
) -> Response:
    back = (
        HOME
        if ticket is None
        else sign_in_address(return_to, **_application(destination.client_id))
    )
    return render(
        request,
        "second_factor.html",
        status=status,
        csrf=csrf,
        form_targets=form_targets(destination, engine_of(request).settings),
        action=PATH,
        ticket=ticket,
        application=destination.client_id,
        application_name=destination.name,
        return_to=return_to,
        back=back,
        user=who[0],
        organization=who[1],
        brand=await brand_for(engine_of(request), who[1]),
        error=error,
    )


def _application(client_id: str) -> dict[str, str]:
    return {"application": client_id} if client_id else {}


def _try_again(error: CodeWrong) -> str:
    return _("%(problem)s Wait for the next one and try again.", problem=gettext(error.title))


def _wait(error: Throttled) -> str:
    wait = wait_words(error.retry_after)
    return _("Too many attempts. Try again in %(wait)s.", wait=wait)
