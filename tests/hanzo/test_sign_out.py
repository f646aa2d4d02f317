"""Signing out by `logout` and `sso-logout`, and what is left then: nothing, at any door."""

import pytest

from tests.hanzo.conftest import Legacy, bad
from tests.hanzo.test_sign_in import ANN, asked, cookies_of, login
from tests.support.basic import basic


def tokens(legacy: Legacy, cookie: dict[str, str]) -> dict[str, str]:
    """Tokens of application `shop` for whoever has this cookie."""
    code = login(legacy, {"type": "code"}, params=asked(legacy), headers=cookie).json()["data"]
    body = {"grant_type": "authorization_code", "code": code}
    headers = legacy.basic("acme/shop")
    answer = legacy.world.post("/api/login/oauth/access_token", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


def test_logout_ends_the_browser_session_and_what_was_entered_from_it(both: Legacy) -> None:
    cookie = both.cookie("acme", "ann")
    other = both.token("acme", "ann").split(".")[0]
    tokens(both, cookie)

    answer = both.world.post("/api/logout", headers=cookie)

    assert answer.json()["data"] == "acme/ann"
    gone = cookies_of(answer)
    for name in ("iam", "casdoor_session_id", "iam_session_id"):
        assert gone[name] == ""
        assert "Max-Age=0" in gone[f"{name};"]
    assert both.live("acme", "ann", "shop") == []
    assert both.live("acme", "ann", "app-built-in") == [other]
    assert bad(both.world.get("/api/get-account", headers=cookie)) == "Please login first"
    assert both.world.post("/api/logout", headers=cookie).json()["data"] is None


def test_sso_logout_ends_everything_of_the_user_everywhere(both: Legacy) -> None:
    cookie = both.cookie("acme", "ann")
    held = tokens(both, cookie)
    both.token("acme", "ann", "shop")
    others = both.token("acme", "bob").split(".")[0]

    answer = both.post("sso-logout", headers=both.world.bearer(held["access_token"]))

    assert answer["data"] is None
    assert both.live("acme", "ann", "shop") == both.live("acme", "ann", "app-built-in") == []
    assert both.live("acme", "bob", "app-built-in") == [others]


def test_sso_logout_of_the_current_session_leaves_other_devices(both: Legacy) -> None:
    cookie = both.cookie("acme", "ann")
    held = tokens(both, cookie)
    elsewhere = both.token("acme", "ann").split(".")[0]

    both.post("sso-logout", headers=both.world.bearer(held["access_token"]), logoutAll="false")

    assert both.live("acme", "ann", "shop") == []
    assert both.live("acme", "ann", "app-built-in") == [elsewhere]


def test_nobody_signs_out_nobody(legacy: Legacy) -> None:
    for verb in ("logout", "sso-logout"):
        assert legacy.post(verb)["data"] is None
        assert legacy.post(verb, headers=legacy.basic("acme/office"))["data"] is None


@pytest.mark.parametrize(
    "end",
    ["delete-session", "sessions/delete", "sso-logout", "logout", "native", "sign-out page"],
)
def test_a_session_that_ends_through_any_door_is_refused_by_all_in_the_next_call(
    both: Legacy, end: str
) -> None:
    world = both.world
    token = both.token("acme", "ann")
    cookie, own = {"cookie": f"iam_session_id={token}"}, token.split(".")[0]
    held = tokens(both, cookie)
    bearer = world.bearer(held["access_token"])
    row = {"owner": "acme", "name": "ann", "application": "app-built-in"}
    office = both.client("acme/office")
    if end == "delete-session":
        both.post("delete-session", row, sessionId=own, **office)
    elif end == "sessions/delete":
        gone = world.post("/v1/iam/sessions/delete", json=row, params=office)
        assert gone.json() == {"deleted": True}
    elif end in ("logout", "sso-logout"):
        world.post(f"/v1/iam/{end}", headers=cookie)
    elif end == "native":
        world.delete(f"/v1/sessions/{own}", headers=world.admin)
    else:
        page = world.get("/sign-out", headers={"cookie": f"iam={token}"}).text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        world.post("/sign-out", data={"csrf": csrf}, headers={"cookie": f"iam={token}"})

    for headers in (cookie, {"cookie": f"casdoor_session_id={token}"}, world.bearer(token), bearer):
        for verb in ("get-account", "user"):
            assert world.get(f"/api/{verb}", headers=headers).json()["status"] == "error"
    assert world.get("/v1/iam/userinfo", headers=bearer).status_code == 401
    assert world.get("/oauth/userinfo", headers=bearer).status_code == 401
    assert world.get("/v1/session", headers=world.bearer(token)).status_code == 401
    assert world.get("/gate/nginx", headers={"x-forwarded-host": "x"}).status_code in (401, 403)
    quick = login(both, {"type": "code"}, params=asked(both), headers=cookie)
    assert bad(quick) == "Please login first"
    client = both.applications["acme/shop"]
    headers = basic(client)
    asked_of = {"token": held["access_token"]}
    for path in ("/api/login/oauth/introspect", "/v1/iam/oauth/introspect", "/oauth/introspect"):
        assert world.post(path, data=asked_of, headers=headers).json() == {"active": False}
    refresh = {"grant_type": "refresh_token", "refresh_token": held["refresh_token"]}
    for path in ("/api/login/oauth/refresh_token", "/v1/iam/oauth/refresh", "/oauth/token"):
        answer = world.post(path, data=refresh, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_link_signs_nobody_out_but_leads_to_the_page_that_asks(legacy: Legacy) -> None:
    cookie = legacy.cookie("acme", "ann")
    browser = {**cookie, "accept": "text/html,*/*;q=0.8", "sec-fetch-site": "cross-site"}

    asked_out = legacy.world.get(
        "/api/logout?client_id=x&post_logout_redirect_uri=https://a.example", headers=browser
    )
    everywhere = legacy.world.get("/api/sso-logout", headers=browser)

    assert asked_out.status_code == everywhere.status_code == 303
    assert asked_out.headers["location"].startswith("/oauth/logout?")
    assert everywhere.headers["location"] == "/sign-out"
    assert len(legacy.live("acme", "ann", "app-built-in")) == 1


def test_scripts_of_other_sites_sign_nobody_out_and_in(legacy: Legacy) -> None:
    cookie = legacy.cookie("acme", "ann")
    foreign = {**cookie, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}

    for verb in ("logout", "sso-logout", "delete-session", "add-session", "login"):
        body = ANN | {"owner": "acme", "name": "ann"}
        answer = legacy.world.post(f"/api/{verb}", json=body, headers=foreign)
        assert bad(answer) == "Unauthorized operation", verb
        assert "set-cookie" not in answer.headers
    for verb in ("logout", "sso-logout"):
        answer = legacy.world.get(f"/api/{verb}", headers=foreign)
        assert bad(answer) == "Unauthorized operation", verb
        assert "access-control-allow-origin" not in answer.headers, verb
    assert len(legacy.live("acme", "ann", "app-built-in")) == 1


def test_after_sign_out_one_is_led_to_registered_addresses_only(legacy: Legacy) -> None:
    world, client = legacy.world, legacy.applications["acme/shop"]
    there = "https://acme.example/bye"
    change = {"post_logout_redirect_uris": [there]}
    world.patch("/v1/applications/acme/shop", json=change, headers=world.admin)
    form = {"client_id": client["client_id"], "post_logout_redirect_uri": there, "state": "s"}

    cookie = legacy.cookie("acme", "ann")
    elsewhere = {**form, "post_logout_redirect_uri": "https://evil.example/"}
    refused = world.post("/api/logout", data=elsewhere, headers=cookie)
    assert "doesn't exist in the allowed Redirect URI list" in bad(refused)
    assert len(legacy.live("acme", "ann", "app-built-in")) == 1, "nothing half done"
    answer = world.post("/api/logout", data=form, headers=cookie)

    assert answer.headers["location"] == f"{there}?state=s"
    assert legacy.live("acme", "ann", "app-built-in") == []


def test_an_access_token_as_hint_ends_its_session(both: Legacy) -> None:
    cookie = both.cookie("acme", "ann")
    held = tokens(both, cookie)

    for hint in ("id_token", "access_token"):
        if hint == "access_token":
            held = tokens(both, cookie)
        both.post("logout", id_token_hint=held[hint])
        assert both.live("acme", "ann", "shop") == []
    assert len(both.live("acme", "ann", "app-built-in")) == 1
    answer = both.world.post("/api/logout?id_token_hint=nonsense")
    assert bad(answer) == "Token not found, invalid accessToken"
