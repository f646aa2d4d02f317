"""`/saml/acs`: where identity providers send people back to, with what they say of them.

    provider's page → POST, without our SameSite=Lax cookie: checked, and kept → GET on our own site, which
    brings the cookie: taken by the browser that was sent there, and by no other → a session

An answer is worth one session at most: the request that it answers is used up, and its assertion remembered
for as long as it could be shown.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.directory.providers import Provider, providers_of_entity
from iam.directory.saml_identity import KIND, identity_of
from iam.kernel.clock import Instant
from iam.kernel.errors import IamError
from iam.languages import N_, _, gettext
from iam.saml.asking import open_provider
from iam.saml.assertions import Answer, Believed, Expected, believe, read_answer
from iam.saml.bindings import Received, from_form
from iam.saml.errors import (
    SamlAnswerRefused,
    SamlMessageRefused,
    SamlUpstreamRefused,
    SamlUpstreamUnknown,
)
from iam.saml.key import decryption_keys
from iam.saml.received import logged_out_since, note_assertion
from iam.saml.service_metadata import CONSUMER
from iam.saml.vouching import vouched_by
from iam.saml.writing import service_entity_id
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.signin.arrival import Arrival, NoRoom
from iam.signin.codes import issue_code, redeem_code
from iam.signin.federation import (
    FederationRefused,
    failed,
    sign_in_through,
)
from iam.signin.federation_requests import (
    FederationRequestUnknown,
    peek_request,
    take_request,
)
from iam.web.accounts import hold
from iam.web.address import origin_of
from iam.web.arriving import choose_for_sign_in, signed_in
from iam.web.cookies import FLOW, device_secret, read_cookie
from iam.web.destination import find_destination
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import query_text, read_form
from iam.web.linking import link_to_visitor
from iam.web.pages import page_errors, see_other
from iam.web.returning import return_path

_CODE = "saml-answer"
_UNSAID = N_("It did not say why.")
_REFUSED = {
    "AuthnFailed": N_("It could not tell that it is you."),
    "NoPassive": N_("It would have had to ask you something."),
    "NoAuthnContext": N_("It cannot make as sure of it being you as is wanted here."),
    "RequestDenied": N_("It does not let you in here."),
    "InvalidNameIDPolicy": N_("It has no name for you of the kind that is wanted here."),
}


class _Asked(NamedTuple):
    """What an answer answers. `handle` None: nobody has asked."""

    provider: Provider
    handle: str | None
    since: Instant | None


@page_errors
async def acs(request: Request) -> Response:
    """`POST /saml/acs`, and the `GET` that it leads to (saml-profiles §4.1.4.3)."""
    if request.method == "POST":
        fields = await read_form(request)
        return await in_thread(lambda: _accept(request, from_form(fields)))
    return await _arrive(request, await in_thread(lambda: _take(request)))


def _accept(request: Request, received: Received) -> Response:
    """Check an answer, and keep what it says for the browser that comes for it."""
    engine, now = engine_of(request), engine_of(request).clock()
    if received.kind != "SAMLResponse":
        raise SamlMessageRefused(_("Only responses are taken here."))
    answer = read_answer(received.root)
    asked = engine.database.read(lambda c: _asked(c, answer, now))
    if answer.carrier is None:
        word = answer.statuses[-1].rpartition(":")[2]
        name = asked.provider.display_name
        _note(request, asked.provider, SamlUpstreamRefused.code, now)
        why = gettext(_REFUSED.get(word, _UNSAID))
        raise SamlUpstreamRefused(_("%(name)s: %(problem)s Try again.", name=name, problem=why))
    try:
        believed = believe(answer, _expected(engine, asked), _keys(engine, answer, now), now)
    except IamError as error:
        if asked.handle is not None:
            _note(request, asked.provider, error.code, now)
        raise

    def work(connection: Connection) -> str:
        return _keep(connection, engine, asked, believed, received.relay_state, now)

    return see_other(f"{CONSUMER}?{urlencode({'answer': engine.database.write(work)})}")


def _asked(connection: Connection, answer: Answer, now: Instant) -> _Asked:
    """Whom an answer is from, which our own request says, not the answer.

    Raises:
        FederationRequestUnknown: nothing was asked.
        SamlUpstreamUnknown, SamlAnswerRefused: nobody asked, and nobody may come unasked.
    """
    if answer.in_response_to is not None:
        found = peek_request(connection, answer.in_response_to, now)
        if found is None:
            raise FederationRequestUnknown
        provider_id, payload = found
        since = payload["since"]
        return _Asked(
            open_provider(connection, provider_id),
            answer.in_response_to,
            Instant(since) if since is not None else None,
        )
    allowed = [
        one
        for one in providers_of_entity(connection, answer.header.issuer)
        if one.kind == KIND and one.enabled and identity_of(one)[0].allow_unsolicited
    ]
    if not allowed:
        raise SamlUpstreamUnknown(_("Start from the sign-in page here."))
    if len(allowed) > 1:
        raise SamlAnswerRefused(
            _("More than one organization may be meant. Start from its page here.")
        )
    return _Asked(allowed[0], None, None)


def _expected(engine: Engine, asked: _Asked) -> Expected:
    _options, metadata = identity_of(asked.provider)
    issuer = engine.settings.issuer
    return Expected(
        issuer=metadata.entity_id,
        certificates=metadata.certificates,
        audience=service_entity_id(issuer),
        recipient=f"{issuer}{CONSUMER}",
        request_id=asked.handle,
        since=asked.since,
    )


def _keys(engine: Engine, answer: Answer, now: Instant) -> tuple[str, ...]:
    return decryption_keys(engine, now) if answer.is_encrypted else ()


def _keep(
    connection: Connection,
    engine: Engine,
    asked: _Asked,
    believed: Believed,
    relay_state: str | None,
    now: Instant,
) -> str:
    provider = asked.provider
    note_assertion(connection, provider.id, believed.id, believed.until, now)
    _refuse_logged_out(connection, provider, believed, now)
    return issue_code(
        connection,
        _CODE,
        browser_session="",
        payload={
            "provider": provider.id,
            "checked": provider.updated_at,
            "handle": asked.handle,
            "return_to": relay_state if asked.handle is None else None,
            "believed": believed.to_payload(),
        },
        now=now,
        random=engine.random,
    )


def _refuse_logged_out(
    connection: Connection, provider: Provider, believed: Believed, now: Instant
) -> None:
    name, index = believed.name_id.value, believed.session_index
    if logged_out_since(connection, provider.id, name, index, believed.issued_at, now):
        raise SamlAnswerRefused(_("You have been signed out there meanwhile."))


class _Taken(NamedTuple):
    """Whom an answer is about, and where they wanted to go."""

    provider: Provider
    believed: Believed
    return_to: str
    asked: Mapping[str, Any]


def _take(request: Request) -> _Taken:
    """What was kept, for the browser that was sent.

    Raises:
        FederationRequestUnknown: it was used, is too old, or is for another browser; or the provider has
            been changed since.
        SamlAnswerRefused: they have been signed out there meanwhile.
    """
    engine, now = engine_of(request), engine_of(request).clock()
    code = query_text(request, "answer")
    flow = read_cookie(request, engine.settings, FLOW)

    def work(connection: Connection) -> _Taken | None:
        found = redeem_code(connection, _CODE, code, now)
        if found is None or found.replayed:
            return None
        payload: Any = found.payload
        provider = open_provider(connection, payload["provider"])
        asked: Mapping[str, Any] | None = {"return_to": payload["return_to"]}
        if payload["handle"] is not None:
            asked = take_request(connection, payload["handle"], provider.id, flow, now)
        # What was changed meanwhile may be the key by which it was believed.
        if asked is None or provider.updated_at != payload.get("checked"):
            return None
        believed = Believed.from_payload(payload["believed"])
        _refuse_logged_out(connection, provider, believed, now)
        return _Taken(provider, believed, return_path(asked["return_to"]), asked)

    found = engine.database.write(work)
    if found is None:
        raise FederationRequestUnknown
    return found


async def _arrive(request: Request, found: _Taken) -> Response:
    """From what a provider says to a session, as after a password (`account.sign_in_page`)."""
    engine, now = engine_of(request), engine_of(request).clock()
    vouched = vouched_by(found.provider, found.believed, engine.cipher, now, engine.random)
    if found.asked.get("link") is not None:
        return await link_to_visitor(request, str(found.asked["link"]), vouched)
    held = await hold(engine, request, now)
    device = device_secret(request, engine.settings, engine.random)
    arrival = Arrival(
        application=BUILT_IN_APPLICATION,
        origin=origin_of(request, engine.settings),
        beside=held.ids,
        device=device,
        mails=engine.settings.sends_mail,
    )
    try:
        started = await in_thread(
            lambda: sign_in_through(engine.database, vouched, arrival, now, engine.random)
        )
    except FederationRefused:
        engine.metrics.sign_ins["failed"] += 1
        raise
    except NoRoom as full:
        if not full.crowd.may_choose:
            engine.metrics.sign_ins["failed"] += 1
            raise
        destination = await in_thread(
            lambda: engine.database.read(
                lambda c: find_destination(
                    c, found.asked.get("application") or "", found.provider.organization
                )
            )
        )
        return await choose_for_sign_in(request, destination, arrival, full, found.return_to)
    return await signed_in(request, held, started, found.return_to, device)


def _note(request: Request, provider: Provider, reason: str, now: Instant) -> None:
    """That an answer to what was asked here came to nothing: somebody may be trying."""
    engine = engine_of(request)
    arrival = Arrival(application=BUILT_IN_APPLICATION, origin=origin_of(request, engine.settings))
    event = failed(provider, None, reason, arrival, now, engine.random)
    engine.database.write(lambda c: audit.append(c, [event]))
    engine.metrics.sign_ins["failed"] += 1
