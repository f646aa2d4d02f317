"""Assertions that only their receiver can read (xmlenc-core1): encrypted for service providers, decrypted
from identity providers.

One key for one message, by AES, is wrapped for the receiver by RSA-OAEP. What is decrypted comes from
strangers, so its shape is as closed as a signature's, and what went wrong is never told apart: who could
ask often enough whether a padding was right would read the message without any key (Bleichenbacher,
Vaudenay). For the same reason RSA with PKCS #1 v1.5 is not there at all, and AES-CBC, which anybody can
change on its way, is only read inside a message whose signature has been checked.
"""

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from iam.directory.saml_metadata import EncryptionKey
from iam.kernel.secrets import Random
from iam.kernel.xml import (
    Element,
    XmlRefused,
    add_element,
    local_name,
    new_element,
    only_child,
    parse_xml,
    text_of,
    xml_octets,
)
from iam.languages import _
from iam.saml.errors import SamlEncryptionRefused
from iam.saml.names import DSIG, SAML, XENC, XENC11

_GCM = {f"{XENC11}aes{bits}-gcm": bits // 8 for bits in (128, 192, 256)}
_CBC = {f"{XENC}aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
_OAEP, _OAEP11 = f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep"
# SHA-1 is no weakness here: OAEP does not ask of its hash what SHA-1 has lost.
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    f"{DSIG}sha1": hashes.SHA1(),  # noqa: S303 - see above
    f"{XENC}sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashes.SHA384(),
    f"{XENC}sha512": hashes.SHA512(),
}
_MASKS: dict[str, hashes.HashAlgorithm] = {
    f"{XENC11}mgf1sha1": hashes.SHA1(),  # noqa: S303 - see above
    f"{XENC11}mgf1sha256": hashes.SHA256(),
    f"{XENC11}mgf1sha384": hashes.SHA384(),
    f"{XENC11}mgf1sha512": hashes.SHA512(),
}
_TYPE = f"{XENC}Element"
_NONCE = 12
_ENCRYPTED = f"{{{SAML}}}EncryptedAssertion"


def encrypt_assertion(assertion: Element, key: EncryptionKey, random: Random) -> Element:
    """The EncryptedAssertion that takes this assertion's place in a message; it is put there."""
    secret, nonce = random(_GCM[key.method]), random(_NONCE)
    # Alone, so that it brings along every namespace that it uses.
    parent = assertion.getparent()
    place = parent.index(assertion)
    parent.remove(assertion)
    sealed = nonce + AESGCM(secret).encrypt(nonce, xml_octets(assertion), None)
    wrapped = _public(key.certificate).encrypt(secret, _oaep(hashes.SHA1(), hashes.SHA1()))  # noqa: S303 - what every receiver can read; see above
    root = new_element(_ENCRYPTED, nsmap={"saml": SAML})
    data = add_element(
        root, f"{{{XENC}}}EncryptedData", {"Type": _TYPE}, nsmap={"xenc": XENC, "ds": DSIG}
    )
    add_element(data, f"{{{XENC}}}EncryptionMethod", {"Algorithm": key.method})
    info = add_element(data, f"{{{DSIG}}}KeyInfo")
    inner = add_element(info, f"{{{XENC}}}EncryptedKey")
    way = add_element(inner, f"{{{XENC}}}EncryptionMethod", {"Algorithm": _OAEP})
    add_element(way, f"{{{DSIG}}}DigestMethod", {"Algorithm": f"{DSIG}sha1"})
    for holder, octets in ((inner, wrapped), (data, sealed)):
        value = add_element(holder, f"{{{XENC}}}CipherData")
        add_element(value, f"{{{XENC}}}CipherValue").text = base64.b64encode(octets).decode()
    parent.insert(place, root)
    return root


def decrypt_assertion(node: Element, keys: Sequence[str], *, unchanged: bool) -> Element:
    """The assertion in an EncryptedAssertion, in a document of its own.

    Args:
        keys: our private keys (PEM) that it may have been encrypted for.
        unchanged: whether a signature that was checked covers it: then AES-CBC will do.

    Raises:
        SamlEncryptionRefused: it cannot be read, which never says why; or by algorithms that are not
            accepted.
    """
    data, wrapped = _parts(node)
    method = _algorithm(data)
    if method not in _GCM and not (method in _CBC and unchanged):
        raise SamlEncryptionRefused(
            _("Use AES-GCM; AES-CBC is only read in a response that is signed itself.")
        )
    padded = _padding(wrapped)
    sealed, locked = _octets(data), _octets(wrapped)
    for key in keys:
        plain = _opened(method, sealed, locked, padded, key)
        if plain is not None:
            return _only_assertion(plain, node)
    raise SamlEncryptionRefused(_("It cannot be decrypted: was it encrypted for another key?"))


def _opened(
    method: str, sealed: bytes, locked: bytes, padded: padding.OAEP, key: str
) -> bytes | None:
    try:
        secret = _private(key).decrypt(locked, padded)
        if len(secret) != (_GCM | _CBC)[method]:
            return None
        if method in _GCM:
            return AESGCM(secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        decryptor = Cipher(algorithms.AES(secret), modes.CBC(sealed[:16])).decryptor()
        found = decryptor.update(sealed[16:]) + decryptor.finalize()
        # xmlenc-core1 §5.2: only the last byte counts.
        return found[: -found[-1]] if found and 1 <= found[-1] <= 16 else None
    except (ValueError, InvalidTag):
        return None


def _parts(node: Element) -> tuple[Element, Element]:
    """The data and the one key for it, which stands within or beside (saml-core §6.1)."""
    data = only_child(node, f"{{{XENC}}}EncryptedData")
    if data is None or data.get("Type", _TYPE) != _TYPE:
        raise SamlEncryptionRefused(_("It has no EncryptedData."))
    info = only_child(data, f"{{{DSIG}}}KeyInfo")
    within = [] if info is None else [one for one in info if _is_key(one)]
    beside = [one for one in node if _is_key(one)]
    if len(within) + len(beside) != 1:
        raise SamlEncryptionRefused(_("It must have exactly one EncryptedKey."))
    return data, (within or beside)[0]


def _is_key(node: Element) -> bool:
    return bool(node.tag == f"{{{XENC}}}EncryptedKey")


def _algorithm(node: Element) -> str:
    method = only_child(node, f"{{{XENC}}}EncryptionMethod")
    return "" if method is None else str(method.get("Algorithm", ""))


def _padding(wrapped: Element) -> padding.OAEP:
    way = _algorithm(wrapped)
    if way not in (_OAEP, _OAEP11):
        raise SamlEncryptionRefused(_("Its key must be wrapped by RSA-OAEP."))
    method = only_child(wrapped, f"{{{XENC}}}EncryptionMethod")
    digest, mask = f"{DSIG}sha1", f"{XENC11}mgf1sha1"
    for child in () if method is None else method:
        if child.tag == f"{{{DSIG}}}DigestMethod":
            digest = str(child.get("Algorithm"))
        elif child.tag == f"{{{XENC11}}}MGF" and way == _OAEP11:
            mask = str(child.get("Algorithm"))
        else:
            raise SamlEncryptionRefused(
                _("%(name)s does not belong in its method.", name=local_name(child)[:40])
            )
    if digest not in _DIGESTS or mask not in _MASKS:
        raise SamlEncryptionRefused(_("A hash of its RSA-OAEP is not accepted."))
    return _oaep(_DIGESTS[digest], _MASKS[mask])


def _oaep(digest: hashes.HashAlgorithm, mask: hashes.HashAlgorithm) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(mask), digest, None)


def _octets(node: Element) -> bytes:
    holder = only_child(node, f"{{{XENC}}}CipherData")
    value = None if holder is None else only_child(holder, f"{{{XENC}}}CipherValue")
    if value is None:
        raise SamlEncryptionRefused(_("It has no CipherValue."))
    try:
        return base64.b64decode("".join(text_of(value).split()), validate=True)
    except (binascii.Error, ValueError):
        raise SamlEncryptionRefused(_("It is not base64.")) from None


def _only_assertion(plain: bytes, node: Element) -> Element:
    """What was decrypted, read as strictly as what came. It may use the namespaces of its place."""
    spaces = "".join(
        f' xmlns{":" + prefix if prefix else ""}="{uri}"'
        for prefix, uri in node.nsmap.items()
        if '"' not in uri and "<" not in uri and "&" not in uri
    )
    if plain.startswith(b"<?xml"):
        plain = plain.partition(b"?>")[2]
    try:
        root = parse_xml(f"<inside{spaces}>".encode() + plain + b"</inside>")
    except XmlRefused:
        # Not a word about it: by CBC anything may have come of a message that was changed.
        raise SamlEncryptionRefused(_("What it holds is no assertion.")) from None
    if len(root) != 1 or root[0].tag != f"{{{SAML}}}Assertion" or (root.text or "").strip():
        raise SamlEncryptionRefused(_("What it holds is no assertion."))
    return root[0]


@lru_cache(maxsize=8)
def _private(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a SAML key is an RSA key")
    return key


@lru_cache(maxsize=64)
def _public(certificate: bytes) -> rsa.RSAPublicKey:
    key = x509.load_der_x509_certificate(certificate).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("an encryption key is an RSA key")
    return key
