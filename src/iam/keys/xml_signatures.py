"""Signatures in XML, held to the certificates of whom a document says it is from.

Against signature wrapping a signature counts only in one place and shape: a child of the root, with one
reference, to the root, without any transform that could drop part of it. What is read afterwards is read
from that same root. What a document itself says of keys (KeyInfo) is never looked at.
"""

from collections.abc import Sequence

from iam.kernel.errors import Invalid
from iam.kernel.xml import Element, local_name

_DSIG = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
ALGORITHMS = frozenset(
    f"{MORE}{kind}-{name}" for kind in ("rsa", "ecdsa") for name in ("sha256", "sha384", "sha512")
)
"""The methods of signing that are believed, in XML and in queries."""
_DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256",
    f"{MORE}sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
}
_ENVELOPED = f"{_DSIG}enveloped-signature"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SIGNATURE = f"{{{_DSIG}}}Signature"


class SamlSignatureRefused(Invalid):
    """The message is not signed as it must be, or by somebody else, or was changed."""

    code = "saml_signature_refused"
    title = "The signature of this SAML message is not right."


def signature_of(root: Element) -> Element | None:
    """The signature of a message, if it has one.

    Raises:
        SamlSignatureRefused: it has several, or one where none belongs.
    """
    found = list(root.iter(_SIGNATURE))
    if not found:
        return None
    if len(found) > 1 or found[0].getparent() is not root:
        raise SamlSignatureRefused("It is not where a signature belongs.")
    return found[0]


def signatures_in(root: Element, inner: Element) -> tuple[Element | None, Element | None]:
    """The signatures of a message and of the part in it that may have one of its own.

    Raises:
        SamlSignatureRefused: either has several, or there is one where none belongs.
    """
    found = list(root.iter(_SIGNATURE))
    of_root = [one for one in found if one.getparent() is root]
    of_inner = [one for one in found if one.getparent() is inner]
    if len(of_root) > 1 or len(of_inner) > 1 or len(of_root) + len(of_inner) < len(found):
        raise SamlSignatureRefused("It is not where a signature belongs.")
    return (of_root[0] if of_root else None, of_inner[0] if of_inner else None)


def check_enveloped(root: Element, signature: Element, certificates: Sequence[bytes]) -> None:
    """Hold a message to its own signature.

    Raises:
        SamlSignatureRefused: none of these certificates' keys has signed the whole of it.
    """
    # Loaded with the first signature: 8 MB that many a server never needs.
    import xmlsec

    _check_shape(root, signature)
    xmlsec.tree.add_ids(root, ["ID"])
    for certificate in certificates:
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertDer)
        try:
            context.verify(signature)
        except xmlsec.Error:
            continue
        return
    raise SamlSignatureRefused("No certificate of the sender fits it.")


def _check_shape(root: Element, signature: Element) -> None:
    info = _only(signature, 0, "SignedInfo")
    names = [local_name(child) for child in signature]
    if names not in (["SignedInfo", "SignatureValue"], ["SignedInfo", "SignatureValue", "KeyInfo"]):
        raise SamlSignatureRefused("It holds more than a signature may.")
    if [local_name(child) for child in info] != [
        "CanonicalizationMethod",
        "SignatureMethod",
        "Reference",
    ]:
        raise SamlSignatureRefused("It must have exactly one reference.")
    method, reference = info[1].get("Algorithm"), info[2]
    if info[0].get("Algorithm") != _EXCLUSIVE or method not in ALGORITHMS or len(info[1]):
        raise SamlSignatureRefused("Its algorithm is not accepted: use RSA or ECDSA with SHA-256.")
    identifier = root.get("ID")
    if not identifier or reference.get("URI") != f"#{identifier}":
        raise SamlSignatureRefused("It signs something else than the message.")
    if [local_name(child) for child in reference] != ["Transforms", "DigestMethod", "DigestValue"]:
        raise SamlSignatureRefused("Its reference has a form that is not accepted.")
    transforms = [one.get("Algorithm") for one in reference[0]]
    if transforms != [_ENVELOPED, _EXCLUSIVE]:
        raise SamlSignatureRefused("Its transforms are not accepted.")
    if reference[1].get("Algorithm") not in _DIGESTS:
        raise SamlSignatureRefused("Its digest is not accepted: use SHA-256.")


def _only(node: Element, place: int, name: str) -> Element:
    if len(node) <= place or node[place].tag != f"{{{_DSIG}}}{name}":
        raise SamlSignatureRefused("It has no SignedInfo.")
    return node[place]
