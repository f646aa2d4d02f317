"""What is tried with an identity provider's answer: forgeries, wrappings, and no message at all."""

import base64
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import xmlsec
from lxml import etree

from tests.saml.conftest import DS, NS, SAMLP, KeyPair, Stage, make_key_pair, signed
from tests.support.acs_attacks import ASSERTION, EVIL, KEPT, changed_name, refused
from tests.support.saml_idp import Idp, wrapped_copy
from tests.support.saml_upstream import make_idp
from tests.support.surfer import Surfer
from tests.support.world import make_world

SIGNATURE = f"{{{DS}}}Signature"


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory, keys: KeyPair) -> Iterator[Idp]:
    path = tmp_path_factory.mktemp("acs") / "iam.db"
    with make_world(f"sqlite:///{path}") as world:
        yield make_idp(world, keys)


def forged(idp: Idp, original: Any) -> Any:
    """The assertion as an attacker wants it: about somebody else, without a signature."""
    found = wrapped_copy(original)
    found.set("ID", "_evil")
    found.find(".//saml:NameID", NS).text = EVIL
    return found


# XSW: the eight ways of wrapping a signature (Somorovsky et al., 2012), and more.


def xsw1(idp: Idp, root: Any) -> Any:
    """A forged Response with the signature of the whole original, which hides in it."""
    original = wrapped_copy(root)
    evil = copy.deepcopy(root)
    evil.set("ID", "_evil")
    evil.find(f"{ASSERTION}//saml:NameID", NS).text = EVIL
    evil.find(SIGNATURE).append(original)
    return evil


def xsw2(idp: Idp, root: Any) -> Any:
    """The same, with the original beside the signature."""
    original = wrapped_copy(root)
    evil = copy.deepcopy(root)
    evil.set("ID", "_evil")
    evil.find(f"{ASSERTION}//saml:NameID", NS).text = EVIL
    evil.insert(1, original)
    return evil


def xsw3(idp: Idp, root: Any) -> Any:
    """A forged assertion before the signed one."""
    original = root.find(ASSERTION)
    original.addprevious(forged(idp, original))
    return root


def xsw4(idp: Idp, root: Any) -> Any:
    """The signed assertion inside a forged one."""
    original = root.find(ASSERTION)
    evil = forged(idp, original)
    root.replace(original, evil)
    evil.append(original)
    return root


def xsw5(idp: Idp, root: Any) -> Any:
    """A forged assertion with the signature; the original, without it, behind."""
    original = root.find(ASSERTION)
    bare = wrapped_copy(original)
    original.set("ID", "_evil")
    original.find(".//saml:NameID", NS).text = EVIL
    root.append(bare)
    return root


def xsw6(idp: Idp, root: Any) -> Any:
    """The same, with the original in the signature."""
    original = root.find(ASSERTION)
    bare = wrapped_copy(original)
    original.set("ID", "_evil")
    original.find(".//saml:NameID", NS).text = EVIL
    original.find(SIGNATURE).append(bare)
    return root


def xsw7(idp: Idp, root: Any) -> Any:
    """The signed assertion in Extensions, whose content no schema looks at."""
    original = root.find(ASSERTION)
    evil = forged(idp, original)
    root.replace(original, evil)
    extensions = etree.SubElement(root, f"{{{SAMLP}}}Extensions")
    root.insert(1, extensions)
    extensions.append(original)
    return root


def xsw8(idp: Idp, root: Any) -> Any:
    """The original in an Object of the signature, which the forged assertion carries."""
    original = root.find(ASSERTION)
    bare = wrapped_copy(original)
    original.set("ID", "_evil")
    original.find(".//saml:NameID", NS).text = EVIL
    etree.SubElement(original.find(SIGNATURE), f"{{{DS}}}Object").append(bare)
    return root


def same_id(idp: Idp, root: Any) -> Any:
    """A forged assertion of the same ID."""
    original = root.find(ASSERTION)
    evil = forged(idp, original)
    evil.set("ID", original.get("ID"))
    original.addprevious(evil)
    return root


def split_name(idp: Idp, root: Any) -> Any:
    """A comment, behind which one reader stops and another goes on."""
    name = root.find(f"{ASSERTION}//saml:NameID", NS)
    text, name.text = name.text, name.text[:3]
    comment = etree.Comment("")
    comment.tail = text[3:]
    name.append(comment)
    return root


def no_signature(idp: Idp, root: Any) -> Any:
    for one in root.findall(f".//{SIGNATURE}"):
        one.getparent().remove(one)
    return root


def moved_signature(idp: Idp, root: Any) -> Any:
    """The assertion's signature at the response."""
    root.insert(1, root.find(f".//{SIGNATURE}"))
    return root


def two_signatures(idp: Idp, root: Any) -> Any:
    found = root.find(f".//{SIGNATURE}")
    found.addnext(copy.deepcopy(found))
    return root


