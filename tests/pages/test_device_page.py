"""The link in a mail about a new device ends that one session, once, and does nothing else for anybody."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from iam.delivery.links import make_link, read_link
from iam.delivery.mails import LINK_LIFETIME
from iam.keys.cipher import Cipher
from tests.support.people import enter, populate
from tests.support.race import race
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import ISSUER, World, make_world

WRONG = "This link does not work"


@pytest.fixture
def stage(database_url: str) -> Iterator[World]:
    """Two tenants with their people, on each kind of database."""
    with make_world(database_url) as world:
        populate(world)
        yield world


@pytest.fixture
def own(stage: World) -> Surfer:
    """Bob's own browser, signed in: his first device."""
    surfer = Surfer(stage)
    assert surfer.sign_in("acme", "bob").status_code == 303
    return surfer


@pytest.fixture
def thief(stage: World, own: Surfer) -> Surfer:
    """A browser in which somebody else signed in as bob."""
    stage.address = "203.0.113.7"
    surfer = Surfer(stage, IPHONE)
    assert surfer.sign_in("acme", "bob").status_code == 303
    stage.address = "127.0.0.1"
    return surfer


def mail_of(world: World) -> dict[str, Any]:
    answer = world.get("/v1/mails?organization=acme", headers=world.admin)
    mail: dict[str, Any] = answer.json()["items"][0]
    return mail


def link_of(world: World, mail_id: str | None = None) -> str:
    """The path that the newest mail leads to, as the mailer makes it."""
    made = make_link(ISSUER, world.engine.cipher, mail_id or mail_of(world)["id"])
    return made.removeprefix(ISSUER)


def use(world: World, link: str, **headers: str) -> Any:
    """Press the button: the form of the page, without a cookie."""
    headers = {"content-type": "application/x-www-form-urlencoded", **headers}
    return world.post("/sign-out/device", content=link.partition("?")[2], headers=headers)


def is_alive(world: World, surfer: Surfer) -> bool:
    return surfer.get("/account/sessions").status_code == 200


def told(world: World, type_: str) -> list[dict[str, Any]]:
    answer = world.get(f"/v1/events?type={type_}&organization=acme", headers=world.admin)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_to_look_at_the_page_ends_nothing(stage: World, thief: Surfer) -> None:
    link = link_of(stage)
    assert stage.request("HEAD", link).status_code == 200
    answer = stage.get(link)
    assert answer.status_code == 200
    for shown in ("bob", "Acme Corporation", "Mobile Safari on iOS", "203.0.113.7", "11:06 UTC"):
        assert shown in answer.text
    assert is_alive(stage, thief)
    assert told(stage, "sign_in.disowned") == []


def test_the_button_ends_that_session_with_its_children_and_no_other(
    stage: World, own: Surfer, thief: Surfer
) -> None:
    child = enter(stage, thief.session_id, "wiki")
    other = enter(stage, own.session_id, "wiki")
    mail = mail_of(stage)
    stage.clock.move(60)
    answer = use(stage, link_of(stage), **{"user-agent": "Thunderbird"})

    assert answer.status_code == 200
    assert "That session has ended" in answer.text
    assert "1 application" in answer.text
    assert "Now get a new password" in answer.text
    assert not is_alive(stage, thief)
    assert is_alive(stage, own)
    admin = stage.admin
    ended = stage.get(f"/v1/sessions/{thief.session_id}", headers=admin).json()
    assert (ended["end_reason"], ended["ended_by"]) == ("ended_by_user", "mail:acme/bob")
    reasons = [
        stage.get(f"/v1/sessions/{one}", headers=admin).json()["end_reason"]
        for one in (child, other)
    ]
    assert reasons == ["parent_ended", None]
    (event,) = told(stage, "sign_in.disowned")
    assert (event["session"], event["actor"]) == (thief.session_id, "mail:acme/bob")
    assert (event["data"], event["user_agent"]) == ({"mail": mail["id"]}, "Thunderbird")
    assert mail_of(stage)["link_used_at"] is not None


def test_the_form_works_as_the_page_has_it_in_a_browser_that_is_signed_in(
    stage: World, own: Surfer, thief: Surfer
) -> None:
    page = own.get(link_of(stage)).text
    (token,) = re.findall(r'name="t" value="([^"]+)"', page)
    cookies = dict(own.cookies)
    answer = own.post("/sign-out/device", {"t": token}, origin="null")

    assert answer.status_code == 200
    assert not is_alive(stage, thief)
    assert is_alive(stage, own)
    assert own.cookies == cookies


