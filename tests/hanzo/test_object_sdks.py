"""Casdoor's own SDKs, unmodified, with objects; what came of it is read by the native API."""

from typing import Any

import httpx2
import pytest

from tests.hanzo.sdk_site import PASSWORD, Site
from tests.support.casdoor import async_python_sdk, node_sdk, python_sdk

NEW = "a brand new secret 9"

pytestmark = pytest.mark.usefixtures("nobody_signed_in")


def _user(name: str, **members: Any) -> dict[str, Any]:
    return {"User": {"owner": "acme", "name": name, **members}}


def _native(site: Site, name: str) -> dict[str, Any]:
    answer = site.admin.get(f"/v1/users/acme/{name}")
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found


def _can_sign_in(site: Site, name: str, password: str) -> bool:
    body = {"organization": "acme", "username": name, "password": password}
    answer = httpx2.post(f"{site.server.url}/v1/sign-in", json=body, timeout=60)
    return answer.is_success


def test_python_adds_reads_updates_and_deletes_users(site: Site) -> None:
    ann = _native(site, "ann")["id"]
    person = _user(
        "dora",
        displayName="Dora",
        email="dora@acme.example",
        phone="+15550009",
        password=PASSWORD,
        tag="vip",
    )
    outcomes = python_sdk(
        site.python,
        [
            ("add_user", [person]),
            ("get_user", ["dora"]),
            ("get_user_by_email", ["dora@acme.example"]),
            ("get_user_by_phone", ["+15550009"]),
            ("get_user_by_user_id", [ann]),
            ("get_users", []),
            ("get_pagination_users", [1, 1, {"sortField": "name", "sortOrder": "ascend"}]),
            ("get_sorted_users", ["created_time", "25"]),
            ("get_global_users", []),
            ("get_user_count", []),
            ("get_user_count", [True]),
        ],
    )

    assert [one.get("error") for one in outcomes] == [None] * 11
    values = [one["value"] for one in outcomes]
    assert values[0]["data"] == "Affected"
    assert [one["name"] for one in values[1:4]] == ["dora"] * 3
    assert (values[1]["tag"], values[1]["phone"], values[4]["name"]) == ("vip", "+15550009", "ann")
    for listed in (values[5], values[7], values[8]):
        assert {one["name"] for one in listed} == {"ann", "dora"}
    assert ([one["name"] for one in values[6][0]], values[6][1]) == (["ann"], 2)
    assert (values[9], values[10]) == (2, 0)
    dora = _native(site, "dora")
    assert (dora["display_name"], dora["email"]) == ("Dora", "dora@acme.example")
    assert _can_sign_in(site, "dora", PASSWORD)

    whole = {**values[1], "displayName": "Dora the second"}
    columns = _user("dora", displayName="Third", email="no@acme.example")
    changed = python_sdk(
        site.python,
        [
            ("update_user", [{"User": whole}]),
            ("update_user_for_columns", [columns, ["display_name"]]),
            ("update_user_by_user_id", ["acme", dora["id"], {"User": {**whole, "tag": "x"}}]),
        ],
    )

    assert [one["value"]["data"] for one in changed] == ["Affected"] * 3
    assert _native(site, "dora")["display_name"] == "Dora the second"
    assert _native(site, "dora")["email"] == "dora@acme.example"
    forbidden, checked, wrong, password, deleted, gone = python_sdk(
        site.python,
        [
            ("update_user_for_columns", [_user("dora", isForbidden=True), ["is_forbidden"]]),
            ("check_user_password", [_user("ann", password=PASSWORD)]),
            ("check_user_password", [_user("ann", password="wrong")]),
            ("set_password", ["acme", "ann", "", NEW]),
            ("delete_user", [_user("dora")]),
            ("get_user", ["dora"]),
        ],
    )
    assert forbidden["value"]["data"] == deleted["value"]["data"] == "Affected"
    assert (checked["value"], wrong["value"], password["value"]) == (True, False, True)
    assert gone["value"] is None
    assert _native(site, "dora") == {}
    assert (_can_sign_in(site, "ann", PASSWORD), _can_sign_in(site, "ann", NEW)) == (False, True)
    python_sdk(site.python, [("set_password", ["acme", "ann", NEW, PASSWORD])])
    assert _can_sign_in(site, "ann", PASSWORD)


