"""What an authorization request may ask for: how it is answered, how fresh a sign-in, which proof."""

import re
from html import unescape

import httpx2
import pytest

from iam.directory.users import UserChange, update_user
from iam.kernel.events import SYSTEM
from tests.oidc.conftest import CALLBACK, CHALLENGE, ISSUER, VERIFIER, Party, query_of
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD

NO_PKCE = {"code_challenge": None, "code_challenge_method": None}


@pytest.fixture
def surfer(own_party: Party) -> Surfer:
    """The browser of ada, who has a password and is signed in."""
    engine, now = own_party.world.engine, own_party.world.clock()
    change = UserChange(password_hash=engine.passwords.hash(PASSWORD))
    for name in ("ada", "bob"):
        engine.database.write(
            lambda c, name=name: update_user(  # type: ignore[misc] # the default binds the name
                c, "acme", name, change, actor=SYSTEM, now=now, random=engine.random
            )
        )
    made = Surfer(own_party.world)
    assert made.sign_in("acme", "ada").status_code == 303
    return made


def posted(answer: httpx2.Response) -> tuple[str, dict[str, str]]:
    """Where the form on this page goes, and what it says."""
    action = re.search(r'<form[^>]* action="([^"]*)" id="form-post"', answer.text)
    assert action is not None, answer.text
    hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', answer.text)
    return unescape(action[1]), {name: unescape(value) for name, value in hidden}


@pytest.mark.parametrize("uri", [CALLBACK, "https://wiki.acme.test/back?tenant=1"])
def test_an_answer_may_come_as_a_posted_form(party: Party, uri: str) -> None:
    browser = party.browser()

    answer = party.authorize(browser.token, response_mode="form_post", redirect_uri=uri)

    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "form-action 'self' https://wiki.acme.test;" in policy
    assert "script-src 'self';" in policy
    action, fields = posted(answer)
    assert action == uri
    assert set(fields) == {"code", "state", "iss"}
    assert (fields["state"], fields["iss"]) == ("a state/with ünusual+characters", ISSUER)
    assert party.redeem(fields["code"], redirect_uri=uri).status_code == 200


def test_so_may_a_refusal(party: Party) -> None:
    answer = party.authorize(None, response_mode="form_post", prompt="none", state='"><script>')

    action, fields = posted(answer)
    assert action == CALLBACK
    assert (fields["error"], fields["iss"]) == ("login_required", ISSUER)
    assert fields["state"] == '"><script>'
    assert "<script>" not in answer.text.partition("<main")[2]


@pytest.mark.parametrize("mode", ["fragment", "form_post.jwt", "web_message", "", "query\x00"])
def test_an_answer_in_an_unknown_way_is_a_page(party: Party, mode: str) -> None:
    answer = party.authorize(party.browser().token, response_mode=mode)

    assert (answer.status_code, "location" in answer.headers) == (400, False)
    assert "response_mode_unknown" in answer.text


def test_what_is_not_supported_but_harmless_is_passed_over(party: Party) -> None:
    code = party.code(
        party.browser().token,
        display="popup",
        ui_locales="de-CH fr",
        claims_locales="de",
        acr_values="urn:hanzo:iam:acr:9 phr",
        claims='{"id_token": {"phone_number": {"value": "x"}}, "made_up": [1]}',
        login_hint="ada",
        made_up="1",
    )

    assert party.redeem(code).status_code == 200


def test_whom_the_application_expects_is_filled_in_at_sign_in(party: Party) -> None:
    answer = party.authorize(None, login_hint='ada"><b>')

    page = party.world.get(answer.headers["location"])
    assert 'name="username" value="ada&#34;&gt;&lt;b&gt;"' in page.text
    long = party.authorize(None, login_hint="a" * 2000)
    assert "login_hint" not in query_of(long.headers["location"])


def test_signing_in_again_raises_the_session_that_is_there(
    own_party: Party, surfer: Surfer
) -> None:
    before, sid = surfer.session_id, _entered(own_party, surfer)
    former = surfer.cookies["iam"]
    own_party.world.clock.move(100)

    sent = query_of(own_party.authorize(former, max_age="60").headers["location"])
    assert surfer.sign_in("acme", "ada").status_code == 303

    assert surfer.session_id == before
    assert surfer.cookies["iam"] != former
    stolen = own_party.authorize(former, prompt="none")
    assert query_of(stolen.headers["location"])["error"] == "login_required"
    answer = own_party.visit(sent["return_to"], surfer.cookies["iam"])
    tokens = own_party.redeem(query_of(answer.headers["location"])["code"]).json()
    claims = own_party.claims(tokens["id_token"])
    assert claims["sid"] == sid
    assert claims["auth_time"] == own_party.world.clock() // 1000
    assert own_party.world.engine.metrics.started == 2, "a raised session was not started"
    assert own_party.session(before).created_at < own_party.world.clock() - 99_000


