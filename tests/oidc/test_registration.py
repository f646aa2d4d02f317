"""Applications that register themselves: only with a token, and only what they may."""

from typing import Any

import httpx2
import pytest

from tests.oidc.conftest import ISSUER, Party

GOOD: dict[str, Any] = {
    "redirect_uris": ["https://new.acme.test/callback"],
    "client_name": "New",
    "grant_types": ["authorization_code", "refresh_token"],
    "logo_uri": "https://new.acme.test/logo.png",
}


def initial(party: Party, **members: Any) -> str:
    body = {"organization": "acme", "uses": 100, **members}
    answer = party.world.post("/v1/registration-tokens", json=body, headers=party.world.admin)
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


def register(party: Party, token: str, **changes: Any) -> httpx2.Response:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return party.world.post("/oauth/register", json=body, headers=party.world.bearer(token))


def manage(party: Party, made: dict[str, Any], method: str = "GET", **options: Any) -> Any:
    path = made["registration_client_uri"].removeprefix(ISSUER)
    headers = party.world.bearer(options.pop("token", made["registration_access_token"]))
    return party.world.request(method, path, headers=headers, **options)


def test_an_application_registers_itself_and_people_are_asked_before_they_enter_it(
    party: Party,
) -> None:
    answer = register(party, initial(party))

    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    assert (made["client_name"], made["client_secret_expires_at"]) == ("New", 0)
    assert "logo_uri" not in made
    asked = party.asked(client_id=made["client_id"], redirect_uri=made["redirect_uris"][0])
    sent = party.world.get(
        "/oauth/authorize", params=asked, headers={"cookie": f"iam={party.browser().token}"}
    )
    assert (sent.status_code, sent.headers.get("location")) == (200, None)
    assert 'id="consent-form"' in sent.text
    assert "New" in sent.text


def test_it_reads_changes_and_deletes_itself(own_party: Party) -> None:
    made = register(own_party, initial(own_party)).json()
    read = manage(own_party, made).json()
    assert {**made, "client_secret": None} == {
        **read,
        "client_secret": None,
        "client_secret_expires_at": 0,
    }

    change = {**GOOD, "client_id": made["client_id"], "client_name": "Newer"}
    changed = manage(own_party, made, "PUT", json=change)

    assert (changed.status_code, changed.json()["client_name"]) == (200, "Newer")
    assert manage(own_party, made, "DELETE").status_code == 204
    assert manage(own_party, made).status_code == 401
    events = own_party.world.get("/v1/events?limit=50", headers=own_party.world.admin).json()
    types = {one["type"] for one in events["items"]}
    assert types >= {
        "registration_token.created",
        "application.created",
        "application.updated",
        "application.deleted",
    }


def test_a_public_application_and_one_with_a_key_get_no_secret(party: Party) -> None:
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    token = initial(party)

    public = register(party, token, token_endpoint_auth_method="none").json()
    keyed = register(
        party, token, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key]}
    ).json()

    assert "client_secret" not in public
    assert "client_secret" not in keyed
    assert keyed["jwks"] == {"keys": [key]}


def test_a_token_is_good_for_so_many_registrations_and_so_long(party: Party) -> None:
    once, long = initial(party, uses=1), initial(party, lifetime=60)

    assert register(party, once, redirect_uris=["javascript:alert(1)"]).status_code == 400
    assert register(party, once).status_code == 201
    assert register(party, once).status_code == 401
    party.world.clock.move(60)
    assert register(party, long).status_code == 401


def test_nobody_registers_without_a_token(party: Party) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic eDp5"}):
        answer = party.world.post("/oauth/register", json=GOOD, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    token = initial(party)
    assert register(party, token[:-3] + "AAA").status_code == 401
    assert register(party, party.browser().token).status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://new.acme.test/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://new.acme.test/#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://new.acme.test/"}, "invalid_redirect_uri"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"jwks": {"keys": "x"}}, "invalid_client_metadata"),
        ({"jwks": {"keys": ["x"]}}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AA"}]}}, "invalid_client_metadata"),
        ({"jwks_uri": "https://new.acme.test/jwks"}, "invalid_client_metadata"),
        ({"client_name": "a\x00b"}, "invalid_client_metadata"),
        ({"subject_type": "pairwise"}, "invalid_client_metadata"),
    ],
)
def test_what_cannot_be_done_is_not_registered(
    party: Party, changes: dict[str, Any], error: str
) -> None:
    admin = party.world.admin
    before = party.world.get("/v1/applications?organization=acme&limit=200", headers=admin).json()

    answer = register(party, initial(party), **changes)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    after = party.world.get("/v1/applications?organization=acme&limit=200", headers=admin).json()
    assert after == before


@pytest.mark.parametrize("body", ["", "x", "[]", "null", "[" * 5000, '{"redirect_uris": NaN}'])
def test_a_body_that_is_no_metadata_is_refused(party: Party, body: str) -> None:
    headers = {**party.world.bearer(initial(party)), "content-type": "application/json"}

    answer = party.world.post("/oauth/register", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_client_metadata", "invalid_redirect_uri")


def test_an_application_manages_itself_and_no_other(party: Party) -> None:
    token = initial(party)
    one, two = register(party, token).json(), register(party, token).json()

    for method in ("GET", "PUT", "DELETE"):
        for wrong in (two["registration_access_token"], token, "x", one["client_secret"]):
            assert manage(party, one, method, token=wrong, json={}).status_code == 401
    wiki = {**one, "registration_client_uri": f"{ISSUER}/oauth/register/app_x"}
    assert manage(party, wiki).status_code == 401
    change = {**GOOD, "client_id": two["client_id"]}
    assert manage(party, one, "PUT", json=change).status_code == 400
    change = {**GOOD, "client_id": one["client_id"], "client_secret": two["client_secret"]}
    assert manage(party, one, "PUT", json=change).status_code == 400
    change = {**GOOD, "client_id": one["client_id"], "token_endpoint_auth_method": "none"}
    assert manage(party, one, "PUT", json=change).status_code == 400
    assert manage(party, one).json()["token_endpoint_auth_method"] == "client_secret_basic"
