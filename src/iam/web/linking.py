"""Linking what somebody is at a provider to the account that they are signed in to here."""

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.users import find_user
from iam.kernel.errors import Unauthenticated
from iam.signin.federation import Vouched, link_person
from iam.web.address import origin_of
from iam.web.continue_with import WAYS
from iam.web.engine import engine_of, in_thread
from iam.web.pages import see_other
from iam.web.visitor import visitor_of


async def link_to_visitor(request: Request, session_id: str, vouched: Vouched) -> Response:
    """Link the account there to whose session has set out for it.

    Raises:
        Unauthenticated: the browser holds another session by now, or none.
    """
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    if not visitor.holds(session_id):
        # Signed in as somebody else meanwhile: whose account it was to be linked to is gone.
        raise Unauthenticated
    me = visitor.session

    def work(connection: Connection) -> None:
        user = find_user(connection, me.organization, me.user)
        origin = origin_of(request, engine.settings)
        link_person(connection, vouched, user, origin, now, engine.random)

    await in_thread(lambda: engine.database.write(work))
    return see_other(f"{WAYS}?notice=linked")
