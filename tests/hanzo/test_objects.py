"""Organizations, applications, providers and certificates by the verbs of Casdoor's clients."""

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from iam.directory.providers import add_link
from tests.hanzo.conftest import Legacy, bad
from tests.support.native_objects import native_object

SECRET = "0123456789abcdef0123456789abcdef01234567"


def _types(legacy: Legacy, organization: str) -> set[str]:
    query = f"/v1/events?organization={organization}&limit=200"
    return {one["type"] for one in native_object(legacy, query)["items"]}


def test_an_organization_is_added_changed_closed_and_deleted(both: Legacy) -> None:
    admin = both.headers("built-in", "admin")
    body = {"owner": "admin", "name": "initech", "displayName": "Initech", "maxSessions": 3}
    body |= {"enableExclusiveSignin": True, "favicon": "f.ico", "masterPassword": "m"}

    assert both.post("add-organization", body, headers=admin)["data"] == "Affected"

    native = native_object(both, "/v1/organizations/initech")
    assert native["display_name"] == "Initech"
    assert (native["policy"]["exclusive"], native["policy"]["maximum_user_sessions"]) == (True, 3)
    shown = both.get("get-organization", id="admin/initech", headers=admin)["data"]
    assert (shown["favicon"], shown["masterPassword"], shown["maxSessions"]) == ("f.ico", "", 3)
    again = both.post("update-organization", shown, id="admin/initech", headers=admin)
    assert again["data"] == "Affected"
    assert native_object(both, "/v1/organizations/initech") == native

    both.world.make_user("initech", "peter")
    token = both.token("initech", "peter")
    closed = {"owner": "admin", "name": "initech", "disableSignin": True}
    both.post("update-organization", closed, headers=admin)
    assert both.end_reason(token.split(".")[0]) == "user_disabled"
    both.post("delete-organization", closed, headers=admin)
    assert native_object(both, "/v1/organizations/initech") == {}
    assert both.get("get-organization", id="admin/initech", headers=admin)["data"] is None


def test_an_administrator_changes_their_organization_and_cannot_close_it(both: Legacy) -> None:
    boss = both.headers("acme", "boss")
    row = {"owner": "admin", "name": "acme"}

    both.post("update-organization", {**row, "displayName": "ACME"}, headers=boss)
    closing = both.world.post(
        "/api/update-organization", json={**row, "disableSignin": True}, headers=boss
    )

    assert bad(closing) == "Unauthorized operation"
    native = native_object(both, "/v1/organizations/acme")
    assert (native["display_name"], native["enabled"]) == ("ACME", True)
    assert "organization.updated" in _types(both, "acme")


def test_an_application_brings_its_client_id_and_secret_along(both: Legacy) -> None:
    office, world = both.client("acme/office"), both.world
    body = {
        "owner": "admin",
        "name": "wiki",
        "organization": "acme",
        "displayName": "Wiki",
        "clientId": "b5a1c1c0d5d2c7e6",
        "clientSecret": SECRET,
        "homepageUrl": "https://w/",
        "redirectUris": ["https://wiki.acme.example/cb"],
        "maxSessions": 2,
        "grantTypes": ["authorization_code", "client_credentials", "token", "jwt-bearer"],
    }

    made = both.post("add-application", body, **office)

    assert made["data2"] == {"clientId": "b5a1c1c0d5d2c7e6", "clientSecret": SECRET}
    native = native_object(both, "/v1/applications/acme/wiki")
    assert native["client_id"] == "b5a1c1c0d5d2c7e6"
    assert native["grant_types"] == ["authorization_code", "client_credentials", "implicit"]
    assert (native["require_pkce"], native["policy"]["maximum_sessions"]) == (False, 2)
    form = {"grant_type": "client_credentials", "client_id": native["client_id"]}
    token = world.post(
        "/api/login/oauth/access_token", data={**form, "client_secret": SECRET}
    ).json()["access_token"]
    own = both.get("get-application", id="admin/wiki", headers=world.bearer(token))["data"]
    assert (own["clientSecret"], own["homepageUrl"]) == ("***", "https://w/")
    taken = world.post("/api/add-application", json={**body, "name": "other"}, params=office)
    assert bad(taken) == "clientId is taken."


