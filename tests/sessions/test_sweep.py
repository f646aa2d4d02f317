"""The sweep: it notes what deadlines ended, and in time forgets it."""

from iam.kernel.events import SYSTEM
from iam.sessions import store, sweep
from iam.sessions.model import EndReason
from tests.support.heart import Heart, ended_ids, ids


def test_the_sweep_notes_the_reason_the_instant_and_takes_the_id_off_the_record(
    heart: Heart,
) -> None:
    heart.set_policy(idle_timeout=60, maximum_lifetime=100)
    idle, used = heart.start(), heart.start()
    for _ in range(2):
        heart.move(40)
        heart.use(used)
    fresh = heart.start()
    heart.move(25)

    assert sorted(ended_ids(heart.sweep())) == sorted(ids([idle, used]))

    for one, reason in ((idle, EndReason.IDLE), (used, EndReason.EXPIRED)):
        row = heart.stored(one)
        assert (row.end_reason, row.ended_by) == (reason, SYSTEM)
        assert row.ended_at == row.idle_expires_at
    assert heart.array() == ids([fresh])
    assert {e.reason for e in heart.events("session.ended")} == {"idle", "expired"}
    heart.check()


def test_the_sweep_leaves_what_lives(heart: Heart) -> None:
    started = heart.start()
    heart.move(1799.999)

    assert heart.sweep() == ()
    assert heart.over(started) is None


def test_a_second_sweep_finds_nothing(heart: Heart) -> None:
    heart.start()
    heart.move(1800)

    assert len(heart.sweep()) == 1
    assert heart.sweep() == ()
    assert len(heart.events("session.ended")) == 1


def test_the_sweep_works_in_batches(heart: Heart) -> None:
    for _ in range(5):
        heart.start()
    heart.move(1800)

    assert [len(heart.sweep(2)) for _ in range(4)] == [2, 2, 1, 0]
    heart.check()


def test_a_parent_and_its_children_that_fall_due_together_each_have_their_deadline_as_reason(
    heart: Heart,
) -> None:
    browser = heart.browser()
    child = heart.start(parent=browser)
    heart.move(1800)

    heart.sweep()

    assert [heart.over(one) for one in (browser, child)] == [EndReason.IDLE] * 2
    heart.check()


def test_validation_does_not_wait_for_the_sweep(heart: Heart) -> None:
    started = heart.start()
    heart.move(1800)

    assert heart.over(started) is EndReason.IDLE
    heart.sweep()
    assert heart.over(started) is EndReason.IDLE


def test_what_ended_is_kept_for_its_retention_and_then_purged(heart: Heart) -> None:
    ended, live = heart.start(), heart.start()
    heart.end(ended)

    def purge() -> int:
        return heart.database.write(lambda c: sweep.purge(c, heart.now, retention=600))

    heart.move(600)
    assert purge() == 0
    heart.move(0.001)
    assert purge() == 1
    assert purge() == 0
    assert heart.database.read(lambda c: store.read_session(c, ended.session.id)) is None
    assert heart.over(live) is None
    assert len(heart.events("session.ended")) == 1, "the event stays"
