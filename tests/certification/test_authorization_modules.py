"""The modules of the certification suite's Basic plan about the authorization endpoint, by their names.

The suite sends no PKCE: its application is set to go without, as one with a secret may be.
"""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.oidc.conftest import CALLBACK, ISSUER, Party, query_of
from tests.support.world import make_world


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    with make_world(f"sqlite:///{tmp_path_factory.mktemp('basic')}/iam.db") as world:
        made = Party(world)
        made.populate()
        made.settle("wiki", require_pkce=False)
        yield made


def sent(party: Party, token: str | None, **changes: str | None) -> dict[str, str]:
    """Where an authorization request without PKCE leads: the query of the address."""
    plain = {"code_challenge": None, "code_challenge_method": None}
    answer = party.authorize(token, **plain, **changes)
    assert answer.status_code == 303, answer.text
    return query_of(answer.headers["location"])


def claims(party: Party, code: str, **changes: str | None) -> dict[str, object]:
    answer = party.redeem(code, code_verifier=None, **changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = party.claims(answer.json()["id_token"])
    return found


def test_oidcc_server(basic: Party) -> None:
    found = claims(basic, sent(basic, basic.browser().token, nonce="n1")["code"])

    assert (found["iss"], found["nonce"]) == (ISSUER, "n1")


def test_oidcc_response_type_missing(basic: Party) -> None:
    found = sent(basic, basic.browser().token, response_type=None)

    assert found["error"] in ("invalid_request", "unsupported_response_type")


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(basic: Party) -> None:
    found = claims(basic, sent(basic, basic.browser().token, nonce=None)["code"])

    assert "nonce" not in found


@pytest.mark.parametrize(
    "scope",
    [
        "openid profile",
        "openid email",
        "openid address",
        "openid phone",
        "openid profile email address phone",
    ],
)
def test_oidcc_scope(basic: Party, scope: str) -> None:
    assert claims(basic, sent(basic, basic.browser().token, scope=scope)["code"])["sub"]


@pytest.mark.parametrize(
    "changes",
    [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"extra": "foobar"},
        {"login_hint": "ada@acme.test"},
        {"claims": '{"userinfo": {"name": {"essential": true}}}'},
    ],
    ids=[
        "oidcc-display-page",
        "oidcc-display-popup",
        "oidcc-ui-locales",
        "oidcc-claims-locales",
        "oidcc-ensure-request-with-acr-values-succeeds",
        "oidcc-ensure-request-with-unknown-parameter-succeeds",
        "oidcc-login-hint",
        "oidcc-claims-essential",
    ],
)
def test_oidcc_what_must_not_be_an_error(basic: Party, changes: dict[str, str | None]) -> None:
    assert claims(basic, sent(basic, basic.browser().token, **changes)["code"])["sub"]


def test_oidcc_prompt_login(basic: Party) -> None:
    first = basic.browser()
    before = claims(basic, sent(basic, first.token)["code"])
    basic.world.clock.move(2)

    answer = sent(basic, first.token, prompt="login")
    assert answer["prompt"] == "login", "the sign-in page, whoever is signed in"
    basic.world.clock.move(2)
    back = basic.visit(answer["return_to"], basic.browser().token)

    after = claims(basic, query_of(back.headers["location"])["code"])
    assert after["sub"] == before["sub"]
    assert int(str(after["auth_time"])) > int(str(before["auth_time"]))


def test_oidcc_prompt_none_not_logged_in(basic: Party) -> None:
    assert sent(basic, None, prompt="none")["error"] == "login_required"


def test_oidcc_prompt_none_logged_in(basic: Party) -> None:
    browser = basic.browser()
    before = claims(basic, sent(basic, browser.token)["code"])
    basic.world.clock.move(1)
    after = claims(basic, sent(basic, browser.token, prompt="none")["code"])

    assert (after["sub"], after["auth_time"]) == (before["sub"], before["auth_time"])


def test_oidcc_max_age_1(basic: Party) -> None:
    browser = basic.browser()
    basic.world.clock.move(2)

    answer = sent(basic, browser.token, max_age="1")

    assert answer["prompt"] == "login"
    back = basic.visit(answer["return_to"], basic.browser().token)
    found = claims(basic, query_of(back.headers["location"])["code"])
    assert found["auth_time"] == basic.world.clock() // 1000


def test_oidcc_max_age_10000(basic: Party) -> None:
    browser = basic.browser()
    before = claims(basic, sent(basic, browser.token)["code"])
    basic.world.clock.move(30)
    after = claims(basic, sent(basic, browser.token, max_age="10000")["code"])

    assert after["auth_time"] == before["auth_time"]


def test_oidcc_id_token_hint(basic: Party) -> None:
    browser = basic.browser()
    code = sent(basic, browser.token)["code"]
    hint = basic.redeem(code, code_verifier=None).json()["id_token"]

    again = sent(basic, browser.token, id_token_hint=hint, prompt="none")["code"]

    assert claims(basic, again)["sub"] == basic.claims(hint)["sub"]


def test_oidcc_ensure_registered_redirect_uri(basic: Party) -> None:
    answer = basic.authorize(basic.browser().token, redirect_uri=f"{CALLBACK}/x")

    assert (answer.status_code, "location" in answer.headers) == (400, False)


def test_oidcc_ensure_post_request_succeeds(basic: Party) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    content = urlencode(basic.asked())

    answer = basic.world.post("/oauth/authorize", content=content, headers=form)

    again = basic.visit(answer.headers["location"], basic.browser().token)
    assert "code" in query_of(again.headers["location"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_uri": "https://rp.test/request"}, "request_uri_not_supported"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ],
    ids=[
        "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
        "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
    ],
)
def test_oidcc_request_objects(basic: Party, changes: dict[str, str | None], error: str) -> None:
    assert sent(basic, basic.browser().token, **changes)["error"] == error


def test_oidcc_ensure_request_with_valid_pkce_succeeds(basic: Party) -> None:
    assert basic.tokens(basic.browser().token)["id_token"]
