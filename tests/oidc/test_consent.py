"""Consent: an application of others learns nothing before its user has said yes, and is forgotten again."""

from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.oidc.conftest import CALLBACK, ISSUER, Party, query_of
from tests.oidc.conftest import hidden_fields as hidden


def asks(answer: httpx2.Response) -> bool:
    """Whether the answer is the question."""
    return 'id="consent-form"' in answer.text and "location" not in answer.headers


def decide(
    party: Party, token: str, page: httpx2.Response, decision: str, **changes: str
) -> httpx2.Response:
    """Press a button of the question."""
    body = {**hidden(page.text), "decision": decision, **changes}
    headers = {"content-type": "application/x-www-form-urlencoded", "cookie": f"iam={token}"}
    return party.world.post("/oauth/consent", content=urlencode(body), headers=headers)


@pytest.fixture
def strict(own_party: Party) -> Party:
    """The application wiki is somebody else's."""
    own_party.settle("wiki", consent="required")
    return own_party


def test_it_is_asked_once_with_name_and_scopes_and_remembered(strict: Party) -> None:
    browser = strict.browser()

    page = strict.authorize(browser.token, state="s")
    assert asks(page)
    assert "Allow wiki?" in page.text
    assert "e-mail address" in page.text
    assert "form-action 'self' https://wiki.acme.test;" in page.headers["content-security-policy"]
    allowed = decide(strict, browser.token, page, "allow")
    back = strict.visit(allowed.headers["location"], browser.token)

    assert query_of(back.headers["location"])["state"] == "s"
    assert strict.redeem(query_of(back.headers["location"])["code"]).status_code == 200
    assert strict.code(browser.token, prompt="none")
    assert strict.code(strict.browser().token), "on another device as well"
    assert strict.code(browser.token, scope="openid"), "less needs no new question"
    assert asks(strict.authorize(strict.browser("bob").token)), "another person is asked"
    told = strict.world.get("/v1/events?type=consent.granted", headers=strict.world.admin).json()
    (event,) = told["items"]
    assert event["data"] == {"scopes": ["email", "openid", "profile"]}


def test_more_than_was_allowed_is_asked_for_anew(strict: Party) -> None:
    browser = strict.browser()
    decide(strict, browser.token, strict.authorize(browser.token, scope="openid"), "allow")

    page = strict.authorize(browser.token, scope="openid email")
    assert asks(page)
    silent = strict.authorize(browser.token, scope="openid email", prompt="none")
    assert query_of(silent.headers["location"])["error"] == "consent_required"
    decide(strict, browser.token, page, "allow")
    assert strict.code(browser.token, scope="email openid")


def test_a_no_goes_to_the_application_and_is_not_remembered(strict: Party) -> None:
    browser = strict.browser()

    for mode in ("query", "form_post"):
        page = strict.authorize(browser.token, response_mode=mode)
        answer = decide(strict, browser.token, page, "deny")
        if mode == "query":
            assert answer.headers["location"].startswith(f"{CALLBACK}?")
        sent = query_of(answer.headers["location"]) if mode == "query" else hidden(answer.text)
        assert (sent["error"], sent["iss"]) == ("access_denied", ISSUER)
        assert sent["state"] == "a state/with ünusual+characters"
    assert asks(strict.authorize(browser.token))


def test_applications_of_ones_own_are_not_asked_about_unless_they_want_to(party: Party) -> None:
    browser = party.browser()

    assert party.code(browser.token)
    page = party.authorize(browser.token, prompt="consent")
    assert asks(page)
    answer = decide(party, browser.token, page, "allow")
    assert parse_qs(urlsplit(answer.headers["location"]).query).get("prompt") is None
    assert "code" in query_of(
        party.visit(answer.headers["location"], browser.token).headers["location"]
    )
    assert asks(party.authorize(browser.token, prompt="consent")), "asked each time"


def test_a_sign_in_on_the_way_does_not_lose_the_question(party: Party) -> None:
    answer = party.authorize(party.browser().token, prompt="login consent")

    back = query_of(answer.headers["location"])["return_to"]
    party.world.clock.move(5)
    assert asks(party.visit(back, party.browser().token))


def test_nobody_else_can_say_yes(strict: Party) -> None:
    ada, bob = strict.browser(), strict.browser("bob")
    page = strict.authorize(ada.token)

    assert decide(strict, bob.token, page, "allow").status_code == 403
    assert decide(strict, ada.token, page, "allow", csrf="x" * 43).status_code == 403
    assert decide(strict, ada.token, page, "maybe").status_code == 422
    assert asks(strict.authorize(ada.token))
    strict.end(ada.session.id)
    gone = decide(strict, ada.token, page, "allow")
    assert gone.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.test/"},
        {"client_id": "app_" + "0" * 26},
        {"response_mode": "fragment"},
    ],
)
def test_what_the_form_carries_is_checked_again(
    party: Party, decision: str, changes: dict[str, str]
) -> None:
    browser = party.browser()
    page = party.authorize(browser.token, prompt="consent")
    asked = urlencode(party.asked("wiki", **changes))

    answer = decide(party, browser.token, page, decision, asked=asked)

    assert (answer.status_code, "location" in answer.headers) == (422, False)
    assert "evil" not in answer.text
    assert decide(party, browser.token, page, decision, asked="").status_code == 422


def test_a_consent_is_seen_and_withdrawn_by_its_person_with_all_it_gave(strict: Party) -> None:
    browser, world = strict.browser(), strict.world
    decide(strict, browser.token, strict.authorize(browser.token), "allow")
    sid = strict.claims(strict.tokens(browser.token)["id_token"])["sid"]
    mine, bobs = world.bearer(browser.token), world.bearer(strict.browser("bob").token)

    (listed,) = world.get("/v1/me/consents", headers=mine).json()["items"]
    assert (listed["application"], listed["scopes"]) == ("wiki", ["email", "openid", "profile"])
    assert world.get("/v1/me/consents", headers=bobs).json() == {"items": []}
    not_his = world.delete("/v1/me/consents/wiki", headers=bobs)
    assert (not_his.status_code, not_his.json()["code"]) == (404, "consent_not_found")
    assert world.delete("/v1/me/consents/wiki", headers=mine).status_code == 204

    assert strict.ended(sid) == "ended_by_user"
    assert strict.ended(browser.session.id) is None
    assert asks(strict.authorize(browser.token))
    for name in ("wiki", "nothing", "mail"):
        gone = world.delete(f"/v1/me/consents/{name}", headers=mine)
        assert gone.json()["code"] == "consent_not_found"


def test_a_code_is_worth_nothing_once_the_person_no_longer_allows_it(strict: Party) -> None:
    browser = strict.browser()
    decide(strict, browser.token, strict.authorize(browser.token), "allow")
    code = strict.code(browser.token)
    gone = strict.world.delete("/v1/me/consents/wiki", headers=strict.world.bearer(browser.token))
    assert gone.status_code == 204, gone.text

    assert strict.redeem(code).json()["error"] == "invalid_grant"

    live = strict.world.get("/v1/sessions?application=wiki", headers=strict.world.admin).json()
    assert live["items"] == [], "and starts nothing"
