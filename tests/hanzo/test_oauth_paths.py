"""The OAuth endpoints under their names: forms, JSON and queries, and what is no request at all."""

from typing import Any

import pytest

from tests.hanzo.conftest import Legacy
from tests.hanzo.test_sign_in import asked, login
from tests.hanzo.test_sign_out import tokens

TOKEN = "/api/login/oauth/access_token"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def _secret(legacy: Legacy) -> dict[str, str]:
    made = legacy.applications["acme/shop"]
    return {"client_id": made["client_id"], "client_secret": made["client_secret"]}


def _code(legacy: Legacy) -> str:
    cookie = legacy.cookie("acme", "ann")
    answer = login(legacy, {"type": "code"}, params=asked(legacy), headers=cookie)
    code: str = answer.json()["data"]
    return code


@pytest.mark.parametrize("form", ["data", "json", "params"])
def test_a_code_is_redeemed_by_form_by_json_and_by_query(legacy: Legacy, form: str) -> None:
    body = {"grant_type": "authorization_code", "code": _code(legacy), **_secret(legacy)}

    answer = legacy.world.post(TOKEN, **{form: body})

    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["id_token"]


def test_credentials_that_come_twice_count_as_the_body_has_them(legacy: Legacy) -> None:
    body = {"grant_type": "authorization_code", "code": _code(legacy), **_secret(legacy)}
    other = legacy.basic("acme/office")

    assert legacy.world.post(TOKEN, json=body, headers=other).status_code == 200
    body = {**body, "code": _code(legacy), "client_secret": "wrong"}
    mine = legacy.basic("acme/shop")
    assert legacy.world.post(TOKEN, json=body, headers=mine).status_code == 401


def test_a_redirect_address_that_is_named_has_to_be_the_one(legacy: Legacy) -> None:
    body = {"grant_type": "authorization_code", "code": _code(legacy), **_secret(legacy)}

    wrong = legacy.world.post(TOKEN, json={**body, "redirect_uri": "https://evil.example/"})

    assert wrong.json()["error"] == "invalid_grant"
    ours = {**body, "code": _code(legacy)}
    assert legacy.world.post("/oauth/token", data=ours).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("path", ["/oauth/refresh", "/v1/iam/oauth/refresh"])
def test_hanzo_refreshes_at_its_own_paths(legacy: Legacy, path: str) -> None:
    held = tokens(legacy, legacy.cookie("acme", "ann"))
    body = {"refresh_token": held["refresh_token"], "scope": "read", **_secret(legacy)}

    answer = legacy.world.post(path, json=body)

    assert answer.status_code == 200, answer.text
    assert answer.json()["refresh_token"] != held["refresh_token"]
    preflight = legacy.world.request("OPTIONS", path)
    assert preflight.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/api/device-auth", "/v1/iam/oauth/device"])
@pytest.mark.parametrize("form", ["data", "json", "params"])
def test_a_device_gets_its_codes(legacy: Legacy, path: str, form: str) -> None:
    world = legacy.world
    grants = {"grant_types": [DEVICE_CODE]}
    world.patch("/v1/applications/acme/shop", json=grants, headers=world.admin)

    answer = world.post(path, **{form: {**_secret(legacy), "scope": "read"}})

    assert answer.json().keys() >= {"device_code", "user_code", "verification_uri", "interval"}
    ask = {"grant_type": DEVICE_CODE, "device_code": answer.json()["device_code"]}
    waiting = world.post(TOKEN, json={**ask, **_secret(legacy)})
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    assert world.post(path, data={"client_id": "x"}).status_code == 401


@pytest.mark.parametrize(
    "options",
    [
        {"content": b"{"},
        {"content": b"[]"},
        {"content": b"\xff"},
        {"json": {"grant_type": 7}},
        {"json": {"grant_type": ["authorization_code"]}},
        {"json": {str(number): "x" for number in range(51)}},
        {"json": {}},
        {"content": b"grant_type=a&grant_type=b", "headers": {"content-type": "text/plain"}},
        {"params": [("grant_type", "a"), ("grant_type", "b")]},
        {"data": {"grant_type": "magic"}},
        {},
    ],
)
def test_what_is_no_request_is_refused_as_rfc_6749_says(
    legacy: Legacy, options: dict[str, Any]
) -> None:
    answer = legacy.world.post(TOKEN, **options)

    assert answer.status_code in (400, 401), answer.text
    assert answer.json()["error"] in (
        "invalid_request",
        "invalid_client",
        "unsupported_grant_type",
    )


def test_pages_of_theirs_lead_to_ours(legacy: Legacy) -> None:
    for path, there in (
        ("/login", "/sign-in"),
        ("/signup/shop", "/sign-in"),
        ("/users/acme/ann", "/account/sessions"),
    ):
        answer = legacy.world.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, there)
    led = legacy.world.get("/signup/oauth/authorize?client_id=x")
    assert led.headers["location"].startswith("/oauth/authorize?client_id=x")


def test_a_silent_question_is_answered_to_the_registered_page_alone(legacy: Legacy) -> None:
    client = legacy.applications["acme/shop"]
    query = {
        "client_id": client["client_id"],
        "response_type": "code",
        "redirect_uri": "https://acme.example/cb",
        "silentSignin": "1",
    }
    get = legacy.world.get

    page = get("/login/oauth/authorize", params=query)
    assert page.status_code == 200
    assert "frame-ancestors https://acme.example;" in page.headers["content-security-policy"]
    assert 'data-target="https://acme.example"' in page.text
    elsewhere = get(
        "/login/oauth/authorize", params={**query, "redirect_uri": "https://evil.example/"}
    )
    assert elsewhere.status_code == 400
    assert "frame-ancestors 'none'" in elsewhere.headers["content-security-policy"]
    cookie = {"cookie": f"iam={legacy.token('acme', 'ann')}"}
    silent = get("/login/oauth/authorize", params=query, headers=cookie)
    assert silent.headers["location"].startswith("https://acme.example/cb?code=")
