"""Refresh tokens: one use each, for as long as the session lives, and what a second use costs."""

import re

import pytest
from sqlalchemy import select

from iam.db.token_tables import refresh_token
from iam.directory.applications import ApplicationChange, update_application
from iam.kernel.events import SYSTEM
from iam.sessions import sweep
from iam.sessions.model import EndReason
from tests.oidc.conftest import Party
from tests.support.race import race, unexpected


def test_a_refresh_gives_new_tokens_of_the_same_session(party: Party) -> None:
    first = party.tokens(party.browser().token, "mail")
    party.world.clock.move(60)

    answer = party.refresh(first["refresh_token"])

    second = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert second["refresh_token"] != first["refresh_token"]
    old, new = party.claims(first["id_token"]), party.claims(second["id_token"])
    same = ("iss", "sub", "aud", "sid", "auth_time", "amr", "acr")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new["iat"] == old["iat"] + 60
    assert "nonce" not in new
    assert party.userinfo(second["access_token"]).status_code == 200


def test_each_refresh_is_in_the_sessions_timeline_and_a_retry_is_not(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")
    sid = party.claims(tokens["id_token"])["sid"]
    new = party.refresh(tokens["refresh_token"]).json()
    party.refresh(tokens["refresh_token"])  # the answer was lost
    party.refresh(new["refresh_token"])

    path = f"/v1/sessions/{sid}/timeline"
    told = party.world.get(path, headers=party.world.admin).json()["items"]

    refreshed = [one["actor"] for one in told if one["type"] == "session.refreshed"]
    assert refreshed == ["application:acme/mail"] * 2


def test_an_application_that_may_not_refresh_gets_no_refresh_token(party: Party) -> None:
    assert "refresh_token" not in party.tokens(party.browser().token)


def test_a_public_client_refreshes_without_a_secret(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "tablet")

    assert party.refresh(tokens["refresh_token"], "tablet").status_code == 200


def test_a_refresh_token_dies_with_its_session_at_once(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")
    party.end(party.claims(tokens["id_token"])["sid"])

    answer = party.refresh(tokens["refresh_token"])

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_refresh_token_dies_with_the_browser_session(party: Party) -> None:
    browser = party.browser()
    tokens = party.tokens(browser.token, "mail")
    party.end(browser.session.id)

    assert party.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_is_activity_of_the_session_and_its_browser_session(party: Party) -> None:
    browser = party.browser()
    token = party.tokens(browser.token, "mail")["refresh_token"]
    for _ in range(4):
        party.world.clock.move(29 * 60)
        token = party.refresh(token).json()["refresh_token"]
        party.world.clock.move(1)
        party.world.write_touches()

    assert party.session(browser.session.id).last_active_at == party.world.clock() - 1000


def test_without_activity_a_refresh_token_is_over_with_the_session(party: Party) -> None:
    token = party.tokens(party.browser().token, "mail")["refresh_token"]
    party.world.clock.move(30 * 60)

    assert party.refresh(token).json()["error"] == "invalid_grant"


def test_a_token_that_is_used_twice_ends_its_session(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")
    second = own_party.refresh(tokens["refresh_token"]).json()
    own_party.world.clock.move(30)

    again = own_party.refresh(tokens["refresh_token"])

    assert again.json()["error"] == "invalid_grant"
    session = own_party.session(own_party.claims(tokens["id_token"])["sid"])
    assert session.end_reason is EndReason.REFRESH_REUSE
    assert own_party.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert own_party.userinfo(second["access_token"]).status_code == 401
    assert session.parent is not None
    assert own_party.session(session.parent).end_reason is None


def test_an_older_token_ends_the_session_even_within_moments(party: Party) -> None:
    first = party.tokens(party.browser().token, "mail")
    second = party.refresh(first["refresh_token"]).json()
    party.refresh(second["refresh_token"])

    assert party.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    sid = party.claims(first["id_token"])["sid"]
    assert party.session(sid).end_reason is EndReason.REFRESH_REUSE


def test_a_retry_within_moments_gets_the_same_successor(party: Party) -> None:
    token = party.tokens(party.browser().token, "mail")["refresh_token"]
    first = party.refresh(token).json()
    party.world.clock.move(29)

    retry = party.refresh(token).json()

    assert retry["refresh_token"] == first["refresh_token"]
    assert party.refresh(retry["refresh_token"]).status_code == 200


def test_refreshes_in_parallel_all_get_the_same_successor(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "tablet")
    token = tokens["refresh_token"]
    for _ in range(3):
        answers = race(*[lambda t=token: own_party.refresh(t, "tablet")] * 8)
        assert unexpected(answers) == []
        assert {one.status_code for one in answers} == {200}
        successors = {one.json()["refresh_token"] for one in answers}
        assert len(successors) == 1
        token = successors.pop()

    sid = own_party.claims(tokens["id_token"])["sid"]
    assert own_party.session(sid).end_reason is None


def test_of_parallel_refreshes_and_an_end_no_token_survives(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")
    sid = own_party.claims(tokens["id_token"])["sid"]

    answers = race(
        *[lambda: own_party.refresh(tokens["refresh_token"])] * 6, lambda: own_party.end(sid)
    )

    assert unexpected(answers) == []
    for one in answers[:-1]:
        if one.status_code == 200:
            assert own_party.refresh(one.json()["refresh_token"]).status_code == 400
            assert own_party.userinfo(one.json()["access_token"]).status_code == 401


def test_a_refresh_token_is_bound_to_its_client(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")

    stolen = party.refresh(tokens["refresh_token"], "tablet")

    assert stolen.json()["error"] == "invalid_grant"
    assert party.refresh(tokens["refresh_token"]).status_code == 200


def test_the_scope_may_be_narrowed_and_never_widened(party: Party) -> None:
    token = party.tokens(party.browser().token, "mail", scope="openid email")["refresh_token"]

    wider = party.refresh(token, scope="openid email profile")
    narrow = party.refresh(token, scope="email").json()
    whole = party.refresh(narrow["refresh_token"]).json()

    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    assert (narrow["scope"], "id_token" in narrow) == ("email", False)
    assert whole["scope"] == "openid email"


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"refresh_token": None}, 400, "invalid_request"),
        ({"refresh_token": "x"}, 400, "invalid_grant"),
        ({"refresh_token": "é\x00" * 100}, 400, "invalid_grant"),
        ({"refresh_token": f"rft_{'0' * 26}.{'A' * 22}.{'A' * 43}"}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
    ],
)
def test_a_refresh_with_a_mistake_gets_nothing_and_costs_nothing(
    party: Party, changes: dict[str, str | None], status: int, error: str
) -> None:
    token = party.tokens(party.browser().token, "mail")["refresh_token"]

    answer = (
        party.refresh(token, **changes)
        if "refresh_token" not in changes
        else party.ask("/oauth/token", "mail", grant_type="refresh_token", **changes)
    )

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert party.refresh(token).status_code == 200


def test_who_has_never_held_a_token_of_it_cannot_end_a_session(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")
    family = tokens["refresh_token"].split(".")[0]

    party.refresh(f"{family}.{'A' * 22}.{'A' * 43}")

    assert party.refresh(tokens["refresh_token"]).status_code == 200


def test_no_usable_token_is_in_the_database(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")
    second = own_party.refresh(tokens["refresh_token"]).json()["refresh_token"]

    rows = own_party.world.engine.database.read(lambda c: c.execute(select(refresh_token)).all())

    _, proof, secret = second.split(".")
    assert proof not in str(rows)
    assert secret not in str(rows)


def test_an_application_that_may_no_longer_refresh_is_refused(own_party: Party) -> None:
    token = own_party.tokens(own_party.browser().token, "mail")["refresh_token"]
    now, random = own_party.world.clock(), own_party.world.engine.random
    change = ApplicationChange(grant_types=["authorization_code"])
    own_party.world.engine.database.write(
        lambda c: update_application(
            c, "acme", "mail", change, actor=SYSTEM, now=now, random=random
        )
    )

    assert own_party.refresh(token).json()["error"] == "unauthorized_client"


def test_offline_access_is_a_session_of_its_own_that_outlives_the_sign_out(party: Party) -> None:
    browser = party.browser()
    tokens = party.tokens(browser.token, "mail", scope="openid offline_access")
    session = party.session(party.claims(tokens["id_token"])["sid"])
    party.end(browser.session.id)

    answer = party.refresh(tokens["refresh_token"])

    assert (session.parent, tokens["scope"]) == (None, "openid offline_access")
    assert answer.status_code == 200
    party.end(session.id)
    assert party.refresh(answer.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_offline_access_is_ignored_of_an_application_that_may_not_refresh(party: Party) -> None:
    tokens = party.tokens(party.browser().token, scope="openid offline_access")

    assert tokens["scope"] == "openid"
    assert party.session(party.claims(tokens["id_token"])["sid"]).parent is not None


def test_the_sweep_purges_refresh_tokens_with_their_session(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")
    own_party.end(own_party.claims(tokens["id_token"])["sid"])
    own_party.world.clock.move(60)
    database, now = own_party.world.engine.database, own_party.world.clock()

    database.write(lambda c: sweep.purge(c, now, retention=30))

    assert database.read(lambda c: c.execute(select(refresh_token)).all()) == []


def test_a_refresh_token_says_what_it_is(party: Party) -> None:
    token = party.tokens(party.browser().token, "mail")["refresh_token"]

    assert re.fullmatch(r"rft_[0-9a-z]{26}\.[\w-]{22}\.[\w-]{43}", token)
