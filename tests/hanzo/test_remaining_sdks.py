"""The SDKs' methods for groups, permissions, roles, second factors and addresses, by the SDKs themselves."""

import base64

import pyotp
import pytest

from tests.hanzo.sdk_site import Site
from tests.support.casdoor import node_sdk, python_sdk
from tests.support.sdk_outcomes import data_of, values_of

pytestmark = pytest.mark.usefixtures("nobody_signed_in")


def test_python_pages_and_changes_roles(site: Site) -> None:
    role = {"owner": "acme", "name": "reader", "displayName": "Reader", "users": ["acme/ann"]}
    outcomes = python_sdk(
        site.python,
        [
            ("add_role", [{"Role": role}]),
            ("get_pagination_roles", [1, 10, {"field": "name", "value": "reader"}]),
            ("update_role_for_columns", [{"Role": role | {"displayName": "R"}}, ["display_name"]]),
            ("get_role", ["reader"]),
        ],
    )
    values = values_of(outcomes)
    assert values[1][1] == 1
    assert (values[3]["displayName"], values[3]["users"]) == ("R", ["acme/ann"])
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == ["reader"]
    python_sdk(site.python, [("update_role", [{"Role": role | {"users": []}}])])
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == []
    python_sdk(site.python, [("delete_role", [{"Role": role}])])


def test_node_gives_and_takes_roles(site: Site) -> None:
    role = {"owner": "acme", "name": "reader", "displayName": "Reader", "users": ["acme/ann"]}
    outcomes = node_sdk(site.node, [("addRole", [role]), ("getRole", ["reader"]), ("getRoles", [])])
    assert data_of(outcomes)[1]["users"] == ["acme/ann"]
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == ["reader"]
    assert data_of(node_sdk(site.node, [("updateRole", [role | {"users": []}])])) == ["Affected"]
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == []
    assert data_of(node_sdk(site.node, [("deleteRole", [role])])) == ["Affected"]


GROUP = {"owner": "acme", "name": "staff", "displayName": "Staff", "isTopGroup": True}


PERMISSION = {
    "owner": "acme",
    "name": "read-all",
    "displayName": "Read",
    "roles": ["acme/reader"],
    "resources": ["data"],
    "actions": ["Read"],
    "effect": "Allow",
    "isEnabled": True,
}


def test_python_keeps_groups(site: Site) -> None:
    outcomes = python_sdk(
        site.python,
        [
            ("add_group", [{"Group": GROUP}]),
            ("get_group", ["staff"]),
            ("get_groups", []),
            ("get_pagination_groups", [1, 10, {}]),
            ("update_group", [{"Group": GROUP | {"displayName": "Everybody"}}]),
            ("get_group", ["staff"]),
            ("delete_group", [{"Group": GROUP}]),
            ("get_groups", []),
        ],
    )

    values = values_of(outcomes)
    assert [values[one] for one in (0, 4, 6)] == ["Affected"] * 3
    assert (values[1]["displayName"], values[5]["displayName"]) == ("Staff", "Everybody")
    assert ([one["name"] for one in values[2]], values[3][1]) == (["staff"], 1)
    assert values[7] == []
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == [], "they give nothing"


def test_python_keeps_permissions_which_allow_nothing(site: Site) -> None:
    outcomes = python_sdk(
        site.python,
        [
            ("add_permission", [{"Permission": PERMISSION}]),
            ("get_permission", ["read-all"]),
            ("get_permissions", []),
            ("get_pagination_permissions", [1, 10, {}]),
            ("get_permissions_by_role", ["reader"]),
            ("get_permissions_by_role", ["writer"]),
            ("update_permission", [{"Permission": PERMISSION | {"displayName": "All"}}]),
            (
                "update_permission_for_columns",
                [{"Permission": PERMISSION | {"displayName": "No", "effect": "Deny"}}, ["effect"]],
            ),
            ("get_permission", ["read-all"]),
        ],
    )

    values = values_of(outcomes)
    assert values[1]["resources"] == ["data"]
    assert ([one["name"] for one in values[2]], values[3][1]) == (["read-all"], 1)
    assert ([one["name"] for one in values[4]], values[5]) == (["read-all"], [])
    assert (values[8]["displayName"], values[8]["effect"]) == ("All", "Deny")
    asked, many = python_sdk(
        site.python,
        [
            ("enforce", ["acme/read-all", "", "", "", "", ["acme/ann", "data", "Read"]]),
            ("batch_enforce", ["acme/read-all", "", "", "", [["acme/ann", "data", "Read"]]]),
        ],
    )
    assert "Permissions are not evaluated" in asked["error"]
    assert "Permissions are not evaluated" in many["error"]
    outcomes = python_sdk(site.python, [("delete_permission", [{"Permission": PERMISSION}])])
    assert values_of(outcomes) == ["Affected"]


