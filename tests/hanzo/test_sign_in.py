"""Signing in by `login`, and what that gives."""

import base64
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.hanzo.conftest import Legacy, bad
from tests.support.world import ISSUER, PASSWORD

ANN = {
    "type": "login",
    "organization": "acme",
    "application": "app-built-in",
    "username": "ann",
    "password": PASSWORD,
    "signinMethod": "Password",
    "autoSignin": True,
}
SHOP = ANN | {"application": "shop"}
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-x"
CHALLENGE = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def cookies_of(answer: httpx2.Response) -> dict[str, str]:
    """Name and value of the cookies that an answer sets, and their attributes by `name;`."""
    found = {}
    for header in answer.headers.get_list("set-cookie"):
        pair, _, attributes = header.partition(";")
        name, _, value = pair.partition("=")
        found[name] = value
        found[f"{name};"] = attributes
    return found


def login(legacy: Legacy, body: dict[str, Any], **options: Any) -> httpx2.Response:
    return legacy.world.post("/api/login", json=body, **options)


def asked(legacy: Legacy, application: str = "acme/shop", **changes: str) -> dict[str, str]:
    """The query of a sign-in for a code."""
    return {
        "clientId": legacy.applications[application]["client_id"],
        "responseType": "code",
        "redirectUri": "https://acme.example/cb",
        "type": "code",
        "scope": "read",
        "state": "xyz",
        **changes,
    }


def test_a_password_starts_a_browser_session_whose_token_is_in_the_cookies(both: Legacy) -> None:
    answer = login(both, ANN)

    assert answer.json()["data"] == "acme/ann"
    cookies = cookies_of(answer)
    [own] = both.live("acme", "ann", "app-built-in")
    assert cookies["iam"] == cookies["casdoor_session_id"]
    assert cookies["iam"].startswith(f"{own}.")
    assert len(cookies["iam"]) > len(own) + 40, "not the public ID"
    for name in ("iam;", "casdoor_session_id;"):
        assert "HttpOnly" in cookies[name]
        assert "SameSite=Lax" in cookies[name]
        assert "Max-Age" in cookies[name], "autoSignin asks to be remembered"
    account = both.get("get-account", headers={"cookie": f"casdoor_session_id={cookies['iam']}"})
    assert account["name"] == "ann"
    assert (
        both.world.get("/account/sessions", headers={"cookie": f"iam={cookies['iam']}"}).status_code
        == 200
    )


def test_whoever_is_among_the_accounts_of_the_browser_is_not_there_twice(both: Legacy) -> None:
    ann, bob = both.token("acme", "ann"), both.token("acme", "bob")
    headers = {"cookie": f"iam={bob}; iam-others={ann}"}

    answer = login(both, ANN, headers=headers)

    [own] = both.live("acme", "ann", "app-built-in")
    assert cookies_of(answer)["iam"].startswith(f"{own}.")
    assert both.end_reason(ann.partition(".")[0]) == "signed_out"
    # Here one account is kept, as clients of these paths know it.
    assert both.end_reason(bob.partition(".")[0]) == "signed_out"


def test_hanzos_paths_keep_their_own_cookie(legacy: Legacy) -> None:
    answer = legacy.world.post("/v1/iam/login", json=ANN)

    cookies = cookies_of(answer)
    assert cookies["iam_session_id"] == cookies["iam"]
    assert "casdoor_session_id" not in cookies
    headers = {"cookie": f"iam_session_id={cookies['iam']}"}
    assert legacy.world.get("/v1/iam/get-account", headers=headers).json()["name"] == "ann"


def test_on_https_the_cookies_are_secure(legacy: Legacy) -> None:
    from tests.support.world import make_world

    path = legacy.world.engine.settings.database
    with make_world(path, issuer="https://id.example") as world:
        cookies = cookies_of(world.post("/api/login", json=ANN, base_url="https://id.example"))

    assert "Secure" in cookies["casdoor_session_id;"]
    assert "Secure" in cookies["__Host-iam;"]


@pytest.mark.parametrize(
    "change",
    [{"password": "wrong one"}, {"username": "nobody"}, {"organization": "nowhere"}],
)
def test_what_is_not_right_is_one_answer(legacy: Legacy, change: dict[str, str]) -> None:
    answer = login(legacy, ANN | change)

    assert bad(answer) == "password or code is incorrect"
    assert "set-cookie" not in answer.headers