def _entered(party: Party, surfer: Surfer) -> str:
    sid: str = party.claims(party.tokens(surfer.cookies["iam"])["id_token"])["sid"]
    return sid


def test_somebody_else_who_signs_in_has_their_turn_and_nobody_is_signed_out(
    own_party: Party, surfer: Surfer
) -> None:
    before, sid = surfer.session_id, _entered(own_party, surfer)

    assert surfer.sign_in("acme", "bob").status_code == 303

    assert surfer.session_id != before
    assert own_party.ended(before) is None
    assert own_party.ended(sid) is None
    bob = own_party.claims(own_party.tokens(surfer.cookies["iam"])["id_token"])
    assert bob["sub"] == own_party.users["bob"].id


def test_a_session_does_not_live_longer_by_signing_in_again(
    own_party: Party, surfer: Surfer
) -> None:
    before = own_party.session(surfer.session_id)
    own_party.world.clock.move(600)
    surfer.sign_in("acme", "ada")

    after = own_party.session(surfer.session_id)
    assert after.expires_at == before.expires_at
    assert after.last_active_at == own_party.world.clock()


@pytest.mark.parametrize(("age", "asked"), [(60, True), (3600, False), (0, True)])
def test_an_application_may_settle_how_fresh_a_sign_in_it_wants(
    own_party: Party, age: int, asked: bool
) -> None:
    own_party.settle("wiki", default_max_age=age)
    stale = own_party.browser()
    own_party.world.clock.move(61)

    answer = own_party.authorize(stale.token)

    assert answer.headers["location"].startswith("/sign-in?") == asked
    # A request's own max_age counts instead.
    loose = own_party.authorize(stale.token, max_age="3600")
    assert loose.headers["location"].startswith(CALLBACK)
    if asked:
        back = query_of(answer.headers["location"])["return_to"]
        own_party.world.clock.move(30)
        fresh = own_party.browser()
        own_party.world.clock.move(5)
        assert "code" in query_of(own_party.visit(back, fresh.token).headers["location"])
        old = own_party.visit(back + "&iam_since=1", stale.token)
        assert "code" not in query_of(old.headers["location"])


def test_our_own_parameter_does_not_lift_what_an_application_has_settled(own_party: Party) -> None:
    own_party.settle("wiki", default_max_age=60)
    stale = own_party.browser()
    own_party.world.clock.move(601)

    answer = own_party.authorize(stale.token, iam_since="1")

    assert answer.headers["location"].startswith("/sign-in?")


def test_an_application_with_a_secret_may_go_without_pkce_if_it_is_set_to(
    own_party: Party,
) -> None:
    browser = own_party.browser()
    own_party.settle("wiki", require_pkce=False)

    code = own_party.code(browser.token, **NO_PKCE)
    assert own_party.redeem(code, code_verifier=None).status_code == 200
    # Whoever sends a challenge is held to it, and a verifier without one is a downgrade.
    held = own_party.redeem(own_party.code(browser.token), code_verifier=None)
    downgraded = own_party.redeem(own_party.code(browser.token, **NO_PKCE))
    assert (held.status_code, downgraded.status_code) == (400, 400)
    wrong = own_party.redeem(own_party.code(browser.token), code_verifier=VERIFIER[::-1])
    assert wrong.json()["error"] == "invalid_grant"
    for changes in (
        {"code_challenge": CHALLENGE, "code_challenge_method": "plain"},
        {"code_challenge": CHALLENGE, "code_challenge_method": None},
        {"code_challenge": None},
    ):
        answer = own_party.authorize(browser.token, **changes)
        assert query_of(answer.headers["location"])["error"] == "invalid_request"


def test_an_application_without_a_secret_may_not_go_without_pkce(own_party: Party) -> None:
    own_party.settle("phone", require_pkce=False)
    answer = own_party.authorize(own_party.browser().token, "phone", **NO_PKCE)
    assert query_of(answer.headers["location"])["error"] == "invalid_request"

    world = own_party.world
    body = {"organization": "acme", "name": "app", "public": True, "require_pkce": False}
    made = world.post("/v1/applications", json=body, headers=world.admin)
    assert (made.status_code, made.json()["code"]) == (409, "pkce_required")
    path = "/v1/applications/acme/phone"
    changed = world.patch(path, json={"require_pkce": False}, headers=world.admin)
    assert changed.json()["code"] == "pkce_required"