def test_node_keeps_groups_and_permissions(site: Site) -> None:
    outcomes = node_sdk(
        site.node,
        [
            ("addGroup", [GROUP]),
            ("getGroup", ["staff"]),
            ("getGroups", []),
            ("updateGroup", [GROUP | {"displayName": "Everybody"}]),
            ("getGroup", ["staff"]),
            ("deleteGroup", [GROUP]),
            ("addPermission", [PERMISSION]),
            ("getPermission", ["read-all"]),
            ("getPermissions", []),
            ("updatePermission", [PERMISSION | {"effect": "Deny"}]),
            ("getPermission", ["read-all"]),
            ("deletePermission", [PERMISSION]),
        ],
    )

    data = data_of(outcomes)
    assert (data[1]["displayName"], data[4]["displayName"]) == ("Staff", "Everybody")
    assert [one["name"] for one in data[2]] == ["staff"]
    assert (data[7]["effect"], data[10]["effect"]) == ("Allow", "Deny")
    assert [one["name"] for one in data[8]] == ["read-all"]
    assert [data[one] for one in (0, 3, 5, 6, 9, 11)] == ["Affected"] * 6
    asked = node_sdk(
        site.node,
        [
            ("enforce", ["acme/read-all", "", "", ["acme/ann", "data", "Read"]]),
            ("batchEnforce", ["acme/read-all", "", "", [["acme/ann", "data", "Read"]]]),
        ],
    )
    assert all("error" in one for one in asked), "it throws, and nothing is allowed"


def test_python_sets_a_second_factor_up_for_a_user(site: Site) -> None:
    person = {"owner": "acme", "name": "mona", "password": "a secret of 13", "displayName": "M"}
    python_sdk(site.python, [("add_user", [{"User": person}])])
    [begun] = values_of(python_sdk(site.python, [("mfa_initiate", ["acme", "app", "mona"])]))
    secret = begun["data"]["secret"]
    assert begun["data"]["recoveryCodes"]
    early = python_sdk(site.python, [("mfa_enable", ["acme", "app", "mona", secret])])
    assert "error" in early[0]
    assert not site.admin.get("/v1/users/acme/mona").json()["second_factor"]

    code = pyotp.TOTP(secret).now()
    outcomes = python_sdk(
        site.python,
        [
            ("mfa_verify", ["acme", "app", "mona", secret, code]),
            ("mfa_enable", ["acme", "app", "mona", secret, begun["data"]["recoveryCodes"][0]]),
            ("mfa_set_preferred", ["acme", "app", "mona"]),
        ],
    )

    assert [one["status"] for one in values_of(outcomes)] == ["ok"] * 3
    assert site.admin.get("/v1/users/acme/mona").json()["second_factor"]
    [gone] = values_of(python_sdk(site.python, [("mfa_delete", ["acme", "mona"])]))
    assert gone["data"] == "Affected"
    assert not site.admin.get("/v1/users/acme/mona").json()["second_factor"]
    python_sdk(site.python, [("delete_user", [{"User": person}])])


def test_node_sets_a_second_factor_up_for_a_user(site: Site) -> None:
    person = {"owner": "acme", "name": "nils", "password": "a secret of 13"}
    node_sdk(site.node, [("addUser", [person])])
    whose = {"owner": "acme", "mfaType": "app", "name": "nils"}
    [begun] = data_of(node_sdk(site.node, [("initiateMfa", [whose])]))
    code = pyotp.TOTP(begun["secret"]).now()
    assert len(base64.b32decode(begun["secret"])) == 20

    outcomes = node_sdk(
        site.node,
        [
            ("verifyMfa", [whose, code]),
            ("enableMfa", [whose]),
            ("setPreferredMfa", [whose]),
        ],
    )

    data_of(outcomes)
    assert site.admin.get("/v1/users/acme/nils").json()["second_factor"]
    assert data_of(node_sdk(site.node, [("deleteMfa", ["acme", "nils"])])) == ["Affected"]
    assert not site.admin.get("/v1/users/acme/nils").json()["second_factor"]
    node_sdk(site.node, [("deleteUser", [person])])


def test_nodes_addresses_lead_somewhere(site: Site) -> None:
    outcomes = node_sdk(
        site.node,
        [
            ("getSignInUrl", ["https://app.acme.test/callback"]),
            ("getSignUpUrl", [True, "https://app.acme.test/callback"]),
            ("getUserProfileUrl", ["ann", "token"]),
            ("getMyProfileUrl", ["token"]),
        ],
    )

    for one in outcomes:
        address = one["value"]
        answer = site.admin.get(address, headers={"authorization": ""}, follow_redirects=True)
        assert (answer.status_code, answer.url.path) == (200, "/sign-in"), address
