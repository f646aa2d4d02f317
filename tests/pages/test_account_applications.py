"""`/account/applications`: where one is signed in, what applications know, and taking it back."""

import pytest
from sqlalchemy import Connection

from iam.directory.applications import Application
from iam.directory.users import find_user
from iam.signin import consents
from tests.support.people import enter
from tests.support.surfer import Surfer
from tests.support.world import World

PATH = "/account/applications"


@pytest.fixture
def entered(world: World, bob: Surfer, applications: dict[str, Application]) -> str:
    """Bob's session at the wiki, which he has let know his name."""

    def allow(connection: Connection) -> None:
        user = find_user(connection, "acme", "bob")
        client = applications["wiki"].client_id
        consents.allow(connection, user.id, client, ["openid", "profile"], world.clock())

    world.engine.database.write(allow)
    return enter(world, bob.session_id, "wiki")


def test_it_says_where_one_is_signed_in_and_what_is_known(
    world: World, bob: Surfer, entered: str
) -> None:
    enter(world, bob.session_id, "phone")
    page = bob.get(PATH).text
    assert "Wiki" in page
    assert "Your name, your user name, your language and your time zone" in page
    assert page.count('action="/account/applications/withdraw"') == 1
    assert "Needs no permission of yours" in page  # of the phone


def test_withdrawing_ends_the_sessions_there_and_nothing_else(
    world: World, bob: Surfer, entered: str
) -> None:
    other = enter(world, bob.session_id, "phone")
    bob.get(PATH)
    answer = bob.submit(f"{PATH}/withdraw", application="wiki")
    assert answer.headers["location"] == f"{PATH}?notice=withdrawn"
    assert "Wiki" not in bob.get(PATH).text
    admin = world.admin
    ended = world.get(f"/v1/sessions/{entered}", headers=admin).json()
    assert ended["end_reason"] == "ended_by_user"
    assert world.get(f"/v1/sessions/{other}", headers=admin).json()["state"] == "active"
    told = world.get("/v1/events?type=consent.withdrawn", headers=admin).json()["items"]
    assert [(one["user"], one["application"]) for one in told] == [("bob", "wiki")]


def test_what_nobody_has_allowed_cannot_be_withdrawn(bob: Surfer, entered: str) -> None:
    for name in ("phone", "mail", "nothing", "", "x" * 300):
        bob.get(PATH)
        assert bob.submit(f"{PATH}/withdraw", application=name).status_code == 404, name


def test_another_page_cannot_withdraw_it(bob: Surfer, entered: str) -> None:
    bob.get(PATH)
    foreign = bob.post(f"{PATH}/withdraw", {"application": "wiki", "csrf": "x"})
    assert foreign.status_code == 403


def test_it_asks_for_a_sign_in_of_the_last_minutes(world: World, bob: Surfer, entered: str) -> None:
    world.clock.move(15 * 60 + 1)
    bob.get(PATH)
    answer = bob.submit(f"{PATH}/withdraw", application="wiki")
    assert answer.headers["location"].startswith("/sign-in/acme?prompt=login")
    assert "Wiki" in bob.get(PATH).text
