"""`/sign-out/device`: where the link in a mail about a new device leads. It ends that one session.

The link is all there is to it: it works in any browser, without a cookie, and signs nobody in. Looking
at the page ends nothing, because programs that examine mails follow the links in them.
"""

from starlette.requests import Request
from starlette.responses import Response

from iam.delivery import mails
from iam.delivery.links import PATH, read_link
from iam.delivery.mails import Mail, MailMissing
from iam.delivery.message import Content
from iam.kernel.clock import to_datetime
from iam.languages import _, speak, times
from iam.signin.devices import device_kind
from iam.signin.known_devices import disown
from iam.web.address import origin_of
from iam.web.brand_files import brand_for
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import error_page, page_errors, render
from iam.web.session_words import device_words


@page_errors
async def show_device(request: Request) -> Response:
    """GET: which sign-in it was, and the question."""
    engine = engine_of(request)
    token = query_text(request, "t")
    mail = await _open_mail(engine, token)
    if mail is None:
        return _no_link(request)
    content = Content(**mail.content)
    # Nobody is signed in, but the mail knew whom it is for; the language is this browser's.
    speak(None, content.zone)
    return _private(
        render(
            request,
            "device_sign_out.html",
            action=PATH,
            token=token,
            user=mail.user,
            organization=content.organization_name,
            device=device_words(content.device),
            kind=device_kind(content.device, None),
            ip=content.ip,
            at=times.exact(to_datetime(mail.created_at)),
            brand=await brand_for(engine, mail.organization),
        )
    )


@page_errors
async def end_device(request: Request) -> Response:
    """POST: end the session. The form's field is the link itself: nobody else's page knows one, so it
    needs no other protection from forged requests."""
    engine, now = engine_of(request), engine_of(request).clock()
    mail_id = read_link(engine.cipher, (await read_form(request)).get("t", ""))
    if mail_id is None:
        return _no_link(request)
    origin = origin_of(request, engine.settings)
    done = await in_thread(
        lambda: engine.database.write(
            lambda c: disown(c, mail_id, origin=origin, now=now, random=engine.random)
        )
    )
    if done is None:
        return _no_link(request)
    mail, ended = done
    engine.count_ended(ended)
    return _private(
        render(
            request,
            "device_signed_out.html",
            ended=any(one.session.id == mail.session and one.at == now for one in ended),
            user=mail.user,
            applications=max(0, len(ended) - 1),
            brand=await brand_for(engine, mail.organization),
        )
    )


async def _open_mail(engine: Engine, token: str) -> Mail | None:
    """The mail that a link is from, if the link still works."""
    mail_id = read_link(engine.cipher, token)
    if mail_id is None:
        return None
    try:
        mail = await in_thread(
            lambda: engine.database.read(lambda c: mails.find_mail(c, mail_id)),
        )
    except MailMissing:
        return None
    return mail if mail.link_works(engine.clock()) else None


def _no_link(request: Request) -> Response:
    """One page for every link that does not work: it tells nobody which links there are."""
    words = _(
        "It was used already, is older than a week, or is not whole. To end sessions, sign in and look "
        "at your own; if somebody else knows your password, get a new one."
    )
    return _private(
        error_page(request, 404, _("This link does not work"), words, code="mail_link_invalid")
    )


def _private(response: Response) -> Response:
    # The address of the page is the link: nothing that is loaded or clicked may be told it.
    response.headers["referrer-policy"] = "no-referrer"
    return response
