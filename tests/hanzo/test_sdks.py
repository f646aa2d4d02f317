"""Casdoor's own SDKs, unmodified, against a running server; what came of it is read by the native API."""

import httpx2
import pytest

from tests.hanzo.sdk_site import CALLBACK, CREATED, PASSWORD, Site
from tests.support.casdoor import node_sdk, python_sdk

pytestmark = pytest.mark.usefixtures("nobody_signed_in")


def test_python_lists_and_reads_sessions(site: Site) -> None:
    site.code()
    [ours] = site.live("app-built-in")

    listed, page, one, none = python_sdk(
        site.python,
        [
            ("get_sessions", []),
            ("get_pagination_sessions", [1, 10, {"sortField": "name", "sortOrder": "ascend"}]),
            ("get_session", ["ann", "app-built-in"]),
            ("get_session", ["ann", "nothing"]),
        ],
    )

    assert [row["sessionId"] for row in listed["value"]] == [[ours]]
    rows, total = page["value"]
    assert ([row["name"] for row in rows], total) == (["ann"], 1)
    assert one["value"]["sessionId"] == [ours]
    assert one["value"]["sessionInfos"][0]["sessionId"] == ours
    assert none["value"] is None


def test_python_adds_updates_and_deletes_sessions(site: Site) -> None:
    session = ["acme", "ann", "portal", CREATED, ["of-its-own"]]
    later = ["acme", "ann", "portal", "2026-11-26T11:00:00+08:00", ["of-its-own", "second"]]
    outcomes = python_sdk(
        site.python,
        [
            ("add_session", [{"Session": session}]),
            ("get_session", ["ann", "portal"]),
            ("update_session", [{"Session": later}]),
            ("get_session", ["ann", "portal"]),
            ("update_session_for_columns", [{"Session": session}, ["session_id"]]),
            ("get_session", ["ann", "portal"]),
            ("delete_session", [{"Session": session}]),
            ("get_session", ["ann", "portal"]),
        ],
    )

    assert [one.get("error") for one in outcomes] == [None] * 8
    added, updated, narrowed, gone = (one["value"] for one in outcomes[1::2])
    assert (added["sessionId"], added["createdTime"]) == (["of-its-own"], CREATED)
    assert updated["sessionId"] == ["of-its-own", "second"]
    assert updated["createdTime"] == "2026-11-26T11:00:00+08:00"
    assert narrowed["sessionId"] == ["of-its-own"]
    assert gone is None
    assert site.live("portal") == [], "no session of ours ever started"


def test_python_deletes_the_sessions_that_somebody_is_signed_in_with(site: Site) -> None:
    site.code()
    [ours] = site.live("app-built-in")

    [deleted] = python_sdk(
        site.python,
        [("delete_session", [{"Session": ["acme", "ann", "app-built-in", CREATED, []]}])],
    )

    assert deleted["value"]["data"] == "Affected"
    assert site.admin.get(f"/v1/sessions/{ours}").json()["end_reason"] == "ended_by_admin"


def test_python_gets_reads_introspects_and_refreshes_tokens(site: Site) -> None:
    [tokens] = python_sdk(site.python, [("get_oauth_token", [site.code()])])
    access, refresh = tokens["value"]["access_token"], tokens["value"]["refresh_token"]
    [entered] = site.live("portal")

    parsed, introspected, refreshed = python_sdk(
        site.python,
        [
            ("parse_jwt_token", [access]),
            ("introspect_token", [access, "access_token"]),
            ("refresh_oauth_tokens", [refresh]),
        ],
    )
    [account] = python_sdk(site.python, [("get_account", [])], as_user=access)

    claims = parsed["value"]
    assert (claims["owner"], claims["name"], claims["sid"]) == ("acme", "ann", entered)
    assert site.application["client_id"] in claims["aud"]
    assert introspected["value"]["active"] is True
    assert account["value"]["name"] == "ann", account
    assert refreshed["value"]["refresh_token"] != refresh
    [again] = python_sdk(
        site.python, [("refresh_oauth_token", [refreshed["value"]["refresh_token"]])]
    )
    assert again["value"].count(".") == 2
    [reused] = python_sdk(site.python, [("refresh_oauth_tokens", [refresh])])
    assert reused["value"]["error"] == "invalid_grant"
    assert site.admin.get(f"/v1/sessions/{entered}").json()["end_reason"] == "refresh_reuse"


