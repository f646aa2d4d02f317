"""Whoever calls shows it in any of their ways, and no way makes a session or a cookie."""

import base64
from typing import Any

import pytest

from tests.hanzo.conftest import Legacy, bad
from tests.hanzo.test_sign_in import asked, login


def _rows(legacy: Legacy, **options: Any) -> Any:
    return legacy.world.get("/api/get-sessions", **options)


def test_every_way_of_showing_credentials_works_and_makes_no_session(legacy: Legacy) -> None:
    client, world = legacy.client("acme/office"), legacy.world
    token = legacy.token("acme", "boss")
    session, secret = token.split(".")
    form = {"grant_type": "client_credentials", **_snake(client)}
    world.patch(
        "/v1/applications/acme/office",
        json={"grant_types": ["client_credentials"]},
        headers=world.admin,
    )
    own = world.post("/v1/iam/oauth/token", data=form).json()["access_token"]
    before = _count(legacy)

    ways: list[dict[str, Any]] = [
        {"headers": world.bearer(token)},
        {"headers": world.bearer(own)},
        {"headers": legacy.basic("acme/office")},
        {"headers": {"cookie": f"casdoor_session_id={token}"}},
        {"headers": {"cookie": f"iam_session_id={token}"}},
        {"headers": {"cookie": f"iam={token}"}},
        {"params": client},
        {"params": {"accessToken": token}},
        {"params": {"access_token": own}},
        {"params": {"accessKey": session, "accessSecret": secret}},
        {"params": {"accessKey": client["clientId"], "accessSecret": client["clientSecret"]}},
    ]
    for way in ways:
        answer = _rows(legacy, **way)
        assert answer.json()["status"] == "ok", (way, answer.text)
        assert "set-cookie" not in answer.headers
        # RFC 9745 §2.1: what stands in addresses is on its way out.
        assert answer.headers.get("deprecation", "").startswith("@") == ("params" in way)
    assert _count(legacy) == before


def _snake(client: dict[str, Any]) -> dict[str, Any]:
    return {"client_id": client["clientId"], "client_secret": client["clientSecret"]}


def _count(legacy: Legacy) -> int:
    """Sessions that live, without the administrator's that is made to ask."""
    admin = legacy.world.admin
    found = legacy.world.get("/v1/sessions?organization=acme&state=active&limit=200", headers=admin)
    return len(found.json()["items"])


@pytest.mark.parametrize(
    "way",
    [
        {"headers": {"authorization": "Bearer nonsense"}},
        {"headers": {"authorization": "Bearer ses_00000000000000000000000000." + "A" * 43}},
        {"headers": {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}},
        {"headers": {"authorization": "DPoP nonsense"}},
        {"headers": {"authorization": "Negotiate YII="}},
        {"headers": {"authorization": ""}},
        {"headers": {"authorization": "Basic ???"}},
        {"headers": {"authorization": "Basic " + base64.b64encode(b"app_x:y").decode()}},
        {"params": {"clientId": "x", "clientSecret": "y"}},
        {"params": {"clientId": "x\x00", "clientSecret": "y"}},
        {"params": {"accessKey": "x", "accessSecret": "y"}},
        {"params": {"accessToken": "x" * 9000}},
    ],
)
def test_credentials_that_are_not_good_are_refused_in_the_short_form(
    legacy: Legacy, way: dict[str, Any]
) -> None:
    cookie = legacy.cookie("acme", "boss")
    answer = _rows(legacy, **{**way, "headers": {**cookie, **way.get("headers", {})}})

    assert set(answer.json()) == {"status", "msg", "data", "data2"}
    assert bad(answer) in (
        "Access token doesn't exist in database",
        "Incorrect client ID or client secret",
    ), "a cookie that comes along does not count"


def test_nobody_is_asked_to_sign_in_first(legacy: Legacy) -> None:
    for headers in (
        {},
        {"cookie": "casdoor_session_id=9f0c0000000000000000000000000000"},
        {"cookie": f"iam={legacy.token('acme', 'ann', 'shop')}"},
    ):
        answer = _rows(legacy, headers=headers)
        words = "Please login first"
        assert bad(answer) == words
        assert answer.json() == {
            "status": "error",
            "msg": words,
            "sub": "",
            "name": "",
            "data": words,
            "data2": None,
            "data3": None,
        }


def test_words_come_in_the_language_that_is_asked_for(legacy: Legacy) -> None:
    for language, words in (
        ("de", "Bitte melden Sie sich zuerst an"),
        ("es-MX,es;q=0.9", "Por favor, inicie sesión primero"),
        ("fr", "Veuillez d'abord vous connecter"),
        ("ja", "先にログインしてください"),
        ("zh-CN", "请先登录"),
        ("xx", "Please login first"),
        ("", "Please login first"),
    ):
        assert bad(_rows(legacy, headers={"accept-language": language})) == words


