"""Single logout: `/saml/slo` takes LogoutRequests of providers (saml-profiles §4.4).

What a provider asks for is done at once and for good; everybody else who took part is told by the outbox,
in the transaction that ends the sessions. The answer says honestly whether all have confirmed by then.
"""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.delivery.saml_logouts import (
    SamlParticipant,
    forget_participants,
    participants_named,
    read_participants,
)
from iam.directory.saml_metadata import POST, REDIRECT
from iam.directory.saml_providers import SamlProvider
from iam.kernel.clock import Instant
from iam.kernel.events import Origin, user_actor
from iam.saml.bindings import Received, authenticate, from_form, from_query, to_field, to_query
from iam.saml.errors import SamlMessageRefused
from iam.saml.key import saml_key
from iam.saml.names import PARTIAL_LOGOUT, REQUESTER, SUCCESS, UNKNOWN_PRINCIPAL
from iam.saml.page import post_page
from iam.saml.reading import LogoutRequest, check_header, read_logout_request
from iam.saml.received import note_message
from iam.saml.signatures import sign_enveloped
from iam.saml.sso import sender_of
from iam.saml.writing import Addressed, entity_id, qualified, response
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason
from iam.sessions.policy import end_reason
from iam.web.address import origin_of
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import page_errors, render, see_other

PATH = "/saml/slo"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a request: the two statuses of its answer, and what has ended."""

    status: str
    second: str | None
    ended: tuple[Ended, ...] = ()


@page_errors
async def slo(request: Request) -> Response:
    """`GET` or `POST /saml/slo`."""
    if request.method == "POST":
        fields = await read_form(request)
        return await in_thread(lambda: _take(request, from_form(fields)))
    return await in_thread(lambda: _take(request, from_query(request.scope["query_string"])))


def _take(request: Request, received: Received) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    if received.kind != "SAMLRequest":
        raise SamlMessageRefused("Only requests are taken here.")
    asked = read_logout_request(received, now)
    provider, application = engine.database.read(lambda c: sender_of(c, asked.header.issuer))
    # Whoever could ask unsigned could sign anybody out.
    authenticate(received, provider.metadata.certificates, required=True)
    check_header(asked.header, here=f"{engine.settings.issuer}{PATH}", signed=True, now=now)
    origin = origin_of(request, engine.settings)
    outcome = engine.database.write(lambda c: _log_out(c, engine, provider, asked, origin, now))
    engine.count_ended(outcome.ended)
    there = provider.logout_by(REDIRECT, POST)
    if there is None:
        return render(request, "signed_out.html", applications=max(0, len(outcome.ended) - 1))
    to = Addressed(url=there.response_url, in_response_to=asked.header.id)
    root = response(
        engine.settings.issuer,
        to,
        now,
        engine.random,
        status=outcome.status,
        second=outcome.second,
        name="LogoutResponse",
    )
    key = saml_key(engine, now)
    if there.binding == REDIRECT:
        query = to_query("SAMLResponse", root, received.relay_state, key)
        return see_other(f"{to.url}{'&' if '?' in to.url else '?'}{query}")
    sign_enveloped(root, key)
    fields = {"SAMLResponse": to_field(root)}
    if received.relay_state is not None:
        fields["RelayState"] = received.relay_state
    return post_page(request, to.url, fields, application.display_name)


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
    return _Outcome(SUCCESS, PARTIAL_LOGOUT if others else None, ended)


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
