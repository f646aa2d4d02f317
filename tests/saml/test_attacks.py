"""What a hostile sender tries with XML and signatures: each is refused, and nothing is left behind."""

import base64
import copy
import zlib
from collections.abc import Callable
from urllib.parse import quote_plus

import pytest
import xmlsec
from lxml import etree

from tests.saml.conftest import DS, SAML, SAMLP, KeyPair, Stage, redirect_query, signed, sp_metadata
from tests.support.saml_attacks import refused


def with_signature(stage: Stage) -> tuple[str, etree._Element]:
    text = stage.request()
    return text, signed(text, stage.key)


BOMB = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(1, 9))
DOCTYPES = {
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "external entity over the network": '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:1/">]>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>',
    "bomb": f'<!DOCTYPE a [<!ENTITY l1 "lol">{BOMB}]>',
    "external subset": '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">',
    "harmless doctype": "<!DOCTYPE a>",
    "declared default": '<!DOCTYPE a [<!ATTLIST AuthnRequest ForceAuthn CDATA "false">]>',
}


@pytest.mark.parametrize("name", DOCTYPES)
@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_document_type_is_never_read(stage: Stage, name: str, binding: str) -> None:
    text = DOCTYPES[name] + stage.request().replace(stage.entity_id, "&x;")
    send = stage.redirect if binding == "redirect" else stage.post

    refused(stage, lambda: send(text), "xml_refused")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-7", "cp037"])
