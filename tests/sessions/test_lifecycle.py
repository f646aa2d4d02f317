"""Start, rotate, end: what becomes of sessions, their records and their events."""

import pytest

from iam.db.tables import metadata
from iam.kernel.clock import after
from iam.kernel.events import SYSTEM, Origin
from iam.sessions.lifecycle import ParentEnded
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason
from iam.sessions.policy import Layer
from iam.sessions.validate import Outcome
from tests.support.heart import ADMIN, ANA, Heart, ended_ids, ids

WIKI = Layer("application", "acme", "wiki")
BROWSER = Layer("application", "built-in", BUILT_IN_APPLICATION)


def test_a_session_that_was_started_is_valid_and_in_its_record(heart: Heart) -> None:
    started = heart.start()

    assert heart.verdict(started).outcome is Outcome.VALID
    assert heart.array() == [started.session.id]
    heart.check()


def test_sessions_of_one_user_and_application_share_a_record_in_the_order_of_their_starts(
    heart: Heart,
) -> None:
    first, second, elsewhere = heart.start(), heart.start(), heart.start("chat")

    assert heart.array() == ids([first, second])
    assert heart.array("chat") == ids([elsewhere])


def test_ending_one_session_leaves_its_siblings(heart: Heart) -> None:
    first, second, third = heart.start(), heart.start(), heart.start()

    heart.end(second, reason=EndReason.SIGNED_OUT)

    assert heart.over(second) is EndReason.SIGNED_OUT
    assert [heart.over(first), heart.over(third)] == [None, None]
    assert heart.array() == ids([first, third])
    heart.check()


def test_a_record_goes_with_its_last_session_and_comes_back_with_the_next(heart: Heart) -> None:
    heart.end(heart.start())
    assert heart.array() == []

    again = heart.start()

    assert heart.array() == [again.session.id]
    heart.check()


def test_a_start_leaves_everybody_elses_sessions_alone(heart: Heart) -> None:
    others = [heart.start(), heart.start(user="bob"), heart.start(organization="globex")]

    heart.start()

    assert [heart.over(one) for one in others] == [None, None, None]


def test_what_a_session_was_started_with_is_kept(heart: Heart) -> None:
    started = heart.start(
        instance="wiki.test",
        authenticated_at=heart.now,
        amr=("pwd",),
        origin=Origin(ip="192.0.2.1", user_agent="curl/8"),
        device="curl",
        metadata={"build": [1, {"é": None}]},
    )

    assert heart.stored(started) == started.session
    assert started.session.metadata == {"build": [1, {"é": None}]}


def test_a_session_may_be_started_with_a_shorter_life_than_its_policy_and_never_a_longer_one(
    heart: Heart,
) -> None:
    heart.set_policy(maximum_lifetime=3600)

    shorter, longer = heart.start(maximum_lifetime=60), heart.start(maximum_lifetime=99999)

    assert shorter.session.expires_at == after(heart.now, 60)
    assert longer.session.expires_at == after(heart.now, 3600)


def test_a_child_has_no_later_deadline_than_its_parent(heart: Heart) -> None:
    browser = heart.browser()
    heart.move(1700)
    heart.use(browser)
    heart.move(100)

    child = heart.start(parent=browser)

    assert child.session.parent == browser.session.id
    assert child.session.expires_at == browser.session.expires_at
    heart.check()


def test_entering_an_application_is_activity_of_the_browser_session(heart: Heart) -> None:
    browser = heart.browser()
    heart.move(1700)

    heart.start(parent=browser)
    heart.move(1700)

    assert heart.over(browser) is None


def test_a_session_whose_policy_outlives_the_browser_session_starts_on_its_own(
    heart: Heart,
) -> None:
    heart.set_policy(BROWSER, idle_timeout=600, maximum_lifetime=3600)
    heart.set_policy(WIKI, idle_timeout=86400, maximum_lifetime=864000)
    browser = heart.browser()

    free = heart.start(parent=browser)
    heart.end(browser)

    assert free.session.parent is None
    assert free.session.expires_at == after(heart.now, 864000)
    assert heart.over(free) is None


