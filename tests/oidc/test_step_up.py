"""A client that wants a second factor: the session is raised by what is missing, and no more is asked."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from iam.kernel.authn import MULTI_FACTOR, SINGLE_FACTOR
from iam.kernel.events import SYSTEM
from iam.signin.enrolment import remove_by_administrator
from tests.oidc.conftest import Party, query_of
from tests.support.authenticator import Authenticator, enrol, give_authenticator, hidden
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD

CODE = "/second-factor"


def _claims(value: Any) -> str:
    return json.dumps({"id_token": {"acr": value}})


def _essential(*values: str) -> str:
    return _claims({"essential": True, "values": list(values)})


@pytest.fixture
def ada(own_party: Party) -> Surfer:
    """The browser of ada, signed in with a password."""
    world = own_party.world
    for name in ("ada", "bob"):
        path = f"/v1/users/acme/{name}"
        world.patch(path, json={"password": PASSWORD}, headers=world.admin)
    made = Surfer(world)
    assert made.sign_in("acme", "ada").status_code == 303
    return made


def _asked(party: Party, surfer: Surfer, **changes: str | None) -> str:
    """Where an authorization request leads."""
    answer = surfer.get("/oauth/authorize?" + urlencode(party.asked("wiki", **changes)))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize(
    "wish",
    [
        {"acr_values": MULTI_FACTOR},
        {"acr_values": f"phr {MULTI_FACTOR}"},
        {"claims": _essential(MULTI_FACTOR)},
        {"claims": _claims({"essential": True, "value": MULTI_FACTOR})},
        {"claims": _claims({"values": [MULTI_FACTOR]})},
    ],
)
def test_the_missing_code_is_asked_for_and_raises_the_session(
    own_party: Party, ada: Surfer, wish: dict[str, str]
) -> None:
    world = own_party.world
    first = own_party.tokens(ada.cookies["iam"])
    before, sid = ada.cookies["iam"], own_party.claims(first["id_token"])["sid"]
    app = give_authenticator(world, "acme", "ada")
    world.clock.move(60)

    there = _asked(own_party, ada, **wish)
    assert there.startswith(f"{CODE}?")
    page = ada.get(there)
    assert "wants to be sure that it is you" in page.text
    query = query_of(there)
    wrong = ada.submit(CODE, **query, code="000000")
    assert wrong.status_code == 403
    done = ada.submit(CODE, **query, code=app.code())

    assert done.status_code == 303
    assert ada.cookies["iam"] != before, "another secret"
    assert ada.cookies["iam"].partition(".")[0] == before.partition(".")[0], "the same session"
    assert world.get("/v1/session", headers=world.bearer(before)).status_code == 401
    back = ada.get(done.headers["location"])
    code = query_of(back.headers["location"])["code"]
    tokens = own_party.redeem(code).json()
    told = own_party.claims(tokens["id_token"])
    assert (told["acr"], told["amr"]) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    assert told["sid"] == sid
    assert told["auth_time"] == own_party.claims(first["id_token"])["auth_time"]
    access = own_party.claims(tokens["access_token"])
    assert {name: access[name] for name in ("acr", "amr", "auth_time")} == {
        name: told[name] for name in ("acr", "amr", "auth_time")
    }
    seen = own_party.ask("/oauth/introspect", token=tokens["access_token"]).json()
    assert (seen["acr"], seen["amr"]) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    assert "code=" in _asked(own_party, ada, **wish), "nothing more is asked for"


def test_a_pushed_request_asks_for_it_as_well(own_party: Party, ada: Surfer) -> None:
    app = give_authenticator(own_party.world, "acme", "ada")
    pushed = own_party.ask("/oauth/par", **own_party.asked("wiki", acr_values=MULTI_FACTOR))
    client = own_party.applications["wiki"].client_id
    uri = pushed.json()["request_uri"]

    there = ada.get(f"/oauth/authorize?client_id={client}&request_uri={uri}").headers["location"]
    ada.get(there)
    done = ada.submit(CODE, **query_of(there), code=app.code())

    assert "code=" in ada.get(done.headers["location"]).headers["location"]


@pytest.mark.parametrize(
    "wish", [{"acr_values": MULTI_FACTOR}, {"claims": _essential(MULTI_FACTOR)}]
)
def test_who_has_no_second_factor_cannot_be_asked(
    own_party: Party, ada: Surfer, wish: dict[str, str]
) -> None:
    answer = query_of(_asked(own_party, ada, **wish))

    assert answer["error"] == "unmet_authentication_requirements"
    assert "state" in answer
    assert "iss" in answer


def test_without_a_page_the_client_is_told_that_there_is_something_to_do(
    own_party: Party, ada: Surfer
) -> None:
    give_authenticator(own_party.world, "acme", "ada")

    answer = query_of(_asked(own_party, ada, acr_values=MULTI_FACTOR, prompt="none"))

    assert answer["error"] == "login_required"


def test_who_signs_in_for_it_is_asked_for_both_and_once(own_party: Party, ada: Surfer) -> None:
    app = give_authenticator(own_party.world, "acme", "ada")
    there = _asked(own_party, ada, acr_values=MULTI_FACTOR, prompt="login")
    assert there.startswith("/sign-in?")
    ada.get(there)

    asked = ada.submit("/sign-in", **query_of(there), username="ada", password=PASSWORD)
    assert asked.status_code == 200
    carried = {name: hidden(ada.page, name) for name in ("ticket", "return_to", "application")}
    done = ada.submit(
        CODE, **{**carried, "return_to": query_of(there)["return_to"]}, code=app.code()
    )

    assert "code=" in ada.get(done.headers["location"]).headers["location"]


def test_a_class_that_is_reached_anyway_is_named_if_it_has_to_be(
    own_party: Party, ada: Surfer
) -> None:
    enrol(own_party.world, ada)
    token = ada.cookies["iam"]

    def told(**wish: str) -> str:
        tokens = own_party.tokens(token, "wiki", **wish)
        return str(own_party.claims(tokens["id_token"])["acr"])

    assert told(claims=_essential(SINGLE_FACTOR)) == SINGLE_FACTOR
    assert told(claims=_essential(MULTI_FACTOR, SINGLE_FACTOR)) == MULTI_FACTOR
    assert told(acr_values=SINGLE_FACTOR) == MULTI_FACTOR, "a wish is told what is true"
    assert told() == MULTI_FACTOR


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"acr_values": "phr phrh"}, None),
        ({"acr_values": f"{SINGLE_FACTOR} {MULTI_FACTOR}"}, None),
        ({"claims": "{}"}, None),
        ({"claims": '{"id_token": null, "userinfo": {"email": null}}'}, None),
        ({"claims": _claims(None)}, None),
        ({"claims": _claims({"essential": True})}, None),
        ({"claims": _claims({"values": ["phr"]})}, None),
        ({"claims": _essential(SINGLE_FACTOR)}, None),
        ({"claims": _essential("phr", SINGLE_FACTOR)}, None),
        ({"claims": _essential("phr")}, "unmet_authentication_requirements"),
        ({"claims": "not json"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"id_token": []}'}, None),
        ({"claims": '{"id_token": "acr"}'}, "invalid_request"),
        ({"claims": _claims("acr")}, "invalid_request"),
        ({"claims": _claims({"essential": True, "values": "x"})}, "invalid_request"),
        ({"claims": _claims({"essential": True, "values": [1]})}, "invalid_request"),
        ({"claims": _claims({"values": ["x"] * 100})}, "invalid_request"),
        ({"claims": "[" * 5000}, "invalid_request"),
    ],
)
def test_what_is_asked_of_somebody_with_a_password_alone(
    party: Party, wish: dict[str, str], error: str | None
) -> None:
    answer = party.authorize(party.browser().token, **wish)

    assert query_of(answer.headers["location"]).get("error") == error


def test_a_code_that_needs_it_is_worth_nothing_once_the_factor_is_gone(
    own_party: Party, ada: Surfer
) -> None:
    world = own_party.world
    app = enrol(world, ada)
    code = own_party.code(ada.cookies["iam"], "wiki", claims=_essential(MULTI_FACTOR))
    ada.get("/account/second-factor")
    gone = ada.submit("/account/second-factor", do="remove", password=PASSWORD, code=app.next())
    assert gone.status_code == 303

    assert own_party.redeem(code).json()["error"] == "invalid_grant"


def test_after_it_was_removed_the_client_is_refused(own_party: Party, ada: Surfer) -> None:
    world = own_party.world
    enrol(world, ada)
    world.engine.database.write(
        lambda c: remove_by_administrator(
            c, "acme", "ada", actor=SYSTEM, now=world.clock(), random=world.engine.random
        )
    )
    ada.sign_in("acme", "ada")

    answer = query_of(_asked(own_party, ada, acr_values=MULTI_FACTOR))

    assert answer["error"] == "unmet_authentication_requirements"


def test_the_metadata_names_both_classes(party: Party) -> None:
    told = party.world.get("/.well-known/openid-configuration").json()

    assert told["acr_values_supported"] == [SINGLE_FACTOR, MULTI_FACTOR]


def test_a_code_is_asked_for_in_the_browser_that_is_signed_in(
    own_party: Party, ada: Surfer
) -> None:
    app: Authenticator = give_authenticator(own_party.world, "acme", "ada")
    there = _asked(own_party, ada, acr_values=MULTI_FACTOR)
    ada.get(there)
    fields = {**query_of(there), "code": app.code()}

    for forged, headers in (
        ({**fields, "csrf": "guess"}, {}),
        ({**fields, "csrf": ada.csrf}, {"origin": "https://evil.example"}),
    ):
        assert ada.post(CODE, forged, **headers).status_code == 403
    ada.get(there)
    evil = ada.submit(CODE, **{**fields, "return_to": "https://evil.example/"})
    assert evil.headers["location"] == "/account/sessions"
