"""Many users from a file: a report first, then all that are new, or none."""

from typing import Any

import pytest

from tests.support.surfer import Surfer
from tests.support.world import World

PATH = "/console/users/import"
GOOD = """name,display_name,email,roles
ina,Ina Berg,ina@acme.example,editor reviewer
bob,Somebody else,other@acme.example,administrator
ole,"Dahl, Ole",ole@acme.example,
"""


@pytest.fixture
def boss(alice: Surfer) -> Surfer:
    alice.get(PATH)
    return alice


def _send(boss: Surfer, csv: str, **fields: str) -> Any:
    return boss.submit(PATH, organization="acme", csv=csv, **fields)


def _names(world: World) -> list[str]:
    found = world.get("/v1/users?organization=acme", headers=world.admin).json()["items"]
    return [one["name"] for one in found]


def test_first_it_says_what_becomes_of_each_line_and_writes_nothing(
    world: World, boss: Surfer
) -> None:
    page = _send(boss, GOOD)
    assert page.status_code == 200
    assert "2 new · 1 there already · 0 wrong" in page.text
    assert "Add 2 users" in page.text
    assert _names(world) == ["alice", "bob"]


def test_the_page_says_at_which_step_it_is_and_what_is_being_done(boss: Surfer) -> None:
    form = boss.get("/console/users/import?organization=acme").text
    assert "Step 1 of 2" in form
    assert 'data-once="Checking the lines…"' in form
    page = _send(boss, "name\nina\nole\n").text
    assert "Step 2 of 2" in page
    assert 'data-once="Adding 2 users…"' in page
    assert "Step" not in _send(boss, "name\nina\nole\n", confirmed="1").text


def test_then_it_adds_those_that_are_new_and_leaves_the_others(world: World, boss: Surfer) -> None:
    page = _send(boss, GOOD, confirmed="1")
    assert "2 users have been added" in page.text
    assert _names(world) == ["alice", "bob", "ina", "ole"]
    ole = world.get("/v1/users/acme/ole", headers=world.admin).json()
    assert (ole["display_name"], ole["roles"]) == ("Dahl, Ole", [])
    bob = world.get("/v1/users/acme/bob", headers=world.admin).json()
    assert bob["roles"] == []
    told = world.get("/v1/events?type=user.created&user=ina", headers=world.admin).json()["items"]
    assert told[0]["data"] == {"roles": ["editor", "reviewer"], "imported": True}
    boss.get(PATH)
    assert "Nothing was written" in _send(boss, GOOD, confirmed="1").text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b,x,,", "the name"),
        (",x,,", "the name"),
        ("ina,again,,", "the same name as line 2"),
        ("ida,x,no address,", "no e-mail address"),
        ("ida,x,ida@acme.example,no/role", "a role"),
        ("ida,x", "2 values"),
        ("ida,x,,,more", "5 values"),
        (f"ida,{'x' * 200},,", "display name"),
    ],
)
def test_one_line_that_is_wrong_keeps_all_from_being_written(
    world: World, boss: Surfer, line: str, words: str
) -> None:
    page = _send(boss, GOOD + line + "\n", confirmed="1")
    assert page.status_code == 422
    assert words in page.text
    assert _names(world) == ["alice", "bob"]


@pytest.mark.parametrize(
    "csv",
    [
        "",
        "name\n",
        "user,mail\nx,y\n",
        "name,name\nx,y\n",
        "name,password\nx,secret\n",
        'name\n"never closed\n',
        "name\n" + "".join(f"u{one}\n" for one in range(1001)),
        "name\n" + "x" * (256 * 1024),
    ],
)
def test_what_is_no_file_of_users_is_said_in_words(world: World, boss: Surfer, csv: str) -> None:
    page = _send(boss, csv, confirmed="1")
    assert page.status_code == 422
    assert "This file cannot be read" in page.text
    assert _names(world) == ["alice", "bob"]


def test_a_body_beyond_all_measure_is_not_even_read(boss: Surfer) -> None:
    assert _send(boss, "name\n" + "x" * (2 * 1024 * 1024)).status_code == 422


def test_a_spreadsheet_with_semicolons_and_a_byte_order_mark_is_read(
    world: World, boss: Surfer
) -> None:
    _send(boss, "\ufeffName;Email\r\nina;ina@acme.example\r\n\r\n", confirmed="1")
    assert "ina" in _names(world)


def test_a_language_and_a_time_zone_come_along_or_are_said_not_to_be(
    world: World, boss: Surfer
) -> None:
    page = _send(boss, "name,locale\nina,de\nole,tlh\n", confirmed="1")
    assert page.status_code == 422
    assert "no such language or time zone" in page.text
    boss.get(PATH)
    file = "name,email,locale,zoneinfo\nina,ina@acme.example,de,Europe/Berlin\n"
    _send(boss, file, confirmed="1", invite="1")
    ina = world.get("/v1/users/acme/ina", headers=world.admin).json()
    assert (ina["locale"], ina["zoneinfo"]) == ("de", "Europe/Berlin")


def test_new_users_are_invited_where_that_is_asked_for(world: World, boss: Surfer) -> None:
    _send(boss, GOOD, confirmed="1", invite="1")
    mails = world.get("/v1/mails", headers=world.admin).json()["items"]
    assert sorted((one["kind"], one["user"]) for one in mails) == [
        ("invitation", "ina"),
        ("invitation", "ole"),
    ]
    boss.get(PATH)
    page = _send(boss, "name\nnobody\n", confirmed="1", invite="1")
    assert page.status_code == 422
    assert "an invitation needs an e-mail address" in page.text


def test_it_is_for_ones_own_organization_and_after_a_sign_in_of_late(
    world: World, boss: Surfer
) -> None:
    foreign = boss.submit(PATH, organization="globex", csv=GOOD, confirmed="1")
    assert foreign.status_code == 404
    world.clock.move(15 * 60 + 1)
    boss.get(PATH)
    answer = _send(boss, GOOD, confirmed="1")
    assert answer.headers["location"].startswith("/sign-in/acme?prompt=login")
    assert _names(world) == ["alice", "bob"]


def test_a_thousand_at_once(world: World, boss: Surfer) -> None:
    page = _send(boss, "name\n" + "".join(f"u{one}\n" for one in range(1000)), confirmed="1")
    assert "1,000 users have been added" in page.text