def test_a_document_type_is_not_smuggled_in_by_an_encoding(stage: Stage, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + DOCTYPES["external entity"]

    refused(stage, lambda: stage.post((text + stage.request()).encode(encoding)), "xml_refused")


NOT_XML = {
    "empty": b" ",
    "text": b"hello",
    "cut off": b"<samlp:AuthnRequest",
    "two roots": b"<a/><b/>",
    "not utf-8": b"<a>\xff\xfe\xfa</a>",
    "nul": b"<a>\x00</a>",
    "instruction": b"<?xml-stylesheet href='http://evil/'?><a/>",
    "comment before": b"<!-- --><a/>",
    "too deep": b"<a>" * 200 + b"</a>" * 200,
    "far too deep": b"<a>" * 9000 + b"</a>" * 9000,
    "too many": b"<a>" + b"<b/>" * 9000 + b"</a>",
    "too long": b"<a>" + b"x" * 70000 + b"</a>",
}


@pytest.mark.parametrize("name", NOT_XML)
def test_what_is_no_decent_xml_is_refused(stage: Stage, name: str) -> None:
    refused(stage, lambda: stage.post(NOT_XML[name]), "xml_refused")


def test_a_small_packet_does_not_unpack_into_a_large_one(stage: Stage) -> None:
    huge = b"<a>" + b" " * 20_000_000 + b"</a>"

    refused(stage, lambda: stage.redirect(huge), "saml_message_refused")


@pytest.mark.parametrize(
    "query",
    [
        "SAMLRequest=%%%",
        "SAMLRequest=QUFB",
        "SAMLRequest=",
        "SAMLRequest=QUFB&SAMLRequest=QUFB",
        "SAMLRequest=QUFB&SAMLResponse=QUFB",
        "SAMLRequest=QUFB&SAMLEncoding=urn:other",
        "RelayState=x",
        "",
        "request=",
        "request=" + "A" * 43,
        "request=%00",
        "application=app_0",
    ],
)
def test_a_query_that_holds_no_message_is_refused(stage: Stage, query: str) -> None:
    answer = stage.world.get(f"/saml/sso?{query}")

    assert answer.status_code == 422
    assert "<code>saml_" in answer.text


def test_a_packet_that_is_cut_off_is_refused(stage: Stage) -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = (pack.compress(stage.request().encode()) + pack.flush())[:-9]
    query = "SAMLRequest=" + quote_plus(base64.b64encode(data).decode())

    refused(stage, lambda: stage.world.get(f"/saml/sso?{query}"), "saml_message_refused")


@pytest.mark.parametrize("tag", ["Issuer", "Subject"])
def test_a_comment_splits_no_name(stage: Stage, tag: str) -> None:
    # One reader takes "https://wiki…", another "https://wiki….evil.example".
    inside = "<saml:Subject><saml:NameID>ada<!-- -->.evil</saml:NameID></saml:Subject>"
    text = (
        stage.request(inside)
        if tag == "Subject"
        else stage.request(issuer=f"{stage.entity_id}<!-- -->.evil.example")
    )

    refused(stage, lambda: stage.redirect(text, key=stage.key), "xml_refused")


def test_of_two_equal_ids_none_is_believed(stage: Stage) -> None:
    text = stage.request('<samlp:Extensions><x ID="_twice"/></samlp:Extensions>', ID="_twice")
    root = signed(stage.request(ID="_twice"), stage.key)
    root.append(etree.fromstring(f'<Extensions xmlns="{SAMLP}"><x ID="_twice"/></Extensions>'))

    refused(stage, lambda: stage.redirect(text), "xml_refused")
    refused(stage, lambda: stage.post(etree.tostring(root)), "xml_refused")


def wrap_in_extensions(text: str, root: etree._Element) -> etree._Element:
    """XSW: the signed original hides in Extensions, the forged message carries its signature."""
    forged = etree.fromstring(text.replace('ID="', 'ID="_evil').replace("acs", "acs/evil"))
    signature = root.find(f"{{{DS}}}Signature")
    original = copy.deepcopy(root)
    original.remove(original.find(f"{{{DS}}}Signature"))
    extensions = etree.SubElement(forged, f"{{{SAMLP}}}Extensions")
    extensions.append(original)
    forged.insert(1, signature)
    return forged


def wrap_in_object(text: str, root: etree._Element) -> etree._Element:
    """XSW: the signed original hides in the signature itself."""
    forged = etree.fromstring(text.replace('ID="', 'ID="_evil'))
    signature = copy.deepcopy(root.find(f"{{{DS}}}Signature"))
    original = copy.deepcopy(root)
    original.remove(original.find(f"{{{DS}}}Signature"))
    etree.SubElement(signature, f"{{{DS}}}Object").append(original)
    forged.insert(1, signature)
    return forged


def wrap_whole(text: str, root: etree._Element) -> etree._Element:
    """XSW: the whole signed message, signature and all, inside a forged one."""
    forged = etree.fromstring(text.replace('ID="', 'ID="_evil'))
    etree.SubElement(forged, f"{{{SAMLP}}}Extensions").append(root)
    return forged


def two_signatures(text: str, root: etree._Element) -> etree._Element:
    root.insert(1, copy.deepcopy(root.find(f"{{{DS}}}Signature")))
    return root


def two_references(text: str, root: etree._Element) -> etree._Element:
    reference = root.find(f".//{{{DS}}}Reference")
    reference.addnext(copy.deepcopy(reference))
    return root


def empty_reference(text: str, root: etree._Element) -> etree._Element:
    root.find(f".//{{{DS}}}Reference").set("URI", "")
    return root


def xpath_transform(text: str, root: etree._Element) -> etree._Element:
    transform = root.find(f".//{{{DS}}}Transform")
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
    etree.SubElement(transform, f"{{{DS}}}XPath").text = "false()"
    return root


def xslt_transform(text: str, root: etree._Element) -> etree._Element:
    root.find(f".//{{{DS}}}Transform").set(
        "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116"
    )
    return root


def hmac_method(text: str, root: etree._Element) -> etree._Element:
    """The public key taken for a shared secret."""
    root.find(f".//{{{DS}}}SignatureMethod").set(
        "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"
    )
    return root


def no_value(text: str, root: etree._Element) -> etree._Element:
    root.find(f"{{{DS}}}Signature").remove(root.find(f".//{{{DS}}}SignatureValue"))
    return root


def changed_address(text: str, root: etree._Element) -> etree._Element:
    root.set("ForceAuthn", "true")
    return root


def changed_issuer(text: str, root: etree._Element) -> etree._Element:
    root.find(f"{{{SAML}}}Issuer").text = "https://shop.acme.test/saml"
    return root


def moved_signature(text: str, root: etree._Element) -> etree._Element:
    extensions = etree.SubElement(root, f"{{{SAMLP}}}Extensions")
    extensions.append(root.find(f"{{{DS}}}Signature"))
    return root


FORGERIES = [
    wrap_in_extensions,
    wrap_in_object,
    wrap_whole,
    two_signatures,
    two_references,
    empty_reference,
    xpath_transform,
    xslt_transform,
    hmac_method,
    no_value,
    changed_address,
    moved_signature,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda one: one.__name__)
def test_a_signature_stands_for_the_whole_message_and_for_nothing_else(
    stage: Stage, forge: Callable[[str, etree._Element], etree._Element]
) -> None:
    text, root = with_signature(stage)
    data = etree.tostring(forge(text, root))

    refused(stage, lambda: stage.post(data), "saml_signature_refused")


def test_a_signature_is_that_of_whom_the_message_says_it_is_from(
    own_stage: Stage, strange_keys: KeyPair
) -> None:
    stage = own_stage
    other = sp_metadata(
        "https://shop.acme.test/saml", ("https://shop.acme.test/acs",), strange_keys
    )
    stage.register("shop", metadata=other)
    text, root = with_signature(stage)

    refused(
        stage,
        lambda: stage.post(etree.tostring(changed_issuer(text, root))),
        "saml_signature_refused",
    )
    theirs = etree.tostring(signed(stage.request(), strange_keys))
    refused(stage, lambda: stage.post(theirs), "saml_signature_refused")


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        (xmlsec.constants.TransformRsaSha1, xmlsec.constants.TransformSha256),
        (xmlsec.constants.TransformRsaSha256, xmlsec.constants.TransformSha1),
        (xmlsec.constants.TransformRsaSha224, xmlsec.constants.TransformSha256),
    ],
)
def test_weak_algorithms_are_refused(stage: Stage, method: object, digest: object) -> None:
    root = signed(stage.request(), stage.key, method=method, digest=digest)

    refused(stage, lambda: stage.post(etree.tostring(root)), "saml_signature_refused")


