"""What is refused: downgrades, replays, foreign tenants, ended sessions, open redirects."""

import base64
import json

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from iam.audit import list_events
from iam.directory.applications import ApplicationChange, update_application
from iam.directory.users import UserChange, update_user
from iam.kernel.events import SYSTEM
from iam.sessions.model import EndReason
from tests.oidc.conftest import CALLBACK, ISSUER, VERIFIER, Party, header_of, query_of

FOREIGN_REDIRECTS = [
    "",
    "https://evil.test/callback",
    "https://wiki.acme.test/callback/",
    "https://wiki.acme.test/callback?x=1",
    "https://wiki.acme.test/callback#fragment",
    "https://wiki.acme.test/Callback",
    "https://wiki.acme.test:443/callback",
    "https://wiki.acme.test.evil.test/callback",
    "https://wiki.acme.test@evil.test/callback",
    "https://wiki.acme.test\\@evil.test/callback",
    "https://evil.test/?https://wiki.acme.test/callback",
    "https://wiki.acme.test/callback/../../evil",
    "https://wiki.acme.test/%63allback",
    "//wiki.acme.test/callback",
    "http://wiki.acme.test/callback",
    "javascript:alert(1)",
    " https://wiki.acme.test/callback",
    "https://wiki.acme.test/callback\r\nSet-Cookie: a=b",
    "https://wiki.acme.test/callback\x00",
    'https://"quoted".test/',
    "http://127.0.0.1:8000/callback",
]


@pytest.mark.parametrize("uri", FOREIGN_REDIRECTS)
def test_nobody_is_sent_to_an_address_that_is_not_registered(party: Party, uri: str) -> None:
    answer = party.authorize(party.browser().token, redirect_uri=uri)

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "redirect_uri_unknown" in answer.text
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:80@evil.test/callback",
        "http://127.0.0.1.evil.test/callback",
        "http://127.0.0.1:8000/callback/more",
        "http://127.0.0.1:8000/callback?more",
        "http://127.0.0.1:8000/callback#more",
        "https://127.0.0.1:8000/callback",
        "http://localhost:8000/callback",
        "http://[::1]:8000/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:999999/callback",
        "http://127.0.0.1:8000/callback\n",
    ],
)
def test_only_the_port_of_a_loopback_address_is_free(party: Party, uri: str) -> None:
    answer = party.authorize(party.browser().token, "phone", redirect_uri=uri)

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("client_id", [None, "", "app_" + "0" * 26, "wiki", "app_\x00", "é" * 500])
def test_an_unknown_client_gets_a_page_and_no_redirect(party: Party, client_id: str | None) -> None:
    answer = party.authorize(party.browser().token, client_id=client_id)

    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_a_disabled_application_gets_a_page_and_no_redirect(own_party: Party) -> None:
    browser, now, random = (
        own_party.browser(),
        own_party.world.clock(),
        own_party.world.engine.random,
    )
    own_party.world.engine.database.write(
        lambda c: update_application(
            c,
            "acme",
            "wiki",
            ApplicationChange(enabled=False),
            actor=SYSTEM,
            now=now,
            random=random,
        )
    )

    assert own_party.authorize(browser.token).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": '"é\x00'}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "é" * 43}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://evil.test/"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"id_token_hint": "no.token.at-all"}, "invalid_request"),
    ],
)
@pytest.mark.parametrize("application", ["wiki", "phone"])
def test_other_mistakes_go_back_to_the_client_with_state_and_issuer(
    party: Party, application: str, changes: dict[str, str | None], error: str
) -> None:
    answer = party.authorize(party.browser().token, application, **changes)

    assert answer.status_code == 303
    sent = query_of(answer.headers["location"])
    assert answer.headers["location"].startswith(party.applications[application].redirect_uris[0])
    assert (sent["error"], sent["iss"]) == (error, ISSUER)
    assert sent["state"] == "a state/with ünusual+characters"
    assert "code" not in sent