def test_a_new_secret_takes_the_place_of_the_old_and_a_mask_does_not(both: Legacy) -> None:
    office, shop = both.client("acme/office"), both.basic("acme/shop")
    row = {"owner": "admin", "name": "shop"}

    both.post("update-application", {**row, "clientSecret": "***"}, **office)
    assert both.get("get-application", id="admin/shop", headers=shop)["data"]["name"] == "shop"
    both.post("update-application", {**row, "clientSecret": SECRET}, **office)

    refused = both.world.get("/api/get-application?id=admin/shop", headers=shop)
    assert bad(refused) == "Incorrect client ID or client secret"
    assert "application.secret_rotated" in _types(both, "acme")


def test_closing_and_deleting_an_application_ends_its_sessions(both: Legacy) -> None:
    office = both.client("acme/office")
    token = both.token("acme", "ann", "shop")
    row = {"owner": "admin", "name": "shop", "organization": "acme"}

    both.post("update-application", {**row, "disableSignin": True, "logo": "l"}, **office)

    assert both.end_reason(token.split(".")[0]) == "application_disabled"
    shown = both.get("get-application", id="acme/shop", **office)["data"]
    assert (shown["disableSignin"], shown["logo"]) == (True, "l")
    assert both.post("delete-application", row, **office)["data"] == "Affected"
    assert native_object(both, "/v1/applications/acme/shop") == {}
    assert native_object(both, "/v1/applications/globex/shop")["enabled"] is True


def test_an_application_whose_name_others_have_too_is_named_with_its_organization(
    both: Legacy,
) -> None:
    admin = both.headers("built-in", "admin")

    vague = both.world.get("/api/get-application?id=admin/shop", headers=admin)
    by_owner = both.get("get-application", id="globex/shop", headers=admin)["data"]
    beside = both.get("get-application", id="admin/shop", organization="acme", headers=admin)

    assert "More than one organization" in bad(vague)
    assert (by_owner["organization"], beside["data"]["organization"]) == ("globex", "acme")
    row = {"owner": "acme", "name": "ann", "signupApplication": "shop"}
    both.post("update-user", row, headers=admin)
    found = both.get("get-user-application", id="acme/ann", headers=admin)["data"]
    assert found["organization"] == "acme"


def test_a_provider_that_people_can_sign_in_with_is_one_of_ours(both: Legacy) -> None:
    office = both.client("acme/office")
    hub = {"owner": "admin", "name": "hub", "displayName": "Hub", "category": "OAuth"}
    hub |= {"type": "GitHub", "clientId": "cid", "clientSecret": "s3cret", "signName": "x"}

    both.post("add-provider", hub, id="admin/hub", **office)

    native = native_object(both, "/v1/providers/acme/hub")
    assert (native["kind"], native["options"]["preset"]) == ("oauth2", "github")
    assert native["has_client_secret"] is True
    shown = both.get("get-provider", id="admin/hub", **office)["data"]
    assert (shown["type"], shown["clientSecret"], shown["signName"]) == ("GitHub", "***", "x")
    both.post("update-provider", {**shown, "displayName": "Hub II"}, **office)
    native = native_object(both, "/v1/providers/acme/hub")
    assert (native["display_name"], native["has_client_secret"]) == ("Hub II", True)
    assert [one["name"] for one in both.get("get-providers", owner="acme", **office)["data"]] == [
        "hub"
    ]
    both.post("delete-provider", {"owner": "acme", "name": "hub"}, **office)
    assert native_object(both, "/v1/providers/acme/hub") == {}
    assert both.get("get-provider", id="acme/hub", **office)["data"] is None
    assert {"provider.created", "provider.updated", "provider.deleted"} <= _types(both, "acme")


