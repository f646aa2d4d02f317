"""`/sign-in`: a plain form that works without JavaScript, on a phone and at a desk."""

import re
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from iam.account.code_page import ask_for_code
from iam.account.unlock_page import wait_words, way_to_unlock
from iam.kernel.clock import Instant, to_datetime
from iam.kernel.errors import Throttled
from iam.kernel.secrets import make_secret
from iam.languages import N_, _, gettext, n_, times
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION, EndReason
from iam.sessions.validate import Outcome, Verdict
from iam.signin.arrival import Arrival, FactorNeeded, NoRoom
from iam.signin.password_sign_in import (
    CredentialsInvalid,
    PasswordAttempt,
    sign_in_with_password,
)
from iam.web.accounts import Held, hold, tidy
from iam.web.address import origin_of
from iam.web.arriving import choose_for_sign_in, signed_in
from iam.web.brand_files import brand_context
from iam.web.continue_with import start_address
from iam.web.cookies import FLOW, device_secret, read_cookie, set_cookie
from iam.web.csrf import check_csrf, csrf_token
from iam.web.destination import Destination, find_destination, form_targets
from iam.web.engine import engine_of, in_hash_pool, in_thread
from iam.web.forms import query_text, read_form
from iam.web.fresh import is_again
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import account_address, return_path

_FLOW = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

# `{at}`: when, for what somebody did; a deadline explains itself.
_OVER = N_("This session has ended.")
_ENDED = {
    EndReason.SIGNED_OUT: N_("You signed out."),
    EndReason.ENDED_BY_USER: N_("You ended this session from another device %(when)s."),
    EndReason.ENDED_BY_ADMIN: N_("An administrator ended this session %(when)s."),
    EndReason.IDLE: N_("You were away for longer than a session may stay unused."),
    EndReason.EXPIRED: N_("This session reached its longest time."),
    EndReason.USER_DISABLED: N_("Your account was switched off."),
    EndReason.CREDENTIALS_CHANGED: N_("Your password or your second factor was changed."),
    EndReason.EXCLUSIVE: N_("You signed in somewhere else, and one session at a time is allowed."),
    EndReason.LIMIT: N_("You signed in somewhere else, and this one made room for it."),
    EndReason.POLICY: N_("The rules for sessions became stricter."),
}


@page_errors
async def show_sign_in(request: Request) -> Response:
    """GET: the form; or, to somebody who is signed in, the way on."""
    engine, now = engine_of(request), engine_of(request).clock()
    destination = await _destination(
        request, query_text(request, "application"), request.path_params.get("organization")
    )
    held = await hold(engine, request, now)
    verdict = held.current.verdict if held.current is not None else None
    locked = await way_to_unlock(request, destination, verdict, now)
    if locked is not None:
        return locked
    if _may_choose(request, destination, held):
        return see_other(_accounts_address(destination, request.query_params.get("return_to")))
    current, notice = None, why_here(verdict, now)
    if verdict is not None and verdict.outcome is Outcome.VALID and verdict.row is not None:
        row, home = verdict.row, destination.organization
        if home is not None and row.organization != home.name:
            notice = {
                "title": _(
                    "This needs an account of %(organization)s", organization=home.display_name
                ),
                "text": _(
                    "You are signed in as %(user)s of %(organization)s, and stay so: "
                    "signing in here adds an account to this browser.",
                    user=row.display_name,
                    organization=row.organization,
                ),
            }
        elif is_again(return_path(request.query_params.get("return_to"))):
            notice = {
                "title": _("Show that it is you"),
                "text": _(
                    "What you are about to do needs a sign-in of the last minutes. "
                    "You go on with it afterwards."
                ),
            }
        elif request.query_params.get("prompt") != "login":
            current = {"user": row.display_name, "organization": row.organization}
        else:
            notice = _adds(request, held)
    if request.query_params.get("with") == "cancelled":
        text = _("You came back without having signed in there. Choose how to go on.")
        notice = {"title": _("You did not sign in"), "text": text}
    response = _page(
        request,
        destination,
        return_to=return_path(request.query_params.get("return_to")),
        organization=query_text(request, "organization") or _likely_organization(verdict),
        username=query_text(request, "login_hint", 127),
        current=current,
        notice=notice,
        choose=bool(held.living),
    )
    tidy(response.headers, request, engine.settings, held, now)
    return response