def test_children_end_with_their_parent_in_the_same_transaction(heart: Heart) -> None:
    browser = heart.browser()
    children = [heart.start(name, parent=browser) for name in ("wiki", "chat", "mail")]
    other = heart.start("wiki", parent=heart.browser())

    ended = heart.end(browser, reason=EndReason.SIGNED_OUT)

    assert ended_ids(ended) == sorted(ids([browser, *children]))
    assert [heart.over(one) for one in children] == [EndReason.PARENT_ENDED] * 3
    assert heart.over(browser) is EndReason.SIGNED_OUT
    assert heart.over(other) is None
    heart.check()


def test_a_child_that_ends_leaves_its_parent(heart: Heart) -> None:
    browser = heart.browser()
    child, sibling = heart.start(parent=browser), heart.start("chat", parent=browser)

    heart.end(child)

    assert [heart.over(browser), heart.over(sibling)] == [None, None]


def test_nothing_can_be_entered_from_a_session_that_is_over_or_never_was(heart: Heart) -> None:
    ended, idle, elsewhere = heart.browser(), heart.browser(), heart.browser()
    heart.end(ended)
    with pytest.raises(ParentEnded):
        heart.start(parent=ended)
    heart.move(1800)
    with pytest.raises(ParentEnded):
        heart.start(parent=idle)
    heart.move(-1800)
    assert heart.over(elsewhere) is None
    assert heart.array() == []
    heart.check()


def test_nothing_can_be_entered_from_a_session_of_an_application(heart: Heart) -> None:
    browser = heart.browser()
    child = heart.start(parent=browser)
    nested = heart.start(BUILT_IN_APPLICATION, parent=browser)

    for parent in (child, nested, heart.start()):
        with pytest.raises(ParentEnded):
            heart.start("chat", parent=parent)


def test_all_sessions_of_a_user_can_be_ended(heart: Heart) -> None:
    mine = [heart.start(), heart.start("chat"), heart.browser()]
    others = [heart.start(user="bob"), heart.start(organization="globex")]

    assert ended_ids(heart.end_selected(user="ana")) == sorted(ids(mine))
    assert [heart.over(one) for one in others] == [None, None]
    heart.check()


def test_all_sessions_of_a_user_but_the_one_in_use_can_be_ended(heart: Heart) -> None:
    here, there = heart.browser(), heart.browser()
    wiki_here, wiki_there = heart.start(parent=here), heart.start(parent=there)

    heart.end_selected(user="ana", but=here.session.id)

    assert [heart.over(one) for one in (here, wiki_here)] == [None, None]
    assert heart.over(there) is EndReason.ENDED_BY_ADMIN
    assert heart.over(wiki_there) is not None


def test_ending_the_others_from_a_child_keeps_its_parent(heart: Heart) -> None:
    browser, other = heart.browser(), heart.start()
    child = heart.start(parent=browser)

    heart.end_selected(user="ana", but=child.session.id)

    assert [heart.over(one) for one in (browser, child)] == [None, None]
    assert heart.over(other) is EndReason.ENDED_BY_ADMIN


def test_all_sessions_of_a_record_an_application_an_organization_or_everybody_can_be_ended(
    heart: Heart,
) -> None:
    one = heart.start()
    heart.move(0.001)
    two = heart.start()
    bob = heart.start(user="bob")
    chat = heart.start("chat")
    globex = heart.start(organization="globex")

    assert ended_ids(heart.end_selected(user="ana", application="wiki")) == ids([one, two])
    assert ended_ids(heart.end_selected(application="wiki")) == ids([bob])
    assert ended_ids(heart.end_selected()) == ids([chat])
    assert ended_ids(heart.end_selected(None)) == ids([globex])
    heart.check()


