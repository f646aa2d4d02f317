"""The page where somebody without room for one more session says which of theirs ends."""

import re

import pytest

from iam.directory.applications import Application
from iam.sessions.model import EndReason
from tests.support.people import enter
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import PASSWORD, World

Applications = dict[str, Application]


def limit(world: World, **policy: object) -> None:
    answer = world.patch(
        "/v1/policies/organizations/acme", json={"at_limit": "ask", **policy}, headers=world.admin
    )
    assert answer.status_code == 200, answer.text


def ticket(surfer: Surfer) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', surfer.page)
    assert found is not None, surfer.page
    return found[1]


def shown(surfer: Surfer) -> list[str]:
    return re.findall(r'name="(ses_[0-9a-z]+)"', surfer.page)


@pytest.fixture
def crowded(world: World, bob: Surfer) -> Surfer:
    """A second browser of bob's, who may be signed in in one place, after the right password."""
    limit(world, maximum_sessions=1)
    phone = Surfer(world, IPHONE)
    assert phone.sign_in("acme", "bob").status_code == 200
    return phone


def test_who_has_no_room_is_shown_where_they_are_signed_in(crowded: Surfer, bob: Surfer) -> None:
    assert shown(crowded) == [bob.session_id]
    assert "Firefox on Linux" in crowded.page
    assert "Active" in crowded.page
    assert "iam" not in crowded.cookies, "nobody is signed in yet"
    assert bob.get("/account/sessions").status_code == 200


def test_who_chooses_is_signed_in_and_what_they_chose_has_ended(
    world: World, crowded: Surfer, bob: Surfer
) -> None:
    answer = crowded.submit(
        "/choose-sessions",
        ticket=ticket(crowded),
        return_to="/account/sessions",
        **{bob.session_id: "1"},
    )

    assert answer.status_code == 303
    assert answer.headers["location"] == "/account/sessions"
    assert crowded.get("/account/sessions").status_code == 200
    bob.get("/sign-in")
    assert "You ended this session from another device" in bob.page


def test_who_chooses_too_few_is_asked_again(crowded: Surfer, bob: Surfer) -> None:
    answer = crowded.submit("/choose-sessions", ticket=ticket(crowded))

    assert answer.status_code == 409
    assert "Choose at least 1 session to end." in crowded.page
    again = crowded.submit("/choose-sessions", ticket=ticket(crowded), **{bob.session_id: "1"})
    assert again.status_code == 303


def test_a_ticket_is_good_once(crowded: Surfer, bob: Surfer) -> None:
    fields = {"ticket": ticket(crowded), bob.session_id: "1"}
    csrf = crowded.csrf
    assert crowded.post("/choose-sessions", {"csrf": csrf, **fields}).status_code == 303
    crowded.cookies.clear()
    crowded.get("/sign-in")

    replayed = crowded.submit("/choose-sessions", **fields)

    assert replayed.status_code == 422
    assert "choice_expired" in crowded.page
    assert "iam" not in crowded.cookies


def test_a_ticket_is_good_for_five_minutes(world: World, crowded: Surfer, bob: Surfer) -> None:
    world.clock.move(300)

    answer = crowded.submit("/choose-sessions", ticket=ticket(crowded), **{bob.session_id: "1"})

    assert answer.status_code == 422
    assert bob.get("/account/sessions").status_code == 200


def test_a_ticket_is_worth_nothing_in_another_browser(
    world: World, crowded: Surfer, bob: Surfer
) -> None:
    thief = Surfer(world)
    thief.get("/sign-in")

    answer = thief.submit("/choose-sessions", ticket=ticket(crowded), **{bob.session_id: "1"})

    assert answer.status_code == 422
    assert "iam" not in thief.cookies
    assert bob.get("/account/sessions").status_code == 200


def test_a_ticket_ends_with_the_password_it_stands_for(
    world: World, crowded: Surfer, bob: Surfer
) -> None:
    world.patch("/v1/users/acme/bob", json={"password": "another one 2"}, headers=world.admin)

    answer = crowded.submit("/choose-sessions", ticket=ticket(crowded))

    assert answer.headers["location"].startswith("/sign-in")
    assert "iam" not in crowded.cookies


def test_nobody_can_name_sessions_of_others(world: World, crowded: Surfer, alice: Surfer) -> None:
    answer = crowded.submit("/choose-sessions", ticket=ticket(crowded), **{alice.session_id: "1"})

    assert answer.status_code == 409
    assert alice.get("/account/sessions").status_code == 200


def test_a_page_of_another_site_cannot_choose(crowded: Surfer, bob: Surfer) -> None:
    fields = {"ticket": ticket(crowded), bob.session_id: "1"}

    assert crowded.post("/choose-sessions", fields).status_code == 403
    forged = crowded.post(
        "/choose-sessions", {"csrf": crowded.csrf, **fields}, origin="https://evil.example"
    )
    assert forged.status_code == 403
    assert bob.get("/account/sessions").status_code == 200


