"""`/sign-out`: asks once, then ends the browser session and everything entered from it."""

from starlette.requests import Request
from starlette.responses import Response

from iam.sessions import store
from iam.signin.codes import redeem_code
from iam.web import signing_out
from iam.web.brand_files import brand_for
from iam.web.caller import Person
from iam.web.cookies import BROWSER, read_cookie
from iam.web.csrf import check_csrf, check_origin
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.provider_onward import CODE as PROVIDER_LOGOUT
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
        brand=await brand_for(engine, visitor.session.organization),
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
    verdict, _token = await look(engine, request, now)
    left = Left()
    row = verdict.living if verdict is not None else None
    if row is not None:
        left = await signing_out.sign_out(request, Person(row).actor, now, row.id)
    return await signed_out_page(request, left)


@page_errors
async def signed_out_there(request: Request) -> Response:
    """GET: back from the provider at which somebody was signed out as well, and on from here."""
    engine, now = engine_of(request), engine_of(request).clock()
    state = query_text(request, "state")
    code = await in_thread(
        lambda: engine.database.write(lambda c: redeem_code(c, PROVIDER_LOGOUT, state, now))
    )
    onward = code.payload["onward"] if code is not None and not code.replayed else None
    if isinstance(onward, str):
        return see_other(onward)
    return await signed_out_page(request, Left())