def test_canonical_forms_that_leave_things_out_are_refused(stage: Stage) -> None:
    root = signed(stage.request(), stage.key, canonical=xmlsec.constants.TransformInclC14N)

    refused(stage, lambda: stage.post(etree.tostring(root)), "saml_signature_refused")


SIGNATURE, MESSAGE = "saml_signature_refused", "saml_message_refused"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda query: query.replace("rsa-sha256", "rsa-sha1"), SIGNATURE),
        (lambda query: query.replace("rsa-sha256", "hmac-sha256"), SIGNATURE),
        (lambda query: query.replace("rsa-sha256", "ecdsa-sha256"), SIGNATURE),
        (lambda query: query.replace("RelayState=kept", "RelayState=other"), SIGNATURE),
        (lambda query: query.replace("RelayState=kept&", ""), SIGNATURE),
        (lambda query: query.replace("&SigAlg=", "&RelayState=added&SigAlg="), MESSAGE),
        (lambda query: query + "&SigAlg=x", MESSAGE),
        (lambda query: query.partition("&Signature=")[0], SIGNATURE),
        (lambda query: query.partition("&SigAlg=")[0] + "&Signature=QUFB", SIGNATURE),
        (lambda query: query.partition("&Signature=")[0] + "&Signature=", SIGNATURE),
        (lambda query: query.partition("&Signature=")[0] + "&Signature=QUFB", SIGNATURE),
        (lambda query: query.partition("&Signature=")[0] + "&Signature=%00", SIGNATURE),
    ],
)
def test_a_signed_query_that_was_touched_is_refused(
    stage: Stage, change: Callable[[str], str], code: str
) -> None:
    query = change(redirect_query(stage.request(), key=stage.key, RelayState="kept"))

    refused(stage, lambda: stage.world.get(f"/saml/sso?{query}"), code)


def test_an_enveloped_signature_has_no_place_in_a_redirect(stage: Stage) -> None:
    _, root = with_signature(stage)

    refused(stage, lambda: stage.redirect(etree.tostring(root)), "saml_signature_refused")
