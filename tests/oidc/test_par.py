"""Pushed authorization requests: what the browser carries is a reference, good once."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.oidc.conftest import CALLBACK, Party, query_of


def push(party: Party, application: str = "wiki", /, **changes: str | None) -> dict[str, Any]:
    answer = party.ask("/oauth/par", application, **party.asked(application, **changes))
    found: dict[str, Any] = {"status": answer.status_code, **answer.json()}
    return found


def visit(party: Party, token: str | None, request_uri: str, **extra: str) -> Any:
    query = {"client_id": party.applications["wiki"].client_id, "request_uri": request_uri, **extra}
    return party.visit("/oauth/authorize?" + urlencode(query), token)


def test_a_pushed_request_leads_to_a_code(party: Party) -> None:
    pushed = push(party)

    answer = visit(party, party.browser().token, pushed["request_uri"])

    assert (pushed["status"], pushed["expires_in"]) == (201, 540)
    sent = query_of(answer.headers["location"])
    assert (set(sent), sent["state"]) == ({"code", "state", "iss"}, party.asked()["state"])
    assert party.redeem(sent["code"]).status_code == 200


def test_a_pushed_request_is_answered_once(party: Party) -> None:
    browser, uri = party.browser(), push(party)["request_uri"]
    visit(party, browser.token, uri)

    again = visit(party, browser.token, uri)

    assert (again.status_code, "request_uri_unknown" in again.text) == (400, True)


def test_what_the_browser_adds_to_a_pushed_request_counts_for_nothing(party: Party) -> None:
    uri = push(party)["request_uri"]

    answer = visit(
        party,
        party.browser().token,
        uri,
        redirect_uri="https://evil.test",
        scope="openid",
        state="x",
    )

    assert answer.headers["location"].startswith(f"{CALLBACK}?")
    sent = query_of(answer.headers["location"])
    assert sent["state"] == party.asked()["state"]
    assert party.redeem(sent["code"]).json()["scope"] == "openid profile email"


def test_who_has_to_sign_in_comes_back_to_the_same_request(party: Party) -> None:
    uri = push(party, prompt="login")["request_uri"]
    first = visit(party, party.browser().token, uri)
    back = dict(parse_qsl(urlsplit(first.headers["location"]).query))["return_to"]

    asked = dict(parse_qsl(urlsplit(back).query))
    party.world.clock.move(5)
    answer = party.visit(back, party.browser().token)

    assert set(asked) == {"client_id", "request_uri", "iam_since"}
    assert "code" in query_of(answer.headers["location"])


def test_a_pushed_request_is_good_for_nine_minutes(party: Party) -> None:
    early, late = push(party)["request_uri"], push(party)["request_uri"]
    browser = party.browser()
    party.world.clock.move(539)
    assert visit(party, browser.token, early).status_code == 303
    party.world.clock.move(1)

    assert visit(party, browser.token, late).status_code == 400


def test_a_pushed_request_is_of_one_application(party: Party) -> None:
    uri = push(party, "shop")["request_uri"]

    assert visit(party, party.browser().token, uri).status_code == 400


def test_an_application_that_has_to_push_may_not_do_otherwise(own_party: Party) -> None:
    change = {"require_pushed_authorization_requests": True}
    admin = own_party.world.admin
    own_party.world.patch("/v1/applications/acme/wiki", json=change, headers=admin)
    browser = own_party.browser()

    plain = query_of(own_party.authorize(browser.token).headers["location"])
    pushed = visit(own_party, browser.token, push(own_party)["request_uri"])

    assert (plain["error"], "code" in plain) == ("invalid_request", False)
    assert "code" in query_of(pushed.headers["location"])


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"redirect_uri": "https://evil.test/"}, 400, "invalid_request"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"response_type": "token"}, 400, "unsupported_response_type"),
        ({"response_type": None}, 400, "unsupported_response_type"),
        ({"code_challenge": None}, 400, "invalid_request"),
        ({"code_challenge_method": "plain"}, 400, "invalid_request"),
        ({"request_uri": "urn:x"}, 400, "invalid_request"),
        ({"request": "e30."}, 400, "invalid_request"),
        ({"client_id": "app_" + "0" * 26}, 401, "invalid_client"),
    ],
)
def test_a_request_with_a_mistake_is_not_taken(
    party: Party, changes: dict[str, str | None], status: int, error: str
) -> None:
    pushed = push(party, **changes)

    assert (pushed["status"], pushed["error"]) == (status, error)
    assert "request_uri" not in pushed


def test_nobody_else_pushes_in_an_applications_name(party: Party) -> None:
    answer = party.ask("/oauth/par", "wiki", **party.asked(), client_secret="wrong")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_public_application_pushes_too(party: Party) -> None:
    assert push(party, "phone")["status"] == 201


@pytest.mark.parametrize("uri", ["", "x", "A" * 43, "é\x00", "A" * 5000])
def test_a_reference_that_is_none_is_answered_by_a_page(party: Party, uri: str) -> None:
    answer = visit(party, party.browser().token, "urn:ietf:params:oauth:request_uri:" + uri)

    assert (answer.status_code, answer.headers.get("location")) == (400, None)
