"""A second factor through the API: signing in, unlocking, and its removal by an administrator."""

import httpx2
import pytest

from iam.directory.users import find_user
from iam.kernel.secrets import system_random
from iam.keys.cipher import open_cipher
from iam.server.build import prepare_database
from iam.signin.factors import Shown, find_factor, use_code
from tests.support.authenticator import Authenticator, give_authenticator
from tests.support.people import enter, populate
from tests.support.race import race
from tests.support.world import PASSWORD, World


@pytest.fixture
def app(both_worlds: World) -> Authenticator:
    """Bob's, of acme, on each kind of database."""
    populate(both_worlds)
    return give_authenticator(both_worlds, "acme", "bob")


def _sign_in(world: World, password: str = PASSWORD, **members: object) -> httpx2.Response:
    body = {"organization": "acme", "username": "bob", "password": password, **members}
    return world.post("/v1/sign-in", json=body)


def _code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code"))


def test_the_password_alone_is_told_that_a_code_is_needed_and_a_wrong_one_nothing(
    app: Authenticator,
) -> None:
    world = app.world

    assert _code(_sign_in(world)) == (403, "factor_required")
    assert _code(_sign_in(world, code="")) == (403, "factor_required")
    assert _code(_sign_in(world, "guess")) == (401, "credentials_invalid")
    assert _code(_sign_in(world, "guess", code=app.code())) == (401, "credentials_invalid")
    assert _code(_sign_in(world, code="000000")) == (403, "code_wrong")
    sessions = world.get("/v1/sessions?organization=acme&user=bob", headers=world.admin).json()
    assert sessions["items"] == []

    answer = _sign_in(world, code=app.code(), application="wiki")

    assert answer.status_code == 201
    assert answer.json()["session"]["amr"] == ["pwd", "otp", "mfa"]
    assert answer.json()["session"]["acr"] == "urn:hanzo:iam:acr:2"
    assert _code(_sign_in(world, code=app.code())) == (403, "code_wrong"), "each code once"


def test_who_has_no_second_factor_needs_no_code(app: Authenticator) -> None:
    body = {"organization": "acme", "username": "alice", "password": PASSWORD, "code": "000000"}

    answer = app.world.post("/v1/sign-in", json=body)

    assert answer.status_code == 201
    assert answer.json()["session"]["amr"] == ["pwd"]


def test_of_many_who_send_one_code_at_once_one_gets_in(app: Authenticator) -> None:
    code = app.code()

    answers = race(*[lambda: _sign_in(app.world, code=code).status_code] * 6)

    assert sorted(answers)[0] == 201
    assert 201 not in sorted(answers)[1:]


def test_guesses_sent_all_at_once_are_counted_one_by_one(app: Authenticator) -> None:
    world = app.world

    answers = race(*[lambda n=n: _sign_in(world, code=f"{n:06}").status_code for n in range(12)])

    assert answers.count(403) <= 5, "no more are looked at than the throttle allows"
    assert set(answers) == {403, 429}
    assert _sign_in(world, code=app.code()).status_code == 429


def test_a_hash_is_renewed_also_for_who_needs_a_code(app: Authenticator) -> None:
    world = app.world
    stronger = type(world.engine.passwords)(memory_kib=128, passes=1, random=world.engine.random)
    hashed = stronger.hash(PASSWORD)
    with world.engine.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE user_account SET password_hash = '{hashed}'")

    def stored() -> str:
        with world.engine.database.engine.connect() as connection:
            query = "SELECT password_hash FROM user_account WHERE name = 'bob'"
            return str(connection.exec_driver_sql(query).scalar_one())

    assert _code(_sign_in(world)) == (403, "factor_required")
    renewed = stored()
    assert renewed != hashed
    assert "m=64," in renewed
    assert _sign_in(world, code=app.code()).status_code == 201
    assert stored() == renewed


