"""Proof of possession: a token that is bound to a key, and what is tried without that key."""

import base64
import json
from hashlib import sha256
from typing import Any

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from iam.keys.client_keys import REGISTRY
from iam.sessions.model import EndReason
from tests.oidc.conftest import CALLBACK, ISSUER, VERIFIER, Party, query_of

KEY = ECKey.generate_key("P-256")
OTHER = ECKey.generate_key("P-256")
TOKEN, USERINFO = f"{ISSUER}/oauth/token", f"{ISSUER}/oauth/userinfo"


def proof(
    party: Party, url: str = TOKEN, key: Any = KEY, header: Any = None, **changes: Any
) -> str:
    """A good proof with a nonce, changed; None leaves a claim out."""
    claims: dict[str, Any] = {
        "htm": "POST",
        "htu": url,
        "iat": party.world.clock() // 1000,
        "jti": base64.urlsafe_b64encode(party.world.engine.random(12)).decode(),
        "nonce": nonce(party),
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    fields = {
        "typ": "dpop+jwt",
        "alg": "ES256",
        "jwk": key.as_dict(private=False),
        **(header or {}),
    }
    return jws.serialize_compact(fields, json.dumps(claims), key, registry=REGISTRY)


def nonce(party: Party) -> str:
    """The nonce that a request without one is answered with."""
    headers = {"dpop": "x"}
    answer = party.form("/oauth/token", {"grant_type": "x"}, headers=headers)
    found: str = answer.headers["dpop-nonce"]
    return found


def redeem(party: Party, code: str, application: str = "mail", *proofs: str) -> httpx2.Response:
    parameters = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": party.applications[application].redirect_uris[0],
        "client_id": party.applications[application].client_id,
        "client_secret": party.secrets.get(application),
        "code_verifier": VERIFIER,
    }
    return party.form(
        "/oauth/token", parameters, headers={"dpop": proofs[0].encode("latin-1")} if proofs else {}
    )


def bound(party: Party, application: str = "mail") -> dict[str, Any]:
    """Tokens that are bound to `KEY`."""
    code = party.code(party.browser().token, application)
    answer = redeem(party, code, application, proof(party))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ath(token: str) -> str:
    return base64.urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()


def userinfo(party: Party, token: str, text: str | None, scheme: str = "DPoP") -> httpx2.Response:
    headers = {"authorization": f"{scheme} {token}", **({"dpop": text} if text else {})}
    return party.world.get("/oauth/userinfo", headers=headers)


def shown(party: Party, token: str, **changes: Any) -> str:
    """A good proof for userinfo, changed."""
    return proof(party, USERINFO, **{"htm": "GET", "ath": ath(token), **changes})


def test_a_token_is_bound_to_the_key_that_was_proven(party: Party) -> None:
    tokens = bound(party)
    token = tokens["access_token"]

    assert tokens["token_type"] == "DPoP"
    assert party.claims(token)["cnf"] == {"jkt": KEY.thumbprint()}
    answer = userinfo(party, token, shown(party, token))
    assert (answer.status_code, answer.json()["sub"]) == (200, party.users["ada"].id)
    assert answer.headers["dpop-nonce"]
    told = party.ask("/oauth/introspect", "mail", token=token).json()
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": KEY.thumbprint()})


def test_a_stolen_token_is_worth_nothing_without_the_key(party: Party) -> None:
    token = bound(party)["access_token"]
    for scheme, text in (
        ("Bearer", None),
        ("Bearer", shown(party, token)),
        ("DPoP", None),
        ("DPoP", shown(party, token, key=OTHER)),
        ("DPoP", shown(party, token, ath=None)),
        ("DPoP", shown(party, token, ath=ath("x"))),
        ("DPoP", shown(party, token, htm="POST")),
        ("DPoP", proof(party, htm="GET", ath=ath(token))),
    ):
        answer = userinfo(party, token, text, scheme)
        assert answer.status_code == 401, (scheme, text)
        assert answer.headers["www-authenticate"].startswith(scheme)


