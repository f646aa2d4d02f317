"""The twenty weaknesses of Casdoor 3.158 that its clients never needed: each is shown not to be here."""

from typing import Any

import pytest
from sqlalchemy import insert

from iam.db.hanzo_tables import added_session_ids
from iam.delivery.logouts import LogoutNotice, make_logout_token
from iam.hanzo.policies import turned_by
from tests.hanzo.conftest import Legacy, bad
from tests.hanzo.test_sign_in import ANN, SHOP, asked, cookies_of, login
from tests.hanzo.test_sign_out import tokens
from tests.support.basic import basic
from tests.support.race import race
from tests.support.world import PASSWORD

ROW = {"owner": "acme", "name": "ann", "application": "shop"}
PK: dict[str, Any] = {"sessionPkId": "acme/ann/shop"}


def test_01_what_lists_show_opens_nothing(both: Legacy) -> None:
    both.token("acme", "ann")
    rows = both.get("get-sessions", **both.client("acme/office"))["data"]

    for shown in [one for row in rows for one in row["sessionId"]]:
        for headers in (
            {"cookie": f"casdoor_session_id={shown}"},
            {"cookie": f"iam={shown}"},
            both.world.bearer(shown),
        ):
            assert both.world.get("/api/get-account", headers=headers).json()["status"] == "error"


def test_02_the_object_that_is_acted_on_is_the_object_that_is_checked(legacy: Legacy) -> None:
    headers = legacy.headers("acme", "ann")
    victim = {"owner": "acme", "name": "bob", "application": "shop"}
    legacy.token("acme", "bob", "shop")

    answer = legacy.world.post("/api/delete-session?id=acme/ann", json=victim, headers=headers)

    assert bad(answer) == "Unauthorized operation"
    assert len(legacy.live("acme", "bob", "shop")) == 1
    query = {"organization": "acme", "owner": "globex"}
    boss = legacy.headers("acme", "boss")
    listed = legacy.world.get("/api/get-sessions", params=query, headers=boss)
    assert bad(listed) == "Unauthorized operation"


def test_03_an_expired_sign_in_signs_nobody_in(both: Legacy) -> None:
    cookie = cookies_of(login(both, SHOP | {"autoSignin": False}))["iam"]
    both.world.clock.move(31 * 60)

    quick = login(both, {"type": "code"}, params=asked(both), headers={"cookie": f"iam={cookie}"})
    query = {"client_id": both.applications["acme/shop"]["client_id"], "response_type": "code"}
    query |= {"redirect_uri": "https://acme.example/cb", "scope": "read"}
    led = both.world.get("/login/oauth/authorize", params=query)
    there = both.world.get(led.headers["location"], headers={"cookie": f"iam={cookie}"})

    assert bad(quick) == "Please login first"
    assert there.headers["location"].startswith("/sign-in")


def test_04_signing_in_makes_a_new_session_and_a_new_secret(both: Legacy) -> None:
    planted = both.token("globex", "eve")
    answer = login(both, ANN, headers={"cookie": f"casdoor_session_id={planted}"})
    first = cookies_of(answer)["casdoor_session_id"]
    again = login(both, ANN, headers={"cookie": f"casdoor_session_id={first}"})
    second = cookies_of(again)["casdoor_session_id"]

    assert len({planted, first, second}) == 3
    for stale in (planted, first):
        headers = {"cookie": f"casdoor_session_id={stale}"}
        assert bad(both.world.get("/api/get-account", headers=headers)) == "Please login first"
    assert (
        both.get("get-account", headers={"cookie": f"casdoor_session_id={second}"})["name"] == "ann"
    )
    assert both.live("globex", "eve", "app-built-in") == []


def test_05_api_credentials_become_no_browser_session(legacy: Legacy) -> None:
    cookie = legacy.cookie("acme", "ann")
    path, admin = "/v1/sessions?state=active&limit=200", legacy.world.admin
    before = legacy.world.get(path, headers=admin).json()["items"]

    for headers in (legacy.basic("acme/office"), {**cookie, **legacy.basic("acme/office")}):
        answer = legacy.world.get("/api/get-sessions", headers=headers)
        assert answer.json()["status"] == "ok"
        assert "set-cookie" not in answer.headers

    assert legacy.world.get(path, headers=admin).json()["items"] == before
    assert legacy.get("get-account", headers=cookie)["name"] == "ann", "no cookie changes hands"


