"""A sign-in from a device that is new to its user is told to them by mail; which devices are known."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from iam import audit
from iam.db.mail_tables import known_device
from iam.kernel.events import Event
from iam.signin.known_devices import MOST, REMEMBERED
from tests.support.basic import basic
from tests.support.mail_server import MailServer
from tests.support.mails import browser, events, link_in, mails
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import World


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
