"""Roles, tokens, records and the nouns of older clients, by the paths that those clients know."""

import json
from typing import Any

import pytest

from tests.hanzo.conftest import Legacy
from tests.support.native_objects import native_object


def test_a_role_is_who_has_it(both: Legacy) -> None:
    office = both.client("acme/office")
    role = {"owner": "acme", "name": "editor", "displayName": "Editors", "domains": ["d"]}

    both.post("add-role", {**role, "users": ["acme/ann", "acme/bob"]}, **office)
    both.post("update-role", {**role, "users": ["acme/bob", "acme/boss"]}, **office)

    names = ("ann", "bob", "boss")
    roles = [native_object(both, f"/v1/users/acme/{one}")["roles"] for one in names]
    assert roles == [[], ["editor"], ["administrator", "editor"]]
    shown = both.get("get-role", id="acme/editor", **office)["data"]
    assert (shown["users"], shown["domains"]) == (["acme/bob", "acme/boss"], ["d"])
    listed = both.get("get-roles", owner="acme", **office)["data"]
    assert {one["name"] for one in listed} == {"editor", "administrator"}
    assert both.get("get-user", id="acme/bob", **office)["data"]["roles"][0]["name"] == "editor"
    both.post("update-role", {**role, "description": "no word of users"}, **office)
    assert native_object(both, "/v1/users/acme/bob")["roles"] == ["editor"]
    both.post("delete-role", role, **office)
    assert native_object(both, "/v1/users/acme/bob")["roles"] == []
    assert both.get("get-role", id="acme/editor", **office)["data"] is None


