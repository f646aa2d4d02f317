"""The commands that see, lock and end sessions, and those that set the policies of them."""

import pytest
from sqlalchemy import Connection

from iam.db import Database
from iam.directory.users import find_user
from iam.kernel.clock import after, system_clock
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random
from iam.keys.cipher import Cipher
from iam.sessions.model import EndReason
from iam.signin.factors import add_factor, renew_recovery_codes
from iam.signin.totp import make_totp_secret
from tests.support.commands import Iam, events
from tests.support.heart import Heart


def test_disabling_a_user_ends_their_sessions_and_enabling_lets_them_in_again(
    iam: Iam, database: Database
) -> None:
    iam("org", "create", "acme")
    iam("user", "create", "acme", "alice", "--no-password")

    assert iam("user", "disable", "acme", "alice").returncode == 0
    assert "False" in iam("user", "list", "acme").stdout
    assert iam("user", "enable", "acme", "alice").returncode == 0
    done = iam("user", "password", "acme", "alice", typed="open sesame 1\nopen sesame 1\n")
    assert done.returncode == 0, done.stderr

    changes = [one.data for one in events(database) if one.type == "user.updated"]
    assert changes == [
        {"changed": ["enabled"]},
        {"changed": ["enabled"]},
        {"changed": ["password"]},
    ]


def test_a_second_factor_is_removed_and_the_sessions_end(
    iam: Iam, heart: Heart, database: Database
) -> None:
    iam("org", "create", "acme")
    iam("user", "create", "acme", "ana", "--no-password")
    heart.now = system_clock()
    session = heart.browser()
    cipher = Cipher((bytes(32),))

    def work(connection: Connection) -> None:
        user = find_user(connection, "acme", "ana")
        secret = make_totp_secret(system_random)
        given = {"step": 0, "now": heart.now, "random": system_random}
        add_factor(connection, cipher, user.id, secret, **given)  # type: ignore[arg-type]  # by name
        renew_recovery_codes(connection, user.id, system_random)

    database.write(work)

    done = iam("user", "remove-factor", "acme", "ana")
    again = iam("user", "remove-factor", "acme", "ana")

    assert done.returncode == 0, done.stderr
    assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
    heart.now = system_clock()
    assert heart.over(session) is EndReason.CREDENTIALS_CHANGED
    removed = [one for one in events(database) if one.type == "factor.removed"]
    assert [(one.actor, one.user) for one in removed] == [(OPERATOR, "ana")]


def test_disabling_an_organization_ends_its_sessions(iam: Iam, database: Database) -> None:
    iam("org", "create", "acme")
    heart = Heart(database, now=system_clock())
    started = heart.start()

    assert iam("org", "disable", "acme").returncode == 0

    heart.move(60)
    assert heart.over(started) == "user_disabled"
    assert " no " in iam("org", "list").stdout
    assert iam("org", "disable", "built-in").returncode == 1
    assert iam("org", "enable", "acme").returncode == 0
    changes = [one.data for one in events(database) if one.type == "organization.updated"]
    assert changes == [{"changed": ["enabled"]}] * 2


def test_a_session_is_locked_with_its_children_and_listed_as_locked(
    iam: Iam, database: Database
) -> None:
    heart = Heart(database, now=system_clock())
    browser = heart.browser()
    child, other = heart.start(parent=browser), heart.start()

    done = iam("sessions", "lock", browser.session.id)

    assert done.returncode == 0, done.stderr
    listed = iam("sessions", "list", "--state", "locked").stdout
    there = [one.session.id in listed for one in (browser, child, other)]
    assert there == [True, True, False]
    assert heart.over(child) == "locked"
    locked = [one for one in events(database) if one.type == "session.locked"]
    assert {(one.session, one.actor) for one in locked} == {
        (browser.session.id, OPERATOR),
        (child.session.id, OPERATOR),
    }
    heart.end(other)
    assert iam("sessions", "lock", other.session.id).returncode == 1


def test_sessions_are_listed_and_ended_by_what_the_options_say(
    iam: Iam, database: Database
) -> None:
    heart = Heart(database, now=after(system_clock(), -3 * 60 * 60))
    old = [heart.start() for _ in range(3)]
    heart.now = after(system_clock(), -60)
    young = heart.start()

    listed = iam("sessions", "list", "--application", "wiki", "--after", "1h", "--sort", "-user")
    assert (young.session.id in listed.stdout, old[0].session.id in listed.stdout) == (True, False)
    gone = iam("sessions", "list", "--state", "ended", "--before", "2h")
    assert all(one.session.id in gone.stdout for one in old), gone.stdout

    dry = iam("sessions", "end", "--organization", "acme", "--after", "2h", "--dry-run")
    assert "Would end 1 session (" in dry.stdout
    assert (
        "Ended 0 sessions"
        in iam("sessions", "end", "--application", "wiki", "--before", "2h").stdout
    )
    done = iam("sessions", "end", "--application", "wiki", "--before", "10s", "--reason", "drill")
    assert (done.returncode, done.stdout) == (0, "Ended 1 session (children counted).\n"), (
        done.stderr
    )
    (event,) = [one for one in events(database) if one.type == "session.ended"]
    assert (event.session, event.actor) == (young.session.id, OPERATOR)
    assert event.data["note"] == "drill"
    for wrong in (("--before", "soon"), ("--ip", "here"), ()):
        assert iam("sessions", "end", *wrong).returncode == 2


def test_a_policy_is_tried_set_and_explained(iam: Iam, heart: Heart, database: Database) -> None:
    iam("org", "create", "acme")
    iam("app", "create", "acme", "wiki")
    heart.now = after(system_clock(), -900)
    started = heart.start()
    heart.now = system_clock()
    shorter = ("policy", "set", "--organization", "acme", "maximum_lifetime=10m", "exclusive=yes")

    tried = iam(*shorter, "--dry-run")

    assert "This would shorten 0 and end 1 sessions." in tried.stdout, tried.stdout + tried.stderr
    assert heart.stored(started).expires_at == started.session.expires_at
    done = iam(*shorter)
    assert "This shortened 0 and ended 1 sessions." in done.stdout
    assert heart.over(started) is not None
    explained = iam("policy", "explain", "acme", "--application", "wiki").stdout
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in explained.splitlines()[2:]}
    assert lines["maximum_lifetime"] == "10 m organization acme"
    assert lines["exclusive"] == "yes organization acme"
    assert lines["idle_timeout"] == "30 m default"
    assert lines["maximum_sessions"] == "- default"
    assert iam("policy", "set", "--organization", "acme", "maximum_lifetime=none").returncode == 0
    explained = iam("policy", "explain", "acme", "--application", "wiki").stdout
    assert "maximum_lifetime 12 h default" in " ".join(explained.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("idle_timeout=soon",), "give a time such as 90, 30m, 12h or 14d"),
        (("idle_timeout=0",), "give a time"),
        (("maximum_sessions=0",), "give a number of at least 1"),
        (("exclusive=perhaps",), "give yes or no"),
        (("at_limit=panic",), "give refuse, ask"),
        (("patience=1",), "the knobs are idle_timeout"),
        (("idle_timeout",), "is not knob=value"),
        (("exclusive=yes", "--user", "ana"), "--organization"),
        (("exclusive=yes", "--organization", "nowhere"), "no such organization"),
        (
            ("exclusive=yes", "--organization", "a", "--user", "b", "--role", "c"),
            "one of --application, --role and --user",
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_a_sentence(
    iam: Iam, arguments: tuple[str, ...], words: str
) -> None:
    ran = iam("policy", "set", *arguments)

    assert ran.returncode == 1
    assert words in ran.stderr
