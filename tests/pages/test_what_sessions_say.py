"""What pages say of a session: that it is locked, and through which browser session it was entered."""

from typing import Any

from tests.support.people import enter
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import World


def test_ones_own_list_marks_what_is_locked(world: World, bob: Surfer) -> None:
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    assert "Locked" not in bob.get("/account/sessions").text
    world.post(f"/v1/sessions/{phone.session_id}/lock", headers=world.admin)
    page = bob.get("/account/sessions").text
    assert page.count(">Locked<") == 1
    assert "refused until you show your password there" in page


def test_a_session_that_outlives_its_browser_session_says_through_which_it_was_entered(
    world: World, alice: Surfer, bob: Surfer, applications: Any
) -> None:
    lasting = {"idle_timeout": 30 * 86400, "maximum_lifetime": 30 * 86400}
    path = "/v1/policies/applications/acme/phone"
    assert world.patch(path, json=lasting, headers=world.admin).status_code == 200
    child = enter(world, bob.session_id, "phone")
    told = world.get(f"/v1/sessions/{child}", headers=world.admin).json()
    assert (told["parent"], told["entered_through"]) == (None, bob.session_id)
    page = alice.get(f"/console/sessions/{child}").text
    assert "Entered through" in page
    assert f'href="/console/sessions/{bob.session_id}"' in page
    family = alice.get(f"/console/sessions/{bob.session_id}").text
    assert f'href="/console/sessions/{child}"' in family
    assert "outlives it" in family
