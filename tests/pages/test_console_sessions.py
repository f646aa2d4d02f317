"""`/console/sessions` and `/console/ends`: finding sessions, and ending many of them, without JavaScript."""

import re
from functools import partial
from html import unescape
from urllib.parse import urlencode

import pytest

from iam.kernel.events import Origin, application_actor
from iam.sessions import bulk
from iam.signin.enter import start_for_user
from tests.support.people import enter
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import ADMIN_PASSWORD, World


def _service(world: World, instance: str, user: str = "bob", ip: str = "10.1.2.3") -> str:
    return world.engine.database.write(
        lambda c: start_for_user(
            c,
            organization="acme",
            user=user,
            application="wiki",
            actor=application_actor("acme", "wiki"),
            instance=instance,
            metadata={},
            maximum_lifetime=None,
            origin=Origin(ip=ip),
            device=None,
            now=world.clock(),
            random=world.engine.random,
        )
    ).session.id


def _listed(surfer: Surfer, path: str = "/console/sessions") -> list[str]:
    return re.findall(r'data-session="(ses_\w+)"', surfer.get(path).text)


def _hidden(page: str, *, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes to `action` (of a field that repeats, the last)."""
    [form] = re.findall(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in fields}


def test_live_sessions_are_listed_newest_first_and_ended_ones_apart(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    child = enter(world, bob.session_id, "wiki")
    world.clock.move(1)
    service = _service(world, "newest")
    assert _listed(alice)[0] == service
    assert set(_listed(alice)) == {service, child, alice.session_id, bob.session_id}
    bob.get("/sign-out")
    own = bob.session_id
    bob.submit("/sign-out")
    assert _listed(alice) == [service, alice.session_id]
    assert set(_listed(alice, "/console/sessions?state=ended")) == {own, child}
    assert "Signed out" in alice.page
    assert "Browser session ended" in alice.page
    assert set(_listed(alice, "/console/sessions?state=all")) == {
        own,
        child,
        service,
        alice.session_id,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=bob", {"bob", "service"}),
        ("application=wiki", {"service"}),
        ("ip=10.0.0.0/8", {"service"}),
        ("ip=10.1.2.4", set()),
        ("instance=billing-1", {"service"}),
        ("browser=firefox", {"alice"}),
        ("amr=pwd", {"alice", "bob"}),
        ("started_before=2000-01-01T00:00", set()),
        ("user=bob&application=app-built-in", {"bob"}),
    ],
)
def test_each_filter_finds_what_it_says(
    world: World, alice: Surfer, query: str, found: set[str]
) -> None:
    phone = Surfer(world, user_agent=IPHONE)
    phone.sign_in("acme", "bob")
    ids = {
        "alice": alice.session_id,
        "bob": phone.session_id,
        "service": _service(world, "billing-1"),
    }
    assert set(_listed(alice, f"/console/sessions?{query}")) == {ids[one] for one in found}
    assert alice.page.count('class="chip"') == query.count("=")
    if not found:
        assert "No live session matches" in alice.page


def test_what_is_typed_is_understood_as_a_user_an_address_or_a_session(
    alice: Surfer, bob: Surfer
) -> None:
    for typed, leads_to in (
        ("bob", "/console/sessions?user=bob"),
        ("10.0.0.0/8", "/console/sessions?ip=10.0.0.0%2F8"),
        (bob.session_id, f"/console/sessions/{bob.session_id}"),
    ):
        answer = alice.get("/console/sessions", params={"q": typed})
        assert answer.headers["location"] == leads_to
    alice.get("/console/sessions?user=bo")
    assert 'href="/console/sessions?user=bob"' in alice.page


def test_a_filter_that_cannot_be_understood_lists_nothing_and_ends_nothing(
    alice: Surfer, bob: Surfer, world: World
) -> None:
    for query in ("ip=nowhere", "started_after=yesterday", "started_before=2026-02-31T00:00"):
        assert _listed(alice, f"/console/sessions?{query}") == []
        assert "This filter cannot be used" in alice.page
        name, _, value = query.partition("=")
        alice.get("/console/sessions")
        answer = alice.submit("/console/ends", what="all", **{name: value})
        assert answer.headers["location"].endswith("notice=none")
    assert world.ended(bob.session_id) is None


def test_a_list_is_sorted_by_its_columns_and_paged_without_shifting(
    world: World, alice: Surfer
) -> None:
    ids = []
    for number in range(60):
        world.clock.move(0.01)
        ids.append(_service(world, f"worker-{number:02d}"))
    first = _listed(alice)
    assert len(first) == 50
    more = re.search(r'rel="next" href="([^"]*)"', alice.page)
    assert more is not None
    _service(world, "meanwhile")
    second = _listed(alice, unescape(more[1]))
    assert first + second == [*reversed(ids), alice.session_id]
    by_user = _listed(alice, "/console/sessions?sort=user")
    assert by_user[0] == alice.session_id
    assert 'aria-sort="ascending"' in alice.page


def test_chosen_sessions_end_after_a_preview(world: World, alice: Surfer, bob: Surfer) -> None:
    child = enter(world, bob.session_id, "wiki")
    rest = _service(world, "stays")
    alice.get("/console/sessions?user=bob")
    asked = alice.submit("/console/ends", what="chosen", id=bob.session_id, user="bob")
    assert "End 2 sessions?" in asked.text
    assert world.ended(bob.session_id) is None
    fields = _hidden(asked.text, action="/console/ends/chosen") | {"note": "lost laptop"}
    done = alice.post("/console/ends/chosen", fields)
    assert done.headers["location"].endswith("notice=ended-2")
    assert "2 sessions have ended" in alice.get(done.headers["location"]).text
    assert [world.ended(one) for one in (bob.session_id, child, rest)] == [
        "ended_by_admin",
        "parent_ended",
        None,
    ]


def test_choosing_nothing_changes_nothing(alice: Surfer) -> None:
    alice.get("/console/sessions")
    answer = alice.submit("/console/ends", what="chosen")
    assert "No live session is chosen" in alice.get(answer.headers["location"]).text


def test_choosing_the_own_session_is_a_sign_out_that_is_warned_of(alice: Surfer) -> None:
    alice.get("/console/sessions")
    asked = alice.submit("/console/ends", what="chosen", id=alice.session_id)
    assert "The session you are using is among them" in asked.text
    done = alice.post("/console/ends/chosen", _hidden(asked.text, action="/console/ends/chosen"))
    assert "You are signed out" in done.text
    assert "iam" not in alice.cookies


def test_more_than_a_hundred_end_only_when_their_number_is_typed(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    ids = [_service(world, f"worker-{number}") for number in range(130)]
    alice.get("/console/sessions?application=wiki")
    asked = alice.submit("/console/ends", what="all", application="wiki")
    assert "End 130 sessions?" in asked.text
    world.clock.move(1)
    late = _service(world, "started later")
    [action] = re.findall(r'action="(/console/ends/blk_\w+)"', asked.text)
    fields = _hidden(asked.text, action=action)
    for typed in ("", "13", "all"):
        refused = alice.post(action, fields | {"typed": typed})
        assert (refused.status_code, "Type 130 to confirm" in refused.text) == (422, True)
    assert world.ended(ids[0]) is None
    answer = alice.post(action, fields | {"typed": "130", "note": "drill"})
    assert answer.headers["location"] == action
    assert "<strong>130</strong> of 130 ended" in alice.get(action).text
    assert {world.ended(one) for one in ids} == {"ended_by_admin"}
    assert [world.ended(one) for one in (bob.session_id, alice.session_id, late)] == [None] * 3


def test_many_ends_go_on_form_by_form(
    world: World, alice: Surfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [_service(world, f"worker-{number}") for number in range(30)]
    monkeypatch.setattr(bulk, "take_step", partial(bulk.take_step, limit=5))
    alice.get("/console/sessions")
    asked = alice.submit("/console/ends", what="all", application="wiki")
    [action] = re.findall(r'action="(/console/ends/blk_\w+)"', asked.text)
    alice.post(action, _hidden(asked.text, action=action))
    assert "<strong>20</strong> of 30 ended" in alice.get(action).text
    alice.post(action, _hidden(alice.page, action=action))
    assert "<strong>30</strong> of 30 ended" in alice.get(action).text
    assert {world.ended(one) for one in ids} == {"ended_by_admin"}


def test_all_that_match_leaves_the_own_browser_and_other_tenants_alone(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    alice.get("/console/sessions")
    asked = alice.submit("/console/ends", what="all")
    assert "Your own session here stays" in asked.text
    [action] = re.findall(r'action="(/console/ends/blk_\w+)"', asked.text)
    alice.post(action, _hidden(asked.text, action=action))
    assert [world.ended(one.session_id) for one in (alice, bob, eve)] == [
        None,
        "ended_by_admin",
        None,
    ]


def test_another_administrators_bulk_end_does_not_exist(world: World, alice: Surfer) -> None:
    _service(world, "a")
    alice.get("/console/sessions")
    asked = alice.submit("/console/ends", what="all", application="wiki")
    [action] = re.findall(r'action="(/console/ends/blk_\w+)"', asked.text)
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    assert eve.get(action).status_code == 404
    eve.get("/console/sessions")
    assert eve.submit(action, confirmed="1").status_code == 404


def test_other_tenants_sessions_cannot_be_chosen(world: World, alice: Surfer) -> None:
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    for path in ("/console/ends", "/console/ends/chosen"):
        alice.get("/console/sessions")
        alice.submit(path, what="chosen", confirmed="1", id=eve.session_id)
    alice.get("/console/sessions")
    assert alice.submit("/console/ends", what="all", organization="globex").status_code == 404
    assert world.ended(eve.session_id) is None


def test_the_installations_administrator_sees_all_organizations_at_once(
    world: World, alice: Surfer
) -> None:
    admin = Surfer(world)
    admin.sign_in("built-in", "admin", ADMIN_PASSWORD)
    assert set(_listed(admin)) == {admin.session_id, alice.session_id}
    assert "All organizations" in admin.page
    assert _listed(admin, "/console/sessions?organization=acme") == [alice.session_id]


def test_browser_sessions_come_with_what_was_entered_from_them(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    child = enter(world, bob.session_id, "wiki")
    service = _service(world, "apart")
    listed = _listed(alice, "/console/browsers")
    assert listed.index(child) == listed.index(bob.session_id) + 1
    assert set(listed) == {alice.session_id, bob.session_id, child}
    assert service not in alice.page
    assert _listed(alice, "/console/browsers?user=bob") == [bob.session_id, child]


def test_a_page_that_looks_by_itself_keeps_no_session_alive(world: World, alice: Surfer) -> None:
    for _ in range(4):
        world.clock.move(9 * 60)
        alice.get("/console/sessions", headers={"iam-background": "1"})
        world.write_touches()
    assert world.ended(alice.session_id) == "idle"


def test_somebody_at_the_page_keeps_their_session_alive(world: World, alice: Surfer) -> None:
    for _ in range(4):
        world.clock.move(9 * 60)
        assert alice.get("/console/sessions").status_code == 200
        world.clock.move(1)
        world.write_touches()
    assert world.ended(alice.session_id) is None


def test_what_people_call_themselves_is_text_and_no_markup(world: World, alice: Surfer) -> None:
    _service(world, "<script>alert(1)</script>")
    for path in ("/console/sessions?instance=<b>x</b>", "/console/sessions", "/console/browsers"):
        page = alice.get(path).text
        assert "<script>alert" not in page
        assert "<b>x" not in page


@pytest.mark.parametrize("value", ["100%", "%(user)s", "<img src=x>"])
def test_a_method_that_nobody_knows_is_shown_as_it_is(alice: Surfer, value: str) -> None:
    """What stands in an address is no sentence of ours: no markup, and nothing to fill in."""
    page = alice.get("/console/sessions?" + urlencode({"amr": value}))
    assert page.status_code == 200
    assert "<img src=x" not in page.text
    assert value in unescape(page.text)
