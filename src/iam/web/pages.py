"""Pages: Jinja templates, rendered on the server, that work without JavaScript.

Every page carries a strict Content-Security-Policy (no inline script, no foreign resource, no
framing) and `no-store`, so that nothing private is left in a cache or behind the Back button.
"""

import functools
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from iam.kernel.clock import Instant, to_datetime, to_iso
from iam.kernel.errors import IamError, Unauthenticated, Unavailable
from iam.languages import (
    N_,
    _,
    gettext,
    n_,
    ngettext,
    pgettext,
    reader,
    times,
    written,
)
from iam.web.accounts import has_others
from iam.web.caller import Person
from iam.web.csrf import csrf_token
from iam.web.engine import engine_of
from iam.web.error_notes import Handler, noted, refer
from iam.web.fresh import AuthenticationStale
from iam.web.language import other_languages, spoken_to
from iam.web.problems import status_of
from iam.web.returning import sign_in_address
from iam.web.rights import Right
from iam.web.script_words import script_words

STATIC = Path(__file__).parent / "static"

_templates = Environment(
    loader=PackageLoader("iam.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=["jinja2.ext.i18n"],
)
# Markup in a sentence is its translator's, what stands in its places is escaped ("newstyle").
_templates.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
    gettext, ngettext, newstyle=True, pgettext=pgettext
)
_templates.policies["ext.i18n.trimmed"] = True
_log = structlog.get_logger("iam.web")


@functools.cache
def _asset(name: str) -> str:
    """The address of a static file, with its content's hash: it may be cached, and never goes stale."""
    return f"/static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


