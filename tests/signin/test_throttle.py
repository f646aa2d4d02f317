"""Guessing is slow, on all nodes alike, and tells nothing; who knows the password gets in again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from iam.directory.applications import create_application
from iam.directory.organizations import create_organization
from iam.directory.users import UserChange, create_user, read_password_hash, update_user
from iam.kernel.errors import Throttled
from iam.kernel.events import Origin
from iam.sessions.lifecycle import Started
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION, EndReason
from iam.signin import throttle
from iam.signin.arrival import Arrival
from iam.signin.password_sign_in import (
    CredentialsInvalid,
    PasswordAttempt,
    sign_in_with_password,
)
from iam.signin.passwords import Passwords
from tests.support.heart import ADMIN, Heart
from tests.support.race import race, unexpected

PASSWORD = "open sesame 1"
ANYTHING = some.text(some.characters(exclude_categories=()), max_size=300)


@dataclass
class Town:
    """An organization `acme` with the user `ana`, and people who try to sign in."""

    heart: Heart
    passwords: Passwords

    def sign_in(self, password: str = PASSWORD, user: str = "ana", **members: Any) -> Started:
        where = {"application": BUILT_IN_APPLICATION, **members}
        organization = where.pop("organization", "acme")
        attempt = PasswordAttempt(
            organization=organization,
            username=user,
            password=password,
            arrival=Arrival(**where),
        )
        return sign_in_with_password(
            self.heart.database, self.passwords, attempt, self.heart.now, self.heart.random
        )

    def guess(self, times: int = 1, **members: Any) -> None:
        for _ in range(times):
            with pytest.raises(CredentialsInvalid):
                self.sign_in("wrong", **members)

    def blocked(self, sign_in: Callable[[], object]) -> int:
        with pytest.raises(Throttled) as blocked:
            sign_in()
        return blocked.value.retry_after


@pytest.fixture
def town(heart: Heart) -> Town:
    passwords = Passwords(memory_kib=8, passes=1, random=heart.random)

    def work(connection: Any) -> None:
        for organization, application in (
            (BUILT_IN_ORGANIZATION, BUILT_IN_APPLICATION),
            ("acme", "wiki"),
        ):
            create_organization(connection, organization, None, heart.now)
            create_application(
                connection,
                organization=organization,
                name=application,
                now=heart.now,
                random=heart.random,
            )
        create_user(
            connection,
            organization="acme",
            name="ana",
            password_hash=passwords.hash(PASSWORD),
            display_name="Ana",
            email="ana@acme.test",
            roles=("editor",),
            now=heart.now,
            random=heart.random,
        )

    heart.database.write(work)
    return Town(heart, passwords)


def test_the_right_password_starts_a_session_that_says_how(town: Town) -> None:
    started = town.sign_in(origin=Origin(ip="192.0.2.1", user_agent="curl/8"))

    session = started.session
    assert (session.amr, session.authenticated_at) == (("pwd",), town.heart.now)
    assert (session.ip, session.identity.email) == ("192.0.2.1", "ana@acme.test")
    assert town.heart.over(started) is None
    assert [e.session for e in town.heart.events("sign_in.succeeded")] == [session.id]
    town.heart.check()


def test_unknown_user_wrong_password_and_wrong_place_get_one_answer(town: Town) -> None:
    for members in (
        {"password": "wrong"},
        {"user": "nobody"},
        {"user": "ANA"},
        {"organization": "globex"},
        {"application": "no-such-application"},
    ):
        with pytest.raises(CredentialsInvalid) as refused:
            town.sign_in(**members)
        assert refused.value.detail is None
        assert refused.value.members == {}
    assert town.heart.array(BUILT_IN_APPLICATION) == []


def test_a_disabled_user_gets_the_same_answer_with_the_right_password(town: Town) -> None:
    heart = town.heart
    heart.database.write(
        lambda c: update_user(
            c,
            "acme",
            "ana",
            UserChange(enabled=False),
            actor=ADMIN,
            now=heart.now,
            random=heart.random,
        )
    )

    with pytest.raises(CredentialsInvalid):
        town.sign_in()


def test_after_five_failures_even_the_right_password_has_to_wait(town: Town) -> None:
    town.guess(5)

    assert town.blocked(town.sign_in) == 30
    town.heart.move(29.999)
    assert town.blocked(town.sign_in) == 1
    town.heart.move(0.001)
    town.sign_in()


def test_an_unknown_user_is_throttled_just_like_a_known_one(town: Town) -> None:
    town.guess(5, user="nobody")

    assert town.blocked(partial(town.guess, user="nobody")) == 30


def test_every_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(town: Town) -> None:
    town.guess(5)
    waits = []
    for _ in range(7):
        waits.append(town.blocked(town.sign_in))
        town.heart.move(waits[-1])
        town.guess()

    assert waits == [30, 60, 120, 240, 480, 900, 900]


def test_a_success_forgives(town: Town) -> None:
    town.guess(4)
    town.sign_in()
    town.guess(4)

    town.sign_in()


def test_failures_are_forgotten_after_a_quarter_of_an_hour(town: Town) -> None:
    town.guess(4)
    town.heart.move(15 * 60 + 1)
    town.guess(4)

    town.sign_in()


def test_an_account_that_is_blocked_leaves_others_alone(town: Town) -> None:
    town.guess(5, user="bob")
    town.guess(5, user="ana", organization="globex")

    town.sign_in()


def test_an_address_is_blocked_after_fifty_failures_whatever_the_names(town: Town) -> None:
    here, elsewhere = Origin(ip="192.0.2.1"), Origin(ip="192.0.2.2")
    for number in range(50):
        town.guess(user=f"user-{number}", origin=here)

    assert town.blocked(partial(town.sign_in, origin=here)) == 30
    town.sign_in(origin=elsewhere)


def test_addresses_of_one_ipv6_household_count_together(town: Town) -> None:
    for number in range(50):
        town.guess(user=f"user-{number}", origin=Origin(ip=f"2001:db8::{number:x}"))

    assert town.blocked(partial(town.sign_in, origin=Origin(ip="2001:db8::ffff"))) == 30
    town.sign_in(origin=Origin(ip="2001:db8:0:1::1"))


def test_guesses_sent_at_once_are_all_counted(town: Town) -> None:
    results = race(*[partial(town.sign_in, "wrong")] * 12)

    assert unexpected(results, CredentialsInvalid, Throttled) == []
    assert not any(isinstance(one, Started) for one in results)
    assert sum(isinstance(one, CredentialsInvalid) for one in results) >= 5
    assert town.blocked(town.sign_in) >= 30


def test_every_failure_is_an_event_that_says_no_more_than_was_typed(town: Town) -> None:
    for _ in range(5):
        town.heart.move(1)
        town.guess()

    events = town.heart.events("sign_in.failed")

    assert [e.reason for e in events] == ["credentials"] * 4 + ["blocked"]
    assert "wrong" not in repr(events)


def test_what_no_longer_counts_is_purged(town: Town) -> None:
    town.guess(2)
    purge = partial(town.heart.database.write, lambda c: throttle.purge(c, town.heart.now))

    assert purge() == 0
    town.heart.move(15 * 60 + 1)
    assert purge() == 1


def test_a_hash_with_old_parameters_is_made_anew_when_its_owner_signs_in(town: Town) -> None:
    town.passwords = Passwords(memory_kib=16, passes=1, random=town.heart.random)

    town.sign_in()

    stored = town.heart.database.read(lambda c: read_password_hash(c, "acme", "ana"))
    assert stored is not None
    assert "m=16" in stored
    town.sign_in()


def test_the_same_user_in_the_same_browser_goes_on_with_the_session_under_a_new_secret(
    town: Town,
) -> None:
    former = town.sign_in()
    child = town.heart.start(parent=former)

    now = town.sign_in(replaces=former.session.id)

    assert now.session.id == former.session.id
    assert now.token != former.token
    assert town.heart.over(child) is None
    assert town.heart.over(now) is None
    town.heart.check()


def test_another_user_in_the_same_browser_takes_the_place_of_the_former(town: Town) -> None:
    former = town.heart.start(user="bob", application="app-built-in")
    child = town.heart.start(parent=former)

    now = town.sign_in(replaces=former.session.id)

    assert town.heart.over(former) is EndReason.SIGNED_OUT
    assert town.heart.over(child) is EndReason.PARENT_ENDED
    assert town.heart.over(now) is None
    town.heart.check()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_whatever_is_typed_is_refused_and_breaks_nothing(
    town: Town, organization: str, application: str, user: str, password: str
) -> None:
    with pytest.raises((CredentialsInvalid, Throttled)):
        town.sign_in(password, user, organization=organization, application=application)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 100_000, "'; DROP TABLE session; --"])
def test_names_that_no_database_holds_are_nobodys(town: Town, text: str) -> None:
    for members in ({"user": text}, {"organization": text}, {"application": text}):
        with pytest.raises(CredentialsInvalid):
            town.sign_in(**members)
    town.heart.move(3600)
    town.sign_in()
