"""An error page has a reference by which an administrator finds it in the audit log."""

import re
from typing import Any

from tests.support.surfer import Surfer
from tests.support.world import World


def _reference(page: Any) -> str:
    found = re.search(r"Reference <code>(evt_[0-9a-z]{26})</code>", page.text)
    assert found is not None, page.text
    return found[1]


def test_what_a_person_reads_out_is_found_by_their_administrator(
    world: World, bob: Surfer, alice: Surfer
) -> None:
    page = bob.get("/console/audit?token=hush")
    assert page.status_code == 403
    reference = _reference(page)
    found = alice.get(f"/console/audit?id={reference}").text
    assert "Error page shown" in found
    assert "/console/audit" in found
    assert "hush" not in found
    (event,) = world.get("/v1/events?type=page.refused", headers=world.admin).json()["items"]
    assert (event["id"], event["user"], event["session"]) == (reference, "bob", bob.session_id)
    assert event["data"]["code"] == "forbidden"


def test_errors_before_a_sign_in_are_the_organizations_or_the_installations(
    world: World, surfer: Surfer, alice: Surfer
) -> None:
    own = _reference(surfer.get("/sign-in/acme?application=app_unknown"))
    nobodys = _reference(surfer.get("/oauth/authorize?client_id=unknown&response_type=code"))
    assert "Error page shown" in alice.get(f"/console/audit?id={own}").text
    assert "No event matches" in alice.get(f"/console/audit?id={nobodys}").text
    told = world.get("/v1/events?type=page.refused", headers=world.admin).json()["items"]
    assert {one["id"]: one["organization"] for one in told} == {own: "acme", nobodys: None}


def test_whoever_brings_about_errors_by_the_hundred_fills_no_table(
    world: World, surfer: Surfer
) -> None:
    pages = [surfer.get("/sign-in/nowhere") for _ in range(80)]
    assert all(one.status_code == 404 for one in pages)
    noted = [one for one in pages if "Reference" in one.text]
    assert len(noted) == 60
    assert "Reference" not in pages[-1].text
    world.clock.move(60)
    assert "Reference" in surfer.get("/sign-in/nowhere").text


def test_what_is_well_leaves_nothing(world: World, bob: Surfer) -> None:
    bob.get("/account/sessions")
    bob.get("/sign-in")
    assert world.get("/v1/events?type=page.refused", headers=world.admin).json()["items"] == []