def test_where_the_policy_refuses_the_page_says_so(world: World, bob: Surfer) -> None:
    limit(world, maximum_sessions=1, at_limit="refuse")
    phone = Surfer(world, IPHONE)

    answer = phone.sign_in("acme", "bob")

    assert answer.status_code == 409
    assert "as many places as the policy allows" in phone.page
    assert "iam" not in phone.cookies


def test_signing_in_again_in_the_same_browser_needs_no_room(world: World, bob: Surfer) -> None:
    limit(world, maximum_sessions=1, at_limit="refuse")
    former = bob.session_id

    assert bob.sign_in("acme", "bob").status_code == 303

    assert bob.session_id == former, "the session that is there goes on"


def test_who_asks_to_be_kept_when_they_sign_in_again_is_given_another_session(
    world: World, bob: Surfer
) -> None:
    former = bob.session_id

    assert bob.sign_in("acme", "bob", remember="1").status_code == 303

    assert bob.session_id != former


def test_who_wants_to_enter_a_full_application_chooses_and_enters(
    world: World, applications: Applications, bob: Surfer
) -> None:
    there = enter(world, bob.session_id, "wiki")
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    answer = world.patch(
        "/v1/policies/applications/acme/wiki",
        json={"maximum_sessions": 1, "at_limit": "ask"},
        headers=world.admin,
    )
    assert answer.status_code == 200
    back = "/gate/enter?rd=http%3A%2F%2Fdocs.acme.example%2F&state=" + "s" * 43

    ahead = phone.get(back)

    assert ahead.status_code == 303, ahead.text
    assert ahead.headers["location"].startswith("/choose-sessions?")
    phone.get(ahead.headers["location"])
    assert shown(phone) == [there]
    answer = phone.submit(
        "/choose-sessions",
        application=applications["wiki"].client_id,
        return_to=back,
        **{there: "1"},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    assert "code=" in phone.get(back).headers["location"]
    assert bob.get("/account/sessions").status_code == 200, "only the one that was chosen ended"


def test_who_wants_to_be_kept_signed_in_has_a_cookie_that_stays(surfer: Surfer) -> None:
    surfer.get("/sign-in/acme")
    assert 'name="remember"' in surfer.page

    answer = surfer.submit("/sign-in/acme", username="bob", password=PASSWORD, remember="1")

    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("iam=ses_"))
    assert f"Max-Age={30 * 24 * 60 * 60}" in cookie


def test_everybody_else_has_one_that_ends_with_the_browser(surfer: Surfer) -> None:
    answer = surfer.sign_in("acme", "bob")

    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("iam=ses_"))
    assert "Max-Age" not in cookie


def test_where_nobody_may_be_kept_signed_in_the_page_does_not_offer_it(
    world: World, surfer: Surfer
) -> None:
    limit(world, remember_maximum_lifetime=0)

    surfer.get("/sign-in/acme")
    assert 'name="remember"' not in surfer.page
    answer = surfer.submit("/sign-in/acme", username="bob", password=PASSWORD, remember="1")

    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("iam=ses_"))
    assert "Max-Age" not in cookie


def test_a_mistyped_password_does_not_forget_the_wish_to_be_kept_signed_in(
    surfer: Surfer,
) -> None:
    surfer.get("/sign-in/acme")

    surfer.submit("/sign-in/acme", username="bob", password="wrong wrong", remember="1")

    assert re.search(r'name="remember"[^>]* checked', surfer.page)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (EndReason.EXCLUSIVE, "one session at a time is allowed"),
        (EndReason.LIMIT, "made room for it"),
    ],
)
def test_who_had_to_make_room_is_told(
    world: World, bob: Surfer, reason: EndReason, words: str
) -> None:
    knob = {"exclusive": True} if reason is EndReason.EXCLUSIVE else {"maximum_sessions": 1}
    limit(world, **knob, at_limit="end_oldest")
    assert Surfer(world, IPHONE).sign_in("acme", "bob").status_code == 303

    bob.get("/sign-in")

    assert words in bob.page


def test_who_had_to_choose_has_signed_in_on_that_device(
    world: World, crowded: Surfer, bob: Surfer
) -> None:
    def told() -> int:
        answer = world.get("/v1/events?type=sign_in.new_device", headers=world.admin)
        return len(answer.json()["items"])

    assert told() == 0, "nobody has signed in yet"
    fields = {"ticket": ticket(crowded), bob.session_id: "1"}
    assert crowded.submit("/choose-sessions", **fields).status_code == 303
    assert told() == 1
    crowded.sign_in("acme", "bob")
    assert told() == 1
