"""An application is let administer its organization in the console, by whoever has read what that means."""

from typing import Any

import pytest

from tests.support.surfer import Surfer
from tests.support.world import World

NEW, WIKI = "/console/applications/new", "/console/applications/acme/wiki"
SAME = {
    "do": "save",
    "display_name": "Wiki",
    "redirect_uris": "https://wiki.acme.example/callback",
    "gate_hosts": "docs.acme.example",
    "grant_types.authorization_code": "1",
}
LET = {"rights.manages_organization": "1"}


def _manages(world: World, name: str = "wiki") -> Any:
    found = world.get(f"/v1/applications/acme/{name}", headers=world.admin).json()
    return found["manages_organization"]


def test_it_is_let_after_a_question_that_says_what_it_means(world: World, alice: Surfer) -> None:
    page = alice.get(WIKI).text
    assert "Whoever has the secret can do all that an administrator can" in page
    assert "Administers acme" not in page
    question = alice.submit(WIKI, **SAME, **LET)
    assert "Let wiki administer acme?" in question.text
    assert "without a second factor" in question.text
    assert _manages(world) is False
    done = alice.submit(WIKI, **SAME, **LET, confirmed="1")
    assert done.headers["location"] == f"{WIKI}?notice=saved"
    assert _manages(world) is True
    assert "Administers acme" in alice.get(WIKI).text
    told = world.get("/v1/events?organization=acme", headers=world.admin).json()["items"]
    changed = [one["data"]["changed"] for one in told if one["type"] == "application.updated"]
    assert "client" not in changed[0]
    assert "manages_organization" in changed[0]


def test_what_was_let_is_kept_by_other_changes_and_taken_back_without_a_question(
    world: World, alice: Surfer
) -> None:
    alice.get(WIKI)
    alice.submit(WIKI, **SAME, **LET, confirmed="1")
    alice.get(WIKI)
    alice.submit(WIKI, **{**SAME, **LET, "display_name": "The wiki"})
    assert _manages(world) is True
    alice.get(WIKI)
    assert alice.submit(WIKI, **SAME).headers["location"] == f"{WIKI}?notice=saved"
    assert _manages(world) is False


def test_a_new_one_asks_as_well(world: World, alice: Surfer) -> None:
    fields = {"organization": "acme", "name": "back", "kind": "confidential", **LET}
    alice.get(NEW)
    assert "Let back administer acme?" in alice.submit(NEW, **fields).text
    assert "client secret" in alice.submit(NEW, **fields, confirmed="1").text
    assert _manages(world, "back") is True


@pytest.mark.parametrize("confirmed", [{}, {"confirmed": "1"}])
def test_one_without_a_secret_cannot_administer(
    world: World, alice: Surfer, confirmed: dict[str, str]
) -> None:
    alice.get(NEW)
    fields = {"organization": "acme", "name": "app", "kind": "public", **LET, **confirmed}
    answer = alice.submit(NEW, **fields)
    assert answer.status_code == 422
    assert 'id="rights-wrong">Only an application with a secret can administer.' in answer.text
    del fields["rights.manages_organization"]
    alice.submit(NEW, **fields)
    here = "/console/applications/acme/app"
    assert "manages_organization" not in alice.get(here).text
    alice.submit(here, do="save", **LET, **confirmed)
    assert _manages(world, "app") is False
