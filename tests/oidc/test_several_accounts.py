"""Authorization requests and sign-outs from a browser in which several accounts are signed in."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.oidc.conftest import SIGNED_OUT, Party, hidden_fields, query_of
from tests.oidc.test_par import push

PAGE = "/choose-account"


@dataclass
class Browser:
    """The one in use, and those beside it."""

    party: Party
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> httpx2.Response:
        return self._keep(self.party.world.get(path, headers={"cookie": self._sent()}))

    def post(self, path: str, body: dict[str, str]) -> httpx2.Response:
        headers = {"cookie": self._sent(), "content-type": "application/x-www-form-urlencoded"}
        return self._keep(self.party.world.post(path, content=urlencode(body), headers=headers))

    def authorize(self, application: str = "wiki", /, **changes: str | None) -> httpx2.Response:
        return self.get("/oauth/authorize?" + urlencode(self.party.asked(application, **changes)))

    def choose(self, page: httpx2.Response, session_id: str) -> httpx2.Response:
        return self.post(PAGE, {**hidden_fields(page.text), "account": session_id})

    def _sent(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def _keep(self, answer: httpx2.Response) -> httpx2.Response:
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer


@pytest.fixture
def people(party: Party) -> tuple[Browser, dict[str, str]]:
    """A browser whose turn is ada's, with bob and eve (of globex) beside; and who has which session ID."""
    made = {name: party.browser(name) for name in ("ada", "bob")}
    made["eve"] = party.browser("eve", "globex")
    others = f"{made['bob'].token}~{made['eve'].token}"
    browser = Browser(party, {"iam": made["ada"].token, "iam-others": others})
    return browser, {name: one.session.id for name, one in made.items()}


People = tuple[Browser, dict[str, str]]


def subject(party: Party, answer: httpx2.Response, application: str = "wiki") -> str:
    """Whose ID token the code of this answer is redeemed for."""
    query = query_of(answer.headers["location"])
    assert "code" in query, answer.headers["location"]
    tokens = party.redeem(query["code"], application).json()
    sub = party.claims(tokens["id_token"])["sub"]
    return next(name for name, user in party.users.items() if user.id == sub)


def error(answer: httpx2.Response) -> str | None:
    return query_of(answer.headers["location"]).get("error")


def hint_of(party: Party, browser: Browser, name: str, ids: dict[str, str]) -> str:
    """An ID token that the application once got of somebody who is here."""
    answer = browser.authorize(login_hint=name)
    token: str = party.redeem(query_of(answer.headers["location"])["code"]).json()["id_token"]
    return token


def test_the_one_in_use_is_meant_where_nothing_else_is_said(party: Party, people: People) -> None:
    browser, _ = people
    assert subject(party, browser.authorize()) == "ada"


def test_select_account_asks_once_and_goes_on_with_whom_was_chosen(
    party: Party, people: People
) -> None:
    browser, ids = people
    sent = browser.authorize(prompt="select_account")
    assert urlsplit(sent.headers["location"]).path == PAGE
    page = browser.get(sent.headers["location"])
    assert "to go on to <strong>wiki</strong>" in page.text
    assert "form-action 'self' https://wiki.acme.test" in page.headers["content-security-policy"]

    chosen = browser.choose(page, ids["bob"])
    assert chosen.status_code == 303
    answer = browser.get(chosen.headers["location"])

    assert subject(party, answer) == "bob"
    assert query_of(answer.headers["location"])["state"] == party.asked()["state"]
    # The next time it is asked again.
    again = browser.authorize(prompt="select_account")
    assert urlsplit(again.headers["location"]).path == PAGE


def test_select_account_asks_also_who_is_signed_in_alone_and_sends_a_stranger_to_sign_in(
    party: Party,
) -> None:
    browser = Browser(party, {"iam": party.browser().token})
    sent = browser.authorize(prompt="select_account")
    assert urlsplit(sent.headers["location"]).path == PAGE
    stranger = Browser(party).authorize(prompt="select_account")
    assert urlsplit(stranger.headers["location"]).path == "/sign-in"


def test_select_account_with_none_is_refused_as_the_specification_says(people: People) -> None:
    browser, _ = people
    assert error(browser.authorize(prompt="none select_account")) == "invalid_request"


