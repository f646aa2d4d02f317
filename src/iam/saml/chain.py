"""A logout that goes on through the browser: to each provider that took part and cannot be told by SOAP,
one after the other, and at the end back to the one that asked.

All sessions are over here before it begins: what may go wrong on the way is only that somebody is not
told, which the last answer says. Where it stands is kept here, found by the ID of the request that is
under way; nothing of it travels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.delivery.saml_logouts import SamlParticipant
from iam.directory.saml_metadata import POST, REDIRECT, LogoutService
from iam.directory.saml_providers import SamlProvider, find_entity
from iam.kernel.clock import Instant
from iam.kernel.xml import Element
from iam.saml.bindings import Received, authenticate, to_field, to_query
from iam.saml.errors import SamlMessageRefused
from iam.saml.key import saml_key
from iam.saml.names import PARTIAL_LOGOUT, SUCCESS
from iam.saml.page import form_target, post_page
from iam.saml.reading import check_header, read_logout_response
from iam.saml.received import start_chain, take_chain
from iam.saml.signatures import sign_enveloped
from iam.saml.writing import Addressed, entity_id, logout_request, qualified, response
from iam.web.engine import Engine, engine_of
from iam.web.pages import render, see_other
from iam.web.targets import uri_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Who is still to be told, whom the answer goes to, and whether somebody was not reached.

    `asker` is an entityID; '' after a sign-out of our own, which ends with a page, or `onward` at the
    application whose address that is (`onward_name`); it was checked when the sign-out began.
    """

    asker: str = ""
    request_id: str = ""
    relay_state: str | None = None
    status: str = SUCCESS
    second: str | None = None
    waiting: tuple[SamlParticipant, ...] = ()
    partial: bool = False
    onward: str | None = None
    onward_name: str = ""


def run_chain(request: Request, chain: Chain, now: Instant) -> Response:
    """Tell the next one, or answer whoever asked when there is none."""
    engine = engine_of(request)
    waiting = list(chain.waiting)
    while waiting:
        who = waiting.pop(0)
        provider = engine.database.read(partial(find_entity, entity_id=who.entity_id))
        there = provider.logout_by(REDIRECT, POST) if provider is not None else None
        if there is not None:
            return _tell(request, replace(chain, waiting=tuple(waiting)), who, there, now)
        chain = replace(chain, partial=True)
    return _answer(request, chain, now)


def go_on(request: Request, received: Received, here: str, now: Instant) -> Response:
    """Take a provider's LogoutResponse, and tell the next one.

    Raises:
        SamlMessageRefused, SamlSignatureRefused: it answers no request of ours that is under way, or is
            not that provider's.
    """
    engine = engine_of(request)
    answer = read_logout_response(received)
    provider = engine.database.read(lambda c: find_entity(c, answer.header.issuer))
    if provider is None:
        raise SamlMessageRefused("Nobody here was asked for it.")
    authenticate(received, provider.metadata.certificates, required=True)
    check_header(answer.header, here=here, signed=True, now=now)

    def work(connection: Connection) -> Chain:
        payload = take_chain(
            connection, entity_id(engine.settings.issuer), answer.in_response_to, now
        )
        if payload is None or payload["told"] != provider.entity_id:
            raise SamlMessageRefused("Nobody here was asked for it.")
        chain = _chain(payload)
        reached = answer.succeeded and not answer.partial
        return chain if reached else replace(chain, partial=True)

    chain = engine.database.write(work)
    return run_chain(request, chain, now)


def _tell(
    request: Request,
    chain: Chain,
    who: SamlParticipant,
    there: LogoutService,
    now: Instant,
) -> Response:
    engine = engine_of(request)
    issuer = engine.settings.issuer
    name_id = qualified(issuer, who.entity_id, who.name_id_format, who.name_id)
    root = logout_request(issuer, there.url, name_id, who.session, now, engine.random)
    payload = asdict(chain) | {"told": who.entity_id}

    own, identifier = entity_id(issuer), root.get("ID")
    engine.database.write(lambda c: start_chain(c, own, identifier, payload, now))
    return _send(request, "SAMLRequest", root, there.binding, there.url, None, chain, now)


def _answer(request: Request, chain: Chain, now: Instant) -> Response:
    engine = engine_of(request)
    provider = engine.database.read(lambda c: find_entity(c, chain.asker))
    there = provider.logout_by(REDIRECT, POST) if provider is not None else None
    if there is None:
        if chain.onward is not None and not chain.partial:
            return see_other(chain.onward)
        return render(
            request,
            "signed_out.html",
            applications=0,
            frames=(),
            onward=chain.onward,
            onward_name=chain.onward_name,
            leading=False,
            saml_onward=None,
            saml_partial=chain.partial,
        )
    to = Addressed(url=there.response_url, in_response_to=chain.request_id)
    root = response(
        engine.settings.issuer,
        to,
        now,
        engine.random,
        status=chain.status,
        second=PARTIAL_LOGOUT if chain.partial else chain.second,
        name="LogoutResponse",
    )
    return _send(
        request, "SAMLResponse", root, there.binding, to.url, chain.relay_state, chain, now
    )


def _send(
    request: Request,
    kind: str,
    root: Element,
    binding: str,
    url: str,
    relay_state: str | None,
    chain: Chain,
    now: Instant,
) -> Response:
    engine = engine_of(request)
    key = saml_key(engine, now)
    if binding == REDIRECT:
        query = to_query(kind, root, relay_state, key)
        return see_other(f"{url}{'&' if '?' in url else '?'}{query}")
    sign_enveloped(root, key)
    fields = {kind: to_field(root)}
    if relay_state is not None:
        fields["RelayState"] = relay_state
    return post_page(request, url, fields, "the application", _targets(engine, chain))


def _targets(engine: Engine, chain: Chain) -> Sequence[str]:
    """Where the browser will be led after a form is posted, which its page must allow in advance."""
    entities = [one.entity_id for one in chain.waiting] + [chain.asker]

    def work(connection: Connection) -> list[SamlProvider | None]:
        return [find_entity(connection, one) for one in entities]

    found = [one for one in engine.database.read(work) if one is not None]
    services = [one.logout_by(REDIRECT, POST) for one in found]
    through = [
        form_target(url)
        for service in services
        if service is not None
        for url in (service.url, service.response_url)
    ]
    return [*through, *(uri_targets(chain.onward) if chain.onward is not None else ())]


def _chain(payload: Mapping[str, Any]) -> Chain:
    members = {name: value for name, value in payload.items() if name != "told"}
    members["waiting"] = tuple(SamlParticipant(**one) for one in payload["waiting"])
    return Chain(**members)
