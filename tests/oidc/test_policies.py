"""What policies say about entering an application, at the authorization and the token endpoint."""

from urllib.parse import parse_qs, urlsplit

import pytest

from iam.kernel.events import SYSTEM
from iam.sessions.knobs import Value
from iam.sessions.policy import Layer
from iam.sessions.policy_change import change_policy
from tests.oidc.conftest import Party, query_of


def say(party: Party, **knobs: Value) -> None:
    engine, now = party.world.engine, party.world.clock()
    layer = Layer("application", "acme", "wiki")
    engine.database.write(
        lambda c: change_policy(c, layer, knobs, actor=SYSTEM, now=now, random=engine.random)
    )


def test_who_signed_in_too_long_ago_signs_in_again_before_they_enter(own_party: Party) -> None:
    say(own_party, reauthentication_age=600)
    token = own_party.browser().token
    assert "code" in query_of(own_party.authorize(token).headers["location"])
    own_party.world.clock.move(601)

    answer = own_party.authorize(token)

    url = urlsplit(answer.headers["location"])
    assert url.path == "/sign-in"
    query = parse_qs(url.query)
    assert query["prompt"] == ["login"]
    back = query["return_to"][0]
    assert "code" not in query_of(own_party.visit(back, token).headers["location"])
    fresh = own_party.browser().token
    assert "code" in query_of(own_party.visit(back, fresh).headers["location"])


def test_a_client_that_wants_no_page_shown_is_told_that_a_sign_in_is_needed(
    own_party: Party,
) -> None:
    say(own_party, reauthentication_age=600)
    token = own_party.browser().token
    own_party.world.clock.move(601)

    answer = own_party.authorize(token, prompt="none")

    assert query_of(answer.headers["location"])["error"] == "login_required"


def test_where_there_is_no_room_the_client_is_told_that_access_is_denied(own_party: Party) -> None:
    say(own_party, maximum_sessions=1, at_limit="refuse")
    own_party.tokens(own_party.browser().token)

    answer = own_party.authorize(own_party.browser().token)

    assert query_of(answer.headers["location"])["error"] == "access_denied"


def test_who_may_choose_is_sent_to_choose_first(own_party: Party) -> None:
    say(own_party, maximum_sessions=1, at_limit="ask")
    own_party.tokens(own_party.browser().token)
    token = own_party.browser().token

    answer = own_party.authorize(token)

    url = urlsplit(answer.headers["location"])
    assert url.path == "/choose-sessions"
    assert parse_qs(url.query)["return_to"][0].startswith("/oauth/authorize?")
    silent = own_party.authorize(token, prompt="none")
    assert query_of(silent.headers["location"])["error"] == "interaction_required"


def test_entering_again_from_the_same_browser_needs_no_room(own_party: Party) -> None:
    say(own_party, maximum_sessions=1, at_limit="refuse")
    token = own_party.browser().token

    first, second = own_party.tokens(token), own_party.tokens(token)

    sids = [own_party.claims(one["id_token"])["sid"] for one in (first, second)]
    assert sids[0] == sids[1]


@pytest.mark.parametrize("at_limit", ["refuse", "ask"])
def test_of_two_who_hold_a_code_for_the_last_place_one_gets_it(
    own_party: Party, at_limit: str
) -> None:
    say(own_party, maximum_sessions=1, at_limit=at_limit)
    codes = [own_party.code(own_party.browser().token) for _ in range(2)]

    answers = [own_party.redeem(code) for code in codes]

    assert [one.status_code for one in answers] == [200, 400]
    assert answers[1].json()["error"] == "invalid_grant"


def test_a_session_that_outlives_the_browser_session_is_found_again(own_party: Party) -> None:
    say(own_party, maximum_lifetime=864000)
    token = own_party.browser().token

    first, second = own_party.tokens(token), own_party.tokens(token)

    sids = [own_party.claims(one["id_token"])["sid"] for one in (first, second)]
    assert sids[0] == sids[1]
    assert own_party.session(sids[0]).entered_through == token.partition(".")[0]