def test_select_account_with_login_asks_for_the_password_of_whom_was_chosen(
    party: Party, people: People
) -> None:
    browser, ids = people
    party.world.clock.move(5)
    sent = browser.authorize(prompt="login select_account")
    page = browser.get(sent.headers["location"])
    chosen = browser.choose(page, ids["bob"])
    answer = browser.get(chosen.headers["location"])
    location = answer.headers["location"]
    assert urlsplit(location).path == "/sign-in"
    query = query_of(location)
    assert (query["prompt"], query["login_hint"]) == ("login", "bob")
    # Who has signed in since is asked nothing more.
    party.world.clock.move(5)
    browser.cookies["iam"] = party.browser("bob").token
    assert subject(party, browser.get(query["return_to"])) == "bob"


def test_whoever_takes_another_account_there_signs_in_once(party: Party, people: People) -> None:
    browser, _ = people
    party.world.clock.move(5)
    sent = browser.authorize(prompt="login select_account", max_age="0")
    page = browser.get(sent.headers["location"])
    another = page.text.partition('id="another" href="')[2].partition('"')[0].replace("&amp;", "&")
    back = parse_qs(urlsplit(another).query)["return_to"][0]
    party.world.clock.move(5)
    browser.cookies["iam"] = party.browser("bob").token
    assert subject(party, browser.get(back)) == "bob"


def test_select_account_with_consent_asks_the_one_chosen(own_party: Party) -> None:
    ada, bob = own_party.browser(), own_party.browser("bob")
    browser = Browser(own_party, {"iam": ada.token, "iam-others": bob.token})
    own_party.settle("wiki", consent="required")
    sent = browser.authorize(prompt="consent select_account")
    chosen = browser.choose(browser.get(sent.headers["location"]), bob.session.id)
    question = browser.get(chosen.headers["location"])
    assert "You are signed in as <strong>Bob</strong>" in question.text
    assert 'id="choose-account"' in question.text
    allowed = browser.post("/oauth/consent", {**hidden_fields(question.text), "decision": "allow"})
    assert subject(own_party, browser.get(allowed.headers["location"])) == "bob"


def test_a_pushed_request_is_asked_once_as_well(party: Party, people: People) -> None:
    browser, ids = people
    uri = push(party, prompt="select_account")["request_uri"]
    client_id = party.applications["wiki"].client_id
    first = browser.get(
        "/oauth/authorize?" + urlencode({"client_id": client_id, "request_uri": uri})
    )
    page = browser.get(first.headers["location"])
    chosen = browser.choose(page, ids["bob"])
    assert subject(party, browser.get(chosen.headers["location"])) == "bob"


@pytest.mark.parametrize("hint", ["bob", "BOB@acme.test", " bob ", "acme/bob"])
def test_a_login_hint_of_somebody_who_is_here_means_them(
    party: Party, people: People, hint: str
) -> None:
    browser, _ = people
    before = dict(browser.cookies)
    assert subject(party, browser.authorize(login_hint=hint)) == "bob"
    assert subject(party, browser.authorize(login_hint=hint, prompt="none")) == "bob"
    assert browser.cookies == before, "a link changes nothing of whose turn it is"


@pytest.mark.parametrize("hint", ["eve", "globex/eve", "nobody", "x" * 500, "'; --", "ad a"])
def test_a_login_hint_of_nobody_who_may_enter_here_leads_to_sign_in(
    people: People, hint: str
) -> None:
    browser, _ = people
    assert error(browser.authorize(login_hint=hint, prompt="none")) == "login_required"
    sent = browser.authorize(login_hint=hint).headers["location"]
    assert urlsplit(sent).path == "/sign-in"
    assert query_of(sent)["prompt"] == "login"


def test_who_signs_in_after_a_hint_is_not_sent_in_circles(party: Party, people: People) -> None:
    browser, _ = people
    sent = browser.authorize(login_hint="carol").headers["location"]
    assert query_of(sent)["login_hint"] == "carol"
    assert subject(party, browser.get(query_of(sent)["return_to"])) == "ada"