def test_guessing_is_slowed_down(legacy: Legacy) -> None:
    for _ in range(5):
        login(legacy, ANN | {"password": "wrong one"})

    answer = login(legacy, ANN)

    assert "Too many failed attempts" in bad(answer)
    assert int(answer.headers["retry-after"]) > 0


def test_signing_in_to_an_application_enters_it(both: Legacy) -> None:
    answer = login(both, SHOP)

    assert answer.json()["data"] == "acme/ann"
    [entered] = both.live("acme", "ann", "shop")
    [browser] = both.live("acme", "ann", "app-built-in")
    found = both.world.get(f"/v1/sessions/{entered}", headers=both.world.admin).json()
    assert found["parent"] == browser


def test_a_code_is_redeemed_at_the_token_endpoint(both: Legacy) -> None:
    answer = login(both, SHOP | {"type": "code"}, params=asked(both))

    client = both.applications["acme/shop"]
    form = {
        "grant_type": "authorization_code",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "code": answer.json()["data"],
    }
    tokens = both.world.post("/api/login/oauth/access_token", data=form).json()
    assert set(tokens) >= {"access_token", "id_token", "refresh_token", "expires_in", "token_type"}
    account = both.get("get-account", headers=both.world.bearer(tokens["access_token"]))
    assert account["name"] == "ann"
    assert account["data"]["accessToken"] == tokens["access_token"]
    info = both.world.get("/api/userinfo", headers=both.world.bearer(tokens["access_token"])).json()
    assert info["aud"] == client["client_id"]
    assert info["preferred_username"] == "ann"
    [entered] = both.live("acme", "ann", "shop")
    again = both.world.post("/api/login/oauth/access_token", data=form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert both.end_reason(entered) == "policy", "a code that is used twice ends what it gave"


def test_the_session_that_is_there_signs_in_without_a_password(both: Legacy) -> None:
    cookie = {"cookie": f"casdoor_session_id={both.token('acme', 'ann')}"}
    quick = {"type": "code", "organization": "acme", "application": "shop"}

    answer = login(both, quick, params=asked(both), headers=cookie)

    assert answer.json()["status"] == "ok"
    assert len(answer.json()["data"]) == 43
    assert "set-cookie" not in answer.headers
    assert bad(login(both, quick, params=asked(both))) == "Please login first"


def test_another_organizations_person_gets_no_code(legacy: Legacy) -> None:
    cookie = {"cookie": f"casdoor_session_id={legacy.token('globex', 'eve')}"}

    answer = login(legacy, {"type": "code"}, params=asked(legacy), headers=cookie)

    assert bad(answer) == "Please login first"
    assert legacy.live("globex", "eve", "shop") == []


def test_a_code_goes_to_registered_addresses_only(legacy: Legacy) -> None:
    answer = login(
        legacy,
        SHOP | {"type": "code"},
        params=asked(legacy, redirectUri="https://evil.example/cb"),
    )

    assert "not registered" in bad(answer)


def test_a_code_can_be_bound_by_pkce(legacy: Legacy) -> None:
    query = asked(legacy, code_challenge=CHALLENGE, code_challenge_method="S256")
    code = login(legacy, SHOP | {"type": "code"}, params=query).json()["data"]
    client = legacy.applications["acme/shop"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    secret = {"client_id": client["client_id"], "client_secret": client["client_secret"]}

    wrong = {**form, **secret, "code_verifier": "x" * 43}
    refused = legacy.world.post("/api/login/oauth/access_token", json=wrong)

    assert refused.json()["error"] == "invalid_grant"
    code = login(legacy, SHOP | {"type": "code"}, params=query).json()["data"]
    good = legacy.world.post("/api/login/oauth/access_token", json={**form, **secret, "code": code})
    assert good.status_code == 200, good.text


def test_tokens_without_a_code_are_for_applications_that_may_have_them_so(legacy: Legacy) -> None:
    query = asked(legacy, responseType="token", type="token")

    refused = login(legacy, SHOP | {"type": "token"}, params=query)
    assert "grant_type: token is not supported in this application" in bad(refused)

    world = legacy.world
    grants = {"grant_types": ["authorization_code", "refresh_token", "implicit"]}
    changed = world.patch("/v1/applications/acme/shop", json=grants, headers=world.admin)
    assert changed.status_code == 200
    answer = login(legacy, SHOP | {"type": "token"}, params=query).json()
    assert legacy.get("get-account", headers=world.bearer(answer["data"]))["name"] == "ann"
    assert answer["data2"].startswith("rft_")
    named = login(legacy, SHOP | {"type": "id_token"}, params=query).json()
    assert named["data"].count(".") == 2


def test_an_unknown_type_or_way_is_said_to_be_one(legacy: Legacy) -> None:
    assert bad(login(legacy, ANN | {"type": "cas"})) == "unknown response type: cas"
    assert "Face ID" in bad(login(legacy, ANN | {"signinMethod": "Face ID"}))
    assert "does not exist" in bad(login(legacy, ANN | {"application": "nothing"}))
    for broken in ({"username": 7}, {"autoSignin": "yes"}, {"username": "a\x00"}):
        answer = login(legacy, ANN | broken)
        assert answer.json()["status"] == "error", answer.text
        assert answer.status_code in (200, 400)


def test_the_authorize_alias_leads_to_our_own_with_the_scopes_that_are_meant(
    legacy: Legacy,
) -> None:
    client_id = legacy.applications["acme/shop"]["client_id"]
    query = f"client_id={client_id}&response_type=code&scope=read&state=s&provider_hint=x"

    answer = legacy.world.get(f"/login/oauth/authorize?{query}")

    assert answer.status_code == 303
    there = urlsplit(answer.headers["location"])
    assert there.path == "/oauth/authorize"
    assert parse_qs(there.query) == {
        "client_id": [client_id],
        "response_type": ["code"],
        "scope": ["openid profile email"],
        "state": ["s"],
    }


def test_the_names_of_discovery_all_say_the_same(legacy: Legacy) -> None:
    own = legacy.world.get("/.well-known/openid-configuration").json()
    keys = legacy.world.get("/oauth/jwks").json()

    for path in ("/.well-known/app-x", "/v1/iam/.well-known"):
        assert legacy.world.get(f"{path}/openid-configuration").json() == own
        assert legacy.world.get(f"{path}/jwks").json() == keys
    assert legacy.world.get("/.well-known/jwks").json() == keys
    found = legacy.world.get("/.well-known/webfinger?resource=acct:nobody@acme.example").json()
    assert found["links"][0]["href"] == ISSUER
    assert legacy.world.get("/.well-known/oauth-protected-resource").json()["resource"] == ISSUER
    assert legacy.world.get("/.well-known/security.txt").status_code == 404


def test_an_application_is_shown_before_sign_in_without_what_is_nobodys(legacy: Legacy) -> None:
    client = legacy.applications["acme/shop"]

    data = legacy.get("get-app-login", clientId=client["client_id"], type="code")["data"]

    assert (data["name"], data["organization"]) == ("shop", "acme")
    assert data["organizationObj"]["name"] == "acme"
    assert client["client_secret"] not in str(data)
    assert "redirectUris" not in data
    assert legacy.get("get-app-login", id="admin/app-built-in")["data"]["name"] == "app-built-in"
    get = legacy.world.get
    assert bad(get("/api/get-app-login?clientId=nothing")) == "Invalid client_id"
    wrong = f"/api/get-app-login?clientId={client['client_id']}&redirectUri=https://evil.example"
    assert "doesn't exist in the allowed Redirect URI list" in bad(get(wrong))


def test_a_password_is_worth_tokens_on_their_paths_and_only_where_that_was_allowed(
    both: Legacy,
) -> None:
    world, client = both.world, both.applications["acme/shop"]
    form = {
        "grant_type": "password",
        "username": "acme/ann",
        "password": PASSWORD,
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
    }
    path = "/api/login/oauth/access_token"
    refused = world.post(path, data=form)
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_grant_type")

    grants = {"grant_types": ["authorization_code", "refresh_token", "password"]}
    world.patch("/v1/applications/acme/shop", json=grants, headers=world.admin)
    tokens = world.post(path, data=form).json()
    wrong = world.post(path, data={**form, "password": "wrong one"})
    nobody = world.post(path, data={**form, "username": "nobody"})
    stranger = world.post(path, data={**form, "client_secret": "x"})

    assert tokens["refresh_token"].startswith("rft_")
    [session] = both.live("acme", "ann", "shop")
    account = both.get("get-account", headers=world.bearer(tokens["access_token"]))
    assert account["name"] == "ann"
    world.delete(f"/v1/sessions/{session}", headers=world.admin)
    assert bad(world.get("/api/get-account", headers=world.bearer(tokens["access_token"])))
    assert wrong.json() == nobody.json()
    assert (wrong.status_code, stranger.status_code) == (400, 401)
    ours = world.post("/oauth/token", data=form)
    assert ours.json()["error"] == "unsupported_grant_type"
