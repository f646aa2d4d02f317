"""How many sessions a user may have, and who makes room for whom."""

from functools import partial

import pytest

from iam.kernel.clock import after
from iam.sessions.knobs import AtLimit
from iam.sessions.lifecycle import Started
from iam.sessions.limits import SessionLimit
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason
from iam.sessions.policy import Layer
from tests.support.heart import ANA, Heart, ended_ids, ids
from tests.support.race import race, unexpected

ACME = Layer("organization", "acme")
WIKI = Layer("application", "acme", "wiki")
BROWSER = Layer("application", "built-in", BUILT_IN_APPLICATION)


def live(heart: Heart, *started: Started) -> list[bool]:
    return [heart.over(one) is None for one in started]


def test_where_nothing_is_limited_a_user_has_any_number(heart: Heart) -> None:
    many = [heart.start() for _ in range(5)]

    assert all(live(heart, *many))
    assert heart.array() == ids(many)


@pytest.mark.parametrize("at_limit", [None, *AtLimit])
def test_up_to_the_limit_nobody_has_to_go(heart: Heart, at_limit: AtLimit | None) -> None:
    heart.set_policy(WIKI, maximum_sessions=3, at_limit=at_limit)

    three = [heart.start() for _ in range(3)]

    assert all(live(heart, *three))


def test_the_least_recently_active_makes_room_where_no_layer_says_who(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_sessions=2)
    first, second = heart.start(), heart.start()
    heart.move(300)
    heart.use(first)

    third = heart.start()

    assert live(heart, first, second, third) == [True, False, True]
    (ended,) = third.ended
    assert (ended.session.id, ended.reason, ended.actor) == (
        second.session.id,
        EndReason.LIMIT,
        ANA,
    )
    assert heart.array() == ids([first, third])
    heart.check()


def test_the_oldest_makes_room_where_the_policy_says_so_however_active_it_is(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_sessions=2, at_limit="end_oldest")
    first = heart.start()
    heart.move(1)
    second = heart.start()
    heart.move(300)
    heart.use(first)

    third = heart.start()

    assert live(heart, first, second, third) == [False, True, True]


@pytest.mark.parametrize("at_limit", [AtLimit.REFUSE, AtLimit.ASK])
def test_a_sign_in_beyond_the_limit_is_refused_and_leaves_everything_as_it_was(
    heart: Heart, at_limit: AtLimit
) -> None:
    heart.set_policy(WIKI, maximum_sessions=2, at_limit=at_limit)
    two = [heart.start(), heart.start()]
    events = len(heart.events())

    with pytest.raises(SessionLimit) as refused:
        heart.start()

    crowd = refused.value.crowd
    assert (crowd.surplus, crowd.may_choose) == (1, at_limit is AtLimit.ASK)
    assert {one.id for one in crowd.sessions} == set(ids(two))
    assert all(live(heart, *two))
    assert heart.array() == ids(two)
    assert len(heart.events()) == events


def test_who_may_choose_gives_up_what_they_name(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_sessions=2, at_limit="ask")
    first, second = heart.start(), heart.start()

    third = heart.start(chosen=[first.session.id])

    assert live(heart, first, second, third) == [False, True, True]
    assert heart.over(first) is EndReason.ENDED_BY_USER


def test_nobody_can_name_a_session_of_somebody_else(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_sessions=1, at_limit="ask")
    bobs, own = heart.start(user="bob"), heart.start()

    with pytest.raises(SessionLimit):
        heart.start(chosen=[bobs.session.id])

    assert live(heart, bobs, own) == [True, True]


def test_where_the_policy_refuses_naming_a_session_is_of_no_use(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_sessions=1, at_limit="refuse")
    own = heart.start()

    with pytest.raises(SessionLimit):
        heart.start(chosen=[own.session.id])

    assert heart.over(own) is None


def test_what_has_ended_or_run_out_takes_no_place(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_sessions=1, at_limit="refuse", idle_timeout=60)
    ended = heart.start()
    heart.end(ended)
    idle = heart.start()
    heart.move(60)

    new = heart.start()

    assert heart.over(idle) is EndReason.IDLE
    assert heart.over(new) is None


def test_users_applications_and_tenants_do_not_take_each_others_places(heart: Heart) -> None:
    heart.set_policy(maximum_sessions=1, at_limit="refuse")

    all_ = [
        heart.start(),
        heart.start(user="bob"),
        heart.start("chat"),
        heart.start(organization="globex"),
    ]

    assert all(live(heart, *all_))


def test_an_exclusive_session_ends_the_users_others_at_that_application(heart: Heart) -> None:
    heart.set_policy(WIKI, exclusive=True, at_limit="refuse")
    first, elsewhere = heart.start(), heart.start("chat")

    second = heart.start()

    assert heart.over(first) is EndReason.EXCLUSIVE
    assert live(heart, second, elsewhere) == [True, True]
    assert ended_ids(second.ended) == ids([first])
    heart.check()


