"""The keys of the installation: seen and replaced by those of the installation alone."""

import pytest

from tests.support.surfer import Surfer
from tests.support.world import ADMIN_PASSWORD, World

PATH = "/console/keys"


@pytest.fixture
def root(world: World) -> Surfer:
    surfer = Surfer(world)
    assert surfer.sign_in("built-in", "admin", ADMIN_PASSWORD).status_code == 303
    surfer.get(PATH)
    return surfer


def test_new_keys_are_published_and_sign_later(world: World, root: Surfer) -> None:
    before = {one.id for one in world.engine.keys}
    page = root.get(PATH).text
    assert all(one in page for one in before)
    assert "PRIVATE KEY" not in page
    assert root.submit(PATH, do="rotate").headers["location"] == f"{PATH}?notice=rotated"
    after = root.get(PATH).text
    assert after.count(">Next<") == 2
    assert after.count(">Signs<") == 2
    (told,) = world.get("/v1/events?type=keys.rotated", headers=world.admin).json()["items"]
    assert told["actor"] == "user:built-in/admin"


def test_replacing_at_once_asks_and_forgets_the_former_ones(world: World, root: Surfer) -> None:
    before = {one.id for one in world.engine.keys}
    question = root.submit(PATH, do="replace")
    assert "Replace the keys at once?" in question.text
    assert all(one in root.get(PATH).text for one in before)
    root.submit(PATH, do="replace", confirmed="1")
    after = root.get(PATH).text
    assert not any(one in after for one in before)
    assert after.count(">Signs<") == 2


def test_new_saml_keys_are_published_two_weeks_before_they_sign(world: World, root: Surfer) -> None:
    root.submit(PATH, do="saml")
    first = root.get(PATH).text
    assert first.count(">Next<") == 1
    assert "Is encrypted for" in first
    assert "PRIVATE KEY" not in first
    told = world.get("/v1/events?type=keys.rotated", headers=world.admin).json()["items"]
    assert [one["actor"] for one in told] == ["user:built-in/admin"]


def test_it_asks_for_a_sign_in_of_late(world: World, root: Surfer) -> None:
    world.clock.move(15 * 60 + 1)
    root.get(PATH)
    answer = root.submit(PATH, do="rotate")
    assert answer.headers["location"].startswith("/sign-in/built-in?prompt=login")


def test_an_organizations_administrator_sees_and_changes_none(alice: Surfer) -> None:
    assert alice.get(PATH).status_code == 403
    assert PATH not in alice.get("/console/users/new").text
    assert alice.submit(PATH, do="rotate").status_code == 403


def test_an_auditor_of_the_installation_sees_them_and_changes_none(world: World) -> None:
    world.make_user("built-in", "rita", roles=["auditor"])
    rita = Surfer(world)
    rita.sign_in("built-in", "rita")
    page = rita.get(PATH)
    assert page.status_code == 200
    assert "Make new keys" not in page.text
    rita.get("/account/sessions")
    assert rita.submit(PATH, do="rotate").status_code == 403
