"""From a request and a browser session to what the provider is answered, or where the person goes first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from iam.delivery.saml_logouts import note_participant, read_participants
from iam.directory.applications import Application
from iam.directory.saml_providers import SamlProvider
from iam.directory.users import User
from iam.kernel.clock import Instant
from iam.kernel.events import Origin
from iam.kernel.xml import Element
from iam.keys import SamlKey
from iam.saml.encryption import encrypt_assertion
from iam.saml.names import (
    NO_AUTHN_CONTEXT,
    NO_PASSIVE,
    REQUEST_DENIED,
    REQUESTER,
    RESPONDER,
    UNKNOWN_PRINCIPAL,
)
from iam.saml.signatures import sign_enveloped
from iam.saml.subjects import Unmet, choose_format, context_of, lacks_code, name_of
from iam.saml.writing import Addressed, add_assertion, entity_id, qualified, response
from iam.sessions import store
from iam.sessions.lifecycle import ParentEnded, Started
from iam.sessions.limits import SessionLimit
from iam.sessions.lock import locked_child
from iam.sessions.model import LiveRow, Session
from iam.signin.enter import NotAdmitted, approach, enter_application
from iam.signin.factors import find_factor
from iam.web.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be answered. `request_id` None: nobody asked (IdP-initiated). `since`: the person must
    have signed in at this instant or later. `wishes`: what `sso` kept of the request."""

    provider: SamlProvider
    application: Application
    consumer: str
    request_id: str | None
    relay_state: str | None
    since: Instant | None
    wishes: Mapping[str, Any]

    @property
    def passive(self) -> bool:
        """Whether no page may be shown."""
        return bool(self.wishes.get("passive"))


@dataclass(frozen=True, slots=True)
class SignIn:
    """The person has to sign in first. `again`: even though they are signed in."""

    again: bool


@dataclass(frozen=True, slots=True)
class ShowCode:
    """The person has to show their second factor besides."""


@dataclass(frozen=True, slots=True)
class Choose:
    """The person has to say first which of their sessions ends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed Response, to be posted by the browser; `started` is to be counted after the commit."""

    root: Element
    started: Started | None = None


def decide(
    connection: Connection,
    engine: Engine,
    key: SamlKey,
    asked: Asked,
    browser: LiveRow | None,
    origin: Origin,
    now: Instant,
) -> Answer | SignIn | ShowCode | Choose:
    """Answer the provider, or have the person do something first."""
    refusal = asked.wishes.get("refusal")
    if refusal:
        return _refuse(engine, key, asked, now, REQUESTER, refusal)
    first = _first(connection, asked, browser, now)
    if isinstance(first, str):
        return _refuse(engine, key, asked, now, RESPONDER, first)
    if first is not None:
        return _refuse(engine, key, asked, now, RESPONDER, NO_PASSIVE) if asked.passive else first
    assert browser is not None  # noqa: S101 - else there was something to do first
    try:
        # Inside: what a refusal must not leave behind is a session.
        with connection.begin_nested():
            return _enter(connection, engine, key, asked, browser, origin, now)
    except Unmet as error:
        return _refuse(engine, key, asked, now, RESPONDER, error.second)
    except SessionLimit:
        return _refuse(engine, key, asked, now, RESPONDER, REQUEST_DENIED)


def _first(
    connection: Connection, asked: Asked, browser: LiveRow | None, now: Instant
) -> SignIn | ShowCode | Choose | str | None:
    """What the person has to do first, None if nothing; a text is the status of a refusal."""
    if browser is None:
        return SignIn(again=False)
    if browser.organization != asked.provider.organization:
        return SignIn(again=False)
    if asked.since is not None:
        session = store.read_session(connection, browser.id)
        at = session.authenticated_at if session is not None else None
        if at is None or at < asked.since:
            return SignIn(again=True)
    try:
        ahead = approach(
            connection,
            browser_session=browser.id,
            organization=asked.provider.organization,
            application=asked.provider.application,
            instance=None,
            now=now,
        )
    except ParentEnded:
        return SignIn(again=False)
    except NotAdmitted:
        return REQUEST_DENIED
    if ahead.authenticate_since is not None:
        return SignIn(again=True)
    if locked_child(connection, browser.id, asked.provider.application, now) is not None:
        # The sign-in page leads on to where it is unlocked, but not who has to sign in again.
        return SignIn(again=False)
    if _wants_code(connection, asked, browser, ahead.user):
        return ShowCode()
    if ahead.crowd is not None:
        return Choose() if ahead.crowd.may_choose else REQUEST_DENIED
    return None


def _wants_code(connection: Connection, asked: Asked, browser: LiveRow, user: User) -> bool:
    """Whether a second factor, which the person has, would meet what the request asks for."""
    session = store.read_session(connection, browser.id)
    if session is None or not lacks_code(session, *_context(asked)):
        return False
    return find_factor(connection, user.id) is not None


def _context(asked: Asked) -> tuple[str, Sequence[str], bool]:
    """What a request asks for of the authentication: comparison, classes, and whether declarations."""
    wishes = asked.wishes
    comparison, classes = wishes.get("comparison", "exact"), wishes.get("classes", ())
    return comparison, classes, bool(wishes.get("declarations"))


def _enter(
    connection: Connection,
    engine: Engine,
    key: SamlKey,
    asked: Asked,
    browser: LiveRow,
    origin: Origin,
    now: Instant,
) -> Answer:
    provider, wishes, random = asked.provider, asked.wishes, engine.random
    session, user, started = enter_application(
        connection,
        browser_session=browser.id,
        organization=provider.organization,
        application=provider.application,
        instance=None,
        origin=origin,
        now=now,
        random=random,
    )
    context = context_of(session, *_context(asked))
    if context is None:
        raise Unmet(NO_AUTHN_CONTEXT)
    format_ = choose_format(provider, wishes.get("format"), wishes.get("sp_name_qualifier"))
    value = _name(connection, provider, session, user, format_, engine)
    subject = wishes.get("subject")
    if subject is not None and subject != value:
        # The provider means somebody else: it is never given another (saml-core §3.4.1.4).
        raise Unmet(UNKNOWN_PRINCIPAL)
    note_participant(connection, session.id, provider.id, value, format_)
    issuer = engine.settings.issuer
    to = Addressed(url=asked.consumer, in_response_to=asked.request_id)
    root = response(entity_id(issuer), to, now, random)
    name_id = qualified(issuer, provider.entity_id, format_, value)
    assertion = add_assertion(
        root, issuer, to, provider, user, session, name_id, context, now, random
    )
    if provider.options.sign_assertion:
        sign_enveloped(assertion, key)
    if provider.options.encrypt_assertion:
        encrypt_assertion(assertion, provider.metadata.encryption[0], random)
    if provider.options.sign_response:
        sign_enveloped(root, key)
    return Answer(root, started)


def _name(
    connection: Connection,
    provider: SamlProvider,
    session: Session,
    user: User,
    format_: str,
    engine: Engine,
) -> str:
    known = read_participants(connection, [session.id]).get(session.id)
    transient = known is not None and known.name_id_format == "transient"
    return name_of(
        provider,
        user,
        format_,
        known.name_id if known is not None and transient else None,
        engine.random,
    )


def _refuse(
    engine: Engine, key: SamlKey, asked: Asked, now: Instant, status: str, second: str
) -> Answer:
    to = Addressed(url=asked.consumer, in_response_to=asked.request_id)
    entity = entity_id(engine.settings.issuer)
    root = response(entity, to, now, engine.random, status=status, second=second)
    sign_enveloped(root, key)
    return Answer(root)
