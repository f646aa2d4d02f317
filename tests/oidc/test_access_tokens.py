"""Access tokens: whom they are for, in which form, and those of applications themselves."""

from urllib.parse import urlencode

import pytest

from tests.oidc.conftest import ISSUER, Party, query_of

NOTES = "https://notes.acme.test/api"
FILES = "https://files.acme.test/api"
INACTIVE = {"active": False}


@pytest.fixture(scope="module")
def served(party: Party) -> Party:
    """`shop` is a resource server; `mail` gets opaque tokens; `wiki` may ask for itself."""
    admin = party.world.admin
    for name, change in (
        ("shop", {"resources": [NOTES]}),
        ("mail", {"access_token_format": "opaque"}),
        ("wiki", {"grant_types": ["authorization_code", "client_credentials"]}),
        ("phone", {"grant_types": ["authorization_code", "client_credentials"]}),
    ):
        path = f"/v1/applications/acme/{name}"
        assert party.world.patch(path, json=change, headers=admin).status_code == 200
    return party


def own_token(party: Party, **changes: str) -> str:
    answer = party.ask("/oauth/token", "wiki", grant_type="client_credentials", **changes)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


def test_a_token_for_a_resource_is_for_nobody_else(served: Party) -> None:
    tokens = served.tokens(served.browser().token, resource=NOTES)

    assert served.claims(tokens["access_token"])["aud"] == NOTES
    assert served.userinfo(tokens["access_token"]).status_code == 401
    told = served.ask("/oauth/introspect", "shop", token=tokens["access_token"]).json()
    assert (told["active"], told["aud"], told["username"]) == (True, NOTES, "ada")
    other = served.ask("/oauth/introspect", "mail", token=tokens["access_token"])
    assert other.json() == INACTIVE


def test_a_token_may_be_for_several_resources_and_later_for_fewer(served: Party) -> None:
    """RFC 8707 §2: the parameter comes again, through sign-in and back, and a part of it later."""
    update = {"resources": [NOTES, FILES]}
    world = served.world
    assert world.patch("/v1/applications/acme/shop", json=update, headers=world.admin).is_success
    query = [*served.asked("mail").items(), ("resource", NOTES), ("resource", FILES)]
    asked = f"/oauth/authorize?{urlencode(query)}"
    # By way of the sign-in page, which leads back to the same request.
    to_sign_in = served.visit(asked, None).headers["location"]
    back = query_of(to_sign_in)["return_to"]
    sent = query_of(served.visit(back, served.browser().token).headers["location"])
    tokens = served.redeem(sent["code"], "mail").json()
    fewer = served.refresh(tokens["refresh_token"], resource=FILES).json()

    for token, audience in (
        (tokens["access_token"], [NOTES, FILES]),
        (fewer["access_token"], FILES),
    ):
        told = served.ask("/oauth/introspect", "shop", token=token).json()
        assert (told["active"], told["aud"]) == (True, audience)
    assert served.userinfo(tokens["access_token"]).status_code == 401
    for wrong in ([NOTES, "https://other.test"], [NOTES, ""], [f"{FILES}/{n}" for n in range(11)]):
        query = [*served.asked("mail").items(), *(("resource", one) for one in wrong)]
        answer = served.visit(f"/oauth/authorize?{urlencode(query)}", served.browser().token)
        assert query_of(answer.headers["location"])["error"] == "invalid_target"


def test_the_resource_server_is_told_of_the_end_at_once(served: Party) -> None:
    tokens = served.tokens(served.browser().token, resource=NOTES)
    served.end(served.claims(tokens["id_token"])["sid"])

    told = served.ask("/oauth/introspect", "shop", token=tokens["access_token"])

    assert told.json() == INACTIVE


@pytest.mark.parametrize("resource", ["https://other.test", "x", "", "é\x00"])
def test_a_resource_that_nobody_is_gets_no_code(served: Party, resource: str) -> None:
    answer = served.authorize(served.browser().token, resource=resource)

    sent = query_of(answer.headers["location"])
    assert (sent["error"], sent["iss"]) == ("invalid_target", ISSUER)
    assert "code" not in sent


def test_a_resource_is_not_widened_when_the_code_is_redeemed_or_the_token_refreshed(
    served: Party,
) -> None:
    code = served.code(served.browser().token)
    tokens = served.tokens(served.browser().token, "mail", resource=NOTES)

    late = served.redeem(code, resource=NOTES)
    other = served.refresh(tokens["refresh_token"], resource=ISSUER)
    same = served.refresh(tokens["refresh_token"], resource=NOTES)

    assert late.json()["error"] == other.json()["error"] == "invalid_target"
    assert same.status_code == 200


