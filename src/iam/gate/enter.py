"""The way in and out for people: from a host behind the gate to the sign-in page and back.

    host: 401 by the gate → issuer: /gate/enter?rd=… → host: /.iam/callback?rd=… (leaves a cookie)
    → issuer: /gate/enter?rd=…&state=… (signs in if need be) → host: /.iam/callback?code=… → the page

The cookie binds the code to the browser that asked: without it somebody could have a victim open a
callback with a code of their own, and the victim would work in their account (login CSRF).
"""

import base64
import hmac
import re
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from iam.directory.applications import application_at, find_application
from iam.directory.preferences import read_preferences
from iam.gate.hosts import Target, host_name, parse_target, path_of, scheme_of
from iam.gate.page import gate_page
from iam.gate.refusal import HostRequired, HostUnknown
from iam.kernel.clock import Instant
from iam.kernel.errors import IamError, Invalid
from iam.kernel.events import user_actor
from iam.kernel.secrets import make_secret
from iam.languages import _, gettext, speak, speaking
from iam.sessions import lifecycle
from iam.sessions.lifecycle import ParentEnded, Started
from iam.sessions.limits import SessionLimit
from iam.sessions.lock import locked_child
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason, LiveRow
from iam.sessions.validate import validate
from iam.signin.codes import Code, issue_code, note_started, redeem_code
from iam.signin.enter import NotAdmitted, Threshold, approach, enter_application
from iam.web.accounts import has_others
from iam.web.address import origin_of
from iam.web.cookies import APP, BROWSER, clear_cookie, read_cookie, set_cookie
from iam.web.csrf import ForgerySuspected
from iam.web.engine import Engine, engine_of
from iam.web.language import language_of
from iam.web.pages import see_other
from iam.web.problems import status_of
from iam.web.returning import choose_address, sign_in_address

FLOW = "iam-app-flow"
"""The cookie that binds a code to the browser that asked for it, on the application's own host."""

_RANDOM = re.compile(r"[A-Za-z0-9_-]{43}")

Handler = Callable[[Request], Response]


class EntryInvalid(Invalid):
    """The code of a callback is unknown, used, too old, or of another host or browser."""

    code = "gate_code_invalid"
    title = "This way in is no longer valid."


def _with_pages(handler: Handler) -> Handler:
    """Errors as pages, in people's language: they see these doors."""

    @wraps(handler)
    def wrapped(request: Request) -> Response:
        with speaking(language_of(request)):
            try:
                return handler(request)
            except IamError as error:
                settings, title = engine_of(request).settings, gettext(error.title)
                text = error.detail or _(
                    "Nothing has been changed. You can start again from the page."
                )
                return gate_page(settings, status_of(error), title, text, code=error.code)

    return wrapped


@_with_pages
def enter(request: Request) -> Response:
    """`GET /gate/enter?rd=…`, on the issuer's host: hands the browser session on to a host."""
    engine, now = engine_of(request), engine_of(request).clock()
    settings = engine.settings
    target = parse_target(request.query_params.get("rd"), settings)
    home = engine.database.read(lambda c: application_at(c, target.host))
    if home is None:
        raise HostUnknown
    organization, application = home
    state = request.query_params.get("state", "")
    if not _RANDOM.fullmatch(state):
        there = target._replace(path="/.iam/callback?" + urlencode({"rd": target.path}))
        return see_other(there.url)
    browser = _browser_session(engine, request, now)
    client_id = engine.database.read(
        lambda c: find_application(c, organization, application)
    ).client_id
    back = "/gate/enter?" + urlencode({"rd": target.url, "state": state})
    if browser is None or engine.database.read(
        lambda c: locked_child(c, browser.id, application, now)
    ):
        return see_other(sign_in_address(back, application=client_id))
    if browser.organization != organization:
        if has_others(request, settings):
            # One of the other accounts in this browser may be of it; the page there looks.
            return see_other(sign_in_address(back, application=client_id))
        raise NotAdmitted
    engine.touches.note(browser, now, origin_of(request, settings))

    def work(connection: Connection) -> str | Threshold:
        ahead = approach(
            connection,
            browser_session=browser.id,
            organization=organization,
            application=application,
            instance=target.host,
            now=now,
        )
        if ahead.authenticate_since is not None or ahead.crowd is not None:
            return ahead
        return issue_code(
            connection,
            "gate",
            browser_session=browser.id,
            payload={
                "scheme": target.scheme,
                "host": target.host,
                "rd": target.path,
                "organization": organization,
                "application": application,
                "state": state,
            },
            now=now,
            random=engine.random,
        )

    ahead = engine.database.write(work)
    if isinstance(ahead, str):
        there = target._replace(path="/.iam/callback?" + urlencode({"code": ahead}))
        return see_other(there.url)
    if ahead.authenticate_since is not None:
        return see_other(sign_in_address(back, application=client_id, prompt="login"))
    if ahead.crowd is not None and not ahead.crowd.may_choose:
        raise SessionLimit(ahead.crowd)
    return see_other(choose_address(back, client_id))


def _browser_session(engine: Engine, request: Request, now: Instant) -> LiveRow | None:
    token = read_cookie(request, engine.settings, BROWSER)
    if token is None:
        return None
    verdict = engine.database.read(lambda connection: validate(connection, token, now))
    engine.metrics.validations[str(verdict.outcome)] += 1
    row = verdict.row
    if row is None or verdict.reason is not None or row.application != BUILT_IN_APPLICATION:
        return None
    return row


