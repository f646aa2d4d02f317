"""`/unlock`: a locked session goes on when its user shows their password.

The sign-in page leads here whoever comes with a locked browser session, or wants to enter an application
whose session in this browser is locked.
"""

from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict, IamError, Throttled
from iam.kernel.ids import SESSION, is_id
from iam.languages import _, gettext, times
from iam.sessions import store
from iam.sessions.lock import locked_child
from iam.sessions.model import LiveRow
from iam.sessions.validate import Hold, Outcome, Verdict, refusal
from iam.signin.factors import CodeWrong, FactorRequired
from iam.signin.proof import PasswordWrong, needs_factor
from iam.signin.unlock import Unlock, unlock_with_password
from iam.web.address import origin_of
from iam.web.brand_files import PageBrand, brand_of
from iam.web.cookies import set_browser_session
from iam.web.csrf import check_csrf, csrf_token
from iam.web.destination import Destination, find_destination, form_targets
from iam.web.engine import engine_of, in_hash_pool, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import return_path, sign_in_address
from iam.web.visitor import look

PATH = "/unlock"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Whose browser session it is, which session is to be unlocked, and where it leads on to."""

    token: str
    holder: LiveRow
    session: str
    destination: Destination
    return_to: str
    needs_code: bool
    brand: PageBrand


async def way_to_unlock(
    request: Request, destination: Destination, verdict: Verdict | None, now: Instant
) -> Response | None:
    """From the sign-in page to this one, if that is what somebody needs; None if it is not.

    Not for who asks for another account (`prompt=login`), nor where one of another organization is needed.
    """
    row = verdict.living if verdict is not None else None
    home = destination.organization
    if row is None or request.query_params.get("prompt") == "login":
        return None
    if home is not None and row.organization != home.name:
        return None
    query = {"return_to": return_path(request.query_params.get("return_to"))}
    if destination.client_id:
        query["application"] = destination.client_id
    if verdict is not None and verdict.outcome is Outcome.VALID:
        application, database = destination.application, engine_of(request).database
        if application is None:
            return None
        name = application.name
        child = await in_thread(lambda: database.read(lambda c: locked_child(c, row.id, name, now)))
        if child is None:
            return None
        query["session"] = child
    return see_other(f"{PATH}?{urlencode(query)}")


@page_errors
async def show_unlock(request: Request) -> Response:
    """GET: the question; or the way on where nothing is locked."""
    return_to = return_path(request.query_params.get("return_to"))
    asked = await _asked(
        request,
        query_text(request, "session"),
        query_text(request, "application"),
        return_to,
        engine_of(request).clock(),
    )
    if isinstance(asked, Response):
        return asked
    return _page(request, asked)


@page_errors
async def check_unlock(request: Request) -> Response:
    """POST: check the password, unlock, lead on with a new token."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    return_to = return_path(fields.get("return_to"))
    asked = await _asked(
        request, fields.get("session", ""), fields.get("application", ""), return_to, now
    )
    if isinstance(asked, Response):
        return asked
    check_csrf(request, engine.settings, asked.token, fields.get("csrf"))
    password = fields.get("password", "")
    if not password:
        error = _error(_("Something is missing"), _("Enter your password."), "password")
        return _page(request, asked, status=422, error=error)
    wanted = Unlock(
        holder=asked.holder,
        session=asked.session,
        password=password,
        code=fields.get("code"),
        origin=origin_of(request, engine.settings),
    )
    work = partial(
        unlock_with_password,
        engine.database,
        engine.passwords,
        engine.cipher,
        wanted,
        now,
        engine.random,
    )
    try:
        started = await in_hash_pool(engine, work)
    except PasswordWrong as wrong:
        engine.metrics.sign_ins["failed"] += 1
        error = _error(_("That did not work"), _again_words(wrong), "password")
        return _page(request, asked, status=403, error=error)
    except FactorRequired:
        error = _error(_("Something is missing"), _("Enter a code as well."), "code")
        return _page(request, asked, status=422, error=error)
    except CodeWrong as wrong_code:
        engine.metrics.sign_ins["failed"] += 1
        error = _error(_("That did not work"), _again_words(wrong_code), "code")
        return _page(request, asked, status=403, error=error)
    except Throttled as throttled:
        engine.metrics.sign_ins["throttled"] += 1
        wait = wait_words(throttled.retry_after)
        words = _("For safety, it waits a little. Try again in %(wait)s.", wait=wait)
        response = _page(
            request, asked, status=429, error=_error(_("Too many attempts"), words, None)
        )
        response.headers["retry-after"] = str(throttled.retry_after)
        return response
    except Conflict:
        # Unlocked in another tab, or over meanwhile: the page it leads on to knows.
        return see_other(sign_in_address(return_to))
    response = see_other(return_to)
    set_browser_session(response.headers, engine.settings, started, now)
    return response


async def _asked(
    request: Request, session: str, client_id: str, return_to: str, now: Instant
) -> _Asked | Response:
    """What is to be unlocked; or the way on where that is nothing."""
    engine = engine_of(request)
    verdict, token = await look(engine, request, now)
    holder = verdict.living if verdict is not None else None
    if verdict is None or holder is None:
        return see_other(sign_in_address(return_to))
    own = holder
    wanted = own.id if verdict.outcome is Outcome.LOCKED else session

    def work(connection: Connection) -> _Asked | None:
        if wanted != own.id and not _is_locked_child(connection, wanted, own.id, now):
            return None
        return _Asked(
            token=token,
            holder=own,
            session=wanted,
            destination=find_destination(connection, client_id, None),
            return_to=return_to,
            needs_code=needs_factor(connection, own.organization, own.user),
            brand=brand_of(connection, own.organization),
        )

    asked = await in_thread(lambda: engine.database.read(work))
    return asked if asked is not None else see_other(return_to)


def _is_locked_child(connection: Connection, session_id: str, parent: str, now: Instant) -> bool:
    if not is_id(SESSION, session_id):
        return False
    found = store.read_session(connection, session_id)
    return found is not None and found.parent == parent and refusal(found, now) is Hold.LOCKED


def _page(
    request: Request,
    asked: _Asked,
    *,
    status: int = 200,
    error: dict[str, str | None] | None = None,
) -> Response:
    destination, holder = asked.destination, asked.holder
    again = {"prompt": "login", "return_to": asked.return_to}
    if destination.client_id:
        again["application"] = destination.client_id
    return render(
        request,
        "unlock.html",
        status=status,
        csrf=csrf_token(asked.token),
        form_targets=form_targets(destination, engine_of(request).settings),
        action=PATH,
        application=destination.client_id,
        application_name=destination.name,
        session=asked.session if asked.session != holder.id else "",
        return_to=asked.return_to,
        again=f"/sign-in?{urlencode(again)}",
        user=holder.display_name,
        username=holder.user,
        organization=holder.organization,
        needs_code=asked.needs_code,
        brand=asked.brand,
        error=error,
    )


def _error(title: str, text: str, field: str | None) -> dict[str, str | None]:
    return {"title": title, "text": text, "field": field}


def _again_words(error: IamError) -> str:
    return _("%(problem)s Try again.", problem=gettext(error.title))


def wait_words(seconds: int) -> str:
    """How long to wait, in words."""
    return times.length(seconds if seconds < 60 else -(-seconds // 60) * 60)
