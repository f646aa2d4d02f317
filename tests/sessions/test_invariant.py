"""What must be true whatever happens at the same time, on both databases."""

import random
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, text

from iam.db import Database
from iam.directory.applications import create_application
from iam.directory.organizations import create_organization
from iam.directory.users import UserChange, create_user, update_user
from iam.kernel.clock import after
from iam.kernel.events import NOWHERE
from iam.sessions.lifecycle import ParentEnded, Started
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION, EndReason
from iam.sessions.policy import Layer
from iam.signin.arrival import Arrival
from iam.signin.enter import NotAdmitted, enter_application
from iam.signin.password_sign_in import (
    CredentialsInvalid,
    PasswordAttempt,
    sign_in_with_password,
)
from iam.signin.passwords import Passwords
from tests.support.heart import ADMIN, Heart
from tests.support.race import race, unexpected

ACME = Layer("organization", "acme")
PASSWORD = "open sesame 1"


class Storm:
    """One thread's share of random work on what all threads start."""

    def __init__(self, heart: Heart, seed: int, all_: list[Started]) -> None:
        self.heart, self.luck, self.all = heart, random.Random(seed), all_

    def __call__(self) -> None:
        for _ in range(40):
            often = [self.start, self.enter, self.use]
            seldom = [self.end, self.end_some, self.rotate, self.sweep, self.tighten, self.wait]
            self.luck.choice([*often, *often, *seldom])()

    def any(self) -> Started:
        return self.luck.choice(self.all)

    def start(self) -> None:
        user = self.luck.choice(["ana", "bob"])
        application = self.luck.choice(["wiki", BUILT_IN_APPLICATION])
        self.all.append(self.heart.start(application, user=user))

    def enter(self) -> None:
        parent = self.any()
        try:
            started = self.heart.start("wiki", user=parent.session.user, parent=parent)
        except ParentEnded:
            return
        self.all.append(started)

    def end(self) -> None:
        self.heart.end(self.any(), self.any(), self.any())

    def end_some(self) -> None:
        self.heart.end_selected(user=self.luck.choice(["ana", "bob"]), limit=4)

    def use(self) -> None:
        one, now = self.any().session, self.heart.now
        touched = [one.id] if one.parent is None else [one.parent, one.id]
        self.heart.write(dict.fromkeys(touched, now))

    def rotate(self) -> None:
        self.heart.rotate(self.any())

    def sweep(self) -> None:
        self.heart.sweep(10)

    def tighten(self) -> None:
        self.heart.set_policy(ACME, idle_timeout=self.luck.randint(300, 1800))

    def wait(self) -> None:
        self.heart.move(self.luck.randint(1, 60))


def test_after_a_storm_every_record_is_exactly_its_live_sessions(heart: Heart) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    all_ = [heart.browser(), heart.browser("bob")]

    results = race(*(Storm(heart, seed + number, all_) for number in range(6)))

    assert unexpected(results) == []
    heart.check()
    heart.end_selected()
    heart.check()
    assert heart.array() == []


def test_a_child_never_starts_from_a_parent_that_ends_at_the_same_time(heart: Heart) -> None:
    for _ in range(15):
        browser = heart.browser()

        results = race(
            partial(heart.start, "wiki", parent=browser),
            partial(heart.end, browser),
            partial(heart.start, "chat", parent=browser),
        )

        assert unexpected(results, ParentEnded) == []
        for started in results:
            if isinstance(started, Started):
                assert heart.over(started) is EndReason.PARENT_ENDED
    heart.check()


def test_many_applications_are_entered_from_one_browser_at_once(heart: Heart) -> None:
    browser = heart.browser()
    heart.move(1)

    with _database_errors(heart.database) as errors:
        results = race(*(partial(heart.start, f"app-{n}", parent=browser) for n in range(12)))

    assert unexpected(results) == []
    assert errors == []
    heart.check()


def test_a_session_that_many_end_at_once_ends_once(heart: Heart) -> None:
    for _ in range(5):
        started = heart.start()
        results = race(*[partial(heart.end, started)] * 6)
        assert unexpected(results) == []
        assert sum(len(ended) for ended in results) == 1
    heart.check()


def test_sweeps_on_many_nodes_note_every_end_once(heart: Heart) -> None:
    heart.start_many(60)
    heart.move(1800)

    results = race(*[partial(heart.sweep, 25)] * 6)

    assert unexpected(results) == []
    while heart.sweep():
        pass
    assert heart.array() == []
    heart.check()


def test_no_session_that_starts_while_a_policy_is_tightened_has_the_old_deadlines(
    heart: Heart,
) -> None:
    for idle_timeout in range(1000, 985, -1):
        results = race(
            heart.start,
            partial(heart.set_policy, ACME, idle_timeout=idle_timeout, maximum_lifetime=3600),
            heart.browser,
            heart.start,
        )

        assert unexpected(results) == []
        for started in results:
            if isinstance(started, Started):
                stored = heart.stored(started)
                assert stored.idle_timeout <= idle_timeout
                assert stored.expires_at <= after(heart.now, 3600)
    heart.check()


