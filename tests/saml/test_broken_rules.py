"""What a hostile sender tries with the rules: requests twice, late or ill-made, relay states, metadata."""

import pytest

from iam.kernel.clock import after, to_iso
from tests.saml.conftest import SAMLP, KeyPair, Stage, make_key_pair, redirect_query, sp_metadata
from tests.support.saml_attacks import KEPT, refused


def test_a_request_is_taken_once(stage: Stage) -> None:
    text = stage.request()
    query = redirect_query(text, key=stage.key)
    assert stage.world.get(f"/saml/sso?{query}").status_code == 303

    refused(stage, lambda: stage.world.get(f"/saml/sso?{query}"), "saml_message_used")
    refused(stage, lambda: stage.post(text), "saml_message_used")


def test_a_request_is_answered_once(stage: Stage) -> None:
    browser = stage.cookie()
    kept = stage.redirect(stage.request())
    assert stage.follow(kept, browser).status_code == 200

    refused(stage, lambda: stage.follow(kept, browser), "saml_message_used")


def test_a_request_that_nobody_answered_in_time_is_over(stage: Stage) -> None:
    kept = stage.redirect(stage.request())
    stage.world.clock.move(31 * 60)
    browser = stage.cookie()

    refused(stage, lambda: stage.follow(kept, browser), "saml_message_refused")


