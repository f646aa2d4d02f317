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
from iam.directory.providers import Provider, find_provider_by_id
from iam.directory.saml_identity import identity_of
from iam.directory.saml_metadata import POST, REDIRECT, LogoutService
from iam.directory.saml_providers import find_entity
from iam.kernel.clock import Instant
from iam.kernel.xml import Element
from iam.languages import _
from iam.saml.bindings import Received, authenticate, to_field, to_query
from iam.saml.errors import SamlMessageRefused
from iam.saml.key import saml_key
from iam.saml.names import PARTIAL_LOGOUT, SUCCESS
from iam.saml.page import form_target, post_page
from iam.saml.reading import check_header, read_logout_response
from iam.saml.received import find_chain, start_chain, take_chain
from iam.saml.signatures import sign_enveloped
from iam.saml.vouching import name_id_in
from iam.saml.writing import (
    Addressed,
    entity_id,
    logout_request,
    qualified,
    response,
    service_entity_id,
)
from iam.signin.federated_sessions import Federated, read_federated
from iam.web.engine import Engine, engine_of
from iam.web.pages import render, see_other
from iam.web.targets import uri_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Who is still to be told, whom the answer goes to, and whether somebody was not reached.

    `asker` is an entityID; '' after a sign-out of our own, which ends with a page, or `onward` at the
    application whose address that is (`onward_name`); it was checked when the sign-out began. `upstream`
    is the ID of the identity provider that has asked, in its place; `born` are sessions of which the
    provider where they were born is still to be told.
    """

    asker: str = ""
    upstream: str = ""
    born: tuple[str, ...] = ()
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
    born = list(chain.born)
    while born:
        step = _upstream_step(engine, born.pop(0), now)
        chain = replace(chain, waiting=(), born=tuple(born))
        if step is not None:
            upstream, there, root = step
            own = service_entity_id(engine.settings.issuer)
            _remember(engine, own, chain, upstream.id, root, now)
            return _send(request, "SAMLRequest", root, there.binding, there.url, None, chain, now)
        chain = replace(chain, partial=True)
    return _answer(request, chain, now)


def _upstream_step(
    engine: Engine, session: str, now: Instant
) -> tuple[Provider, LogoutService, Element] | None:
    """What the identity provider is told where a session was born; None if it cannot be."""

    def work(connection: Connection) -> tuple[Federated | None, Provider | None]:
        federated = read_federated(connection, [session]).get(session)
        if federated is None:
            return None, None
        return federated, find_provider_by_id(connection, federated.provider)

    federated, provider = engine.database.read(work)
    if federated is None or provider is None:
        return None
    name_id = name_id_in(federated.hint, provider.id, engine.cipher)
    there = identity_of(provider)[1].logout_by(REDIRECT, POST)
    if name_id is None or there is None:
        return None
    entity = service_entity_id(engine.settings.issuer)
    root = logout_request(entity, there.url, name_id, federated.session, now, engine.random)
    return provider, there, root


def _remember(
    engine: Engine, own: str, chain: Chain, told: str, root: Element, now: Instant
) -> None:
    payload, identifier = asdict(chain) | {"told": told}, str(root.get("ID"))
    engine.database.write(lambda c: start_chain(c, own, identifier, payload, now))


def go_on_upstream(request: Request, received: Received, here: str, now: Instant) -> Response:
    """Take an identity provider's LogoutResponse, and go on.

    Raises:
        SamlMessageRefused, SamlSignatureRefused: it answers no request of ours that is under way, or is
            not that provider's.
    """
    engine = engine_of(request)
    answer = read_logout_response(received)
    own = service_entity_id(engine.settings.issuer)

    def asked(connection: Connection) -> Provider | None:
        payload = find_chain(connection, own, answer.in_response_to, now)
        return None if payload is None else find_provider_by_id(connection, payload["told"])

    provider = engine.database.read(asked)
    metadata = identity_of(provider)[1] if provider is not None else None
    if metadata is None or metadata.entity_id != answer.header.issuer:
        raise SamlMessageRefused(_("Nobody here was asked for it."))
    authenticate(received, metadata.certificates, required=True)
    check_header(answer.header, here=here, signed=True, now=now)
    payload = engine.database.write(lambda c: take_chain(c, own, answer.in_response_to, now))
    if payload is None:
        raise SamlMessageRefused(_("Nobody here was asked for it."))
    chain = _chain(payload)
    reached = answer.succeeded and not answer.partial
    return run_chain(request, chain if reached else replace(chain, partial=True), now)


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
        raise SamlMessageRefused(_("Nobody here was asked for it."))
    authenticate(received, provider.metadata.certificates, required=True)
    check_header(answer.header, here=here, signed=True, now=now)

    def work(connection: Connection) -> Chain:
        payload = take_chain(
            connection, entity_id(engine.settings.issuer), answer.in_response_to, now
        )
        if payload is None or payload["told"] != provider.entity_id:
            raise SamlMessageRefused(_("Nobody here was asked for it."))
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
    root = logout_request(entity_id(issuer), there.url, name_id, who.session, now, engine.random)
    _remember(engine, entity_id(issuer), chain, who.entity_id, root, now)
    return _send(request, "SAMLRequest", root, there.binding, there.url, None, chain, now)


def _answer(request: Request, chain: Chain, now: Instant) -> Response:
    engine = engine_of(request)
    there = engine.database.read(lambda c: _asked_by(c, chain))
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
            provider_onward=None,
            provider_name="",
        )
    to = Addressed(url=there.response_url, in_response_to=chain.request_id)
    issuer = engine.settings.issuer
    root = response(
        service_entity_id(issuer) if chain.upstream else entity_id(issuer),
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


def _asked_by(connection: Connection, chain: Chain) -> LogoutService | None:
    """Where the answer goes to; None if nobody has asked, or they cannot be answered."""
    if chain.upstream:
        upstream = find_provider_by_id(connection, chain.upstream)
        return None if upstream is None else identity_of(upstream)[1].logout_by(REDIRECT, POST)
    provider = find_entity(connection, chain.asker)
    return provider.logout_by(REDIRECT, POST) if provider is not None else None


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
    return post_page(request, url, fields, "", _targets(engine, chain))


def _targets(engine: Engine, chain: Chain) -> Sequence[str]:
    """Where the browser will be led after a form is posted, which its page must allow in advance."""

    def work(connection: Connection) -> list[LogoutService | None]:
        found = [find_entity(connection, one.entity_id) for one in chain.waiting]
        services = [one.logout_by(REDIRECT, POST) for one in found if one is not None]
        for one in read_federated(connection, chain.born).values():
            upstream = find_provider_by_id(connection, one.provider)
            if upstream is not None:
                services.append(identity_of(upstream)[1].logout_by(REDIRECT, POST))
        return [*services, _asked_by(connection, chain)]

    services = engine.database.read(work)
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
    members["born"] = tuple(payload.get("born", ()))
    return Chain(**members)