def test_python_gets_tokens_by_password_and_for_itself(site: Site) -> None:
    by_password, wrong, impersonated, own = python_sdk(
        site.python,
        [
            ("get_oauth_token", [None, "ann", PASSWORD]),
            ("get_oauth_token_by_password", ["ann", "wrong"]),
            ("impersonate_user", ["ann", "master"]),
            ("get_oauth_token", []),
        ],
    )

    [session] = site.live("portal")
    found = site.admin.get(f"/v1/sessions/{session}").json()
    assert (found["user"], found["amr"]) == ("ann", ["pwd"])
    assert by_password["value"]["token_type"] == "Bearer"
    assert wrong["error"] == impersonated["error"]
    [sessions] = python_sdk(
        site.python, [("get_sessions", [])], as_user=own["value"]["access_token"]
    )
    assert [row["name"] for row in sessions["value"]] == ["ann"]


def test_python_signs_people_out(site: Site) -> None:
    [tokens] = python_sdk(site.python, [("get_oauth_token", [site.code()])])
    site.code()
    assert len(site.live("app-built-in")) == 2

    [current] = python_sdk(
        site.python, [("logout_current_session", [tokens["value"]["access_token"]])]
    )

    assert current["value"]["status"] == "ok"
    assert (len(site.live("app-built-in")), site.live("portal")) == (1, [])
    [tokens] = python_sdk(site.python, [("get_oauth_token", [site.code()])])
    site.code()
    python_sdk(site.python, [("logout", [tokens["value"]["access_token"]])])
    assert site.live("app-built-in") == site.live("portal") == []


def test_pythons_addresses_lead_somewhere(site: Site) -> None:
    outcomes = python_sdk(
        {**site.python, "front_endpoint": site.server.url},
        [
            ("get_auth_link", [CALLBACK]),
            ("get_signin_url", [CALLBACK]),
            ("get_signup_url", []),
            ("get_signup_url", [False, CALLBACK]),
            ("get_user_profile_url", ["ann"]),
            ("get_my_profile_url", []),
        ],
    )

    for one in outcomes:
        answer = httpx2.get(one["value"], follow_redirects=True, timeout=60)
        assert answer.status_code == 200, one
        assert answer.url.path == "/sign-in", one


def test_node_lists_adds_updates_and_deletes_sessions(site: Site) -> None:
    site.code()
    [ours] = site.live("app-built-in")
    session = {"name": "ann", "application": "portal", "createdTime": CREATED, "sessionId": ["own"]}
    outcomes = node_sdk(
        site.node,
        [
            ("getSessions", []),
            ("getSession", ["ann", "app-built-in"]),
            ("addSession", [session]),
            ("getSession", ["ann", "portal"]),
            ("updateSession", [{**session, "sessionId": ["own", "two"]}]),
            ("getSession", ["ann", "portal"]),
            ("deleteSession", [session]),
            ("getSession", ["ann", "portal"]),
            ("deleteSession", [{"name": "ann", "application": "app-built-in"}]),
        ],
    )

    assert [one["status"] for one in outcomes] == [200] * 9
    assert [one["value"]["status"] for one in outcomes] == ["ok"] * 9
    data = [one["value"]["data"] for one in outcomes]
    assert data[0][0]["sessionId"] == data[1]["sessionId"] == [ours]
    assert [data[i] for i in (2, 4, 6, 8)] == ["Affected"] * 4
    assert data[3]["sessionId"] == ["own"]
    assert data[5]["sessionId"] == ["own", "two"]
    assert data[7] is None
    assert site.admin.get(f"/v1/sessions/{ours}").json()["end_reason"] == "ended_by_admin"


def test_node_gets_reads_introspects_and_refreshes_tokens(site: Site) -> None:
    [tokens] = node_sdk(site.node, [("getAuthToken", [site.code()])])
    access, refresh = tokens["value"]["access_token"], tokens["value"]["refresh_token"]

    parsed, introspected, refreshed = node_sdk(
        site.node,
        [
            ("parseJwtToken", [access]),
            ("introspect", [access, "access_token"]),
            ("refreshToken", [refresh]),
        ],
    )

    [entered] = site.live("portal")
    assert (parsed["value"]["name"], parsed["value"]["sid"]) == ("ann", entered)
    assert introspected["value"]["active"] is True
    assert introspected["value"]["username"] == "ann"
    assert refreshed["value"]["refresh_token"] != refresh
    site.end_all()
    [over] = node_sdk(site.node, [("introspect", [access])])
    assert over["value"] == {"active": False}
