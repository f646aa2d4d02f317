"""Single logout: who ends what, who is told, and what is said of it."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import xmlsec
from lxml import etree

from iam.delivery.deliverer import Deliverer
from iam.kernel.clock import after, to_iso
from iam.server.jobs import make_deliverer
from tests.saml.conftest import (
    NS,
    SAML,
    SAMLP,
    SLO,
    KeyPair,
    Stage,
    redirected,
    reply_of,
    signed,
    sp_metadata,
)
from tests.saml.test_attacks import refused
from tests.saml.test_sign_on import certificate_of
from tests.support.receiver import Notice, Receiver
from tests.support.world import World, make_world

BACK = "https://wiki.acme.test/slo"


def register(stage: Stage, application: str, *logout: tuple[str, str], **options: Any) -> None:
    """Register an application with these logout services."""
    text = sp_metadata(
        f"https://{application}.acme.test/saml",
        (f"https://{application}.acme.test/acs",),
        stage.key,
        logout,
    )
    stage.register(application, metadata=text, **options)


def enter(stage: Stage, browser: dict[str, str], application: str) -> Any:
    return stage.enter(
        browser,
        issuer=f"https://{application}.acme.test/saml",
        AssertionConsumerServiceURL=f"https://{application}.acme.test/acs",
    )


def statuses(root: Any) -> list[str]:
    return [str(one).rpartition(":")[2] for one in root.xpath("//@Value")]


def send(
    stage: Stage, reply: Any, *indexes: str, key: KeyPair | None = None, **more: Any
) -> httpx2.Response:
    text = stage.logout(reply.name_id, *indexes, **more)
    return stage.redirect(text, key=key or stage.key, path="/saml/slo", RelayState="back here")


@pytest.fixture
def ready(own_stage: Stage) -> Stage:
    """The usual, where the application takes answers to its logouts by redirect."""
    register(own_stage, "wiki", ("HTTP-Redirect", BACK))
    return own_stage


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


# Ends of ours, told by SOAP.


@pytest.fixture
def soap(database_url: str, keys: KeyPair) -> Iterator[Stage]:
    """A server that may deliver to loopback."""
    with make_world(database_url, delivery_allow_private=True, delivery_attempts=3) as world:
        made = Stage(world, keys)
        made.populate()
        yield made


@pytest.fixture
def deliverer(soap: Stage) -> Iterator[Deliverer]:
    made = make_deliverer(soap.world.engine)
    yield made
    soap.world.portal.call(made.close)


def says(status: str) -> bytes:
    urn = "urn:oasis:names:tc:SAML:2.0:"
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<LogoutResponse xmlns="{urn}protocol"><Status><StatusCode Value="{urn}status:{status}"/>'
        "</Status></LogoutResponse></s:Body></s:Envelope>"
    ).encode()


def deliveries(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.get("/v1/deliveries", headers=world.admin).json()["items"]
    return found


def check_told(stage: Stage, notice: Notice, reply: Any) -> None:
    """The notice is a LogoutRequest of ours for this session, signed."""
    root = etree.fromstring(notice.body)
    request = root.find(".//samlp:LogoutRequest", namespaces=NS)
    assert request.findtext("samlp:SessionIndex", namespaces=NS) == reply.session_id
    name_id = request.find("saml:NameID", namespaces=NS)
    assert (name_id.text, dict(name_id.attrib)) == (
        reply.name_id.text,
        dict(reply.name_id.attrib),
    )
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(
        certificate_of(stage), xmlsec.constants.KeyDataFormatCertDer
    )
    context.register_id(request, "ID", None)
    context.verify(request.find("ds:Signature", namespaces=NS))
    assert notice.headers["content-type"].startswith("text/xml")
    assert request.get("ID")
    assert request.get("NotOnOrAfter")


def test_whoever_ends_a_session_the_provider_is_told_by_soap(
    soap: Stage, deliverer: Deliverer
) -> None:
    stage, world = soap, soap.world
    with Receiver(lambda _: 200, says=says("Success")) as receiver:
        register(stage, "wiki", ("SOAP", f"{receiver.url}/slo"))
        reply = enter(stage, stage.cookie(), "wiki")
        world.delete(f"/v1/sessions/{reply.session_id}", headers=world.admin)
        world.portal.call(deliverer.run_due)

        assert len(receiver.notices) == 1
        check_told(stage, receiver.notices[0], reply)
    (told,) = deliveries(world)
    assert (told["state"], told["application"], told["webhook"]) == ("delivered", "wiki", None)
    assert (told["organization"], told["session"]) == ("acme", reply.session_id)


def test_the_end_of_the_browser_session_is_told_too(soap: Stage, deliverer: Deliverer) -> None:
    stage, world = soap, soap.world
    with Receiver(lambda _: 200, says=says("Success")) as receiver:
        register(stage, "wiki", ("SOAP", f"{receiver.url}/slo"))
        reply = enter(stage, stage.cookie(), "wiki")
        parent = stage.session(reply.session_id)["parent"]
        world.delete(f"/v1/sessions/{parent}", headers=world.admin)
        world.portal.call(deliverer.run_due)

        check_told(stage, receiver.notices[0], reply)


@pytest.mark.parametrize(
    ("status", "body", "error", "state"),
    [
        (200, says("Responder"), "saml: Responder", "pending"),
        (200, says("Requester"), "saml: Requester", "dead"),
        (200, b"<html>", "answer_unreadable", "pending"),
        (200, b"<!DOCTYPE a>" + says("Success"), "answer_unreadable", "pending"),
        (200, b"", "answer_unreadable", "pending"),
        (500, b"<a/>", "answer_unreadable", "pending"),
        (503, says("Success"), "status", "pending"),
        (302, says("Success"), "redirect", "pending"),
    ],
)
def test_a_provider_that_does_not_confirm_counts_as_not_told(
    soap: Stage, deliverer: Deliverer, status: int, body: bytes, error: str, state: str
) -> None:
    stage, world = soap, soap.world
    with Receiver(lambda _: status, says=body) as receiver:
        register(stage, "wiki", ("SOAP", f"{receiver.url}/slo"))
        reply = enter(stage, stage.cookie(), "wiki")
        world.delete(f"/v1/sessions/{reply.session_id}", headers=world.admin)
        world.portal.call(deliverer.run_due)

    (told,) = deliveries(world)
    assert (told["last_error"], told["state"]) == (error, state)


def test_a_logout_that_others_have_not_confirmed_is_called_partial(
    soap: Stage, deliverer: Deliverer
) -> None:
    stage, world = soap, soap.world
    with Receiver(lambda _: 200, says=says("Success")) as receiver:
        register(stage, "wiki", ("HTTP-Redirect", BACK), ("SOAP", f"{receiver.url}/wiki"))
        register(stage, "shop", ("SOAP", f"{receiver.url}/shop"))
        browser = stage.cookie()
        wiki, shop = enter(stage, browser, "wiki"), enter(stage, browser, "shop")

        answer = redirected(send(stage, wiki, wiki.session_id))[1]
        assert statuses(answer) == ["Success", "PartialLogout"]
        world.portal.call(deliverer.run_due)

        # The one that asked knows already.
        assert len(receiver.notices) == 1
        check_told(stage, receiver.notices[0], shop)
    assert stage.session(shop.session_id)["state"] == "ended"


def test_what_a_deadline_ended_is_told_to_nobody(soap: Stage) -> None:
    stage, world = soap, soap.world
    register(stage, "wiki", ("SOAP", "https://wiki.acme.test/soap"))
    enter(stage, stage.cookie(), "wiki")
    world.clock.move(13 * 60 * 60)
    world.sweep()

    assert deliveries(world) == []


def test_what_a_deadline_ended_is_told_where_a_policy_says_so(soap: Stage) -> None:
    stage, world = soap, soap.world
    register(stage, "wiki", ("SOAP", "https://wiki.acme.test/soap"))
    world.patch(
        "/v1/policies/applications/acme/wiki",
        json={"notify_on_expiry": True},
        headers=world.admin,
    )
    reply = enter(stage, stage.cookie(), "wiki")
    world.clock.move(13 * 60 * 60)
    world.sweep()

    assert [one["session"] for one in deliveries(world)] == [reply.session_id]


def test_a_webhook_and_a_provider_are_both_told_of_one_end(soap: Stage) -> None:
    stage, world = soap, soap.world
    register(stage, "wiki", ("SOAP", "https://wiki.acme.test/soap"))
    hook = world.post(
        "/v1/webhooks",
        headers=world.admin,
        json={
            "organization": "acme",
            "url": "https://hooks.acme.test/",
            "event_types": ["session.ended"],
        },
    ).json()
    reply = enter(stage, stage.cookie(), "wiki")
    world.delete(f"/v1/sessions/{reply.session_id}", headers=world.admin)

    told = {(one["webhook"], one["application"]) for one in deliveries(world)}
    assert told == {(hook["id"], None), (None, "wiki")}
    by_name = world.get("/v1/deliveries?application=wiki", headers=world.admin).json()["items"]
    assert [one["application"] for one in by_name] == ["wiki"]


def test_a_provider_that_is_gone_is_told_nothing(soap: Stage, deliverer: Deliverer) -> None:
    stage, world = soap, soap.world
    with Receiver(lambda _: 200, says=says("Success")) as receiver:
        register(stage, "wiki", ("SOAP", f"{receiver.url}/slo"))
        reply = enter(stage, stage.cookie(), "wiki")
        world.delete("/v1/applications/acme/wiki/saml", headers=world.admin)
        world.delete(f"/v1/sessions/{reply.session_id}", headers=world.admin)
        world.portal.call(deliverer.run_due)

        assert receiver.notices == []
    assert stage.session(reply.session_id)["state"] == "ended"


# Others that are told through the browser.


def send_answer(
    stage: Stage, told: Any, *, issuer: str, key: KeyPair | None = None, status: str = "Success"
) -> httpx2.Response:
    """A provider's LogoutResponse to a LogoutRequest of ours."""
    text = (
        f'<samlp:LogoutResponse xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" Version="2.0" '
        f'ID="_a{next(stage.numbers)}" IssueInstant="{to_iso(stage.world.clock())}" '
        f'Destination="{SLO}" InResponseTo="{told.get("ID")}"><saml:Issuer>{issuer}</saml:Issuer>'
        '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:'
        f'{status}"/></samlp:Status></samlp:LogoutResponse>'
    )
    return stage.redirect(text, key=key or stage.key, path="/saml/slo", kind="SAMLResponse")