def test_06_every_session_is_in_a_row_and_every_id_of_ours_in_a_row_lives(both: Legacy) -> None:
    client = basic(both.applications["acme/shop"])
    for _ in range(103):
        started = both.world.post("/v1/sessions", json={"user": "ann"}, headers=client)
        assert started.status_code == 201
    tokens(both, both.cookie("acme", "ann"))

    row = both.get("get-session", **PK, **both.client("acme/office"))["data"]

    assert row["sessionId"] == both.live("acme", "ann", "shop")
    assert len(row["sessionId"]) == 104, "none is dropped and lives on"
    assert {info["clientIp"] for info in row["sessionInfos"]} == {"127.0.0.1"}
    described = [info["sessionId"] for info in row["sessionInfos"]]
    assert described == row["sessionId"][-100:]
    both.world.clock.move(31 * 60)
    both.world.sweep()
    assert both.get("get-session", **PK, **both.client("acme/office"))["data"] is None


def test_07_changes_at_once_lose_nothing(both: Legacy) -> None:
    office = both.client("acme/office")
    ours = both.token("acme", "ann", "shop").split(".")[0]

    def add(number: int) -> None:
        body = {**ROW, "sessionId": [f"own-{number}"]}
        both.post("add-session", body, **office)

    race(*[lambda number=number: add(number) for number in range(8)])

    row = both.get("get-session", **PK, **office)["data"]
    assert row["sessionId"][0] == ours
    assert set(row["sessionId"][1:]) == {f"own-{number}" for number in range(8)}


def test_08_no_answer_grows_without_bound(both: Legacy) -> None:
    rows = [
        {
            "organization": "acme",
            "user_name": "ann",
            "application": f"app-{number}",
            "created_at": number,
            "created_time": "",
            "ids": ["x"],
        }
        for number in range(5001)
    ]
    both.world.engine.database.write(lambda c: c.execute(insert(added_session_ids), rows))
    office = both.client("acme/office")

    unpaged = both.world.get("/api/get-sessions", params=office)
    page = both.get("get-sessions", p=500, pageSize=10, **office)

    assert "use p and pageSize" in bad(unpaged)
    assert (len(page["data"]), page["data2"]) == (10, 5001)
    assert page["data"][0]["application"] == "app-10"


def test_09_signing_out_with_a_token_ends_the_browser_session_and_its_tokens(both: Legacy) -> None:
    cookie = both.cookie("acme", "ann")
    held = tokens(both, cookie)

    both.post("sso-logout", logoutAll="false", headers=both.world.bearer(held["access_token"]))

    assert bad(both.world.get("/api/get-account", headers=cookie)) == "Please login first"
    refresh = {"grant_type": "refresh_token", "refresh_token": held["refresh_token"]}
    answer = both.world.post(
        "/api/login/oauth/refresh_token", json=refresh, headers=both.basic("acme/shop")
    )
    assert answer.json()["error"] == "invalid_grant"


def _with_backchannel(legacy: Legacy) -> None:
    change = {"backchannel_logout_uri": "https://acme.example/bye"}
    world = legacy.world
    changed = world.patch("/v1/applications/acme/shop", json=change, headers=world.admin)
    assert changed.status_code == 200, changed.text


def test_10_signing_out_of_one_browser_tells_of_nothing_else(both: Legacy) -> None:
    _with_backchannel(both)
    here, elsewhere = both.cookie("acme", "ann"), both.cookie("acme", "ann")
    held, kept = tokens(both, here), tokens(both, elsewhere)
    sessions = both.live("acme", "ann", "shop")

    both.post("sso-logout", logoutAll="false", headers=both.world.bearer(held["access_token"]))

    told = both.world.get("/v1/deliveries", headers=both.world.admin).json()["items"]
    assert len(told) == 1
    assert both.live("acme", "ann", "shop") == sessions[1:]
    assert both.get("get-account", headers=both.world.bearer(kept["access_token"]))["name"] == "ann"


