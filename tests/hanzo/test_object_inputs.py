"""Bad input for every verb that touches an object: an error in the envelope, never a crash, and nothing is
half written."""

from typing import Any

import pytest

from iam.hanzo import kept_rows
from tests.hanzo.conftest import Legacy, bad

_USER: dict[str, Any] = {"owner": "acme", "name": "ann"}
_APP: dict[str, Any] = {"owner": "admin", "name": "shop", "organization": "acme"}
_ORG: dict[str, Any] = {"owner": "admin", "name": "acme"}
_IDP: dict[str, Any] = {"owner": "acme", "name": "hub", "category": "OAuth", "type": "GitHub"}
_LONG = "x" * 3000
_DEEP: Any = "x"
for _ in range(40):
    _DEEP = [_DEEP]

BODIES: list[tuple[str, Any]] = [
    *[
        (verb, body)
        for verb in (
            *("add-user", "update-user", "delete-user", "check-user-password", "set-password"),
            *("add-organization", "update-organization", "delete-organization"),
            *("add-application", "update-application", "delete-application"),
            *("add-provider", "update-provider", "delete-provider"),
            *("add-cert", "update-cert", "delete-cert", "add-role", "update-role", "delete-role"),
            *("add-token", "update-token", "delete-token"),
        )
        for body in (
            {},
            {"owner": "acme"},
            {"owner": 1, "name": "x"},
            {"owner": "acme", "name": ["x"]},
            {"owner": "acme", "name": _LONG},
            {"owner": "acme", "name": {"a": 1}},
        )
    ],
    ("add-user", {"owner": "acme", "name": "with space", "password": "long enough 1"}),
    ("add-user", {"owner": "acme", "name": "ann"}),
    ("add-user", {"owner": "nowhere", "name": "dora"}),
    ("add-user", {"owner": "acme", "name": "dora", "password": "short"}),
    ("add-user", {"owner": "acme", "name": "dora", "password": 12345678}),
    ("add-user", {"owner": "acme", "name": "dora", "email": "no address"}),
    ("add-user", {"owner": "acme", "name": "dora", "displayName": "x" * 200}),
    ("add-user", {"owner": "acme", "name": "dora", "displayName": "a\nb"}),
    ("add-user", {"owner": "acme", "name": "dora", "isAdmin": "yes"}),
    ("add-user", {"owner": "acme", "name": "dora", "isForbidden": 1}),
    ("add-user", {"owner": "acme", "name": "dora", "isDeleted": True}),
    ("add-user", {"owner": "acme", "name": "dora", "bio": "x" * 70_000}),
    ("update-user", {**_USER, "email": "no address"}),
    ("update-user", {**_USER, "email": ["a@b.example"]}),
    ("update-user", {**_USER, "displayName": {"a": 1}}),
    ("update-user", {**_USER, "isAdmin": "true"}),
    ("update-user", {**_USER, "isForbidden": "true"}),
    ("update-user", {**_USER, "isDeleted": True}),
    ("update-user", {**_USER, "password": "short"}),
    ("update-user", {**_USER, "bio": "x" * 70_000, "isForbidden": True}),
    ("set-password", {"userOwner": "acme", "userName": "ann", "newPassword": "short"}),
    ("set-password", {"userOwner": "acme", "userName": "ann", "newPassword": ["x"]}),
    ("set-password", {"userOwner": "acme", "userName": "nobody", "newPassword": "long enough 1"}),
    ("add-organization", {"owner": "admin", "name": "Upper Case"}),
    ("add-organization", {"owner": "admin", "name": "acme"}),
    ("add-organization", {"owner": "someone", "name": "other"}),
    ("add-organization", {"owner": "admin", "name": "other", "maxSessions": -1}),
    ("add-organization", {"owner": "admin", "name": "other", "enableExclusiveSignin": "x"}),
    ("update-organization", {**_ORG, "displayName": 7}),
    ("update-organization", {**_ORG, "disableSignin": "yes"}),
    ("update-organization", {**_ORG, "maxSessions": "many"}),
    ("update-organization", {**_ORG, "displayName": "X", "bio": "x" * 70_000}),
    ("delete-organization", {"owner": "admin", "name": "built-in"}),
    ("add-application", {**_APP, "name": "Not A Name"}),
    ("add-application", _APP),
    ("add-application", {**_APP, "name": "new", "organization": "nowhere"}),
    ("add-application", {**_APP, "name": "new", "redirectUris": ["javascript:alert(1)"]}),
    ("add-application", {**_APP, "name": "new", "redirectUris": "https://x.example/"}),
    ("add-application", {**_APP, "name": "new", "redirectUris": [1]}),
    ("add-application", {**_APP, "name": "new", "grantTypes": "code"}),
    ("add-application", {**_APP, "name": "new", "grantTypes": [1]}),
    ("add-application", {**_APP, "name": "new", "clientId": "app_" + "0" * 26}),
    ("add-application", {**_APP, "name": "new", "clientId": "white space"}),
    ("add-application", {**_APP, "name": "new", "clientSecret": "short"}),
    ("add-application", {**_APP, "name": "new", "clientSecret": ["x" * 40]}),
    ("add-application", {**_APP, "name": "new", "backchannelLogoutUri": "http://10.0.0.1/"}),
    ("add-application", {**_APP, "name": "new", "maxSessions": 1.5}),
    ("add-application", {**_APP, "name": "app-built-in"}),
    ("update-application", {**_APP, "clientId": "another"}),
    ("update-application", {**_APP, "redirectUris": ["javascript:alert(1)"]}),
    ("update-application", {**_APP, "displayName": ["x"]}),
    ("update-application", {**_APP, "disableSignin": "yes"}),
    ("update-application", {**_APP, "clientSecret": "short"}),
    ("update-application", {**_APP, "description": "x" * 70_000, "disableSignin": True}),
    ("delete-application", {"owner": "built-in", "name": "app-built-in"}),
    ("add-provider", _IDP),
    ("add-provider", {**_IDP, "clientId": ["x"]}),
    ("add-provider", {**_IDP, "clientId": "x", "clientSecret": 7}),
    ("add-provider", {**_IDP, "clientId": "x", "scopes": ["a"]}),
    ("add-provider", {**_IDP, "clientId": "x", "userMapping": "sub"}),
    ("add-provider", {**_IDP, "clientId": "x", "displayName": 7}),
    ("add-provider", {**_IDP, "clientId": "x", "enableSignIn": "yes"}),
    ("add-provider", {**_IDP, "clientId": "x", "name": "Not A Name"}),
    ("add-provider", {**_IDP, "type": "WeChat", "clientId": "x", "clientSecret": "y"}),
    ("add-provider", {**_IDP, "type": "Custom", "clientId": "x", "customAuthUrl": "ftp://x/"}),
    (
        "add-provider",
        {**_IDP, "type": "Custom", "clientId": "x", "customAuthUrl": "https://x.example/a"},
    ),
    ("add-provider", {**_IDP, "type": "Custom", "clientId": "x", "issuerUrl": "https://10.0.0.1"}),
    ("add-cert", {"owner": "acme", "name": "cert-built-in"}),
    ("add-cert", {"owner": "nowhere", "name": "one"}),
    ("add-cert", {"owner": "acme", "name": "one", "certificate": "x" * 70_000}),
    ("delete-cert", {"owner": "admin", "name": "cert-built-in"}),
    ("add-role", {"owner": "acme", "name": "not a role"}),
    ("add-role", {"owner": "acme", "name": "administrator"}),
    ("add-role", {"owner": "acme", "name": "editor", "users": ["globex/eve"]}),
    ("add-role", {"owner": "acme", "name": "editor", "users": ["ann"]}),
    ("add-role", {"owner": "acme", "name": "editor", "users": ["acme/ann", "acme/nobody"]}),
    ("add-role", {"owner": "acme", "name": "editor", "users": "acme/ann"}),
    ("delete-role", {"owner": "acme", "name": "administrator"}),
    ("add-token", {"owner": "admin", "name": "x" * 200}),
    ("add-token", {"owner": "admin", "name": "one", "organization": "nowhere"}),
    ("add-record", {"organization": "acme", "object": "x" * 10_000}),
    ("add-record", {"organization": "nowhere", "action": "x"}),
    ("get-records-filter", {"organization": "acme", "user": "a", "action": "b"}),
    ("get-records-filter", {"organization": ["acme"]}),
]
QUERIES: list[tuple[str, dict[str, str]]] = [
    *[
        (verb, query)
        for verb in (
            *("get-users", "get-global-users", "get-applications", "get-organizations"),
            *("get-providers", "get-certs", "get-roles", "get-tokens", "get-records"),
        )
        for query in (
            {"p": "0", "pageSize": "10"},
            {"p": "1", "pageSize": "100000"},
            {"p": "one", "pageSize": "10"},
            {"p": "1", "pageSize": "-1"},
            {"field": "a'b", "value": "x"},
            {"field": 'name"; drop table', "value": "x"},
            {"sortField": "name desc", "sortOrder": "ascend"},
        )
    ],
    *[
        (verb, {"owner": value})
        for verb in ("get-users", "get-providers", "get-roles", "get-records")
        for value in ("a\x00b", _LONG)
    ],
    *[
        (verb, {"id": value})
        for verb in (
            *("get-user", "get-organization", "get-application", "get-provider", "get-cert"),
            *("get-role", "get-token", "get-user-application"),
        )
        for value in ("acme", "acme/", "/ann", "acme/ann/x", "a\x00b/c", _LONG)
    ],
    ("get-user", {}),
    ("get-sorted-users", {"owner": "acme", "sorter": "password_hash", "limit": "5"}),
    ("get-sorted-users", {"owner": "acme", "sorter": "name", "limit": "0"}),
    ("get-sorted-users", {"owner": "acme", "sorter": "name", "limit": "many"}),
    ("get-tokens", {"field": "secret_hash", "value": "x"}),
    ("get-records", {"owner": "acme", "field": "data", "value": "x"}),
]


