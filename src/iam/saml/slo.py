"""Single logout: `/saml/slo` takes LogoutRequests of providers (saml-profiles §4.4).

What a provider asks for is done at once and for good. Everybody else who took part is told: by the outbox,
which is filled in the transaction that ends the sessions, or through the browser (`saml.chain`). The answer
says honestly whether all have confirmed by then.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.delivery.saml_logouts import (
    SamlParticipant,
    forget_participants,
    participants_named,
    read_participants,
    told_by_soap,
)
from iam.directory.saml_providers import SamlProvider
from iam.kernel.clock import Instant
from iam.kernel.events import Origin, user_actor
from iam.languages import _
from iam.saml.bindings import Received, authenticate, from_form, from_query
from iam.saml.chain import Chain, go_on, run_chain
from iam.saml.errors import SamlMessageRefused
from iam.saml.names import PARTIAL_LOGOUT, REQUESTER, SUCCESS, UNKNOWN_PRINCIPAL
from iam.saml.reading import LogoutRequest, check_header, read_logout_request
from iam.saml.received import note_message
from iam.saml.sso import sender_of
from iam.saml.writing import entity_id, qualified
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason
from iam.sessions.policy import end_reason
from iam.signin.codes import redeem_code
from iam.web.address import origin_of
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors
from iam.web.saml_onward import CODE

PATH = "/saml/slo"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a request: the two statuses of its answer as far as they are known, what has ended,
    and who is still to be told through the browser."""

    status: str
    second: str | None
    ended: tuple[Ended, ...] = ()
    others: tuple[SamlParticipant, ...] = ()


@page_errors
async def slo(request: Request) -> Response:
    """`GET` or `POST /saml/slo`."""
    if request.method == "POST":
        fields = await read_form(request)
        return await in_thread(lambda: _take(request, from_form(fields)))
    if "onward" in request.query_params:
        return await in_thread(lambda: _after_sign_out(request))
    return await in_thread(lambda: _take(request, from_query(request.scope["query_string"])))


def _after_sign_out(request: Request) -> Response:
    """The way on after a sign-out of our own (`web.saml_onward`)."""
    engine, now = engine_of(request), engine_of(request).clock()
    text = query_text(request, "onward")
    code = engine.database.write(lambda c: redeem_code(c, CODE, text, now))
    if code is None or code.replayed:
        raise SamlMessageRefused(
            _("You are signed out. Applications were told, or it is too late to.")
        )
    payload: Any = code.payload
    waiting = tuple(SamlParticipant(**one) for one in payload["waiting"])
    chain = Chain(
        waiting=waiting,
        born=tuple(payload.get("born", ())),
        onward=payload["onward"],
        onward_name=payload["onward_name"],
    )
    return run_chain(request, chain, now)


def _take(request: Request, received: Received) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    here = f"{engine.settings.issuer}{PATH}"
    if received.kind == "SAMLResponse":
        return go_on(request, received, here, now)
    asked = read_logout_request(received, now)
    provider, _application = engine.database.read(lambda c: sender_of(c, asked.header.issuer))
    # Whoever could ask unsigned could sign anybody out.
    authenticate(received, provider.metadata.certificates, required=True)
    check_header(asked.header, here=here, signed=True, now=now)
    origin = origin_of(request, engine.settings)
    outcome = engine.database.write(lambda c: _log_out(c, engine, provider, asked, origin, now))
    engine.count_ended(outcome.ended)
    chain = Chain(
        asker=provider.entity_id,
        request_id=asked.header.id,
        relay_state=received.relay_state,
        status=outcome.status,
        second=outcome.second,
        waiting=outcome.others,
        partial=outcome.second == PARTIAL_LOGOUT,
    )
    return run_chain(request, chain, now)


def _log_out(
    connection: Connection,
    engine: Engine,
    provider: SamlProvider,
    asked: LogoutRequest,
    origin: Origin,
    now: Instant,
) -> _Outcome:
    note_message(connection, asked.header, now)
    known = [
        one
        for one in participants_named(connection, provider.id, asked.name_id.value)
        if _is_named(engine.settings.issuer, one, asked)
    ]
    if not known:
        return _Outcome(REQUESTER, UNKNOWN_PRINCIPAL)
    live = [
        one
        for one in store.read_sessions(connection, [who.session for who in known]).values()
        if end_reason(one, now) is None
    ]
    if not live:
        return _Outcome(SUCCESS, None)
    ids = [one.id for one in live]
    if provider.options.logout_ends_browser_session:
        ids += [one.parent or one.entered_through or one.id for one in live]
    # The provider has ended its own already.
    forget_participants(connection, [one.id for one in live])
    ended = lifecycle.end(
        connection,
        ids,
        reason=EndReason.SIGNED_OUT,
        actor=user_actor(live[0].organization, live[0].user),
        now=now,
        random=engine.random,
        origin=origin,
    )
    others = read_participants(connection, [one.session.id for one in ended])
    by_soap = told_by_soap(connection, others.values())
    through_browser = tuple(one for one in others.values() if one.session not in by_soap)
    # Who is told by SOAP has not confirmed by the time that this is answered.
    return _Outcome(SUCCESS, PARTIAL_LOGOUT if by_soap else None, ended, through_browser)


def _is_named(issuer: str, one: SamlParticipant, asked: LogoutRequest) -> bool:
    """Whether a request means this session: its NameID matches the issued one strongly (saml-core
    §3.7.1, §3.3.4), and its SessionIndex, if it has any, is among those named."""
    if asked.session_indexes and one.session not in asked.session_indexes:
        return False
    issued, given = qualified(issuer, one.entity_id, one.name_id_format, one.name_id), asked.name_id
    return (
        given.format in (None, issued.format)
        and given.name_qualifier in (None, "", entity_id(issuer))
        and given.sp_name_qualifier in (None, "", one.entity_id)
    )
