"""Single sign-on: `/saml/sso` takes AuthnRequests, has the person sign in, and posts the Response.

    provider → /saml/sso (query or form): believed and kept → /saml/sso?request=… (a GET on our own site,
    which brings the browser's SameSite=Lax cookie) → sign-in if need be, and back → a page that posts

A request is kept before anybody is asked to sign in, so that a posted one survives it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.directory.applications import Application, find_application, find_client
from iam.directory.saml_metadata import POST
from iam.directory.saml_providers import (
    SamlProvider,
    SamlProviderMissing,
    find_entity,
    find_provider,
)
from iam.kernel.clock import Instant
from iam.kernel.events import Origin
from iam.keys import SamlKey
from iam.languages import _
from iam.saml.answer import Answer, Asked, Choose, ShowCode, SignIn, decide
from iam.saml.bindings import Received, authenticate, from_form, from_query, to_field
from iam.saml.errors import (
    SamlConsumerUnknown,
    SamlMessageRefused,
    SamlMessageUsed,
    SamlSenderUnknown,
)
from iam.saml.key import saml_key
from iam.saml.names import UNSUPPORTED_BINDING
from iam.saml.page import post_page
from iam.saml.reading import AuthnRequest, check_header, read_authn_request
from iam.saml.received import Pending, find_pending, keep_request, use
from iam.sessions.model import BUILT_IN_APPLICATION, LiveRow
from iam.sessions.validate import Verdict, validate
from iam.web.address import origin_of
from iam.web.cookies import BROWSER, read_cookie
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, see_other
from iam.web.returning import choose_address, code_address, sign_in_address

PATH = "/saml/sso"


@page_errors
async def sso(request: Request) -> Response:
    """`GET` or `POST /saml/sso` (saml-profiles §4.1)."""
    if request.method == "POST":
        fields = await read_form(request)
        return await in_thread(lambda: _accept(request, from_form(fields)))
    if "request" in request.query_params or "application" in request.query_params:
        return await in_thread(lambda: _go_on(request))
    return await in_thread(lambda: _accept(request, from_query(request.scope["query_string"])))


def _accept(request: Request, received: Received) -> Response:
    engine = engine_of(request)
    handle = accept(engine, received, engine.clock())
    return see_other(f"{PATH}?{urlencode({'request': handle})}")


def accept(engine: Engine, received: Received, now: Instant) -> str:
    """Keep a request that is believed; answer what leads back to it.

    Raises:
        SamlMessageRefused, SamlSignatureRefused, SamlSenderUnknown, SamlConsumerUnknown, SamlMessageUsed:
            as they say.
    """
    if received.kind != "SAMLRequest":
        raise SamlMessageRefused(_("Only requests are taken here."))
    asked = read_authn_request(received)
    provider, _application = engine.database.read(lambda c: sender_of(c, asked.header.issuer))
    signed = authenticate(
        received, provider.metadata.certificates, required=provider.requires_signed_requests
    )
    here = f"{engine.settings.issuer}{PATH}"
    check_header(asked.header, here=here, signed=signed, now=now)
    payload = _wishes(provider, asked) | {"relay_state": received.relay_state}
    return engine.database.write(
        lambda c: keep_request(c, asked.header, payload, now, engine.random)
    )


def sender_of(connection: Connection, entity_id: str) -> tuple[SamlProvider, Application]:
    """The provider of this entityID, and the application that it is, which must be open.

    Raises:
        SamlSenderUnknown: there is none.
    """
    provider = find_entity(connection, entity_id)
    if provider is None:
        raise SamlSenderUnknown(_("Nothing was sent there. Tell whoever runs the application."))
    application = find_application(connection, provider.organization, provider.application)
    if not application.is_open:
        raise SamlSenderUnknown(_("Nothing was sent there. Tell whoever runs the application."))
    return provider, application


def _wishes(provider: SamlProvider, asked: AuthnRequest) -> dict[str, Any]:
    """What is kept of a request.

    Raises:
        SamlConsumerUnknown: it wants its answer elsewhere than its metadata says. A signature does not
            change that: it would make a stolen key a way to people's names.
    """
    found = [
        one
        for one in provider.metadata.consumers
        if asked.consumer_url in (None, one.url) and asked.consumer_index in (None, one.index)
    ]
    if not found:
        raise SamlConsumerUnknown(_("Nothing was sent there. Tell whoever runs the application."))
    return {
        "consumer": found[0].url,
        "force": asked.force,
        "passive": asked.passive,
        "subject": asked.subject.value if asked.subject is not None else None,
        "format": asked.name_id_format,
        "sp_name_qualifier": asked.sp_name_qualifier,
        "comparison": asked.comparison,
        "classes": list(asked.classes),
        "declarations": asked.declarations,
        "refusal": None if asked.binding == POST else UNSUPPORTED_BINDING,
    }


def _go_on(request: Request) -> Response:
    """The way on of a request that was kept, or of somebody whom no provider has sent."""
    engine, now = engine_of(request), engine_of(request).clock()
    key = saml_key(engine, now)
    handle = query_text(request, "request")
    client_id = query_text(request, "application")
    token = read_cookie(request, engine.settings, BROWSER)
    origin = origin_of(request, engine.settings)

    def work(
        connection: Connection,
    ) -> tuple[Asked, Answer | SignIn | ShowCode | Choose, Verdict | None]:
        verdict = validate(connection, token, now) if token is not None else None
        browser = _browser_session(verdict)
        wish = Wish(handle=handle, client_id=client_id, origin=origin)
        return (*take_up(connection, engine, key, wish, browser, now), verdict)

    asked, decision, verdict = engine.database.write(work)
    _count(engine, verdict, origin, now)
    there = {"request": handle} if handle else {"application": client_id}
    back = f"{PATH}?{urlencode(there)}"
    if isinstance(decision, SignIn):
        extra = {"prompt": "login"} if decision.again else {}
        return see_other(sign_in_address(back, application=asked.application.client_id, **extra))
    if isinstance(decision, ShowCode):
        return see_other(code_address(back, asked.application.client_id))
    if isinstance(decision, Choose):
        return see_other(choose_address(back, asked.application.client_id))
    if decision.started is not None:
        engine.count_started(decision.started)
    fields = {"SAMLResponse": to_field(decision.root)}
    if asked.relay_state is not None:
        fields["RelayState"] = asked.relay_state
    return post_page(request, asked.consumer, fields, asked.application.display_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be gone on with: a request that was kept, or else the application that somebody goes to by
    themselves."""

    handle: str
    client_id: str
    origin: Origin


