"""The commands as an operator types them, each a process of its own, on both databases."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from iam.audit import list_events
from iam.db import Database
from iam.directory.applications import find_application
from iam.directory.providers import add_link, find_provider, link_id
from iam.directory.users import find_user
from iam.kernel.clock import after, system_clock
from iam.kernel.events import OPERATOR, Event
from iam.kernel.secrets import system_random
from iam.keys.cipher import Cipher
from iam.sessions.model import EndReason
from iam.signin.factors import add_factor, renew_recovery_codes
from iam.signin.totp import make_totp_secret
from tests.support.heart import Heart
from tests.support.processes import Server

Iam = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def iam(database: Database) -> Iam:
    """Runs `iam …` on the test's database; `typed` is what somebody types."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    cheap = {"IAM_PASSWORD_MEMORY_KIB": "64", "IAM_PASSWORD_PASSES": "1"}
    kind = database.url.get_backend_name()
    url = database.url.set(drivername=kind).render_as_string(hide_password=False)
    key = {"IAM_ENCRYPTION_KEY": "00" * 32, "PYTHONWARNINGS": "ignore"}
    env = kept | cheap | key | {"IAM_DATABASE_URL": url}

    def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "iam.cli", *arguments],
            env=env,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def events(database: Database) -> list[Event]:
    """All events, oldest first."""
    return list(reversed(database.read(lambda c: list_events(c, organization=None))))


