"""What is asked claim by claim (Core §5.5): given, allowed, and about whom it is wanted."""

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from iam.directory.applications import ApplicationChange, update_application
from iam.directory.preferences import Preferences, set_preferences
from iam.kernel.events import SYSTEM
from tests.oidc.conftest import Party, hidden_fields, query_of

EMAIL = json.dumps({"userinfo": {"email": None}, "id_token": {"name": {"essential": True}}})


def _error(answer: Any) -> str | None:
    return query_of(answer.headers["location"]).get("error")


def _opaque(party: Party, application: str) -> None:
    engine = party.world.engine
    engine.database.write(
        lambda c: update_application(
            c,
            "acme",
            application,
            ApplicationChange(client={"access_token_format": "opaque"}),
            actor=SYSTEM,
            now=party.world.clock(),
            random=engine.random,
        )
    )


@pytest.mark.parametrize("form", ["jwt", "opaque"])
def test_claims_are_given_where_they_were_asked_for_and_nowhere_else(
    own_party: Party, form: str
) -> None:
    if form == "opaque":
        _opaque(own_party, "mail")
    token = own_party.browser().token
    got = own_party.tokens(token, "mail", scope="openid", claims=EMAIL)

    assert got["scope"] == "openid"
    told = own_party.userinfo(got["access_token"]).json()
    assert told == {"sub": own_party.users["ada"].id, "email": "ada@acme.test"}
    claims = own_party.claims(got["id_token"])
    assert claims["name"] == "Ada"
    assert "email" not in claims

    # So do the tokens that come after them.
    again = own_party.refresh(got["refresh_token"]).json()
    assert own_party.userinfo(again["access_token"]).json() == told
    if "id_token" in again:
        assert own_party.claims(again["id_token"])["name"] == "Ada"


def test_a_scope_and_claims_add_up(party: Party) -> None:
    got = party.tokens(party.browser().token, scope="openid profile", claims=EMAIL)
    told = party.userinfo(got["access_token"]).json()
    assert told == {
        "sub": party.users["ada"].id,
        "name": "Ada",
        "preferred_username": "ada",
        "email": "ada@acme.test",
    }


def test_the_language_and_the_time_zone_that_people_have_chosen_are_part_of_their_profile(
    own_party: Party,
) -> None:
    party = own_party
    token = party.browser().token
    before = party.tokens(token, scope="openid profile")
    assert party.userinfo(before["access_token"]).json().keys() & {"locale", "zoneinfo"} == set()

    chosen = Preferences("de", "Europe/Berlin")
    party.world.engine.database.write(lambda c: set_preferences(c, "acme", "ada", chosen))

    said = {"locale": "de", "zoneinfo": "Europe/Berlin"}
    assert party.userinfo(before["access_token"]).json().items() >= said.items()
    asked = json.dumps({"userinfo": {"zoneinfo": None}, "id_token": {"locale": None}})
    got = party.tokens(token, scope="openid", claims=asked)
    told = party.userinfo(got["access_token"]).json()
    assert told == {"sub": party.users["ada"].id, "zoneinfo": "Europe/Berlin"}
    claims = party.claims(got["id_token"])
    assert claims["locale"] == "de"
    assert "zoneinfo" not in claims


@pytest.mark.parametrize(
    "claims",
    [
        {"userinfo": {"email": {"value": "someone@else.test"}}},
        {"userinfo": {"email": {"essential": True, "values": ["a", "b"]}, "phone_number": None}},
        {"userinfo": {"email": {}, "https://acme.test/shoe-size": {"essential": True}}, "x": 7},
        {"userinfo": {"email": None}, "id_token": None},
    ],
)
def test_what_is_wished_or_unknown_changes_nothing_of_what_is_true(
    party: Party, claims: object
) -> None:
    got = party.tokens(party.browser().token, scope="openid", claims=json.dumps(claims))
    told = party.userinfo(got["access_token"]).json()
    assert told == {"sub": party.users["ada"].id, "email": "ada@acme.test"}


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "sid", "nonce", "acr", "amr", "azp"])
def test_no_claim_of_the_protocol_can_be_asked_away(party: Party, name: str) -> None:
    asked = json.dumps({"id_token": {name: {"value": "forged"}}, "userinfo": {name: None}})
    plain = party.claims(party.tokens(party.browser().token)["id_token"])
    got = party.claims(party.tokens(party.browser().token, claims=asked)["id_token"])
    assert got.keys() == plain.keys()
    assert got[name] != "forged"


