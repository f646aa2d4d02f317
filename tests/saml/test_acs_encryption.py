"""What is tried with an assertion that is encrypted for us."""

import base64
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import xmlsec
from lxml import etree

from tests.saml.conftest import DS, KeyPair
from tests.support.acs_attacks import changed_name, refused
from tests.support.saml_idp import Idp, encrypted
from tests.support.saml_upstream import encryption_certificate, make_idp, session_of
from tests.support.surfer import Surfer
from tests.support.world import make_world


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory, keys: KeyPair) -> Iterator[Idp]:
    path = tmp_path_factory.mktemp("acs") / "iam.db"
    with make_world(f"sqlite:///{path}") as world:
        yield make_idp(world, keys)


def sealed(idp: Idp, request: str, **how: Any) -> Any:
    root = etree.fromstring(idp.message(idp.saying(request), sign="assertion"))
    return encrypted(root, encryption_certificate(idp), **how)


def cut_tag(root: Any) -> Any:
    value = root.findall(".//{*}CipherValue")[-1]
    value.text = base64.b64encode(base64.b64decode(value.text)[:-4]).decode()
    return root


def turned_bit(root: Any) -> Any:
    value = root.findall(".//{*}CipherValue")[-1]
    data = bytearray(base64.b64decode(value.text))
    data[20] ^= 1
    value.text = base64.b64encode(bytes(data)).decode()
    return root


def empty_value(root: Any) -> Any:
    root.findall(".//{*}CipherValue")[-1].text = ""
    return root


def no_key(root: Any) -> Any:
    found = root.find(".//{*}EncryptedKey")
    found.getparent().remove(found)
    return root


def two_keys(root: Any) -> Any:
    found = root.find(".//{*}EncryptedKey")
    found.addnext(copy.deepcopy(found))
    return root


def other_digest(root: Any) -> Any:
    method = root.find(".//{*}EncryptedKey/{*}EncryptionMethod")
    etree.SubElement(method, f"{{{DS}}}DigestMethod", {"Algorithm": "urn:md5"})
    return root


def by_reference(root: Any) -> Any:
    value = root.findall(".//{*}CipherData")[-1]
    value.clear()
    etree.SubElement(
        value, "{http://www.w3.org/2001/04/xmlenc#}CipherReference", {"URI": "file:/x"}
    )
    return root


@pytest.mark.parametrize(
    "change", [cut_tag, turned_bit, empty_value, no_key, two_keys, other_digest, by_reference]
)
def test_what_cannot_be_decrypted_is_refused_and_never_says_why(
    idp: Idp, change: Callable[[Any], Any]
) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)

    refused(
        idp, etree.tostring(change(sealed(idp, request))), "saml_encryption_refused", surfer=surfer
    )


def test_weak_wrapping_of_keys_is_refused(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    old = sealed(idp, request, wrap=xmlsec.constants.TransformRsaPkcs1)
    triple = sealed(
        idp,
        request,
        method=xmlsec.constants.TransformDes3Cbc,
        key_type=(xmlsec.constants.KeyDataDes, 192),
    )

    refused(idp, etree.tostring(old), "saml_encryption_refused", surfer=surfer)
    refused(idp, etree.tostring(triple), "saml_encryption_refused", surfer=surfer)


def test_an_encrypted_assertion_needs_a_signature_too(idp: Idp) -> None:
    """Anybody can encrypt for us: our certificate is no secret."""
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    root = etree.fromstring(idp.message(idp.saying(request), sign="nothing"))
    hidden = encrypted(root, encryption_certificate(idp))

    refused(idp, etree.tostring(hidden), "saml_signature_refused", surfer=surfer)
    root = etree.fromstring(idp.message(idp.saying(request)))
    hidden = encrypted(changed_name(idp, root), encryption_certificate(idp))
    refused(idp, etree.tostring(hidden), "saml_signature_refused", surfer=surfer)


def test_what_was_refused_in_between_leaves_the_honest_way_open(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    refused(idp, etree.tostring(turned_bit(sealed(idp, request))), "saml_encryption_refused")

    assert idp.bring(surfer, etree.tostring(sealed(idp, request))).status_code == 303
    assert session_of(idp, surfer)["state"] == "active"