def test_what_an_operator_makes_is_there_and_noted(iam: Iam, database: Database) -> None:
    assert iam("org", "create", "acme", "--display-name", "Acme Ltd").returncode == 0
    alice = iam("user", "create", "acme", "alice", "--no-password", "--role", "editor")
    assert alice.returncode == 0
    wiki = iam("app", "create", "acme", "wiki", "--gate-host", "wiki.test")
    assert wiki.returncode == 0

    assert "client_secret" in wiki.stdout
    assert "Acme Ltd" in iam("org", "list").stdout
    assert "alice" in iam("user", "list", "acme").stdout
    assert "wiki.test" in iam("app", "list", "acme").stdout
    made = events(database)
    assert [one.type for one in made] == [
        "organization.created",
        "user.created",
        "application.created",
    ]
    assert {(one.organization, one.actor) for one in made} == {("acme", OPERATOR)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("org", "create", "No Spaces"), "name:"),
        (("org", "create", "acme"), "acme"),
        (("user", "create", "nowhere", "alice", "--no-password"), "organization"),
        (("user", "create", "acme", "bob", "--no-password", "--email", "nonsense"), "email:"),
        (("app", "create", "acme", "shop", "--redirect-uri", "javascript:alert(1)"), "redirect"),
        (("app", "create", "acme", "shop", "--gate-host", "127.0.0.1:8000"), "host"),
        (("app", "create", "acme", "shop", "--gate-host", "Not A Host"), "gate_hosts"),
        (("user", "disable", "acme", "nobody"), "user"),
        (("sessions", "show", "ses_nonsense"), "session"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(
    iam: Iam, database: Database, arguments: tuple[str, ...], says: str
) -> None:
    assert iam("org", "create", "acme").returncode == 0
    before = events(database)

    done = iam(*arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert events(database) == before


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


def test_a_database_that_nobody_has_set_up_is_said_to_be_so(iam: Iam, database: Database) -> None:
    database.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'"))

    done = iam("org", "list")

    assert done.returncode == 1
    assert "iam migrate" in done.stderr


def test_a_first_start_says_where_to_sign_in_as_whom_and_a_second_changes_nothing(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'iam.db'}"
    with Server(database_url=url) as server:
        first = server.logs().splitlines()
    with Server(database_url=url) as server:
        second = server.logs().splitlines()

    assert first[0] == f"Hanzo IAM · {first[0].split()[-1]}"
    assert first[1] == "First start: organization built-in, user admin"
    assert first[2].startswith("Password of admin (shown this once): ")
    assert all(line.startswith("{") for line in first[3:])
    assert second[0].startswith("Hanzo IAM · ")
    assert all(line.startswith("{") for line in second[1:])
    assert "alembic" not in "".join(first + second)
    assert "plugin" not in "".join(first + second)


def test_webhooks_are_made_listed_and_deleted_and_leave_events(
    iam: Iam, database: Database
) -> None:
    iam("org", "create", "acme")
    made = iam("webhooks", "create", "https://hooks.acme.example/", "--organization", "acme")
    assert made.returncode == 0, made.stderr
    assert "whsec_" in made.stdout
    webhook = made.stdout.split()[2].rstrip(".")
    listed = iam("webhooks", "list").stdout
    assert webhook in listed
    assert "whsec_" not in listed
    for wrong in (
        ("http://hooks.acme.example/",),
        ("https://127.0.0.1/",),
        ("nonsense",),
        ("https://hooks.acme.example/", "--event-type", "session.end"),
        ("https://hooks.acme.example/", "--organization", "nowhere"),
    ):
        refused = iam("webhooks", "create", *wrong)
        assert refused.returncode == 1
        assert refused.stderr.startswith("iam: ")
    iam("user", "create", "acme", "bob", "--no-password")
    waiting = iam("deliveries", "list", "--state", "pending", "--webhook", webhook).stdout
    delivery = next(word for word in waiting.split() if word.startswith("dlv_"))
    again = iam("deliveries", "redeliver", delivery)
    assert again.returncode == 1
    assert "need not be asked for again" in again.stderr
    database.write(
        lambda c: c.execute(
            text("UPDATE delivery SET state = 'dead' WHERE id = :id"), {"id": delivery}
        )
    )
    assert iam("deliveries", "redeliver", delivery).returncode == 0
    assert iam("webhooks", "delete", webhook).returncode == 0
    assert "none" in iam("deliveries", "list").stdout

    types = [one.type for one in events(database) if one.actor == OPERATOR]
    assert types[1:] == [
        "webhook.created",
        "user.created",
        "delivery.redelivered",
        "webhook.deleted",
    ]


def test_providers_are_made_listed_switched_and_deleted_and_leave_events(
    iam: Iam, database: Database
) -> None:
    iam("org", "create", "acme")
    iam("user", "create", "acme", "alice", "--no-password")
    made = iam(
        *("provider", "create", "acme", "corp", "--issuer", "https://sso.acme.example"),
        *("--client-id", "iam", "--client-secret-file", "-", "--creates-users"),
        *("--trusted-domain", "acme.example", "--attribute", "roles=groups"),
        *("--option", "sign_out_there=true", "--display-name", "Acme SSO"),
        typed="known to both\n",
    )
    assert made.returncode == 0, made.stderr
    provider = database.read(lambda c: find_provider(c, "acme", "corp"))
    assert f"/oauth/callback/{provider.id}" in made.stdout
    assert f"/oauth/backchannel-logout/{provider.id}" in made.stdout
    assert "known to both" not in made.stdout + str(provider.sealed_secret)
    assert provider.options["sign_out_there"] is True
    assert (provider.creates_users, provider.trusted_domains) == (True, ("acme.example",))
    assert provider.attributes == {"roles": "groups"}
    preset = ("--kind", "oauth2", "--preset", "github", "--client-id", "x")
    assert iam("provider", "create", "acme", "github", *preset).returncode == 0
    assert "Acme SSO" in iam("provider", "list", "acme").stdout

    for wrong in (
        ("inner", "--issuer", "https://127.0.0.1", "--client-id", "x"),
        ("corp", "--issuer", "https://sso.acme.example", "--client-id", "x"),
        ("odd", *preset, "--option", "unheard=of"),
        ("odd", *preset, "--client-secret-file", "/nowhere"),
    ):
        refused = iam("provider", "create", "acme", *wrong)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), wrong

    assert iam("provider", "disable", "acme", "corp").returncode == 0
    assert database.read(lambda c: find_provider(c, "acme", "corp")).enabled is False
    assert iam("provider", "enable", "acme", "corp").returncode == 0

    user = database.read(lambda c: find_user(c, "acme", "alice"))
    link = database.write(lambda c: add_link(c, provider.id, "s", user.id, system_clock()))
    assert link_id(link) in iam("provider", "links", "acme", "alice").stdout
    assert iam("provider", "unlink", "acme", "alice", link_id(link)).returncode == 0
    assert iam("provider", "unlink", "acme", "alice", link_id(link)).returncode == 1
    assert iam("provider", "delete", "acme", "corp").returncode == 0
    types = [one.type for one in events(database) if one.type.startswith("provider.")]
    assert types == [
        "provider.created",
        "provider.created",
        "provider.updated",
        "provider.updated",
        "provider.unlinked",
        "provider.deleted",
    ]
    assert {one.actor for one in events(database)} == {OPERATOR}


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


def test_how_an_application_signs_out_is_changed_and_what_harms_is_refused(
    iam: Iam, database: Database
) -> None:
    iam("org", "create", "acme")
    uris = ("--post-logout-redirect-uri", "https://wiki.test/bye")
    told = ("--backchannel-logout-uri", "https://wiki.test/ended")
    assert iam("app", "create", "acme", "wiki", *uris, *told).returncode == 0

    def stored() -> tuple[tuple[str, ...], str | None]:
        found = database.read(lambda c: find_application(c, "acme", "wiki"))
        return found.post_logout_redirect_uris, found.openid.backchannel_logout_uri

    assert stored() == (("https://wiki.test/bye",), "https://wiki.test/ended")
    refused = iam("app", "update", "acme", "wiki", "--backchannel-logout-uri", "https://10.0.0.1/")
    assert (refused.returncode, "private" in refused.stderr) == (1, True)
    assert iam("app", "update", "acme", "wiki").returncode == 1
    assert stored()[1] == "https://wiki.test/ended"
    assert iam("app", "update", "acme", "wiki", "--backchannel-logout-uri", "").returncode == 0
    assert stored() == (("https://wiki.test/bye",), None)
    assert events(database)[-1].data == {"changed": ["backchannel_logout_uri"]}
    assert "Deliveries" in iam("deliveries", "list", "--application", "wiki").stdout


def test_an_application_is_let_administer_and_what_that_means_is_said(
    iam: Iam, database: Database
) -> None:
    iam("org", "create", "acme")
    made = iam("app", "create", "acme", "back", "--manages-organization")
    assert "can do what an administrator of acme can" in made.stderr

    def manages() -> bool:
        found = database.read(lambda c: find_application(c, "acme", "back"))
        return found.client.manages_organization

    assert manages()
    taken = iam("app", "update", "acme", "back", "--no-manages-organization")
    assert (taken.returncode, taken.stderr) == (0, "")
    assert not manages()
    assert events(database)[-1].data == {"changed": ["manages_organization"]}
    let = iam("app", "update", "acme", "back", "--manages-organization")
    assert "can do what an administrator of acme can" in let.stderr
    assert manages()
    public = iam("app", "create", "acme", "phone", "--public", "--manages-organization")
    assert (public.returncode, public.stdout) == (1, "")