def test_python_lists_adds_updates_and_deletes_tokens(site: Site) -> None:
    python_sdk(site.python, [("get_oauth_token", [site.code()])])
    [session] = site.live("portal")
    listed, page = python_sdk(
        site.python, [("get_tokens", []), ("get_pagination_tokens", [1, 10, {}])]
    )

    [row] = listed["value"]
    assert (row["user"], row["application"], row["sessionId"]) == ("ann", "portal", session)
    assert [row[one] for one in ("accessToken", "refreshToken", "accessTokenHash")] == [""] * 3
    assert page["value"][1] == 1
    own = {**row, "name": "of-its-own", "accessToken": "secret", "scope": "theirs"}
    outcomes = python_sdk(
        site.python,
        [
            ("get_token", [row["name"]]),
            ("add_token", [{"Token": own}]),
            ("get_token", ["of-its-own"]),
            ("update_token", [{"Token": {**own, "scope": "other"}}]),
            ("update_token_for_columns", [{"Token": {**own, "scope": "third"}}, ["scope"]]),
            ("get_token", ["of-its-own"]),
            ("delete_token", [{"Token": own}]),
            ("get_token", ["of-its-own"]),
            ("delete_token", [{"Token": row}]),
            ("get_tokens", []),
        ],
    )

    assert [one.get("error") for one in outcomes] == [None] * 10
    values = [one["value"] for one in outcomes]
    assert values[0]["name"] == row["name"]
    assert (values[2]["scope"], values[2]["accessToken"]) == ("theirs", "")
    assert values[5]["scope"] == "third"
    assert values[7] is None
    assert values[9] == []
    ended = site.admin.get(f"/v1/sessions/{session}").json()
    assert ended["end_reason"] == "ended_by_admin"


def test_python_reads_and_adds_records(site: Site) -> None:
    record = {"action": "exported", "user": "ann", "object": "{}", "clientIp": "203.0.113.7"}
    added, listed, page = python_sdk(
        site.python,
        [
            ("add_record", [{"Record": record}]),
            ("get_records", []),
            ("get_pagination_records", [1, 5, {"field": "action", "value": "exported"}]),
        ],
    )

    assert added["value"]["data"] == "Affected"
    assert {"add-user", "exported"} <= {one["action"] for one in listed["value"]} | {"add-user"}
    [event] = site.admin.get(
        "/v1/events", params={"organization": "acme", "type": "record.added"}
    ).json()["items"]
    assert event["actor"] == "application:acme/portal"
    assert event["data"]["record"] == record
    [one] = python_sdk(site.python, [("get_record", [event["id"]])])
    assert (one["value"]["action"], one["value"]["user"]) == ("exported", "ann")
    assert one["value"]["clientIp"] == "203.0.113.7"
    assert page.get("error") is None


def test_python_lists_objects_of_every_kind(site: Site) -> None:
    outcomes = python_sdk(
        site.python,
        [
            ("get_organizations", []),
            ("get_organization", ["acme"]),
            ("get_applications", []),
            ("get_application", ["portal"]),
            ("get_providers", []),
            ("get_certs", []),
            ("get_cert", ["admin/cert-built-in"]),
            ("get_roles", []),
        ],
    )

    assert [one.get("error") for one in outcomes] == [None] * 8
    values = [one["value"] for one in outcomes]
    assert [one["name"] for one in values[0]] == ["acme"]
    assert values[1]["name"] == "acme"
    assert [one["name"] for one in values[2]] == ["portal"]
    assert values[3]["clientId"] == site.application["client_id"]
    assert values[3]["clientSecret"] == "***"
    assert values[4] == []
    assert values[6]["privateKey"] == ""
    # What an SDK is set up with: the tokens that are signed here are checked by it.
    [tokens] = python_sdk(site.python, [("get_oauth_token", [site.code()])])
    [parsed] = python_sdk(
        {**site.python, "certificate": values[6]["certificate"]},
        [("parse_jwt_token", [tokens["value"]["access_token"]])],
    )
    assert parsed["value"]["name"] == "ann"


def test_python_gives_and_takes_roles(site: Site) -> None:
    role = {"owner": "acme", "name": "editor", "displayName": "Editors", "users": []}
    outcomes = python_sdk(
        site.python,
        [
            ("add_role", [{"Role": role}]),
            ("assign_role_to_user", ["ann", "editor"]),
            ("get_user_roles", ["ann"]),
        ],
    )

    assert [one.get("error") for one in outcomes] == [None] * 3
    assert _native(site, "ann")["roles"] == ["editor"]
    assert [one["name"] for one in outcomes[2]["value"]] == ["editor"]
    outcomes = python_sdk(
        site.python,
        [
            ("remove_role_from_user", ["ann", "editor"]),
            ("delete_role", [{"Role": role}]),
            ("get_role", ["editor"]),
        ],
    )
    assert [one.get("error") for one in outcomes] == [None] * 3
    assert _native(site, "ann")["roles"] == []
    assert outcomes[2]["value"] is None


