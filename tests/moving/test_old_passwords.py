"""People sign in with the password they had, whatever was kept of it, and it is kept well from then on."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from iam.directory.users import read_password_hash
from iam.kernel.secrets import system_random
from iam.signin import moved_passwords
from iam.signin.moved_passwords import recognise
from iam.signin.passwords import Passwords
from tests.moving.conftest import PASSWORD, SALT, Pair, in_file, installation, run_import, user
from tests.support import old_casdoor as casdoor
from tests.support.world import World

OWN = "u5er salt, $"
B64 = "c29tZSBzYWx0IG9mIDE2IQ=="
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"password": PASSWORD, "type_": "plain"},
    "sha256 with the organization's salt": {
        "password": casdoor.salted("sha256", PASSWORD, SALT),
        "type_": "salt",
    },
    "sha256 with the user's salt": {
        "password": casdoor.salted("sha256", PASSWORD, OWN),
        "type_": "salt",
        "salt": OWN,
    },
    "sha256 without a salt": {"password": casdoor.unsalted("sha256", PASSWORD), "type_": "salt"},
    "sha512": {
        "password": casdoor.salted("sha512", PASSWORD, OWN),
        "type_": "sha512-salt",
        "salt": OWN,
    },
    "md5": {"password": casdoor.salted("md5", PASSWORD, OWN), "type_": "md5-salt", "salt": OWN},
    "md5 that was sha256": {
        "password": casdoor.salted("sha256", PASSWORD, SALT),
        "type_": "md5-salt",
        "salt": OWN,
    },
    "bcrypt": {"password": casdoor.bcrypted(PASSWORD), "type_": "bcrypt", "salt": OWN},
    "pbkdf2": {
        "password": casdoor.pbkdf2ed(PASSWORD, b"some salt of 16!"),
        "type_": "pbkdf2-salt",
        "salt": B64,
    },
    "pbkdf2 with a salt that is no base64": {
        # As Go reads it: what comes before the first group that is wrong.
        "password": casdoor.pbkdf2ed(PASSWORD, b"\x69\xb7\x1d"),
        "type_": "pbkdf2-salt",
        "salt": "abcd!fgh$jkl%nop",
    },
    "django": {"password": casdoor.djangoed(PASSWORD, "pepper"), "type_": "pbkdf2-django"},
    "argon2id": {"password": casdoor.argon2ided(PASSWORD), "type_": "argon2id", "salt": OWN},
    "argon2id with a pepper": {
        "password": casdoor.argon2ided(PASSWORD, "pepper"),
        "type_": "argon2id",
        "salt": "pepper|m=64|t=1|p=2",
    },
    "argon2id, where the type says otherwise": {
        "password": casdoor.argon2ided(PASSWORD),
        "type_": "salt",
    },
}


def stored(world: World, name: str) -> str | None:
    return world.engine.database.read(lambda c: read_password_hash(c, "acme", name))


def sign_in(world: World, name: str, password: str) -> int:
    body = {"organization": "acme", "username": name, "password": password}
    return world.post("/v1/sign-in", json=body).status_code


def test_everybody_signs_in_with_the_password_they_had_and_has_a_hash_of_ours_then(
    pair: Pair,
) -> None:
    world, rows = pair.world, installation()
    names = {f"user-{number}": kind for number, kind in enumerate(KINDS)}
    rows["user"] = [user(name, **KINDS[kind]) for name, kind in names.items()]
    assert run_import(world, *pair.place(rows)).returncode == 0

    for name, kind in names.items():
        before = stored(world, name)
        assert before is not None, kind
        assert PASSWORD not in before
        assert sign_in(world, name, PASSWORD + "!") == 401, kind
        assert stored(world, name) == before, kind
        assert sign_in(world, name, PASSWORD) == 201, kind
        after = stored(world, name)
        assert after is not None, kind
        assert after.startswith("$argon2id$v=19$m=64,t=1,p=1$"), kind
        assert sign_in(world, name, PASSWORD) == 201, kind
        assert stored(world, name) == after, kind


def test_a_person_can_change_an_old_password(world: World, tmp_path: Path) -> None:
    assert run_import(world, *in_file(tmp_path, installation())).returncode == 0
    token = world.sign_in("acme", "alice", password=PASSWORD)

    changed = world.post(
        "/v1/me/password",
        json={"current_password": PASSWORD, "new_password": "another one 2"},
        headers=world.bearer(token),
    )

    assert changed.status_code == 200, changed.text
    assert sign_in(world, "alice", PASSWORD) == 401
    assert sign_in(world, "alice", "another one 2") == 201


def test_a_password_that_would_be_too_short_here_still_lets_its_owner_in(
    world: World, tmp_path: Path
) -> None:
    rows = installation()
    rows["user"] = [user("tim", "123", "plain"), user("tom", casdoor.bcrypted("123"), "bcrypt")]
    assert run_import(world, *in_file(tmp_path, rows)).returncode == 0

    assert (sign_in(world, "tim", "123"), sign_in(world, "tom", "123")) == (201, 201)


def test_who_is_forbidden_there_does_not_come_in_here(world: World, tmp_path: Path) -> None:
    assert run_import(world, *in_file(tmp_path, installation())).returncode == 0

    assert sign_in(world, "bob", PASSWORD) == 401


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"password": "***", "type_": "salt"}, "masked"),
        ({"password": "x" * 40, "type_": "salt"}, "password_unusable"),
        ({"password": "$2a$31$" + "a" * 53, "type_": "bcrypt"}, "password_unusable"),
        ({"password": "x" * 257, "type_": "plain"}, "password_unusable"),
        ({"password": "whatever", "type_": "rot13"}, "password_unusable"),
        (
            {
                "password": "$argon2id$v=19$m=4194304,t=9,p=1$c2FsdHNhbHRzYWx0$" + "a" * 43,
                "type_": "argon2id",
            },
            "password_unusable",
        ),
        ({"password": "x", "type_": "plain", "ldap": "uuid"}, "ldap"),
    ],
)
def test_a_password_that_cannot_be_compared_with_is_reported_and_matches_nothing(
    world: World, tmp_path: Path, more: dict[str, Any], reason: str
) -> None:
    rows = installation()
    rows["user"] = [user("dora", **more)]

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert f'"{reason}"' in (tmp_path / "report.json").read_text()
    assert sign_in(world, "dora", more["password"]) == 401
    assert stored(world, "dora") is None


def test_a_file_without_hashes_has_its_passwords_as_they_are_typed(
    world: World, tmp_path: Path
) -> None:
    """As Casdoor reads its init_data.json: what has no type is not hashed yet."""
    rows = installation()
    rows["user"] = [user("alice", PASSWORD)]
    arguments = in_file(tmp_path, rows)
    path = Path(arguments[1])
    path.write_text(
        path.read_text().replace(
            '"passwordType": "salt", "passwordSalt": "", "displayName"', '"displayName"'
        )
    )

    assert run_import(world, *arguments).returncode == 0

    assert sign_in(world, "alice", PASSWORD) == 201


# ----------------------------------------------------------------------------------------------------
# The comparison itself.

SLOW = Passwords(memory_kib=8192, passes=2, random=system_random)


def test_an_old_hash_that_is_quickly_compared_with_does_not_tell_that_there_is_such_a_user() -> (
    None
):
    found = recognise("salt", casdoor.salted("sha256", PASSWORD, SALT), (SALT, ""))
    assert found is not None
    old = found.to_text()

    def work(hash_: str | None) -> float:
        """Seconds of this thread on a core: who else is busy does not count."""
        taken = []
        for _ in range(5):
            start = time.thread_time()
            assert not SLOW.matches("wrong", hash_)
            taken.append(time.thread_time() - start)
        return min(taken)

    assert work(old) > work(None) / 4


@settings(max_examples=100)
@given(
    some.text(some.characters(exclude_categories=()), max_size=300),
    some.sampled_from(sorted(KINDS)),
)
def test_any_text_can_be_tried_against_any_old_hash(typed: str, kind: str) -> None:
    made = KINDS[kind]
    found = recognise(made["type_"], made["password"], (SALT, made.get("salt", "")))

    if found is not None:
        matched = moved_passwords.matches(typed.encode("utf-8", "surrogatepass"), found.to_text())
        assert matched is (typed == PASSWORD)


@settings(max_examples=200)
@given(some.text(some.characters(exclude_categories=()), max_size=80))
def test_no_text_in_the_database_breaks_the_comparison(stored_text: str) -> None:
    for text in (stored_text, f"moved1${stored_text}", f"moved1$bcrypt${stored_text}"):
        assert moved_passwords.matches(b"anything", text) is False


def test_of_a_bcrypt_hash_no_more_than_72_bytes_count_as_there() -> None:
    long = "p" * 80
    found = recognise("bcrypt", casdoor.bcrypted(long), ())
    assert found is not None

    assert moved_passwords.matches(long.encode(), found.to_text())
    assert not moved_passwords.matches(b"p" * 71, found.to_text())
