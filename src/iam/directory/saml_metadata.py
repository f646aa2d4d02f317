"""What a SAML service provider says of itself in its metadata (saml-metadata-2.0-os).

Read once, when it is registered: what counts of it is kept as a value. A signature on it is not looked
at here: whoever registers it answers for it, or `iam.saml.sources` has held it to its signer.
"""

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from iam.kernel.errors import Forbidden
from iam.kernel.xml import Element, boolean_of, only_child, parse_xml, text_of
from iam.languages import N_, _, gettext
from iam.settings import is_loopback

METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
BEST_GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
GCM = (BEST_GCM, *(f"http://www.w3.org/2009/xmlenc11#aes{bits}-gcm" for bits in (192, 128)))
"""What assertions are encrypted with: the algorithms that also show when something was changed."""
_DSIG = "http://www.w3.org/2000/09/xmldsig#"

LONGEST = 256 * 1024
"""Bytes of a metadata document: those of some identity providers describe much that is not SAML 2.0."""
_MOST = 20
_SHORTEST_RSA = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
# What a form's address and a redirect's may consist of: nothing that could break out of either.
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?@!$&'()*+,=%\[\]-]{1,1000}", re.ASCII)
_ENTITY_ID = re.compile(r"[!-~]{1,1024}", re.ASCII)


class SamlMetadataRefused(Forbidden):
    """This is no metadata of a service provider that could be served."""

    code = "saml_metadata_refused"
    title = "This metadata cannot be used."


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionConsumer:
    """Where Responses are posted to."""

    url: str
    index: int
    default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutService:
    """Where LogoutRequests go, and LogoutResponses where those go elsewhere."""

    binding: str
    url: str
    response_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionKey:
    """What is encrypted for: a certificate (DER) with an RSA key, and the algorithm (URI) to use: the
    first of those that its holder names that also shows changes (AES-GCM)."""

    certificate: bytes
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What counts of a service provider's metadata. `certificates` are DER."""

    entity_id: str
    consumers: tuple[AssertionConsumer, ...]
    logout: tuple[LogoutService, ...]
    certificates: tuple[bytes, ...]
    encryption: tuple[EncryptionKey, ...]
    signs_requests: bool
    wants_signed_assertions: bool


@lru_cache(maxsize=200)
def read_metadata(text: str) -> Metadata:
    """What this document says. Nothing but the text decides, so it is read once a process.

    Raises:
        XmlRefused: it is not XML that is read at all.
        SamlMetadataRefused: it is not of one service provider that speaks SAML 2.0 by HTTP-POST.
    """
    entity_id, role = role_of(text, "SPSSODescriptor", N_("one service provider"))
    certificates = signing_certificates(role)
    signs = boolean_of(role.get("AuthnRequestsSigned", "false"))
    if signs and not certificates:
        raise SamlMetadataRefused(_("It signs its requests, and has no certificate for signing."))
    return Metadata(
        entity_id=entity_id,
        consumers=_consumers(role),
        logout=logout_services(role),
        certificates=certificates,
        encryption=_encryption(role),
        signs_requests=signs,
        wants_signed_assertions=boolean_of(role.get("WantAssertionsSigned", "false")),
    )


def role_of(text: str, name: str, whose: str) -> tuple[str, Element]:
    """The entityID in a document, and its one role of this name.

    Raises:
        XmlRefused, SamlMetadataRefused: there is none for SAML 2.0.
    """
    root = parse_xml(text.encode(), comments_pass=True, longest=LONGEST)
    if root.tag != f"{{{METADATA}}}EntityDescriptor":
        raise SamlMetadataRefused(
            _("It must be the EntityDescriptor of %(whose)s.", whose=gettext(whose))
        )
    entity_id = str(root.get("entityID", ""))
    if not _ENTITY_ID.fullmatch(entity_id):
        raise SamlMetadataRefused(_("Its entityID must be a URI of at most 1024 characters."))
    role = only_child(root, f"{{{METADATA}}}{name}")
    if role is None or PROTOCOL not in role.get("protocolSupportEnumeration", "").split():
        raise SamlMetadataRefused(_("It has no %(name)s for SAML 2.0.", name=name))
    return entity_id, role


def children_named(role: Element, name: str) -> list[Element]:
    """The children of this name in SAML's namespace for metadata, of which there may be 20."""
    found = [child for child in role if child.tag == f"{{{METADATA}}}{name}"]
    if len(found) > _MOST:
        raise SamlMetadataRefused(
            _("It has more than %(number)s of %(name)s.", number=_MOST, name=name)
        )
    return found


