"""A second factor through the pages: added, removed, and what asks for both."""

import re
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection

from iam.directory.applications import Application
from iam.directory.users import find_user
from iam.keys.cipher import Cipher
from iam.signin.factors import add_factor, encrypt_again, find_factor, remove_factor
from tests.support.authenticator import (
    CODE_PATH,
    PATH,
    Authenticator,
    enrol,
    events_of,
    give_authenticator,
    hidden,
    show_code,
)
from tests.support.people import enter, populate
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD, World


@pytest.fixture
def app(world: World, applications: dict[str, Application]) -> Authenticator:
    """Bob's, who has had it for long."""
    return give_authenticator(world, "acme", "bob")


def test_an_app_is_added_with_the_password_and_a_code_of_it(both_worlds: World) -> None:
    world = both_worlds
    populate(world)
    bob = Surfer(world)
    bob.sign_in("acme", "bob")
    before = bob.cookies["iam"]
    child = enter(world, bob.session_id, "wiki")
    alone = bob.get(PATH)
    assert "Add an authenticator app" in alone.text

    app = enrol(world, bob)

    assert len(set(app.recovery)) == 10
    assert all(
        re.fullmatch(r"([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}", c) for c in app.recovery
    )
    assert bob.cookies["iam"] != before, "another secret for a session that is worth more"
    assert bob.cookies["iam"].partition(".")[0] == before.partition(".")[0]
    assert Surfer(world).send("GET", PATH, headers={"cookie": f"iam={before}"}).status_code == 303
    mine = world.get("/v1/session", headers=world.bearer(bob.cookies["iam"])).json()
    assert (mine["amr"], mine["acr"]) == (["pwd", "otp", "mfa"], "urn:hanzo:iam:acr:2")
    assert enter(world, bob.session_id, "wiki") == child, "what was entered goes on"
    listed = world.get(f"/v1/sessions/{child}", headers=world.admin).json()
    assert listed["acr"] == "urn:hanzo:iam:acr:2", "and is told of it when it is entered again"
    added = events_of(world, type="factor.added")
    assert [(one["actor"], one["session"]) for one in added] == [("user:acme/bob", bob.session_id)]
    page = bob.get(PATH).text
    assert "is set up" in page
    assert ">10<" in page
    assert app.secret not in page.replace(" ", "")


def test_nothing_of_a_secret_is_stored_in_the_clear(world: World, bob: Surfer) -> None:
    app = enrol(world, bob)
    with world.engine.database.engine.connect() as connection:
        tables = ("second_factor", "recovery_code", "one_time_code", "event")
        stored = repr([connection.exec_driver_sql(f"SELECT * FROM {one}").all() for one in tables])

    assert app.secret not in stored
    for code in app.recovery:
        assert code not in stored
        assert code.replace("-", "") not in stored


@pytest.mark.parametrize(
    ("fields", "status"), [({}, 422), ({"password": "guess"}, 403), ({"password": ""}, 422)]
)
def test_nobody_adds_one_without_the_password(
    bob: Surfer, fields: dict[str, str], status: int
) -> None:
    bob.get(PATH)

    answer = bob.submit(PATH, do="begin", **fields)

    assert answer.status_code == status
    assert 'aria-invalid="true"' in answer.text
    assert "otpauth" not in answer.text
    assert 'name="sealed"' not in answer.text


def test_a_wrong_code_leaves_the_picture_and_adds_nothing(world: World, bob: Surfer) -> None:
    bob.get(PATH)
    begun = bob.submit(PATH, do="begin", password=PASSWORD)
    sealed = hidden(begun.text, "sealed")

    wrong = bob.submit(PATH, do="confirm", sealed=sealed, code="000000")

    assert wrong.status_code == 403
    assert hidden(wrong.text, "sealed") == sealed
    assert "<svg" in wrong.text
    assert "Add an authenticator app" in bob.get(PATH).text
    assert events_of(world, type="factor.added") == []