def _state(legacy: Legacy) -> Any:
    world = legacy.world
    kinds = ("users", "applications", "providers")
    paths = ("/v1/organizations", *(f"/v1/{one}?organization=acme" for one in kinds))
    native = [world.get(path, headers=world.admin).json()["items"] for path in paths]
    admin = legacy.headers("built-in", "admin")
    kept = [
        legacy.get(verb, owner="acme", headers=admin)["data"]
        for verb in ("get-users", "get-providers", "get-roles", "get-tokens")
    ]
    certs = [one["name"] for one in legacy.get("get-certs", owner="acme", headers=admin)["data"]]
    return native, kept, certs


def test_bodies_that_are_wrong_change_nothing(both: Legacy) -> None:
    admin = both.headers("built-in", "admin")
    before = _state(both)

    for verb, body in BODIES:
        answer = both.world.post(f"/api/{verb}", json=body, headers=admin)
        assert answer.status_code == 200, (verb, str(body)[:200], answer.text)
        found = answer.json()
        nothing = found["status"] == "ok" and found["data"] in ("Unaffected", None)
        there_is_none = verb.startswith(("update-", "delete-")) and nothing
        assert found["status"] == "error" or there_is_none, (verb, str(body)[:200], found)
        assert found["status"] == "ok" or found["msg"], (verb, body)

    assert _state(both) == before


