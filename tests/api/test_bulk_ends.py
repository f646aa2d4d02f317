"""Ending many sessions: seen before it is done, confirmed, in steps, or all at once by an instant."""

import json
import time
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from iam.api import progress_api
from iam.kernel.clock import after, to_iso
from iam.kernel.events import NOWHERE, SYSTEM
from iam.sessions import bulk
from iam.signin.enter import start_for_user
from tests.support.basic import basic
from tests.support.people import enter, populate
from tests.support.race import race
from tests.support.world import World


def _shop(world: World, number: int) -> dict[str, str]:
    """Credentials of acme/shop, at which `number` sessions of ann are live."""
    world.make_organization("acme")
    world.make_user("acme", "ann")
    client = basic(world.make_application("acme", "shop"))
    _start(world, number)
    return client


def _start(world: World, number: int) -> None:
    def work(connection: Connection) -> None:
        for _ in range(number):
            start_for_user(
                connection,
                organization="acme",
                user="ann",
                application="shop",
                actor=SYSTEM,
                instance=None,
                metadata={},
                maximum_lifetime=None,
                origin=NOWHERE,
                device=None,
                now=world.clock(),
                random=world.engine.random,
            )

    world.engine.database.write(work)


def _live(world: World, client: dict[str, str]) -> int:
    page = world.get("/v1/sessions?state=active&limit=1&count=exact", headers=client).json()
    count: int = page["count"]
    return count


def _end(world: World, client: dict[str, str], **body: Any) -> Any:
    answer = world.post("/v1/sessions/end", json=body, headers=client)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_filter_of_more_than_a_hundred_needs_the_confirmation_of_its_dry_run(
    both_worlds: World,
) -> None:
    world = both_worlds
    client = _shop(world, 101)
    wanted = {"user": "ann"}

    refused = world.post("/v1/sessions/end", json={"filter": wanted}, headers=client)
    assert (refused.status_code, refused.json()["code"]) == (409, "confirmation_required")
    assert _live(world, client) == 101
    dry = _end(world, client, filter=wanted, dry_run=True)
    assert (dry["count"], len(dry["sample"]), _live(world, client)) == (101, 10, 101)
    world.clock.move(1)
    _start(world, 1)
    done = _end(world, client, filter=wanted, confirm=dry["confirm"], reason="stolen laptop")

    assert (done["ended"], done["processed"], done["more"]) == (101, 101, False)
    assert _live(world, client) == 1, "what started after the dry run was not confirmed"
    again = _end(world, client, filter=wanted, confirm=dry["confirm"])
    assert (again["ended"], again["processed"], _live(world, client)) == (0, 101, 1)
    path = "/v1/events?organization=acme&type=session.ended&limit=200"
    events = world.get(path, headers=world.admin).json()["items"]
    assert [one["data"]["note"] for one in events] == ["stolen laptop"] * 101
    path = "/v1/events?type=sessions.bulk_end"
    (event,) = world.get(path, headers=world.admin).json()["items"]
    assert (event["data"]["sessions"], event["data"]["note"]) == (101, "stolen laptop")


def test_a_confirmation_is_for_its_filter_and_caller_and_for_a_quarter_of_an_hour(
    both_worlds: World,
) -> None:
    world = both_worlds
    client = _shop(world, 3)
    confirm = _end(world, client, filter={"user": "ann"}, dry_run=True)["confirm"]
    admin = world.admin
    mine = {"organization": "acme", "application": "shop", "user": "ann"}
    for headers, body in (
        (client, {"filter": {"browser": "Firefox"}, "confirm": confirm}),
        (admin, {"filter": mine, "confirm": confirm}),
        (client, {"filter": {"user": "ann"}, "confirm": "blk_" + "0" * 26}),
        (client, {"filter": {"user": "ann"}, "confirm": "nonsense"}),
    ):
        refused = world.post("/v1/sessions/end", json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "confirmation_invalid")
    hidden = world.get(f"/v1/sessions/end/{confirm}", headers=admin)
    assert (hidden.status_code, hidden.json()["code"]) == (404, "bulk_end_not_found")
    world.clock.move(15 * 60)
    late = {"filter": {"user": "ann"}, "confirm": confirm}
    refused = world.post("/v1/sessions/end", json=late, headers=client)
    assert refused.json()["code"] == "confirmation_invalid"
    assert _live(world, client) == 3


