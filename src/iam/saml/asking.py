"""Sending somebody to an identity provider: `/saml/sign-in/{provider}` makes the AuthnRequest, and has their
browser carry it there.

What was asked is remembered with the browser's flow cookie: the answer is taken from this browser alone
(`iam.saml.acs`).
"""

import re
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.providers import Provider, find_provider_by_id
from iam.directory.saml_identity import KIND, identity_of
from iam.directory.saml_metadata import POST, REDIRECT
from iam.kernel.secrets import make_secret
from iam.saml.bindings import to_field, to_query
from iam.saml.errors import SamlUpstreamUnknown
from iam.saml.key import saml_key
from iam.saml.page import post_page
from iam.saml.service_metadata import CONSUMER
from iam.saml.signatures import sign_enveloped
from iam.saml.writing import authn_request, service_entity_id
from iam.signin.federation_requests import open_request
from iam.web.cookies import FLOW, read_cookie, set_cookie
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import page_errors, see_other
from iam.web.returning import return_path

_FLOW = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@page_errors
async def ask(request: Request) -> Response:
    """`GET /saml/sign-in/{provider}` (`web.continue_with`); `prompt=login`: they sign in there anew."""
    return await in_thread(lambda: _ask(request))


def _ask(request: Request) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    provider_id = request.path_params["provider"]
    provider = engine.database.read(lambda c: open_provider(c, provider_id))
    options, metadata = identity_of(provider)
    issuer = engine.settings.issuer
    first, second = (POST, REDIRECT) if options.request_binding == "post" else (REDIRECT, POST)
    there = metadata.sign_on_by(first, second)
    if there is None:
        raise SamlUpstreamUnknown
    binding, url = there
    flow = read_cookie(request, engine.settings, FLOW) or ""
    fresh = not _FLOW.fullmatch(flow)
    if fresh:
        flow = make_secret(engine.random)
    force = request.query_params.get("prompt") == "login"
    root = authn_request(
        service_entity_id(issuer),
        url,
        f"{issuer}{CONSUMER}",
        options,
        now,
        engine.random,
        force=force,
    )
    payload: dict[str, Any] = {
        "return_to": return_path(request.query_params.get("return_to")),
        "application": query_text(request, "application"),
        "since": now if force else None,
        "entity_id": metadata.entity_id,
    }
    identifier = str(root.get("ID"))
    engine.database.write(lambda c: open_request(c, identifier, provider.id, flow, payload, now))
    key = saml_key(engine, now)
    if binding == REDIRECT:
        query = to_query("SAMLRequest", root, None, key)
        response = see_other(f"{url}{'&' if '?' in url else '?'}{query}")
    else:
        sign_enveloped(root, key)
        fields = {"SAMLRequest": to_field(root)}
        response = post_page(request, url, fields, provider.display_name)
    if fresh:
        set_cookie(response.headers, engine.settings, FLOW, flow)
    return response


def open_provider(connection: Connection, provider_id: str) -> Provider:
    """The provider with this ID, if people may sign in by it.

    Raises:
        SamlUpstreamUnknown: there is none of this kind, or it is switched off.
    """
    provider = find_provider_by_id(connection, provider_id)
    if provider is None or provider.kind != KIND or not provider.enabled:
        raise SamlUpstreamUnknown
    return provider
