"""How messages travel through a browser (saml-bindings §3.4 and §3.5): out of a query or a form, and
into a query."""

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote_plus

from iam.kernel.xml import LONGEST, Element, parse_xml, xml_octets
from iam.keys import SamlKey
from iam.keys.xml_signatures import SamlSignatureRefused, check_enveloped, signature_of
from iam.languages import _, written
from iam.saml.errors import SamlMessageRefused
from iam.saml.signatures import RSA_SHA256, check_query, sign_query

_LONGEST_RELAY_STATE = 2048
"""Bytes. The specification allows 80, and libraries in use send whole addresses."""
_SIGNED = ("RelayState", "SigAlg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as it came: not believed yet. `kind` is SAMLRequest or SAMLResponse."""

    kind: str
    root: Element
    relay_state: str | None
    octets: bytes = b""
    algorithm: str | None = None
    signature: str | None = None


def from_query(query: bytes) -> Received:
    """The message of a query string (HTTP-Redirect, DEFLATE encoding).

    Raises:
        XmlRefused, SamlMessageRefused, SamlSignatureRefused: it cannot be read.
    """
    raw: dict[str, str] = {}
    for pair in query.decode("ascii", "replace").split("&"):
        name, _equals, value = pair.partition("=")
        if name in raw:
            # Of two values one reader takes the first and another the last.
            raise SamlMessageRefused(_("A parameter came more than once."))
        raw[name] = value
    kind = _kind(raw)
    encoding = unquote_plus(raw.get("SAMLEncoding", ""))
    if encoding not in ("", "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"):
        raise SamlMessageRefused(_("Its encoding must be DEFLATE."))
    root = parse_xml(_inflated(_decoded(unquote_plus(raw[kind]))))
    if ("Signature" in raw) != ("SigAlg" in raw):
        raise SamlSignatureRefused(_("Signature and SigAlg go together."))
    if signature_of(root) is not None:
        raise SamlSignatureRefused(_("By redirect a message is signed in the query, not inside."))
    signed = "&".join(f"{name}={raw[name]}" for name in (kind, *_SIGNED) if name in raw)
    return Received(
        kind=kind,
        root=root,
        relay_state=_relay_state(unquote_plus(raw["RelayState"]) if "RelayState" in raw else None),
        octets=signed.encode(),
        algorithm=unquote_plus(raw["SigAlg"]) if "SigAlg" in raw else None,
        signature=unquote_plus(raw["Signature"]) if "Signature" in raw else None,
    )


def from_form(fields: dict[str, str]) -> Received:
    """The message of a posted form (HTTP-POST).

    Raises:
        XmlRefused, SamlMessageRefused: it cannot be read.
    """
    kind = _kind(fields)
    root = parse_xml(_decoded(fields[kind]))
    return Received(kind=kind, root=root, relay_state=_relay_state(fields.get("RelayState")))


def _kind(fields: dict[str, str]) -> str:
    found = [name for name in ("SAMLRequest", "SAMLResponse") if fields.get(name)]
    if len(found) != 1:
        raise SamlMessageRefused(_("It must have SAMLRequest or SAMLResponse."))
    return found[0]


def _relay_state(text: str | None) -> str | None:
    if not text:
        return None
    if len(text.encode("utf-8", "replace")) > _LONGEST_RELAY_STATE or "\x00" in text:
        raise SamlMessageRefused(_("Its RelayState is too long."))
    return text


def _decoded(text: str) -> bytes:
    plain = "".join(text.split())
    if len(plain) > 2 * LONGEST:
        raise SamlMessageRefused(_("It is longer than %(number)s bytes.", number=written(LONGEST)))
    try:
        return base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raise SamlMessageRefused(_("It is not base64.")) from None


def _inflated(data: bytes) -> bytes:
    """What was deflated: never more of it than a message may have, however small it was packed."""
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = unpack.decompress(data, LONGEST + 1)
    except zlib.error:
        raise SamlMessageRefused(_("It is not deflated.")) from None
    if len(found) > LONGEST:
        raise SamlMessageRefused(_("It is longer than %(number)s bytes.", number=written(LONGEST)))
    if not unpack.eof:
        raise SamlMessageRefused(_("It is cut off."))
    return found


def authenticate(received: Received, certificates: Sequence[bytes], *, required: bool) -> bool:
    """Hold a message to its signature, if it has one; answer whether it has.

    Raises:
        SamlSignatureRefused: it is not right, or there is none where one is required.
    """
    if received.signature is not None and received.algorithm is not None:
        check_query(received.octets, received.algorithm, received.signature, certificates)
        return True
    signature = signature_of(received.root)
    if signature is not None:
        check_enveloped(received.root, signature, certificates)
        return True
    if required:
        raise SamlSignatureRefused(_("It must be signed."))
    return False


def to_query(kind: str, root: Element, relay_state: str | None, key: SamlKey) -> str:
    """The query of a message that goes by redirect, signed."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = pack.compress(xml_octets(root)) + pack.flush()
    parts = {kind: base64.b64encode(packed).decode()}
    if relay_state is not None:
        parts["RelayState"] = relay_state
    parts["SigAlg"] = RSA_SHA256
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in parts.items())
    return f"{query}&Signature={quote(sign_query(query.encode(), key), safe='')}"


def to_field(root: Element) -> str:
    """A message as a form carries it. It has been signed by whoever wants it signed."""
    return base64.b64encode(xml_octets(root)).decode()
