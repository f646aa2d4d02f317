"""Single logout towards identity providers: `/saml/sp/slo` takes their LogoutRequests, and their answers to
ours (saml-profiles §4.4).

What a provider asks for is done at once: whatever was born there ends here, with all that was entered from
it, and every application is told of that in the same transaction, or through the browser.
"""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.delivery.saml_logouts import SamlParticipant, read_participants, told_by_soap
from iam.directory.providers import Provider, providers_of_entity
from iam.directory.saml_identity import KIND, identity_of
from iam.kernel.clock import Instant, after
from iam.kernel.errors import IamError
from iam.kernel.events import Origin, provider_actor
from iam.kernel.xml import LONGEST, Element, add_element, new_element, parse_xml, xml_document
from iam.keys.xml_signatures import SamlSignatureRefused
from iam.languages import N_, _
from iam.saml.bindings import Received, authenticate, from_form, from_query
from iam.saml.chain import Chain, go_on_upstream, run_chain
from iam.saml.errors import SamlMessageRefused, SamlUpstreamUnknown
from iam.saml.key import saml_key
from iam.saml.names import (
    PARTIAL_LOGOUT,
    REQUESTER,
    SAMLP,
    SOAP_ENVELOPE,
    SUCCESS,
    UNKNOWN_PRINCIPAL,
)
from iam.saml.reading import LogoutRequest, check_header, read_logout_request
from iam.saml.received import note_logout, note_message
from iam.saml.service_metadata import LOGOUT
from iam.saml.signatures import sign_enveloped
from iam.saml.vouching import name_id_in
from iam.saml.writing import LIFETIME, Addressed, response, service_entity_id
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason
from iam.sessions.policy import end_reason
from iam.signin.federated_sessions import Federated, called, read_federated
from iam.web.address import origin_of
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import page_errors
from iam.web.problems import status_of

_XML = ("text/xml", "application/soap+xml")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a request: the statuses of its answer as far as they are known, what has ended, and
    who is still to be told through the browser."""

    status: str
    second: str | None
    ended: tuple[Ended, ...] = ()
    others: tuple[SamlParticipant, ...] = ()


async def upstream_slo(request: Request) -> Response:
    """`GET` or `POST /saml/sp/slo`: by a browser, or by a provider itself (SOAP)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind in _XML:
        body = await _beginning(request)
        return await in_thread(lambda: _by_soap(request, body))
    return await _by_browser(request)


@page_errors
async def _by_browser(request: Request) -> Response:
    if request.method == "POST":
        fields = await read_form(request)
        return await in_thread(lambda: _take(request, from_form(fields)))
    return await in_thread(lambda: _take(request, from_query(request.scope["query_string"])))


def _take(request: Request, received: Received) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    if received.kind == "SAMLResponse":
        return go_on_upstream(request, received, f"{engine.settings.issuer}{LOGOUT}", now)
    provider, asked, outcome = _obey(request, received, now)
    chain = Chain(
        upstream=provider.id,
        request_id=asked.header.id,
        relay_state=received.relay_state,
        status=outcome.status,
        second=outcome.second,
        waiting=outcome.others,
        partial=outcome.second == PARTIAL_LOGOUT,
    )
    return run_chain(request, chain, now)


def _obey(
    request: Request, received: Received, now: Instant
) -> tuple[Provider, LogoutRequest, _Outcome]:
    """Do what a LogoutRequest asks for, if it is believed.

    Raises:
        SamlUpstreamUnknown, SamlSignatureRefused, SamlMessageRefused, SamlMessageUsed, XmlRefused: it is
            not.
    """
    engine = engine_of(request)
    asked = read_logout_request(received, now)
    providers = _senders(engine, received, asked.header.issuer)
    here = f"{engine.settings.issuer}{LOGOUT}"
    check_header(asked.header, here=here, signed=True, now=now)
    origin = origin_of(request, engine.settings)
    outcome = engine.database.write(lambda c: _log_out(c, engine, providers, asked, origin, now))
    engine.count_ended(outcome.ended)
    return providers[0], asked, outcome


def _senders(engine: Engine, received: Received, entity: str) -> list[Provider]:
    """The providers of this entityID whose key has signed the message: it may serve more than one
    organization."""
    found = engine.database.read(lambda c: providers_of_entity(c, entity))
    known = [one for one in found if one.kind == KIND]
    if not known:
        raise SamlUpstreamUnknown
    believed, refusal = [], None
    for one in known:
        try:
            authenticate(received, identity_of(one)[1].certificates, required=True)
            believed.append(one)
        except SamlSignatureRefused as error:
            refusal = error
    if not believed and refusal is not None:
        raise refusal
    return believed