def test_a_token_that_is_not_bound_is_not_taken_with_a_proof(party: Party) -> None:
    token = party.tokens(party.browser().token, "mail")["access_token"]

    assert userinfo(party, token, shown(party, token)).status_code == 401
    assert userinfo(party, token, None, "Bearer").status_code == 200


def test_a_proof_without_a_nonce_is_told_which(party: Party) -> None:
    token = bound(party)["access_token"]
    code = party.code(party.browser().token, "mail")

    at_token = redeem(party, code, "mail", proof(party, nonce=None))
    at_userinfo = userinfo(party, token, shown(party, token, nonce="1.x"))

    assert (at_token.status_code, at_token.json()["error"]) == (400, "use_dpop_nonce")
    assert 'error="use_dpop_nonce"' in at_userinfo.headers["www-authenticate"]
    again = proof(party, nonce=at_token.headers["dpop-nonce"])
    assert redeem(party, code, "mail", again).status_code == 200


def test_a_nonce_is_good_for_some_minutes(party: Party) -> None:
    first = nonce(party)
    party.world.clock.move(150)
    fresh = redeem(
        party, party.code(party.browser().token, "mail"), "mail", proof(party, nonce=first)
    )
    party.world.clock.move(150)
    stale = redeem(
        party, party.code(party.browser().token, "mail"), "mail", proof(party, nonce=first)
    )

    assert (fresh.status_code, stale.json()["error"]) == (200, "use_dpop_nonce")


def test_a_proof_is_good_once(party: Party) -> None:
    text = proof(party)
    first = redeem(party, party.code(party.browser().token, "mail"), "mail", text)

    second = redeem(party, party.code(party.browser().token, "mail"), "mail", text)

    assert first.status_code == 200
    assert (second.status_code, second.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "GET"},
        {"htm": None},
        {"htu": "https://other.test/oauth/token"},
        {"htu": f"{ISSUER}/oauth/par"},
        {"htu": "http://[x"},
        {"htu": 7},
        {"iat": None},
        {"iat": 1_000},
        {"iat": 1 << 34},
        {"iat": "now"},
        {"iat": 1e300},
        {"jti": None},
        {"jti": ""},
        {"jti": "j" * 256},
        {"jti": 1},
        {"header": {"typ": "JWT"}},
        {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
        {"header": {"jwk": KEY.as_dict(private=True)}},
        {"header": {"jwk": OTHER.as_dict(private=False)}},
        {"header": {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}},
    ],
)
def test_a_proof_with_a_mistake_gets_nothing_and_leaves_nothing(
    party: Party, changes: dict[str, Any]
) -> None:
    browser = party.browser()
    code = party.code(browser.token, "mail")

    answer = redeem(party, code, "mail", proof(party, **changes))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert sessions_of(party, browser.session.id) == []


def sessions_of(party: Party, browser: str) -> list[str]:
    """What was entered from this browser session."""
    from iam.sessions.store import children_of

    return list(party.world.engine.database.read(lambda c: children_of(c, [browser])))


def test_what_is_no_proof_at_all_gets_nothing(party: Party) -> None:
    code = party.code(party.browser().token, "mail")
    secret = OctKey.generate_key(256)
    header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": secret.as_dict(private=True)}
    symmetric = jws.serialize_compact(header, b"{}", secret, algorithms=["HS256"])
    for text in ("", "x", "a.b.c", "é" * 10, "x" * 9000, symmetric):
        answer = redeem(party, code, "mail", text)
        assert answer.json()["error"] == "invalid_dpop_proof"


def test_the_address_of_a_proof_is_compared_as_addresses_are(party: Party) -> None:
    for url in (f"{TOKEN}?a=b#c", TOKEN.replace("http://", "HTTP://")):
        code = party.code(party.browser().token, "mail")
        assert redeem(party, code, "mail", proof(party, url)).status_code == 200


def test_an_ed25519_key_will_do(party: Party) -> None:
    key = OKPKey.generate_key("Ed25519")
    code = party.code(party.browser().token, "mail")

    answer = redeem(party, code, "mail", proof(party, key=key, header={"alg": "Ed25519"}))

    assert answer.json()["token_type"] == "DPoP"