def test_a_session_is_unlocked_and_a_password_changed_with_both(app: Authenticator) -> None:
    world = app.world
    token = _sign_in(world, code=app.code()).json()["token"]
    own = world.bearer(token)
    change = {"current_password": PASSWORD, "new_password": "another one 1"}
    assert _code(world.post("/v1/me/password", json=change, headers=own)) == (
        403,
        "factor_required",
    )
    wrong = {**change, "code": "000000"}
    assert _code(world.post("/v1/me/password", json=wrong, headers=own)) == (403, "code_wrong")
    right = {**change, "code": app.next()}
    changed = world.post("/v1/me/password", json=right, headers=own)
    assert changed.status_code == 200
    own = world.bearer(changed.json()["token"])
    session = changed.json()["session"]["id"]
    world.post(f"/v1/sessions/{session}/lock", headers=world.admin)
    unlock = {"password": "another one 1"}

    assert _code(world.post("/v1/session/unlock", json=unlock, headers=own)) == (
        403,
        "factor_required",
    )
    unlocked = world.post("/v1/session/unlock", json={**unlock, "code": app.next()}, headers=own)

    assert unlocked.status_code == 200
    assert unlocked.json()["session"]["acr"] == "urn:hanzo:iam:acr:2"


def test_a_session_that_was_there_before_is_unlocked_with_both_and_raised_by_it(
    both_worlds: World,
) -> None:
    world = both_worlds
    populate(world)
    token = world.sign_in("acme", "bob")
    app = give_authenticator(world, "acme", "bob")
    world.post(f"/v1/sessions/{token.partition('.')[0]}/lock", headers=world.admin)

    body = {"password": PASSWORD, "code": app.code()}
    unlocked = world.post("/v1/session/unlock", json=body, headers=world.bearer(token))

    assert unlocked.json()["session"]["amr"] == ["pwd", "otp", "mfa"]


def test_an_administrator_removes_it_and_all_sessions_are_over(app: Authenticator) -> None:
    world, here = app.world, "/v1/users/acme/bob"
    alice = world.bearer(world.sign_in("acme", "alice"))
    token = _sign_in(world, code=app.code()).json()["token"]
    child = enter(world, token.partition(".")[0], "wiki")
    assert world.get(here, headers=alice).json()["second_factor"] is True
    listed = world.get("/v1/users?organization=acme", headers=alice).json()["items"]
    assert {one["name"]: one["second_factor"] for one in listed} == {"alice": False, "bob": True}

    removed = world.delete(f"{here}/second-factor", headers=alice)

    assert removed.status_code == 204
    told = world.get("/v1/session", headers=world.bearer(token)).json()
    assert told["end_reason"] == "credentials_changed"
    ended = world.get(f"/v1/sessions/{child}", headers=alice).json()
    assert ended["end_reason"] in ("credentials_changed", "parent_ended")
    assert world.get(here, headers=alice).json()["second_factor"] is False
    assert _sign_in(world).status_code == 201
    events = world.get("/v1/events?type=factor.removed", headers=alice).json()["items"]
    assert [(one["actor"], one["user"]) for one in events] == [("user:acme/alice", "bob")]
    assert _code(world.delete(f"{here}/second-factor", headers=alice)) == (404, "factor_not_found")


def test_a_password_set_by_an_administrator_does_not_get_around_it(app: Authenticator) -> None:
    world = app.world
    world.patch("/v1/users/acme/bob", json={"password": "another one 1"}, headers=world.admin)

    assert _code(_sign_in(world, "another one 1")) == (403, "factor_required")


def test_who_gets_a_name_after_somebody_gets_no_factor_with_it(app: Authenticator) -> None:
    world = app.world
    world.delete("/v1/users/acme/bob", headers=world.admin)
    world.make_user("acme", "bob")

    assert _sign_in(world).status_code == 201
    with world.engine.database.engine.connect() as connection:
        for table in ("second_factor", "recovery_code"):
            count = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            assert count == 0


def test_the_secrets_are_encrypted_anew_under_a_new_key(app: Authenticator) -> None:
    world, new = app.world, "11" * 32
    settings = world.engine.settings

    def stored() -> str:
        with world.engine.database.engine.connect() as connection:
            query = "SELECT secret FROM second_factor"
            return str(connection.exec_driver_sql(query).scalar_one())

    before = stored()
    both = settings.model_copy(update={"encryption_key": f"{new},{settings.encryption_key}"})
    prepare_database(both, world.clock, system_random)
    assert stored() != before

    alone = open_cipher(settings.model_copy(update={"encryption_key": new}))
    user = world.engine.database.read(lambda c: find_user(c, "acme", "bob"))
    factor = world.engine.database.read(lambda c: find_factor(c, user.id))
    assert factor is not None
    shown = world.engine.database.write(
        lambda c: use_code(c, alone, factor, app.code(), world.clock())
    )
    assert shown is Shown.APP