def test_a_cookie_that_comes_twice_or_is_planted_beside_ours_counts_for_nothing(
    legacy: Legacy,
) -> None:
    ann, boss = legacy.token("acme", "ann"), legacy.token("acme", "boss")

    twice = {"cookie": f"casdoor_session_id={ann}; casdoor_session_id={boss}"}
    planted = {"cookie": f"casdoor_session_id={boss}; iam={ann}"}

    assert bad(_rows(legacy, headers=twice)) == "Please login first"
    account = legacy.get("get-account", headers=planted)
    assert account["name"] == "ann", "our own cookie is the one that no other host can set"


def test_a_session_that_has_ended_or_is_locked_is_refused(legacy: Legacy) -> None:
    world = legacy.world
    for end, words in (
        (world.delete, "The session has ended, please login again"),
        (None, "The session is locked, please unlock it with your password"),
    ):
        token = legacy.token("acme", "boss")
        path = f"/v1/sessions/{token.split('.')[0]}"
        if end is not None:
            end(path, headers=world.admin)
        else:
            world.post(f"{path}/lock", headers=world.admin)
        assert bad(_rows(legacy, headers=world.bearer(token))) == words
        cookie = {"cookie": f"iam_session_id={token}"}
        assert bad(_rows(legacy, headers=cookie)) == "Please login first"


def test_an_access_token_for_another_resource_is_refused(legacy: Legacy) -> None:
    world = legacy.world
    api = {"resources": ["https://api.acme.example"]}
    world.make_application("acme", "api", **api)
    query = asked(legacy, resource="https://api.acme.example")
    cookie = legacy.cookie("acme", "ann")
    code = login(legacy, {"type": "code"}, params=query, headers=cookie).json()["data"]
    form = {"grant_type": "authorization_code", "code": code}
    tokens = world.post(
        "/api/login/oauth/access_token", data=form, headers=legacy.basic("acme/shop")
    ).json()

    answer = _rows(legacy, headers=world.bearer(tokens["access_token"]))

    assert bad(answer) == "Access token doesn't exist in database"


def test_what_cannot_be_read_is_refused_and_changes_nothing(legacy: Legacy) -> None:
    world, office = legacy.world, legacy.client("acme/office")
    row: dict[str, Any] = {"owner": "acme", "name": "ann", "application": "shop"}
    for content, status in (
        (b"{", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"\xff\xfe", 400),
        (b'{"a":' * 5000, 400),
        (b'{"owner":"acme","name":"a\\u0000"}', 400),
        (b'{"owner":"\\ud800"}', 400),
        (b'{"owner":NaN}', 400),
        (b"x" * (1024 * 1024 + 1), 413),
        (b"{}", 200),
        (b"", 200),
    ):
        answer = world.post("/api/add-session", content=content, params=office)
        assert answer.status_code == status, (content[:40], answer.text)
        assert answer.json()["status"] == "error"
    for change in (
        {"owner": 7},
        {"sessionId": "x"},
        {"sessionId": [7]},
        {"sessionId": ["x" * 256]},
        {"sessionId": [str(one) for one in range(101)]},
        {"ExclusiveSignin": "yes"},
        {"name": "nobody"},
        {"application": "nothing"},
        {"sessionId": ["ses_00000000000000000000000000"]},
        {"createdTime": "x" * 65},
        {"name": "n" * 3000},
    ):
        answer = world.post(
            "/api/add-session", json={"sessionId": ["x"], **row, **change}, params=office
        )
        assert bad(answer), change
    assert legacy.get("get-sessions", **office)["data"] == []
    for query in (
        {"p": "x", "pageSize": "1"},
        {"p": "0", "pageSize": "1"},
        {"p": "1", "pageSize": "99999"},
        {"field": "password", "value": "x"},
        {"sortField": "1; DROP TABLE session"},
        {"owner": "a\x00"},
    ):
        assert bad(world.get("/api/get-sessions", params={**office, **query})), query
    for injected in ("%", "_", "' OR 1=1 --", "\\"):
        found = legacy.get("get-sessions", **office, field="name", value=injected)
        assert found["data"] == []


def test_paths_and_methods_that_there_are_not_are_said_not_to_be(legacy: Legacy) -> None:
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("GET", "/api", 404),
        ("GET", "/v1/iam/nothing", 404),
        ("GET", "/v1/iam/sessions/list", 405),
        ("POST", "/api/get-sessions", 405),
        ("GET", "/api/sessions/list", 404),
    ):
        answer = legacy.world.request(method, path)
        assert answer.status_code == status, path
        assert answer.json()["status"] == "error"


def test_a_body_needs_no_content_type_and_may_be_a_form(legacy: Legacy) -> None:
    office = legacy.client("acme/office")
    row = b'{"owner":"acme","name":"ann","application":"shop","sessionId":["x"]}'
    for kind in ({}, {"content-type": "text/plain"}, {"content-type": "application/json"}):
        answer = legacy.world.post("/api/add-session", content=row, params=office, headers=kind)
        assert answer.json()["data"] == "Affected"
    form = {"owner": "acme", "name": "ann", "application": "shop"}
    gone = legacy.world.post("/api/delete-session", data=form, params=office)
    assert gone.json()["data"] == "Affected"
    upload = legacy.world.post(
        "/api/delete-session", data=form, files={"file": b"x"}, params=office
    )
    assert upload.status_code == 400
