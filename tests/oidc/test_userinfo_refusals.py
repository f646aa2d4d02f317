"""What userinfo refuses: ended sessions at once, forged and foreign tokens."""

import base64
import json

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.oidc.conftest import Party, header_of


def test_userinfo_refuses_the_moment_the_session_ends(party: Party) -> None:
    tokens = party.tokens(party.browser().token)
    assert party.userinfo(tokens["access_token"]).status_code == 200

    party.end(party.claims(tokens["id_token"])["sid"])

    answer = party.userinfo(tokens["access_token"])
    assert answer.status_code == 401
    assert (
        answer.headers["www-authenticate"]
        == 'Bearer error="invalid_token", error_description="The session has ended"'
    )


def test_userinfo_refuses_the_moment_the_browser_session_ends(party: Party) -> None:
    browser = party.browser()
    tokens = party.tokens(browser.token)

    party.end(browser.session.id)

    assert party.userinfo(tokens["access_token"]).status_code == 401


def test_ending_one_application_leaves_the_other(party: Party) -> None:
    browser = party.browser()
    wiki, shop = party.tokens(browser.token), party.tokens(browser.token, "shop")

    party.end(party.claims(wiki["id_token"])["sid"])

    assert party.userinfo(wiki["access_token"]).status_code == 401
    assert party.userinfo(shop["access_token"]).status_code == 200


def test_an_access_token_is_good_for_ten_minutes(party: Party) -> None:
    token = party.tokens(party.browser().token)["access_token"]
    party.world.clock.move(599)
    before = party.userinfo(token).status_code
    party.world.clock.move(1)

    assert (before, party.userinfo(token).status_code) == (200, 401)


def test_a_request_without_a_token_is_told_how(party: Party) -> None:
    answer = party.world.get("/oauth/userinfo")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_userinfo_takes_no_token_from_the_query_or_the_cookie(party: Party) -> None:
    browser = party.browser()
    token = party.tokens(browser.token)["access_token"]

    assert party.world.get(f"/oauth/userinfo?access_token={token}").status_code == 401
    assert party.visit("/oauth/userinfo", browser.token).status_code == 401


def test_forged_and_foreign_tokens_are_refused(party: Party) -> None:
    browser = party.browser()
    tokens = party.tokens(browser.token)
    good = tokens["access_token"]
    claims, header = party.claims(good), header_of(good)
    stranger = RSAKey.generate_key(2048)
    public = party.world.engine.keys[0].key.as_pem(private=False)
    ours = party.world.engine.keys[0].key

    def unsigned(part: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    forged = {
        "another key": jwt.encode(header, claims, stranger, algorithms=["RS256"]),
        "its own key in the header": jwt.encode(
            {**header, "jwk": stranger.as_dict(private=False)}, claims, stranger
        ),
        "no signature": f"{unsigned({**header, 'alg': 'none'})}.{unsigned(claims)}.",
        "our public key as a shared secret": jwt.encode(
            {**header, "alg": "HS256"}, claims, OctKey.import_key(b"k" * 32), algorithms=["HS256"]
        ),
        "another kind of token": tokens["id_token"],
        "another issuer": jwt.encode(header, {**claims, "iss": "https://evil.test"}, ours),
        "another audience": jwt.encode(header, {**claims, "aud": "other"}, ours),
        "no session": jwt.encode(header, {k: v for k, v in claims.items() if k != "sid"}, ours),
        "an odd session": jwt.encode(header, {**claims, "sid": "ses_\x00"}, ours),
        "no key": jwt.encode({**header, "kid": "key_other"}, claims, ours),
        "a key that is no text": f"{unsigned({**header, 'kid': {}})}.{unsigned(claims)}.AAAA",
        "a session token": browser.token,
        "nothing": "",
        "noise": "é.é.é",
        "dots": "." * 4000,
        "deep": "W" * 4000 + ".W.W",
        "changed": good[:-8] + ("A" * 8 if good[-8:] != "A" * 8 else "B" * 8),
    }
    assert public
    for what, text in forged.items():
        answer = party.world.get(
            "/oauth/userinfo", headers={"authorization": f"Bearer {text}".encode("latin-1")}
        )
        assert answer.status_code == 401, what
        assert answer.headers["www-authenticate"].startswith("Bearer error="), what