SHOP = "https://shop.acme.test/saml"


@pytest.fixture
def pair(ready: Stage) -> tuple[Stage, Any, Any]:
    """Both applications entered from one browser, and told through it."""
    register(ready, "shop", ("HTTP-Redirect", "https://shop.acme.test/slo"))
    browser = ready.cookie()
    return ready, enter(ready, browser, "wiki"), enter(ready, browser, "shop")


def test_who_cannot_be_told_by_soap_is_told_through_the_browser(
    pair: tuple[Stage, Any, Any],
) -> None:
    stage, wiki, shop = pair

    url, told, _ = redirected(send(stage, wiki, wiki.session_id, ID="_bye"))

    assert url == "https://shop.acme.test/slo"
    assert told.findtext("samlp:SessionIndex", namespaces=NS) == shop.session_id
    assert told.findtext("saml:NameID", namespaces=NS) == shop.name_id.text
    assert stage.session(shop.session_id)["state"] == "ended", "before anybody is told"

    url, answer, more = redirected(send_answer(stage, told, issuer=SHOP))
    assert (url, answer.get("InResponseTo"), more["RelayState"]) == (BACK, "_bye", "back here")
    assert statuses(answer) == ["Success"]


def test_who_does_not_confirm_makes_it_partial(pair: tuple[Stage, Any, Any]) -> None:
    stage, wiki, _ = pair
    told = redirected(send(stage, wiki, wiki.session_id))[1]

    answer = redirected(send_answer(stage, told, issuer=SHOP, status="Responder"))[1]

    assert statuses(answer) == ["Success", "PartialLogout"]


