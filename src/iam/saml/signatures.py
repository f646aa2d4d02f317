"""Signatures: made with our key, checked with the certificates of whom a message says it is from.

Against signature wrapping a signature counts only in one place and shape: a child of the root, with one
reference, to the root, without any transform that could drop part of it. What is read afterwards is read
from that same root. What a message itself says of keys (KeyInfo) is never looked at.
"""

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache

import xmlsec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from iam.kernel.xml import Element, local_name
from iam.keys import SamlKey
from iam.saml.errors import SamlSignatureRefused
from iam.saml.names import DSIG

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256 = f"{_MORE}rsa-sha256"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ALGORITHMS = {f"{_MORE}{kind}-{name}" for kind in ("rsa", "ecdsa") for name in _HASHES}
_DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256",
    f"{_MORE}sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
}
_ENVELOPED = f"{DSIG}enveloped-signature"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SIGNATURE = f"{{{DSIG}}}Signature"


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


def check_enveloped(root: Element, signature: Element, certificates: Sequence[bytes]) -> None:
    """Hold a message to its own signature.

    Raises:
        SamlSignatureRefused: none of these certificates' keys has signed the whole of it.
    """
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
    if info[0].get("Algorithm") != _EXCLUSIVE or method not in _ALGORITHMS or len(info[1]):
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
    if len(node) <= place or node[place].tag != f"{{{DSIG}}}{name}":
        raise SamlSignatureRefused("It has no SignedInfo.")
    return node[place]


def check_query(
    octets: bytes, algorithm: str, signature: str, certificates: Sequence[bytes]
) -> None:
    """Hold a query to its detached signature (saml-bindings §3.4.4.1).

    Args:
        octets: the signed part of the query, as it was sent.

    Raises:
        SamlSignatureRefused: none of these certificates' keys has signed it.
    """
    if algorithm not in _ALGORITHMS:
        raise SamlSignatureRefused("Its algorithm is not accepted: use RSA or ECDSA with SHA-256.")
    kind, _, name = algorithm.removeprefix(_MORE).partition("-")
    try:
        value = base64.b64decode("".join(signature.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SamlSignatureRefused("It is not base64.") from None
    for certificate in certificates:
        key = x509.load_der_x509_certificate(certificate).public_key()
        try:
            if kind == "rsa" and isinstance(key, rsa.RSAPublicKey):
                key.verify(value, octets, padding.PKCS1v15(), _HASHES[name])
                return
            if kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
                half = len(value) // 2
                numbers = (int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
                key.verify(encode_dss_signature(*numbers), octets, ec.ECDSA(_HASHES[name]))
                return
        except InvalidSignature:
            continue
    raise SamlSignatureRefused("No certificate of the sender fits it.")


def sign_enveloped(node: Element, key: SamlKey) -> None:
    """Sign this element of a tree in place. It must have an ID; the signature goes behind its Issuer,
    or before all else where it has none."""
    signature = xmlsec.template.create(
        node, xmlsec.constants.TransformExclC14N, xmlsec.constants.TransformRsaSha256, ns="ds"
    )
    node.insert(1 if len(node) and local_name(node[0]) == "Issuer" else 0, signature)
    reference = xmlsec.template.add_reference(
        signature, xmlsec.constants.TransformSha256, uri=f"#{node.get('ID')}"
    )
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    data = xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.template.x509_data_add_certificate(data)
    context = xmlsec.SignatureContext()
    context.key = _loaded(key)
    context.register_id(node, "ID", None)
    context.sign(signature)


def sign_query(octets: bytes, key: SamlKey) -> str:
    """The detached signature of a query, by RSA-SHA256, as base64."""
    private = _private(key.private_key)
    return base64.b64encode(private.sign(octets, padding.PKCS1v15(), hashes.SHA256())).decode()


@lru_cache(maxsize=8)
def _loaded(key: SamlKey) -> xmlsec.Key:
    made = xmlsec.Key.from_memory(key.private_key, xmlsec.constants.KeyDataFormatPem)
    made.load_cert_from_memory(key.certificate, xmlsec.constants.KeyDataFormatPem)
    return made


@lru_cache(maxsize=8)
def _private(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a SAML key is an RSA key")
    return key
