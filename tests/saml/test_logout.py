"""A provider's own logout requests: what they end, and what is not believed."""

from typing import Any

import xmlsec
from lxml import etree

from iam.kernel.clock import after, to_iso
from tests.saml.conftest import (
    BACK,
    NS,
    SAML,
    SLO,
    KeyPair,
    Stage,
    redirected,
    register,
    reply_of,
    signed,
)
from tests.saml.test_sign_on import certificate_of
from tests.support.saml_attacks import refused
from tests.support.saml_logout import enter, send, statuses


def test_a_providers_logout_ends_everything_that_was_entered_from_that_browser(
    ready: Stage,
) -> None:
    stage, browser = ready, ready.cookie()
    reply = enter(stage, browser, "wiki")
    other = stage.cookie()
    elsewhere = enter(stage, other, "wiki")

    url, answer, more = redirected(send(stage, reply, reply.session_id, ID="_bye"))

    assert (url, more["RelayState"], more["SigAlg"][-10:]) == (BACK, "back here", "rsa-sha256")
    assert answer.get("InResponseTo") == "_bye"
    assert statuses(answer) == ["Success"]
    ended = stage.session(reply.session_id)
    assert (ended["state"], ended["end_reason"]) == ("ended", "signed_out")
    home = stage.session(ended["parent"])
    assert (home["end_reason"], home["ended_by"]) == ("signed_out", "user:acme/ada")
    assert stage.session(elsewhere.session_id)["state"] == "active"


def test_a_providers_logout_can_be_kept_to_its_own_session(ready: Stage) -> None:
    stage = ready
    register(stage, "wiki", ("HTTP-Redirect", BACK), logout_ends_browser_session=False)
    reply = enter(stage, stage.cookie(), "wiki")

    assert statuses(redirected(send(stage, reply, reply.session_id))[1]) == ["Success"]

    ended = stage.session(reply.session_id)
    assert ended["end_reason"] == "signed_out"
    assert stage.session(ended["parent"])["state"] == "active"


def test_without_a_session_index_all_sessions_of_that_user_there_end(ready: Stage) -> None:
    stage = ready
    replies = [enter(stage, stage.cookie(), "wiki") for _ in range(2)]
    bob = enter(stage, stage.cookie("bob"), "wiki")

    assert statuses(redirected(send(stage, replies[0]))[1]) == ["Success"]

    assert [stage.session(one.session_id)["state"] for one in replies] == ["ended"] * 2
    assert stage.session(bob.session_id)["state"] == "active"


def test_a_logout_by_post_is_answered_by_post(ready: Stage) -> None:
    stage = ready
    register(stage, "wiki", ("HTTP-POST", BACK))
    reply = enter(stage, stage.cookie(), "wiki")
    root = signed(stage.logout(reply.name_id, reply.session_id), stage.key)

    answer = reply_of(stage.post(etree.tostring(root), path="/saml/slo", RelayState="x"))

    assert (answer.url, answer.relay_state, answer.statuses) == (BACK, "x", ["Success"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(
        certificate_of(stage), xmlsec.constants.KeyDataFormatCertDer
    )
    context.register_id(answer.root, "ID", None)
    context.verify(answer.root.find("ds:Signature", namespaces=NS))
    assert stage.session(reply.session_id)["state"] == "ended"


def test_a_session_that_is_over_already_is_logged_out_all_the_same(ready: Stage) -> None:
    stage = ready
    reply = enter(stage, stage.cookie(), "wiki")
    stage.world.delete(f"/v1/sessions/{reply.session_id}", headers=stage.world.admin)

    assert statuses(redirected(send(stage, reply, reply.session_id))[1]) == ["Success"]


def test_nobody_else_is_ever_logged_out(ready: Stage) -> None:
    stage = ready
    ada, bob = enter(stage, stage.cookie(), "wiki"), enter(stage, stage.cookie("bob"), "wiki")
    register(stage, "shop", ("HTTP-Redirect", BACK))
    shop = "https://shop.acme.test/saml"
    text = etree.tostring(ada.name_id).decode()
    tries = [
        stage.logout(ada.name_id, bob.session_id),
        stage.logout(ada.name_id, "ses_00000000000000000000000000"),
        stage.logout(f'<saml:NameID xmlns:saml="{SAML}">ada</saml:NameID>'),
        stage.logout(f'<saml:NameID xmlns:saml="{SAML}"></saml:NameID>', ada.session_id),
        stage.logout(text.replace("persistent", "transient"), ada.session_id),
        stage.logout(text.replace("wiki.acme", "shop.acme"), ada.session_id),
        stage.logout(text.replace("127.0.0.1", "127.0.0.2"), ada.session_id),
        stage.logout(ada.name_id, ada.session_id, issuer=shop),
    ]

    for message in tries:
        answer = stage.redirect(message, key=stage.key, path="/saml/slo")
        assert statuses(redirected(answer)[1]) == ["Requester", "UnknownPrincipal"]

    assert stage.session(ada.session_id)["state"] == "active"
    assert stage.session(bob.session_id)["state"] == "active"


def test_a_logout_that_is_not_believed_ends_nothing(ready: Stage, strange_keys: KeyPair) -> None:
    stage = ready
    reply = enter(stage, stage.cookie(), "wiki")
    text = stage.logout(reply.name_id, reply.session_id)
    name, index, past = reply.name_id, reply.session_id, to_iso(after(stage.world.clock(), -61))

    def get(message: str, key: KeyPair | None = stage.key) -> Any:
        return lambda: stage.redirect(message, key=key, path="/saml/slo")

    refused(stage, get(text, None), "saml_signature_refused")
    refused(stage, get(text, strange_keys), "saml_signature_refused")
    refused(stage, get(stage.logout(name, index, NotOnOrAfter=past)), "saml_message_refused")
    refused(stage, get(stage.logout(name, index, NotOnOrAfter="x")), "saml_message_refused")
    refused(stage, get(stage.logout(name, index, Destination=None)), "saml_message_refused")
    other = SLO.replace("slo", "sso")
    refused(stage, get(stage.logout(name, index, Destination=other)), "saml_message_refused")
    old = "2001-01-01T00:00:00Z"
    refused(stage, get(stage.logout(name, index, IssueInstant=old)), "saml_message_refused")
    refused(stage, get(stage.request(Destination=SLO)), "saml_message_refused")
    refused(stage, get(stage.logout("<saml:EncryptedID/>")), "saml_message_refused")
    refused(stage, lambda: stage.post(text, path="/saml/slo"), "saml_signature_refused")
    split = etree.tostring(name).decode().replace("</", "<!-- -->x</")
    refused(stage, get(stage.logout(split, index)), "xml_refused")
    assert stage.session(index)["state"] == "active"


def test_a_logout_is_taken_once(ready: Stage) -> None:
    stage = ready
    reply = enter(stage, stage.cookie(), "wiki")
    text = stage.logout(reply.name_id)
    stage.redirect(text, key=stage.key, path="/saml/slo")
    later = enter(stage, stage.cookie(), "wiki")

    refused(
        stage,
        lambda: stage.redirect(text, key=stage.key, path="/saml/slo"),
        "saml_message_used",
    )
    assert stage.session(later.session_id)["state"] == "active"
