"""A sign-in from a device that is new to its user is told to them by mail, whatever the mail server does."""

import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from iam import audit
from iam.db.mail_tables import known_device
from iam.delivery import mailer as mailer_module
from iam.delivery.mailer import Mailer
from iam.delivery.mails import MAILS_A_DAY
from iam.delivery.outbox import LONGEST_PAUSE
from iam.kernel.events import Event
from iam.server.jobs import make_deliverer, make_mailer
from iam.signin.known_devices import MOST, REMEMBERED
from tests.support.basic import basic
from tests.support.mail_server import MailServer, Taken, taken
from tests.support.ports import free_port
from tests.support.receiver import Receiver
from tests.support.surfer import FIREFOX, IPHONE, Surfer
from tests.support.world import World, make_world

ATTEMPTS = 3


@contextmanager
def opened(url: str, folder: Path, **settings: Any) -> Iterator[World]:
    """A server with `acme`, its user ann who has an address, and bo who has none."""
    with make_world(
        url,
        data_dir=folder / "data",
        delivery_attempts=ATTEMPTS,
        delivery_timeout=30,
        delivery_allow_private=True,
        **settings,
    ) as world:
        world.make_organization("acme", display_name="Acme Corporation")
        world.make_user("acme", "ann", email="ann@acme.example", display_name="Ann Lee")
        world.make_user("acme", "bo")
        yield world


@pytest.fixture
def port() -> int:
    """Where the mail server is, or is to be."""
    return free_port()


@pytest.fixture
def stage(database_url: str, tmp_path: Path, port: int) -> Iterator[World]:
    """A server that sends mails to a mail server on loopback, on each kind of database."""
    url = f"smtp://127.0.0.1:{port}"
    with opened(
        database_url, tmp_path, smtp_url=url, mail_from="Acme Id <id@acme.example>"
    ) as world:
        yield world


@contextmanager
def mailer_of(world: World) -> Iterator[Mailer]:
    made = make_mailer(world.engine)
    try:
        yield made
    finally:
        world.portal.call(made.close)


@pytest.fixture
def send(stage: World) -> Iterator[Callable[[], None]]:
    """Send what is due."""
    with mailer_of(stage) as mailer:
        yield lambda: stage.portal.call(mailer.run_due)


def browser(world: World, user: str, agent: str = FIREFOX) -> Surfer:
    """A browser that has never been here, in which this user signs in."""
    surfer = Surfer(world, agent)
    assert surfer.sign_in("acme", user).status_code == 303
    return surfer


def events(world: World, type_: str) -> list[dict[str, Any]]:
    answer = world.get(f"/v1/events?type={type_}&organization=acme&limit=200", headers=world.admin)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def mails(world: World, query: str = "") -> list[dict[str, Any]]:
    answer = world.get(f"/v1/mails?organization=acme{query}", headers=world.admin)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def link_in(mail: Taken) -> str:
    (link,) = re.findall(r"^http\S+", mail.text, re.MULTILINE)
    return str(link)


