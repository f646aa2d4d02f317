"""Passwords: what is stored, what matches, and that nothing typed by anybody breaks it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from iam.kernel.secrets import system_random
from iam.signin.passwords import PasswordInvalid, Passwords

PASSWORDS = Passwords(memory_kib=8, passes=1, random=system_random)


def test_a_password_matches_its_hash_and_no_other_does() -> None:
    stored = PASSWORDS.hash("open sesame 1")

    assert PASSWORDS.matches("open sesame 1", stored)
    assert not PASSWORDS.matches("open sesame 2", stored)
    assert not PASSWORDS.matches("", stored)


def test_a_hash_is_argon2id_with_its_parameters_and_a_salt_of_its_own() -> None:
    first, second = PASSWORDS.hash("open sesame 1"), PASSWORDS.hash("open sesame 1")

    assert first.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert first != second
    assert "sesame" not in first


@pytest.mark.parametrize("password", ["", "1234567", "x" * 257])
def test_too_short_and_too_long_passwords_cannot_be_set(password: str) -> None:
    with pytest.raises(PasswordInvalid):
        PASSWORDS.hash(password)


@pytest.mark.parametrize(
    "password", ["12345678", "x" * 256, "pässwörd🔑", "a\0b\0c\0d\0", "\ud800" * 8]
)
def test_any_other_text_can_be_a_password(password: str) -> None:
    assert PASSWORDS.matches(password, PASSWORDS.hash(password))


def test_what_follows_the_longest_password_still_counts() -> None:
    stored = PASSWORDS.hash("x" * 256)

    assert not PASSWORDS.matches("x" * 257, stored)
    assert not PASSWORDS.matches("x" * 100_000, stored)


@settings(max_examples=50)
@given(some.text(some.characters(exclude_categories=())))
def test_any_text_is_compared(password: str) -> None:
    assert not PASSWORDS.matches(password, PASSWORDS.hash("open sesame 1"))


@pytest.mark.parametrize("stored", [None, "", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$AA$AA"])
def test_with_nothing_to_compare_nothing_matches(stored: str | None) -> None:
    assert not PASSWORDS.matches("nobody has this password", stored)


def test_a_hash_made_with_other_parameters_is_outdated() -> None:
    stronger = Passwords(memory_kib=16, passes=1, random=system_random)
    stored = PASSWORDS.hash("open sesame 1")

    assert stronger.outdated(stored)
    assert stronger.matches("open sesame 1", stored)
    assert not PASSWORDS.outdated(stored)
