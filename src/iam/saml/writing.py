"""The messages that we send, as trees. Whoever sends one signs it."""

from dataclasses import dataclass
from typing import Any

from iam.directory.saml_identity import UpstreamOptions
from iam.directory.saml_metadata import POST
from iam.directory.saml_providers import SamlProvider
from iam.directory.users import User
from iam.kernel.clock import Instant, after, to_iso
from iam.kernel.secrets import Random
from iam.kernel.xml import Element, add_element, new_element, plain
from iam.saml.names import BEARER, NAME_ID_FORMATS, SAML, SAMLP, SUCCESS, XS, XSI
from iam.saml.reading import SKEW, NameId
from iam.sessions.model import Session

LIFETIME = 5 * 60
"""Seconds in which a provider must have taken an assertion."""
_BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
_URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
_MAP: Any = {"samlp": SAMLP, "saml": SAML}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """Whom an answer goes to: the address, and the request that it answers (None: nobody asked)."""

    url: str
    in_response_to: str | None


def entity_id(issuer: str) -> str:
    """Our own entityID: the address of our metadata."""
    return f"{issuer}/saml/metadata"


def service_entity_id(issuer: str) -> str:
    """Our entityID towards identity providers: the address of our metadata as a service provider."""
    return f"{issuer}/saml/sp/metadata"


def make_message_id(random: Random) -> str:
    """A new ID: 160 random bits, as an XML name."""
    return f"_{random(20).hex()}"


def message(
    name: str, entity: str, destination: str, now: Instant, random: Random, **attributes: str | None
) -> Element:
    """The head of a message of ours. `entity`: which of our two entityIDs it is from."""
    root = new_element(
        f"{{{SAMLP}}}{name}",
        {
            "ID": make_message_id(random),
            "Version": "2.0",
            "IssueInstant": to_iso(now),
            "Destination": destination,
            **{key: value for key, value in attributes.items() if value is not None},
        },
        nsmap=_MAP,
    )
    _add(root, SAML, "Issuer", entity)
    return root


def response(
    entity: str,
    to: Addressed,
    now: Instant,
    random: Random,
    *,
    status: str = SUCCESS,
    second: str | None = None,
    name: str = "Response",
) -> Element:
    """A Response (or `name`) that has nothing but a status so far."""
    root = message(name, entity, to.url, now, random, InResponseTo=to.in_response_to)
    code = _add(_add(root, SAMLP, "Status"), SAMLP, "StatusCode", Value=status)
    if second is not None:
        _add(code, SAMLP, "StatusCode", Value=second)
    return root


def add_assertion(
    root: Element,
    issuer: str,
    to: Addressed,
    provider: SamlProvider,
    user: User,
    session: Session,
    name_id: NameId,
    context_class: str,
    now: Instant,
    random: Random,
) -> Element:
    """Say in this Response who has signed in (saml-profiles §4.1.4.2); answer the assertion."""
    until = to_iso(after(now, LIFETIME))
    assertion = _add(
        root,
        SAML,
        "Assertion",
        ID=make_message_id(random),
        Version="2.0",
        IssueInstant=to_iso(now),
    )
    _add(assertion, SAML, "Issuer", entity_id(issuer))
    subject = _add(assertion, SAML, "Subject")
    add_name_id(subject, name_id)
    confirmation = _add(subject, SAML, "SubjectConfirmation", Method=BEARER)
    data = _add(confirmation, SAML, "SubjectConfirmationData", NotOnOrAfter=until, Recipient=to.url)
    if to.in_response_to is not None:
        data.set("InResponseTo", to.in_response_to)
    conditions = _add(
        assertion, SAML, "Conditions", NotBefore=to_iso(after(now, -SKEW)), NotOnOrAfter=until
    )
    audience = _add(conditions, SAML, "AudienceRestriction")
    _add(audience, SAML, "Audience", provider.entity_id)
    # When the person really authenticated; a session that nobody authenticated for began then.
    since = session.authenticated_at
    statement = _add(
        assertion,
        SAML,
        "AuthnStatement",
        AuthnInstant=to_iso(session.created_at if since is None else since),
        SessionIndex=session.id,
        SessionNotOnOrAfter=to_iso(session.expires_at),
    )
    context = _add(statement, SAML, "AuthnContext")
    _add(context, SAML, "AuthnContextClassRef", context_class)
    _add_attributes(assertion, provider, user)
    return assertion