def test_an_exclusive_sign_in_takes_along_what_was_entered_from_the_former(heart: Heart) -> None:
    heart.set_policy(BROWSER, exclusive=True)
    former = heart.browser()
    child = heart.start(parent=former)

    new = heart.browser()

    assert heart.over(former) is EndReason.EXCLUSIVE
    assert heart.over(child) is EndReason.PARENT_ENDED
    assert heart.over(new) is None
    heart.check()


def test_entering_more_applications_from_one_browser_takes_one_place(heart: Heart) -> None:
    heart.set_policy(ACME, maximum_user_sessions=2, at_limit="refuse")
    laptop, phone = heart.browser(), heart.browser()

    entered = [heart.start(name, parent=laptop) for name in ("wiki", "chat", "mail")]

    assert all(live(heart, laptop, phone, *entered))
    with pytest.raises(SessionLimit) as refused:
        heart.start("wiki")
    assert {one.id for one in refused.value.crowd.sessions} == set(ids([laptop, phone]))


def test_a_place_that_is_given_up_is_left_by_all_that_was_entered_from_it(heart: Heart) -> None:
    heart.set_policy(ACME, maximum_user_sessions=1)
    heart.set_policy(Layer("application", "acme", "phone"), maximum_lifetime=864000)
    browser = heart.browser()
    child = heart.start("wiki", parent=browser)
    independent = heart.start("phone", parent=browser)
    heart.move(1)

    heart.browser()

    assert heart.over(browser) is EndReason.LIMIT
    assert heart.over(child) is EndReason.PARENT_ENDED
    assert heart.over(independent) is EndReason.LIMIT
    heart.check()


def test_after_a_limit_was_lowered_the_next_start_keeps_to_it(heart: Heart) -> None:
    many = [heart.start(instance=str(number)) for number in range(5)]
    heart.set_policy(Layer("user", "acme", "ana"), maximum_sessions=2)
    assert sum(live(heart, *many)) == 2

    new = heart.start()

    assert sum(live(heart, *many)) == 1
    assert heart.over(new) is None


@pytest.mark.parametrize("at_limit", ["refuse", "ask", "end_oldest", "end_least_recently_active"])
def test_parallel_sign_ins_leave_exactly_as_many_sessions_as_are_allowed(
    heart: Heart, at_limit: str
) -> None:
    heart.set_policy(WIKI, maximum_sessions=4, at_limit=at_limit)
    before = [heart.start() for _ in range(3)]

    results = race(*[heart.start] * 8)

    assert not unexpected(results, SessionLimit)
    refused = [one for one in results if isinstance(one, SessionLimit)]
    assert len(refused) == (7 if at_limit in ("refuse", "ask") else 0)
    started = [one for one in results if isinstance(one, Started)]
    assert len(heart.array()) == 4
    assert sum(live(heart, *before, *started)) == 4
    heart.check()


def test_parallel_exclusive_sign_ins_leave_one(heart: Heart) -> None:
    heart.set_policy(WIKI, exclusive=True)
    heart.start()

    results = race(*[heart.start] * 8)

    assert not unexpected(results)
    assert len(heart.array()) == 1
    heart.check()


def test_parallel_sign_ins_at_several_applications_leave_the_users_number(heart: Heart) -> None:
    heart.set_policy(ACME, maximum_user_sessions=3)

    results = race(*[partial(heart.start, f"app-{number % 4}") for number in range(8)])

    assert not unexpected(results)
    assert sum(live(heart, *results)) == 3
    heart.check()


def test_a_start_that_fails_after_making_room_has_ended_nothing(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_sessions=1)
    own, gone = heart.start(), heart.browser()
    heart.end(gone)

    (error,) = race(partial(heart.start, parent=gone))

    assert isinstance(error, Exception)
    assert heart.over(own) is None


def test_a_remembered_session_has_times_of_its_own(heart: Heart) -> None:
    kept, usual = heart.browser(remembered=True).session, heart.browser().session

    assert (kept.idle_timeout, kept.expires_at) == (14 * 86400, after(heart.now, 30 * 86400))
    assert (usual.idle_timeout, usual.expires_at) == (1800, after(heart.now, 43200))
    assert (kept.remembered, usual.remembered) == (True, False)


def test_where_nobody_may_ask_to_be_remembered_nobody_is(heart: Heart) -> None:
    heart.set_policy(ACME, remember_maximum_lifetime=0)

    session = heart.browser(remembered=True).session

    assert not session.remembered
    assert session.idle_timeout == 1800