def test_without_openid_nothing_comes_of_it(party: Party) -> None:
    answer = party.redeem(party.code(party.browser().token, scope="profile", claims=EMAIL))
    assert "id_token" not in answer.json()
    refused = party.userinfo(answer.json()["access_token"])
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        "{",
        "[]",
        "null",
        '"x"',
        '{"userinfo": 7}',
        '{"userinfo": ["email"]}',
        '{"userinfo": {"email": "please"}}',
        '{"id_token": {"sub": "usr_x"}}',
        '{"id_token": {"sub": {"value": 7}}}',
        '{"id_token": {"sub": {"values": "usr_x"}}}',
        '{"userinfo": {"sub": {"values": [["usr_x"]]}}}',
        json.dumps({"id_token": {"sub": {"values": ["x"] * 21}}}),
        "[" * 3000,
    ],
)
def test_claims_that_cannot_be_read_are_refused_before_anybody_is_asked_anything(
    party: Party, claims: str
) -> None:
    for token in (None, party.browser().token):
        assert _error(party.authorize(token, claims=claims)) == "invalid_request"


def test_claims_without_a_value_are_none(party: Party) -> None:
    assert party.code(party.browser().token, claims="")


def test_an_application_of_somebody_else_has_to_be_allowed_what_it_asks_claim_by_claim(
    own_party: Party,
) -> None:
    own_party.settle("wiki", consent="required")
    token = own_party.browser().token

    def allow(**asked: str) -> str:
        question = own_party.authorize(token, **asked)
        body = {**hidden_fields(question.text), "decision": "allow"}
        headers = {
            "cookie": f"iam={token}",
            "content-type": "application/x-www-form-urlencoded",
        }
        back = own_party.world.post("/oauth/consent", content=urlencode(body), headers=headers)
        answer = own_party.visit(back.headers["location"], token)
        return query_of(answer.headers["location"])["code"]

    allow(scope="openid")
    assert "code" in query_of(own_party.authorize(token, scope="openid").headers["location"])
    silent = own_party.authorize(token, scope="openid", claims=EMAIL, prompt="none")
    assert _error(silent) == "consent_required"
    question = own_party.authorize(token, scope="openid", claims=EMAIL)
    assert "Your e-mail address" in question.text
    assert "Your name, your user name, your language and your time zone" in question.text

    code = allow(scope="openid", claims=EMAIL)
    withdrawn = own_party.world.delete(
        "/v1/me/consents/wiki", headers=own_party.world.bearer(token)
    )
    assert withdrawn.status_code in (200, 204)
    assert own_party.redeem(code).json()["error"] == "invalid_grant"
    code = allow(scope="openid", claims=EMAIL)
    access = own_party.redeem(code).json()["access_token"]
    assert own_party.userinfo(access).json()["email"] == "ada@acme.test"


@pytest.mark.parametrize("member", ["id_token", "userinfo"])
def test_an_answer_that_is_wanted_about_a_user_is_given_about_nobody_else(
    party: Party, member: str
) -> None:
    ada, bob = party.browser(), party.browser("bob")

    def wanted(*names: str) -> str:
        ids = [party.users[name].id for name in names]
        one = {"value": ids[0]} if len(ids) == 1 else {"values": ids}
        return json.dumps({member: {"sub": one}})

    for names, error in ((("ada",), None), (("bob", "ada"), None), (("bob",), "login_required")):
        answer = party.authorize(ada.token, claims=wanted(*names), prompt="none")
        assert _error(answer) == error
    sent = party.authorize(ada.token, claims=wanted("bob"))
    assert urlsplit(sent.headers["location"]).path == "/sign-in"
    back = query_of(sent.headers["location"])["return_to"]
    assert urlsplit(party.visit(back, ada.token).headers["location"]).path == "/sign-in"

    # Where bob is signed in besides it is he.
    query = urlencode(party.asked(claims=wanted("bob")))
    cookie = {"cookie": f"iam={ada.token}; iam-others={bob.token}"}
    answer = party.world.get(f"/oauth/authorize?{query}", headers=cookie)
    tokens = party.redeem(query_of(answer.headers["location"])["code"]).json()
    assert party.claims(tokens["id_token"])["sub"] == party.users["bob"].id
    # A hint and a claim that contradict each other mean nobody.
    hint = party.tokens(ada.token)["id_token"]
    query = urlencode(party.asked(claims=wanted("bob"), id_token_hint=hint, prompt="none"))
    answer = party.world.get(f"/oauth/authorize?{query}", headers=cookie)
    assert _error(answer) == "login_required"


def test_the_metadata_says_so(party: Party) -> None:
    said = party.world.get("/.well-known/openid-configuration").json()
    assert said["claims_parameter_supported"] is True
    assert {"name", "preferred_username", "email"} <= set(said["claims_supported"])