def test_only_whom_we_asked_goes_on_with_a_logout_and_once(
    pair: tuple[Stage, Any, Any], strange_keys: KeyPair
) -> None:
    stage, wiki, _ = pair
    told = redirected(send(stage, wiki, wiki.session_id))[1]
    wrong, old = stage.entity_id, "saml_message_refused"

    refused(stage, lambda: send_answer(stage, told, issuer=wrong), old)
    refused(
        stage,
        lambda: send_answer(stage, told, issuer=SHOP, key=strange_keys),
        "saml_signature_refused",
    )
    assert send_answer(stage, told, issuer=SHOP).status_code == 303
    refused(stage, lambda: send_answer(stage, told, issuer=SHOP), old)


def test_who_has_no_way_to_be_told_makes_it_partial(ready: Stage) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop")
    wiki, shop = enter(stage, browser, "wiki"), enter(stage, browser, "shop")

    answer = redirected(send(stage, wiki, wiki.session_id))[1]

    assert statuses(answer) == ["Success", "PartialLogout"]
    assert stage.session(shop.session_id)["state"] == "ended"


def test_a_form_on_the_way_may_lead_to_all_that_come_after_it(ready: Stage) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop", ("HTTP-POST", "https://shop.acme.test/slo"))
    wiki = enter(stage, browser, "wiki")
    enter(stage, browser, "shop")

    page = send(stage, wiki, wiki.session_id)

    policy = page.headers["content-security-policy"]
    assert f"form-action 'self' https://shop.acme.test/slo {BACK};" in policy
    assert 'name="SAMLRequest"' in page.text


