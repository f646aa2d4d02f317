"""Devices without a browser: the code, the page, the waiting, and what is tried with it."""

import re
from typing import Any

import pytest

from iam.directory.applications import Application
from tests.oidc.conftest import Party
from tests.support.people import populate
from tests.support.race import race
from tests.support.surfer import Surfer
from tests.support.world import World

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
TV = {"user-agent": "TvApp/2.0 (Linux; Tizen 8)"}


@pytest.fixture
def living_room(both_worlds: World) -> Party:
    """A world with people who can sign in, and `wiki` and `phone` of theirs for devices; `mail` is of
    another organization."""
    party = Party(both_worlds)
    party.applications = dict(populate(both_worlds))
    admin = both_worlds.admin
    for name, organization, grants in (
        ("phone", "acme", [DEVICE_CODE, "refresh_token"]),
        ("mail", "globex", [DEVICE_CODE]),
    ):
        path = f"/v1/applications/{organization}/{name}"
        both_worlds.patch(path, json={"grant_types": grants}, headers=admin)
        found = both_worlds.post(f"{path}/secret", headers=admin).json()
        party.secrets[name] = found["client_secret"]
    return party


@pytest.fixture
def bob(living_room: Party) -> Surfer:
    surfer = Surfer(living_room.world)
    assert surfer.sign_in("acme", "bob").status_code == 303
    return surfer


def begin(party: Party, application: str = "phone", **changes: str | None) -> dict[str, Any]:
    parameters = {
        "client_id": party.applications[application].client_id,
        "client_secret": party.secrets[application],
        "scope": "openid profile",
        **changes,
    }
    answer = party.form("/oauth/device", parameters, headers=TV)
    found: dict[str, Any] = {"status": answer.status_code, **answer.json()}
    return found


def poll(party: Party, device_code: str, application: str = "phone") -> dict[str, Any]:
    answer = party.ask("/oauth/token", application, grant_type=DEVICE_CODE, device_code=device_code)
    found: dict[str, Any] = answer.json()
    return found


def decide(surfer: Surfer, user_code: str, decision: str = "approve") -> str:
    surfer.get("/device")
    surfer.submit("/device", user_code=user_code)
    return surfer.submit("/device/decide", user_code=user_code, decision=decision).text


