"""A person changes their own password."""

from typing import Any

import httpx2

from iam.kernel.secrets import parse_token
from tests.support.people import enter, populate
from tests.support.surfer import Surfer
from tests.support.world import ISSUER, PASSWORD, World

NEW = "open sesame 2"


def _change(world: World, token: str, current: str = PASSWORD, **members: Any) -> httpx2.Response:
    body = {"current_password": current, "new_password": NEW, **members}
    return world.post("/v1/me/password", json=body, headers=world.bearer(token))


def _told(world: World, token: str) -> tuple[str, str | None]:
    answer = world.get("/v1/session", headers=world.bearer(token)).json()
    return answer.get("code", "valid"), answer.get("end_reason")


def test_the_own_session_goes_on_with_a_new_token_and_all_others_are_over(
    both_worlds: World,
) -> None:
    world = both_worlds
    populate(world)
    own, other = world.sign_in("acme", "bob"), world.sign_in("acme", "bob")
    there, alice = world.sign_in("acme", "bob", "wiki"), world.sign_in("acme", "alice")
    child = enter(world, own.split(".")[0], "wiki")

    answer = _change(world, own)

    assert answer.status_code == 200, answer.text
    session, token = answer.json()["session"], answer.json()["token"]
    assert parse_token(token).session_id == session["id"] == own.split(".")[0]
    assert _told(world, token) == ("valid", None)
    assert _told(world, own) == ("session_unknown", None)
    for ended in (other, there):
        assert _told(world, ended) == ("session_ended", "credentials_changed")
    assert _told(world, alice) == ("valid", None)
    admin = world.admin
    assert world.get(f"/v1/sessions/{child}", headers=admin).json()["state"] == "active"
    assert world.sign_in("acme", "bob", password=NEW)
    old = {"organization": "acme", "username": "bob", "password": PASSWORD}
    assert world.post("/v1/sign-in", json=old).status_code == 401
    (event,) = world.get("/v1/events?type=user.updated", headers=admin).json()["items"]
    assert (event["actor"], event["data"]) == ("user:acme/bob", {"changed": ["password"]})


def test_the_others_stay_where_the_person_says_so(world: World) -> None:
    populate(world)
    own, other = world.sign_in("acme", "bob"), world.sign_in("acme", "bob")

    assert _change(world, own, end_others=False).status_code == 200

    assert _told(world, other) == ("valid", None)
    assert _told(world, own) == ("session_unknown", None)


def test_a_browser_gets_the_new_token_as_its_cookie_only(world: World) -> None:
    populate(world)
    surfer = Surfer(world)
    surfer.sign_in("acme", "bob")
    former = surfer.cookies["iam"]
    body = {"current_password": PASSWORD, "new_password": NEW}

    foreign = surfer.send(
        "POST", "/v1/me/password", json=body, headers={"origin": "https://evil.example"}
    )
    assert (foreign.status_code, foreign.json()["code"]) == (403, "csrf_failed")
    answer = surfer.send("POST", "/v1/me/password", json=body, headers={"origin": ISSUER})

    assert (answer.status_code, answer.json()["token"]) == (200, None)
    assert surfer.cookies["iam"] != former
    assert surfer.get("/account/sessions").status_code == 200


def test_a_stolen_token_does_not_let_its_thief_guess_the_password(world: World) -> None:
    populate(world)
    token = world.sign_in("acme", "bob")

    for _ in range(5):
        refused = _change(world, token, "guess")
        assert (refused.status_code, refused.json()["code"]) == (403, "password_wrong")
    throttled = _change(world, token)
    assert (throttled.status_code, throttled.json()["code"]) == (429, "too_many_attempts")
    assert int(throttled.headers["retry-after"]) == 30

    events = world.get("/v1/events?type=sign_in.failed", headers=world.admin).json()["items"]
    assert sorted(one["reason"] for one in events) == ["blocked", *["credentials"] * 4]
    assert {one["session"] for one in events} == {token.split(".")[0]}
    world.clock.move(31)
    assert _change(world, token).status_code == 200


def test_what_cannot_be_a_password_or_is_not_proven_changes_nothing(world: World) -> None:
    populate(world)
    token = world.sign_in("acme", "bob")
    for body, status in (
        ({"current_password": PASSWORD, "new_password": "short"}, 422),
        ({"current_password": PASSWORD}, 422),
        ({"current_password": "not it\0", "new_password": NEW}, 403),
    ):
        answer = world.post("/v1/me/password", json=body, headers=world.bearer(token))
        assert answer.status_code == status
    assert world.post("/v1/me/password", json={}).status_code == 401
    assert _told(world, token) == ("valid", None)
    assert world.sign_in("acme", "bob")