def test_a_read_sees_the_data_of_one_moment(heart: Heart) -> None:
    looked, ended = threading.Event(), threading.Event()
    heart.start()

    def look(connection: Any) -> list[int]:
        counts = [connection.execute(_COUNT_LIVE).scalar_one()]
        looked.set()
        assert ended.wait(60)
        return [*counts, connection.execute(_COUNT_RECORDS).scalar_one()]

    def end() -> None:
        assert looked.wait(60)
        heart.end_selected()
        ended.set()

    assert race(partial(heart.database.read, look), end) == [[1, 1], None]


_COUNT_LIVE = text("SELECT count(*) FROM session WHERE ended_at IS NULL")
_COUNT_RECORDS = text("SELECT count(*) FROM session_record")


@contextmanager
def _database_errors(database: Database) -> Iterator[list[str]]:
    """What the database refuses meanwhile, also where it is then repeated: deadlocks take a second each."""
    errors: list[str] = []

    def note(context: Any) -> None:
        errors.append(str(context.original_exception))

    event.listen(database.engine, "handle_error", note)
    yield errors
    event.remove(database.engine, "handle_error", note)


@pytest.fixture
def town(heart: Heart) -> Heart:
    """An organization with a user, two applications and the sign-in page."""
    passwords = _passwords(heart)

    def work(connection: Any) -> None:
        common: dict[str, Any] = {"now": heart.now, "random": heart.random}
        for organization in (BUILT_IN_ORGANIZATION, "acme"):
            create_organization(connection, organization, None, heart.now)
        for organization, name in (
            (BUILT_IN_ORGANIZATION, BUILT_IN_APPLICATION),
            ("acme", "wiki"),
            ("acme", "chat"),
        ):
            create_application(connection, organization=organization, name=name, **common)
        create_user(
            connection,
            organization="acme",
            name="ana",
            password_hash=passwords.hash(PASSWORD),
            display_name="Ana",
            email=None,
            roles=(),
            **common,
        )

    heart.database.write(work)
    return heart


def _passwords(heart: Heart) -> Passwords:
    return Passwords(memory_kib=8, passes=1, random=heart.random)


def _sign_in(heart: Heart) -> Started:
    attempt = PasswordAttempt(
        organization="acme",
        username="ana",
        password=PASSWORD,
        arrival=Arrival(application=BUILT_IN_APPLICATION),
    )
    return sign_in_with_password(
        heart.database, _passwords(heart), attempt, heart.now, heart.random
    )


def _change(heart: Heart, change: UserChange) -> None:
    heart.database.write(
        lambda c: update_user(
            c, "acme", "ana", change, actor=ADMIN, now=heart.now, random=heart.random
        )
    )


def _enter(heart: Heart, browser: Started, application: str) -> str:
    session, _, _ = heart.database.write(
        lambda c: enter_application(
            c,
            browser_session=browser.session.id,
            organization="acme",
            application=application,
            instance=None,
            origin=NOWHERE,
            now=heart.now,
            random=heart.random,
        )
    )
    return session.id


def test_nobody_is_signed_in_after_being_disabled_at_the_same_time(town: Heart) -> None:
    for _ in range(8):
        results = race(
            partial(_sign_in, town),
            partial(_change, town, UserChange(enabled=False)),
            partial(_sign_in, town),
        )

        assert unexpected(results, CredentialsInvalid) == []
        assert town.array(BUILT_IN_APPLICATION) == []
        town.check()
        _change(town, UserChange(enabled=True))
        town.move(3600)  # what was refused counts as a failure, and is forgotten by now


def test_the_old_password_leads_nowhere_once_a_new_one_is_set(town: Heart) -> None:
    other = _passwords(town).hash("another password")
    results = race(
        partial(_sign_in, town),
        partial(_change, town, UserChange(password_hash=other)),
        partial(_sign_in, town),
    )

    assert unexpected(results, CredentialsInvalid) == []
    assert town.array(BUILT_IN_APPLICATION) == []
    town.check()


def test_two_tabs_that_enter_one_application_at_once_get_one_session(town: Heart) -> None:
    browser = _sign_in(town)
    for _ in range(8):
        town.move(1)
        with _database_errors(town.database) as errors:
            results = race(
                *[partial(_enter, town, browser, "wiki")] * 4,
                *[partial(_enter, town, browser, "chat")] * 2,
            )

        assert unexpected(results) == []
        assert errors == []
        assert town.array("wiki") == [results[0]] == list(set(results[:4]))
        assert town.array("chat") == [results[4]] == list(set(results[4:]))
        town.end_selected(application="wiki")
        town.end_selected(application="chat")
    town.check()


def test_nothing_is_entered_from_a_browser_session_that_ends_at_the_same_time(town: Heart) -> None:
    for _ in range(8):
        browser = _sign_in(town)

        results = race(
            partial(_enter, town, browser, "wiki"),
            partial(town.end, browser),
            partial(_enter, town, browser, "chat"),
        )

        assert unexpected(results, ParentEnded, NotAdmitted) == []
        assert town.array("wiki") == town.array("chat") == []
    town.check()