def _log_out(
    connection: Connection,
    engine: Engine,
    providers: list[Provider],
    asked: LogoutRequest,
    origin: Origin,
    now: Instant,
) -> _Outcome:
    note_message(connection, asked.header, now)
    until = asked.until or after(now, LIFETIME)
    ended: list[Ended] = []
    known = False
    for provider in providers:
        note_logout(
            connection,
            provider.id,
            asked.name_id.value,
            asked.session_indexes,
            asked.header.issued_at,
            until,
            now,
        )
        found = called(connection, provider.id, asked.name_id.value)
        meant = [
            session
            for session, federated in read_federated(connection, found).items()
            if _is_meant(engine, provider, federated, asked)
        ]
        known = known or bool(meant)
        live = [
            one.id
            for one in store.read_sessions(connection, meant).values()
            if end_reason(one, now) is None
        ]
        ended += lifecycle.end(
            connection,
            live,
            reason=EndReason.SIGNED_OUT,
            actor=provider_actor(provider.organization, provider.name),
            now=now,
            random=engine.random,
            origin=origin,
            note=N_("signed out at the identity provider"),
        )
    if not known:
        return _Outcome(REQUESTER, UNKNOWN_PRINCIPAL)
    others = read_participants(connection, [one.session.id for one in ended])
    by_soap = told_by_soap(connection, others.values())
    through_browser = tuple(one for one in others.values() if one.session not in by_soap)
    # Who is told by SOAP has not confirmed by the time that this is answered.
    return _Outcome(SUCCESS, PARTIAL_LOGOUT if by_soap else None, tuple(ended), through_browser)


def _is_meant(
    engine: Engine, provider: Provider, federated: Federated, asked: LogoutRequest
) -> bool:
    """Whether a request means this session: its NameID matches the given one strongly (saml-core §3.7.1,
    §3.3.4), and its SessionIndex, if it has any, is among those named."""
    if asked.session_indexes and federated.session not in (None, *asked.session_indexes):
        return False
    born, given = name_id_in(federated.hint, provider.id, engine.cipher), asked.name_id
    if born is None:
        return True  # what it was called has just matched; only the qualifiers cannot be read
    return (
        given.format in (None, born.format)
        and given.name_qualifier in (None, "", born.name_qualifier)
        and given.sp_name_qualifier in (None, "", born.sp_name_qualifier)
    )


# By SOAP (saml-bindings §3.2): the provider itself asks, and no browser is there to tell others.


async def _beginning(request: Request) -> bytes:
    found = b""
    async for some in request.stream():
        found += some
        if len(found) > LONGEST:
            break
    return found


def _by_soap(request: Request, body: bytes) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    try:
        received = Received(kind="SAMLRequest", root=_inside(body), relay_state=None)
        _provider, asked, outcome = _obey(request, received, now)
    except IamError as error:
        return _soap(_fault(error), status_of(error))
    second = PARTIAL_LOGOUT if outcome.others else outcome.second
    answer = response(
        service_entity_id(engine.settings.issuer),
        Addressed(url=asked.header.issuer, in_response_to=asked.header.id),
        now,
        engine.random,
        status=outcome.status,
        second=second,
        name="LogoutResponse",
    )
    del answer.attrib["Destination"]  # it goes back the way that the request came
    root, inside = _envelope()
    inside.append(answer)
    sign_enveloped(answer, saml_key(engine, now))
    return _soap(root, 200)


def _inside(body: bytes) -> Element:
    """The message in an envelope, in a document of its own."""
    root = parse_xml(body)
    inside = [one for one in root if one.tag == f"{{{SOAP_ENVELOPE}}}Body"]
    if root.tag != f"{{{SOAP_ENVELOPE}}}Envelope" or len(inside) != 1 or len(inside[0]) != 1:
        raise SamlMessageRefused(_("It must be a SOAP envelope with one message."))
    message = inside[0][0]
    if message.tag != f"{{{SAMLP}}}LogoutRequest":
        raise SamlMessageRefused(_("Only a LogoutRequest is taken here."))
    return message


def _envelope() -> tuple[Element, Element]:
    root = new_element(f"{{{SOAP_ENVELOPE}}}Envelope", nsmap={"soap": SOAP_ENVELOPE})
    return root, add_element(root, f"{{{SOAP_ENVELOPE}}}Body")


def _fault(error: IamError) -> Element:
    root, inside = _envelope()
    fault = add_element(inside, f"{{{SOAP_ENVELOPE}}}Fault")
    add_element(fault, "faultcode").text = "soap:Client"
    add_element(fault, "faultstring").text = f"{error.code}: {error.title}"
    return root


def _soap(root: Element, status: int) -> Response:
    data = xml_document(root)
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(data, status, media_type="text/xml", headers=headers)