def take_up(
    connection: Connection,
    engine: Engine,
    key: SamlKey,
    wish: Wish,
    browser: LiveRow | None,
    now: Instant,
) -> tuple[Asked, Answer | SignIn | ShowCode | Choose]:
    """Answer a request that was kept, which uses it up, or have the person do something first.

    Raises:
        SamlMessageRefused, SamlMessageUsed, SamlSenderUnknown, SamlConsumerUnknown: as they say.
    """
    pending = None
    if wish.handle:
        pending = _pending(connection, wish.handle, now)
        asked = _asked(connection, pending)
    else:
        asked = _unasked(connection, wish.client_id)
    decision = decide(connection, engine, key, asked, browser, wish.origin, now)
    if pending is not None and isinstance(decision, Answer):
        use(connection, pending, now)
    return asked, decision


def _pending(connection: Connection, handle: str, now: Instant) -> Pending:
    pending = find_pending(connection, handle, now, lock=True)
    if pending is None:
        raise SamlMessageRefused(_("It is too old. Start again from the application."))
    if pending.used:
        raise SamlMessageUsed(_("Go back to the application and start again."))
    return pending


def _asked(connection: Connection, pending: Pending) -> Asked:
    provider, application = sender_of(connection, pending.sender)
    wishes: Mapping[str, Any] = pending.payload
    if wishes["consumer"] not in [one.url for one in provider.metadata.consumers]:
        raise SamlConsumerUnknown(_("Nothing was sent there. Tell whoever runs the application."))
    return Asked(
        provider=provider,
        application=application,
        consumer=wishes["consumer"],
        request_id=pending.message_id,
        relay_state=wishes["relay_state"],
        since=pending.created_at if wishes["force"] else None,
        wishes=wishes,
    )


def _unasked(connection: Connection, client_id: str) -> Asked:
    """IdP-initiated sign-on: a link of ours to an application that allows it. Off unless it does: an
    answer that nobody asked for could be somebody else's (login CSRF at the provider)."""
    application = find_client(connection, client_id)
    if application is None or not application.is_open:
        raise SamlSenderUnknown
    try:
        provider = find_provider(connection, application.organization, application.name)
    except SamlProviderMissing:
        raise SamlSenderUnknown from None
    if not provider.options.allow_idp_initiated:
        raise SamlMessageRefused(_("This application wants people to start from its own page."))
    return Asked(
        provider=provider,
        application=application,
        consumer=provider.metadata.consumers[0].url,
        request_id=None,
        relay_state=None,
        since=None,
        wishes={},
    )


def _browser_session(verdict: Verdict | None) -> LiveRow | None:
    if verdict is None or verdict.row is None or verdict.reason is not None:
        return None
    return verdict.row if verdict.row.application == BUILT_IN_APPLICATION else None


def _count(engine: Engine, verdict: Verdict | None, origin: Origin, now: Instant) -> None:
    if verdict is not None:
        engine.metrics.validations[str(verdict.outcome)] += 1
        row = _browser_session(verdict)
        if row is not None:
            engine.touches.note(row, now, origin)
