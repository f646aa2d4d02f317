"""What is tried with an identity provider's answer. Each is refused with a clear word, and nothing is left
behind: no session, no user, no link; the honest answer is still good."""

import base64
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import xmlsec
from lxml import etree

from iam.kernel.clock import after, to_iso
from tests.saml.conftest import DS, NS, SAML, SAMLP, KeyPair, Stage, make_key_pair, signed
from tests.saml.test_upstream import encryption_certificate, make_idp, session_of
from tests.support.saml_idp import ACS, SP, Idp, encrypted, wrapped_copy
from tests.support.surfer import Surfer
from tests.support.world import make_world

KEPT = ("session", "session_record", "user_account", "provider_link", "federated_session")
ASSERTION, SIGNATURE = f"{{{SAML}}}Assertion", f"{{{DS}}}Signature"
EVIL = "evil-there"


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory, keys: KeyPair) -> Iterator[Idp]:
    path = tmp_path_factory.mktemp("acs") / "iam.db"
    with make_world(f"sqlite:///{path}") as world:
        yield make_idp(world, keys)


def refused(idp: Idp, data: bytes, *codes: str, surfer: Surfer | None = None) -> None:
    """What a provider's page posts is answered by a page with one of these codes, and changes nothing."""
    before = Stage(idp.world, idp.key).rows(*KEPT)
    answer = idp.bring(surfer or Surfer(idp.world), data)
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.headers)
    assert any(f"<code>{code}</code>" in answer.text for code in codes), (
        codes,
        answer.text,
    )
    assert "set-cookie" not in answer.headers or "iam=" not in answer.headers["set-cookie"]
    assert Stage(idp.world, idp.key).rows(*KEPT) == before


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


def changed_name(idp: Idp, root: Any) -> Any:
    root.find(f"{ASSERTION}//saml:NameID", NS).text = EVIL
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


ANSWER, MESSAGE = "saml_answer_refused", "saml_message_refused"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"audience": ("https://other.example/saml",)}, ANSWER),
        ({"audience": ()}, ANSWER),
        ({"audience": (SP, "https://other.example/saml")}, ANSWER),
        ({"audience": (f"{SP}/",)}, ANSWER),
        ({"recipient": "https://other.example/acs"}, ANSWER),
        ({"recipient": None}, ANSWER),
        ({"recipient": f"{ACS}/"}, ANSWER),
        ({"destination": "https://other.example/acs"}, MESSAGE),
        ({"confirmed_request": "_other"}, ANSWER),
        ({"confirmed_request": None}, ANSWER),
        ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, ANSWER),
        ({"assertion_issuer": "https://other.example/saml"}, ANSWER),
        ({"issuer": "https://other.example/saml"}, ANSWER),
        ({"until": -61}, ANSWER),
        ({"confirmed_until": -61}, ANSWER),
        ({"not_before": 61}, ANSWER),
        ({"issued_at": -700}, MESSAGE),
        ({"issued_at": 100}, MESSAGE),
        ({"authenticated_at": 100}, ANSWER),
        ({"session_until": -1}, ANSWER),
        ({"until": "yesterday"}, MESSAGE),
        ({"name_id": ""}, MESSAGE),
        ({"name_id": "x" * 513}, MESSAGE),
        ({"id": "_" + "x" * 300}, MESSAGE),
        ({"session_index": "x" * 513}, MESSAGE),
        ({"context_class": "x" * 513}, MESSAGE),
        ({"conditions": "<saml:Condition/>"}, MESSAGE),
        ({"conditions": '<evil xmlns="urn:x"/>'}, MESSAGE),
        ({"inside": "<saml:AuthnStatement/>"}, MESSAGE),
        ({"inside": '<evil xmlns="urn:x"/>'}, MESSAGE),
        ({"inside": "<saml:Subject/>"}, "xml_refused"),
        ({"inside": "<saml:Conditions/>"}, "xml_refused"),
        (
            {
                "inside": "<saml:AttributeStatement><saml:EncryptedAttribute/></saml:AttributeStatement>"
            },
            MESSAGE,
        ),
    ],
)
def test_what_is_signed_must_be_for_us_and_for_now(
    idp: Idp, changes: dict[str, Any], code: str
) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    moments = {
        name: to_iso(after(idp.world.clock(), value)) if isinstance(value, int) else value
        for name, value in changes.items()
    }
    data = idp.message(idp.saying(request, **moments), sign="both")

    refused(idp, data, code, surfer=surfer)


