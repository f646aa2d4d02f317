"""Organizations, applications and users through the API."""

from typing import Any

import pytest

from tests.support.basic import basic
from tests.support.tenants import Tenant
from tests.support.world import PASSWORD, World


def test_what_is_created_can_be_read_listed_changed_and_deleted(both_worlds: World) -> None:
    world = both_worlds
    admin = world.admin
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("/v1/organizations", "/v1/organizations/acme", {"name": "acme"}),
        (
            "/v1/applications",
            "/v1/applications/acme/shop",
            {"organization": "acme", "name": "shop", "gate_hosts": ["shop.example:8443"]},
        ),
        ("/v1/users", "/v1/users/acme/ann", {"organization": "acme", "name": "ann"}),
    ]
    for collection, place, body in steps:
        made = world.post(collection, json=body, headers=admin)
        assert made.status_code == 201, made.text
        assert made.headers["location"] == place
        again = world.post(collection, json=body, headers=admin)
        assert (again.status_code, again.json()["code"]) == (409, "name_taken")
        view = {k: v for k, v in made.json().items() if k != "client_secret"}
        assert world.get(place, headers=admin).json() == view
        of = "" if collection == "/v1/organizations" else "?organization=acme"
        listed = world.get(collection + of, headers=admin).json()["items"]
        assert view in listed
        changed = world.patch(place, json={"display_name": "New name"}, headers=admin).json()
        assert changed == {**view, "display_name": "New name"}
        assert world.patch(place, json={}, headers=admin).json() == changed
    for _, place, _ in reversed(steps):
        assert world.delete(place, headers=admin).status_code == 204
        assert world.get(place, headers=admin).status_code == 404
        assert world.delete(place, headers=admin).status_code == 404
    types = {
        one["type"] for one in world.get("/v1/events?limit=200", headers=admin).json()["items"]
    }
    assert types >= {
        f"{thing}.{done}"
        for thing in ("organization", "application", "user")
        for done in ("created", "updated", "deleted")
    }


def test_lists_go_by_name_a_page_at_a_time(world: World) -> None:
    for name in ("a", "b", "c"):
        world.make_organization(name)
        world.make_user("a", name)
        world.make_application("a", name)
    admin = world.admin
    for path, names in (
        ("/v1/organizations?limit=2", ["a", "b", "built-in", "c"]),
        ("/v1/users?organization=a&limit=2", ["a", "b", "c"]),
        ("/v1/applications?organization=a&limit=2", ["a", "b", "c"]),
    ):
        seen: list[str] = []
        page = world.get(path, headers=admin).json()
        seen += [one["name"] for one in page["items"]]
        while page["next"] is not None:
            page = world.get(f"{path}&cursor={page['next']}", headers=admin).json()
            seen += [one["name"] for one in page["items"]]
        assert seen == names


def test_a_client_secret_is_shown_once_and_replaced_at_once(world: World, acme: Tenant) -> None:
    assert "client_secret" not in world.get("/v1/applications/acme/shop", headers=world.admin).text
    fresh = world.post("/v1/applications/acme/shop/secret", headers=acme.administrator)
    assert fresh.status_code == 200
    assert world.get("/v1/sessions", headers=acme.client).json()["code"] == "client_invalid"
    assert world.get("/v1/sessions", headers=basic(fresh.json())).status_code == 200


