"""Mails are sent whatever the mail server does, each once, and to no address that is none."""

import stat
from collections.abc import Callable
from pathlib import Path

from iam.delivery import mailer as mailer_module
from iam.delivery.mails import MAILS_A_DAY
from iam.delivery.outbox import LONGEST_PAUSE
from iam.server.jobs import make_deliverer
from tests.support.mail_server import MailServer, taken
from tests.support.mails import ATTEMPTS, browser, events, link_in, mailer_of, mails, opened
from tests.support.receiver import Receiver
from tests.support.world import World, make_world


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
