"""Signatures that are made with our key, and those of queries; those in XML are checked by
`iam.keys.xml_signatures`."""

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from iam.kernel.xml import Element, local_name
from iam.keys import SamlKey
from iam.keys.xml_signatures import ALGORITHMS, MORE, SamlSignatureRefused
from iam.languages import _

if TYPE_CHECKING:
    import xmlsec

RSA_SHA256 = f"{MORE}rsa-sha256"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def check_query(
    octets: bytes, algorithm: str, signature: str, certificates: Sequence[bytes]
) -> None:
    """Hold a query to its detached signature (saml-bindings §3.4.4.1).

    Args:
        octets: the signed part of the query, as it was sent.

    Raises:
        SamlSignatureRefused: none of these certificates' keys has signed it.
    """
    if algorithm not in ALGORITHMS:
        raise SamlSignatureRefused(
            _("Its algorithm is not accepted: use RSA or ECDSA with SHA-256.")
        )
    kind, _dash, name = algorithm.removeprefix(MORE).partition("-")
    try:
        value = base64.b64decode("".join(signature.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SamlSignatureRefused(_("It is not base64.")) from None
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
    raise SamlSignatureRefused(_("No certificate of the sender fits it."))


def sign_enveloped(node: Element, key: SamlKey) -> None:
    """Sign this element of a tree in place. It must have an ID; the signature goes behind its Issuer,
    or before all else where it has none."""
    import xmlsec  # late, as in keys.xml_signatures

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
def _loaded(key: SamlKey) -> "xmlsec.Key":
    import xmlsec

    made = xmlsec.Key.from_memory(key.private_key, xmlsec.constants.KeyDataFormatPem)
    made.load_cert_from_memory(key.certificate, xmlsec.constants.KeyDataFormatPem)
    return made


@lru_cache(maxsize=8)
def _private(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a SAML key is an RSA key")
    return key