def test_the_second_device_of_a_user_is_told_of_with_what_is_known_of_it(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    with MailServer(port=port) as server:
        browser(stage, "ann")
        send()
        assert server.mails == []
        stage.address = "203.0.113.7"
        phone = browser(stage, "ann", IPHONE)
        send()

    (mail,) = server.mails
    message = mail.message
    assert (mail.sender, mail.recipients) == ("id@acme.example", ["ann@acme.example"])
    assert message["from"] == "Acme Id <id@acme.example>"
    assert message["to"] == "Ann Lee <ann@acme.example>"
    assert message["subject"] == "New sign-in to your Acme Corporation account"
    assert message["auto-submitted"] == "auto-generated"
    link = link_in(mail)
    assert link.startswith("http://127.0.0.1:8000/sign-out/device?t=")
    for text in (mail.text, mail.html):
        for fact in (
            "Ann Lee",
            "Mobile Safari on iOS",
            "18 Nov 2026, 11:06 UTC",
            "203.0.113.7",
            "Acme Corporation",
            "25 Nov 2026",
        ):
            assert fact in " ".join(text.split()), fact
        assert link in text
    (told,) = events(stage, "sign_in.new_device")
    assert told["session"] == phone.session_id
    assert (told["user"], told["actor"]) == ("ann", "user:acme/ann")
    assert told["data"] == {"device": "Mobile Safari on iOS", "mailed": True}
    (listed,) = mails(stage, "&state=delivered")
    assert (listed["session"], listed["recipient"]) == (phone.session_id, "ann@acme.example")
    assert (listed["attempts"], listed["last_status"], listed["last_error"]) == (1, 250, None)
    assert stage.engine.metrics.mails == {"delivered": 1}


def test_a_device_is_new_once_and_to_each_user_by_itself(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    stage.make_user("acme", "cy", email="cy@acme.example")
    browser(stage, "cy")
    browser(stage, "ann")
    with MailServer(port=port) as server:
        shared = browser(stage, "ann")
        shared.sign_in("acme", "ann")
        shared.sign_in("acme", "cy")
        shared.sign_in("acme", "cy")
        shared.get("/sign-out")
        shared.submit("/sign-out")
        shared.sign_in("acme", "ann")
        send()

    assert sorted(mail.recipients for mail in server.mails) == [
        ["ann@acme.example"],
        ["cy@acme.example"],
    ]


def test_who_has_no_address_is_told_of_by_an_event_alone(stage: World) -> None:
    browser(stage, "bo")
    browser(stage, "bo")

    (told,) = events(stage, "sign_in.new_device")
    assert told["data"]["mailed"] is False
    assert mails(stage) == []


def test_a_cookie_that_is_not_ours_or_comes_twice_makes_no_device_known(stage: World) -> None:
    browser(stage, "ann")
    for planted in ("A", "A" * 5000, ""):
        surfer = Surfer(stage)
        surfer.cookies["iam-device"] = planted
        surfer.sign_in("acme", "ann")
        assert re.fullmatch(r"[\w-]{43}", surfer.cookies["iam-device"])

    assert len(events(stage, "sign_in.new_device")) == 3


def test_the_cookie_stays_for_long_and_only_its_hash_is_stored(stage: World) -> None:
    surfer = Surfer(stage)
    answer = surfer.sign_in("acme", "ann")

    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith("iam-device=")]
    assert cookie.endswith(f"; Path=/; HttpOnly; SameSite=Lax; Max-Age={REMEMBERED}")
    value = surfer.cookies["iam-device"]
    rows = stage.engine.database.read(lambda c: c.execute(known_device.select()).mappings().all())
    assert rows
    assert value not in repr(rows)


def test_a_program_is_told_again_by_its_kind_and_its_network(stage: World) -> None:
    for address in ("198.51.100.7", "198.51.100.200", "198.51.100.7"):
        stage.address = address
        stage.sign_in("acme", "ann")
    assert events(stage, "sign_in.new_device") == []

    for address in ("203.0.113.7", "2001:db8:1:2::3", "2001:db8:1:ffff::3"):
        stage.address = address
        stage.sign_in("acme", "ann")
    assert {one["ip"] for one in events(stage, "sign_in.new_device")} == {
        "2001:db8:1:2::3",
        "203.0.113.7",
    }


def test_a_session_that_an_application_starts_is_no_sign_in(stage: World) -> None:
    stage.sign_in("acme", "ann")
    client = basic(stage.make_application("acme", "shop"))
    stage.address = "203.0.113.7"
    answer = stage.post("/v1/sessions", json={"user": "ann"}, headers=client)

    assert answer.status_code == 201
    assert events(stage, "sign_in.new_device") == []


def test_a_sign_in_that_does_not_happen_leaves_no_mail(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser(stage, "ann")
    assert Surfer(stage).sign_in("acme", "ann", "wrong password").status_code == 401
    append = audit.append

    def fail(connection: Connection, told: list[Event]) -> None:
        assert told[0].type != "sign_in.new_device", "it breaks here"
        append(connection, told)

    with monkeypatch.context() as broken:
        broken.setattr(audit, "append", fail)
        with pytest.raises(AssertionError, match="it breaks here"):
            Surfer(stage).sign_in("acme", "ann")

    assert mails(stage) == []
    assert len(events(stage, "session.started")) == 1


def test_a_mail_that_is_refused_is_tried_again_as_the_same_mail(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    browser(stage, "ann")
    browser(stage, "ann")
    with MailServer(port=port, answer="451 later") as server:
        send()
        send()  # not due yet
        assert server.attempts == 1
        (waiting,) = mails(stage, "&state=pending")
        assert (waiting["last_status"], waiting["last_error"]) == (451, "refused")
        server.answer = "250 OK"
        stage.clock.move(LONGEST_PAUSE)
        send()

    (mail,) = server.mails
    (listed,) = mails(stage, "&state=delivered")
    assert mail.message["message-id"] == f"<{listed['id']}@localhost>"
    assert listed["attempts"] == 2


def test_a_mail_server_that_is_away_and_comes_back_gets_what_waited(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    browser(stage, "ann")
    browser(stage, "ann")
    send()
    (waiting,) = mails(stage, "&state=pending")
    assert waiting["last_error"] == "connection: ConnectionRefusedError"
    stage.clock.move(LONGEST_PAUSE)
    with MailServer(port=port) as server:
        send()

    assert len(server.mails) == 1


def test_a_mail_is_given_up_after_its_attempts_and_sent_again_when_asked_for(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    browser(stage, "ann")
    browser(stage, "ann")
    with MailServer(port=port, answer="554 no") as server:
        for _ in range(ATTEMPTS + 2):
            send()
            stage.clock.move(LONGEST_PAUSE * 2)
        assert server.attempts == ATTEMPTS
        (dead,) = mails(stage, "&state=dead")
        assert (dead["attempts"], dead["last_status"], dead["next_at"]) == (ATTEMPTS, 554, None)
        server.answer = "250 OK"
        again = stage.post(f"/v1/mails/{dead['id']}/resend", headers=stage.admin)
        assert again.status_code == 200, again.text
        assert (again.json()["state"], again.json()["attempts"]) == ("pending", 0)
        twice = stage.post(f"/v1/mails/{dead['id']}/resend", headers=stage.admin)
        assert (twice.status_code, twice.json()["code"]) == (409, "mail_pending")
        send()

    assert len(server.mails) == 1
    (told,) = events(stage, "mail.resent")
    assert told["data"] == {"mail": dead["id"]}


def test_a_mail_whose_link_no_longer_works_is_not_sent(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    browser(stage, "ann")
    browser(stage, "ann")
    stage.clock.move(8 * 24 * 60 * 60)
    with MailServer(port=port) as server:
        send()

    assert server.attempts == 0
    (dead,) = mails(stage)
    assert (dead["state"], dead["last_error"]) == ("dead", "outdated")
    again = stage.post(f"/v1/mails/{dead['id']}/resend", headers=stage.admin)
    assert (again.status_code, again.json()["code"]) == (409, "mail_outdated")


def test_a_mail_server_that_hangs_delays_nobody_and_the_mail_is_tried_again(
    database_url: str, tmp_path: Path, port: int
) -> None:
    url = f"smtp://127.0.0.1:{port}"
    with (
        opened(database_url, tmp_path, smtp_url=url, mail_from="id@acme.example") as world,
        mailer_of(world) as mailer,
        MailServer(port=port, hangs=True) as server,
        Receiver() as receiver,
    ):
        hook = {"organization": "acme", "url": receiver.url, "event_types": ["session.started"]}
        assert world.post("/v1/webhooks", json=hook, headers=world.admin).status_code == 201
        browser(world, "ann")
        browser(world, "ann")
        world.portal.call(mailer.step)
        assert server.reached.wait(60)
        deliverer = make_deliverer(world.engine)
        world.portal.call(deliverer.run_due)
        world.portal.call(deliverer.close)
        assert len(receiver.notices) == 2
        assert browser(world, "bo").session_id
        # As a server that stops, or dies: nothing is noted.
        world.portal.call(mailer.close)
        (waiting,) = mails(world)
        assert (waiting["state"], waiting["attempts"], waiting["last_error"]) == (
            "pending",
            1,
            None,
        )
        server.hangs = False
        with mailer_of(world) as another:
            world.portal.call(another.run_due)
            assert mails(world) == [waiting], "the claim holds until its lease runs out"
            world.clock.move(60 + mailer_module._GRACE)
            world.portal.call(another.run_due)
        (delivered,) = mails(world)
        assert (delivered["state"], delivered["attempts"]) == ("delivered", 2)


def test_an_attempt_ends_at_its_time_whatever_the_server_does(
    database_url: str, tmp_path: Path, port: int
) -> None:
    url = f"smtp://127.0.0.1:{port}"
    with (
        opened(database_url, tmp_path, smtp_url=url, mail_from="id@acme.example") as world,
        mailer_of(world) as mailer,
        MailServer(port=port, hangs=True),
    ):
        mailer.settings = world.engine.settings.model_copy(update={"delivery_timeout": 1})
        browser(world, "ann")
        browser(world, "ann")
        world.portal.call(mailer.run_due)
        (waiting,) = mails(world)
        assert (waiting["state"], waiting["last_error"]) == ("pending", "timeout")


def test_several_nodes_send_each_mail_once(stage: World, port: int) -> None:
    browser(stage, "ann")
    for _ in range(12):
        browser(stage, "ann")
    with MailServer(port=port) as server, mailer_of(stage) as one, mailer_of(stage) as other:
        for mailer in (one, other):
            stage.portal.call(mailer.step)
        for mailer in (one, other):
            stage.portal.call(mailer.run_due)

    ids = [mail.message["message-id"] for mail in server.mails]
    assert (len(ids), len(set(ids))) == (12, 12)


def test_a_user_gets_no_more_than_so_many_mails_a_day(stage: World) -> None:
    browser(stage, "ann")
    for _ in range(MAILS_A_DAY + 2):
        browser(stage, "ann")
    assert len(mails(stage)) == MAILS_A_DAY
    told = [one["data"]["mailed"] for one in events(stage, "sign_in.new_device")]
    assert (told.count(True), told.count(False)) == (MAILS_A_DAY, 2)

    stage.clock.move(24 * 60 * 60 + 1)
    browser(stage, "ann")
    assert events(stage, "sign_in.new_device")[0]["data"]["mailed"] is True


def test_an_address_that_is_none_is_given_up_at_once(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    stage.make_user("acme", "odd", email="<a>,b@acme.example")
    browser(stage, "odd")
    browser(stage, "odd")
    with MailServer(port=port) as server:
        send()

    assert server.attempts == 0
    (dead,) = mails(stage)
    assert (dead["state"], dead["last_error"]) == ("dead", "address")


def test_the_mail_goes_to_the_address_that_the_user_had_at_the_sign_in(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    browser(stage, "ann")
    browser(stage, "ann")
    body = {"email": "mallory@evil.example"}
    changed = stage.patch("/v1/users/acme/ann", json=body, headers=stage.admin)
    assert changed.status_code == 200
    with MailServer(port=port) as server:
        send()

    assert [mail.recipients for mail in server.mails] == [["ann@acme.example"]]


def test_who_gets_the_name_of_a_deleted_user_has_neither_their_devices_nor_their_mails(
    stage: World,
) -> None:
    browser(stage, "ann")
    known = browser(stage, "ann")
    assert len(mails(stage)) == 1
    assert stage.delete("/v1/users/acme/ann", headers=stage.admin).status_code == 204
    assert mails(stage) == []
    stage.make_user("acme", "ann", email="other@acme.example")
    browser(stage, "ann")
    known.cookies.pop("iam")
    known.sign_in("acme", "ann")

    assert [one["recipient"] for one in mails(stage)] == ["other@acme.example"]


def test_devices_are_bounded_and_the_one_not_seen_for_longest_is_forgotten(stage: World) -> None:
    first = browser(stage, "bo")
    second = browser(stage, "bo")
    stage.clock.move(1)
    first.sign_in("acme", "bo")
    for _ in range(MOST - 1):
        browser(stage, "bo")
    before = len(events(stage, "sign_in.new_device"))
    first.sign_in("acme", "bo")
    assert len(events(stage, "sign_in.new_device")) == before
    second.sign_in("acme", "bo")
    assert len(events(stage, "sign_in.new_device")) == before + 1


def test_a_device_unseen_for_long_is_forgotten_and_its_user_is_no_new_one(stage: World) -> None:
    old = browser(stage, "bo")
    stage.clock.move(1)
    last = browser(stage, "bo")
    stage.clock.move(REMEMBERED + 1)
    stage.sweep()

    last.sign_in("acme", "bo")
    assert len(events(stage, "sign_in.new_device")) == 1, "of the last one nothing new"
    old.sign_in("acme", "bo")
    assert len(events(stage, "sign_in.new_device")) == 2


def test_mails_go_from_the_list_as_the_history_does(
    stage: World, port: int, send: Callable[[], None]
) -> None:
    browser(stage, "ann")
    browser(stage, "ann")
    with MailServer(port=port):
        send()
    stage.clock.move(stage.engine.settings.retention - 60)
    stage.sweep()
    assert len(mails(stage)) == 1
    stage.clock.move(61)
    stage.sweep()
    assert mails(stage) == []


def test_in_development_a_mail_is_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    with (
        opened(f"sqlite:///{tmp_path / 'iam.db'}", tmp_path) as world,
        mailer_of(world) as mailer,
    ):
        browser(world, "ann")
        browser(world, "ann")
        world.portal.call(mailer.run_due)
        (listed,) = mails(world, "&state=delivered")
        folder = tmp_path / "data" / "mail"
        (file,) = folder.iterdir()
        assert file.name == f"{listed['id']}.eml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        mail = taken(file.read_bytes())
        assert mail.message["from"] == "Hanzo IAM <iam@localhost>"
        assert link_in(mail) in mail.html
        first = file.read_bytes()
        world.post(f"/v1/mails/{listed['id']}/resend", headers=world.admin)
        world.portal.call(mailer.run_due)
        assert [one.read_bytes() for one in folder.iterdir()] == [first]


def test_in_production_without_a_mail_server_there_is_the_event_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'iam.db'}"
    with make_world(url, issuer="https://id.acme.example") as world:
        world.make_organization("acme")
        world.make_user("acme", "ann", email="ann@acme.example")
        for address in ("198.51.100.7", "203.0.113.7"):
            world.address = address
            world.sign_in("acme", "ann")
        (told,) = events(world, "sign_in.new_device")
        assert told["data"]["mailed"] is False
        assert mails(world) == []
