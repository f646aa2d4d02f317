"""`/sign-out`: asks once, then ends the browser session and everything entered from it."""

from starlette.requests import Request
from starlette.responses import Response

from iam.sessions import store
from iam.web import signing_out
from iam.web.caller import Person
from iam.web.cookies import BROWSER, read_cookie
from iam.web.csrf import check_csrf, check_origin
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import page_errors, render
from iam.web.signing_out import Left, signed_out_page
from iam.web.visitor import look, visitor_of


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
    """POST: end the session, also a locked one. Somebody whose session is over already is signed out all
    the same."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    token = read_cookie(request, engine.settings, BROWSER)
    if token is None:
        check_origin(request, engine.settings)
    else:
        check_csrf(request, engine.settings, token, fields.get("csrf"))
    verdict, _ = await look(engine, request, now)
    left = Left()
    row = verdict.living if verdict is not None else None
    if row is not None:
        left = await signing_out.sign_out(request, Person(row).actor, now, row.id)
    return signed_out_page(request, left)