@_with_pages
def callback(request: Request) -> Response:
    """`GET /.iam/callback`, on the application's own host: sets out, and comes home with a code."""
    engine, now = engine_of(request), engine_of(request).clock()
    settings = engine.settings
    here = _own_host(request)
    flow = read_cookie(request, settings, FLOW)
    text = request.query_params.get("code")
    if text is None:
        if flow is None or not _RANDOM.fullmatch(
            flow
        ):  # kept, so that two tabs can be on their way at once
            flow = make_secret(engine.random)
        page = here._replace(path=path_of(request.query_params.get("rd")))
        query = urlencode({"rd": page.url, "state": _state(flow)})
        response = see_other(f"{settings.issuer}/gate/enter?{query}")
        set_cookie(response.headers, settings, FLOW, flow)
        return response
    code = engine.database.write(lambda c: redeem_code(c, "gate", text, now))
    if code is None or code.replayed or not _is_for(code, here, flow):
        links = (("/", _("Start again")),)
        detail = _("It works once, for a minute, and only in the browser that asked for it.")
        return gate_page(
            settings,
            422,
            gettext(EntryInvalid.title),
            detail,
            links=links,
            code=EntryInvalid.code,
        )
    entered, is_new = engine.database.write(lambda c: _enter(c, engine, request, code, text, now))
    if is_new:
        engine.count_started(entered)
    response = see_other(here._replace(path=path_of(str(code.payload["rd"]))).url)
    set_cookie(response.headers, settings, APP, entered.token)
    return response


def _is_for(code: Code, here: Target, flow: str | None) -> bool:
    expected = str(code.payload["state"]).encode()
    return code.payload["host"] == here.host and hmac.compare_digest(
        _state(flow or "").encode(), expected
    )


def _enter(
    connection: Connection, engine: Engine, request: Request, code: Code, text: str, now: Instant
) -> tuple[Started, bool]:
    host = str(code.payload["host"])
    organization, application = str(code.payload["organization"]), str(code.payload["application"])
    if application_at(connection, host) != (organization, application):
        raise HostUnknown
    origin = origin_of(request, engine.settings)
    session, _user, started = enter_application(
        connection,
        browser_session=code.browser_session,
        organization=organization,
        application=application,
        instance=host,
        origin=origin,
        now=now,
        random=engine.random,
    )
    is_new = started is not None
    if started is None:
        started = lifecycle.rotate(
            connection,
            session.id,
            actor=user_actor(session.organization, session.user),
            now=now,
            random=engine.random,
            origin=origin,
        )
    if started is None:
        raise ParentEnded
    note_started(connection, text, started.session.id)
    return started, is_new


@_with_pages
def sign_out(request: Request) -> Response:
    """`/.iam/sign-out`, on the application's own host: GET asks (or says it is done), POST ends."""
    engine, now = engine_of(request), engine_of(request).clock()
    settings = engine.settings
    here = _own_host(request)
    token = read_cookie(request, settings, APP)
    row = None
    if token is not None:
        verdict = engine.database.read(lambda c: validate(c, token, now))
        row = verdict.living
    if row is not None:
        them = row
        said = engine.database.read(lambda c: read_preferences(c, them.organization, them.user))
        speak(said.locale, said.zone)
    if request.method == "POST":
        _check_same_origin(request, here.host)
        if row is not None:
            _end(engine, request, row, now)
        response = see_other(here._replace(path="/.iam/sign-out").url)
        clear_cookie(response.headers, settings, APP)
        return response
    everywhere = (f"{settings.issuer}/sign-out", _("Sign out everywhere in this browser"))
    if row is not None:
        text = _(
            "You are signed in to %(host)s as %(user)s.", host=here.host, user=row.display_name
        )
        stay = ("/", _("Stay signed in"))
        return gate_page(settings, 200, _("Sign out?"), text, button=_("Sign out"), links=(stay,))
    text = _(
        "Your session at %(host)s has ended. Other applications may still be signed in.",
        host=here.host,
    )
    return gate_page(
        settings,
        200,
        _("You are signed out"),
        text,
        links=(("/", _("Sign in again")), everywhere),
    )


def _end(engine: Engine, request: Request, row: LiveRow, now: Instant) -> None:
    ended = engine.database.write(
        lambda c: lifecycle.end(
            c,
            [row.id],
            reason=EndReason.SIGNED_OUT,
            actor=user_actor(row.organization, row.user),
            now=now,
            random=engine.random,
            origin=origin_of(request, engine.settings),
        )
    )
    engine.count_ended(ended)


def _check_same_origin(request: Request, host: str) -> None:
    """Refuse a form that another site sent.

    Raises:
        ForgerySuspected: the browser names another site or origin.
    """
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise ForgerySuspected
    origin = request.headers.get("origin")
    if origin is not None:
        scheme, _colon, there = origin.partition("://")
        if host_name(there, scheme) != host:
            raise ForgerySuspected


def _own_host(request: Request) -> Target:
    """Where this request was sent to. A proxy says it in X-Forwarded-Host; nothing is decided by it
    but which of the sender's own cookies and codes are looked at.

    Raises:
        HostRequired: not the name of a host.
    """
    settings = engine_of(request).settings
    scheme = scheme_of(settings, request.headers.get("x-forwarded-proto"))
    given = request.headers.get("x-forwarded-host") or request.headers.get("host")
    host = host_name(given, scheme)
    if host is None:
        raise HostRequired
    return Target(scheme, host, "/")


def _state(flow: str) -> str:
    digest = sha256(flow.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def routes() -> list[BaseRoute]:
    """The doors for people; the hot path is `gate.hot_path`."""
    return [
        Route("/gate/enter", enter, methods=["GET"]),
        Route("/.iam/callback", callback, methods=["GET"]),
        Route("/.iam/sign-out", sign_out, methods=["GET", "POST"]),
    ]
