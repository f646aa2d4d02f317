"""Activity: what keeps a session alive, how exactly, and what it can never do."""

from iam.kernel.clock import Instant, after
from iam.sessions.model import EndReason
from iam.sessions.policy import INSTALLATION
from tests.support.heart import Heart


def test_activity_keeps_a_session_alive(heart: Heart) -> None:
    started = heart.start()

    for _ in range(10):
        heart.move(1000)
        heart.use(started)

    assert heart.over(started) is None


def test_activity_in_a_child_keeps_its_parent_alive(heart: Heart) -> None:
    browser = heart.browser()
    child = heart.start(parent=browser)

    for _ in range(10):
        heart.move(1000)
        heart.use(child)
        heart.check()

    assert heart.over(browser) is None


def test_activity_in_the_parent_does_not_keep_a_child_alive(heart: Heart) -> None:
    browser = heart.browser()
    child = heart.start(parent=browser)

    for _ in range(2):
        heart.move(1000)
        heart.use(browser)

    assert heart.over(browser) is None
    assert heart.over(child) is EndReason.IDLE


def test_a_touch_is_written_only_when_it_moves_a_twentieth_of_the_idle_timeout(
    heart: Heart,
) -> None:
    heart.set_policy(idle_timeout=200)
    started = heart.start()

    heart.move(9.999)
    heart.use(started)
    assert heart.stored(started).last_active_at == started.session.last_active_at
    heart.move(0.001)
    heart.use(started)
    assert heart.stored(started).last_active_at == heart.now


def test_a_long_idle_timeout_is_kept_to_a_minute(heart: Heart) -> None:
    heart.set_policy(idle_timeout=86400)
    started = heart.start()

    heart.move(60)
    heart.use(started)

    assert heart.stored(started).last_active_at == heart.now


def test_touches_wait_at_most_a_second_and_less_close_to_the_deadline(heart: Heart) -> None:
    heart.set_policy(idle_timeout=60)
    started = heart.start()
    row = heart.verdict(started).row
    assert row is not None

    heart.touches.note(row, after(heart.now, 10))
    assert heart.touches.due_at == after(heart.now, 11)
    heart.touches.note(row, Instant(heart.now + 59_000))
    assert heart.touches.due_at == after(heart.now, 11), "the older one is still to be written"
    assert heart.touches.take() == {started.session.id: heart.now + 59_000}
    heart.touches.note(row, Instant(heart.now + 59_000))
    assert heart.touches.due_at == heart.now + 59_500
    assert heart.touches.take() != {}
    assert heart.touches.take() == {}
    assert heart.touches.due_at is None


def test_touches_that_could_not_be_written_are_kept_for_another_try(heart: Heart) -> None:
    started = heart.start()
    heart.move(100)
    row = heart.verdict(started).row
    assert row is not None
    heart.touches.note(row, heart.now)
    taken = heart.touches.take()

    heart.touches.note(row, after(heart.now, 5))
    heart.touches.put_back(taken, after(heart.now, 6))

    assert heart.touches.take() == {started.session.id: after(heart.now, 5)}


def test_a_touch_never_moves_activity_back(heart: Heart) -> None:
    started = heart.start()
    heart.move(100)
    heart.use(started)

    heart.write({started.session.id: Instant(heart.now - 50_000)})

    assert heart.stored(started).last_active_at == heart.now


def test_a_touch_does_not_revive_what_was_ended(heart: Heart) -> None:
    started = heart.start()
    heart.end(started)
    before = heart.stored(started)
    heart.move(10)

    heart.write({started.session.id: heart.now})

    assert heart.stored(started) == before


def test_a_touch_that_comes_after_the_deadline_does_not_revive(heart: Heart) -> None:
    heart.set_policy(idle_timeout=60)
    started = heart.start()
    heart.move(59)
    touch = {started.session.id: heart.now}
    heart.move(1)
    assert heart.over(started) is EndReason.IDLE

    heart.write(touch)

    assert heart.over(started) is EndReason.IDLE


def test_a_touch_from_before_a_stricter_policy_does_not_revive(heart: Heart) -> None:
    started = heart.start_many(1001)
    heart.move(100)
    touches = {one.session.id: heart.now for one in started}
    heart.set_policy(INSTALLATION, idle_timeout=60)
    array = heart.array()
    unnoted = [one for one in started if one.session.id in array]
    assert len(unnoted) == 1

    heart.write(touches)

    assert heart.over(unnoted[0]) is EndReason.POLICY


def test_touches_of_unknown_sessions_and_none_at_all_change_nothing(heart: Heart) -> None:
    heart.write({})
    heart.write({"ses_unknown": heart.now})
    heart.check()
