"""A mailed link sets a password, once, and signs nobody in."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from iam.delivery.links import PASSWORD_PATH, PATH, make_link, read_link
from iam.delivery.mails import LINK_LIFETIME, RESET_LIFETIME
from iam.server.jobs import make_mailer
from tests.support.people import populate
from tests.support.race import race
from tests.support.surfer import Surfer
from tests.support.world import ISSUER, PASSWORD, World, make_world

WRONG = "This link does not work"
NEW = "a password of one's own"


@pytest.fixture
def stage(database_url: str) -> Iterator[World]:
    with make_world(database_url) as world:
        populate(world)
        yield world


@pytest.fixture
def boss(stage: World) -> Surfer:
    """Alice, who administers acme."""
    surfer = Surfer(stage)
    surfer.sign_in("acme", "alice")
    surfer.get("/console/users/new")
    return surfer


def _invite(boss: Surfer, name: str = "ina", **fields: str) -> Any:
    boss.get("/console/users/new")
    sent = {"name": name, "email": f"{name}@acme.example", "invite.mail": "1", **fields}
    return boss.submit("/console/users/new", organization="acme", **sent)


def _mail(world: World) -> dict[str, Any]:
    mail: dict[str, Any] = world.get("/v1/mails", headers=world.admin).json()["items"][0]
    return mail


def _link(world: World) -> str:
    made = make_link(ISSUER, world.engine.cipher, _mail(world)["id"], PASSWORD_PATH)
    return made.removeprefix(ISSUER)


def _use(stranger: Surfer, link: str, new: str = NEW, again: str | None = None) -> Any:
    sent = {"t": link.partition("?t=")[2], "new": new, "again": new if again is None else again}
    return stranger.post(PASSWORD_PATH, sent)


def test_an_invitation_leads_to_a_first_password_and_then_to_the_sign_in_page(
    stage: World, boss: Surfer
) -> None:
    answer = _invite(boss)
    assert answer.headers["location"] == "/console/users/acme/ina?notice=invited"
    mail = _mail(stage)
    assert (mail["kind"], mail["session"]) == ("invitation", None)
    assert mail["recipient"] == "ina@acme.example"
    ina = Surfer(stage)
    page = ina.get(_link(stage))
    assert "Choose a password" in page.text
    assert page.headers["referrer-policy"] == "strict-origin"
    done = _use(ina, _link(stage))
    assert "Your password is set" in done.text
    assert ina.cookies == {}
    assert ina.sign_in("acme", "ina", NEW).status_code == 303


def test_it_lies_as_a_file_in_development_with_the_link_in_it(stage: World, boss: Surfer) -> None:
    _invite(boss)
    mailer = make_mailer(stage.engine)
    stage.portal.call(mailer.run_due)
    folder = stage.engine.settings.mail_folder
    assert folder is not None
    text = (folder / f"{_mail(stage)['id']}.eml").read_text().replace("=\n", "")
    assert "Subject: Your Acme Corporation account" in text
    assert "/set-password?t" in text
    assert _mail(stage)["state"] == "delivered"


def test_a_link_works_once_and_for_a_week(stage: World, boss: Surfer) -> None:
    _invite(boss)
    link, ina = _link(stage), Surfer(stage)
    assert _use(ina, link).status_code == 200
    assert WRONG in ina.get(link).text
    assert WRONG in _use(ina, link, "yet another one").text
    assert ina.sign_in("acme", "ina", NEW).status_code == 303
    _invite(boss, "ida")
    late = _link(stage)
    stage.clock.move(LINK_LIFETIME)
    assert _use(Surfer(stage), late).status_code == 404


def test_of_many_who_use_it_at_once_one_succeeds(stage: World, boss: Surfer) -> None:
    _invite(boss)
    link = _link(stage)
    answers = race(*[lambda: _use(Surfer(stage), link).status_code] * 4)
    assert sorted(answers) == [200, 404, 404, 404]


def test_a_reset_ends_all_sessions_and_works_for_an_hour(stage: World, boss: Surfer) -> None:
    bob = Surfer(stage)
    bob.sign_in("acme", "bob")
    boss.get("/console/users/acme/bob")
    answer = boss.submit("/console/users/acme/bob", do="mail-link")
    assert answer.headers["location"] == "/console/users/acme/bob?notice=mailed"
    assert _mail(stage)["kind"] == "reset"
    assert bob.get("/account/sessions").status_code == 200  # nothing has changed so far
    link = _link(stage)
    assert _use(Surfer(stage), link).status_code == 200
    assert bob.get("/account/sessions").status_code == 303
    assert bob.sign_in("acme", "bob").status_code == 401
    assert bob.sign_in("acme", "bob", NEW).status_code == 303
    told = stage.get("/v1/events?user=bob", headers=stage.admin).json()["items"]
    kinds = [one["type"] for one in told]
    assert "user.link_mailed" in kinds
    changed = next(one for one in told if one["type"] == "user.updated")
    assert changed["actor"] == "mail:acme/bob"
    boss.get("/console/users/acme/bob")
    boss.submit("/console/users/acme/bob", do="mail-link")
    late = _link(stage)
    stage.clock.move(RESET_LIFETIME)
    assert _use(Surfer(stage), late).status_code == 404


def test_a_link_dies_with_the_password_that_it_was_made_for(stage: World, boss: Surfer) -> None:
    boss.get("/console/users/acme/bob")
    boss.submit("/console/users/acme/bob", do="mail-link")
    link = _link(stage)
    boss.submit("/console/users/acme/bob", do="password", password="set by hand")
    assert _use(Surfer(stage), link).status_code == 404
    assert Surfer(stage).sign_in("acme", "bob", "set by hand").status_code == 303


@pytest.mark.parametrize("after", ["disabled", "deleted", "replaced", "moved"])
def test_a_link_is_for_the_user_it_was_mailed_to_and_while_they_are_enabled(
    stage: World, boss: Surfer, after: str
) -> None:
    _invite(boss)
    link, path = _link(stage), "/v1/users/acme/ina"
    if after == "disabled":
        stage.patch(path, json={"enabled": False}, headers=stage.admin)
    elif after == "moved":
        # It went to somebody else's address by mistake.
        stage.patch(path, json={"email": "ina.right@acme.example"}, headers=stage.admin)
    else:
        stage.delete(path, headers=stage.admin)
        if after == "replaced":
            stage.make_user("acme", "ina", password=None)
    assert _use(Surfer(stage), link).status_code == 404


def test_links_for_passwords_and_for_sessions_are_not_exchangeable(
    stage: World, boss: Surfer
) -> None:
    _invite(boss)
    token = _link(stage).partition("?t=")[2]
    assert read_link(stage.engine.cipher, token, PATH) is None
    assert WRONG in Surfer(stage).get(f"{PATH}?t={token}").text
    other = make_link(ISSUER, stage.engine.cipher, _mail(stage)["id"], PATH).partition("?t=")[2]
    assert Surfer(stage).get(f"{PASSWORD_PATH}?t={other}").status_code == 404


def test_what_does_not_fit_sets_nothing(stage: World, boss: Surfer) -> None:
    _invite(boss)
    link, ina = _link(stage), Surfer(stage)
    for new, again in (("short", "short"), (NEW, "something else"), ("", ""), ("x" * 5000,) * 2):
        assert _use(ina, link, new, again).status_code == 422, new[:20]
    for token in ("", "x", "é", "a" * 5000, link.partition("?t=")[2][:-1] + "!"):
        assert _use(ina, f"?t={token}").status_code == 404, token[:20]
    token = link.partition("?t=")[2]
    foreign = ina.post(
        PASSWORD_PATH, {"t": token, "new": NEW, "again": NEW}, origin="https://evil.example"
    )
    assert foreign.status_code == 403
    assert re.search(r"Choose a password", ina.get(link).text)


def test_who_has_no_address_is_not_invited_and_nothing_is_written(
    stage: World, boss: Surfer
) -> None:
    assert _invite(boss, email="").status_code == 422
    assert stage.get("/v1/users/acme/ina", headers=stage.admin).status_code == 404
    stage.make_user("acme", "nomail")
    boss.get("/console/users/acme/nomail")
    assert boss.submit("/console/users/acme/nomail", do="mail-link").status_code == 409
    assert stage.get("/v1/mails", headers=stage.admin).json()["items"] == []


def test_other_tenants_administrators_mail_nobody(stage: World) -> None:
    eve = Surfer(stage)
    eve.sign_in("globex", "eve", PASSWORD)
    eve.get("/console/users/new")
    assert eve.submit("/console/users/acme/bob", do="mail-link").status_code == 404
