"""What runs beside the requests: it loses nothing, and does not keep the gate waiting."""

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from iam.audit import list_events
from iam.audit.events import purge
from iam.audit.feed import newest, read_after
from iam.audit.figures import count_next_hours
from iam.kernel.clock import Instant, after
from iam.server.jobs import write_touches
from iam.web.engine import in_thread
from tests.support.world import ADMIN_PASSWORD, World


def test_a_stop_in_the_middle_of_writing_touches_leaves_the_rest_to_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine
    ids = [f"ses_{number:026d}" for number in range(5000)]
    waiting = {one: world.clock() for one in ids}
    monkeypatch.setattr(engine.touches, "_pending", dict(waiting))
    engine.touches.due_at = Instant(0)
    begun, may_end = threading.Event(), threading.Event()
    write = engine.database.write

    def slow(work: Callable[[Any], Any]) -> Any:
        begun.set()
        may_end.wait(60)
        return write(work)

    monkeypatch.setattr(engine.database, "write", slow)

    async def stop_half_way() -> None:
        writing = asyncio.create_task(write_touches(engine))
        await asyncio.to_thread(begun.wait, 60)
        writing.cancel()
        may_end.set()
        await asyncio.gather(writing, return_exceptions=True)

    world.portal.call(stop_half_way)

    assert engine.touches.take() == waiting


def test_the_gate_answers_while_every_caller_waits_for_the_database(world: World) -> None:
    world.make_organization("acme")
    world.make_application("acme", "wiki", gate_hosts=["wiki.test"])
    may_end = threading.Event()

    async def ask_meanwhile() -> list[asyncio.Task[bool]]:
        # More than there are threads for callers.
        callers = [asyncio.create_task(in_thread(lambda: may_end.wait(60))) for _ in range(60)]
        await asyncio.sleep(0)
        return callers

    world.portal.call(ask_meanwhile)
    answer = world.get("/gate/nginx", headers={"x-forwarded-host": "wiki.test"})
    may_end.set()

    assert answer.status_code == 401


def test_the_metrics_say_how_many_sessions_live(both_worlds: World) -> None:
    world = both_worlds

    def active() -> float:
        world.engine.metrics.count_again_at = 0.0
        world.sweep()
        line = re.search(r"^iam_sessions_active (\S+)$", world.get("/metrics").text, re.MULTILINE)
        assert line is not None
        return float(line[1])

    assert active() == 0
    tokens = [world.sign_in("built-in", "admin", password=ADMIN_PASSWORD) for _ in range(3)]
    assert active() == 3
    world.delete("/v1/session", headers=world.bearer(tokens[0]))
    assert active() == 2
    world.clock.move(24 * 3600)
    assert active() == 0


def test_events_go_after_their_time_all_but_the_newest(both_worlds: World) -> None:
    world = both_worlds
    for name in ("acme", "globex"):
        world.make_organization(name)
        world.clock.move(1)

    def noted() -> list[str | None]:
        found = world.engine.database.read(
            lambda c: list_events(c, organization=None, type_="organization.created")
        )
        return [one.organization for one in found]

    kept = noted()
    world.clock.move(world.engine.settings.event_retention - 60)
    world.sweep()
    assert noted() == kept, "they are not old enough"
    world.clock.move(120)
    # The sweep before noted the ends of what had expired, which is newer than all of these.
    world.sweep()
    assert noted() == []
    assert world.engine.database.read(lambda c: list_events(c, organization=None))


def test_whoever_follows_events_misses_none_when_old_ones_go(both_worlds: World) -> None:
    world = both_worlds
    database = world.engine.database
    # Of one instant: their IDs are in another order than they were written in.
    for _ in range(8):
        assert world.admin
    position = database.read(lambda c: newest(c, world.clock()))
    later = after(world.clock(), 2 * 86400)
    assert database.write(lambda c: purge(c, later, 86400)) == 0, "they have not been counted"
    while database.write(lambda c: count_next_hours(c, later)):
        pass
    assert database.write(lambda c: purge(c, later, 86400)) >= 16

    world.make_organization("acme")

    found, _ = database.read(lambda c: read_after(c, position))
    assert "organization.created" in [one.type for one in found]