def test_an_enrolment_is_of_one_session_and_of_ten_minutes(
    world: World, bob: Surfer, alice: Surfer
) -> None:
    bob.get(PATH)
    begun = bob.submit(PATH, do="begin", password=PASSWORD)
    sealed = hidden(begun.text, "sealed")
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", begun.text)
    assert secret is not None
    app = Authenticator(world, secret[1].replace(" ", ""))

    def confirm(surfer: Surfer, carried: str) -> httpx2.Response:
        surfer.get(PATH)
        return surfer.submit(PATH, do="confirm", sealed=carried, code=app.code())

    answers = [
        confirm(alice, sealed),
        confirm(bob, sealed[:-4] + "AAAA"),
        confirm(bob, "\x00v1.x"),
        confirm(bob, sealed.replace("v1.", "v9.")),
    ]
    world.clock.move(600)
    late = confirm(bob, sealed)

    assert [one.status_code for one in (*answers, late)] == [422] * 5
    assert "enrolment_invalid" in late.text
    assert events_of(world, type="factor.added") == []


def test_the_others_end_when_one_wants_them_to(world: World, bob: Surfer) -> None:
    other = world.sign_in("acme", "bob")

    enrol(world, bob, end_others="1")

    told = world.get("/v1/session", headers=world.bearer(other)).json()
    assert told["end_reason"] == "credentials_changed"
    assert bob.get(PATH).status_code == 200


def test_the_password_and_a_code_remove_it_and_the_others_are_over(both_worlds: World) -> None:
    world = both_worlds
    populate(world)
    bob, other = Surfer(world), Surfer(world)
    bob.sign_in("acme", "bob")
    app = enrol(world, bob)
    other.sign_in("acme", "bob")
    show_code(other, code=app.next())
    before = bob.cookies["iam"]

    bob.get(PATH)
    for fields, status in (
        ({"password": PASSWORD}, 422),
        ({"password": "guess", "code": app.code()}, 403),
        ({"password": PASSWORD, "code": "000000"}, 403),
    ):
        assert bob.submit(PATH, do="remove", **fields).status_code == status
    assert bob.cookies["iam"] == before
    removed = bob.submit(PATH, do="remove", password=PASSWORD, code=app.next())

    assert removed.headers["location"] == f"{PATH}?notice=removed"
    assert bob.cookies["iam"] != before
    assert "Add an authenticator app" in bob.get(PATH).text
    mine = world.get("/v1/session", headers=world.bearer(bob.cookies["iam"])).json()
    assert (mine["amr"], mine["acr"]) == (["pwd"], "urn:hanzo:iam:acr:1")
    told = world.get("/v1/session", headers=world.bearer(other.cookies["iam"])).json()
    assert told["end_reason"] == "credentials_changed"
    assert "second factor was changed" in other.get("/sign-in").text
    removals = events_of(world, type="factor.removed")
    assert [one["actor"] for one in removals] == ["user:acme/bob"]
    assert Surfer(world).sign_in("acme", "bob").status_code == 303, "the password alone does again"


def test_others_are_kept_by_who_wants_it(world: World, bob: Surfer) -> None:
    app, other = enrol(world, bob), Surfer(world)
    other.sign_in("acme", "bob")
    show_code(other, code=app.next())
    bob.get(PATH)

    bob.submit(PATH, do="remove", password=PASSWORD, code=app.next(), keep="1")

    assert other.get(PATH).status_code == 200


def test_new_recovery_codes_take_the_place_of_the_old(world: World, bob: Surfer) -> None:
    app = enrol(world, bob)
    bob.get(PATH)

    page = bob.submit(PATH, do="renew", password=PASSWORD, code=app.recovery[0])

    new = re.findall(r"<li><code>([0-9a-z-]+)</code>", page.text)
    assert len(set(new) - set(app.recovery)) == 10
    assert len(events_of(world, type="factor.recovery_renewed")) == 1
    surfer = Surfer(world)
    surfer.sign_in("acme", "bob")
    assert show_code(surfer, recovery=app.recovery[1]).status_code == 403
    assert show_code(surfer, recovery=new[0]).status_code == 303