def two_references(idp: Idp, root: Any) -> Any:
    reference = root.find(f".//{{{DS}}}Reference")
    reference.addnext(copy.deepcopy(reference))
    return root


def whole_document(idp: Idp, root: Any) -> Any:
    root.find(f".//{{{DS}}}Reference").set("URI", "")
    return root


def xslt(idp: Idp, root: Any) -> Any:
    root.find(f".//{{{DS}}}Transform").set(
        "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116"
    )
    return root


def hmac(idp: Idp, root: Any) -> Any:
    root.find(f".//{{{DS}}}SignatureMethod").set(
        "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"
    )
    return root


def second_assertion(idp: Idp, root: Any) -> Any:
    """Two that are both signed: which would count?"""
    other = idp.saying(root.get("InResponseTo"), name_id=EVIL)
    root.append(signed(other.assertion(), idp.key))
    return root


WRAPPINGS = [xsw1, xsw2]
FORGERIES = [
    xsw3,
    xsw4,
    xsw5,
    xsw6,
    xsw7,
    xsw8,
    same_id,
    changed_name,
    split_name,
    no_signature,
    moved_signature,
    two_signatures,
    two_references,
    whole_document,
    xslt,
    hmac,
    second_assertion,
]
WORDS = ("saml_signature_refused", "saml_message_refused", "xml_refused")


@pytest.mark.parametrize("forge", [*WRAPPINGS, *FORGERIES], ids=lambda one: one.__name__)
def test_nothing_is_believed_but_what_is_signed(idp: Idp, forge: Callable[[Idp, Any], Any]) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    honest = idp.message(
        idp.saying(request), sign="response" if forge in WRAPPINGS else "assertion"
    )
    data = etree.tostring(forge(idp, etree.fromstring(honest)))

    refused(idp, data, *WORDS, surfer=surfer)

    # Who tried it has not used up what the person was sent for.
    assert idp.bring(surfer, honest).status_code == 303
    assert EVIL not in str(Stage(idp.world, idp.key).rows("provider_link"))


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda one: one.__name__)
def test_a_signed_response_may_not_hide_them_either(
    idp: Idp, forge: Callable[[Idp, Any], Any]
) -> None:
    """The same, in a response that a stranger's key has signed."""
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    root = forge(idp, etree.fromstring(idp.message(idp.saying(request))))
    text = etree.tostring(root).decode()

    refused(idp, etree.tostring(signed(text, make_key_pair("rsa"))), *WORDS, surfer=surfer)


@pytest.mark.parametrize(
    "how",
    [
        {"method": xmlsec.constants.TransformRsaSha1},
        {"digest": xmlsec.constants.TransformSha1},
        {"canonical": xmlsec.constants.TransformInclC14N},
        {"canonical": xmlsec.constants.TransformExclC14NWithComments},
    ],
)
@pytest.mark.parametrize("sign", ["assertion", "response"])
def test_weak_algorithms_are_refused(idp: Idp, how: dict[str, Any], sign: str) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)

    refused(
        idp,
        idp.message(idp.saying(request), sign=sign, **how),
        "saml_signature_refused",
        surfer=surfer,
    )


def test_another_key_is_not_believed(idp: Idp, strange_keys: KeyPair) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    data = idp.message(idp.saying(request), key=strange_keys)

    refused(idp, data, "saml_signature_refused", surfer=surfer)


def post_raw(idp: Idp, text: str) -> int:
    before = Stage(idp.world, idp.key).rows(*KEPT)
    answer = idp.world.post(
        "/saml/acs",
        content=f"SAMLResponse={text}",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert Stage(idp.world, idp.key).rows(*KEPT) == before
    return answer.status_code


def test_what_is_no_message_is_refused(idp: Idp) -> None:
    bombs = [
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]><a>&b;</a>',
        b'<?xml version="1.0" encoding="UTF-16"?><a/>',
        b"<?xml-stylesheet href='x'?><a/>",
        b"<a" + b"<b>" * 50,
        b"<b>" * 50 + b"</b>" * 50,
        b"x" * 100_000,
        b"",
        b"\x00",
    ]
    for bomb in bombs:
        assert 400 <= post_raw(idp, base64.b64encode(bomb).decode().replace("+", "%2B")) < 500
    good = base64.b64encode(idp.message(idp.saying("_r"))).decode().replace("+", "%2B")
    for text in ("", "!!!!", good[:-7], good[: len(good) // 2], "A" * 500_000, "%00"):
        assert 400 <= post_raw(idp, text) < 500
    assert idp.world.post("/saml/acs", json={}).status_code == 422
    assert idp.world.get("/saml/acs?SAMLResponse=x").status_code == 422


def test_a_request_is_no_response(idp: Idp) -> None:
    data = base64.b64encode(idp.logout().encode()).decode()
    for kind in ("SAMLRequest", "SAMLResponse"):
        answer = idp.world.post(
            "/saml/acs",
            content=f"{kind}={data.replace('+', '%2B')}",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 422