def test_old_messages_are_forgotten_by_the_sweep(own_stage: Stage) -> None:
    own_stage.redirect(own_stage.request())
    own_stage.world.clock.move(31 * 60)
    own_stage.world.sweep()

    assert own_stage.rows("saml_message") == {"saml_message": []}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Destination": "https://evil.example/saml/sso"}, "saml_message_refused"),
        ({"ID": None}, "saml_message_refused"),
        ({"ID": "1 2"}, "saml_message_refused"),
        ({"ID": "_" + "x" * 300}, "saml_message_refused"),
        ({"Version": "1.1"}, "saml_message_refused"),
        ({"IssueInstant": None}, "saml_message_refused"),
        ({"IssueInstant": "yesterday"}, "saml_message_refused"),
        ({"IssueInstant": "2001-01-01T00:00:00Z"}, "saml_message_refused"),
        ({"IssueInstant": "2099-01-01T00:00:00Z"}, "saml_message_refused"),
        ({"AssertionConsumerServiceURL": "https://evil.example/acs"}, "saml_consumer_unknown"),
        ({"AssertionConsumerServiceURL": "https://wiki.acme.test/acs/"}, "saml_consumer_unknown"),
        ({"AssertionConsumerServiceURL": ""}, "saml_consumer_unknown"),
        (
            {"AssertionConsumerServiceURL": None, "AssertionConsumerServiceIndex": "7"},
            "saml_consumer_unknown",
        ),
        (
            {"AssertionConsumerServiceURL": None, "AssertionConsumerServiceIndex": "x"},
            "saml_message_refused",
        ),
        ({"ForceAuthn": "maybe"}, "xml_refused"),
        ({"issuer": "https://nobody.example/"}, "saml_sender_unknown"),
        ({"issuer": ""}, "saml_sender_unknown"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused_to_the_person(
    stage: Stage, changes: dict[str, str | None], code: str
) -> None:
    issuer = changes.pop("issuer", None) if "issuer" in changes else None
    text = stage.request(**changes)
    if issuer is not None:
        text = text.replace(stage.entity_id, issuer)

    refused(stage, lambda: stage.redirect(text, key=stage.key), code)


@pytest.mark.parametrize(
    "inside",
    [
        "<saml:Issuer>https://other.example/</saml:Issuer>",
        "<samlp:NameIDPolicy/><samlp:NameIDPolicy/>",
        "<saml:Assertion/>",
        "<evil/>",
        "<saml:Subject/>",
        "<saml:Subject><saml:EncryptedID/></saml:Subject>",
        "<saml:Subject><saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID></saml:Subject>",
        "<saml:Subject><saml:NameID>a<b/>c</saml:NameID></saml:Subject>",
        '<samlp:RequestedAuthnContext Comparison="any"/>',
    ],
)
def test_a_request_with_what_does_not_belong_in_it_is_refused(stage: Stage, inside: str) -> None:
    before = stage.rows(*KEPT)

    answer = stage.redirect(stage.request(inside), key=stage.key)

    assert answer.status_code in (403, 422)
    assert stage.rows(*KEPT) == before


def test_a_signed_request_must_say_where_it_goes(stage: Stage) -> None:
    text = stage.request(Destination=None)

    refused(stage, lambda: stage.redirect(text, key=stage.key), "saml_message_refused")
    assert stage.redirect(text).status_code == 303


def test_a_clock_may_differ_by_a_minute(stage: Stage) -> None:
    ahead = to_iso(after(stage.world.clock(), 59))

    assert stage.redirect(stage.request(IssueInstant=ahead)).status_code == 303


def test_a_relay_state_is_text_in_the_page_and_nothing_else(stage: Stage) -> None:
    nasty = '"><script>alert(1)</script>'
    page = stage.follow(stage.redirect(stage.request(), RelayState=nasty), stage.cookie())

    assert "<script>alert" not in page.text


def test_a_relay_state_without_end_is_refused(stage: Stage) -> None:
    refused(
        stage,
        lambda: stage.post(stage.request(), RelayState="x" * 5000),
        "saml_message_refused",
    )


def test_a_name_that_xml_cannot_say_does_not_break_the_answer(own_stage: Stage) -> None:
    stage = own_stage
    stage.register(attributes={"name": "display_name"})
    stage.world.patch(
        "/v1/users/acme/ada", json={"display_name": "A\uffff<da>&"}, headers=stage.world.admin
    )

    found = stage.enter(stage.cookie()).one("//saml:AttributeValue")

    assert found.text == "A\ufffd<da>&"


def put(stage: Stage, metadata: str, **options: object) -> tuple[int, str]:
    answer = stage.world.request(
        "PUT",
        "/v1/applications/acme/shop/saml",
        json={"metadata": metadata, **options},
        headers=stage.world.admin,
    )
    return answer.status_code, answer.json().get("code", "")


def test_metadata_that_cannot_be_served_is_refused(stage: Stage, keys: KeyPair) -> None:
    good = sp_metadata("https://shop.acme.test/saml", ("https://shop.acme.test/acs",), keys)
    mine = 'Location="https://shop.acme.test/acs"'
    before = stage.rows("saml_provider")
    tries = [
        ("<!DOCTYPE a>" + good, "xml_refused"),
        ("nonsense", "xml_refused"),
        (good.replace(SAMLP, "urn:oasis:names:tc:SAML:1.1:protocol"), "saml_metadata_refused"),
        (good.replace("SPSSODescriptor", "IDPSSODescriptor"), "saml_metadata_refused"),
        (good.replace("EntityDescriptor", "EntitiesDescriptor"), "saml_metadata_refused"),
        (good.replace('entityID="https://shop.acme.test/saml"', ""), "saml_metadata_refused"),
        (good.replace("HTTP-POST", "HTTP-Artifact"), "saml_metadata_refused"),
        (good.replace(keys.text[100:104], "!!!!"), "saml_metadata_refused"),
        (good.replace(keys.text, "QUFB"), "saml_metadata_refused"),
        *(
            (good.replace(mine, f'Location="{url}"'), "saml_metadata_refused")
            for url in (
                "http://shop.acme.test/acs",
                "javascript:alert(1)",
                "//evil.example/acs",
                "https://user@shop.acme.test/",
                "https://shop.acme.test/acs#x",
                "https://shop.acme.test/acs;script-src *",
                "https://shop.acme.test:x/",
                "https:///acs",
                "",
            )
        ),
        (good.replace("https://shop.acme.test/saml", stage.entity_id), "saml_entity_taken"),
    ]

    assert [put(stage, text)[1] for text, _ in tries] == [code for _, code in tries]
    assert put(stage, good, sign_response=False, sign_assertion=False)[1] == (
        "saml_metadata_refused"
    )
    assert stage.rows("saml_provider") == before


def test_a_short_key_is_refused(stage: Stage) -> None:
    key = make_key_pair("rsa", 1024)
    text = sp_metadata("https://shop.acme.test/saml", ("https://s.test/acs",), key)

    assert put(stage, text) == (403, "saml_metadata_refused")
