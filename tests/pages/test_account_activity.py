"""`/account/activity`, and what an open page asks about its session."""

from typing import Any

from tests.support.people import enter
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import World


def _state(surfer: Surfer) -> dict[str, Any]:
    answer = surfer.get("/account/state")
    assert answer.headers["cache-control"] == "no-store"
    state: dict[str, Any] = answer.json()
    return state


def test_activity_tells_sign_ins_ends_and_failures_in_words(world: World, bob: Surfer) -> None:
    enter(world, bob.session_id, "wiki")
    phone = Surfer(world, user_agent=IPHONE)
    world.clock.move(60)
    phone.sign_in("acme", "bob")
    stranger = Surfer(world)
    stranger.sign_in("acme", "bob", "a guess")
    world.clock.move(60)
    bob.get("/account/sessions")
    bob.submit("/account/sessions/end", id=phone.session_id)
    page = bob.get("/account/activity").text
    for words in (
        "Signed in with Firefox on Linux",
        "Entered Wiki",
        "Signed in with Mobile Safari on iOS",
        "Somebody tried to sign in with a wrong password",
        "You signed out Mobile Safari on iOS from another device",
    ):
        assert words in page, words


def test_activity_is_of_oneself_alone(world: World, bob: Surfer) -> None:
    eve = Surfer(world, user_agent=IPHONE)
    eve.sign_in("globex", "eve")
    Surfer(world, user_agent=IPHONE).sign_in("acme", "alice", "a guess")
    page = bob.get("/account/activity").text
    assert "iOS" not in page
    assert "wrong password" not in page
    assert Surfer(world).get("/account/activity").headers["location"].startswith("/sign-in")


def test_old_activity_comes_in_pages(world: World, bob: Surfer) -> None:
    for _ in range(35):
        world.clock.move(1)
        Surfer(world).sign_in("acme", "bob")
    first = bob.get("/account/activity").text
    assert 'rel="next"' in first
    following = first.partition('rel="next" href="')[2].partition('"')[0]
    second = bob.get(following).text
    assert first.count("Signed in with") + second.count("Signed in with") == 36


def test_an_open_page_learns_how_long_it_lives_without_living_longer(
    world: World, bob: Surfer
) -> None:
    assert _state(bob) == {
        "live": True,
        "session": bob.session_id,
        "user": "Bob",
        "idle_left": 30 * 60_000,
        "left": 12 * 3_600_000,
        "idle_timeout": 30 * 60_000,
    }
    world.clock.move(20 * 60)
    assert _state(bob)["idle_left"] == 10 * 60_000
    world.write_touches()
    world.clock.move(10 * 60)
    state = _state(bob)
    assert state["live"] is False
    assert "away for longer" in state["text"]


def test_who_presses_stay_stays(world: World, bob: Surfer) -> None:
    bob.get("/account/sessions")
    world.clock.move(29 * 60)
    answer = bob.submit("/account/stay")
    assert answer.json()["idle_left"] == 30 * 60_000
    world.clock.move(1)
    world.write_touches()
    world.clock.move(29 * 60)
    assert _state(bob)["live"] is True


def test_an_open_page_learns_that_it_is_locked(world: World, alice: Surfer, bob: Surfer) -> None:
    alice.get(f"/console/sessions/{bob.session_id}")
    alice.submit(f"/console/sessions/{bob.session_id}/lock")
    state = _state(bob)
    assert (state["live"], "is locked" in state["text"]) == (False, True)


def test_only_our_own_page_says_that_somebody_is_there(world: World, bob: Surfer) -> None:
    for csrf in ("", "x" * 43):
        assert bob.post("/account/stay", {"csrf": csrf}).status_code == 403
    world.clock.move(31 * 60)
    bob.get("/account/state")
    assert bob.post("/account/stay", {"csrf": ""}).status_code in (303, 403)


def test_an_open_page_learns_why_it_is_over(world: World, alice: Surfer, bob: Surfer) -> None:
    alice.get("/console/sessions")
    alice.submit("/console/sessions/end", id=bob.session_id, confirmed="1")
    assert "An administrator ended this session" in _state(bob)["text"]
    assert _state(Surfer(world)) == {"live": False, "text": "You are signed out."}
    bob.cookies["iam"] = bob.cookies["iam"][:-4] + "AAAA"
    assert _state(bob) == {"live": False, "text": "You are signed out."}