def test_11_logout_tokens_name_the_session_expire_and_are_sent_until_they_arrive(
    legacy: Legacy,
) -> None:
    _with_backchannel(legacy)
    held = tokens(legacy, legacy.cookie("acme", "ann"))
    [session] = legacy.live("acme", "ann", "shop")
    assert _claims(held["id_token"])["sid"] == _claims(held["access_token"])["sid"] == session

    legacy.post("sso-logout", headers=legacy.world.bearer(held["access_token"]))

    [notice] = legacy.world.get("/v1/deliveries", headers=legacy.world.admin).json()["items"]
    assert notice["state"] == "pending"
    engine = legacy.world.engine
    made = LogoutNotice(
        id="dlv_1", client_id="app", subject="usr", session=session, algorithm="RS256"
    )
    token = make_logout_token(made, engine.keys, engine.settings.issuer, engine.clock())
    assert _claims(token).keys() >= {"sid", "exp", "jti", "events"}
    assert _part(token, 0)["typ"] == "logout+jwt"


def _part(token: str, number: int) -> dict[str, Any]:
    import base64
    import json

    text = token.split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def _claims(token: str) -> dict[str, Any]:
    return _part(token, 1)


def test_12_other_sites_sign_nobody_out(legacy: Legacy) -> None:
    cookie = legacy.cookie("acme", "ann")
    for headers in (
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"accept": "text/html", "sec-fetch-site": "cross-site"},
    ):
        for method in ("GET", "POST"):
            legacy.world.request(method, "/api/sso-logout", headers={**cookie, **headers})
    assert len(legacy.live("acme", "ann", "app-built-in")) == 1


def test_13_a_new_password_ends_the_other_sessions(both: Legacy) -> None:
    mine, other = both.token("acme", "ann"), both.token("acme", "ann")
    held = tokens(both, {"cookie": f"iam={other}"})

    change = {"current_password": PASSWORD, "new_password": "another one 2"}
    answer = both.world.post("/v1/me/password", json=change, headers=both.world.bearer(mine))

    assert answer.status_code == 200
    for gone in (both.world.bearer(other), both.world.bearer(held["access_token"])):
        assert both.world.get("/api/get-account", headers=gone).json()["status"] == "error"
    assert len(both.live("acme", "ann", "app-built-in")) == 1


def test_14_signing_in_quickly_shortens_nothing(both: Legacy) -> None:
    cookie = {"cookie": f"iam={cookies_of(login(both, ANN))['iam']}"}
    [session] = both.live("acme", "ann", "app-built-in")
    before = both.world.get(f"/v1/sessions/{session}", headers=both.world.admin).json()
    both.world.clock.move(10 * 24 * 60 * 60)

    answer = login(both, {"type": "code"}, params=asked(both), headers=cookie)

    assert answer.json()["status"] == "ok", answer.text
    after = both.world.get(f"/v1/sessions/{session}", headers=both.world.admin).json()
    assert after["expires_at"] == before["expires_at"]


@pytest.mark.parametrize(
    "change",
    [{"application": "office"}, {"application": "app-built-in"}, {"organization": "globex"}],
)
def test_15_the_code_is_for_the_application_whose_policy_was_asked(
    legacy: Legacy, change: dict[str, str]
) -> None:
    body = SHOP | {"type": "code"} | change

    answer = login(legacy, body, params=asked(legacy))

    assert bad(answer) == "The application and its client ID do not go together."
    assert legacy.live("acme", "ann", "app-built-in") == []