def add_name_id(parent: Element, name_id: NameId) -> None:
    """Name a user."""
    node = _add(parent, SAML, "NameID", name_id.value)
    for attribute, value in (
        ("Format", name_id.format),
        ("NameQualifier", name_id.name_qualifier),
        ("SPNameQualifier", name_id.sp_name_qualifier),
    ):
        if value is not None:
            node.set(attribute, value)


def logout_request(
    entity: str,
    url: str,
    name_id: NameId,
    session_index: str | None,
    now: Instant,
    random: Random,
) -> Element:
    """A LogoutRequest for one session (saml-core §3.7.1)."""
    until = to_iso(after(now, LIFETIME))
    root = message("LogoutRequest", entity, url, now, random, NotOnOrAfter=until)
    add_name_id(root, name_id)
    if session_index is not None:
        _add(root, SAMLP, "SessionIndex", session_index)
    return root


def authn_request(
    entity: str,
    url: str,
    consumer: str,
    options: UpstreamOptions,
    now: Instant,
    random: Random,
    *,
    force: bool,
) -> Element:
    """An AuthnRequest to an identity provider (saml-profiles §4.1.4.1), to be answered by POST.

    Args:
        force: the person is to be authenticated anew.
    """
    root = message(
        "AuthnRequest",
        entity,
        url,
        now,
        random,
        AssertionConsumerServiceURL=consumer,
        ProtocolBinding=POST,
        ForceAuthn="true" if force else None,
    )
    policy = _add(root, SAMLP, "NameIDPolicy", AllowCreate="true")
    if options.name_id_format is not None:
        policy.set("Format", options.name_id_format)
    if options.context_classes:
        context = _add(root, SAMLP, "RequestedAuthnContext", Comparison=options.context_comparison)
        for one in options.context_classes:
            _add(context, SAML, "AuthnContextClassRef", one)
    return root


def qualified(issuer: str, provider_entity: str, format_: str, value: str) -> NameId:
    """A name of ours for a user at a provider. `format_` is a key of `NAME_ID_FORMATS`."""
    pair = format_ in ("persistent", "transient")
    return NameId(
        value=value,
        format=NAME_ID_FORMATS[format_],
        name_qualifier=entity_id(issuer) if pair else None,
        sp_name_qualifier=provider_entity if pair else None,
    )


def _add_attributes(assertion: Element, provider: SamlProvider, user: User) -> None:
    found = {
        name: [value for value in _values(source, user) if value]
        for name, source in provider.options.attributes.items()
    }
    if not any(found.values()):
        return  # the schema knows no statement without an attribute
    statement = _add(assertion, SAML, "AttributeStatement")
    for name, values in found.items():
        if values:
            format_ = _URI if ":" in name else _BASIC
            attribute = _add(statement, SAML, "Attribute", Name=name, NameFormat=format_)
            for value in values:
                node: Any = add_element(
                    attribute, f"{{{SAML}}}AttributeValue", nsmap={"xs": XS, "xsi": XSI}
                )
                node.text = plain(value)
                node.set(f"{{{XSI}}}type", "xs:string")


def _values(source: str, user: User) -> tuple[str, ...]:
    if source == "roles":
        return user.roles
    found = {
        "user_id": user.id,
        "user_name": user.name,
        "display_name": user.display_name,
        "email": user.email,
        "organization": user.organization,
    }[source]
    return (found,) if found is not None else ()


def _add(
    parent: Element, namespace: str, name: str, text: str | None = None, **attributes: str
) -> Element:
    node = add_element(parent, f"{{{namespace}}}{name}", attributes)
    if text is not None:
        node.text = plain(text)
    return node
