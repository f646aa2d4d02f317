"""`/device`: where a person lets a device in, by the code that it shows.

The page says which application asks, from where, and what the trick is that is played with such codes
(RFC 8628 §5.4): somebody else's device shows a code, and they have you enter it.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.applications import Application, find_client
from iam.kernel.clock import Instant
from iam.kernel.errors import Throttled
from iam.languages import N_, _, gettext
from iam.oidc import device_requests
from iam.oidc.device_requests import DeviceRequest
from iam.sessions import rules
from iam.signin import throttle
from iam.signin.devices import device_label
from iam.signin.enter import NotAdmitted, admit
from iam.web.address import client_ip
from iam.web.brand_files import brand_for
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, render
from iam.web.returning import account_address
from iam.web.session_words import device_words
from iam.web.visitor import Visitor, posting_visitor, visitor_of

_SCOPES = {
    "openid": N_("know who you are"),
    "profile": N_("read your name, your language and your time zone"),
    "email": N_("read your e-mail address"),
    "offline_access": N_("stay signed in"),
}


@dataclass(frozen=True, slots=True)
class _Found:
    application: Application
    asked: DeviceRequest


@page_errors
async def show_device(request: Request) -> Response:
    """GET: asks for the code. A link may bring it along, but never sends it by itself."""
    engine = engine_of(request)
    visitor = await visitor_of(engine, request, engine.clock())
    code = device_requests.shown(query_text(request, "user_code", 64))
    return await _enter_page(request, visitor, code)


@page_errors
async def enter_code(request: Request) -> Response:
    """POST: the code was entered; says what would be let in, and asks."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    code = device_requests.shown(fields.get("user_code", ""))
    ip = client_ip(request, engine.settings)
    found = await in_thread(
        lambda: engine.database.write(lambda c: _find(c, visitor, code, ip, now))
    )
    if isinstance(found, int):
        raise Throttled(found, _("Too many codes that are none. Wait a little, then try again."))
    if found is None:
        return await _enter_page(request, visitor, code, wrong=True)
    words = [gettext(_SCOPES[one]) for one in found.asked.scope if one in _SCOPES]
    return render(
        request,
        "device_confirm.html",
        person=visitor.person,
        csrf=visitor.csrf,
        user_code=code,
        application=found.application.display_name,
        user=visitor.session.display_name,
        another=account_address(f"/device?{urlencode({'user_code': code})}"),
        device=device_words(device_label(found.asked.origin.user_agent)),
        ip=found.asked.origin.ip,
        permissions=words,
        brand=await brand_for(engine, visitor.session.organization),
    )


@page_errors
async def decide(request: Request) -> Response:
    """POST: let it in, or not."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    code, approved = fields.get("user_code", ""), fields.get("decision") == "approve"
    ip = client_ip(request, engine.settings)

    def work(connection: Connection) -> bool:
        found = _find(connection, visitor, code, ip, now)
        with_session = visitor.session.id if approved else None
        return isinstance(found, _Found) and device_requests.decide(
            connection, code, with_session, now
        )

    done = await in_thread(lambda: engine.database.write(work))
    if not done:
        return await _enter_page(request, visitor, "", wrong=True)
    return render(
        request,
        "device_done.html",
        person=visitor.person,
        csrf=visitor.csrf,
        approved=approved,
        brand=await brand_for(engine, visitor.session.organization),
    )


async def _enter_page(
    request: Request, visitor: Visitor, code: str, *, wrong: bool = False
) -> Response:
    return render(
        request,
        "device.html",
        person=visitor.person,
        csrf=visitor.csrf,
        status=422 if wrong else 200,
        user_code=code,
        user=visitor.session.display_name,
        another=account_address(f"/device?{urlencode({'user_code': code})}" if code else "/device"),
        wrong=wrong,
        brand=await brand_for(engine_of(request), visitor.session.organization),
    )


def _find(
    connection: Connection, visitor: Visitor, code: str, ip: str | None, now: Instant
) -> _Found | int | None:
    """What waits under this code for a user like this one. A wrong code counts; a number says for how
    many seconds no more are looked at."""
    session = visitor.session
    keys = [throttle.code_key(session.organization, session.user)]
    keys += [throttle.address_key(ip)] if ip is not None else []
    seconds = throttle.blocked_for(connection, keys, now)
    if seconds:
        return seconds
    asked = device_requests.find_by_user_code(connection, code, now)
    application = find_client(connection, asked.client_id) if asked is not None else None
    rules.share_rules(connection, session.organization)
    if asked is not None and application is not None:
        try:
            if application.organization == session.organization:
                admit(connection, session.organization, session.user, application.name)
                return _Found(application, asked)
        except NotAdmitted:
            pass  # like a code that is none: whose it is, is not for them to know
    for key in keys:
        throttle.count_failure(connection, key, now)
    return None
