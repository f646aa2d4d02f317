"""The commands as an operator types them, each a process of its own, on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import text

from iam.db import Database
from iam.directory.applications import find_application
from iam.directory.providers import add_link, find_provider, link_id
from iam.directory.users import find_user
from iam.kernel.clock import system_clock
from iam.kernel.events import OPERATOR
from tests.support.commands import Iam, events
from tests.support.processes import Server


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


def test_a_database_that_nobody_has_set_up_is_said_to_be_so(iam: Iam, database: Database) -> None:
    database.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'"))

    done = iam("org", "list")

    assert done.returncode == 1
    assert "iam migrate" in done.stderr


def test_doctor_has_a_line_for_each_part_and_fails_if_one_is_missing(iam: Iam) -> None:
    done = iam("doctor")

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "FAIL  signing keys: none; start the server once, it makes the first" in lines
    assert "ok    SAML: its libraries load" in lines
    assert [one for one in lines if one.startswith("ok    database: ")]


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
