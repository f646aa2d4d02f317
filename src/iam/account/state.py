"""How the session of an open page is doing: what its countdown shows, and how it learns of its end.

A page asks every few seconds while somebody can see it. That is no activity, and costs one read of the
session's row, which the waiting share with the gate's validations.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam.account.sign_in_page import why_here
from iam.directory.preferences import read_preferences
from iam.kernel.secrets import parse_token
from iam.languages import _, speak
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow
from iam.sessions.validate import Outcome, judge
from iam.web.cookies import BROWSER, read_cookie
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.language import spoken_to
from iam.web.pages import page_errors
from iam.web.visitor import posting_visitor

_HEADERS = {"cache-control": "no-store"}


@spoken_to
async def show_state(request: Request) -> Response:
    """GET: whether the browser session lives, for how many milliseconds more, or why not."""
    engine, now = engine_of(request), engine_of(request).clock()
    token = parse_token(read_cookie(request, engine.settings, BROWSER) or "")
    verdict = judge(token, await engine.reader.read(token.session_id), now)
    row = verdict.row
    if row is None or row.application != BUILT_IN_APPLICATION:
        return JSONResponse({"live": False, "text": _("You are signed out.")}, headers=_HEADERS)
    if verdict.outcome is Outcome.VALID:
        return JSONResponse({"live": True, **_left(row, now)}, headers=_HEADERS)
    # Only now: whoever is told something is told it as they wish, and the others cost one read.
    said = await in_thread(
        lambda: engine.database.read(lambda c: read_preferences(c, row.organization, row.user))
    )
    speak(said.locale, said.zone)
    if verdict.outcome is Outcome.LOCKED:
        text = _("This session is locked. Show your password to go on.")
        return JSONResponse({"live": False, "text": text}, headers=_HEADERS)
    why = why_here(verdict, now) or {"text": _("This session has ended.")}
    return JSONResponse({"live": False, "text": why["text"]}, headers=_HEADERS)


@page_errors
async def stay(request: Request) -> Response:
    """POST: the person is there: that counts as activity, as any page does."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    row = visitor.session._replace(last_active_at=now)
    return JSONResponse({"live": True, **_left(row, now)}, headers=_HEADERS)


def _left(row: LiveRow, now: int) -> dict[str, int | str]:
    return {
        # Whose turn it is: a page that was opened as somebody else says so.
        "session": row.id,
        "user": row.display_name or row.user,
        "idle_left": row.last_active_at + row.idle_timeout * 1000 - now,
        "left": row.expires_at - now,
        "idle_timeout": row.idle_timeout * 1000,
    }
