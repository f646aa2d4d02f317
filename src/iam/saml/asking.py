"""Sending somebody to an identity provider: `/saml/sign-in/{provider}` makes the AuthnRequest, and has their
browser carry it there.

What was asked is remembered with the browser's flow cookie: the answer is taken from this browser alone
(`iam.saml.acs`).
"""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.providers import Provider, find_provider_by_id
from iam.directory.saml_identity import KIND, identity_of
from iam.directory.saml_metadata import POST, REDIRECT
from iam.kernel.clock import Instant
from iam.kernel.secrets import make_secret
from iam.saml.bindings import to_field, to_query
from iam.saml.errors import SamlUpstreamUnknown
from iam.saml.key import saml_key
from iam.saml.page import post_page
from iam.saml.service_metadata import CONSUMER
from iam.saml.signatures import sign_enveloped
from iam.saml.writing import authn_request, service_entity_id
from iam.signin.federation_requests import open_request
from iam.web.continue_with import WAYS, may_add_way
from iam.web.cookies import FLOW, is_made, read_cookie, set_cookie
from iam.web.destination import find_destination
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import return_path
from iam.web.visitor import Visitor, posting_visitor


@page_errors
async def ask(request: Request) -> Response:
    """`GET /saml/sign-in/{provider}` (`web.continue_with`); `prompt=login`: they sign in there anew."""
    return await in_thread(lambda: _ask(request))


def _ask(request: Request) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    application = query_text(request, "application")

    def work(connection: Connection) -> Provider:
        found = open_provider(connection, request.path_params["provider"])
        find_destination(connection, application, found.organization)
        return found

    provider = engine.database.read(work)
    force = request.query_params.get("prompt") == "login"
    payload: dict[str, Any] = {
        "return_to": return_path(request.query_params.get("return_to")),
        "application": application,
        "since": now if force else None,
        "link": None,
    }
    return _send(request, provider, payload, now)


@page_errors
async def ask_to_link(request: Request) -> Response:
    """`POST /saml/link/{provider}`: to come back with an account there that is linked to one's own here."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    me = visitor.session

    def work(connection: Connection) -> Provider | None:
        if not may_add_way(connection, me.id, now):
            return None
        found = open_provider(connection, request.path_params["provider"])
        if found.organization != me.organization:
            raise SamlUpstreamUnknown
        return found

    provider = await in_thread(lambda: engine.database.read(work))
    if provider is None:
        query = urlencode({"prompt": "login", "return_to": WAYS})
        return see_other(f"/sign-in/{me.organization}?{query}")
    payload: dict[str, Any] = {
        "return_to": WAYS,
        "application": "",
        "since": None,
        "link": me.id,
    }
    return await in_thread(lambda: _send(request, provider, payload, now, visitor))


def _send(
    request: Request,
    provider: Provider,
    payload: dict[str, Any],
    now: Instant,
    visitor: Visitor | None = None,
) -> Response:
    """Remember what is asked, and have the browser carry it there."""
    engine = engine_of(request)
    options, metadata = identity_of(provider)
    issuer = engine.settings.issuer
    first, second = (POST, REDIRECT) if options.request_binding == "post" else (REDIRECT, POST)
    there = metadata.sign_on_by(first, second)
    if there is None:
        raise SamlUpstreamUnknown
    binding, url = there
    flow = read_cookie(request, engine.settings, FLOW) or ""
    fresh = not is_made(flow)
    if fresh:
        flow = make_secret(engine.random)
    root = authn_request(
        service_entity_id(issuer),
        url,
        f"{issuer}{CONSUMER}",
        options,
        now,
        engine.random,
        force=payload["since"] is not None,
    )
    identifier = str(root.get("ID"))
    engine.database.write(lambda c: open_request(c, identifier, provider.id, flow, payload, now))
    key = saml_key(engine, now)
    if binding == POST:
        sign_enveloped(root, key)
        fields = {"SAMLRequest": to_field(root)}
        response = post_page(request, url, fields, provider.display_name)
    else:
        query = to_query("SAMLRequest", root, None, key)
        address = f"{url}{'&' if '?' in url else '?'}{query}"
        response = _lead_on(request, visitor, address, provider.display_name)
    if fresh:
        set_cookie(response.headers, engine.settings, FLOW, flow)
    return response


def _lead_on(request: Request, visitor: Visitor | None, address: str, name: str) -> Response:
    if visitor is None:
        return see_other(address)
    # A page, not a redirect: browsers hold those that follow a form against its page's form-action.
    response = render(
        request,
        "onward.html",
        person=visitor.person,
        csrf=visitor.csrf,
        onward=address,
        onward_name=name,
        back=WAYS,
    )
    response.headers["refresh"] = f"0; url={address}"
    return response


def open_provider(connection: Connection, provider_id: str) -> Provider:
    """The provider with this ID, if people may sign in by it.

    Raises:
        SamlUpstreamUnknown: there is none of this kind, or it is switched off.
    """
    provider = find_provider_by_id(connection, provider_id.replace("\x00", ""))
    if provider is None or provider.kind != KIND or not provider.enabled:
        raise SamlUpstreamUnknown
    return provider