def test_an_opaque_token_works_as_a_jwt_does_and_says_nothing(served: Party) -> None:
    tokens = served.tokens(served.browser().token, "mail")

    assert tokens["access_token"].startswith("oat_")
    assert served.userinfo(tokens["access_token"]).json()["preferred_username"] == "ada"
    told = served.ask("/oauth/introspect", "mail", token=tokens["access_token"]).json()
    claims = served.claims(tokens["id_token"])
    assert (told["active"], told["sid"], told["sub"]) == (True, claims["sid"], claims["sub"])
    served.end(claims["sid"])
    assert served.userinfo(tokens["access_token"]).status_code == 401
    assert served.ask("/oauth/introspect", "mail", token=tokens["access_token"]).json() == INACTIVE


def test_an_opaque_token_is_good_for_ten_minutes_and_can_be_revoked(served: Party) -> None:
    first, second = (served.tokens(served.browser().token, "mail") for _ in range(2))
    served.ask("/oauth/revoke", "mail", token=first["access_token"])
    served.world.clock.move(599)

    assert served.userinfo(first["access_token"]).status_code == 401
    assert served.userinfo(second["access_token"]).status_code == 200
    served.world.clock.move(1)
    assert served.userinfo(second["access_token"]).status_code == 401
    wrong = second["access_token"][:-3] + "AAA"
    assert served.userinfo(wrong).status_code == 401


def test_an_application_asks_for_itself(served: Party) -> None:
    answer = served.ask("/oauth/token", "wiki", grant_type="client_credentials", resource=NOTES)

    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    client_id = served.applications["wiki"].client_id
    claims = served.claims(body["access_token"])
    assert (claims["sub"], claims["client_id"], claims["aud"]) == (client_id, client_id, NOTES)
    assert {"sid", "scope"} & set(claims) == set()
    told = served.ask("/oauth/introspect", "shop", token=body["access_token"]).json()
    assert (told["active"], told["sub"]) == (True, client_id)
    assert "username" not in told


def test_an_applications_own_token_is_nobodys_user(served: Party) -> None:
    token = own_token(served)

    assert served.userinfo(token).status_code == 401
    answer = served.world.get("/v1/session", headers=served.world.bearer(token))
    assert answer.status_code == 401


def test_an_applications_own_token_can_be_revoked(served: Party) -> None:
    token = own_token(served)
    assert served.ask("/oauth/introspect", "wiki", token=token).json()["active"] is True

    assert served.ask("/oauth/revoke", "wiki", token=token).status_code == 200

    assert served.ask("/oauth/introspect", "wiki", token=token).json() == INACTIVE


def test_an_applications_own_token_is_over_when_it_is_disabled(own_party: Party) -> None:
    admin = own_party.world.admin
    for name, change in (
        ("wiki", {"grant_types": ["client_credentials"]}),
        ("shop", {"resources": [NOTES]}),
    ):
        own_party.world.patch(f"/v1/applications/acme/{name}", json=change, headers=admin)
    token = own_token(own_party, resource=NOTES)
    before = own_party.ask("/oauth/introspect", "shop", token=token).json()["active"]
    own_party.world.patch("/v1/applications/acme/wiki", json={"enabled": False}, headers=admin)

    assert before is True
    assert own_party.ask("/oauth/introspect", "shop", token=token).json() == INACTIVE


@pytest.mark.parametrize(
    ("application", "changes", "status", "error"),
    [
        ("shop", {}, 400, "unauthorized_client"),
        ("phone", {}, 400, "unauthorized_client"),
        ("wiki", {"client_secret": "x"}, 401, "invalid_client"),
        ("wiki", {"scope": "openid"}, 400, "invalid_scope"),
        ("wiki", {"resource": "https://other.test"}, 400, "invalid_target"),
    ],
)
def test_an_application_that_may_not_ask_for_itself_gets_nothing(
    served: Party, application: str, changes: dict[str, str], status: int, error: str
) -> None:
    answer = served.ask("/oauth/token", application, grant_type="client_credentials", **changes)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_resource_of_another_organization_is_none(served: Party) -> None:
    admin = served.world.admin
    served.world.make_application("globex", "spy", resources=["https://spy.globex.test", NOTES])
    spy = served.world.post("/v1/applications/globex/spy/secret", headers=admin).json()
    token = own_token(served, resource=NOTES)
    parameters = {"client_id": spy["client_id"], "client_secret": spy["client_secret"]}

    told = served.form("/oauth/introspect", {**parameters, "token": token})

    assert told.json() == INACTIVE
    answer = served.ask(
        "/oauth/token", "wiki", grant_type="client_credentials", resource="https://spy.globex.test"
    )
    assert answer.json()["error"] == "invalid_target"