def test_16_an_exclusive_session_really_ends_the_others(both: Legacy) -> None:
    office = both.client("acme/office")
    first, second = (both.token("acme", "ann", "shop") for _ in range(2))
    both.post("add-session", {**ROW, "sessionId": ["own"]}, **office)
    kept = second.split(".")[0]

    both.post("add-session", {**ROW, "sessionId": [kept], "ExclusiveSignin": True}, **office)

    row = both.get("get-session", **PK, **office)["data"]
    assert row["sessionId"] == [kept]
    assert both.end_reason(first.split(".")[0]) == "exclusive"
    assert both.world.get("/v1/session", headers=both.world.bearer(first)).status_code == 401
    assert both.world.get("/v1/session", headers=both.world.bearer(second)).status_code == 200


@pytest.mark.parametrize("key", ["", "acme", "acme/ann", "acme/ann/shop/x", "//", "acme//shop"])
def test_17_a_malformed_key_is_said_to_be_one_and_a_failure_keeps_its_reason(
    legacy: Legacy, key: str
) -> None:
    office = legacy.client("acme/office")
    for verb in ("get-session", "is-session-duplicated"):
        answer = legacy.world.get(f"/api/{verb}", params={**office, "sessionPkId": key})
        assert bad(answer) == "sessionPkId must have the form owner/name/application."
    legacy.world.clock.move(1)
    login(legacy, ANN | {"password": "wrong one"})
    found = legacy.world.get("/v1/events?organization=acme&limit=1", headers=legacy.world.admin)
    [event] = found.json()["items"]
    assert (event["type"], event["reason"]) == ("sign_in.failed", "credentials")


def test_18_refreshing_takes_the_secret_and_a_used_token_ends_the_session(both: Legacy) -> None:
    held = tokens(both, both.cookie("acme", "ann"))
    [session] = both.live("acme", "ann", "shop")
    client = both.applications["acme/shop"]
    form = {"grant_type": "refresh_token", "refresh_token": held["refresh_token"]}

    def refresh(**more: str) -> int:
        answer = both.world.post("/api/login/oauth/refresh_token", data={**form, **more})
        return answer.status_code

    assert refresh(client_id=client["client_id"]) == 401
    secret = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    assert refresh(**secret) == 200
    both.world.clock.move(120)
    assert refresh(**secret) == 400
    assert both.end_reason(session) == "refresh_reuse"


def test_19_what_was_missing_is_there(both: Legacy) -> None:
    world = both.world
    mine = world.bearer(both.token("acme", "ann"))
    both.token("acme", "ann")
    own = world.get("/v1/me/sessions", headers=mine).json()["items"]
    assert len(own) == 2
    assert {one["device"] for one in own} == {"python-httpx2"}
    assert world.post("/v1/me/sessions/end-others", headers=mine).json()["ended"] == 1
    limit = turned_by({"maxSessions": 1}, "application")
    path = "/v1/policies/applications/acme/shop"
    assert world.patch(path, json=limit, headers=world.admin).status_code == 200
    for _ in range(2):
        both.token("acme", "ann", "shop")
    assert len(both.live("acme", "ann", "shop")) == 1
    found = world.get("/.well-known/openid-configuration").json()
    assert {"revocation_endpoint", "end_session_endpoint"} <= found.keys()
    assert "login" in found["prompt_values_supported"]
    assert found["frontchannel_logout_supported"] is True
    events = world.get("/v1/events?organization=acme", headers=world.admin).json()["items"]
    assert {"session.started", "session.ended"} <= {one["type"] for one in events}


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:1234/cb",
        "http://127.0.0.1/cb",
        "http://casdoor-authenticator/cb",
        "https://abcdef.chromiumapp.org/",
    ],
)
def test_20_no_address_is_good_for_every_application(legacy: Legacy, uri: str) -> None:
    answer = login(legacy, SHOP | {"type": "code"}, params=asked(legacy, redirectUri=uri))
    assert "not registered" in bad(answer)
    origin = {"origin": uri.rsplit("/", 1)[0]}
    preflight = {**origin, "access-control-request-method": "POST"}
    for path in ("/api/get-account", "/api/login", "/api/get-sessions"):
        allowed = legacy.world.request("OPTIONS", path, headers=preflight)
        assert "access-control-allow-origin" not in allowed.headers
    token = legacy.world.request(
        "OPTIONS", "/api/login/oauth/access_token", headers=preflight
    ).headers
    assert token["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in token
