"""`/console`: figures that are right, never behind, and of nobody else's tenant."""

import re

import pytest

from iam.audit.figures import HOUR, count_next_hours, read_figures
from iam.kernel.clock import Instant
from iam.sessions.figures import count_live, read_shares
from tests.support.people import enter, populate
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import ADMIN_PASSWORD, World


def _figures(page: str) -> dict[str, str]:
    """The numbers at the top of the page."""
    found = re.findall(r"<dt>([^<]*)</dt><dd[^>]*>(?:<a[^>]*>)?([\d,]+\+?)<", page)
    return dict(found)


def test_the_overview_counts_what_happened_so_far(world: World, alice: Surfer, bob: Surfer) -> None:
    enter(world, bob.session_id, "wiki")
    stranger = Surfer(world)
    stranger.sign_in("acme", "bob", "wrong")
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    assert _figures(alice.get("/console").text) == {
        "Live now": "3",
        "Started": "3",
        "Ended": "0",
        "Sign-ins": "2",
        "Failed sign-ins": "1",
    }
    assert "globex" not in alice.page
    bob.get("/sign-out")
    bob.submit("/sign-out")
    figures = _figures(alice.get("/console").text)
    assert (figures["Live now"], figures["Ended"]) == ("1", "2")
    assert "Browser session ended" in alice.page
    admin = Surfer(world)
    admin.sign_in("built-in", "admin", ADMIN_PASSWORD)
    assert _figures(admin.get("/console").text)["Live now"] == "3"
    assert _figures(admin.get("/console?organization=globex").text)["Live now"] == "1"


@pytest.mark.parametrize("name", ["24h", "7d", "30d", "nonsense"])
def test_each_range_has_a_chart_and_its_table(alice: Surfer, name: str) -> None:
    page = alice.get(f"/console?range={name}").text
    pieces = {"7d": 28, "30d": 30}.get(name, 24)
    assert page.count('class="plot-touch"') == pieces
    assert page.count('<td class="number">') == 3 * pieces + page.count('<svg viewBox="0 0 100 4"')
    assert "style=" not in page


def test_another_tenants_overview_does_not_exist(alice: Surfer, bob: Surfer) -> None:
    for organization in ("globex", "nobody", "%00"):
        assert alice.get(f"/console?organization={organization}").status_code in (200, 404)
        assert "Globex" not in alice.page
    assert alice.get("/console?organization=globex").status_code == 404
    assert bob.get("/console").status_code == 403


def test_hours_that_were_counted_say_the_same_as_their_events(both_worlds: World) -> None:
    world = both_worlds
    populate(world)
    database, start = world.engine.database, Instant(world.clock() // HOUR * HOUR)

    def read(organization: str | None) -> dict[tuple[int, str], int]:
        return dict(database.read(lambda c: read_figures(c, organization, start, HOUR)))

    for hour in range(4):
        surfer = Surfer(world)
        surfer.sign_in("acme", "bob")
        for _ in range(hour):
            Surfer(world).sign_in("acme", "bob")
        Surfer(world).sign_in("globex", "eve", "wrong")
        surfer.get("/sign-out")
        surfer.submit("/sign-out")
        world.clock.move(3600)
    before = {one: read(one) for one in ("acme", "globex", None)}
    assert before["acme"][3, "session.started"] == 4
    assert before["acme"][2, "session.ended:signed_out"] == 1
    assert before[None][1, "sign_in.failed"] == 1
    assert [database.write(lambda c: count_next_hours(c, world.clock())) for _ in range(2)] == [
        False,
        False,
    ]
    assert {one: read(one) for one in ("acme", "globex", None)} == before
    Surfer(world).sign_in("acme", "bob")
    world.clock.move(7200)
    world.sweep()
    after = read("acme")
    assert after[4, "sign_in.succeeded"] == 1
    assert after[3, "session.started"] == 4


def test_many_events_are_counted_some_hours_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iam.audit.figures._AT_ONCE", 5)
    populate(world)
    database, start = world.engine.database, Instant(world.clock() // HOUR * HOUR)
    for _ in range(5):
        for _ in range(3):
            Surfer(world).sign_in("acme", "bob")
        world.clock.move(3600)
    before = dict(database.read(lambda c: read_figures(c, "acme", start, HOUR)))
    turns = 1
    while database.write(lambda c: count_next_hours(c, world.clock())):
        turns += 1
    assert turns > 2
    assert dict(database.read(lambda c: read_figures(c, "acme", start, HOUR))) == before


def test_what_lives_now_leaves_out_what_a_deadline_has_ended(both_worlds: World) -> None:
    world = both_worlds
    populate(world)
    for agent in (IPHONE, "curl/8.9"):
        Surfer(world, user_agent=agent).sign_in("acme", "bob")
    Surfer(world).sign_in("globex", "eve")
    database = world.engine.database

    def live(organization: str | None) -> int:
        return database.read(lambda c: count_live(c, organization, world.clock())).number

    assert (live("acme"), live("globex"), live(None)) == (2, 1, 3)
    shares = database.read(lambda c: read_shares(c, None))
    assert shares.applications == (("acme", "app-built-in", 2), ("globex", "app-built-in", 1))
    assert {label for label, _ in shares.devices} == {
        "Mobile Safari on iOS",
        "curl",
        "Firefox on Linux",
    }
    world.clock.move(31 * 60)
    assert live(None) == 0  # before any sweep


def test_how_many_live_is_right_whenever_it_is_measured(both_worlds: World) -> None:
    world = both_worlds
    populate(world)
    database = world.engine.database

    def live() -> list[int]:
        return [
            database.read(lambda c, one=name: count_live(c, one, world.clock())).number  # type: ignore[misc] # mypy cannot infer defaults
            for name in ("acme", "globex", None)
        ]

    bob = Surfer(world)
    bob.sign_in("acme", "bob")
    world.clock.move(2 * 3600)  # idle by now, and noted by the sweep, which counts as well
    stays = Surfer(world)
    stays.sign_in("acme", "alice")
    world.sweep()
    assert live() == [1, 0, 1]
    Surfer(world).sign_in("globex", "eve")
    Surfer(world).sign_in("acme", "bob")
    assert live() == [2, 1, 3]
    stays.get("/sign-out")
    stays.submit("/sign-out")
    assert live() == [1, 1, 2]
    world.clock.move(31 * 60)
    assert live() == [0, 0, 0]  # before any sweep
    world.sweep()
    assert live() == [0, 0, 0]
    world.clock.move(2 * 3600)
    Surfer(world).sign_in("globex", "eve")
    world.sweep()
    assert live() == [0, 1, 1]
