"""In which language and time zone a page speaks: what the person said, chose here, or set in the browser."""

from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.surfer import Surfer
from tests.support.world import World


def _changes(world: World) -> list[dict[str, Any]]:
    found = world.get("/v1/events?type=user.updated", headers=world.admin).json()["items"]
    return [event for event in found if event["user"] == "bob"]


def _language(page: str) -> str:
    return page.partition('<html lang="')[2][:2]


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("pt-BR, fr;q=0.4, ja;q=0.7", "ja"),
        ("zh-Hant-TW", "zh"),
        ("en;q=0.1, es;q=0", "en"),
        ("tlh", "en"),
        ("*", "en"),
        ("", "en"),
        (";;;q=, ,de;q=x,\t", "en"),
        ("a" * 8000, "en"),
    ],
)
def test_a_stranger_is_spoken_to_as_their_browser_asks(
    surfer: Surfer, asked: str, spoken: str
) -> None:
    assert _language(surfer.get("/sign-in", headers={"accept-language": asked}).text) == spoken


def test_a_language_that_is_chosen_on_the_page_stays_in_this_browser(surfer: Surfer) -> None:
    german = {"accept-language": "de"}
    page = surfer.get("/sign-in?return_to=/account/activity", headers=german).text
    assert 'href="?return_to=%2Faccount%2Factivity&amp;ui_locales=fr" lang="fr"' in page
    assert _language(surfer.get("/sign-in?ui_locales=fr", headers=german).text) == "fr"
    assert _language(surfer.get("/sign-in", headers=german).text) == "fr"
    assert _language(surfer.get("/sign-in?ui_locales=tlh", headers=german).text) == "fr"


def test_an_application_says_in_which_language_its_user_is_asked(surfer: Surfer) -> None:
    query = "/oauth/authorize?client_id=none&ui_locales=xx%20ja-JP%20de"
    assert _language(surfer.get(query).text) == "ja"


def test_a_cookie_that_is_no_language_says_nothing(surfer: Surfer) -> None:
    surfer.cookies["iam-language"] = "../../etc/passwd"
    assert _language(surfer.get("/sign-in").text) == "en"


def test_what_a_person_prefers_holds_in_every_browser_of_theirs(world: World, bob: Surfer) -> None:
    bob.get("/account/preferences")
    answer = bob.submit("/account/preferences", language="de", zone="Asia/Tokyo")
    assert answer.headers["location"] == "/account/preferences?notice=saved"
    other = Surfer(world)
    other.sign_in("acme", "bob")
    page = other.get("/account/sessions", headers={"accept-language": "es"}).text
    assert _language(page) == "de"
    assert 'data-zone="Asia/Tokyo"' in page
    [event] = _changes(world)
    assert event["data"] == {"changed": ["locale", "zoneinfo"]}


def test_times_are_in_the_zone_that_was_chosen(world: World, bob: Surfer) -> None:
    assert " UTC" in bob.get("/account/sessions").text
    bob.get("/account/preferences")
    bob.submit("/account/preferences", language="", zone="Asia/Tokyo")
    page = bob.get("/account/sessions").text
    assert " JST" in page
    assert " UTC" not in page


def test_a_language_or_zone_that_does_not_exist_changes_nothing(world: World, bob: Surfer) -> None:
    for wrong in ({"language": "xx"}, {"zone": "../../etc/passwd"}, {"zone": "Mars/Olympus"}):
        bob.get("/account/preferences")
        answer = bob.submit("/account/preferences", **wrong)
        assert answer.status_code == 422
    assert _language(bob.get("/account/preferences").text) == "en"
    assert _changes(world) == []


def test_saving_what_is_so_already_is_no_event(world: World, bob: Surfer) -> None:
    for _again in range(2):
        bob.get("/account/preferences")
        assert bob.submit("/account/preferences", language="de", zone="").status_code == 303
    assert len(_changes(world)) == 1


def test_a_zone_that_is_none_any_more_is_utc(world: World, bob: Surfer) -> None:
    gone = sa.text("UPDATE user_account SET zoneinfo = 'Gone/Away' WHERE name = 'bob'")
    world.engine.database.write(lambda c: c.execute(gone))
    assert " UTC" in bob.get("/account/sessions").text


def test_the_form_is_only_taken_from_our_own_page(world: World, bob: Surfer) -> None:
    bob.get("/account/preferences")
    answer = bob.post("/account/preferences", {"csrf": "x", "language": "de"})
    assert answer.status_code == 403
    assert _changes(world) == []


def test_the_api_answers_in_english(world: World) -> None:
    answer = world.get("/v1/session", headers={"accept-language": "de"})
    assert answer.json()["title"] == "This needs a session or client credentials."