def test_asynchronous_python_does_the_same_with_users_tokens_and_roles(site: Site) -> None:
    role = {"owner": "acme", "name": "author", "users": []}
    python_sdk(site.python, [("add_role", [{"Role": role}])])
    outcomes = async_python_sdk(
        site.python,
        [
            ("add_user", [_user("otto", displayName="Otto", password=PASSWORD)]),
            ("get_user", ["otto"]),
            ("get_users", []),
            ("get_user_count", []),
            ("update_user", [_user("otto", displayName="Otto II")]),
            ("get_roles", []),
            ("assign_role_to_user", ["otto", "author"]),
            ("get_user_roles", ["otto"]),
            ("remove_role_from_user", ["otto", "author"]),
            ("update_role", [{**role, "description": "who writes"}]),
            ("get_role", ["author"]),
            ("enforce", ["acme/p", "", "", "", "", ["ann", "data", "read"]]),
            ("batch_enforce", ["acme/p", "", "", "", [["ann", "data", "read"]]]),
            ("get_oauth_token", [None, "ann", PASSWORD]),
        ],
    )

    enforced = [one for one in outcomes if "Permissions are not evaluated" in one.get("error", "")]
    assert len(enforced) == 2, "nothing is allowed by what is not there"
    values = [one["value"] for one in outcomes if "value" in one]
    assert len(values) == 12, outcomes
    assert (values[1]["name"], values[3]) == ("otto", 2)
    assert [one["name"] for one in values[7]] == ["author"]
    assert values[10]["description"] == "who writes"
    assert _native(site, "otto")["display_name"] == "Otto II"
    assert _native(site, "otto")["roles"] == []
    tokens = values[11]
    [refreshed] = async_python_sdk(
        site.python, [("refresh_oauth_token", [tokens["refresh_token"]])]
    )
    [parsed] = async_python_sdk(site.python, [("parse_jwt_token", [refreshed["value"]])])
    assert parsed["value"]["name"] == "ann"
    async_python_sdk(site.python, [("delete_user", [_user("otto")])])
    assert _native(site, "otto") == {}
    python_sdk(site.python, [("delete_role", [{"Role": role}])])


def test_node_adds_reads_updates_and_deletes_users(site: Site) -> None:
    nora = {"name": "nora", "displayName": "Nora", "password": PASSWORD, "tag": "vip"}
    outcomes = node_sdk(
        site.node,
        [
            ("addUser", [nora]),
            ("getUser", ["nora"]),
            ("getUsers", []),
            ("getUserCount", [True]),
            ("getUserCount", [False]),
            ("updateUser", [{"name": "nora", "displayName": "Nora II"}]),
            (
                "setPassword",
                [{"owner": "acme", "name": "nora", "oldPassword": "", "newPassword": NEW}],
            ),
        ],
    )

    assert [one["value"]["status"] for one in outcomes] == ["ok"] * 7, outcomes
    data = [one["value"]["data"] for one in outcomes]
    assert (data[1]["name"], data[1]["tag"]) == ("nora", "vip")
    assert {one["name"] for one in data[2]} == {"ann", "nora"}
    assert (data[3], data[4]) == (0, 2)
    assert _native(site, "nora")["display_name"] == "Nora II"
    assert _can_sign_in(site, "nora", NEW)
    [deleted] = node_sdk(site.node, [("deleteUser", [{"name": "nora"}])])
    assert deleted["value"]["data"] == "Affected"
    assert _native(site, "nora") == {}


def test_node_lists_and_deletes_tokens_and_adds_its_own(site: Site) -> None:
    node_sdk(site.node, [("getAuthToken", [site.code()])])
    [session] = site.live("portal")
    [listed] = node_sdk(site.node, [("getTokens", [])])
    [row] = listed["value"]["data"]
    own = {"name": "nodes-own", "scope": "theirs", "refreshToken": "secret"}
    outcomes = node_sdk(
        site.node,
        [
            ("getToken", [row["name"]]),
            ("getTokens", [1, 10]),
            ("addToken", [own]),
            ("updateToken", [{**own, "scope": "other"}]),
            ("getToken", ["nodes-own"]),
            ("deleteToken", [own]),
            ("deleteToken", [row]),
        ],
    )

    assert [one["value"]["status"] for one in outcomes] == ["ok"] * 7, outcomes
    data = [one["value"]["data"] for one in outcomes]
    assert data[0]["sessionId"] == session
    assert outcomes[1]["value"]["data2"] == 1
    assert (data[4]["scope"], data[4]["refreshToken"]) == ("other", "")
    assert [data[one] for one in (2, 3, 5, 6)] == ["Affected"] * 4
    assert site.admin.get(f"/v1/sessions/{session}").json()["end_reason"] == "ended_by_admin"


def test_node_adds_reads_updates_and_deletes_applications(site: Site) -> None:
    wiki = {"owner": "admin", "name": "wiki", "organization": "acme", "displayName": "Wiki"}
    outcomes = node_sdk(
        site.node,
        [
            ("addApplication", [{**wiki, "redirectUris": ["https://wiki.acme.test/cb"]}]),
            ("getApplication", ["wiki"]),
            ("getApplications", []),
            ("updateApplication", [{**wiki, "displayName": "Wiki II", "logo": "l.png"}]),
            ("getOrganizations", []),
            ("getCerts", []),
            ("getProviders", []),
        ],
    )

    assert [one["value"]["status"] for one in outcomes] == ["ok"] * 7, outcomes
    native = site.admin.get("/v1/applications/acme/wiki").json()
    assert native["display_name"] == "Wiki II"
    assert native["redirect_uris"] == ["https://wiki.acme.test/cb"]
    once = outcomes[0]["value"]["data2"]
    assert once["clientId"] == native["client_id"]
    assert len(once["clientSecret"]) > 40
    assert outcomes[1]["value"]["data"]["clientSecret"] == "***"
    [deleted] = node_sdk(site.node, [("deleteApplication", [wiki])])
    assert deleted["value"]["data"] == "Affected"
    assert site.admin.get("/v1/applications/acme/wiki").status_code == 404
