"""`/account/again`: back from signing in again, what was asked for before is offered once more.

Nothing is done by looking at the page: an address that somebody was sent shows them a question at most, and
one about a form of their own.
"""

from starlette.requests import Request
from starlette.responses import Response

from iam.web.engine import engine_of
from iam.web.forms import query_text
from iam.web.fresh import read_kept
from iam.web.pages import page_errors, render
from iam.web.visitor import visitor_of


@page_errors
async def show_again(request: Request) -> Response:
    """GET: the question, with the form as it was sent."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    kept = await read_kept(engine, visitor, query_text(request, "code"), now)
    return render(
        request,
        "again.html",
        person=visitor.person,
        csrf=visitor.csrf,
        what=kept.what,
        about=kept.about,
        action=kept.path,
        fields=kept.fields,
        cancel_href=kept.back,
    )