def test_of_many_sessions_the_oldest_can_be_ended(heart: Heart) -> None:
    all_ = []
    for _ in range(5):
        heart.move(0.001)
        all_.append(heart.start())

    assert ended_ids(heart.end_selected(user="ana", limit=2)) == ids(all_[:2])


def test_more_sessions_than_one_statement_takes_are_ended_together(heart: Heart) -> None:
    heart.start_many(1100)

    assert len(heart.end_selected()) == 1100
    assert heart.array() == []


def test_nothing_ends_twice(heart: Heart) -> None:
    started = heart.start()
    heart.end(started, reason=EndReason.SIGNED_OUT)
    heart.move(1)

    assert heart.end(started) == ()
    assert heart.end_selected() == ()
    heart.move(99999)
    assert heart.sweep() == ()
    assert heart.over(started) is EndReason.SIGNED_OUT
    assert len(heart.events("session.ended")) == 1


def test_ending_what_a_deadline_has_ended_keeps_the_deadlines_reason_and_instant(
    heart: Heart,
) -> None:
    started = heart.start()
    deadline = started.session.idle_expires_at
    heart.move(5000)

    (ended,) = heart.end(started)

    assert (ended.reason, ended.at, ended.actor) == (EndReason.IDLE, deadline, SYSTEM)
    assert heart.stored(started).ended_at == deadline
    heart.check()


def test_unknown_sessions_are_passed_over(heart: Heart) -> None:
    assert heart.end() == ()
    gone = heart.start()
    heart.end(gone)
    known = heart.start()
    assert ended_ids(heart.end(gone, known)) == ids([known])


def test_every_start_and_end_has_its_event_with_actor_reason_and_note(heart: Heart) -> None:
    browser = heart.browser()
    heart.move(1)
    child = heart.start(parent=browser)
    heart.move(60)
    heart.end(browser, reason=EndReason.SIGNED_OUT, note="left the building")

    starts, ends = heart.events("session.started"), heart.events("session.ended")

    assert [e.session for e in starts] == ids([browser, child])
    assert {e.actor for e in starts} == {ANA}
    assert starts[1].data == {"parent": browser.session.id}
    by_session = {e.session: e for e in ends}
    assert by_session[browser.session.id].reason == "signed_out"
    assert by_session[child.session.id].reason == "parent_ended"
    for event in ends:
        assert (event.actor, event.at) == (ADMIN, heart.now)
        assert event.data["note"] == "left the building"
        assert event.data["ended_at"] == heart.now


def test_after_a_rotation_only_the_new_token_is_known(heart: Heart) -> None:
    former = heart.start()

    renewed = heart.rotate(former)

    assert renewed is not None
    assert renewed.session.id == former.session.id
    assert heart.verdict(former).outcome is Outcome.UNKNOWN
    assert heart.verdict(renewed).outcome is Outcome.VALID


def test_a_session_that_is_over_cannot_be_rotated(heart: Heart) -> None:
    ended, idle = heart.start(), heart.start()
    heart.end(ended)
    assert heart.rotate(ended) is None
    heart.move(1800)
    assert heart.rotate(idle) is None


def test_rotating_a_child_does_not_let_it_outlive_its_parent(heart: Heart) -> None:
    browser = heart.browser()
    child = heart.start(parent=browser)
    heart.move(1000)

    renewed = heart.rotate(child)

    assert renewed is not None
    heart.check()
    heart.move(800)
    assert heart.over(browser) is EndReason.IDLE
    assert heart.over(renewed) is EndReason.IDLE


def test_a_token_is_stored_nowhere(heart: Heart) -> None:
    started = heart.start()
    secret = started.token.partition(".")[2]

    def everything() -> str:
        return heart.database.read(
            lambda c: repr([c.execute(t.select()).all() for t in metadata.sorted_tables])
        )

    assert secret not in everything()
    assert started.session.id in everything()