_templates.globals.update(asset=_asset, N_=N_, n_=n_, script_words=script_words, written=written)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as a page shows it: `iso` for machines, `text` for people, `short` for little room, `exact`
    for the tooltip. `plain`: `text` is a date in UTC, for want of knowing the viewer's zone; their browser
    puts it into its own."""

    iso: str
    text: str
    short: str
    exact: str
    plain: bool = False


_SOON = 45
_UNITS = ((3600, 60), (86_400, 3600), (7 * 86_400, 86_400))


def moment(instant: Instant, now: Instant) -> Moment:
    """An instant in words, relative while that is easier to grasp ("3 minutes ago", "in 2 hours")."""
    date = to_datetime(instant)
    iso, exact = to_iso(instant), times.exact(date)
    distance = abs(now - instant) // 1000
    if distance < _SOON:
        text = _("just now") if instant <= now else _("in a moment")
        return Moment(iso, text, text, exact)
    for limit, unit in _UNITS:
        if distance < limit:
            whole = timedelta(seconds=max(1, round(distance / unit)) * unit)
            passed = whole if instant <= now else -whole
            return Moment(iso, times.ago(passed), times.ago(passed, short=True), exact)
    return Moment(iso, exact, exact, exact, plain=reader().zone is None)


def render(
    request: Request,
    template: str,
    *,
    person: Person | None = None,
    csrf: str = "",
    status: int = 200,
    form_targets: tuple[str, ...] = (),
    frame_sources: tuple[str, ...] = (),
    framed_by: str | None = None,
    opened: bool = False,
    **context: Any,
) -> Response:
    """A page. `person` is who it greets; `form_targets` are origins a form may lead on to, and
    `frame_sources` those that it may show in frames; `framed_by` is the one whose page may frame it, which
    is for pages that have nothing to press and know nobody. `opened`: a page of another site has opened it
    and keeps its hold on the window, which is for pages that ask for nothing and do nothing by a press."""
    shell = {
        "user": (person.session.display_name or person.session.user) if person else None,
        "organization": person.session.organization if person else None,
        "session": person.session.id if person else None,
        "has_role": bool(person.rights) if person else False,
        "may": _allowed(person),
        "reaches_installation": person.reaches_installation if person else False,
        "csrf": csrf,
        "others": has_others(request, engine_of(request).settings),
        "issuer": engine_of(request).settings.issuer,
        "language": reader().language,
        "zone": reader().zone,
        "languages": other_languages(request) if status < 400 else [],
    }
    html = _templates.get_template(template).render(
        shell=shell, csrf=csrf, status=status, **context
    )
    response = HTMLResponse(html, status)
    secure_headers(response.headers, form_targets, frame_sources, framed_by)
    if opened:
        response.headers["cross-origin-opener-policy"] = "unsafe-none"
    return response


def _allowed(person: Person | None) -> dict[str, bool]:
    """What the page may offer to them, by the names of the rights; the server asks again."""
    return {str(right): person is not None and right in person.rights for right in Right}


def secure_headers(
    headers: MutableHeaders,
    form_targets: tuple[str, ...] = (),
    frame_sources: tuple[str, ...] = (),
    framed_by: str | None = None,
) -> None:
    """The headers every page has."""
    targets = " ".join(("'self'", *form_targets))
    framing = framed_by or "'none'"
    frames = f"frame-src {' '.join(frame_sources)}; " if frame_sources else ""
    headers["content-security-policy"] = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; "
        f"connect-src 'self'; {frames}form-action {targets}; "
        f"frame-ancestors {framing}; base-uri 'none'"
    )
    headers["cache-control"] = "no-store"
    headers["referrer-policy"] = "same-origin"
    headers["x-content-type-options"] = "nosniff"
    if framed_by is None:
        headers["x-frame-options"] = "DENY"
    headers["cross-origin-opener-policy"] = "same-origin"


def page_csrf(token: str) -> str:
    """The hidden field for pages shown to the holder of this browser session token."""
    return csrf_token(token)


def see_other(url: str) -> Response:
    """303: the answer to a form, so that a reload sends nothing twice and a password is never re-sent."""
    return RedirectResponse(url, 303, headers={"cache-control": "no-store"})


def error_page(
    request: Request,
    status: int,
    title: str,
    text: str,
    code: str = "error",
    way_on: tuple[str, str] | None = None,
) -> Response:
    """An error in plain words, with a way on: an address and what its button says, by default a page that
    fits the request's."""
    path = request.url.path
    if way_on is not None:
        href, label = way_on
    elif path.startswith("/console") and status != 403:
        href, label = "/console", _("Go to the console")
    elif path.startswith(("/console", "/account")):
        href, label = "/account/sessions", _("Go to your sessions")
    else:
        href, label = "/sign-in", _("Go to sign-in")
    return render(
        request,
        "error.html",
        status=status,
        title=title,
        text=text,
        code=code,
        reference=None if status == 503 else refer(request, status, code, text),
        action_href=href,
        action_label=label,
    )


def page_errors(handler: Handler) -> Handler:
    """Have a page's errors answered by pages, and noted: whoever is not signed in is sent to sign in."""

    @noted
    @spoken_to
    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Unauthenticated:
            # The address of a form is no page to come back to.
            query = f"?{request.url.query}" if request.url.query else ""
            back = request.url.path + query if request.method in ("GET", "HEAD") else None
            return see_other(sign_in_address(back))
        except AuthenticationStale as stale:
            return see_other(stale.onward)
        except IamError as error:
            if isinstance(error, Unavailable):
                _log.warning("unavailable", path=request.url.path, detail=error.detail)
            text = _(_WORDS.get(status_of(error), _UNCHANGED))
            if error.detail and not isinstance(error, Unavailable):
                # Marked where it is raised; what the kernel says is translated here.
                text = gettext(error.detail)
            response = error_page(request, status_of(error), gettext(error.title), text, error.code)
            if isinstance(error, Unavailable):
                response.headers["retry-after"] = "1"
            return response
        except HTTPException as error:
            title = _("This request cannot be understood")
            return error_page(request, error.status_code, title, gettext(str(error.detail)))

    return answer


_UNCHANGED = N_("Nothing was changed.")
_WORDS = {
    404: N_("The address may be mistyped, or what was here is gone."),
    503: N_("Nothing was changed. Try again shortly."),
}
