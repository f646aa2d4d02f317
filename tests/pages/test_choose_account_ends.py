"""Several accounts in one browser: how they end or are locked, and which are left."""

import re
from urllib.parse import urlsplit

from sqlalchemy import Connection

from iam.directory.users import create_user
from iam.kernel.events import SYSTEM
from iam.sessions import lifecycle, store
from iam.sessions.model import EndReason
from tests.support.accounts import PAGE, held, id_of, in_use
from tests.support.people import enter
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD, World


def _ended_by(world: World, session_id: str) -> str:
    session = world.engine.database.read(lambda c: store.read_session(c, session_id))
    assert session is not None
    return str(session.ended_by)


def _end(world: World, session_id: str) -> None:
    world.engine.database.write(
        lambda c: lifecycle.end(
            c,
            [session_id],
            reason=EndReason.ENDED_BY_ADMIN,
            actor=SYSTEM,
            now=world.clock(),
            random=world.engine.random,
        )
    )


def test_an_account_that_has_ended_is_shown_once_as_signed_out(world: World, both: Surfer) -> None:
    bob = id_of(both.cookies["iam-others"])
    both.get(PAGE)
    _end(world, bob)
    # The page that was open before does not make it live.
    assert both.submit(PAGE, account=bob).headers["location"].startswith(PAGE)

    page = both.get(PAGE).text
    over = re.search(r'id="over".*?</ul>', page, re.DOTALL)
    assert over is not None
    assert "Bob" in over[0]
    assert "An administrator ended this session" in over[0]
    assert "login_hint=bob" in over[0]
    assert "iam-others" not in both.cookies
    assert "Bob" not in both.get(PAGE).text


def test_where_the_one_in_use_has_ended_the_others_are_offered(world: World, both: Surfer) -> None:
    bob = both.cookies["iam-others"]
    _end(world, both.session_id)
    sent = both.get("/account/applications").headers["location"]
    sent = both.get(sent).headers["location"]
    assert urlsplit(sent).path == PAGE
    page = both.get(sent).text
    assert "Alice" in page
    assert "Signed out" in page
    assert "iam" not in both.cookies

    answer = both.submit(PAGE, account=id_of(bob), return_to="/account/applications")

    assert answer.headers["location"] == "/account/applications"
    assert both.cookies["iam"] == bob
    assert "iam-others" not in both.cookies


def test_a_page_that_was_open_while_the_one_in_use_ended_still_leads_on(
    world: World, both: Surfer
) -> None:
    bob = both.cookies["iam-others"]
    both.get(PAGE)
    _end(world, both.session_id)
    assert both.submit(PAGE, account=id_of(bob)).status_code == 303
    assert both.cookies["iam"] == bob


def test_signing_out_keeps_the_others_and_says_who_they_are(world: World, both: Surfer) -> None:
    alice, bob = both.session_id, both.cookies["iam-others"]
    both.get("/sign-out")
    page = both.submit("/sign-out").text
    assert "Alice is signed out" in page
    assert "Continue as Bob" in page
    assert (world.ended(alice), world.ended(id_of(bob))) == ("signed_out", None)
    assert "iam" not in both.cookies
    assert both.cookies["iam-others"] == bob

    assert both.submit(PAGE, account=id_of(bob)).headers["location"] == "/account/sessions"
    assert in_use(both) == "Bob"
    both.get("/sign-out")
    assert "You are signed out" in both.submit("/sign-out").text
    assert both.cookies.keys() <= {"iam-device", "iam-flow"}


def test_one_that_is_not_in_use_can_be_signed_out(world: World, both: Surfer) -> None:
    alice, bob = both.cookies["iam"], id_of(both.cookies["iam-others"])
    child = enter(world, bob, "wiki")
    both.get(PAGE)
    page = both.submit(PAGE, sign_out=bob).text
    assert "Bob is signed out" in page
    assert "Continue as Alice" in page
    assert "1 application" in page
    assert (world.ended(bob), world.ended(child)) == ("signed_out", "parent_ended")
    assert both.cookies["iam"] == alice
    assert "iam-others" not in both.cookies
    assert in_use(both) == "Alice"


def test_all_can_be_signed_out_at_once_each_by_themselves(world: World, both: Surfer) -> None:
    alice, bob = both.session_id, id_of(both.cookies["iam-others"])
    both.get(PAGE)
    page = both.submit(PAGE, sign_out="all").text
    assert "You are signed out" in page
    assert {world.ended(alice), world.ended(bob)} == {"signed_out"}
    assert both.cookies.keys() <= {"iam-device"}
    for session_id, who in ((alice, "user:acme/alice"), (bob, "user:acme/bob")):
        assert _ended_by(world, session_id) == who


def test_the_eighth_beside_is_no_more_and_the_one_used_longest_ago_ends(
    world: World, surfer: Surfer
) -> None:
    engine = world.engine
    names = [f"user{number}" for number in range(9)]
    password_hash = engine.passwords.hash(PASSWORD)

    def people(connection: Connection) -> None:
        for name in names:
            create_user(
                connection,
                organization="acme",
                name=name,
                password_hash=password_hash,
                display_name=name.title(),
                email=None,
                roles=[],
                now=world.clock(),
                random=engine.random,
            )

    engine.database.write(people)
    sessions = []
    for name in names:
        assert surfer.sign_in("acme", name).status_code == 303
        sessions.append(surfer.session_id)
        world.clock.move(2)

    assert held(surfer) == set(sessions[1:8])
    assert world.ended(sessions[0]) == "limit"
    assert [world.ended(one) for one in sessions[1:]] == [None] * 8


def test_only_who_asked_to_be_kept_signed_in_outlasts_the_browser(
    world: World, surfer: Surfer
) -> None:
    surfer.sign_in("acme", "bob", remember="1")
    bob = surfer.cookies["iam"]
    answer = surfer.sign_in("acme", "alice")
    alice = surfer.cookies["iam"]
    set_cookies = answer.headers.get_list("set-cookie")
    (kept,) = [one for one in set_cookies if one.startswith("iam-others-kept=")]
    assert bob in kept
    assert re.search(r"Max-Age=[1-9]\d+$", kept)
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept

    answer_to = surfer.get(PAGE)
    assert answer_to.status_code == 200
    switched = surfer.submit(PAGE, account=id_of(bob))
    set_cookies = switched.headers.get_list("set-cookie")
    (current,) = [one for one in set_cookies if one.startswith("iam=")]
    assert "Max-Age" in current
    (brief,) = [one for one in set_cookies if one.startswith("iam-others=")]
    assert alice in brief
    assert "Max-Age" not in brief
    assert "iam-others-kept" not in surfer.cookies


def test_a_locked_account_can_be_chosen_and_has_to_be_unlocked_then(
    world: World, both: Surfer
) -> None:
    bob = id_of(both.cookies["iam-others"])
    locked = world.post(f"/v1/sessions/{bob}/lock", headers=world.admin)
    assert locked.status_code in (200, 204), locked.text
    page = both.get(PAGE).text
    assert "Locked" in page
    both.submit(PAGE, account=bob)
    sent = both.get("/account/sessions").headers["location"]
    sent = both.get(sent).headers["location"]
    assert urlsplit(sent).path == "/unlock"
