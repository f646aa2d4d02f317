"""Ends of ours that providers are told by SOAP."""

from collections.abc import Iterator
from typing import Any

import pytest
import xmlsec
from lxml import etree

from iam.delivery.deliverer import Deliverer
from iam.server.jobs import make_deliverer
from tests.saml.conftest import BACK, NS, KeyPair, Stage, redirected, register
from tests.saml.test_sign_on import certificate_of
from tests.support.receiver import Notice, Receiver
from tests.support.saml_logout import enter, send, statuses
from tests.support.world import World, make_world


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
