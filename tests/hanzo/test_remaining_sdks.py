"""What Casdoor's SDKs call besides sessions, tokens and users, unmodified; what came of it is read by the
native API."""

import base64
from typing import Any

import pyotp
import pytest

from tests.hanzo.sdk_site import Site
from tests.support.casdoor import node_sdk, python_sdk

pytestmark = pytest.mark.usefixtures("nobody_signed_in")


def _installation(site: Site) -> dict[str, Any]:
    """An application that administers the whole installation."""
    body = {"organization": "built-in", "name": "operator", "manages_organization": True}
    there = site.admin.get("/v1/applications/built-in/operator")
    if there.status_code == 200:
        made = site.admin.post("/v1/applications/built-in/operator/secret").json()
        return {**there.json(), **made}
    made = site.admin.post("/v1/applications", json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def _values(outcomes: list[Any]) -> list[Any]:
    assert [one.get("error") for one in outcomes] == [None] * len(outcomes), outcomes
    return [one["value"] for one in outcomes]


def _data(outcomes: list[Any]) -> list[Any]:
    assert [one["value"]["status"] for one in outcomes] == ["ok"] * len(outcomes), outcomes
    return [one["value"]["data"] for one in outcomes]


def test_python_adds_updates_and_deletes_organizations(site: Site) -> None:
    operator = _installation(site)
    config = site.python | {
        "client_id": operator["client_id"],
        "client_secret": operator["client_secret"],
    }
    labs = {"Organization": {"owner": "admin", "name": "labs", "displayName": "Labs"}}
    more = {"Organization": {"owner": "admin", "name": "labs", "displayName": "Laboratories"}}
    added, names, updated = python_sdk(
        config,
        [
            ("add_organization", [labs]),
            ("get_organization_names", []),
            ("update_organization", [more]),
        ],
    )
    assert _values([added, updated]) == ["Affected"] * 2
    assert {"labs", "acme"} <= {one["name"] for one in _values([names])[0]}
    native = site.admin.get("/v1/organizations/labs").json()
    assert native["display_name"] == "Laboratories"

    [deleted] = _values(python_sdk(config, [("delete_organization", [more])]))

    assert deleted == "Affected"
    assert site.admin.get("/v1/organizations/labs").status_code == 404


def test_node_adds_updates_and_deletes_organizations(site: Site) -> None:
    operator = _installation(site)
    config = site.node | {
        "clientId": operator["client_id"],
        "clientSecret": operator["client_secret"],
    }
    labs = {"owner": "admin", "name": "labs", "displayName": "Labs"}
    outcomes = node_sdk(
        config,
        [
            ("addOrganization", [labs]),
            ("getOrganization", ["labs"]),
            ("updateOrganization", [{**labs, "displayName": "Laboratories"}]),
        ],
    )
    assert _data(outcomes)[1]["displayName"] == "Labs"
    native = site.admin.get("/v1/organizations/labs").json()
    assert native["display_name"] == "Laboratories"

    assert _data(node_sdk(config, [("deleteOrganization", [labs])])) == ["Affected"]

    assert site.admin.get("/v1/organizations/labs").status_code == 404


def test_python_adds_updates_and_deletes_applications(site: Site) -> None:
    members = {
        "owner": "admin",
        "name": "blog",
        "organization": "acme",
        "displayName": "Blog",
        "redirectUris": ["https://blog.acme.test/cb"],
    }
    added, mine, updated = python_sdk(
        site.python,
        [
            ("add_application", [{"Application": members}]),
            ("get_organization_applications", []),
            ("update_application", [{"Application": members | {"displayName": "Weblog"}}]),
        ],
    )
    assert _values([added, updated]) == ["Affected"] * 2
    assert {one["name"] for one in _values([mine])[0]} == {"portal", "blog"}
    native = site.admin.get("/v1/applications/acme/blog").json()
    assert native["display_name"] == "Weblog"
    assert native["redirect_uris"] == ["https://blog.acme.test/cb"]

    outcomes = python_sdk(site.python, [("delete_application", [{"Application": members}])])

    assert _values(outcomes) == ["Affected"]
    assert site.admin.get("/v1/applications/acme/blog").status_code == 404


OWN_CERT = {"owner": "acme", "name": "of-acme", "certificate": "PEM", "privateKey": "KEY"}


def test_python_keeps_certificates_of_its_own(site: Site) -> None:
    outcomes = python_sdk(
        site.python,
        [
            ("add_cert", [{"Cert": OWN_CERT}]),
            ("get_cert", ["acme/of-acme"]),
            ("get_global_certs", []),
            ("update_cert", [{"Cert": OWN_CERT | {"certificate": "PEM 2"}}]),
            ("get_cert", ["acme/of-acme"]),
            ("delete_cert", [{"Cert": OWN_CERT}]),
            ("get_certs", []),
        ],
    )

    values = _values(outcomes)
    assert (values[1]["certificate"], values[1].get("privateKey") or "") == ("PEM", "")
    assert "of-acme" in {one["name"] for one in values[2]}
    assert values[4]["certificate"] == "PEM 2"
    assert "of-acme" not in {one["name"] for one in values[6]}
    keys = site.admin.get("/oauth/jwks").json()["keys"]
    assert all(key.get("kid") != "of-acme" for key in keys), "it signs nothing"


def test_node_keeps_certificates_of_its_own(site: Site) -> None:
    outcomes = node_sdk(
        site.node,
        [
            ("addCert", [OWN_CERT]),
            ("getCert", ["of-acme"]),
            ("updateCert", [OWN_CERT | {"certificate": "PEM 2"}]),
            ("getCert", ["of-acme"]),
            ("deleteCert", [OWN_CERT]),
            ("getCert", ["of-acme"]),
        ],
    )

    data = _data(outcomes)
    assert [data[one] for one in (0, 2, 4)] == ["Affected"] * 3
    assert (data[1]["certificate"], data[3]["certificate"]) == ("PEM", "PEM 2")
    assert data[5] is None


HUB = {
    "owner": "acme",
    "name": "hub",
    "displayName": "Hub",
    "category": "OAuth",
    "type": "GitHub",
    "clientId": "hub-client",
    "clientSecret": "hub-secret",
}


def test_python_adds_updates_and_deletes_providers(site: Site) -> None:
    outcomes = python_sdk(
        site.python,
        [
            ("add_provider", [{"Provider": HUB}]),
            ("get_provider", ["acme/hub"]),
            ("get_pagination_providers", [1, 10, {}]),
            ("update_provider", [{"Provider": HUB | {"displayName": "The hub"}}]),
        ],
    )
    values = _values(outcomes)
    assert (values[1]["type"], values[2][1]) == ("GitHub", 1)
    native = site.admin.get("/v1/providers/acme/hub").json()
    assert native["display_name"] == "The hub"

    [deleted] = _values(python_sdk(site.python, [("delete_provider", [{"Provider": HUB}])]))

    assert deleted["data"] == "Affected"
    assert site.admin.get("/v1/providers/acme/hub").status_code == 404


def test_node_adds_updates_and_deletes_providers(site: Site) -> None:
    outcomes = node_sdk(
        site.node,
        [
            ("addProvider", [HUB]),
            ("getProvider", ["hub"]),
            ("updateProvider", [HUB | {"displayName": "The hub"}]),
        ],
    )
    assert _data(outcomes)[1]["clientSecret"] == "***"
    native = site.admin.get("/v1/providers/acme/hub").json()
    assert native["display_name"] == "The hub"

    assert _data(node_sdk(site.node, [("deleteProvider", [HUB])])) == ["Affected"]

    assert site.admin.get("/v1/providers/acme/hub").status_code == 404


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
    values = _values(outcomes)
    assert values[1][1] == 1
    assert (values[3]["displayName"], values[3]["users"]) == ("R", ["acme/ann"])
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == ["reader"]
    python_sdk(site.python, [("update_role", [{"Role": role | {"users": []}}])])
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == []
    python_sdk(site.python, [("delete_role", [{"Role": role}])])


def test_node_gives_and_takes_roles(site: Site) -> None:
    role = {"owner": "acme", "name": "reader", "displayName": "Reader", "users": ["acme/ann"]}
    outcomes = node_sdk(site.node, [("addRole", [role]), ("getRole", ["reader"]), ("getRoles", [])])
    assert _data(outcomes)[1]["users"] == ["acme/ann"]
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == ["reader"]
    assert _data(node_sdk(site.node, [("updateRole", [role | {"users": []}])])) == ["Affected"]
    assert site.admin.get("/v1/users/acme/ann").json()["roles"] == []
    assert _data(node_sdk(site.node, [("deleteRole", [role])])) == ["Affected"]


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

    values = _values(outcomes)
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

    values = _values(outcomes)
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
    assert _values(outcomes) == ["Affected"]


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

    data = _data(outcomes)
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
    [begun] = _values(python_sdk(site.python, [("mfa_initiate", ["acme", "app", "mona"])]))
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

    assert [one["status"] for one in _values(outcomes)] == ["ok"] * 3
    assert site.admin.get("/v1/users/acme/mona").json()["second_factor"]
    [gone] = _values(python_sdk(site.python, [("mfa_delete", ["acme", "mona"])]))
    assert gone["data"] == "Affected"
    assert not site.admin.get("/v1/users/acme/mona").json()["second_factor"]
    python_sdk(site.python, [("delete_user", [{"User": person}])])


def test_node_sets_a_second_factor_up_for_a_user(site: Site) -> None:
    person = {"owner": "acme", "name": "nils", "password": "a secret of 13"}
    node_sdk(site.node, [("addUser", [person])])
    whose = {"owner": "acme", "mfaType": "app", "name": "nils"}
    [begun] = _data(node_sdk(site.node, [("initiateMfa", [whose])]))
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

    _data(outcomes)
    assert site.admin.get("/v1/users/acme/nils").json()["second_factor"]
    assert _data(node_sdk(site.node, [("deleteMfa", ["acme", "nils"])])) == ["Affected"]
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
