"""The SDKs' methods for organizations, applications, certificates and providers, by the SDKs themselves."""

from typing import Any

import pytest

from tests.hanzo.sdk_site import Site
from tests.support.casdoor import node_sdk, python_sdk
from tests.support.sdk_outcomes import data_of, values_of

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
    assert values_of([added, updated]) == ["Affected"] * 2
    assert {"labs", "acme"} <= {one["name"] for one in values_of([names])[0]}
    native = site.admin.get("/v1/organizations/labs").json()
    assert native["display_name"] == "Laboratories"

    [deleted] = values_of(python_sdk(config, [("delete_organization", [more])]))

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
    assert data_of(outcomes)[1]["displayName"] == "Labs"
    native = site.admin.get("/v1/organizations/labs").json()
    assert native["display_name"] == "Laboratories"

    assert data_of(node_sdk(config, [("deleteOrganization", [labs])])) == ["Affected"]

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
    assert values_of([added, updated]) == ["Affected"] * 2
    assert {one["name"] for one in values_of([mine])[0]} == {"portal", "blog"}
    native = site.admin.get("/v1/applications/acme/blog").json()
    assert native["display_name"] == "Weblog"
    assert native["redirect_uris"] == ["https://blog.acme.test/cb"]

    outcomes = python_sdk(site.python, [("delete_application", [{"Application": members}])])

    assert values_of(outcomes) == ["Affected"]
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

    values = values_of(outcomes)
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

    data = data_of(outcomes)
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
    values = values_of(outcomes)
    assert (values[1]["type"], values[2][1]) == ("GitHub", 1)
    native = site.admin.get("/v1/providers/acme/hub").json()
    assert native["display_name"] == "The hub"

    [deleted] = values_of(python_sdk(site.python, [("delete_provider", [{"Provider": HUB}])]))

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
    assert data_of(outcomes)[1]["clientSecret"] == "***"
    native = site.admin.get("/v1/providers/acme/hub").json()
    assert native["display_name"] == "The hub"

    assert data_of(node_sdk(site.node, [("deleteProvider", [HUB])])) == ["Affected"]

    assert site.admin.get("/v1/providers/acme/hub").status_code == 404
