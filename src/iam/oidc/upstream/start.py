"""Setting out: `/sign-in/with/{provider}` for whoever signs in, and the form of a signed-in person who
links an account of theirs."""

from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.providers import Provider, ProviderMissing, find_provider_by_id
from iam.kernel.clock import Instant
from iam.kernel.secrets import make_secret
from iam.oidc.upstream.journey import WAYS, Journey, set_out, since_of
from iam.oidc.upstream.words import journey_errors
from iam.web.continue_with import may_add_way
from iam.web.cookies import FLOW, is_made, read_cookie, set_cookie
from iam.web.destination import find_destination
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import return_path
from iam.web.visitor import Visitor, posting_visitor


@page_errors
async def begin(request: Request) -> Response:
    """GET: on to the provider. A link on any page may lead here: what comes of it is a sign-in of whoever
    signs in there, in the browser that went."""
    engine, now = engine_of(request), engine_of(request).clock()
    application = query_text(request, "application")
    provider = await in_thread(
        lambda: engine.database.read(
            lambda c: _of_destination(c, request.path_params["provider"], application)
        )
    )
    return_to = return_path(request.query_params.get("return_to"))
    again = request.query_params.get("prompt") == "login"
    journey = Journey(
        return_to=return_to,
        application=application,
        again=again,
        since=now if again else since_of(return_to),
    )
    return await _go(request, provider, journey, now)


@page_errors
async def begin_link(request: Request) -> Response:
    """POST: on to the provider, to come back with an account there that is linked to one's own here."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)

    def work(connection: Connection) -> Provider | None:
        if not may_add_way(connection, visitor.session.id, now):
            return None
        found = _spoken(connection, request.path_params["provider"])
        if found.organization != visitor.session.organization:
            raise ProviderMissing
        return found

    provider = await in_thread(lambda: engine.database.read(work))
    if provider is None:
        query = urlencode({"prompt": "login", "return_to": WAYS})
        return see_other(f"/sign-in/{visitor.session.organization}?{query}")
    journey = Journey(return_to=WAYS, link=visitor.session.id)
    return await _go(request, provider, journey, now, visitor)


@journey_errors
async def _go(
    request: Request,
    provider: Provider,
    journey: Journey,
    now: Instant,
    visitor: Visitor | None = None,
) -> Response:
    engine = engine_of(request)
    flow = read_cookie(request, engine.settings, FLOW) or ""
    fresh = not is_made(flow)
    if fresh:
        flow = make_secret(engine.random)
    hint = query_text(request, "login_hint", 127)
    address = await set_out(engine, provider, journey, flow, hint, now)
    if visitor is None:
        response = see_other(address)
    else:
        # A page, not a redirect: browsers hold those that follow a form against its page's form-action.
        response = render(
            request,
            "onward.html",
            person=visitor.person,
            csrf=visitor.csrf,
            onward=address,
            onward_name=provider.display_name,
            back=WAYS,
        )
        response.headers["refresh"] = f"0; url={address}"
    if fresh:
        set_cookie(response.headers, engine.settings, FLOW, flow)
    return response


def _of_destination(connection: Connection, provider_id: str, application: str) -> Provider:
    """The provider, if it is of the organization that is signed in to.

    Raises:
        ProviderMissing: it is not there.
        ApplicationMissing, ApplicationOff, OrganizationOff: as `find_destination` says.
    """
    provider = _spoken(connection, provider_id)
    find_destination(connection, application, provider.organization)
    return provider


def _spoken(connection: Connection, provider_id: str) -> Provider:
    """The enabled provider with this ID, if it speaks this protocol.

    Raises:
        ProviderMissing: there is none.
    """
    found = find_provider_by_id(connection, provider_id.replace("\x00", ""))
    if found is None or not found.enabled or found.kind not in ("oidc", "oauth2"):
        raise ProviderMissing
    return found