def test_a_parameter_that_comes_twice_is_refused(party: Party) -> None:
    token = party.browser().token
    good = party.authorize(token).request.url.raw_path.decode()

    twice = party.visit(f"{good}&scope=openid", token)
    client = party.visit(f"{good}&client_id=app_x", token)
    redirect = party.visit(f"{good}&redirect_uri=https://evil.test/", token)

    assert query_of(twice.headers["location"])["error"] == "invalid_request"
    assert (client.status_code, redirect.status_code) == (400, 400)


# --------------------------------------------------------------------------------------------------
# Sign-in


def test_a_stranger_signs_in_and_comes_back_to_the_same_request(party: Party) -> None:
    answer = party.authorize(None)

    path, _, query = answer.headers["location"].partition("?")
    sent = query_of(f"?{query}")
    assert (answer.status_code, path) == (303, "/sign-in")
    assert sent["application"] == party.applications["wiki"].client_id
    back = party.visit(sent["return_to"], party.browser().token)
    assert query_of(back.headers["location"])["state"] == "a state/with ünusual+characters"


@pytest.mark.parametrize("token", ["", "x", "ses_" + "0" * 26 + "." + "A" * 43])
def test_without_a_session_prompt_none_shows_nothing(party: Party, token: str) -> None:
    answer = party.authorize(token, prompt="none")

    assert query_of(answer.headers["location"])["error"] == "login_required"


def test_with_a_session_prompt_none_gives_a_code(party: Party) -> None:
    assert party.code(party.browser().token, prompt="none")


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "60"}])
def test_a_client_may_want_a_fresh_sign_in_and_gets_it_once(
    party: Party, asked: dict[str, str | None]
) -> None:
    stale = party.browser()
    party.world.clock.move(61)

    answer = party.authorize(stale.token, **asked)

    sent = query_of(answer.headers["location"])
    assert (answer.headers["location"].partition("?")[0], sent["prompt"]) == ("/sign-in", "login")
    party.world.clock.move(5)
    with_old = party.visit(sent["return_to"], stale.token)
    assert with_old.headers["location"].startswith("/sign-in?")
    fresh = party.browser()
    party.world.clock.move(5)
    assert "code" in query_of(party.visit(sent["return_to"], fresh.token).headers["location"])


def test_a_sign_in_that_is_too_old_is_login_required_for_prompt_none(party: Party) -> None:
    browser = party.browser()
    party.world.clock.move(61)

    answer = party.authorize(browser.token, prompt="none", max_age="60")

    assert query_of(answer.headers["location"])["error"] == "login_required"


def test_a_client_that_says_whom_it_had_is_not_given_another(party: Party) -> None:
    hint = party.tokens(party.browser().token)["id_token"]
    party.world.clock.move(3600)  # a hint may have expired
    ada, bob = party.browser(), party.browser("bob")

    silent = party.authorize(bob.token, id_token_hint=hint, prompt="none")

    assert query_of(silent.headers["location"])["error"] == "login_required"
    asked = party.authorize(bob.token, id_token_hint=hint)
    assert asked.headers["location"].startswith("/sign-in?")
    assert party.code(ada.token, id_token_hint=hint)


def test_a_session_of_another_organization_is_none_here(party: Party) -> None:
    eve = party.browser("eve", "globex")

    asked = party.authorize(eve.token)
    silent = party.authorize(eve.token, prompt="none")

    assert asked.headers["location"].startswith("/sign-in?")
    assert query_of(silent.headers["location"])["error"] == "login_required"


def test_an_application_session_is_no_browser_session(party: Party) -> None:
    browser = party.browser()
    tokens = party.tokens(browser.token)

    answer = party.authorize(tokens["access_token"], prompt="none")

    assert query_of(answer.headers["location"])["error"] == "login_required"


def test_an_ended_browser_session_gives_no_code(party: Party) -> None:
    browser = party.browser()
    party.end(browser.session.id)

    answer = party.authorize(browser.token)

    assert answer.headers["location"].startswith("/sign-in?")


