"""`/set-password`: where the link of an invitation leads, or of a mail to reset a password.

The link is all there is to it: it works in any browser, once, and signs nobody in. Looking at the page uses
nothing up, because programs that examine mails follow the links in them.
"""

from starlette.requests import Request
from starlette.responses import Response

from iam.delivery.links import PASSWORD_PATH, read_link
from iam.delivery.mails import Mail
from iam.languages import _
from iam.signin.password_links import good_link, set_by_link
from iam.signin.passwords import LONGEST, SHORTEST
from iam.web.address import origin_of
from iam.web.brand_files import brand_for
from iam.web.csrf import check_origin
from iam.web.engine import Engine, engine_of, in_hash_pool, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import error_page, page_errors, render


@page_errors
async def show_set_password(request: Request) -> Response:
    """GET: the form."""
    token = query_text(request, "t")
    mail = await _open_mail(engine_of(request), token)
    return _no_link(request) if mail is None else await _page(request, mail, token, {})


@page_errors
async def set_password(request: Request) -> Response:
    """POST: set the password. The form's field is the link itself: nobody else's page knows one."""
    engine, now = engine_of(request), engine_of(request).clock()
    check_origin(request, engine.settings)
    fields = await read_form(request)
    token, new = fields.get("t", ""), fields.get("new", "")
    mail = await _open_mail(engine, token)
    if mail is None:
        return _no_link(request)
    wrong: dict[str, str] = {}
    if not SHORTEST <= len(new) <= LONGEST:
        wrong["new"] = _("Use %(least)s to %(most)s characters.", least=SHORTEST, most=LONGEST)
    elif new != fields.get("again"):
        wrong["again"] = _("This is not the same as the one above.")
    if wrong:
        return await _page(request, mail, token, wrong, status=422)
    hashed = await in_hash_pool(engine, lambda: engine.passwords.hash(new))
    origin, mail_id = origin_of(request, engine.settings), mail.id
    done = await in_thread(
        lambda: engine.database.write(
            lambda c: set_by_link(c, mail_id, hashed, now=now, random=engine.random, origin=origin)
        )
    )
    if done is None:
        return _no_link(request)
    engine.count_ended(done[1])
    return _private(
        render(
            request,
            "password_set.html",
            organization=mail.organization,
            user=mail.user,
            brand=await brand_for(engine, mail.organization),
        )
    )


async def _open_mail(engine: Engine, token: str) -> Mail | None:
    mail_id, now = read_link(engine.cipher, token, PASSWORD_PATH), engine.clock()
    if mail_id is None:
        return None
    return await in_thread(lambda: engine.database.read(lambda c: good_link(c, mail_id, now)))


async def _page(
    request: Request, mail: Mail, token: str, wrong: dict[str, str], *, status: int = 200
) -> Response:
    return _private(
        render(
            request,
            "set_password.html",
            status=status,
            token=token,
            user=mail.user,
            organization_name=mail.content["organization_name"],
            first=mail.kind == "invitation",
            wrong=wrong,
            brand=await brand_for(engine_of(request), mail.organization),
        )
    )


def _no_link(request: Request) -> Response:
    """One page for every link that does not work: it tells nobody which links there are."""
    words = _(
        "It was used already, is too old, or is not whole; or the password has been changed since it was "
        "mailed. Ask your administrator for another one."
    )
    return _private(
        error_page(request, 404, _("This link does not work"), words, code="mail_link_invalid")
    )


def _private(response: Response) -> Response:
    # The address of the page is the link: nothing that is loaded or clicked may be told it. The origin alone
    # is: with `no-referrer` browsers send forms from the origin `null`, which `check_origin` refuses.
    response.headers["referrer-policy"] = "strict-origin"
    return response