def test_a_device_is_let_in_and_has_a_session_of_its_own(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", begun["user_code"])
    assert begun["verification_uri"] == "http://127.0.0.1:8000/device"
    assert begun["verification_uri_complete"].endswith(f"/device?user_code={begun['user_code']}")
    assert poll(living_room, begun["device_code"])["error"] == "authorization_pending"

    assert "Your device is connected" in decide(bob, begun["user_code"])
    living_room.world.clock.move(5)
    tokens = poll(living_room, begun["device_code"])

    claims = living_room.claims(tokens["id_token"])
    session = living_room.session(claims["sid"])
    assert (session.user, session.application, session.parent) == ("bob", "phone", None)
    assert session.user_agent == TV["user-agent"]
    assert claims["amr"] == ["pwd"]
    living_room.end(bob.session_id)
    assert living_room.userinfo(tokens["access_token"]).status_code == 200
    assert living_room.refresh(tokens["refresh_token"], "phone").status_code == 200
    living_room.end(session.id)
    assert living_room.userinfo(tokens["access_token"]).status_code == 401


def test_the_page_names_the_application_the_device_and_the_trick(
    living_room: Party, bob: Surfer
) -> None:
    begun = begin(living_room, scope="openid email")
    first = bob.get(f"/device?user_code={begun['user_code'].lower()}").text
    assert f'value="{begun["user_code"]}"' in first

    page = bob.submit("/device", user_code=begun["user_code"].lower().replace("-", " ")).text

    for words in ("Phone", begun["user_code"], "Bob", "Linux", "127.0.0.1", "read your e-mail"):
        assert words in page
    assert "If somebody sent you this code" in page
    assert 'id="approve"' in page
    assert 'id="deny"' in page


def test_a_link_alone_lets_nothing_in(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    bob.get(f"/device?user_code={begun['user_code']}")

    assert poll(living_room, begun["device_code"])["error"] == "authorization_pending"


def test_who_is_not_signed_in_signs_in_first_and_comes_back(living_room: Party) -> None:
    answer = Surfer(living_room.world).get("/device?user_code=BCDF-GHJK")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?return_to=%2Fdevice%3Fuser_code")


def test_a_device_that_is_turned_away_is_told(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)

    assert "turned away" in decide(bob, begun["user_code"], "deny")

    assert poll(living_room, begun["device_code"])["error"] == "access_denied"
    assert poll(living_room, begun["device_code"])["error"] == "invalid_grant"


def test_a_device_that_asks_too_often_has_to_wait_longer(living_room: Party) -> None:
    code, clock = begin(living_room)["device_code"], living_room.world.clock
    answers = []
    for seconds in (0, 4, 9, 10, 15):
        clock.move(seconds)
        answers.append(poll(living_room, code)["error"])

    assert answers == [
        "authorization_pending",
        "slow_down",
        "slow_down",
        "slow_down",
        "slow_down",
    ]
    clock.move(25)
    assert poll(living_room, code)["error"] == "authorization_pending"


def test_a_code_that_nobody_entered_in_time_is_over(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    living_room.world.clock.move(600)

    assert "not known" in decide(bob, begun["user_code"])
    assert poll(living_room, begun["device_code"])["error"] == "expired_token"


def test_a_code_gives_tokens_once(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    decide(bob, begun["user_code"])

    answers = race(*[lambda: poll(living_room, begun["device_code"])] * 4)

    assert sorted(one.get("error", "tokens") for one in answers) == [
        *["invalid_grant"] * 3,
        "tokens",
    ]


def test_a_code_cannot_be_decided_twice(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    decide(bob, begun["user_code"], "deny")

    assert "not known" in decide(bob, begun["user_code"])
    assert poll(living_room, begun["device_code"])["error"] == "access_denied"


def test_when_the_approving_session_has_ended_nothing_is_let_in(
    living_room: Party, bob: Surfer
) -> None:
    begun = begin(living_room)
    decide(bob, begun["user_code"])
    living_room.end(bob.session_id)

    assert poll(living_room, begun["device_code"])["error"] == "access_denied"


def test_another_application_cannot_take_the_code(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    decide(bob, begun["user_code"])

    assert poll(living_room, begun["device_code"], "mail")["error"] == "invalid_grant"
    assert "access_token" in poll(living_room, begun["device_code"])


def test_the_code_of_another_organization_is_like_none(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room, "mail")

    assert "not known" in decide(bob, begun["user_code"])


def test_guessing_codes_becomes_slow(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    bob.get("/device")
    statuses = [bob.submit("/device", user_code="BBBB-BBBB").status_code for _ in range(5)]

    blocked = bob.submit("/device", user_code=begun["user_code"])

    assert (statuses, blocked.status_code) == ([422] * 5, 429)
    bob.submit("/device/decide", user_code=begun["user_code"], decision="approve")
    assert poll(living_room, begun["device_code"])["error"] == "authorization_pending"
    living_room.world.clock.move(31)
    bob.get("/device")
    assert bob.submit("/device", user_code=begun["user_code"]).status_code == 200


def test_another_site_lets_no_device_in(living_room: Party, bob: Surfer) -> None:
    begun = begin(living_room)
    bob.get("/device")
    fields = {"user_code": begun["user_code"], "decision": "approve"}

    for path in ("/device", "/device/decide"):
        assert bob.post(path, {**fields, "csrf": "x"}).status_code == 403
        own = {**fields, "csrf": bob.csrf}
        assert bob.post(path, own, origin="https://evil.test").status_code == 403
    assert poll(living_room, begun["device_code"])["error"] == "authorization_pending"


def test_only_applications_for_devices_get_a_code(living_room: Party) -> None:
    wiki: Application = living_room.applications["wiki"]
    path = "/v1/applications/acme/wiki/secret"
    made = living_room.world.post(path, headers=living_room.world.admin).json()
    living_room.secrets["wiki"] = made["client_secret"]

    assert wiki.client_id == made["client_id"]
    assert begin(living_room, "wiki")["error"] == "unauthorized_client"
    assert begin(living_room, client_secret="x")["error"] == "invalid_client"
    assert poll(living_room, "x")["error"] == "invalid_grant"
    assert poll(living_room, "")["error"] == "invalid_request"
