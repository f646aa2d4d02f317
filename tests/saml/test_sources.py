"""Metadata by address: fetched when it is registered and again later, held to its signer, and never trusted
to lead the server anywhere that it should not go."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from iam.delivery.saml_sources import fetch_metadata, look_at_sources
from iam.server.jobs import look_at_metadata
from tests.saml.conftest import KeyPair, Stage, make_key_pair, signed, sp_metadata
from tests.support.document_site import Site, run_site
from tests.support.saml_idp import Idp, idp_metadata
from tests.support.saml_upstream import make_idp
from tests.support.surfer import Surfer
from tests.support.world import World, make_world


@pytest.fixture
def site() -> Iterator[Site]:
    with run_site() as made:
        yield made


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """A server that may fetch from loopback."""
    with make_world(database_url, delivery_allow_private=True) as made:
        yield made


@pytest.fixture
def stage(world: World, keys: KeyPair) -> Stage:
    made = Stage(world, keys)
    made.populate()
    return made


def put(stage: Stage, **body: Any) -> httpx2.Response:
    return stage.world.request(
        "PUT", "/v1/applications/acme/shop/saml", json=body, headers=stage.world.admin
    )


def shown(stage: Stage) -> dict[str, Any]:
    answer = stage.world.get("/v1/applications/acme/shop/saml", headers=stage.world.admin)
    found: dict[str, Any] = answer.json()
    return found


def look(world: World, seconds: int = 6 * 3600) -> int:
    world.clock.move(seconds)
    engine = world.engine
    return look_at_sources(engine.database, engine.settings, engine.clock)


def shop(key: KeyPair, acs: str = "https://shop.acme.test/acs") -> bytes:
    return sp_metadata("https://shop.acme.test/saml", (acs,), key).encode()


def test_metadata_is_fetched_when_it_is_registered_and_again_after_some_hours(
    stage: Stage, site: Site
) -> None:
    site.body = shop(stage.key)
    made = put(stage, metadata_url=site.url)
    assert made.status_code == 200, made.text
    assert made.json()["metadata_url"] == site.url
    first = made.json()["certificates"]

    site.body = shop(make_key_pair())
    assert look(stage.world, 60) == 0
    assert look(stage.world) == 1

    again = shown(stage)
    assert again["certificates"] != first
    assert (again["metadata_failed"], site.asked) == (None, 2)


def test_a_site_that_fails_keeps_what_it_said_and_is_asked_again(stage: Stage, site: Site) -> None:
    site.body = shop(stage.key)
    first = put(stage, metadata_url=site.url).json()["certificates"]
    bad = [
        (500, site.body, "document_unavailable: It answered with status 500."),
        (302, b"", "document_unavailable: It answered with status 302."),
        (200, b"<!DOCTYPE a><a/>", "xml_refused: A document type is never read."),
        (200, b"x" * 300_000, "document_unavailable"),
        (
            200,
            sp_metadata("https://other.test/", ("https://other.test/acs",), stage.key).encode(),
            "saml_metadata_refused: It is of another entityID than before.",
        ),
        (
            200,
            site.body.replace(b" entityID=", b' validUntil="2001-01-01T00:00:00Z" entityID='),
            "saml_metadata_refused: It is no longer valid: its validUntil has come.",
        ),
    ]
    for status, body, words in bad:
        site.status, site.body = status, body
        assert look(stage.world) == 1
        found = shown(stage)
        assert found["metadata_failed"].startswith(words)
        assert found["certificates"] == first

    site.status, site.body = 200, shop(stage.key)
    assert look(stage.world, 30 * 60) == 1
    assert shown(stage)["metadata_failed"] is None


def test_who_must_have_signed_it_is_held_to_it(stage: Stage, site: Site) -> None:
    signer = make_key_pair()
    pem = signer.certificate.public_bytes(Encoding.PEM).decode()
    text = shop(stage.key).decode().replace("<!-- made by hand -->", "")
    text = text.replace("entityID=", 'ID="_m" entityID=')

    def body(key: KeyPair) -> bytes:
        from lxml import etree

        return bytes(etree.tostring(signed(text, key)))

    for wrong in (text.encode(), body(stage.key), body(signer).replace(b"/acs", b"/evil")):
        site.body = wrong
        answer = put(stage, metadata_url=site.url, metadata_signer=pem)
        assert (answer.status_code, answer.json()["code"]) == (422, "saml_signature_refused")
    site.body = body(signer)
    assert put(stage, metadata_url=site.url, metadata_signer=pem).status_code == 200
    site.body = text.encode()
    look(stage.world)
    assert shown(stage)["metadata_failed"].startswith("saml_signature_refused")


def test_what_cannot_be_registered_leaves_nothing_behind(stage: Stage, site: Site) -> None:
    before = stage.rows("saml_provider", "saml_source")
    tries: list[tuple[dict[str, Any], int]] = [
        ({}, 403),
        ({"metadata": "<a/>", "metadata_url": site.url}, 403),
        ({"metadata": "<a/>", "metadata_signer": "-----BEGIN CERTIFICATE-----"}, 422),
        ({"metadata_url": "http://127.0.0.1:1/"}, 422),
        ({"metadata_url": "ftp://shop.test/"}, 422),
        ({"metadata_url": "https://user@shop.test/"}, 422),
        ({"metadata_url": site.url, "encrypt_assertion": True}, 403),
    ]
    site.body = shop(stage.key).replace(b'use="signing"', b'use="signing" ')
    for body, status in tries:
        assert put(stage, **body).status_code == status, body
    assert stage.rows("saml_provider", "saml_source") == before


def test_addresses_inside_are_not_asked(tmp_path: Any, keys: KeyPair, site: Site) -> None:
    with make_world(f"sqlite:///{tmp_path / 'iam.db'}") as world:
        stage = Stage(world, keys)
        stage.populate()
        for url in (
            site.url,
            "https://127.0.0.1/",
            "https://localhost/",
            "https://169.254.169.254/",
        ):
            answer = put(stage, metadata_url=url)
            assert (answer.status_code, answer.json()["code"]) == (403, "provider_url_refused")
        assert site.asked == 0


def test_an_upload_in_its_place_is_not_fetched_any_more(stage: Stage, site: Site) -> None:
    site.body = shop(stage.key)
    put(stage, metadata_url=site.url)
    put(stage, metadata=shop(stage.key).decode())

    assert look(stage.world) == 0
    assert shown(stage)["metadata_url"] is None


def test_who_is_gone_is_not_asked_any_more(stage: Stage, site: Site) -> None:
    site.body = shop(stage.key)
    put(stage, metadata_url=site.url)
    stage.world.delete("/v1/applications/acme/shop/saml", headers=stage.world.admin)

    assert [look(stage.world), look(stage.world)] == [1, 0]


def test_an_identity_provider_changes_its_key_by_itself(
    world: World, keys: KeyPair, site: Site
) -> None:
    idp = make_idp(world, keys)
    site.body = idp.metadata.encode()
    idp.change(options={"metadata_url": site.url})
    surfer = Surfer(world)
    assert idp.sign_in(surfer).status_code == 303

    other = Idp(world, make_key_pair(), provider=idp.provider, numbers=idp.numbers)
    site.body = idp_metadata(
        idp.entity_id, (other.key,), (("HTTP-Redirect", "https://idp.corp.test/sso"),)
    ).encode()
    look(world)

    assert idp.sign_in(Surfer(world)).status_code == 422
    assert other.sign_in(Surfer(world)).status_code == 303
    view = world.get("/v1/providers/acme/corp", headers=world.admin).json()
    assert view["metadata_failed"] is None
    assert view["entity_id"] == idp.entity_id


def test_one_node_at_a_time_looks(stage: Stage, site: Site) -> None:
    world = stage.world
    site.body = shop(stage.key)
    put(stage, metadata_url=site.url)
    world.clock.move(6 * 3600)

    world.portal.call(look_at_metadata, world.engine, "node_a")
    assert site.asked == 2
    world.clock.move(6 * 3600)
    world.portal.call(look_at_metadata, world.engine, "node_a")
    world.portal.call(look_at_metadata, world.engine, "node_b")
    assert site.asked == 3


def test_what_was_registered_while_metadata_was_fetched_stays(
    world: World, keys: KeyPair, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator leaves an address that somebody else got hold of, while it is being fetched."""
    idp = make_idp(world, keys)
    site.body = idp.metadata.encode()
    idp.change(options={"metadata_url": site.url})
    other = Idp(world, make_key_pair(), provider=idp.provider, numbers=idp.numbers)
    site.body = other.metadata.encode()

    def overtaken(*args: Any) -> str:
        text = fetch_metadata(*args)
        idp.change(options={"metadata": idp.metadata})
        return text

    monkeypatch.setattr("iam.delivery.saml_sources.fetch_metadata", overtaken)
    assert look(world) == 1

    assert other.sign_in(Surfer(world)).status_code == 422
    assert idp.sign_in(Surfer(world)).status_code == 303
    assert look(world) == 0
