"""What messages say, read strictly: each element once and in its place, nothing that is not known.

A message is read from its root by the names of children, never searched (`//`): where something stands is
what it means.
"""

import re
from dataclasses import dataclass

from iam.directory.saml_metadata import POST
from iam.kernel.clock import Instant, after, from_iso
from iam.kernel.xml import Element, boolean_of, local_name, only_child, text_of
from iam.languages import _
from iam.saml.bindings import Received
from iam.saml.errors import SamlMessageRefused
from iam.saml.names import DSIG, ENTITY, SAML, SAMLP

SKEW = 60
"""Seconds by which another's clock may differ from ours."""
FRESH = 10 * 60
"""Seconds for which a message may have been under way."""
ID = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,255}", re.ASCII)
"""What a message or an assertion may be called: as XML names are, and no longer than is remembered."""
_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)
_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NameId:
    """A name for a user, and between whom it holds."""

    value: str
    format: str | None = None
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What every message has."""

    id: str
    issuer: str
    issued_at: Instant
    destination: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthnRequest:
    """`<AuthnRequest>` (saml-core §3.4.1)."""

    header: Header
    force: bool
    passive: bool
    binding: str
    consumer_url: str | None
    consumer_index: int | None
    subject: NameId | None
    name_id_format: str | None
    sp_name_qualifier: str | None
    comparison: str
    classes: tuple[str, ...]
    declarations: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    """`<LogoutRequest>` (saml-core §3.7.1)."""

    header: Header
    name_id: NameId
    session_indexes: tuple[str, ...]
    until: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutResponse:
    """`<LogoutResponse>` (saml-core §3.7.2). `partial`: somebody that the sender passed it on to was not
    reached."""

    header: Header
    in_response_to: str
    succeeded: bool
    partial: bool


def header_of(root: Element, name: str) -> Header:
    """The head of a message that must be of this name.

    Raises:
        SamlMessageRefused: it is another, or its head cannot be read.
    """
    if root.tag != f"{{{SAMLP}}}{name}":
        raise SamlMessageRefused(_("It must be %(name)s.", name=name))
    identifier, issuer = root.get("ID", ""), only_child(root, f"{{{SAML}}}Issuer")
    if not ID.fullmatch(identifier):
        raise SamlMessageRefused(_("Its ID is missing or too long."))
    if root.get("Version") != "2.0":
        raise SamlMessageRefused(_("It must be of SAML 2.0."))
    if issuer is None or issuer.get("Format", ENTITY) != ENTITY or root[0] is not issuer:
        raise SamlMessageRefused(_("It must begin with its Issuer."))
    issued_at = instant_of(root, "IssueInstant")
    if issued_at is None:
        raise SamlMessageRefused(_("It has no IssueInstant."))
    return Header(
        id=identifier,
        issuer=text_of(issuer)[:1024],
        issued_at=issued_at,
        destination=root.get("Destination"),
    )


def instant_of(node: Element, attribute: str) -> Instant | None:
    """The instant in an attribute; None if it has none.

    Raises:
        SamlMessageRefused: it is none (saml-core §1.3.3: in UTC).
    """
    text = node.get(attribute)
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError:
        raise SamlMessageRefused(_("Its %(name)s cannot be read.", name=attribute)) from None


def check_header(header: Header, *, here: str, signed: bool, now: Instant) -> None:
    """Refuse what is too old, from the future, or meant for somebody else.

    Args:
        here: our address that it came to; a message that is signed must name it, so that nobody can
            show it elsewhere (saml-bindings §3.4.5.2, §3.5.5.2).

    Raises:
        SamlMessageRefused: it is.
    """
    if header.destination != here and (signed or header.destination is not None):
        raise SamlMessageRefused(_("Its Destination must be %(address)s.", address=here))
    if header.issued_at > after(now, SKEW):
        raise SamlMessageRefused(_("It is from the future: a clock is wrong."))
    if header.issued_at < after(now, -FRESH):
        raise SamlMessageRefused(_("It is too old. Start again from the application."))


def read_authn_request(received: Received) -> AuthnRequest:
    """An authentication request, not yet believed.

    Raises:
        SamlMessageRefused, XmlRefused: it breaks a rule of form.
    """
    root = received.root
    header = header_of(root, "AuthnRequest")
    allow_only(
        root,
        "Issuer",
        "Signature",
        "Extensions",
        "Subject",
        "NameIDPolicy",
        "Conditions",
        "RequestedAuthnContext",
        "Scoping",
    )
    index = root.get("AssertionConsumerServiceIndex")
    if index is not None and not _NUMBER.fullmatch(index):
        raise SamlMessageRefused(_("AssertionConsumerServiceIndex must be a number."))
    policy = only_child(root, f"{{{SAMLP}}}NameIDPolicy")
    subject = only_child(root, f"{{{SAML}}}Subject")
    context = only_child(root, f"{{{SAMLP}}}RequestedAuthnContext")
    classes: list[str] = []
    declarations = False
    for child in () if context is None else context:
        if child.tag == f"{{{SAML}}}AuthnContextClassRef":
            classes.append(text_of(child)[:256])
        else:
            declarations = True
    if len(classes) > _MOST:
        raise SamlMessageRefused(_("It asks for too many classes of authentication."))
    comparison = "exact" if context is None else context.get("Comparison", "exact")
    if comparison not in ("exact", "minimum", "maximum", "better"):
        raise SamlMessageRefused(_("The Comparison of its RequestedAuthnContext is none."))
    return AuthnRequest(
        header=header,
        force=boolean_of(root.get("ForceAuthn", "false")),
        passive=boolean_of(root.get("IsPassive", "false")),
        binding=root.get("ProtocolBinding", POST),
        consumer_url=root.get("AssertionConsumerServiceURL"),
        consumer_index=int(index) if index is not None else None,
        subject=None if subject is None else read_name_id(subject),
        name_id_format=None if policy is None else policy.get("Format"),
        sp_name_qualifier=None if policy is None else policy.get("SPNameQualifier"),
        comparison=comparison,
        classes=tuple(classes),
        declarations=declarations,
    )


def read_logout_request(received: Received, now: Instant) -> LogoutRequest:
    """A logout request, not yet believed.

    Raises:
        SamlMessageRefused, XmlRefused: it breaks a rule of form, or its NotOnOrAfter has come.
    """
    root = received.root
    header = header_of(root, "LogoutRequest")
    allow_only(root, "Issuer", "Signature", "Extensions", "NameID", "SessionIndex")
    until = instant_of(root, "NotOnOrAfter")
    if until is not None and until <= after(now, -SKEW):
        raise SamlMessageRefused(_("It is too old. Start again from the application."))
    indexes = [text_of(child) for child in root if child.tag == f"{{{SAMLP}}}SessionIndex"]
    if len(indexes) > 100:
        raise SamlMessageRefused(_("It names too many sessions."))
    return LogoutRequest(
        header=header,
        name_id=read_name_id(root),
        session_indexes=tuple(dict.fromkeys(indexes)),
        until=until,
    )


def read_logout_response(received: Received) -> LogoutResponse:
    """A logout response, not yet believed.

    Raises:
        SamlMessageRefused, XmlRefused: it breaks a rule of form.
    """
    root = received.root
    header = header_of(root, "LogoutResponse")
    allow_only(root, "Issuer", "Signature", "Extensions", "Status")
    status = only_child(root, f"{{{SAMLP}}}Status")
    code = None if status is None else only_child(status, f"{{{SAMLP}}}StatusCode")
    if code is None:
        raise SamlMessageRefused(_("It has no status."))
    second = only_child(code, f"{{{SAMLP}}}StatusCode")
    return LogoutResponse(
        header=header,
        in_response_to=root.get("InResponseTo", ""),
        succeeded=code.get("Value", "").endswith(":status:Success"),
        partial=second is not None and second.get("Value", "").endswith(":status:PartialLogout"),
    )


def read_name_id(parent: Element) -> NameId:
    """The one NameID in an element.

    Raises:
        SamlMessageRefused, XmlRefused: there is none, or several.
    """
    node = only_child(parent, f"{{{SAML}}}NameID")
    if node is None:
        raise SamlMessageRefused(_("It must name the user by a NameID that is not encrypted."))
    return NameId(
        value=text_of(node),
        format=node.get("Format"),
        name_qualifier=node.get("NameQualifier"),
        sp_name_qualifier=node.get("SPNameQualifier"),
    )


def allow_only(root: Element, *names: str) -> None:
    """Refuse an element that has children of other names, or of other namespaces than SAML's.

    Raises:
        SamlMessageRefused: it does.
    """
    for child in root:
        if local_name(child) not in names or child.tag.split("}")[0][1:] not in (SAML, SAMLP, DSIG):
            raise SamlMessageRefused(
                _("%(name)s does not belong in it.", name=local_name(child)[:40])
            )