def test_a_token_hint_means_its_user_and_is_answered_for_nobody_else(
    party: Party, people: People
) -> None:
    browser, ids = people
    hint = hint_of(party, browser, "bob", ids)
    before = dict(browser.cookies)
    for prompt in (None, "none"):
        answer = browser.authorize(id_token_hint=hint, prompt=prompt)
        assert subject(party, answer) == "bob"
    # Not even where another is named beside, or has been chosen.
    for changes in ({"login_hint": "ada"}, {"iam_chosen": "1"}):
        assert subject(party, browser.authorize(id_token_hint=hint, **changes)) == "bob"
    assert browser.cookies == before

    party.end(ids["bob"])
    assert error(browser.authorize(id_token_hint=hint, prompt="none")) == "login_required"
    for changes in ({}, {"iam_chosen": "1"}, {"iam_chosen": "1", "login_hint": "ada"}):
        sent = browser.authorize(id_token_hint=hint, **changes).headers["location"]
        assert urlsplit(sent).path == "/sign-in"


def test_what_has_to_be_shown_is_shown_to_the_one_that_is_meant(own_party: Party) -> None:
    ada, bob = own_party.browser(), own_party.browser("bob")
    browser = Browser(own_party, {"iam": ada.token, "iam-others": bob.token})
    own_party.settle("wiki", consent="required")

    assert error(browser.authorize(login_hint="bob", prompt="none")) == "consent_required"
    assert browser.cookies["iam"] == ada.token
    first = browser.authorize(login_hint="bob")
    assert first.status_code == 303
    assert (browser.cookies["iam"], browser.cookies["iam-others"]) == (bob.token, ada.token)
    question = browser.get(first.headers["location"])

    assert "You are signed in as <strong>Bob</strong>" in question.text
    allowed = browser.post("/oauth/consent", {**hidden_fields(question.text), "decision": "allow"})
    assert subject(own_party, browser.get(allowed.headers["location"])) == "bob"


def test_an_application_of_another_organization_takes_the_one_account_that_is_of_it(
    party: Party, people: People
) -> None:
    browser, ids = people
    eve, ada, bob = (
        browser.cookies["iam-others"].split("~")[1],
        browser.cookies["iam"],
        browser.cookies["iam-others"].split("~")[0],
    )
    browser.cookies = {"iam": eve, "iam-others": bob}
    assert subject(party, browser.authorize()) == "bob"
    assert browser.cookies["iam"] == eve
    # Of several one has to be chosen.
    browser.cookies["iam-others"] = f"{ada}~{bob}"
    assert error(browser.authorize(prompt="none")) == "account_selection_required"
    sent = browser.authorize()
    assert urlsplit(sent.headers["location"]).path == PAGE
    page = browser.get(sent.headers["location"])
    assert "Eve" in page.text.partition('id="strangers"')[2]
    assert browser.choose(page, ids["eve"]).headers["location"].startswith(PAGE)
    chosen = browser.choose(page, ids["ada"])
    assert subject(party, browser.get(chosen.headers["location"])) == "ada"


def test_who_has_signed_out_is_not_in_again_as_somebody_else(party: Party) -> None:
    """An application that one signs out of sends one back to sign in: as whom, the person says."""
    bob = party.browser("bob")
    browser = Browser(party, {"iam-others": bob.token})
    assert urlsplit(browser.authorize().headers["location"]).path == "/choose-account"
    assert error(browser.authorize(prompt="none")) == "account_selection_required"
    # Who says whom they mean is answered as always.
    assert subject(party, browser.authorize(login_hint="bob", prompt="none")) == "bob"


def lock(party: Party, session_id: str) -> None:
    answer = party.world.post(f"/v1/sessions/{session_id}/lock", headers=party.world.admin)
    assert answer.is_success, answer.text


def test_where_the_one_in_use_is_locked_nobody_else_takes_their_place(
    party: Party, people: People
) -> None:
    """An application that asks as always, silently perhaps, would go on with another user's answer."""
    browser, ids = people
    lock(party, ids["ada"])
    before = dict(browser.cookies)
    assert error(browser.authorize(prompt="none")) == "login_required"
    sent = browser.authorize().headers["location"]
    assert urlsplit(sent).path == "/sign-in"
    assert urlsplit(browser.get(sent).headers["location"]).path == "/unlock"
    assert browser.cookies == before
    # Who says whom they mean is answered as always.
    assert subject(party, browser.authorize(login_hint="bob", prompt="none")) == "bob"


