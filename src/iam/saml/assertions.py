"""What an identity provider says of somebody: its Response, held to its signature, and the one assertion
in it, read strictly and held to where, when and for whom it may be shown (saml-profiles §4.1.4.3).

Only what a checked signature covers is read, from the very element that it covers. There is one assertion:
of two, one reader would check the first and another believe the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from iam.kernel.clock import Instant, after
from iam.kernel.xml import Element, local_name, only_child, text_of
from iam.keys.xml_signatures import SamlSignatureRefused, check_enveloped, signatures_in
from iam.languages import _
from iam.saml.encryption import decrypt_assertion
from iam.saml.errors import SamlAnswerRefused, SamlMessageRefused
from iam.saml.names import BEARER, ENTITY, SAML, SAMLP
from iam.saml.reading import (
    ID,
    SKEW,
    Header,
    NameId,
    allow_only,
    check_header,
    header_of,
    instant_of,
    read_name_id,
)

_MOST = 200
_LONGEST = 4096
LONGEST_NAME = 512
"""Characters of what somebody or their session is called: PostgreSQL's indexes take no more than 2700
bytes, and nobody sends names like that."""
_ASSERTION, _ENCRYPTED = f"{{{SAML}}}Assertion", f"{{{SAML}}}EncryptedAssertion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A Response, not yet believed. `carrier`: its Assertion or EncryptedAssertion; None with a status
    that is no success."""

    header: Header
    root: Element
    in_response_to: str | None
    statuses: tuple[str, ...]
    carrier: Element | None

    @property
    def is_encrypted(self) -> bool:
        """Whether its assertion is."""
        return self.carrier is not None and self.carrier.tag == _ENCRYPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an answer is held to. `request_id` None: nobody has asked."""

    issuer: str
    certificates: Sequence[bytes]
    audience: str
    recipient: str
    request_id: str | None
    since: Instant | None = None
    """The person must have been authenticated at this instant or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What an assertion says of somebody. `until`: for how long it could be shown again."""

    id: str
    issued_at: Instant
    until: Instant
    name_id: NameId
    session_index: str | None
    session_until: Instant | None
    authenticated_at: Instant
    context_class: str | None
    attributes: Mapping[str, tuple[str, ...]]

    def to_payload(self) -> dict[str, Any]:
        """As it is kept until its browser comes for it."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """What `to_payload` has written."""
        until = payload["session_until"]
        return cls(
            **{
                **payload,
                "issued_at": Instant(payload["issued_at"]),
                "until": Instant(payload["until"]),
                "name_id": NameId(**payload["name_id"]),
                "session_until": Instant(until) if until is not None else None,
                "authenticated_at": Instant(payload["authenticated_at"]),
                "attributes": {
                    name: tuple(values) for name, values in payload["attributes"].items()
                },
            }
        )


def read_answer(root: Element) -> Answer:
    """A Response, not yet believed.

    Raises:
        SamlMessageRefused, XmlRefused: it breaks a rule of form.
    """
    header = header_of(root, "Response")
    allow_only(
        root, "Issuer", "Signature", "Extensions", "Status", "Assertion", "EncryptedAssertion"
    )
    status = only_child(root, f"{{{SAMLP}}}Status")
    code = None if status is None else only_child(status, f"{{{SAMLP}}}StatusCode")
    if code is None:
        raise SamlMessageRefused(_("It has no status."))
    second = only_child(code, f"{{{SAMLP}}}StatusCode")
    carriers = [child for child in root if child.tag in (_ASSERTION, _ENCRYPTED)]
    statuses = tuple(str(one.get("Value", "")) for one in (code, second) if one is not None)
    succeeded = statuses[0].endswith(":status:Success")
    if len(carriers) != succeeded:
        raise SamlMessageRefused(_("It must have exactly one assertion, and none without success."))
    return Answer(
        header=header,
        root=root,
        in_response_to=root.get("InResponseTo"),
        statuses=statuses,
        carrier=carriers[0] if carriers else None,
    )


def believe(answer: Answer, expected: Expected, keys: Sequence[str], now: Instant) -> Believed:
    """What an answer says, if it is signed, for us, and good now.

    Args:
        keys: our private keys (PEM), for an assertion that is encrypted.

    Raises:
        SamlSignatureRefused, SamlEncryptionRefused: it is not signed as it must be, or cannot be read.
        SamlMessageRefused, XmlRefused: what is signed breaks a rule of form.
        SamlAnswerRefused: it is for somebody else, or for another time.
    """
    assertion = _authentic(answer, expected, keys, now)
    _check_form(assertion, expected)
    if answer.header.issuer != expected.issuer:
        raise SamlAnswerRefused(_("It is of another issuer."))
    if answer.in_response_to != expected.request_id:
        raise SamlAnswerRefused(_("It answers another request."))
    until = _check_subject(assertion, expected, now)
    _check_conditions(assertion, expected, now)
    return _read(assertion, expected, until, now)


def _authentic(answer: Answer, expected: Expected, keys: Sequence[str], now: Instant) -> Element:
    """The assertion, when every signature that there is has been checked, and there is one over it."""
    carrier, certificates = answer.carrier, expected.certificates
    if carrier is None:
        raise SamlMessageRefused(_("It has no assertion."))
    of_root, of_assertion = signatures_in(answer.root, carrier)
    if of_root is not None:
        check_enveloped(answer.root, of_root, certificates)
    check_header(answer.header, here=expected.recipient, signed=of_root is not None, now=now)
    assertion = carrier
    if answer.is_encrypted:
        assertion = decrypt_assertion(carrier, keys, unchanged=of_root is not None)
        of_assertion = signatures_in(assertion, assertion)[0]
    if of_assertion is not None:
        check_enveloped(assertion, of_assertion, certificates)
    if of_root is None and of_assertion is None:
        raise SamlSignatureRefused(_("The response or its assertion must be signed."))
    return assertion


def _check_form(assertion: Element, expected: Expected) -> None:
    """saml-core §2.3.3: what an assertion may hold."""
    allow_only(
        assertion,
        "Issuer",
        "Signature",
        "Subject",
        "Conditions",
        "Advice",
        "AuthnStatement",
        "AttributeStatement",
        "AuthzDecisionStatement",
    )
    if assertion.get("Version") != "2.0" or not ID.fullmatch(assertion.get("ID", "")):
        raise SamlMessageRefused(_("Its assertion must be of SAML 2.0 and have an ID."))
    issuer = only_child(assertion, f"{{{SAML}}}Issuer")
    if issuer is None or text_of(issuer) != expected.issuer:
        raise SamlAnswerRefused(_("Its assertion is of another issuer."))
    if issuer.get("Format", ENTITY) != ENTITY:
        raise SamlMessageRefused(_("Its issuer must be an entity."))


def _check_subject(assertion: Element, expected: Expected, now: Instant) -> Instant:
    """saml-profiles §4.1.4.3: a bearer, here, now, for this request; answer until when."""
    subject = only_child(assertion, f"{{{SAML}}}Subject")
    if subject is None:
        raise SamlMessageRefused(_("Its assertion has no subject."))
    allow_only(subject, "NameID", "SubjectConfirmation")
    refusal = _("Its subject cannot be confirmed: it is of another kind than bearer.")
    for confirmation in subject.iterchildren(f"{{{SAML}}}SubjectConfirmation"):
        data = only_child(confirmation, f"{{{SAML}}}SubjectConfirmationData")
        if confirmation.get("Method") != BEARER or data is None:
            continue
        until = instant_of(data, "NotOnOrAfter")
        if data.get("Recipient") != expected.recipient:
            refusal = _("Its Recipient must be %(address)s.", address=expected.recipient)
        elif data.get("InResponseTo") != expected.request_id:
            refusal = _("Its subject is confirmed for another request.")
        elif until is None or data.get("NotBefore") is not None:
            refusal = _("Its subject must be confirmed until an instant, and from none.")
        elif until <= after(now, -SKEW):
            refusal = _("It came too late. Start again.")
        else:
            return until
    raise SamlAnswerRefused(refusal)


def _check_conditions(assertion: Element, expected: Expected, now: Instant) -> None:
    """saml-core §2.5: every condition must be met, and one that is not known is not."""
    conditions = only_child(assertion, f"{{{SAML}}}Conditions")
    if conditions is None:
        raise SamlAnswerRefused(_("Its assertion is for nobody: it has no conditions."))
    allow_only(conditions, "AudienceRestriction", "OneTimeUse", "ProxyRestriction")
    begins, ends = instant_of(conditions, "NotBefore"), instant_of(conditions, "NotOnOrAfter")
    if begins is not None and begins > after(now, SKEW):
        raise SamlAnswerRefused(_("It is for later: a clock is wrong."))
    if ends is not None and ends <= after(now, -SKEW):
        raise SamlAnswerRefused(_("It came too late. Start again."))
    restrictions = list(conditions.iterchildren(f"{{{SAML}}}AudienceRestriction"))
    for one in restrictions:
        allow_only(one, "Audience")
    if not restrictions or not all(
        expected.audience in [text_of(audience) for audience in one] for one in restrictions
    ):
        raise SamlAnswerRefused(
            _("It is for another audience than %(audience)s.", audience=expected.audience)
        )


def _read(assertion: Element, expected: Expected, until: Instant, now: Instant) -> Believed:
    statements = list(assertion.iterchildren(f"{{{SAML}}}AuthnStatement"))
    if len(statements) != 1:
        raise SamlMessageRefused(_("It must say exactly once how the person was authenticated."))
    statement = statements[0]
    allow_only(statement, "SubjectLocality", "AuthnContext")
    at, issued_at = instant_of(statement, "AuthnInstant"), instant_of(assertion, "IssueInstant")
    if at is None or issued_at is None:
        raise SamlMessageRefused(_("It does not say when the person was authenticated."))
    if max(at, issued_at) > after(now, SKEW):
        raise SamlAnswerRefused(_("It is from the future: a clock is wrong."))
    if expected.since is not None and at < after(expected.since, -SKEW):
        raise SamlAnswerRefused(_("It is of an earlier sign-in, and a new one was asked for."))
    session_until = instant_of(statement, "SessionNotOnOrAfter")
    if session_until is not None and session_until <= now:
        raise SamlAnswerRefused(_("The session there is over already."))
    context = only_child(statement, f"{{{SAML}}}AuthnContext")
    reference = None if context is None else only_child(context, f"{{{SAML}}}AuthnContextClassRef")
    subject = only_child(assertion, f"{{{SAML}}}Subject")
    return Believed(
        id=str(assertion.get("ID")),
        issued_at=issued_at,
        until=until,
        name_id=_named(subject),
        session_index=_short(statement.get("SessionIndex")),
        session_until=session_until,
        authenticated_at=at,
        context_class=None if reference is None else _short(text_of(reference)),
        attributes=_attributes(assertion),
    )


def _named(subject: Element) -> NameId:
    name_id = read_name_id(subject)
    if not name_id.value or len(name_id.value) > LONGEST_NAME:
        raise SamlMessageRefused(_("The NameID is empty or too long."))
    return name_id


def _short(text: str | None) -> str | None:
    if text is not None and len(text) > LONGEST_NAME:
        raise SamlMessageRefused(_("A name in it is too long."))
    return text or None


def _attributes(assertion: Element) -> dict[str, tuple[str, ...]]:
    """Every attribute by its name; a value that is more than text is passed over."""
    found: dict[str, list[str]] = {}
    count = 0
    for statement in assertion.iterchildren(f"{{{SAML}}}AttributeStatement"):
        for attribute in statement:
            if attribute.tag != f"{{{SAML}}}Attribute":
                raise SamlMessageRefused(
                    _(
                        "%(name)s cannot be read: attributes must not be encrypted.",
                        name=local_name(attribute)[:40],
                    )
                )
            name = str(attribute.get("Name", ""))[:_LONGEST]
            values = [one for one in attribute if one.tag == f"{{{SAML}}}AttributeValue"]
            count += 1 + len(values)
            if count > _MOST:
                raise SamlMessageRefused(_("It says too much of the person."))
            texts = [text_of(one)[:_LONGEST] for one in values if not len(one)]
            found.setdefault(name, []).extend(text for text in texts if text)
    return {name: tuple(values) for name, values in found.items()}
