"""Single logout between us and identity providers: what their sign-out ends here, and how ours goes on
there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from iam.kernel.clock import after, to_iso
from iam.server.jobs import make_deliverer
from tests.saml.conftest import FORMATS, NS, KeyPair, Stage, redirected, register, signed
from tests.support.receiver import Receiver
from tests.support.saml_attacks import refused
from tests.support.saml_idp import SP, SP_SLO, Idp, idp_metadata
from tests.support.saml_logout import statuses
from tests.support.saml_upstream import make_idp
from tests.support.surfer import Surfer
from tests.support.world import World, make_world

THERE = "https://idp.corp.test/slo"


@pytest.fixture
def idp(both_worlds: World, keys: KeyPair) -> Idp:
    return make_idp(both_worlds, keys)


def state(idp: Idp, session_id: str) -> tuple[str, str | None]:
    answer = idp.world.get(f"/v1/sessions/{session_id}", headers=idp.world.admin).json()
    return answer["state"], answer["end_reason"]


def come(idp: Idp, **changes: Any) -> Surfer:
    surfer = Surfer(idp.world)
    assert idp.sign_in(surfer, **changes).status_code == 303
    return surfer


def test_a_sign_out_there_ends_what_was_born_there_and_nothing_else(idp: Idp) -> None:
    one, two = come(idp, session_index="_s1"), come(idp, session_index="_s2")
    other = come(idp, name_id="eve", session_index="_s1")

    url, answer, more = redirected(
        idp.send(idp.logout("ada-there", "_s1", ID="_bye"), RelayState="back")
    )

    assert (url, more["RelayState"], more["SigAlg"][-10:]) == (THERE, "back", "rsa-sha256")
    assert answer.get("InResponseTo") == "_bye"
    assert answer.findtext("saml:Issuer", namespaces=NS) == SP
    assert statuses(answer) == ["Success"]
    assert state(idp, one.session_id) == ("ended", "signed_out")
    assert state(idp, two.session_id)[0] == state(idp, other.session_id)[0] == "active"
    events = idp.world.get(f"/v1/sessions/{one.session_id}/timeline", headers=idp.world.admin).text
    assert "provider:acme/corp" in events


def test_without_a_session_index_everything_of_that_name_ends(idp: Idp) -> None:
    one, two = come(idp, session_index="_s1"), come(idp, session_index="_s2")

    assert statuses(redirected(idp.send(idp.logout("ada-there")))[1]) == ["Success"]

    assert [state(idp, s.session_id)[0] for s in (one, two)] == ["ended", "ended"]


def test_whoever_is_known_by_an_attribute_is_still_signed_out_by_their_name_there(
    idp: Idp,
) -> None:
    idp.change(options={"metadata": idp.metadata, "subject_attribute": "uid"})
    surfer = come(idp, format=FORMATS["transient"], name_id="_t1", attributes={"uid": "ada"})

    wrong = redirected(idp.send(idp.logout("ada")))[1]
    assert statuses(wrong) == ["Requester", "UnknownPrincipal"]
    idp.send(idp.logout("_t1", format=FORMATS["transient"]))

    assert state(idp, surfer.session_id)[0] == "ended"


def test_nobody_else_is_ever_signed_out(idp: Idp) -> None:
    surfer = come(idp, session_index="_s1")
    tries = [
        idp.logout("somebody"),
        idp.logout("ada-there", "_other"),
        idp.logout("ada-there", format=FORMATS["emailAddress"]),
        idp.logout(""),
    ]

    for message in tries:
        answer = redirected(idp.send(message))[1]
        assert statuses(answer) == ["Requester", "UnknownPrincipal"]

    assert state(idp, surfer.session_id)[0] == "active"


def test_a_logout_that_is_not_believed_ends_nothing(idp: Idp, strange_keys: KeyPair) -> None:
    surfer, stage = come(idp), Stage(idp.world, idp.key)
    past = to_iso(after(idp.world.clock(), -61))

    def send(key: KeyPair | None = None, **more: Any) -> Any:
        return lambda: idp.send(idp.logout("ada-there", **more), key=key)

    refused(stage, send(strange_keys), "saml_signature_refused")
    refused(stage, send(Destination=SP_SLO.replace("sp/", "")), "saml_message_refused")
    refused(stage, send(Destination=None), "saml_message_refused")
    refused(stage, send(NotOnOrAfter=past), "saml_message_refused")
    refused(stage, send(IssueInstant="2001-01-01T00:00:00Z"), "saml_message_refused")
    unknown = idp.logout("ada-there").replace(idp.entity_id, "https://other.example/")
    refused(stage, lambda: idp.send(unknown), "saml_upstream_unknown", 404)
    answer = idp.soap(idp.logout("ada-there"), key=strange_keys)
    assert (answer.status_code, b"saml_signature_refused" in answer.content) == (422, True)
    for body in (b"", b"<a/>", b"<!DOCTYPE a><a/>", b"x" * 200_000):
        bad = idp.world.post("/saml/sp/slo", content=body, headers={"content-type": "text/xml"})
        assert (bad.status_code in (403, 422), b"Fault" in bad.content) == (True, True)
    assert state(idp, surfer.session_id)[0] == "active"


def test_a_logout_is_taken_once(idp: Idp) -> None:
    come(idp)
    text = idp.logout("ada-there")
    idp.send(text)
    idp.world.clock.move(1)
    later = come(idp)

    refused(Stage(idp.world, idp.key), lambda: idp.send(text), "saml_message_used")
    assert state(idp, later.session_id)[0] == "active"


def test_an_assertion_that_was_on_its_way_does_not_undo_a_logout(idp: Idp) -> None:
    """saml-core §3.7.3.1: the logout is remembered."""
    come(idp, session_index="_s1")
    surfer, other = Surfer(idp.world), Surfer(idp.world)
    request, _ = idp.asked(surfer)
    slow = idp.message(idp.saying(request, session_index="_s1"))
    idp.world.clock.move(1)
    idp.send(idp.logout("ada-there", "_s1"))

    assert idp.bring(surfer, slow).status_code == 422
    idp.world.clock.move(1)
    assert idp.sign_in(other, session_index="_s3").status_code == 303


def test_by_soap_it_is_answered_by_soap(idp: Idp) -> None:
    surfer = come(idp, session_index="_s1")

    answer = idp.soap(idp.logout("ada-there", "_s1"))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    root = etree.fromstring(answer.content)
    assert statuses(root) == ["Success"]
    assert root.find(".//ds:Signature", namespaces=NS) is not None
    assert state(idp, surfer.session_id)[0] == "ended"


@pytest.fixture
def delivering(database_url: str, keys: KeyPair) -> Iterator[Idp]:
    with make_world(database_url, delivery_allow_private=True) as world:
        yield make_idp(world, keys)


def test_applications_are_told_of_a_sign_out_there(delivering: Idp) -> None:
    idp = delivering
    world, stage = idp.world, Stage(idp.world, idp.key)
    surfer = come(idp)
    says = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        b'<LogoutResponse xmlns="urn:oasis:names:tc:SAML:2.0:protocol"><Status>'
        b'<StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>'
        b"</Status></LogoutResponse></s:Body></s:Envelope>"
    )
    with Receiver(lambda _: 200, says=says) as receiver:
        register(stage, "wiki", ("SOAP", f"{receiver.url}/slo"))
        reply = stage.enter({"cookie": f"iam={surfer.cookies['iam']}"})
        deliverer = make_deliverer(world.engine)

        answer = redirected(idp.send(idp.logout("ada-there")))[1]
        world.portal.call(deliverer.run_due)
        world.portal.call(deliverer.close)

        assert statuses(answer) == ["Success", "PartialLogout"]
        told = etree.fromstring(receiver.notices[0].body)
        assert told.findtext(".//samlp:SessionIndex", namespaces=NS) == reply.session_id
    assert state(idp, reply.session_id) == ("ended", "parent_ended")


def test_applications_that_know_only_the_browser_are_told_through_it(idp: Idp) -> None:
    stage, surfer = Stage(idp.world, idp.key), come(idp)
    register(stage, "wiki", ("HTTP-Redirect", "https://wiki.acme.test/slo"))
    reply = stage.enter({"cookie": f"iam={surfer.cookies['iam']}"})

    url, request, _ = redirected(idp.send(idp.logout("ada-there", ID="_bye"), RelayState="r"))

    assert url == "https://wiki.acme.test/slo"
    assert request.findtext("samlp:SessionIndex", namespaces=NS) == reply.session_id
    response = stage.logout("").replace("LogoutRequest", "LogoutResponse")
    response = re.sub(
        r"</samlp:LogoutResponse>",
        "<samlp:Status><samlp:StatusCode "
        'Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>',
        response.replace(' ID="', f' InResponseTo="{request.get("ID")}" ID="'),
    )
    url, answer, more = redirected(
        stage.redirect(response, key=stage.key, path="/saml/slo", kind="SAMLResponse")
    )
    assert (url, answer.get("InResponseTo"), more["RelayState"]) == (THERE, "_bye", "r")
    assert statuses(answer) == ["Success"]


# Ours goes on there.


def response_to(idp: Idp, request: Any, *codes: str) -> str:
    urn = "urn:oasis:names:tc:SAML:2.0:status:"
    status = ""
    for one in reversed(codes or ("Success",)):
        status = f'<samlp:StatusCode Value="{urn}{one}">{status}</samlp:StatusCode>'
    text = idp.logout("x").replace("LogoutRequest", "LogoutResponse")
    text = re.sub(r"<saml:NameID.*</saml:NameID>", f"<samlp:Status>{status}</samlp:Status>", text)
    text = re.sub(r' NotOnOrAfter="[^"]*"', "", text)
    return text.replace(' ID="', f' InResponseTo="{request.get("ID")}" ID="', 1)


def sign_out(surfer: Surfer) -> str:
    """Sign out by our page; where its way on leads."""
    surfer.get("/sign-out")
    page = surfer.submit("/sign-out")
    found = re.search(r'id="saml-onward" href="([^"]*)"', page.text)
    return found[1].replace("&amp;", "&") if found else ""


def test_a_sign_out_here_goes_on_there_where_that_is_wanted(idp: Idp) -> None:
    assert sign_out(come(idp)) == ""
    idp.change(options={"metadata": idp.metadata, "sign_out_there": True})
    surfer = come(idp, session_index="_s9")

    onward = sign_out(surfer)
    assert state(idp, session_of_last(idp))[0] == "ended"
    url, request, more = redirected(surfer.get(onward))

    assert (url, request.get("Destination")) == (THERE, THERE)
    assert request.findtext("saml:Issuer", namespaces=NS) == SP
    name = request.find("saml:NameID", namespaces=NS)
    assert (name.text, name.get("Format")) == ("ada-there", FORMATS["persistent"])
    assert request.findtext("samlp:SessionIndex", namespaces=NS) == "_s9"
    assert "Signature" in more
    page = idp.send(response_to(idp, request), kind="SAMLResponse")
    assert page.status_code == 200
    assert "You are signed out" in page.text
    assert "did not confirm" not in page.text


def session_of_last(idp: Idp) -> str:
    query = {"organization": "acme", "state": "ended", "sort": "-ended_at"}
    found = idp.world.get("/v1/sessions", params=query, headers=idp.world.admin).json()
    return str(found["items"][0]["id"])


def test_what_the_provider_does_not_confirm_is_said(idp: Idp) -> None:
    idp.change(options={"metadata": idp.metadata, "sign_out_there": True})
    surfer = come(idp)
    _, request, _ = redirected(surfer.get(sign_out(surfer)))

    page = idp.send(response_to(idp, request, "Responder"), kind="SAMLResponse")

    assert "did not confirm" in page.text


def test_an_answer_that_nobody_asked_for_is_refused(idp: Idp, strange_keys: KeyPair) -> None:
    idp.change(options={"metadata": idp.metadata, "sign_out_there": True})
    surfer, stage = come(idp), Stage(idp.world, idp.key)
    _, request, _ = redirected(surfer.get(sign_out(surfer)))
    good = response_to(idp, request)

    def send(text: str, key: KeyPair | None = None) -> Any:
        return lambda: idp.send(text, key=key, kind="SAMLResponse")

    refused(stage, send(good, strange_keys), "saml_signature_refused")
    other = good.replace(request.get("ID"), "_other")
    refused(stage, send(other), "saml_message_refused")
    assert send(good)().status_code == 200
    refused(stage, send(good), "saml_message_refused")


def test_applications_are_told_first_and_the_provider_last(idp: Idp) -> None:
    idp.change(options={"metadata": idp.metadata, "sign_out_there": True})
    stage, surfer = Stage(idp.world, idp.key), come(idp)
    register(stage, "wiki", ("HTTP-Redirect", "https://wiki.acme.test/slo"))
    stage.enter({"cookie": f"iam={surfer.cookies['iam']}"})

    url, request, _ = redirected(surfer.get(sign_out(surfer)))
    assert url == "https://wiki.acme.test/slo"
    response = response_to(idp, request).replace(idp.entity_id, stage.entity_id)
    response = response.replace(SP_SLO, SP_SLO.replace("sp/", ""))
    url, request, _ = redirected(
        stage.redirect(response, key=stage.key, path="/saml/slo", kind="SAMLResponse")
    )
    assert url == THERE
    page = idp.send(response_to(idp, request), kind="SAMLResponse")
    assert "You are signed out" in page.text


def test_by_post_the_message_is_signed_within(idp: Idp) -> None:
    places = (("HTTP-Redirect", "https://idp.corp.test/sso"),)
    ends = (("HTTP-POST", "https://idp.corp.test/post"),)
    described = idp_metadata(idp.entity_id, (idp.key,), places, ends)
    idp.change(options={"metadata": described, "sign_out_there": True})
    surfer = come(idp)

    page = surfer.get(sign_out(surfer))

    assert 'action="https://idp.corp.test/post"' in page.text
    assert 'name="SAMLRequest"' in page.text
    root = signed(idp.logout("ada-there"), idp.key)
    again = come(idp)
    posted = Stage(idp.world, idp.key).post(etree.tostring(root), path="/saml/sp/slo")
    assert 'name="SAMLResponse"' in posted.text
    assert state(idp, again.session_id)[0] == "ended"
