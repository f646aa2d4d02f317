"""Introspection and revocation: what is true of a token now, told to whom it concerns."""

from iam.kernel.secrets import system_random
from iam.server.app import create_app
from iam.server.build import build_engine, close_engine
from iam.sessions.model import EndReason
from iam.web.engine import Engine
from tests.oidc.conftest import ISSUER, Party
from tests.support.race import race
from tests.support.world import World

INACTIVE = {"active": False}


def test_an_active_token_is_told_with_its_session(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")
    claims = party.claims(tokens["access_token"])

    answer = party.ask("/oauth/introspect", "mail", token=tokens["access_token"])

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "active": True,
        "username": "ada",
        "sid": claims["sid"],
        "acr": "urn:hanzo:iam:acr:1",
        "amr": ["pwd"],
        "auth_time": party.claims(tokens["id_token"])["auth_time"],
        "scope": "openid profile email",
        "client_id": party.applications["mail"].client_id,
        "token_type": "Bearer",
        "exp": claims["exp"],
        "iat": claims["iat"],
        "sub": party.users["ada"].id,
        "aud": ISSUER,
        "iss": ISSUER,
        "jti": claims["jti"],
    }


def test_a_refresh_token_is_active_while_it_is_good(party: Party) -> None:
    token = party.tokens(party.browser().token, "mail")["refresh_token"]
    before = party.ask("/oauth/introspect", "mail", token=token, token_type_hint="access_token")
    second = party.refresh(token).json()["refresh_token"]
    party.world.clock.move(30)

    assert before.json()["active"] is True
    assert party.ask("/oauth/introspect", "mail", token=token).json() == INACTIVE
    assert party.ask("/oauth/introspect", "mail", token=second).json()["active"] is True


