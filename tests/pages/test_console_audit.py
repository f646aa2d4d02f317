"""`/console/audit`: finding what happened, and taking it along."""

import csv
import io
import json
import re

import pytest

from iam.audit.search import EventFilter, search_events
from iam.kernel.events import EVENT_TYPES, Event
from iam.web.event_words import event_name
from tests.support.people import populate
from tests.support.surfer import Surfer
from tests.support.world import ADMIN_PASSWORD, World


def _names(page: str) -> list[str]:
    return re.findall(r'class="event-name">([^<]*)<', page)


def test_events_are_found_by_what_whom_and_where(world: World, alice: Surfer) -> None:
    Surfer(world).sign_in("acme", "bob", "wrong")
    assert _names(alice.get("/console/audit?type=sign_in.failed").text) == ["Sign-in failed"]
    assert "user name or password not right" in alice.page
    assert _names(alice.get("/console/audit?user=bob").text) == ["Sign-in failed"]
    assert _names(alice.get("/console/audit?user=nobody").text) == []
    assert "No event matches" in alice.page
    of_session = _names(alice.get(f"/console/audit?session={alice.session_id}").text)
    assert sorted(of_session) == ["Session started", "Signed in"]
    assert _names(alice.get("/console/audit?since=2100-01-01T00:00").text) == []
    assert _names(alice.get("/console/audit?since=tomorrow").text) == []
    assert "give a time such as" in alice.page


def test_pages_of_events_do_not_overlap(world: World, alice: Surfer) -> None:
    for _ in range(30):
        world.clock.move(1)
        Surfer(world).sign_in("acme", "bob")
    first = re.findall(r"evt_\w{26}", alice.get("/console/audit").text)
    following = re.search(r'rel="next" href="([^"]*)"', alice.page)
    assert following is not None
    second = re.findall(r"evt_\w{26}", alice.get(following[1].replace("&amp;", "&")).text)
    assert len(set(first)) == 50
    assert set(first) & set(second) == set()
    # Three of each sign-in but the first, which is from no new device; and what there was before.
    assert len(set(first) | set(second)) == 91


def test_a_search_without_an_index_looks_at_a_bounded_number(
    both_worlds: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iam.audit.search.LOOKED_AT", 5)
    world = both_worlds
    populate(world)
    Surfer(world).sign_in("acme", "bob", "wrong")
    for _ in range(6):
        world.clock.move(1)
        Surfer(world).sign_in("acme", "alice")
    wanted = EventFilter(organization="acme", type="sign_in.failed")
    found: list[Event] = []
    turns, before = 0, None
    while True:
        page = world.engine.database.read(
            lambda c, at=before: search_events(c, wanted, before=at)  # type: ignore[misc] # mypy cannot infer defaults
        )
        found += page.events
        turns += 1
        before = page.next
        if before is None:
            break
    assert [one.type for one in found] == ["sign_in.failed"]
    assert turns == 4


def test_what_was_found_is_exported_and_no_spreadsheet_runs_it(world: World, alice: Surfer) -> None:
    nasty = Surfer(world, user_agent="=HYPERLINK(1)")
    nasty.sign_in("acme", "bob", "wrong")
    answer = alice.get("/console/audit/export?format=csv&type=sign_in.failed")
    assert answer.headers["content-disposition"] == 'attachment; filename="events.csv"'
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["type"], row["user"], row["user_agent"]) == (
        "sign_in.failed",
        "bob",
        "'=HYPERLINK(1)",
    )
    events = json.loads(alice.get("/console/audit/export?format=json").text)
    assert {one["organization"] for one in events} == {"acme"}
    assert len(events) == 3
    assert alice.get("/console/audit/export?since=tomorrow").status_code == 422


def test_the_installations_administrator_reads_all_of_it(world: World, alice: Surfer) -> None:
    admin = Surfer(world)
    admin.sign_in("built-in", "admin", ADMIN_PASSWORD)
    page = admin.get("/console/audit").text
    assert "Installation set up" in page
    assert "alice (acme)" in page


def test_every_type_of_event_has_a_name_in_words() -> None:
    assert [one for one in EVENT_TYPES if event_name(one) == one] == []


def test_a_page_that_is_seen_from_elsewhere_is_in_the_sessions_story(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    world.clock.move(61)
    world.address = "203.0.113.9"
    bob.get("/account/sessions")
    world.clock.move(1)

    world.write_touches()

    page = alice.get(f"/console/sessions/{bob.session_id}").text
    assert "Used from elsewhere" in page
    assert "before: 127.0.0.1" in page
