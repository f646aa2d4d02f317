"""Signing in through the API, and what everybody may do with their own sessions."""

from iam.kernel.secrets import parse_token
from tests.support.world import ISSUER, PASSWORD, World

SIGN_IN = {"organization": "acme", "application": "app-built-in", "username": "ann"}


def test_signing_in_answers_the_session_and_its_token(both_worlds: World) -> None:
    world = both_worlds
    world.make_organization("acme")
    world.make_user("acme", "ann")
    answer = world.post("/v1/sign-in", json={**SIGN_IN, "password": PASSWORD})
    assert answer.status_code == 201
    session, token = answer.json()["session"], answer.json()["token"]
    assert parse_token(token).session_id == session["id"]
    assert answer.headers["location"] == f"/v1/sessions/{session['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert session["amr"] == ["pwd"]
    assert session["state"] == "active"
    assert session["authenticated_at"] == session["created_at"]
    assert world.get("/v1/session", headers=world.bearer(token)).json() == session


def test_unknown_user_wrong_password_and_unknown_places_are_one_answer(world: World) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann")
    answers = [
        world.post("/v1/sign-in", json={**SIGN_IN, "password": PASSWORD, **change}).json()
        for change in (
            {"password": "wrong password"},
            {"username": "nobody"},
            {"organization": "nowhere"},
            {"application": "nothing"},
        )
    ]
    assert [one["code"] for one in answers] == ["credentials_invalid"] * 4
    assert len({str(one) for one in answers}) == 1


def test_guessing_passwords_is_throttled(world: World) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann")
    for _ in range(5):
        world.post("/v1/sign-in", json={**SIGN_IN, "password": "wrong password"})
    answer = world.post("/v1/sign-in", json={**SIGN_IN, "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.json()["code"] == "too_many_attempts"
    assert int(answer.headers["retry-after"]) > 0
    assert world.engine.metrics.sign_ins["throttled"] == 1


def test_without_a_session_the_answer_is_401_with_a_code(world: World) -> None:
    assert world.get("/v1/session").json()["code"] == "authentication_required"
    for token in ("", "x", "ses_0", "ses_" + "0" * 26 + "." + "A" * 43, "\x7f" * 900):
        answer = world.get("/v1/session", headers=world.bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "session_unknown")
        assert "www-authenticate" in answer.headers


def test_signing_out_ends_the_session_and_says_why_afterwards(world: World) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann")
    headers = world.bearer(world.sign_in("acme", "ann"))
    answer = world.delete("/v1/session", headers=headers)
    assert (answer.status_code, answer.headers["x-own-session-ended"]) == (204, "true")
    after = world.get("/v1/session", headers=headers)
    assert after.status_code == 401
    assert after.json()["code"] == "session_ended"
    assert after.json()["end_reason"] == "signed_out"


def test_a_cookie_is_accepted_and_deleted_on_signing_out_but_not_from_another_site(
    world: World,
) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann")
    cookie = {"cookie": f"iam={world.sign_in('acme', 'ann')}"}
    assert world.get("/v1/session", headers=cookie).status_code == 200
    forged = world.delete("/v1/session", headers={**cookie, "origin": "https://evil.example"})
    assert (forged.status_code, forged.json()["code"]) == (403, "csrf_failed")
    own = world.delete("/v1/session", headers={**cookie, "origin": ISSUER})
    assert own.status_code == 204
    assert "Max-Age=0" in own.headers["set-cookie"]


def test_a_session_past_its_deadline_is_refused_and_shown_ended_before_the_sweep(
    world: World,
) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann")
    token = world.sign_in("acme", "ann")
    shown = world.get("/v1/session", headers=world.bearer(token)).json()
    world.clock.move(30 * 60)
    assert world.get("/v1/session", headers=world.bearer(token)).json()["end_reason"] == "idle"
    ended = world.get(f"/v1/sessions/{shown['id']}", headers=world.admin).json()
    assert (ended["state"], ended["end_reason"], ended["ended_by"]) == ("ended", "idle", "system")
    assert ended["ended_at"] == shown["idle_expires_at"]
    record = world.get("/v1/session-records/acme/ann/app-built-in", headers=world.admin).json()
    assert (record["session_ids"], record["created_at"]) == ([], None)
    world.sweep()
    assert world.get(f"/v1/sessions/{shown['id']}", headers=world.admin).json() == ended


def test_i_see_my_live_sessions_of_all_applications_and_nobody_elses(world: World) -> None:
    world.make_organization("acme")
    for name in ("ann", "bob"):
        world.make_user("acme", name)
    world.make_application("acme", "shop")
    token = world.sign_in("acme", "ann")
    at_shop = world.sign_in("acme", "ann", application="shop")
    over = world.sign_in("acme", "ann")
    world.delete("/v1/session", headers=world.bearer(over))
    world.sign_in("acme", "bob")
    page = world.get("/v1/me/sessions", headers=world.bearer(token)).json()
    assert {one["id"] for one in page["items"]} == {t.split(".")[0] for t in (token, at_shop)}
    assert page["next"] is None
    first = world.get("/v1/me/sessions?limit=1", headers=world.bearer(token)).json()
    second = world.get(
        f"/v1/me/sessions?limit=1&cursor={first['next']}", headers=world.bearer(token)
    ).json()
    assert first["items"] + second["items"] == page["items"]


def test_i_end_one_of_my_sessions_and_cannot_end_anybody_elses(world: World) -> None:
    world.make_organization("acme")
    for name in ("ann", "bob"):
        world.make_user("acme", name)
    mine, other, bobs = (world.sign_in("acme", who) for who in ("ann", "ann", "bob"))
    headers = world.bearer(mine)
    answer = world.delete(f"/v1/me/sessions/{other.split('.')[0]}", headers=headers)
    assert answer.status_code == 204
    assert "x-own-session-ended" not in answer.headers
    refused = world.get("/v1/session", headers=world.bearer(other)).json()
    assert refused["end_reason"] == "ended_by_user"
    foreign = world.delete(f"/v1/me/sessions/{bobs.split('.')[0]}", headers=headers)
    unknown = world.delete("/v1/me/sessions/ses_00000000000000000000000000", headers=headers)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert world.get("/v1/session", headers=world.bearer(bobs)).status_code == 200
    own = world.delete(f"/v1/me/sessions/{mine.split('.')[0]}", headers=headers)
    assert own.headers["x-own-session-ended"] == "true"


def test_ending_all_others_leaves_the_one_in_use(world: World) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann")
    others = [world.sign_in("acme", "ann") for _ in range(3)]
    mine = world.sign_in("acme", "ann")
    answer = world.post("/v1/me/sessions/end-others", headers=world.bearer(mine)).json()
    assert answer["ended"] == 3
    assert set(answer["ids"]) == {one.split(".")[0] for one in others}
    assert answer["own_session_ended"] is False
    assert world.get("/v1/session", headers=world.bearer(mine)).status_code == 200
    for one in others:
        assert world.get("/v1/session", headers=world.bearer(one)).status_code == 401
