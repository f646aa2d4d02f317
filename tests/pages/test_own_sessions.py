"""`/account/sessions`."""

import re

from iam.kernel.events import SYSTEM
from iam.sessions import lifecycle
from tests.support.people import enter
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import World


def _phone(world: World, user: str = "bob") -> Surfer:
    phone = Surfer(world, IPHONE)
    assert phone.sign_in("acme", user).status_code == 303
    return phone


def _listed(surfer: Surfer) -> list[str]:
    """Session IDs on the page, in its order."""
    return re.findall(r'<li class="row" id="(ses_[^"]*)"', surfer.get("/account/sessions").text)


def test_a_stranger_is_sent_to_sign_in_and_comes_back(surfer: Surfer) -> None:
    for path in ("/", "/account"):
        assert surfer.get(path).headers["location"] == "/account/sessions"
    assert surfer.get("/account/sessions").headers["location"] == "/sign-in"
    console = surfer.get("/console/sessions?q=a").headers["location"]
    assert console == "/sign-in?return_to=%2Fconsole%2Fsessions%3Fq%3Da"


def test_sessions_are_shown_by_device_with_the_one_in_use_first(world: World, bob: Surfer) -> None:
    child = enter(world, bob.session_id, "wiki")
    world.clock.move(60)
    phone = _phone(world)
    assert _listed(bob) == [bob.session_id, child, phone.session_id]
    page = bob.page
    assert page.count("This device") == 1
    assert page.count("This session") == 1
    assert page.index("This device") < page.index("Mobile Safari")
    assert "Firefox on Linux" in page
    assert "Wiki" in page
    assert _listed(phone)[0] == phone.session_id


def test_only_live_sessions_are_shown(world: World, bob: Surfer) -> None:
    phone = _phone(world)
    world.clock.move(20 * 60)
    bob.get("/account/sessions")
    world.clock.move(1)
    world.write_touches()
    world.clock.move(15 * 60)  # the phone is idle for too long, and no sweep has noted it
    assert _listed(bob) == [bob.session_id]
    assert world.ended(phone.session_id) == "idle"


def test_another_session_is_ended_at_once(world: World, bob: Surfer) -> None:
    phone = _phone(world)
    bob.get("/account/sessions")
    answer = bob.submit("/account/sessions/end", id=phone.session_id)
    assert answer.headers["location"] == "/account/sessions?notice=ended"
    assert "Signed out there." in bob.get(answer.headers["location"]).text
    assert phone.get("/account/sessions").status_code == 303
    assert world.ended(phone.session_id) == "ended_by_user"
    again = bob.submit("/account/sessions/end", id=phone.session_id)
    assert again.headers["location"] == "/account/sessions?notice=over"


def test_ending_the_session_in_use_is_a_sign_out(world: World, bob: Surfer) -> None:
    browser = bob.session_id
    child = enter(world, browser, "wiki")
    bob.get("/account/sessions")
    answer = bob.submit("/account/sessions/end", id=browser)
    assert "You are signed out" in answer.text
    assert "iam" not in bob.cookies
    assert (world.ended(browser), world.ended(child)) == ("signed_out", "parent_ended")


def test_all_others_are_ended_but_this_browser_and_what_was_entered_from_it(
    world: World, bob: Surfer, alice: Surfer
) -> None:
    own = enter(world, bob.session_id, "wiki")
    phone = _phone(world)
    on_phone = enter(world, phone.session_id, "wiki")
    bob.get("/account/sessions")
    assert bob.submit("/account/sessions/end-others").status_code == 303
    assert _listed(bob) == [bob.session_id, own]
    assert "Sign out all others" not in bob.page
    assert world.ended(on_phone) in ("ended_by_user", "parent_ended")
    assert world.ended(alice.session_id) is None


def test_nobody_ends_or_finds_what_belongs_to_somebody_else(
    world: World, bob: Surfer, alice: Surfer
) -> None:
    eve = Surfer(world)
    assert eve.sign_in("globex", "eve").status_code == 303
    bob.get("/account/sessions")
    for wanted in (alice.session_id, eve.session_id, "ses_" + "0" * 26, "", "x" * 5000, "'; --"):
        answer = bob.submit("/account/sessions/end", id=wanted)
        assert (answer.status_code, "session_not_found" in answer.text) == (404, True)
        bob.get("/account/sessions")
    assert world.ended(alice.session_id) is None
    assert world.ended(eve.session_id) is None
    assert alice.session_id not in bob.get("/account/sessions").text


def test_forms_of_others_are_refused(world: World, bob: Surfer, alice: Surfer) -> None:
    phone = _phone(world)
    alice.get("/account/sessions")
    for csrf in ("", alice.csrf, "x", "é"):
        for path in ("/account/sessions/end", "/account/sessions/end-others"):
            answer = bob.post(path, {"csrf": csrf, "id": phone.session_id})
            assert answer.status_code == 403
    bob.get("/account/sessions")
    fields = {"csrf": bob.csrf, "id": phone.session_id}
    assert bob.post("/account/sessions/end", fields, origin="https://evil.test").status_code == 403
    assert world.ended(phone.session_id) is None


def test_the_token_of_an_application_opens_no_page(world: World, bob: Surfer) -> None:
    child = enter(world, bob.session_id, "wiki")
    rotated = world.engine.database.write(
        lambda c: lifecycle.rotate(
            c, child, actor=SYSTEM, now=world.clock(), random=world.engine.random
        )
    )
    assert rotated is not None
    thief = Surfer(world)
    thief.cookies["iam"] = rotated.token
    assert thief.get("/account/sessions").status_code == 303
    header = {"authorization": f"Bearer {bob.cookies['iam']}"}
    assert Surfer(world).get("/account/sessions", headers=header).status_code == 303