def test_a_custom_provider_is_openid_connect_or_oauth_by_its_addresses(both: Legacy) -> None:
    office = both.client("acme/office")
    custom = {"owner": "acme", "category": "OAuth", "type": "Custom", "clientId": "cid"}
    oidc = {**custom, "name": "one", "issuerUrl": "https://login.example", "scopes": "openid email"}
    three = {**custom, "name": "two", "userMapping": {"id": "uid", "email": "mail"}}
    three |= {
        f"custom{one}Url": f"https://login.example/{one}" for one in ("Auth", "Token", "UserInfo")
    }

    for body in (oidc, three):
        both.post("add-provider", body, **office)

    first = native_object(both, "/v1/providers/acme/one")
    assert (first["kind"], first["options"]["issuer"]) == ("oidc", "https://login.example")
    assert first["options"]["scopes"] == ["openid", "email"]
    second = native_object(both, "/v1/providers/acme/two")
    assert (second["kind"], second["options"]["subject_claim"]) == ("oauth2", "uid")
    assert second["attributes"] == {"email": "mail"}


def test_a_provider_goes_on_meaning_the_same_people_and_shows_nobody_else_its_secret(
    both: Legacy,
) -> None:
    office, world = both.client("acme/office"), both.world
    hub: dict[str, Any] = {"owner": "acme", "name": "hub", "category": "OAuth", "type": "Custom"}
    hub |= {"clientId": "cid", "clientSecret": "s3cret", "issuerUrl": "https://login.example"}
    both.post("add-provider", hub, **office)
    shown = both.get("get-provider", id="acme/hub", **office)["data"]
    evil = {**shown, "issuerUrl": "https://evil.example"}

    def told(body: dict[str, Any]) -> str:
        return bad(world.post("/api/update-provider", json=body, params=office))

    assert "clientSecret" in told(evil)
    provider = native_object(both, "/v1/providers/acme/hub")["id"]
    ann = native_object(both, "/v1/users/acme/ann")["id"]
    world.engine.database.write(lambda c: add_link(c, provider, "sub-of-ann", ann, world.clock.now))
    assert "other people" in told({**evil, "clientSecret": "another"})

    after = native_object(both, "/v1/providers/acme/hub")
    assert after["options"]["issuer"] == "https://login.example"
    both.post("update-provider", {**shown, "displayName": "Hub II"}, **office)


def test_a_provider_of_another_kind_is_kept_without_its_secrets(both: Legacy) -> None:
    office = both.client("acme/office")
    mail: dict[str, Any] = {"owner": "acme", "name": "mail", "category": "Email", "type": "SMTP"}
    mail |= {"host": "smtp.acme.example", "port": 587, "clientSecret": "s", "clientSecret2": "t"}

    both.post("add-provider", mail, **office)
    both.post("update-provider", {**mail, "port": 25}, columns="port", **office)

    shown = both.get("get-provider", id="acme/mail", **office)["data"]
    assert (shown["host"], shown["port"]) == ("smtp.acme.example", 25)
    assert "clientSecret" not in shown
    assert "clientSecret2" not in shown
    assert both.post("delete-provider", mail, **office)["data"] == "Affected"
    assert both.post("delete-provider", mail, **office)["data"] == "Unaffected"


def test_certificates_are_of_the_keys_that_sign(both: Legacy) -> None:
    office = both.client("acme/office")

    listed = both.get("get-certs", owner="admin", **office)["data"]
    current = both.get("get-cert", id="admin/cert-built-in", **office)["data"]

    keys = both.world.get("/oauth/jwks").json()["keys"]
    assert {one["name"] for one in listed} == {one["kid"] for one in keys}
    assert (current["cryptoAlgorithm"], current["privateKey"]) == ("RS256", "")
    public = x509.load_pem_x509_certificate(current["certificate"].encode()).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    own = {"owner": "acme", "name": "mine", "certificate": "PEM", "privateKey": "secret"}
    both.post("add-cert", own, **office)
    both.post("update-cert", {**own, "displayName": "Mine"}, **office)
    shown = both.get("get-cert", id="acme/mine", **office)["data"]
    assert (shown["certificate"], shown["displayName"]) == ("PEM", "Mine")
    assert "privateKey" not in shown
    assert both.post("delete-cert", own, **office)["data"] == "Affected"