def test_a_public_application_has_no_secret(world: World) -> None:
    world.make_organization("acme")
    made = world.make_application("acme", "app", public=True)
    assert made["client_secret"] is None
    refused = world.post("/v1/applications/acme/app/secret", headers=world.admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "no_client_secret")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/v1/organizations/built-in", None),
        ("DELETE", "/v1/applications/built-in/app-built-in", None),
        ("PATCH", "/v1/applications/built-in/app-built-in", {"enabled": False}),
        ("POST", "/v1/applications/built-in/app-built-in/secret", None),
        ("DELETE", "/v1/users/built-in/admin", None),
        ("PATCH", "/v1/users/built-in/admin", {"enabled": False}),
        ("PATCH", "/v1/users/built-in/admin", {"roles": []}),
        ("POST", "/v1/applications", {"organization": "built-in", "name": "app-built-in"}),
    ],
)
def test_what_the_server_itself_needs_stays(
    world: World, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = world.request(method, path, json=body, headers=world.admin)
    assert answer.status_code == 409


def test_a_host_behind_the_gate_is_one_applications(world: World) -> None:
    world.make_organization("acme")
    world.make_application("acme", "one", gate_hosts=["wiki.example"])
    body = {"organization": "acme", "name": "two", "gate_hosts": ["wiki.example"]}
    answer = world.post("/v1/applications", json=body, headers=world.admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "gate_host_taken")
    assert world.get("/v1/applications/acme/two", headers=world.admin).status_code == 404


def test_objects_of_an_organization_that_is_not_there_cannot_be_made(world: World) -> None:
    admin = world.admin
    for path in ("/v1/users", "/v1/applications"):
        body = {"organization": "nowhere", "name": "x"}
        answer = world.post(path, json=body, headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (404, "organization_not_found")


def test_whoever_is_disabled_deleted_or_given_a_new_password_is_out_at_once(world: World) -> None:
    world.make_organization("acme")
    world.make_application("acme", "shop")
    admin = world.admin
    for number, (change, reason) in enumerate(
        (
            ({"enabled": False}, "user_disabled"),
            ({"password": "another one"}, "credentials_changed"),
            (None, "user_disabled"),
        )
    ):
        world.make_user("acme", f"ann{number}")
        token = world.sign_in("acme", f"ann{number}", application="shop")
        place = f"/v1/users/acme/ann{number}"
        answer = (
            world.patch(place, json=change, headers=admin)
            if change is not None
            else world.delete(place, headers=admin)
        )
        assert answer.status_code in (200, 204)
        refused = world.get("/v1/session", headers=world.bearer(token))
        assert refused.json()["end_reason"] == reason


def test_a_user_without_a_password_cannot_sign_in_until_given_one(world: World) -> None:
    world.make_organization("acme")
    made = world.make_user("acme", "ann", password=None)
    assert made["has_password"] is False
    body = {"organization": "acme", "username": "ann", "password": PASSWORD}
    assert world.post("/v1/sign-in", json=body).status_code == 401
    world.patch("/v1/users/acme/ann", json={"password": PASSWORD}, headers=world.admin)
    assert world.post("/v1/sign-in", json=body).status_code == 201


def test_an_address_is_removed_with_null(world: World) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann", email="ann@acme.example", roles=["staff", "staff"])
    place, admin = "/v1/users/acme/ann", world.admin
    assert world.get(place, headers=admin).json()["roles"] == ["staff"]
    kept = world.patch(place, json={"display_name": "Ann"}, headers=admin).json()
    assert kept["email"] == "ann@acme.example"
    assert world.patch(place, json={"email": None}, headers=admin).json()["email"] is None


def test_a_users_language_and_time_zone_are_set_changed_and_removed(both_worlds: World) -> None:
    world = both_worlds
    admin = world.admin
    world.post("/v1/organizations", json={"name": "acme"}, headers=admin)
    body = {"organization": "acme", "name": "ann", "locale": "de", "zoneinfo": "Europe/Berlin"}
    made = world.post("/v1/users", json=body, headers=admin).json()
    assert (made["locale"], made["zoneinfo"]) == ("de", "Europe/Berlin")

    place = "/v1/users/acme/ann"
    kept = world.patch(place, json={"locale": "ja"}, headers=admin).json()
    assert (kept["locale"], kept["zoneinfo"]) == ("ja", "Europe/Berlin")
    removed = world.patch(place, json={"zoneinfo": None}, headers=admin).json()
    assert (removed["locale"], removed["zoneinfo"]) == ("ja", None)

    for wrong in ({"locale": "tlh"}, {"zoneinfo": "Europe/Atlantis"}, {"locale": "../de"}):
        answer = world.patch(place, json=wrong, headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (422, "preference_invalid")
        another = {"organization": "acme", "name": "bob"} | wrong
        assert world.post("/v1/users", json=another, headers=admin).status_code == 422
    assert world.get(place, headers=admin).json() == removed
    assert world.get("/v1/users/acme/bob", headers=admin).status_code == 404


def test_an_organizations_administrator_makes_users_but_no_organizations(
    world: World, acme: Tenant
) -> None:
    body = {"organization": "acme", "name": "new"}
    assert world.post("/v1/users", json=body, headers=acme.administrator).status_code == 201
    made = world.post("/v1/organizations", json={"name": "x"}, headers=acme.administrator)
    assert made.status_code == 403
    gone = world.delete("/v1/organizations/acme", headers=acme.administrator)
    assert gone.status_code == 403


def test_whatever_ends_sessions_is_counted_by_its_reason(world: World) -> None:
    world.make_organization("acme")
    for name in ("wiki", "shop"):
        world.make_application("acme", name)
    for name in ("ann", "bob", "eve"):
        world.make_user("acme", name)
        for application in ("wiki", "shop"):
            body = {"organization": "acme", "application": application, "username": name}
            answer = world.post("/v1/sign-in", json=body | {"password": PASSWORD})
            assert answer.status_code == 201, answer.text
    admin, disabled = world.admin, {"enabled": False}

    world.patch("/v1/users/acme/ann", json=disabled, headers=admin)
    world.patch("/v1/users/acme/bob", json={"password": "another one 1"}, headers=admin)
    world.patch("/v1/applications/acme/wiki", json=disabled, headers=admin)
    world.delete("/v1/users/acme/eve", headers=admin)

    text = world.get("/metrics").text
    for reason, number in (
        ("user_disabled", 3),
        ("credentials_changed", 2),
        ("application_disabled", 1),
    ):
        assert f'iam_sessions_ended_total{{reason="{reason}"}} {number}.0' in text


EC_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


def test_an_application_that_proves_itself_by_a_key_has_no_secret(both_worlds: World) -> None:
    both_worlds.make_organization("acme")
    jwks = {"keys": [EC_KEY]}
    members = {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks}

    made = both_worlds.make_application("acme", "bot", **members)

    assert made["client_secret"] is None
    assert {name: made[name] for name in members} == members
    place, admin = "/v1/applications/acme/bot", both_worlds.admin
    assert both_worlds.post(f"{place}/secret", headers=admin).json()["code"] == "no_client_secret"
    new = {"keys": [{**EC_KEY, "kid": "1"}]}
    changed = both_worlds.patch(place, json={"jwks": new}, headers=admin).json()
    assert changed == {**{k: v for k, v in made.items() if k != "client_secret"}, "jwks": new}


def test_a_public_application_authenticates_by_none(world: World) -> None:
    world.make_organization("acme")

    made = world.make_application("acme", "phone", public=True)

    assert (made["token_endpoint_auth_method"], made["client_secret"]) == ("none", None)


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"token_endpoint_auth_method": "private_key_jwt"}, 409, "auth_method_conflict"),
        ({"token_endpoint_auth_method": "none"}, 409, "auth_method_conflict"),
        (
            {"public": True, "token_endpoint_auth_method": "client_secret_post"},
            409,
            "auth_method_conflict",
        ),
        ({"token_endpoint_auth_method": "tls_client_auth"}, 422, "invalid_request"),
        ({"jwks": {"keys": []}}, 422, "invalid_request"),
        ({"jwks": {"keys": [{**EC_KEY, "d": "AA"}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{**EC_KEY, "x": "AA"}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{**EC_KEY, "y": EC_KEY["x"]}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{**EC_KEY, "crv": "P-521"}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{**EC_KEY, "use": "enc"}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "é"}]}}, 403, "jwks_refused"),
        ({"jwks": {"keys": [{**EC_KEY, "kid": "a"}, {**EC_KEY, "kid": "a"}]}}, 403, "jwks_refused"),
    ],
)
def test_an_application_is_not_made_with_what_could_not_authenticate(
    world: World, members: dict[str, Any], status: int, code: str
) -> None:
    world.make_organization("acme")
    body = {"organization": "acme", "name": "bot", **members}

    answer = world.post("/v1/applications", json=body, headers=world.admin)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert world.get("/v1/applications/acme/bot", headers=world.admin).status_code == 404