def test_the_refresh_token_of_a_public_client_is_bound_as_well(party: Party) -> None:
    tokens = bound(party, "tablet")
    parameters = {
        "grant_type": "refresh_token",
        "client_id": party.applications["tablet"].client_id,
        "refresh_token": tokens["refresh_token"],
    }

    without = party.form("/oauth/token", parameters)
    other = party.form("/oauth/token", parameters, headers={"dpop": proof(party, key=OTHER)})
    right = party.form("/oauth/token", parameters, headers={"dpop": proof(party)})

    assert without.json()["error"] == other.json()["error"] == "invalid_grant"
    assert right.json()["token_type"] == "DPoP"
    sid = party.claims(tokens["id_token"])["sid"]
    assert party.session(sid).end_reason is None


def test_a_stale_token_with_the_wrong_key_does_not_end_the_session(party: Party) -> None:
    tokens = bound(party, "tablet")
    sid = party.claims(tokens["id_token"])["sid"]
    parameters = {
        "grant_type": "refresh_token",
        "client_id": party.applications["tablet"].client_id,
        "refresh_token": tokens["refresh_token"],
    }
    party.form("/oauth/token", parameters, headers={"dpop": proof(party)})
    party.world.clock.move(60)

    party.form("/oauth/token", parameters, headers={"dpop": proof(party, key=OTHER)})
    assert party.session(sid).end_reason is None
    party.form("/oauth/token", parameters, headers={"dpop": proof(party)})
    assert party.session(sid).end_reason is EndReason.REFRESH_REUSE


def test_a_code_can_be_bound_to_a_key(party: Party) -> None:
    def code() -> str:
        return party.code(party.browser().token, "mail", dpop_jkt=KEY.thumbprint())

    assert redeem(party, code(), "mail").json()["error"] == "invalid_grant"
    assert redeem(party, code(), "mail", proof(party, key=OTHER)).json()["error"] == "invalid_grant"
    assert redeem(party, code(), "mail", proof(party)).status_code == 200


def test_a_pushed_request_binds_the_code_to_the_key_that_it_proves(party: Party) -> None:
    url = f"{ISSUER}/oauth/par"
    parameters = {**party.asked("mail"), "client_secret": party.secrets["mail"]}
    wrong = party.form(
        "/oauth/par",
        {**parameters, "dpop_jkt": OTHER.thumbprint()},
        headers={"dpop": proof(party, url)},
    )
    pushed = party.form("/oauth/par", parameters, headers={"dpop": proof(party, url)}).json()

    query = f"client_id={parameters['client_id']}&request_uri={pushed['request_uri']}"
    sent = party.visit(f"/oauth/authorize?{query}", party.browser().token)
    code = query_of(sent.headers["location"])["code"]

    assert wrong.json()["error"] == "invalid_dpop_proof"
    assert redeem(party, code, "mail", proof(party, key=OTHER)).json()["error"] == "invalid_grant"


def test_an_application_that_promised_proofs_gets_nothing_without(own_party: Party) -> None:
    admin = own_party.world.admin
    change = {"dpop_bound_access_tokens": True}
    own_party.world.patch("/v1/applications/acme/wiki", json=change, headers=admin)
    browser = own_party.browser()

    answer = own_party.redeem(own_party.code(browser.token))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert sessions_of(own_party, browser.session.id) == []
    good = redeem(own_party, own_party.code(browser.token), "wiki", proof(own_party))
    assert good.json()["token_type"] == "DPoP"
    assert own_party.applications["wiki"].redirect_uris[0] == CALLBACK


def test_an_opaque_token_is_bound_too(own_party: Party) -> None:
    admin = own_party.world.admin
    change = {"access_token_format": "opaque"}
    own_party.world.patch("/v1/applications/acme/mail", json=change, headers=admin)
    token = bound(own_party)["access_token"]

    assert userinfo(own_party, token, None, "Bearer").status_code == 401
    assert userinfo(own_party, token, shown(own_party, token)).status_code == 200
