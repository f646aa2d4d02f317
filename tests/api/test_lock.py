"""Locked sessions through the API: they stay, and are refused until their user unlocks them."""

from typing import Any

import httpx2
import pytest

from iam.kernel.clock import to_iso
from iam.kernel.secrets import parse_token
from tests.support.basic import basic
from tests.support.people import enter, populate
from tests.support.surfer import Surfer
from tests.support.tenants import Tenant
from tests.support.world import PASSWORD, World


def _id(token: str) -> str:
    return token.split(".", maxsplit=1)[0]


def _told(world: World, token: str) -> str:
    answer = world.get("/v1/session", headers=world.bearer(token))
    return str(answer.json().get("code", "valid"))


def _unlock(world: World, token: str, password: str = PASSWORD) -> httpx2.Response:
    return world.post(
        "/v1/session/unlock", json={"password": password}, headers=world.bearer(token)
    )


def _lock(world: World, token: str, by: dict[str, str]) -> dict[str, Any]:
    answer = world.post(f"/v1/sessions/{_id(token)}/lock", headers=by)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_locked_session_lives_on_and_is_refused_until_its_user_unlocks_it(
    both_worlds: World,
) -> None:
    world = both_worlds
    populate(world)
    token = world.sign_in("acme", "bob", "wiki")
    alice = world.bearer(world.sign_in("acme", "alice"))
    world.clock.move(1)

    locked = _lock(world, token, alice)

    assert (locked["state"], locked["locked_at"]) == ("active", to_iso(world.clock()))
    refused = world.get("/v1/session", headers=world.bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (401, "session_locked")
    assert "session_locked" in refused.headers["www-authenticate"]
    for path in ("/v1/me/sessions", "/v1/me/password"):
        method = "POST" if path.endswith("password") else "GET"
        assert world.request(method, path, headers=world.bearer(token)).status_code == 401
    (judged,) = world.post("/v1/sessions/validate", json={"tokens": [token]}, headers=alice).json()
    assert judged == {"code": "session_locked", "end_reason": None}
    record = world.get("/v1/session-records/acme/bob/wiki", headers=alice).json()
    assert record["session_ids"] == [_id(token)]
    world.clock.move(60)
    assert _lock(world, token, alice)["locked_at"] == locked["locked_at"], "locked once is locked"

    unlocked = _unlock(world, token)

    assert unlocked.status_code == 200, unlocked.text
    new = unlocked.json()["token"]
    assert parse_token(new).session_id == _id(token) == unlocked.json()["session"]["id"]
    assert unlocked.json()["session"]["authenticated_at"] == to_iso(world.clock())
    assert (_told(world, new), _told(world, token)) == ("valid", "session_unknown")
    timeline = world.get(f"/v1/sessions/{_id(token)}/timeline", headers=alice).json()["items"]
    told = [(one["type"], one["actor"]) for one in timeline if one["type"].startswith("session.")]
    assert told[:2] == [
        ("session.started", "user:acme/bob"),
        ("session.locked", "user:acme/alice"),
    ]
    assert set(told[2:]) == {
        ("session.unlocked", "user:acme/bob"),
        ("session.rotated", "user:acme/bob"),
    }


def test_a_browser_session_is_locked_and_unlocked_with_what_was_entered_from_it(
    both_worlds: World,
) -> None:
    world = both_worlds
    populate(world)
    browser = world.sign_in("acme", "bob")
    child, apart = enter(world, _id(browser), "wiki"), enter(world, _id(browser), "phone")
    alice = world.bearer(world.sign_in("acme", "alice"))

    def locked() -> set[str]:
        page = world.get("/v1/sessions?state=locked&count=exact", headers=alice).json()
        assert page["count"] == len(page["items"])
        return {one["id"] for one in page["items"]}

    world.post(f"/v1/sessions/{apart}/lock", headers=alice)
    assert locked() == {apart}
    assert _told(world, browser) == "valid"
    world.clock.move(1)
    _lock(world, browser, alice)
    assert locked() == {_id(browser), child, apart}

    token = _unlock(world, browser).json()["token"]

    assert locked() == {apart}, "what was locked by itself is unlocked by itself"
    assert _told(world, token) == "valid"
    events = world.get("/v1/events?user=bob&type=session.locked", headers=alice).json()["items"]
    parents = {one["session"]: one["data"].get("parent") for one in events}
    assert parents == {_id(browser): None, child: _id(browser), apart: _id(browser)}
    ended = world.post("/v1/sessions/end", json={"filter": {"state": "locked"}}, headers=alice)
    assert ended.json()["ids"] == [apart]


def test_people_lock_their_own_sessions_and_no_others(world: World, acme: Tenant) -> None:
    own, other = world.sign_in("acme", "ann"), world.sign_in("acme", "ann")
    boss = world.sign_in("acme", "boss")

    for wanted, status in ((other, 200), (boss, 404), (own, 200)):
        answer = world.post(f"/v1/me/sessions/{_id(wanted)}/lock", headers=world.bearer(own))
        assert answer.status_code == status

    assert (_told(world, own), _told(world, other)) == ("session_locked", "session_locked")
    assert _told(world, boss) == "valid"


def test_who_may_end_a_session_may_lock_it(world: World, acme: Tenant, rival: Tenant) -> None:
    place = f"/v1/sessions/{acme.session}/lock"
    for headers, status in (
        ({}, 401),
        (acme.user, 403),
        (rival.administrator, 404),
        (rival.client, 404),
        (acme.client, 200),
        (acme.administrator, 200),
    ):
        assert world.post(place, headers=headers).status_code == status
    missing = world.post(f"/v1/sessions/ses_{'0' * 26}/lock", headers=acme.administrator)
    assert missing.status_code == 404


def test_an_ended_session_is_neither_locked_nor_unlocked(world: World, acme: Tenant) -> None:
    _lock(world, acme.token, acme.administrator)
    world.delete(f"/v1/sessions/{acme.session}", headers=acme.administrator)

    answer = world.post(f"/v1/sessions/{acme.session}/lock", headers=acme.administrator)
    assert (answer.status_code, answer.json()["code"]) == (409, "session_over")
    refused = _unlock(world, acme.token)
    assert (refused.status_code, refused.json()["end_reason"]) == (401, "ended_by_admin")


def test_a_locked_session_reaches_its_deadlines_all_the_same(world: World, acme: Tenant) -> None:
    _lock(world, acme.token, acme.administrator)
    world.clock.move(30 * 60)

    refused = _unlock(world, acme.token)

    assert (refused.status_code, refused.json()["end_reason"]) == (401, "idle")


def test_unlocking_cannot_be_used_to_guess_the_password(world: World, acme: Tenant) -> None:
    _lock(world, acme.token, acme.administrator)
    for _ in range(5):
        refused = _unlock(world, acme.token, "guess")
        assert (refused.status_code, refused.json()["code"]) == (403, "password_wrong")

    assert _unlock(world, acme.token).status_code == 429
    assert _told(world, acme.token) == "session_locked"
    world.clock.move(31)
    assert _unlock(world, acme.token).status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", f"ses_{'0' * 26}.{'A' * 43}"])
def test_only_a_locked_session_can_be_unlocked_and_only_by_its_holder(
    world: World, acme: Tenant, token: str
) -> None:
    _lock(world, acme.token, acme.administrator)
    assert _unlock(world, token).status_code == 401
    assert _unlock(world, f"{acme.session}.{'A' * 43}").json()["code"] == "session_unknown"
    fresh = world.sign_in("acme", "ann")
    answer = _unlock(world, fresh)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_locked")


def test_a_child_is_not_unlocked_while_its_browser_session_is_locked(world: World) -> None:
    populate(world)
    surfer = Surfer(world)
    surfer.sign_in("acme", "bob")
    surfer.visit("docs.acme.example")
    child = surfer.cookies["iam-app"]
    _lock(world, surfer.cookies["iam"], world.admin)

    answer = _unlock(world, child)

    assert (answer.status_code, answer.json()["code"]) == (409, "parent_locked")


def test_what_a_back_end_started_is_locked_by_it_and_stays_without_a_password(
    world: World,
) -> None:
    world.make_organization("acme")
    world.make_user("acme", "robot", password=None)
    client = basic(world.make_application("acme", "shop"))
    started = world.post("/v1/sessions", json={"user": "robot"}, headers=client).json()
    _lock(world, started["token"], client)

    refused = _unlock(world, started["token"], "")

    assert (refused.status_code, refused.json()["code"]) == (403, "password_wrong")
    assert world.delete(f"/v1/sessions/{_id(started['token'])}", headers=client).status_code == 204
