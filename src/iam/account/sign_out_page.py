"""`/sign-out`: asks once, then ends the browser session and everything entered from it."""

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason
from iam.sessions.validate import Outcome
from iam.web.address import origin_of
from iam.web.caller import Person
from iam.web.cookies import BROWSER, read_cookie
from iam.web.csrf import check_csrf, check_origin
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import page_errors, render
from iam.web.saml_onward import saml_onward
from iam.web.visitor import forget_browser, look, visitor_of


@page_errors
async def show_sign_out(request: Request) -> Response:
    """GET: the question. Following a link signs nobody out."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    children = await in_thread(
        lambda: engine.database.read(lambda c: store.children_of(c, [visitor.session.id]))
    )
    return render(
        request,
        "sign_out.html",
        person=visitor.person,
        csrf=visitor.csrf,
        user=visitor.session.display_name,
        applications=len(children),
    )


@page_errors
async def sign_out(request: Request) -> Response:
    """POST: end the session. Somebody whose session is over already is signed out all the same."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    token = read_cookie(request, engine.settings, BROWSER)
    if token is None:
        check_origin(request, engine.settings)
    else:
        check_csrf(request, engine.settings, token, fields.get("csrf"))
    verdict, _ = await look(engine, request, now)
    number, onward = 0, None
    if verdict is not None and verdict.outcome is Outcome.VALID and verdict.row is not None:
        row = verdict.row

        def work(connection: Connection) -> tuple[tuple[Ended, ...], str | None]:
            ended = lifecycle.end(
                connection,
                [row.id],
                reason=EndReason.SIGNED_OUT,
                actor=Person(row).actor,
                now=now,
                random=engine.random,
                origin=origin_of(request, engine.settings),
            )
            return ended, saml_onward(connection, ended, now, engine.random)

        ended, onward = await in_thread(lambda: engine.database.write(work))
        number = engine.count_ended(ended)
    response = signed_out_page(request, applications=max(0, number - 1), saml_onward=onward)
    if onward is not None:
        # Not a redirect: browsers hold those that follow a form against its page's form-action.
        response.headers["refresh"] = f"1; url={onward}"
    return response


def signed_out_page(
    request: Request, *, applications: int = 0, saml_onward: str | None = None
) -> Response:
    """What somebody sees whose browser session has just ended; the browser forgets it as well.

    `saml_onward`: where the browser goes on to, to tell applications.
    """
    response = render(
        request, "signed_out.html", applications=applications, saml_onward=saml_onward
    )
    forget_browser(response.headers, engine_of(request))
    return response