# --------------------------------------------------------------------------------------------------
# Tokens


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"code": None}, 400, "invalid_request"),
        ({"code": ""}, 400, "invalid_grant"),
        ({"code": "é\x00" * 100}, 400, "invalid_grant"),
        ({"redirect_uri": "https://wiki.acme.test/back?tenant=1"}, 400, "invalid_grant"),
        ({"redirect_uri": None}, 400, "invalid_grant"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"code_verifier": "x" * 43}, 400, "invalid_grant"),
        ({"code_verifier": "é" * 43}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_id": "app_" + "0" * 26}, 400, "invalid_client"),
        ({"client_id": "app_\x00"}, 400, "invalid_client"),
    ],
)
def test_a_token_request_with_a_mistake_gets_nothing(
    party: Party, changes: dict[str, str | None], status: int, error: str
) -> None:
    code = party.code(party.browser().token)

    answer = party.redeem(code, **changes)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic w6k=", "Basic /////w==", "Basic é", "Bearer x"]
)
def test_client_credentials_that_cannot_be_read_are_wrong(party: Party, header: str) -> None:
    answer = party.world.post(
        "/oauth/token",
        content="grant_type=authorization_code&code=x",
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "authorization": header.encode("latin-1"),
        },
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_two_ways_of_client_authentication_at_once_are_refused(party: Party) -> None:
    code = party.code(party.browser().token)
    pair = (party.applications["wiki"].client_id, party.secrets["wiki"])

    assert party.redeem(code, "wiki", pair).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", ""]
)
def test_a_token_request_is_a_form(party: Party, content_type: str) -> None:
    answer = party.world.post("/oauth/token", content="{}", headers={"content-type": content_type})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_wrong_verifier_uses_the_code_up(party: Party) -> None:
    code = party.code(party.browser().token)

    guess = party.redeem(code, code_verifier="x" * 43)
    right = party.redeem(code)

    assert (guess.json()["error"], right.json()["error"]) == ("invalid_grant", "invalid_grant")


def test_a_code_is_good_for_a_minute(party: Party) -> None:
    code = party.code(party.browser().token)
    party.world.clock.move(60)

    assert party.redeem(code).json()["error"] == "invalid_grant"


def test_a_code_is_for_the_client_that_asked(party: Party) -> None:
    code = party.code(party.browser().token)

    assert party.redeem(code, "phone", redirect_uri=CALLBACK).json()["error"] == "invalid_grant"
    assert party.redeem(code, "shop", redirect_uri=CALLBACK).json()["error"] == "invalid_grant"


def test_a_code_that_is_used_twice_ends_what_it_led_to(own_party: Party) -> None:
    browser = own_party.browser()
    code = own_party.code(browser.token)
    first = own_party.redeem(code).json()
    sid = own_party.claims(first["id_token"])["sid"]

    again = own_party.redeem(code)

    assert again.json()["error"] == "invalid_grant"
    assert own_party.session(sid).end_reason is EndReason.POLICY
    assert own_party.userinfo(first["access_token"]).status_code == 401
    assert own_party.session(browser.session.id).end_reason is None
    events = own_party.world.engine.database.read(
        lambda c: list_events(c, organization="acme", type_="session.ended", session=sid)
    )
    assert [one.data["note"] for one in events] == ["authorization code used twice"]


def test_another_client_cannot_end_a_session_with_a_used_code(party: Party) -> None:
    code = party.code(party.browser().token)
    first = party.redeem(code).json()

    party.redeem(code, "shop", redirect_uri=CALLBACK)

    assert party.userinfo(first["access_token"]).status_code == 200


def test_a_session_that_ended_between_authorize_and_token_gives_no_tokens(party: Party) -> None:
    browser = party.browser()
    code = party.code(browser.token)
    party.end(browser.session.id)

    answer = party.redeem(code)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_user_disabled_between_authorize_and_token_gets_no_tokens(own_party: Party) -> None:
    code = own_party.code(own_party.browser().token)
    now, random = own_party.world.clock(), own_party.world.engine.random
    own_party.world.engine.database.write(
        lambda c: update_user(
            c, "acme", "ada", UserChange(enabled=False), actor=SYSTEM, now=now, random=random
        )
    )

    assert own_party.redeem(code).json()["error"] == "invalid_grant"


# --------------------------------------------------------------------------------------------------
# Userinfo


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
