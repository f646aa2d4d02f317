"""Organizations, applications, providers, certificates, roles, tokens and records by the verbs of Casdoor;
what came of it is read by the native API."""

import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from iam.directory.providers import add_link
from tests.hanzo.conftest import Legacy, bad

SECRET = "0123456789abcdef0123456789abcdef01234567"


def _native(legacy: Legacy, path: str) -> dict[str, Any]:
    world = legacy.world
    answer = world.get(path, headers=world.admin)
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found


def _types(legacy: Legacy, organization: str) -> set[str]:
    query = f"/v1/events?organization={organization}&limit=200"
    return {one["type"] for one in _native(legacy, query)["items"]}


def test_an_organization_is_added_changed_closed_and_deleted(both: Legacy) -> None:
    admin = both.headers("built-in", "admin")
    body = {"owner": "admin", "name": "initech", "displayName": "Initech", "maxSessions": 3}
    body |= {"enableExclusiveSignin": True, "favicon": "f.ico", "masterPassword": "m"}

    assert both.post("add-organization", body, headers=admin)["data"] == "Affected"

    native = _native(both, "/v1/organizations/initech")
    assert native["display_name"] == "Initech"
    assert (native["policy"]["exclusive"], native["policy"]["maximum_user_sessions"]) == (True, 3)
    shown = both.get("get-organization", id="admin/initech", headers=admin)["data"]
    assert (shown["favicon"], shown["masterPassword"], shown["maxSessions"]) == ("f.ico", "", 3)
    again = both.post("update-organization", shown, id="admin/initech", headers=admin)
    assert again["data"] == "Affected"
    assert _native(both, "/v1/organizations/initech") == native

    both.world.make_user("initech", "peter")
    token = both.token("initech", "peter")
    closed = {"owner": "admin", "name": "initech", "disableSignin": True}
    both.post("update-organization", closed, headers=admin)
    assert both.end_reason(token.split(".")[0]) == "user_disabled"
    both.post("delete-organization", closed, headers=admin)
    assert _native(both, "/v1/organizations/initech") == {}
    assert both.get("get-organization", id="admin/initech", headers=admin)["data"] is None


def test_an_administrator_changes_their_organization_and_cannot_close_it(both: Legacy) -> None:
    boss = both.headers("acme", "boss")
    row = {"owner": "admin", "name": "acme"}

    both.post("update-organization", {**row, "displayName": "ACME"}, headers=boss)
    closing = both.world.post(
        "/api/update-organization", json={**row, "disableSignin": True}, headers=boss
    )

    assert bad(closing) == "Unauthorized operation"
    native = _native(both, "/v1/organizations/acme")
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
    native = _native(both, "/v1/applications/acme/wiki")
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
    assert _native(both, "/v1/applications/acme/shop") == {}
    assert _native(both, "/v1/applications/globex/shop")["enabled"] is True


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

    native = _native(both, "/v1/providers/acme/hub")
    assert (native["kind"], native["options"]["preset"]) == ("oauth2", "github")
    assert native["has_client_secret"] is True
    shown = both.get("get-provider", id="admin/hub", **office)["data"]
    assert (shown["type"], shown["clientSecret"], shown["signName"]) == ("GitHub", "***", "x")
    both.post("update-provider", {**shown, "displayName": "Hub II"}, **office)
    native = _native(both, "/v1/providers/acme/hub")
    assert (native["display_name"], native["has_client_secret"]) == ("Hub II", True)
    assert [one["name"] for one in both.get("get-providers", owner="acme", **office)["data"]] == [
        "hub"
    ]
    both.post("delete-provider", {"owner": "acme", "name": "hub"}, **office)
    assert _native(both, "/v1/providers/acme/hub") == {}
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

    first = _native(both, "/v1/providers/acme/one")
    assert (first["kind"], first["options"]["issuer"]) == ("oidc", "https://login.example")
    assert first["options"]["scopes"] == ["openid", "email"]
    second = _native(both, "/v1/providers/acme/two")
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
    provider = _native(both, "/v1/providers/acme/hub")["id"]
    ann = _native(both, "/v1/users/acme/ann")["id"]
    world.engine.database.write(lambda c: add_link(c, provider, "sub-of-ann", ann, world.clock.now))
    assert "other people" in told({**evil, "clientSecret": "another"})

    after = _native(both, "/v1/providers/acme/hub")
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


def test_a_role_is_who_has_it(both: Legacy) -> None:
    office = both.client("acme/office")
    role = {"owner": "acme", "name": "editor", "displayName": "Editors", "domains": ["d"]}

    both.post("add-role", {**role, "users": ["acme/ann", "acme/bob"]}, **office)
    both.post("update-role", {**role, "users": ["acme/bob", "acme/boss"]}, **office)

    names = ("ann", "bob", "boss")
    roles = [_native(both, f"/v1/users/acme/{one}")["roles"] for one in names]
    assert roles == [[], ["editor"], ["administrator", "editor"]]
    shown = both.get("get-role", id="acme/editor", **office)["data"]
    assert (shown["users"], shown["domains"]) == (["acme/bob", "acme/boss"], ["d"])
    listed = both.get("get-roles", owner="acme", **office)["data"]
    assert {one["name"] for one in listed} == {"editor", "administrator"}
    assert both.get("get-user", id="acme/bob", **office)["data"]["roles"][0]["name"] == "editor"
    both.post("update-role", {**role, "description": "no word of users"}, **office)
    assert _native(both, "/v1/users/acme/bob")["roles"] == ["editor"]
    both.post("delete-role", role, **office)
    assert _native(both, "/v1/users/acme/bob")["roles"] == []
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
    [event] = _native(both, "/v1/events?organization=acme&type=record.added")["items"]
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

    assert _native(both, "/v1/applications/acme/shop")["display_name"] == "Shop"
    assert both.world.sign_in("acme", "zoe", password="long 1234")