def _may_choose(request: Request, destination: Destination, held: Held) -> bool:
    """Whether to ask first with which of several accounts somebody goes on."""
    query, home = request.query_params, destination.organization
    if query.get("prompt") == "login" or query.get("with") == "cancelled":
        return False
    if is_again(return_path(query.get("return_to"))):
        return False
    return any(home is None or one.row.organization == home.name for one in held.others)


def _accounts_address(destination: Destination, return_to: str | None) -> str:
    home = destination.organization
    of = {"organization": home.name} if home is not None and not destination.client_id else {}
    return account_address(return_path(return_to), destination.client_id, **of)


def _adds(request: Request, held: Held) -> dict[str, str] | None:
    """What becomes of those who are signed in here, to somebody who signs in besides."""
    names = [one.row.display_name or one.row.user for one in held.living]
    if not names or any(one.row.user == query_text(request, "login_hint") for one in held.living):
        return None
    if len(names) > 1:
        text = n_(
            "%(number)s account is signed in here. It stays so when somebody else signs in.",
            "%(number)s accounts are signed in here. They stay so when somebody else signs in.",
            len(names),
        )
    else:
        text = _("%(user)s stays signed in when somebody else signs in here.", user=names[0])
    return {"title": _("Add an account"), "text": text}


@page_errors
async def check_sign_in(request: Request) -> Response:
    """POST: check the password, start a session, lead on."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    flow = read_cookie(request, engine.settings, FLOW)
    check_csrf(request, engine.settings, flow, fields.get("csrf"))
    destination = await _destination(
        request, fields.get("application", ""), request.path_params.get("organization")
    )
    return_to = return_path(fields.get("return_to"))
    typed, username = (fields.get(name, "").strip() for name in ("organization", "username"))
    password = fields.get("password", "")
    organization = destination.organization.name if destination.organization else typed
    again = partial(
        _page,
        request,
        destination,
        return_to=return_to,
        organization=typed[:127],
        username=username[:127],
        remember=fields.get("remember") == "1",
    )
    for field, value, words in (
        ("organization", organization, _("Enter the name of your organization.")),
        ("username", username, _("Enter your user name.")),
        ("password", password, _("Enter your password.")),
    ):
        if not value:
            return again(status=422, error=_error(_("Something is missing"), words, field))
    held = await hold(engine, request, now)
    device = device_secret(request, engine.settings, engine.random)
    attempt = PasswordAttempt(
        organization=organization,
        username=username,
        password=password,
        arrival=Arrival(
            application=BUILT_IN_APPLICATION,
            origin=origin_of(request, engine.settings),
            beside=held.ids,
            remember=fields.get("remember") == "1",
            device=device,
            mails=engine.settings.sends_mail,
        ),
    )
    work = partial(
        sign_in_with_password, engine.database, engine.passwords, attempt, now, engine.random
    )
    try:
        started = await in_hash_pool(engine, work)
    except CredentialsInvalid as error:
        engine.metrics.sign_ins["failed"] += 1
        words = _("%(problem)s Check both and try again.", problem=gettext(error.title))
        return again(status=401, error=_error(_("That did not work"), words, "password"))
    except Throttled as error:
        engine.metrics.sign_ins["throttled"] += 1
        wait = wait_words(error.retry_after)
        words = _("For safety, sign-in waits a little. Try again in %(wait)s.", wait=wait)
        response = again(status=429, error=_error(_("Too many attempts"), words, None))
        response.headers["retry-after"] = str(error.retry_after)
        return response
    except FactorNeeded as needed:
        arrival = attempt.arrival
        return await ask_for_code(request, destination, arrival, needed.proven, return_to)
    except NoRoom as full:
        if not full.crowd.may_choose:
            engine.metrics.sign_ins["failed"] += 1
            words = _("Sign out somewhere else first, or ask your administrator.")
            return again(status=409, error=_error(gettext(full.title), words, None))
        return await choose_for_sign_in(request, destination, attempt.arrival, full, return_to)
    return await signed_in(request, held, started, return_to, device)


async def _destination(request: Request, client_id: str, organization: str | None) -> Destination:
    database = engine_of(request).database
    return await in_thread(
        lambda: database.read(lambda c: find_destination(c, client_id, organization))
    )


def _page(
    request: Request,
    destination: Destination,
    *,
    return_to: str,
    organization: str,
    username: str = "",
    status: int = 200,
    error: dict[str, str | None] | None = None,
    notice: dict[str, str] | None = None,
    current: dict[str, str] | None = None,
    remember: bool = False,
    choose: bool = False,
) -> Response:
    engine = engine_of(request)
    # The flow cookie proves nothing but that form and answer are of one browser: so it may stay
    # while several pages are open, and the session it leads to has nothing of it.
    flow = read_cookie(request, engine.settings, FLOW) or ""
    fresh = not _FLOW.fullmatch(flow)
    if fresh:
        flow = make_secret(engine.random)
    home = destination.organization
    response = render(
        request,
        "sign_in.html",
        status=status,
        csrf=csrf_token(flow),
        form_targets=form_targets(destination, engine.settings),
        brand=brand_context(
            home.name if home else None, destination.brand, home.display_name if home else ""
        ),
        action=destination.path,
        application=destination.client_id,
        application_name=destination.name,
        organization=home.name if home else None,
        organization_name=home.display_name if home else "",
        organization_value=organization,
        username_value=username,
        return_to=return_to,
        # Whoever shows again that it is them goes on with the session that they have.
        remember_offered=destination.may_remember and not is_again(return_to),
        remember=remember,
        ways=[
            {
                "name": one.name,
                "display_name": one.display_name,
                "address": start_address(
                    one,
                    application=destination.client_id,
                    return_to=return_to,
                    login_hint=username,
                    again=request.query_params.get("prompt") == "login",
                ),
            }
            for one in destination.providers
        ],
        error=error,
        notice=notice,
        current=current,
        accounts_href=_accounts_address(destination, return_to) if choose else None,
    )
    if fresh:
        set_cookie(response.headers, engine.settings, FLOW, flow)
    return response


def _error(title: str, text: str, field: str | None) -> dict[str, str | None]:
    return {"title": title, "text": text, "field": field}


def _likely_organization(verdict: Verdict | None) -> str:
    """What the form suggests: where this browser was signed in last, else the one that always is."""
    if verdict is None or verdict.row is None:
        return BUILT_IN_ORGANIZATION
    return verdict.row.organization


def why_here(verdict: Verdict | None, now: Instant) -> dict[str, str] | None:
    """Why somebody who was signed in has to sign in again; told only to who held the session."""
    if verdict is None or not isinstance(verdict.reason, EndReason):
        return None
    words = _(_ENDED.get(verdict.reason, _OVER), when=_when(verdict, now))
    return {
        "title": _("You were signed out"),
        "text": _("%(why)s Sign in again to go on.", why=words),
        "reason": words,
    }


def _when(verdict: Verdict, now: Instant) -> str:
    """ "at 14:02 UTC", with the day where it was not today."""
    row = verdict.row
    if row is None:
        return ""
    # A cut session ended at its deadline, whether that has been noted yet or not.
    ended = to_datetime(row.ended_at if row.ended_at is not None else row.expires_at)
    if times.local(ended).date() == times.local(to_datetime(now)).date():
        return _("at %(time)s", time=times.hour(ended))
    return _("on %(date)s at %(time)s", date=times.day(ended), time=times.hour(ended))