def test_where_the_one_in_use_has_ended_the_person_says_who_goes_on(
    party: Party, people: People
) -> None:
    browser, ids = people
    party.end(ids["ada"])
    assert error(browser.authorize(prompt="none")) == "account_selection_required"
    sent = browser.authorize().headers["location"]
    assert urlsplit(sent).path == PAGE
    page = browser.get(sent)
    assert "Ada" in page.text.partition('id="over"')[2]
    chosen = browser.choose(page, ids["bob"])
    assert subject(party, browser.get(chosen.headers["location"])) == "bob"


def test_of_several_one_has_to_be_chosen_also_where_one_of_them_is_locked(
    party: Party, people: People
) -> None:
    browser, ids = people
    bob, eve = browser.cookies["iam-others"].split("~")
    browser.cookies = {"iam": eve, "iam-others": f"{browser.cookies['iam']}~{bob}"}
    lock(party, ids["ada"])
    assert error(browser.authorize(prompt="none")) == "account_selection_required"
    page = browser.get(browser.authorize().headers["location"])
    chosen = browser.choose(page, ids["ada"])
    sent = browser.get(chosen.headers["location"]).headers["location"]
    assert urlsplit(browser.get(sent).headers["location"]).path == "/unlock"


@pytest.mark.parametrize("state", ["ended", "swapped", "application", "other tenant"])
def test_no_code_comes_of_what_is_not_proven_or_is_over(party: Party, state: str) -> None:
    ada, bob, eve = party.browser(), party.browser("bob"), party.browser("eve", "globex")
    token = bob.token
    if state == "ended":
        party.end(bob.session.id)
    elif state == "swapped":
        token = f"{bob.session.id}.{eve.token.partition('.')[2]}"
    elif state == "application":
        # Its session ID with the secret that an application was given is not a browser's either.
        token = f"{party.claims(party.tokens(bob.token)['id_token'])['sid']}.{'A' * 43}"
    else:
        token = eve.token
    browser = Browser(party, {"iam": ada.token, "iam-others": token})

    for hint in ("bob", party.users["bob"].id, "eve"):
        assert error(browser.authorize(login_hint=hint, prompt="none")) == "login_required"
    alone = Browser(party, {"iam-others": token})
    assert error(alone.authorize(prompt="none")) == "login_required"


def test_a_logout_ends_the_account_that_the_hint_is_of_and_keeps_the_others(
    party: Party, people: People
) -> None:
    browser, ids = people
    hint = hint_of(party, browser, "bob", ids)
    ada = browser.cookies["iam"]

    query = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT}
    answer = browser.get("/oauth/logout?" + urlencode(query))

    assert answer.headers["location"] == SIGNED_OUT
    assert party.ended(ids["bob"]) == "signed_out"
    assert party.ended(party.claims(hint)["sid"]) == "parent_ended"
    assert (party.ended(ids["ada"]), party.ended(ids["eve"])) == (None, None)
    assert browser.cookies["iam"] == ada
    assert ids["bob"] not in browser.cookies["iam-others"]
    assert ids["eve"] in browser.cookies["iam-others"]


def test_a_logout_of_the_one_in_use_shows_who_is_still_signed_in(
    party: Party, people: People
) -> None:
    browser, ids = people
    hint = hint_of(party, browser, "ada", ids)
    page = browser.get("/oauth/logout?" + urlencode({"id_token_hint": hint}))
    assert "Ada is signed out" in page.text
    assert "Continue as Bob" in page.text
    assert "iam" not in browser.cookies
    assert party.ended(ids["bob"]) is None


def test_a_hint_of_somebody_who_is_elsewhere_asks_as_before(party: Party, people: People) -> None:
    browser, ids = people
    elsewhere = party.browser("bob")
    hint = party.tokens(elsewhere.token)["id_token"]
    page = browser.get("/oauth/logout?" + urlencode({"id_token_hint": hint}))
    assert 'id="sign-out"' in page.text
    assert "another sign-in" in page.text
    assert [party.ended(one) for one in ids.values()] == [None] * 3
    assert party.ended(elsewhere.session.id) is None
