"""What the authorization endpoint refuses: open redirects, foreign tenants, ended sessions."""

import pytest

from iam.directory.applications import ApplicationChange, update_application
from iam.kernel.events import SYSTEM
from tests.oidc.conftest import ISSUER, VERIFIER, Party, query_of

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
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "é" * 43}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "login create"}, "invalid_request"),
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
# Signing in for a client


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
