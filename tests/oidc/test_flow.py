"""The way that works: from a browser session to tokens, and to userinfo while the session lives."""

import base64
from hashlib import sha256
from urllib.parse import urlencode

from tests.oidc.conftest import CALLBACK, Party, header_of, query_of
from tests.support.world import ISSUER


def test_discovery_names_the_endpoints_and_only_what_is_built(party: Party) -> None:
    found = party.world.get("/.well-known/openid-configuration").json()

    assert found["issuer"] == ISSUER
    assert found["token_endpoint"] == f"{ISSUER}/oauth/token"
    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["request_uri_parameter_supported"] is False


def test_the_key_set_holds_public_halves_only(party: Party) -> None:
    for key in party.world.get("/oauth/jwks").json()["keys"]:
        public = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}}[key["kty"]]
        assert set(key) == {"kty", "kid", "alg", "use"} | public


def test_a_signed_in_person_is_sent_back_with_a_code_the_state_and_the_issuer(party: Party) -> None:
    answer = party.authorize(party.browser().token)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{CALLBACK}?")
    assert answer.headers["cache-control"] == "no-store"
    sent = query_of(answer.headers["location"])
    assert set(sent) == {"code", "state", "iss"}
    assert sent["state"] == "a state/with ünusual+characters"
    assert sent["iss"] == ISSUER


def test_a_registered_query_is_kept(party: Party) -> None:
    uri = "https://wiki.acme.test/back?tenant=1"

    answer = party.authorize(party.browser().token, redirect_uri=uri)

    assert query_of(answer.headers["location"])["tenant"] == "1"


def test_an_id_token_says_who_how_when_and_which_session(party: Party) -> None:
    browser = party.browser()
    signed_in = party.world.clock()
    party.world.clock.move(60)
    now = party.world.clock() // 1000

    tokens = party.tokens(browser.token)

    claims = party.claims(tokens["id_token"])
    client_id = party.applications["wiki"].client_id
    at_hash = sha256(tokens["access_token"].encode()).digest()[:16]
    session = party.session(claims["sid"])
    assert claims == {
        "iss": ISSUER,
        "sub": party.users["ada"].id,
        "aud": client_id,
        "azp": client_id,
        "iat": now,
        "exp": now + 300,
        "auth_time": signed_in // 1000,
        "nonce": "n-0S6_WzA2Mj",
        "at_hash": base64.urlsafe_b64encode(at_hash).rstrip(b"=").decode(),
        "sid": session.id,
        "amr": ["pwd"],
        "acr": "urn:hanzo:iam:acr:1",
    }
    assert (session.application, session.parent) == ("wiki", browser.session.id)


def test_an_access_token_is_a_jwt_of_rfc_9068_that_names_the_session(party: Party) -> None:
    tokens = party.tokens(party.browser().token)

    claims = party.claims(tokens["access_token"])
    assert header_of(tokens["access_token"])["typ"] == "at+jwt"
    said = {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "sid", "scope"}
    assert said | {"acr", "amr", "auth_time"} == set(claims)
    assert claims["sid"] == party.claims(tokens["id_token"])["sid"]
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)


def test_an_access_token_never_outlives_its_session(party: Party) -> None:
    browser = party.browser()
    for _ in range(35):  # active all along, to three minutes before the session's longest time
        party.world.clock.move((12 * 3600 - 180) / 35 - 1)
        party.authorize(browser.token)
        party.world.clock.move(1)
        party.world.write_touches()

    tokens = party.tokens(browser.token)

    assert tokens["expires_in"] == 180


def test_without_the_scope_openid_there_is_no_id_token_and_no_userinfo(party: Party) -> None:
    tokens = party.tokens(party.browser().token, scope="profile unheard-of")

    assert "id_token" not in tokens
    assert tokens["scope"] == "profile"
    answer = party.userinfo(tokens["access_token"])
    assert answer.status_code == 403
    assert "insufficient_scope" in answer.headers["www-authenticate"]


def test_a_client_may_show_its_secret_by_basic_authentication(party: Party) -> None:
    code = party.code(party.browser().token)
    pair = (party.applications["wiki"].client_id, party.secrets["wiki"])

    answer = party.redeem(code, "wiki", pair, client_id=None, client_secret=None)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_a_public_client_proves_itself_by_pkce_alone(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "phone")

    assert party.userinfo(tokens["access_token"]).status_code == 200


def test_a_native_app_listens_on_any_loopback_port(party: Party) -> None:
    uri = "http://127.0.0.1:53124/callback"
    code = party.code(party.browser().token, "phone", redirect_uri=uri)

    assert party.redeem(code, "phone", redirect_uri=uri).status_code == 200


def test_entering_again_is_the_same_session(party: Party) -> None:
    browser = party.browser()

    first, second = (party.claims(party.tokens(browser.token)["id_token"]) for _ in range(2))

    assert first["sid"] == second["sid"]


def test_each_application_has_its_own_session_of_one_sign_in(party: Party) -> None:
    browser = party.browser()

    sids = {
        party.claims(party.tokens(browser.token, name)["id_token"])["sid"]
        for name in ("wiki", "shop", "phone")
    }

    assert len(sids) == 3
    assert {party.session(sid).parent for sid in sids} == {browser.session.id}


def test_userinfo_tells_what_the_scope_covers(party: Party) -> None:
    browser = party.browser()

    little = party.userinfo(party.tokens(browser.token, scope="openid")["access_token"])
    all_ = party.userinfo(party.tokens(browser.token)["access_token"])

    ada = party.users["ada"]
    assert little.json() == {"sub": ada.id}
    assert all_.json() == {
        "sub": ada.id,
        "name": "Ada",
        "preferred_username": "ada",
        "email": "ada@acme.test",
    }
    assert all_.headers["cache-control"] == "no-store"


def test_userinfo_can_be_posted_to(party: Party) -> None:
    token = party.tokens(party.browser().token)["access_token"]

    assert party.world.post("/oauth/userinfo", headers=party.world.bearer(token)).status_code == 200


def test_authorizing_is_activity_and_userinfo_is_not(party: Party) -> None:
    browser = party.browser()
    tokens = party.tokens(browser.token)
    sid = party.claims(tokens["id_token"])["sid"]
    party.world.clock.move(400)
    party.userinfo(tokens["access_token"])
    party.world.clock.move(1)
    party.world.write_touches()
    looked = party.session(sid).last_active_at
    active = party.world.clock()
    party.authorize(browser.token)
    party.world.clock.move(1)
    party.world.write_touches()

    assert looked == browser.session.last_active_at
    assert party.session(browser.session.id).last_active_at == active


def test_a_posted_request_becomes_a_get_so_that_the_cookie_comes_along(party: Party) -> None:
    answer = party.world.post(
        "/oauth/authorize",
        content=urlencode(party.asked()),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code == 303
    again = party.visit(answer.headers["location"], party.browser().token)
    assert "code" in query_of(again.headers["location"])


def test_it_is_the_same_on_each_database_whatever_a_client_sends_along(own_party: Party) -> None:
    nonce = "n" * 2000 + '\x00"é'

    tokens = own_party.tokens(own_party.browser().token, nonce=nonce, scope="openid \x00 email")

    assert own_party.claims(tokens["id_token"])["nonce"] == nonce
    assert own_party.userinfo(tokens["access_token"]).json()["email"] == "ada@acme.test"