def test_there_is_one_at_a_time(world: World, bob: Surfer) -> None:
    bob.get(PATH)
    begun = bob.submit(PATH, do="begin", password=PASSWORD)
    sealed = hidden(begun.text, "sealed")
    first = re.search(r"<code>([A-Z2-7 ]+)</code>", begun.text)
    assert first is not None
    app = enrol(world, bob)

    late = Authenticator(world, first[1].replace(" ", ""))
    bob.get(PATH)
    second = bob.submit(PATH, do="confirm", sealed=sealed, code=late.code())
    bob.get(PATH)
    third = bob.submit(PATH, do="begin", password=PASSWORD, code=app.next())

    for answer in (second, third):
        assert answer.headers["location"] == f"{PATH}?notice=exists"
    assert "There is a second factor already" in bob.get(f"{PATH}?notice=exists").text


def test_a_new_password_takes_both(world: World, bob: Surfer) -> None:
    app = enrol(world, bob)
    page = bob.get("/account/password")
    assert 'name="code"' in page.text
    fields = {"current": PASSWORD, "new": "another one 1", "again": "another one 1"}

    assert bob.submit("/account/password", **fields).status_code == 422
    assert bob.submit("/account/password", **fields, code="000000").status_code == 403
    assert bob.submit("/account/password", **fields, code=app.next()).status_code == 303


def test_a_locked_session_is_unlocked_with_both(world: World, bob: Surfer) -> None:
    app = enrol(world, bob)
    world.post(f"/v1/sessions/{bob.session_id}/lock", headers=world.admin)
    page = bob.get("/unlock")
    assert 'name="code"' in page.text

    assert bob.submit("/unlock", password=PASSWORD).status_code == 422
    assert bob.submit("/unlock", password=PASSWORD, code="000000").status_code == 403
    assert bob.submit("/unlock", password=PASSWORD, code=app.next()).status_code == 303
    assert bob.get(PATH).status_code == 200


def test_only_what_the_page_offers_can_be_done(bob: Surfer) -> None:
    for do in ("", "explode", "\x00"):
        bob.get(PATH)
        assert bob.submit(PATH, do=do).status_code == 422
    assert bob.post(PATH, {"do": "begin", "password": PASSWORD}).status_code == 403
    bob.get(PATH)
    assert bob.submit(PATH, do="remove", password=PASSWORD).headers["location"].endswith("gone")


def test_a_browser_that_is_not_signed_in_is_sent_to_sign_in(surfer: Surfer) -> None:
    for path in (PATH, CODE_PATH):
        assert surfer.get(path).headers["location"].startswith("/sign-in")
    assert surfer.post(CODE_PATH, {"code": "000000"}).headers["location"].startswith("/sign-in")


def test_a_new_encryption_key_brings_no_app_back_that_another_took_the_place_of(
    both_worlds: World,
) -> None:
    world = both_worlds
    populate(world)
    give_authenticator(world, "acme", "bob")
    former, newest = world.engine.cipher, b"n" * 32
    placed: list[str] = []

    class Meanwhile(Cipher):
        def decrypt(self, text: str, about: str) -> str:
            # Between the look at the row and its change, as on another node.
            user = find_user(self.connection, "acme", "bob")
            remove_factor(self.connection, user.id)
            now, random = world.clock(), world.engine.random
            add_factor(self.connection, former, user.id, "ANOTHER", step=0, now=now, random=random)
            return super().decrypt(text, about)

        connection: Any = None

    def work(connection: Connection) -> None:
        cipher = Meanwhile((newest, *former.keys))
        Meanwhile.connection = connection
        encrypt_again(connection, cipher, world.engine.random)
        found = find_factor(connection, find_user(connection, "acme", "bob").id)
        assert found is not None
        placed.append(former.decrypt(found.secret, f"second factor of {found.user_id}"))

    world.engine.database.write(work)

    assert placed == ["ANOTHER"]