def test_a_long_end_goes_on_with_its_cursor_and_ends_nothing_twice(
    both_worlds: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = both_worlds
    client = _shop(world, 45)
    monkeypatch.setattr(bulk.take_step, "__kwdefaults__", {"origin": NOWHERE, "limit": 2})
    wanted = {"user": "ann"}
    dry = _end(world, client, filter=wanted, dry_run=True)

    answers = [_end(world, client, filter=wanted, confirm=dry["confirm"])]
    while answers[-1]["more"]:
        cursor = answers[-1]["cursor"]
        told = world.get(f"/v1/sessions/end/{cursor}", headers=client).json()
        assert (told["count"], told["processed"]) == (45, answers[-1]["processed"])
        answers.append(_end(world, client, cursor=cursor))

    assert [one["processed"] for one in answers] == [20, 40, 45]
    ids = [one for answer in answers for one in answer["ids"]]
    assert (len(ids), len(set(ids)), _live(world, client)) == (45, 45, 0)
    told = world.get(f"/v1/sessions/end/{dry['confirm']}", headers=client).json()
    assert (told["more"], told["finished_at"]) == (False, to_iso(world.clock()))


def _progress(world: World, client: dict[str, str], bulk_id: str) -> list[dict[str, Any]]:
    """What the stream of a bulk end shows until it ends."""
    answer = world.get(f"/v1/sessions/end/{bulk_id}/progress", headers=client)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    lines = [one.removeprefix("data: ") for one in answer.text.split("\n\n")]
    return [json.loads(one) for one in lines if one]


def test_whoever_follows_a_bulk_end_sees_how_far_it_is_until_it_is_finished(
    both_worlds: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = both_worlds
    client = _shop(world, 45)
    monkeypatch.setattr(bulk.take_step, "__kwdefaults__", {"origin": NOWHERE, "limit": 2})
    monkeypatch.setattr(progress_api, "_PACE", 0.02)
    dry = _end(world, client, filter={"user": "ann"}, dry_run=True)
    first = _end(world, client, filter={"user": "ann"}, confirm=dry["confirm"])
    cursor = first["cursor"]

    def go_on() -> None:
        while world.engine.metrics.streams == 0:
            time.sleep(0.01)
        while _end(world, client, cursor=cursor)["more"]:
            pass

    shown, _ = race(partial(_progress, world, client, cursor), go_on)

    assert [one["processed"] for one in (shown[0], shown[-1])] == [20, 45]
    assert [one["more"] for one in (shown[0], shown[-1])] == [True, False]
    assert world.engine.metrics.streams == 0
    assert [one["processed"] for one in _progress(world, client, cursor)] == [45]


def test_who_is_no_longer_let_in_follows_no_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shop(world, 45)
    monkeypatch.setattr(bulk.take_step, "__kwdefaults__", {"origin": NOWHERE, "limit": 2})
    monkeypatch.setattr(progress_api, "_PACE", 0.02)
    admin = world.admin
    wanted = {"organization": "acme", "user": "ann"}
    dry = _end(world, admin, filter=wanted, dry_run=True)
    cursor = _end(world, admin, filter=wanted, confirm=dry["confirm"])["cursor"]

    def sign_out() -> None:
        while world.engine.metrics.streams == 0:
            time.sleep(0.01)
        world.delete("/v1/session", headers=admin)

    shown, _ = race(partial(_progress, world, admin, cursor), sign_out)

    assert [one["processed"] for one in shown] == [20]


def test_what_nobody_goes_on_with_the_server_finishes(both_worlds: World) -> None:
    world = both_worlds
    client = _shop(world, 60)
    wanted = {"user": "ann"}
    dry = _end(world, client, filter=wanted, dry_run=True)
    database, random = world.engine.database, world.engine.random
    found = database.read(lambda c: bulk.read_bulk_end(c, dry["confirm"]))
    database.write(
        lambda c: bulk.confirm(
            c,
            found.id,
            found.wanted,
            note=None,
            actor=found.actor,
            now=world.clock(),
            random=random,
        )
    )
    world.sweep()
    assert _live(world, client) == 60, "whoever confirmed it may still be at it"

    world.clock.move(61)
    world.sweep()

    assert _live(world, client) == 0
    told = world.get(f"/v1/sessions/end/{dry['confirm']}", headers=client).json()
    assert (told["processed"], told["more"]) == (60, False)


def test_everything_authenticated_before_an_instant_is_over_at_once(both_worlds: World) -> None:
    world = both_worlds
    populate(world)
    browser = world.sign_in("acme", "bob")
    child = enter(world, browser.split(".")[0], "wiki")
    world.clock.move(60)
    before = to_iso(world.clock())
    later, other = world.sign_in("acme", "bob"), world.sign_in("globex", "eve")
    alice = world.bearer(world.sign_in("acme", "alice"))
    world.clock.move(60)

    body = {"before": before, "reason": "leaked backup"}
    dry = world.post("/v1/sessions/not-before", json={**body, "dry_run": True}, headers=alice)
    assert dry.json() == {"before": before, "ended": 1 + 1, "children": None}
    done = world.post("/v1/sessions/not-before", json=body, headers=alice).json()

    assert done["ended"] + done["children"] == 2
    told = world.get("/v1/session", headers=world.bearer(browser)).json()
    assert (told["code"], told["end_reason"]) == ("session_ended", "ended_by_admin")
    for token in (later, other):
        assert world.get("/v1/session", headers=world.bearer(token)).status_code == 200
    instant = to_iso(world.clock())
    for swept in (False, True):
        shown = world.get(f"/v1/sessions/{child}", headers=alice).json()
        assert (shown["state"], shown["ended_by"], shown["ended_at"]) == (
            "ended",
            "user:acme/alice",
            instant,
        )
        assert shown["end_reason"] in ("ended_by_admin", "parent_ended")
        if not swept:
            world.clock.move(5)
            assert world.sweep() == 2
    assert world.sweep() == 0
    events = world.get("/v1/events?type=session.ended", headers=alice).json()["items"]
    assert {one["session"] for one in events} == {child, browser.split(".")[0]}
    assert {one["actor"] for one in events} == {"user:acme/alice"}
    (event,) = world.get("/v1/events?type=sessions.not_before", headers=alice).json()["items"]
    assert event["data"]["note"] == "leaked backup"


def test_an_instant_ends_what_one_method_of_authentication_proved(both_worlds: World) -> None:
    world = both_worlds
    client = _shop(world, 2)
    token = world.sign_in("acme", "ann", application="shop")
    world.clock.move(1)

    body = {"user": "ann", "amr": "pwd"}
    done = world.post("/v1/sessions/not-before", json=body, headers=client).json()

    assert done["ended"] == 1
    assert world.get("/v1/session", headers=world.bearer(token)).status_code == 401
    assert _live(world, client) == 2


def test_a_timeline_tells_what_happened_to_a_session_oldest_first(both_worlds: World) -> None:
    world = both_worlds
    populate(world)
    browser = world.sign_in("acme", "bob").split(".")[0]
    world.clock.move(1)
    child = enter(world, browser, "wiki")
    world.clock.move(1)
    alice = world.bearer(world.sign_in("acme", "alice"))
    world.delete(f"/v1/sessions/{browser}", headers=alice)

    page = world.get(f"/v1/sessions/{browser}/timeline?limit=200", headers=alice).json()

    told = [(one["type"], one["session"]) for one in page["items"]]
    assert [one for one in told if one[0].startswith("session.")] == [
        ("session.started", browser),
        ("session.started", child),
        ("session.ended", browser),
    ]
    assert [one["id"] for one in page["items"]] == sorted(one["id"] for one in page["items"])
    first = world.get(f"/v1/sessions/{browser}/timeline?limit=1", headers=alice).json()
    rest = world.get(
        f"/v1/sessions/{browser}/timeline?cursor={first['next']}", headers=alice
    ).json()
    assert [*first["items"], *rest["items"]] == page["items"]
    eve = world.bearer(world.sign_in("globex", "eve"))
    assert world.get(f"/v1/sessions/{browser}/timeline", headers=eve).status_code == 404


def test_a_session_goes_on_for_longer_within_its_policy_and_its_browser_session(
    both_worlds: World,
) -> None:
    world = both_worlds
    populate(world)
    alice = world.bearer(world.sign_in("acme", "alice"))
    browser = world.sign_in("acme", "bob").split(".")[0]
    child = enter(world, browser, "wiki")
    world.clock.move(10 * 60)

    def extended(session: str, **body: int) -> str:
        answer = world.post(f"/v1/sessions/{session}/extend", json=body, headers=alice)
        assert answer.status_code == 200, answer.text
        told: str = answer.json()["expires_at"]
        return told

    first = world.get(f"/v1/sessions/{browser}", headers=alice).json()["expires_at"]
    assert extended(child) == first, "not past the browser session"
    assert extended(browser, lifetime=60) == first, "never back"
    assert extended(browser) == to_iso(after(world.clock(), 12 * 60 * 60)) > first
    assert extended(child, lifetime=12 * 60 * 60 - 240) > first
    page = world.get(f"/v1/sessions/{browser}/timeline", headers=alice).json()
    (event,) = [one for one in page["items"] if one["type"] == "session.extended"]
    assert event["data"]["expires_at"] == to_iso(after(world.clock(), 12 * 60 * 60))
    world.delete(f"/v1/sessions/{browser}", headers=alice)
    over = world.post(f"/v1/sessions/{child}/extend", json={}, headers=alice)
    assert (over.status_code, over.json()["code"]) == (409, "session_over")


def test_a_search_takes_networks_instants_and_orders_and_refuses_what_is_none(
    both_worlds: World,
) -> None:
    world = both_worlds
    client = _shop(world, 0)
    for number, ip in enumerate(("10.1.2.3", "10.1.9.9", "2001:db8::7")):
        world.clock.move(1)
        body = {"user": "ann", "ip": ip, "device": f"Firefox on Till {number}"}
        world.post("/v1/sessions", json=body, headers=client)

    def found(query: str) -> list[str]:
        page = world.get(f"/v1/sessions?{query}", headers=client)
        assert page.status_code == 200, page.text
        return [one["ip"] for one in page.json()["items"]]

    assert found("ip=10.1.0.0/16&sort=created_at") == ["10.1.2.3", "10.1.9.9"]
    assert found("ip=2001:db8::/32") == ["2001:db8::7"]
    assert found("browser=firefox&sort=-ip")[0] == "2001:db8::7"
    assert found(f"started_after={to_iso(world.clock())}") == ["2001:db8::7"]
    assert found("device=Firefox%20on%20Till%201") == ["10.1.9.9"]
    for query in ("ip=10.0.0.0/33", "ip=here", "started_after=yesterday", "sort=metadata"):
        assert world.get(f"/v1/sessions?{query}", headers=client).status_code == 422