def test_the_link_signs_nobody_in_and_neither_page_may_be_kept_framed_or_told_of(
    stage: World, thief: Surfer
) -> None:
    link = link_of(stage)
    for answer in (stage.get(link), use(stage, link), stage.get(link)):
        assert "set-cookie" not in answer.headers
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"


def test_used_expired_broken_and_made_up_links_get_one_page(stage: World, thief: Surfer) -> None:
    link = link_of(stage)
    unknown = link_of(stage, "eml_" + "0" * 26)
    forged = make_link("", Cipher((bytes(32),)), mail_of(stage)["id"])
    assert use(stage, link).status_code == 200
    wrong = [
        link,
        unknown,
        forged,
        link[:-1],
        link[:-1] + ("A" if link[-1] != "A" else "B"),
        link + "x",
        link[:-44] + link[-44:].upper(),
        link[:-70] + link[-70:-44].upper() + link[-44:],
        "/sign-out/device?t=",
        "/sign-out/device",
        "/sign-out/device?t=%00",
        "/sign-out/device?t=" + "0" * 26 + "." + "é" * 43,
        "/sign-out/device?t=" + "x" * 5000,
    ]
    pages = set()
    for one in wrong:
        for answer in (stage.get(one), use(stage, one)):
            if "%00" in one and answer.status_code == 422:
                continue  # what no form of ours sends
            assert answer.status_code == 404, one
            assert WRONG in answer.text
            pages.add(re.sub(r"evt_[0-9a-z]{26}", "", answer.text))
    assert len(pages) == 1


def test_a_link_works_for_a_week(stage: World, thief: Surfer) -> None:
    link = link_of(stage)
    stage.clock.move(LINK_LIFETIME - 1)
    assert stage.get(link).status_code == 200
    stage.clock.move(1)
    assert stage.get(link).status_code == 404
    assert use(stage, link).status_code == 404
    assert told(stage, "sign_in.disowned") == []


def test_a_session_that_is_over_stays_so_and_the_device_is_disowned_all_the_same(
    stage: World, thief: Surfer
) -> None:
    session = thief.session_id
    thief.get("/sign-out")
    thief.submit("/sign-out")
    answer = use(stage, link_of(stage))

    assert "That session was over already" in answer.text
    over = stage.get(f"/v1/sessions/{session}", headers=stage.admin).json()
    assert over["end_reason"] == "signed_out"
    assert len(told(stage, "sign_in.disowned")) == 1


def test_of_two_who_press_at_once_one_succeeds(stage: World, thief: Surfer) -> None:
    link = link_of(stage)
    answers = race(*[lambda: use(stage, link)] * 4)

    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert len(told(stage, "sign_in.disowned")) == 1
    assert len(told(stage, "session.ended")) == 1


def test_the_device_is_news_again_afterwards(stage: World, own: Surfer, thief: Surfer) -> None:
    first = mail_of(stage)["id"]
    use(stage, link_of(stage))
    own.sign_in("acme", "bob")
    assert mail_of(stage)["id"] == first, "one's own device stays known"
    stage.clock.move(1)
    thief.sign_in("acme", "bob")

    second = mail_of(stage)
    assert second["id"] != first
    assert use(stage, link_of(stage)).status_code == 200
    assert not is_alive(stage, thief)


def test_a_user_whose_only_device_was_disowned_is_no_new_user(stage: World) -> None:
    first = Surfer(stage)
    first.sign_in("acme", "bob")
    second = Surfer(stage)
    second.sign_in("acme", "bob")
    use(stage, link_of(stage))
    stage.clock.move(1)
    Surfer(stage).sign_in("acme", "bob")

    assert len(told(stage, "sign_in.new_device")) == 2


def test_what_a_browser_calls_itself_is_no_markup_on_the_page(stage: World, own: Surfer) -> None:
    evil = Surfer(stage, "<script>alert(1)</script>")
    evil.sign_in("acme", "bob")
    page = stage.get(link_of(stage)).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_link_is_of_one_mail_alone(stage: World, thief: Surfer) -> None:
    mail = mail_of(stage)
    token = link_of(stage).partition("t=")[2]

    assert read_link(stage.engine.cipher, token) == mail["id"]
    assert token.startswith(mail["id"].removeprefix("eml_"))
    moved = "0" * 26 + token[26:]
    assert read_link(stage.engine.cipher, moved) is None
