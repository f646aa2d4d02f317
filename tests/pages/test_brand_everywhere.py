"""Every page between a sign-in and what comes after it looks like the organization whose user is there."""

import base64
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest

from iam.delivery.links import PASSWORD_PATH, make_link
from iam.directory.applications import Application
from tests.support.authenticator import give_authenticator
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import ISSUER, World

STYLE = "/brand/acme/colour.css"


@pytest.fixture(autouse=True)
def brand(world: World, alice: Surfer) -> None:
    alice.get("/console/organizations/acme")
    answer = alice.submit("/console/organizations/acme/brand", colour="#0b6e4f")
    assert answer.status_code == 303, answer.text


def _is_branded(page: Any) -> bool:
    assert page.status_code in (200, 409), page.text
    # The name stands where ours would, and the colour is a style sheet that the page's policy allows.
    return STYLE in page.text and "<span>Acme Corporation</span>" in page.text


def test_the_question_and_the_end_of_a_sign_out(bob: Surfer) -> None:
    assert _is_branded(bob.get("/sign-out"))
    assert _is_branded(bob.submit("/sign-out"))


def test_an_application_that_asks_to_sign_out(bob: Surfer) -> None:
    assert _is_branded(bob.get("/oauth/logout"))


def test_who_is_signed_out_already_sees_the_servers_own_page(surfer: Surfer) -> None:
    surfer.get("/sign-in/acme")
    page = surfer.post("/sign-out", {}, origin=ISSUER)
    assert page.status_code == 200
    assert "/brand/" not in page.text


def test_the_code_of_a_second_factor(world: World, surfer: Surfer) -> None:
    give_authenticator(world, "acme", "bob")
    page = surfer.sign_in("acme", "bob")
    assert "Enter a code" in page.text
    assert _is_branded(page)


def test_the_choice_of_sessions(world: World, bob: Surfer) -> None:
    policy = {"at_limit": "ask", "maximum_sessions": 1}
    world.patch("/v1/policies/organizations/acme", json=policy, headers=world.admin)
    page = Surfer(world, IPHONE).sign_in("acme", "bob")
    assert "sign out one of these" in page.text
    assert _is_branded(page)


def test_a_locked_session(world: World, bob: Surfer) -> None:
    world.post(f"/v1/sessions/{bob.session_id}/lock", headers=world.admin)
    page = bob.get("/unlock")
    assert "This session is locked" in page.text
    assert _is_branded(page)


def test_the_consent(world: World, bob: Surfer, applications: dict[str, Application]) -> None:
    wiki = applications["wiki"]
    digest = sha256(b"v" * 43).digest()
    asked = {
        "response_type": "code",
        "client_id": wiki.client_id,
        "redirect_uri": wiki.redirect_uris[0],
        "scope": "openid",
        "prompt": "consent",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    page = bob.get(f"/oauth/authorize?{urlencode(asked)}")
    assert "Allow Wiki?" in page.text
    assert _is_branded(page)


def test_the_pages_of_a_device(bob: Surfer) -> None:
    assert _is_branded(bob.get("/device"))


def test_the_pages_of_a_mailed_link(world: World, alice: Surfer) -> None:
    alice.get("/console/users/acme/bob")
    alice.submit("/console/users/acme/bob", do="mail-link")
    mail = world.get("/v1/mails", headers=world.admin).json()["items"][0]
    link = make_link(ISSUER, world.engine.cipher, mail["id"], PASSWORD_PATH).removeprefix(ISSUER)
    stranger = Surfer(world)
    assert _is_branded(stranger.get(link))
    new = "a password of one's own"
    sent = {"t": link.partition("?t=")[2], "new": new, "again": new}
    done = stranger.post(PASSWORD_PATH, sent)
    assert "Your password is set" in done.text
    assert _is_branded(done)


def test_another_organization_has_nothing_of_it(world: World) -> None:
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    page = eve.get("/sign-out")
    assert "/brand/" not in page.text
    assert "<span>Hanzo IAM</span>" in page.text
