"""`/account/password`: one's own password, changed on a page."""

import pytest

from tests.support.surfer import IPHONE, Surfer
from tests.support.world import PASSWORD, World

NEW = "a better password"


def _send(surfer: Surfer, **given: str) -> tuple[int, str]:
    surfer.get("/account/password")
    fields = {"current": PASSWORD, "new": NEW, "again": NEW, **given}
    answer = surfer.submit("/account/password", **fields)
    return answer.status_code, answer.headers.get("location", "")


def test_a_new_password_holds_at_once_and_the_old_one_is_out(world: World, bob: Surfer) -> None:
    phone = Surfer(world, user_agent=IPHONE)
    phone.sign_in("acme", "bob")
    former = bob.cookies["iam"]
    assert _send(bob) == (303, "/account/sessions?notice=password")
    assert bob.cookies["iam"] != former
    assert "Your password is changed" in bob.get("/account/sessions?notice=password").text
    assert phone.get("/account/sessions").status_code == 303
    assert Surfer(world).sign_in("acme", "bob").status_code == 401
    assert Surfer(world).sign_in("acme", "bob", NEW).status_code == 303
    stolen = Surfer(world)
    stolen.cookies["iam"] = former
    assert stolen.get("/account/sessions").status_code == 303


def test_the_other_sessions_stay_where_that_is_wanted(world: World, bob: Surfer) -> None:
    phone = Surfer(world, user_agent=IPHONE)
    phone.sign_in("acme", "bob")
    assert _send(bob, keep="1")[0] == 303
    assert phone.get("/account/sessions").status_code == 200


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"current": "not it at all"}, 403, "This is not your password."),
        ({"current": ""}, 422, "Enter the password you have now."),
        ({"new": "short", "again": "short"}, 422, "Use 8 to 256 characters."),
        ({"again": "another password"}, 422, "not the same as the one above"),
    ],
)
def test_a_mistake_changes_nothing_and_shows_no_password(
    world: World, bob: Surfer, given: dict[str, str], status: int, words: str
) -> None:
    assert _send(bob, **given)[0] == status
    assert words in bob.page
    assert PASSWORD not in bob.page
    assert NEW not in bob.page
    assert Surfer(world).sign_in("acme", "bob").status_code == 303


def test_guessing_is_slowed_down_as_at_sign_in(world: World, bob: Surfer) -> None:
    answers = [_send(bob, current=f"guess {number}")[0] for number in range(12)]
    assert 429 in answers


def test_only_our_own_page_changes_a_password(bob: Surfer) -> None:
    fields = {"current": PASSWORD, "new": NEW, "again": NEW, "csrf": "x" * 43}
    assert bob.post("/account/password", fields).status_code == 403
