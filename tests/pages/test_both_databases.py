"""What the pages ask of a database, asked of both."""

import pytest

from tests.support.people import enter, populate
from tests.support.surfer import Surfer
from tests.support.world import World


@pytest.fixture
def alice(both_worlds: World) -> Surfer:
    populate(both_worlds)
    surfer = Surfer(both_worlds)
    assert surfer.sign_in("acme", "alice").status_code == 303
    return surfer


def test_the_way_through_all_pages(both_worlds: World, alice: Surfer) -> None:
    child = enter(both_worlds, alice.session_id, "wiki")
    assert child in alice.get("/account/sessions").text
    assert child in alice.get("/console/records?q=ali").text
    after = "after_user=alice&after_application=app-built-in"
    listed = f"/console/sessions/{alice.session_id}"
    assert listed in alice.get("/console/records").text
    assert listed not in alice.get(f"/console/records?{after}").text
    for query in ("", "?state=all&sort=user", "?ip=10.0.0.0/8", "?user=al", "?browser=Firefox"):
        assert alice.get(f"/console/sessions{query}").status_code == 200
    assert child in alice.get("/console/browsers").text
    assert alice.session_id in alice.get(f"/console/sessions/{child}").text
    record = {"organization": "acme", "user": "alice", "application": "wiki", "confirmed": "1"}
    alice.get("/console/sessions")
    assert alice.submit("/console/sessions/end-record", **record).status_code == 303
    alice.get("/account/sessions")
    assert alice.submit("/account/sessions/end-others").status_code == 303
    assert child not in alice.get("/account/sessions").text
    alice.get("/sign-out")
    assert alice.submit("/sign-out").status_code == 200


def test_what_no_database_can_hold_is_no_fault_of_the_server(alice: Surfer) -> None:
    for path in (
        "/console/sessions?q=%00&organization=acme",
        "/console/sessions?organization=%00",
        "/console/records?after_user=%00&after_application=%ff",
        "/console/sessions?user=%00&device=%ff",
        "/console/sessions?cursor=%00&sort=user",
        "/console/sessions?ip=10.0.0.0/99&started_after=9999-99-99T99:99",
        "/console/browsers?cursor=%00&user=%00",
        "/console/ends/%00",
        "/console/sessions?q=%ed%a0%80",
        "/console/sessions/%00",
        "/console/sessions/%ff",
        "/sign-in/%00",
        "/sign-in/%ed%a0%80",
        "/sign-in?application=%00&organization=%00&return_to=%00",
        "/account/sessions?notice=%00",
    ):
        assert alice.get(path).status_code < 500, path
    for field in ("id", "organization", "user", "application", "back", "username", "csrf"):
        for path in (
            "/console/sessions/end",
            "/console/sessions/end-record",
            "/console/ends",
            "/sign-in",
        ):
            alice.get("/console/sessions")
            assert alice.post(path, {"csrf": alice.csrf, field: "\x00"}).status_code < 500