@pytest.mark.parametrize("name", ["until", "confirmed_until"])
def test_a_clock_may_differ_by_a_minute(idp: Idp, name: str) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    late = {name: to_iso(after(idp.world.clock(), -59))}

    assert idp.bring(surfer, idp.message(idp.saying(request, **late))).status_code == 303


def test_an_answer_is_taken_once(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    data = idp.message(idp.saying(request))
    assert idp.bring(surfer, data).status_code == 303

    # Its request is used up; and where nobody has to ask, its assertion is known.
    refused(idp, data, "federation_request_unknown", surfer=surfer)
    request, _ = idp.asked(surfer)
    first = idp.message(idp.saying(request))
    assert idp.post(first).status_code == 303
    refused(idp, first, "saml_message_used", surfer=surfer)


def test_the_way_on_is_good_once(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    onward = idp.post(idp.message(idp.saying(request))).headers["location"]
    assert surfer.get(onward).status_code == 303

    assert surfer.get(onward).status_code == 422
    assert Surfer(idp.world).get("/saml/acs?answer=nonsense").status_code == 422
    assert Surfer(idp.world).get("/saml/acs").status_code == 422


def test_an_assertion_that_came_unasked_is_taken_once(own_idp: Idp) -> None:
    idp = own_idp
    idp.change(options={"metadata": idp.metadata, "allow_unsolicited": True})
    data = idp.message(idp.saying(None))
    assert idp.bring(Surfer(idp.world), data).status_code == 303

    refused(idp, data, "saml_message_used")
    idp.world.clock.move(300)
    refused(idp, data, "saml_message_used")
    idp.world.clock.move(3600)
    idp.world.sweep()
    refused(idp, data, "saml_message_refused", "saml_answer_refused")


def test_an_answer_is_good_only_in_the_browser_that_was_sent(idp: Idp) -> None:
    """Login CSRF: the attacker's own answer, brought to somebody else; and a stolen one."""
    attacker, victim = Surfer(idp.world), Surfer(idp.world)
    request, _ = idp.asked(attacker)

    refused(idp, idp.message(idp.saying(request)), "federation_request_unknown", surfer=victim)

    idp.asked(victim)  # with a sign-in of its own under way
    request, _ = idp.asked(attacker)
    refused(idp, idp.message(idp.saying(request)), "federation_request_unknown", surfer=victim)


def test_an_answer_to_a_request_that_was_never_made_is_refused(idp: Idp) -> None:
    refused(idp, idp.message(idp.saying("_stolen")), "federation_request_unknown")


def test_an_answer_that_took_too_long_is_refused(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    idp.world.clock.move(601)

    refused(idp, idp.message(idp.saying(request)), "federation_request_unknown", surfer=surfer)


def test_a_request_id_of_another_provider_is_no_way_in(own_idp: Idp, strange_keys: KeyPair) -> None:
    """Mix-up: the answer of one provider to what was asked of another."""
    idp, surfer = own_idp, Surfer(own_idp.world)
    other = Idp(idp.world, strange_keys, entity_id="https://idp.other.test/saml")
    other.register("other")
    request, _ = idp.asked(surfer)

    refused(idp, other.message(other.saying(request)), "saml_signature_refused", surfer=surfer)
    posing = other.message(other.saying(request, issuer=idp.entity_id))
    refused(idp, posing, "saml_signature_refused", surfer=surfer)


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


# Encryption


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


@pytest.fixture
def own_idp(both_worlds: Any, keys: KeyPair) -> Idp:
    return make_idp(both_worlds, keys)


def test_the_longest_name_that_is_taken_fits_into_every_database(own_idp: Idp) -> None:
    longest = "\U0001f642" * 512  # four bytes each
    for surfer in (Surfer(own_idp.world), Surfer(own_idp.world)):
        answer = own_idp.sign_in(surfer, name_id=longest, session_index="é" * 512)
        assert answer.status_code == 303
    own_idp.register("other", options={"subject_attribute": "uid"})
    own = {"uid": "x" * 513}
    assert own_idp.sign_in(Surfer(own_idp.world), attributes=own).status_code == 422
