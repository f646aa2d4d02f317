"""Introspection has a short way and a long one: whoever asks cannot tell which one answered."""

import pytest
from httpx2 import Response

from iam.oidc import introspect_hot
from tests.oidc.conftest import Party

INACTIVE = {"active": False}
NOTES = "https://notes.acme.test/api"


def _short(party: Party, application: str, token: str, secret: str | None = None) -> Response:
    """Asked as a resource server does: by Basic, with nothing but the token."""
    client_id = party.applications[application].client_id
    basic = (client_id, secret or party.secrets[application])
    return party.form("/oauth/introspect", {"token": token}, basic)


def _both(
    party: Party,
    application: str,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    secret: str | None = None,
) -> Response:
    """The answer of the short way, after seeing that the long one gives the same."""
    short = _short(party, application, token, secret)
    with monkeypatch.context() as context:
        context.setattr(introspect_hot, "_credentials", lambda _headers: None)
        long = _short(party, application, token, secret)
    assert (short.status_code, short.json()) == (long.status_code, long.json())
    names = ("content-type", "cache-control", "pragma")
    assert [short.headers[name] for name in names] == [long.headers[name] for name in names]
    return short


@pytest.fixture
def served(own_party: Party) -> Party:
    """`mail` gets opaque tokens; `shop` is a resource server."""
    for name, change in (
        ("mail", {"access_token_format": "opaque"}),
        ("shop", {"resources": [NOTES]}),
    ):
        answer = own_party.world.patch(
            f"/v1/applications/acme/{name}", json=change, headers=own_party.world.admin
        )
        assert answer.status_code == 200
    return own_party


def test_both_ways_tell_the_same_of_a_good_token(
    served: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = served.browser().token
    own = served.tokens(browser, "mail")["access_token"]
    for_shop = served.tokens(browser, "mail", resource=NOTES)["access_token"]

    told = _both(served, "mail", own, monkeypatch).json()
    assert (told["active"], told["username"]) == (True, "ada")
    assert _both(served, "shop", for_shop, monkeypatch).json()["aud"] == NOTES
    assert _both(served, "shop", own, monkeypatch).json() == INACTIVE
    assert _both(served, "wiki", for_shop, monkeypatch).json() == INACTIVE


def test_both_ways_refuse_what_is_over(served: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [served.tokens(served.browser().token, "mail") for _ in range(4)]
    sessions = [served.claims(one["id_token"])["sid"] for one in tokens]
    ended, locked, revoked, old = (one["access_token"] for one in tokens)
    served.end(sessions[0])
    lock = served.world.post(f"/v1/sessions/{sessions[1]}/lock", headers=served.world.admin)
    assert lock.status_code in (200, 204)
    served.ask("/oauth/revoke", "mail", token=revoked)

    for token in (ended, locked, revoked, old[:-3] + "AAA", "oat_" + "0" * 26 + "." + "A" * 43):
        assert _both(served, "mail", token, monkeypatch).json() == INACTIVE
    assert _both(served, "mail", old, monkeypatch).json()["active"] is True
    served.world.clock.move(600)
    assert _both(served, "mail", old, monkeypatch).json() == INACTIVE


def test_both_ways_refuse_who_does_not_prove_itself(
    served: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = served.tokens(served.browser().token, "mail")["access_token"]

    assert _both(served, "mail", token, monkeypatch, "A" * 43).status_code == 401
    for change in ({"token_endpoint_auth_method": "client_secret_post"}, {"enabled": False}):
        path = "/v1/applications/acme/shop"
        served.world.patch(path, json=change, headers=served.world.admin)
        assert _both(served, "shop", token, monkeypatch).status_code == 401


def test_the_short_way_is_the_one_that_answers(
    served: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = served.tokens(served.browser().token, "mail")["access_token"]

    async def nobody(*_: object) -> None:
        raise AssertionError("the long way was taken")

    root = served.world.app
    monkeypatch.setattr(root.introspection, "_otherwise", nobody)

    assert _short(served, "mail", token).json()["active"] is True