def test_an_ended_session_makes_its_tokens_inactive_in_the_next_call(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")
    own_party.end(own_party.claims(tokens["id_token"])["sid"])

    for name in ("access_token", "refresh_token"):
        answer = own_party.ask("/oauth/introspect", "mail", token=tokens[name])
        assert answer.json() == INACTIVE


def test_another_node_knows_the_end_in_the_next_call(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")
    world = own_party.world
    settings, clock, portal = world.engine.settings, world.clock, world.portal

    async def build() -> Engine:
        return build_engine(settings, clock, system_random)

    engine = portal.call(build)
    other = Party(
        World(engine=engine, clock=clock, portal=portal, app=create_app(engine)),
        applications=own_party.applications,
        secrets=own_party.secrets,
    )
    before = other.ask("/oauth/introspect", "mail", token=tokens["access_token"]).json()
    own_party.end(own_party.claims(tokens["id_token"])["sid"])

    after = other.ask("/oauth/introspect", "mail", token=tokens["access_token"]).json()
    refreshed = other.refresh(tokens["refresh_token"])
    userinfo = other.userinfo(tokens["access_token"])
    portal.call(close_engine, engine)

    assert (before["active"], after) == (True, INACTIVE)
    assert (refreshed.json()["error"], userinfo.status_code) == ("invalid_grant", 401)


def test_a_look_at_a_token_is_no_activity(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")
    session = party.session(party.claims(tokens["id_token"])["sid"])
    party.world.clock.move(300)

    party.ask("/oauth/introspect", "mail", token=tokens["access_token"])
    party.world.clock.move(1)
    party.world.write_touches()

    assert party.session(session.id).last_active_at == session.last_active_at


def test_a_token_that_is_none_or_none_of_the_callers_is_inactive(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")
    for application, token in (
        ("wiki", tokens["access_token"]),
        ("wiki", tokens["refresh_token"]),
        ("mail", tokens["id_token"]),
        ("mail", "x"),
        ("mail", "é\x00" * 100),
        ("mail", "rft_x"),
        ("mail", tokens["access_token"][:-6] + "AAAAAA"),
    ):
        answer = party.ask("/oauth/introspect", application, token=token)
        assert (answer.status_code, answer.json()) == (200, INACTIVE)


def test_an_expired_token_is_inactive(party: Party) -> None:
    token = party.tokens(party.browser().token, "mail")["access_token"]
    party.world.clock.move(600)

    assert party.ask("/oauth/introspect", "mail", token=token).json() == INACTIVE


def test_only_applications_that_authenticate_may_ask(party: Party) -> None:
    token = party.tokens(party.browser().token, "tablet")["access_token"]

    for application, changes in (
        ("tablet", {}),
        ("mail", {"client_secret": "wrong"}),
        ("mail", {"client_secret": None}),
        ("mail", {"client_id": None, "client_secret": None}),
    ):
        answer = party.ask("/oauth/introspect", application, token=token, **changes)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_question_without_a_token_is_malformed(party: Party) -> None:
    for path in ("/oauth/introspect", "/oauth/revoke"):
        answer = party.ask(path, "mail")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert party.world.get("/oauth/introspect").status_code == 405


def test_revoking_a_refresh_token_ends_the_applications_session_and_no_other(
    own_party: Party,
) -> None:
    browser = own_party.browser()
    mail, wiki = own_party.tokens(browser.token, "mail"), own_party.tokens(browser.token)

    answer = own_party.ask("/oauth/revoke", "mail", token=mail["refresh_token"])

    assert (answer.status_code, answer.content) == (200, b"")
    session = own_party.session(own_party.claims(mail["id_token"])["sid"])
    assert session.end_reason is EndReason.SIGNED_OUT
    assert session.ended_by == "application:acme/mail"
    assert own_party.refresh(mail["refresh_token"]).json()["error"] == "invalid_grant"
    assert own_party.userinfo(mail["access_token"]).status_code == 401
    assert own_party.userinfo(wiki["access_token"]).status_code == 200
    assert own_party.session(browser.session.id).end_reason is None


def test_revoking_an_access_token_takes_that_one_alone(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")

    answer = own_party.ask("/oauth/revoke", "mail", token=tokens["access_token"])

    assert answer.status_code == 200
    assert own_party.userinfo(tokens["access_token"]).status_code == 401
    assert (
        own_party.ask("/oauth/introspect", "mail", token=tokens["access_token"]).json() == INACTIVE
    )
    again = own_party.refresh(tokens["refresh_token"]).json()
    assert own_party.userinfo(again["access_token"]).status_code == 200


def test_a_token_can_be_revoked_again_and_so_can_none(party: Party) -> None:
    token = party.tokens(party.browser().token, "tablet")["refresh_token"]

    for one in (token, token, "x", "rft_x", "a.b.c"):
        assert party.ask("/oauth/revoke", "tablet", token=one).status_code == 200


def test_nobody_revokes_the_tokens_of_another_application(party: Party) -> None:
    tokens = party.tokens(party.browser().token, "mail")

    for name in ("refresh_token", "access_token"):
        answer = party.ask("/oauth/revoke", "wiki", token=tokens[name])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    wrong = party.ask("/oauth/revoke", "mail", token=tokens["refresh_token"], client_secret="x")

    assert wrong.status_code == 401
    assert party.userinfo(tokens["access_token"]).status_code == 200


def test_of_a_revocation_and_refreshes_at_one_instant_no_token_survives(own_party: Party) -> None:
    tokens = own_party.tokens(own_party.browser().token, "mail")
    token = tokens["refresh_token"]

    answers = race(
        *[lambda: own_party.refresh(token)] * 4,
        lambda: own_party.ask("/oauth/revoke", "mail", token=token),
    )

    assert answers[-1].status_code == 200
    for one in answers[:-1]:
        if one.status_code == 200:
            assert own_party.userinfo(one.json()["access_token"]).status_code == 401
            assert own_party.refresh(one.json()["refresh_token"]).status_code == 400