def _consumers(role: Element) -> tuple[AssertionConsumer, ...]:
    found = []
    for node in children_named(role, "AssertionConsumerService"):
        if node.get("Binding") != POST:
            continue  # Artifact and PAOS: what is not posted is not served
        index = node.get("index", "0")
        if not re.fullmatch(r"[0-9]{1,5}", index, re.ASCII):
            raise SamlMetadataRefused(_("The index of an endpoint must be a number."))
        default = boolean_of(node.get("isDefault", "false"))
        found.append(
            AssertionConsumer(url=endpoint_url(node, "Location"), index=int(index), default=default)
        )
    if not found:
        raise SamlMetadataRefused(_("It has no AssertionConsumerService by HTTP-POST."))
    if len({one.index for one in found}) < len(found):
        raise SamlMetadataRefused(_("Two AssertionConsumerServices have the same index."))
    return tuple(sorted(found, key=lambda one: (not one.default, one.index)))


def logout_services(role: Element) -> tuple[LogoutService, ...]:
    """Where logouts go, by the bindings that we speak."""
    found = []
    for node in children_named(role, "SingleLogoutService"):
        binding = node.get("Binding", "")
        if binding in (POST, REDIRECT, SOAP):
            url = endpoint_url(node, "Location")
            answers = (
                endpoint_url(node, "ResponseLocation") if node.get("ResponseLocation") else url
            )
            found.append(LogoutService(binding=binding, url=url, response_url=answers))
    return tuple(found)


def endpoint_url(node: Element, attribute: str) -> str:
    url = str(node.get(attribute, "")).strip()
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise SamlMetadataRefused(_("The address of an endpoint cannot be read.")) from None
    if not _URL.fullmatch(url) or not host or "@" in parts.netloc:
        raise SamlMetadataRefused(_("An endpoint must look like https://example.com/path."))
    if parts.scheme != "https" and not is_loopback(host):
        raise SamlMetadataRefused(_("An endpoint must be https, or http on a loopback address."))
    return url


def signing_certificates(role: Element) -> tuple[bytes, ...]:
    """The certificates (DER) that a role signs with. One whose key is too weak refuses the document."""
    found = [_certificate(text) for _, text in _keys(role, "signing")]
    return tuple(dict.fromkeys(found))


def _encryption(role: Element) -> tuple[EncryptionKey, ...]:
    """The keys that can be encrypted for: RSA keys whose holder reads AES-GCM, or does not say what it
    reads. Others are passed over."""
    found = []
    for descriptor, text in _keys(role, "encryption"):
        certificate = _certificate(text)
        named = [one.get("Algorithm") for one in children_named(descriptor, "EncryptionMethod")]
        # Methods for wrapping the key may stand among them, and say nothing of the content's.
        content = [one for one in named if one is not None and "/xmlenc" in one and "#aes" in one]
        method = next((one for one in content if one in GCM), None) if content else BEST_GCM
        key = x509.load_der_x509_certificate(certificate).public_key()
        if method is not None and isinstance(key, rsa.RSAPublicKey):
            found.append(EncryptionKey(certificate=certificate, method=method))
    return tuple(found)


def _keys(role: Element, use: str) -> list[tuple[Element, str]]:
    """The certificates for one use, each with the descriptor that it stands in."""
    found = []
    for descriptor in children_named(role, "KeyDescriptor"):
        if descriptor.get("use", use) != use:
            continue
        info = only_child(descriptor, f"{{{_DSIG}}}KeyInfo")
        for data in () if info is None else info.iterchildren(f"{{{_DSIG}}}X509Data"):
            nodes = data.iterchildren(f"{{{_DSIG}}}X509Certificate")
            found += [(descriptor, text_of(node)) for node in nodes]
    return found


def _certificate(text: str) -> bytes:
    """The DER of a certificate whose key is good enough. Its dates and its issuer say nothing here: it
    is trusted because it is registered (saml-metadata §2.4.1.1)."""
    try:
        found = x509.load_der_x509_certificate(
            base64.b64decode("".join(text.split()), validate=True)
        )
        key = found.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SamlMetadataRefused(_("A certificate in it cannot be read.")) from error
    if isinstance(key, rsa.RSAPublicKey):
        if _SHORTEST_RSA <= key.key_size <= 8192:
            return found.public_bytes(Encoding.DER)
        raise SamlMetadataRefused(_("An RSA key in it must have 2048 to 8192 bits."))
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return found.public_bytes(Encoding.DER)
    raise SamlMetadataRefused(_("A key in it must be RSA, or EC on P-256, P-384 or P-521."))