def sign_out(stage: Stage, browser: dict[str, str]) -> httpx2.Response:
    """Sign out on our own page."""
    page = stage.world.get("/sign-out", headers=browser)
    csrf = re.search(r'name="csrf" value="([^"]*)"', page.text)
    assert csrf is not None
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode({"csrf": csrf[1]})
    answer = stage.world.post("/sign-out", content=body, headers=form | browser)
    assert answer.status_code == 200
    return answer


def test_a_sign_out_of_ours_goes_on_to_who_can_be_told_through_the_browser(
    ready: Stage,
) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop")
    wiki = enter(stage, browser, "wiki")
    enter(stage, browser, "shop")

    page = sign_out(stage, browser)
    onward = page.headers["refresh"].partition("url=")[2]
    assert f'href="{onward}"' in page.text
    url, told, _ = redirected(stage.world.get(onward))
    assert (url, told.findtext("samlp:SessionIndex", namespaces=NS)) == (BACK, wiki.session_id)
    last = send_answer(stage, told, issuer=stage.entity_id)

    assert last.status_code == 200
    assert "You are signed out" in last.text
    assert "did not confirm" in last.text, "the shop has no way to be told"
    refused(stage, lambda: stage.world.get(onward), "saml_message_refused")


def test_a_sign_out_that_concerns_no_such_provider_ends_here(ready: Stage) -> None:
    assert "refresh" not in sign_out(ready, ready.cookie()).headers


def rp_sign_out(stage: Stage, browser: dict[str, str]) -> httpx2.Response:
    """Sign out at an OpenID Connect application, and say yes to our question."""
    made = stage.world.post(
        "/v1/applications",
        headers=stage.world.admin,
        json={
            "organization": "acme",
            "name": "mail",
            "display_name": "Mail",
            "redirect_uris": ["https://mail.acme.test/callback"],
            "post_logout_redirect_uris": ["https://mail.acme.test/bye"],
        },
    ).json()
    wish = {
        "client_id": made["client_id"],
        "post_logout_redirect_uri": "https://mail.acme.test/bye",
        "state": "s",
    }
    page = stage.world.get(f"/oauth/logout?{urlencode(wish)}", headers=browser)
    csrf = re.search(r'name="csrf" value="([^"]*)"', page.text)
    assert csrf is not None
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode(wish | {"csrf": csrf[1]})
    return stage.world.post("/oauth/logout/confirm", content=body, headers=form | browser)


def test_a_sign_out_at_an_openid_application_tells_saml_ones_too_and_leads_back_to_it(
    ready: Stage,
) -> None:
    stage, browser = ready, ready.cookie()
    wiki = enter(stage, browser, "wiki")

    page = rp_sign_out(stage, browser)
    onward = page.headers["refresh"].partition("url=")[2]
    url, told, _ = redirected(stage.world.get(onward))
    assert (url, told.findtext("samlp:SessionIndex", namespaces=NS)) == (BACK, wiki.session_id)
    last = send_answer(stage, told, issuer=stage.entity_id)

    assert (last.status_code, last.headers["location"]) == (
        303,
        "https://mail.acme.test/bye?state=s",
    )


def test_who_was_not_told_of_that_sign_out_is_said_before_one_is_led_back(ready: Stage) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop")
    enter(stage, browser, "shop")

    onward = rp_sign_out(stage, browser).headers["refresh"].partition("url=")[2]
    page = stage.world.get(onward)

    assert page.status_code == 200
    assert "did not confirm" in page.text
    assert 'href="https://mail.acme.test/bye?state=s"' in page.text
    assert "Back to Mail" in page.text