def test_tokens_are_seen_by_whose_they_are_and_taken_back(both: Legacy) -> None:
    world = both.world
    world.patch(
        "/v1/applications/acme/shop",
        json={"access_token_format": "opaque"},
        headers=world.admin,
    )
    login = {"type": "code", "application": "shop", "organization": "acme", "username": "ann"}
    query = {"clientId": both.client("acme/shop")["clientId"], "responseType": "code"}
    query |= {"redirectUri": "https://acme.example/cb", "scope": "openid offline_access"}
    code = world.post(
        "/api/login", params=query, json={**login, "password": "open sesame 1"}
    ).json()["data"]
    form = {"grant_type": "authorization_code", "code": code}
    made = world.post(
        "/api/login/oauth/access_token",
        data={**form, "redirect_uri": query["redirectUri"]},
        headers=both.basic("acme/shop"),
    ).json()
    ann, shop = world.bearer(made["access_token"]), both.basic("acme/shop")

    def rows(**who: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = both.get("get-tokens", owner="admin", **who)["data"]
        return found

    for who in ({"headers": both.headers("acme", "boss")}, {"headers": shop}, {"headers": ann}):
        assert {one["user"] for one in rows(**who)} == {"ann"}
        assert len(rows(**who)) == 2
    assert rows(headers=both.headers("acme", "bob")) == []
    assert made["access_token"] not in str(rows(headers=shop))
    opaque = next(one for one in rows(headers=shop) if not one["grantType"])
    both.post(
        "update-token", {"owner": "admin", "name": opaque["name"], "expiresIn": 0}, headers=shop
    )
    refused = world.get("/api/get-account", headers=ann)
    assert refused.json()["status"] == "error"
    [refresh] = rows(headers=shop)
    page = both.get("get-tokens", owner="admin", p=1, pageSize=1, headers=shop)
    assert (len(page["data"]), page["data2"]) == (1, 1)
    both.post("delete-token", {"owner": "admin", "name": refresh["name"]}, headers=shop)
    again = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"]}
    answer = world.post("/oauth/token", data=again, headers=shop)
    assert answer.json()["error"] == "invalid_grant"
    assert both.end_reason(refresh["sessionId"]) == "ended_by_admin"


def test_records_are_events_by_page_and_what_clients_have_told(both: Legacy) -> None:
    office = both.client("acme/office")
    both.world.clock.move(1)
    both.token("acme", "ann")
    both.post("add-record", {"owner": "acme", "action": "exported", "user": "bob"}, **office)

    page = both.get("get-records", owner="acme", p=1, pageSize=2, **office)
    logins = both.get("get-records", owner="acme", field="action", value="login", **office)
    told = both.post("get-records-filter", {"owner": "acme", "action": "record.added"}, **office)

    assert len(page["data"]) == 2
    assert page["data2"] > 2
    assert {one["user"] for one in logins["data"]} == {"ann"}
    assert [(one["action"], one["user"]) for one in told["data"]] == [("exported", "bob")]
    name = told["data"][0]["name"]
    [one] = both.get("get-records", owner="acme", field="name", value=name, **office)["data"]
    assert one["name"] == name
    [event] = native_object(both, "/v1/events?organization=acme&type=record.added")["items"]
    assert event["actor"] == "application:acme/office"


def test_a_record_that_a_client_made_up_says_who_told_it(both: Legacy) -> None:
    office = both.client("acme/office")
    forged = {
        "owner": "acme",
        "user": "bob",
        "clientIp": "203.0.113.66",
        "detail": "a sign-in",
        "object": json.dumps({"actor": "user:acme/bob", "session": "ses_x"}),
    }
    for action in ("login", "logout", "sign_in.succeeded", "delete-user", "exported"):
        both.post("add-record", forged | {"action": action}, **office)

    rows = both.get("get-records", owner="acme", **office)["data"]
    mine = [one for one in rows if json.loads(one["object"]).get("record")]

    assert sorted(one["action"] for one in mine) == ["add-record"] * 4 + ["exported"]
    for one in mine:
        told = json.loads(one["object"])
        assert (told["actor"], told["session"]) == ("application:acme/office", None)
        assert told["record"]["detail"] == "a sign-in", "its own words, as its own words"
        assert one["detail"] == "told by application:acme/office"
    logins = both.get("get-records", owner="acme", field="action", value="login", **office)
    assert logins["data"] == []


@pytest.mark.parametrize(
    ("path", "query", "key"),
    [
        ("users", {"owner": "acme"}, "users"),
        ("organizations", {"owner": "admin"}, "organizations"),
        ("applications", {"owner": "admin"}, "applications"),
        ("providers", {"owner": "admin"}, "providers"),
        ("roles", {"owner": "acme"}, "roles"),
        ("users/get", {"id": "acme/ann"}, "name"),
        ("organizations/get", {"id": "admin/acme"}, "name"),
        ("application", {"id": "acme/shop"}, "name"),
        ("roles/get", {"id": "acme/administrator"}, "name"),
    ],
)
def test_nouns_answer_without_the_envelope_and_with_statuses(
    legacy: Legacy, path: str, query: dict[str, str], key: str
) -> None:
    world, office = legacy.world, legacy.client("acme/office")

    found = world.get(f"/v1/iam/{path}", params={**query, **office})
    denied = world.get(f"/v1/iam/{path}", params=query, headers=legacy.basic("globex/shop"))
    anonymous = world.get(f"/v1/iam/{path}", params=query)

    assert found.status_code == 200
    assert key in found.json()
    assert "status" not in found.json()
    assert (denied.status_code, anonymous.status_code) == (403, 401)
    if path in ("users/get", "roles/get"):
        missing = world.get(f"/v1/iam/{path}", params={"id": "acme/nobody", **office})
        assert missing.status_code == 404


def test_hanzos_older_clients_leave_the_owner_out(both: Legacy) -> None:
    """The wire format of its Python SDK: credentials in the query, plain objects, JSON for passwords."""
    office = both.client("acme/office")
    answer = both.world.get("/api/get-application", params={"id": "acme/shop", **office})
    assert answer.headers["deprecation"].startswith("@")

    both.post("update-application", {"name": "shop", "displayName": "Shop"}, **office)
    both.post("add-user", {"owner": "acme", "name": "zoe", "displayName": "Zoe"}, **office)
    form = {"userOwner": "acme", "userName": "zoe", "oldPassword": "", "newPassword": "long 1234"}
    both.post("set-password", form, **office)

    assert native_object(both, "/v1/applications/acme/shop")["display_name"] == "Shop"
    assert both.world.sign_in("acme", "zoe", password="long 1234")
