"""A second factor through the pages: asked for at sign-in."""

import pytest

from iam.directory.applications import Application
from tests.support.authenticator import (
    CODE_PATH,
    Authenticator,
    events_of,
    give_authenticator,
    hidden,
    show_code,
)
from tests.support.surfer import Surfer
from tests.support.world import World


@pytest.fixture
def app(world: World, applications: dict[str, Application]) -> Authenticator:
    """Bob's, who has had it for long."""
    return give_authenticator(world, "acme", "bob")


def test_a_code_is_asked_for_after_the_password_and_only_then(
    world: World, surfer: Surfer, app: Authenticator
) -> None:
    wrong = surfer.sign_in("acme", "bob", password="guess")
    assert wrong.status_code == 401
    assert "one-time-code" not in wrong.text

    asked = surfer.sign_in("acme", "bob", return_to="/account/activity")

    assert asked.status_code == 200
    assert 'autocomplete="one-time-code"' in asked.text
    assert "iam" not in surfer.cookies, "no session before both"
    assert (
        world.get("/v1/sessions?user=bob&organization=acme", headers=world.admin).json()["items"]
        == []
    )

    done = show_code(surfer, code=app.code())

    assert done.status_code == 303
    assert done.headers["location"] == "/account/activity"
    mine = world.get("/v1/session", headers=world.bearer(surfer.cookies["iam"])).json()
    assert (mine["amr"], mine["acr"]) == (["pwd", "otp", "mfa"], "urn:hanzo:iam:acr:2")
    succeeded = events_of(world, type="sign_in.succeeded")
    assert [one["data"]["amr"] for one in succeeded] == [["pwd", "otp", "mfa"]]


def test_a_wrong_code_may_be_followed_by_a_right_one(surfer: Surfer, app: Authenticator) -> None:
    surfer.sign_in("acme", "bob")
    for code, status in (("", 422), ("000000", 403), ("not a code", 403), ("x" * 5000, 403)):
        answer = show_code(surfer, code=code)
        assert answer.status_code == status
        assert 'name="ticket"' in answer.text

    assert show_code(surfer, code=app.code()).status_code == 303


def test_a_code_works_once_also_for_who_has_watched(
    world: World, surfer: Surfer, app: Authenticator
) -> None:
    code = app.code()
    surfer.sign_in("acme", "bob")
    assert show_code(surfer, code=code).status_code == 303
    thief = Surfer(world)
    thief.sign_in("acme", "bob")

    assert show_code(thief, code=code).status_code == 403
    assert show_code(thief, code=app.code(-1)).status_code == 403, "nor does an older one"
    assert show_code(thief, code=app.next()).status_code == 303


def test_wrong_codes_are_throttled_with_wrong_passwords(
    world: World, surfer: Surfer, app: Authenticator
) -> None:
    for _ in range(3):
        surfer.sign_in("acme", "bob", password="guess")
    surfer.sign_in("acme", "bob")
    assert show_code(surfer, code="000000").status_code == 403
    # The right password by itself has forgotten nothing.
    surfer.sign_in("acme", "bob")
    assert show_code(surfer, code="000001").status_code == 403

    blocked = show_code(surfer, code=app.code())

    assert blocked.status_code == 429
    assert int(blocked.headers["retry-after"]) == 30
    assert surfer.sign_in("acme", "bob").status_code == 429
    reasons = [one["reason"] for one in events_of(world, type="sign_in.failed")]
    assert sorted(map(str, reasons)) == [
        "blocked",
        "code",
        "credentials",
        "credentials",
        "credentials",
    ]
    world.clock.move(31)
    surfer.sign_in("acme", "bob")
    assert show_code(surfer, code=app.code()).status_code == 303
    assert "knows your password entered a wrong code" in surfer.get("/account/activity").text


def test_a_recovery_code_stands_in_once(world: World, surfer: Surfer, app: Authenticator) -> None:
    spoken = app.recovery[3].upper().replace("-", " ")
    surfer.sign_in("acme", "bob")

    assert show_code(surfer, recovery=spoken).status_code == 303

    used = events_of(world, type="factor.recovery_used")
    assert [(one["actor"], one["data"]) for one in used] == [("user:acme/bob", {"left": 9})]
    again = Surfer(world)
    again.sign_in("acme", "bob")
    assert show_code(again, recovery=app.recovery[3]).status_code == 403
    assert show_code(again, code=app.recovery[4]).status_code == 303, "in either field"


