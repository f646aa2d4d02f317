"""Token exchange: a service calls another one for a user, with no more than the user's token had."""

from typing import Any

import pytest

from tests.oidc.conftest import ISSUER, Party

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
FRONT, BACK = "https://front.acme.test", "https://back.acme.test"


@pytest.fixture(scope="module")
def services(party: Party) -> Party:
    """`shop` is the service in front, `mail` the one behind it; both may exchange."""
    admin = party.world.admin
    for name, resource in (("shop", FRONT), ("mail", BACK)):
        change = {"resources": [resource], "grant_types": ["authorization_code", EXCHANGE]}
        path = f"/v1/applications/acme/{name}"
        assert party.world.patch(path, json=change, headers=admin).status_code == 200
    return party


def exchange(
    party: Party, token: str, by: str = "shop", /, **changes: str | None
) -> dict[str, Any]:
    answer = party.ask(
        "/oauth/token",
        by,
        **{
            "grant_type": EXCHANGE,
            "subject_token": token,
            "subject_token_type": ACCESS,
            "resource": BACK,
            **changes,
        },
    )
    found: dict[str, Any] = {"status": answer.status_code, **answer.json()}
    return found


def for_front(party: Party, **changes: str) -> dict[str, Any]:
    """What the wiki gets for the service in front."""
    return party.tokens(party.browser().token, resource=FRONT, **changes)


def test_a_service_gets_a_token_for_the_next_one_in_the_users_name(services: Party) -> None:
    tokens = for_front(services)

    got = exchange(services, tokens["access_token"])

    assert (got["status"], got["issued_token_type"], got["token_type"]) == (200, ACCESS, "Bearer")
    assert {"refresh_token", "id_token"} & set(got) == set()
    old, new = services.claims(tokens["access_token"]), services.claims(got["access_token"])
    shop = services.applications["shop"].client_id
    assert (new["sub"], new["sid"], new["aud"]) == (old["sub"], old["sid"], BACK)
    assert (new["client_id"], new["act"]) == (shop, {"sub": shop})
    told = services.ask("/oauth/introspect", "mail", token=got["access_token"]).json()
    assert (told["active"], told["username"], told["act"]) == (True, "ada", {"sub": shop})


def test_it_dies_with_the_users_session(services: Party) -> None:
    tokens = for_front(services)
    got = exchange(services, tokens["access_token"])
    services.end(services.claims(tokens["id_token"])["sid"])

    told = services.ask("/oauth/introspect", "mail", token=got["access_token"])

    assert told.json() == {"active": False}
    assert exchange(services, tokens["access_token"])["error"] == "invalid_request"


def test_it_is_over_no_later_and_asks_for_no_more(services: Party) -> None:
    tokens = for_front(services, scope="openid email")
    services.world.clock.move(400)

    narrow = exchange(services, tokens["access_token"], scope="email")
    wide = exchange(services, tokens["access_token"], scope="email profile")

    assert (narrow["expires_in"], narrow["scope"]) == (200, "email")
    assert (wide["status"], wide["error"]) == (400, "invalid_scope")


def test_who_acts_is_told_along_the_whole_way(services: Party) -> None:
    first = exchange(services, for_front(services)["access_token"])

    second = exchange(services, first["access_token"], "mail", resource=FRONT)

    shop, mail = (services.applications[one].client_id for one in ("shop", "mail"))
    assert services.claims(second["access_token"])["act"] == {"sub": mail, "act": {"sub": shop}}
    token, by = second["access_token"], ["shop", "mail"]
    for turn in range(3):
        got = exchange(services, token, by[turn % 2], resource=BACK if turn % 2 == 0 else FRONT)
        assert got["status"] == 200
        token = got["access_token"]
    assert exchange(services, token, "mail")["error"] == "invalid_request"


def test_a_service_cannot_use_what_is_not_for_it(services: Party) -> None:
    mine = services.tokens(services.browser().token)["access_token"]
    for token in (mine, "x", "oat_x", services.tokens(services.browser().token)["id_token"]):
        got = exchange(services, token)
        assert (got["status"], got["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"subject_token": None}, 400, "invalid_request"),
        ({"subject_token_type": None}, 400, "invalid_request"),
        (
            {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
            400,
            "invalid_request",
        ),
        (
            {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            400,
            "invalid_request",
        ),
        ({"actor_token": "x"}, 400, "invalid_request"),
        ({"audience": "x"}, 400, "invalid_request"),
        ({"resource": ISSUER}, 400, "invalid_target"),
        ({"client_secret": "x"}, 401, "invalid_client"),
    ],
)
def test_an_exchange_with_a_mistake_gets_nothing(
    services: Party, changes: dict[str, str | None], status: int, error: str
) -> None:
    got = exchange(services, for_front(services)["access_token"], **changes)

    assert (got["status"], got["error"]) == (status, error)


def test_only_applications_that_may_exchange_do(services: Party) -> None:
    token = services.tokens(services.browser().token)["access_token"]

    assert exchange(services, token, "wiki")["error"] == "unauthorized_client"
    phone = services.tokens(services.browser().token, "phone")["access_token"]
    assert exchange(services, phone, "phone")["error"] == "unauthorized_client"


def test_clients_of_oauth_alone_find_the_same_metadata(services: Party) -> None:
    openid = services.world.get("/.well-known/openid-configuration").json()

    oauth = services.world.get("/.well-known/oauth-authorization-server")

    assert (oauth.status_code, oauth.json()) == (200, openid)
    assert EXCHANGE in openid["grant_types_supported"]