def test_queries_that_are_wrong_are_refused(both: Legacy) -> None:
    admin = both.headers("built-in", "admin")

    for verb, query in QUERIES:
        answer = both.world.get(f"/api/{verb}", params=query, headers=admin)
        assert answer.status_code == 200, (verb, query, answer.text)
        found = answer.json()
        nothing = found["status"] == "ok" and not found["data"]
        assert found["status"] == "error" or nothing, (verb, query, found)


@pytest.mark.parametrize("verb", ["add-user", "update-application", "add-token", "add-provider"])
@pytest.mark.parametrize(
    "body",
    [b"[1]", b"{", b'"x"', b"\xff", b'{"owner": "\\ud800", "name": "x"}', b'{"a": NaN}'],
)
def test_what_is_no_object_is_refused(legacy: Legacy, verb: str, body: bytes) -> None:
    admin = legacy.headers("built-in", "admin")

    answer = legacy.world.post(f"/api/{verb}", content=body, headers=admin)

    assert answer.status_code == 400
    assert answer.json()["status"] == "error"


def test_what_is_nested_too_deep_is_refused(legacy: Legacy) -> None:
    body = {"owner": "acme", "name": "deep", "properties": _DEEP}

    answer = legacy.world.post(
        "/api/add-user", json=body, headers=legacy.headers("built-in", "admin")
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("kind", ["cert", "provider", "role", "token"])
def test_of_what_is_only_kept_there_is_an_end(
    both: Legacy, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_rows, "MOST", 2)
    office = both.client("acme/office")
    owner = "admin" if kind == "token" else "acme"
    bodies = [{"owner": owner, "name": f"kept-{one}"} for one in range(3)]

    for body in bodies[:2]:
        both.post(f"add-{kind}", body, **office)

    answer = both.world.post(f"/api/add-{kind}", json=bodies[2], params=office)
    assert bad(answer) == "There are 2 already, and more are not kept."
    both.post(f"delete-{kind}", bodies[0], **office)
    both.post(f"add-{kind}", bodies[2], **office)