def test_a_ticket_is_of_one_browser_of_one_use_and_of_ten_minutes(
    world: World, surfer: Surfer, app: Authenticator
) -> None:
    surfer.sign_in("acme", "bob")
    ticket = hidden(surfer.page, "ticket")
    thief = Surfer(world)
    thief.get("/sign-in/acme")

    stolen = thief.submit(CODE_PATH, ticket=ticket, code=app.code())
    used = surfer.submit(CODE_PATH, ticket=ticket, code=app.code())
    surfer.sign_in("acme", "bob")
    world.clock.move(599)
    still = show_code(surfer, code="000000")
    assert still.status_code == 403
    world.clock.move(1)
    late = show_code(surfer, code=app.code())

    for answer in (stolen, used, late):
        assert answer.status_code == 422
        assert "choice_expired" in answer.text
    assert "iam" not in surfer.cookies


def test_a_forged_form_starts_nothing(surfer: Surfer, app: Authenticator) -> None:
    surfer.sign_in("acme", "bob")
    fields = {"ticket": hidden(surfer.page, "ticket"), "code": app.code(), "csrf": surfer.csrf}

    for sent, headers in (
        ({**fields, "csrf": "guess"}, {}),
        (fields, {"origin": "https://evil.example"}),
        (fields, {"sec-fetch-site": "cross-site"}),
    ):
        assert surfer.post(CODE_PATH, sent, **headers).status_code == 403

    assert show_code(surfer, code=app.code()).status_code == 303, "and has used nothing up"


@pytest.mark.parametrize("change", ["password", "disabled", "removed", "another"])
def test_what_changes_meanwhile_counts(
    world: World, surfer: Surfer, app: Authenticator, change: str
) -> None:
    surfer.sign_in("acme", "bob")
    here, admin = "/v1/users/acme/bob", world.admin
    if change == "password":
        world.patch(here, json={"password": "another one 1"}, headers=admin)
    elif change == "disabled":
        world.patch(here, json={"enabled": False}, headers=admin)
    else:
        assert world.delete(f"{here}/second-factor", headers=admin).status_code == 204
        if change == "another":
            give_authenticator(world, "acme", "bob")

    answer = show_code(surfer, code=app.code())

    assert "iam" not in surfer.cookies
    assert answer.status_code == (403 if change == "another" else 303)
    assert answer.headers.get("location", "/sign-in").startswith("/sign-in")


def test_signing_in_again_asks_for_both_and_raises_the_session_that_is_there(
    world: World, surfer: Surfer, app: Authenticator
) -> None:
    surfer.sign_in("acme", "bob")
    show_code(surfer, code=app.code())
    first = surfer.cookies["iam"]

    asked = surfer.sign_in("acme", "bob")
    assert asked.status_code == 200
    assert surfer.cookies["iam"] == first
    show_code(surfer, code=app.next())

    assert surfer.cookies["iam"] != first
    assert surfer.session_id == first.partition(".")[0]


def test_who_has_no_room_chooses_after_the_code(
    world: World, surfer: Surfer, app: Authenticator
) -> None:
    policy = {"maximum_sessions": 1, "at_limit": "ask"}
    world.patch(
        "/v1/applications/built-in/app-built-in", json={"policy": policy}, headers=world.admin
    )
    assert surfer.sign_in("acme", "bob").status_code == 200
    show_code(surfer, code=app.code())
    second = Surfer(world)
    second.sign_in("acme", "bob")

    choose = show_code(second, code=app.next())

    assert "You are signed in elsewhere" in choose.text
    fields = {surfer.session_id: "1", "ticket": hidden(second.page, "ticket")}
    done = second.submit("/choose-sessions", **fields)
    assert done.status_code == 303
    assert "iam" in second.cookies


def test_a_return_address_elsewhere_leads_home(surfer: Surfer, app: Authenticator) -> None:
    surfer.sign_in("acme", "bob", return_to="https://evil.example/")

    answer = show_code(surfer, code=app.code(), return_to="//evil.example")

    assert answer.headers["location"] == "/account/sessions"
