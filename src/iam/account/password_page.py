"""`/account/password`: a person changes their own password, and whoever else uses the old one is out."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from iam.kernel.errors import Throttled
from iam.languages import _, gettext
from iam.signin.factors import CodeWrong, FactorRequired
from iam.signin.password_change import PasswordChange, change_password
from iam.signin.passwords import LONGEST, SHORTEST
from iam.signin.proof import PasswordWrong, needs_factor
from iam.web.address import origin_of
from iam.web.cookies import set_browser_session
from iam.web.engine import engine_of, in_hash_pool, in_thread
from iam.web.forms import read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.visitor import Visitor, posting_visitor, visitor_of


@page_errors
async def show_password(request: Request) -> Response:
    """GET: the form."""
    engine, now = engine_of(request), engine_of(request).clock()
    return await _page(request, await visitor_of(engine, request, now), {}, keep=False)


@page_errors
async def save_password(request: Request) -> Response:
    """POST: set the new password, end all other sessions unless told otherwise, and go on with a new
    token in this browser."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    new, keep = fields.get("new", ""), "keep" in fields
    wrong: dict[str, str] = {}
    if not fields.get("current"):
        wrong["current"] = _("Enter the password you have now.")
    if not SHORTEST <= len(new) <= LONGEST:
        wrong["new"] = _("Use %(least)s to %(most)s characters.", least=SHORTEST, most=LONGEST)
    elif new != fields.get("again"):
        wrong["again"] = _("This is not the same as the one above.")
    if wrong:
        return await _page(request, visitor, wrong, keep=keep, status=422)
    wanted = PasswordChange(
        holder=visitor.session,
        current=fields["current"],
        new=new,
        code=fields.get("code"),
        end_others=not keep,
        origin=origin_of(request, engine.settings),
    )
    work = partial(
        change_password,
        engine.database,
        engine.passwords,
        engine.cipher,
        wanted,
        now,
        engine.random,
    )
    try:
        changed = await in_hash_pool(engine, work)
    except PasswordWrong:
        wrong["current"] = _("This is not your password.")
        return await _page(request, visitor, wrong, keep=keep, status=403)
    except FactorRequired:
        wrong["code"] = _("Enter the code that your authenticator app shows.")
        return await _page(request, visitor, wrong, keep=keep, status=422)
    except CodeWrong as error:
        wrong["code"] = gettext(error.title)
        return await _page(request, visitor, wrong, keep=keep, status=403)
    except Throttled as error:
        wrong["current"] = _("Too many attempts. Wait a little, then try again.")
        response = await _page(request, visitor, wrong, keep=keep, status=429)
        response.headers["retry-after"] = str(error.retry_after)
        return response
    engine.count_ended(changed.ended)
    response = see_other("/account/sessions?notice=password")
    set_browser_session(response.headers, engine.settings, changed.rotated, now)
    return response


async def _page(
    request: Request, visitor: Visitor, wrong: dict[str, str], *, keep: bool, status: int = 200
) -> Response:
    database, me = engine_of(request).database, visitor.session
    needs_code = await in_thread(
        lambda: database.read(lambda c: needs_factor(c, me.organization, me.user))
    )
    return render(
        request,
        "account_password.html",
        status=status,
        person=visitor.person,
        csrf=visitor.csrf,
        user=visitor.session.user,
        needs_code=needs_code,
        wrong=wrong,
        keep=keep,
    )
