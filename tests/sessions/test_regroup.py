"""`end_children` turned while sessions live: those that were entered from a browser follow at once."""

from collections import Counter

import pytest

from iam.kernel.clock import after
from iam.sessions import lock
from iam.sessions.lifecycle import Started
from iam.sessions.model import EndReason
from iam.sessions.policy import INSTALLATION, Layer
from iam.sessions.validate import Hold
from tests.support.heart import ADMIN, Heart, ids
from tests.support.race import race, unexpected

ACME = Layer("organization", "acme")
WIKI = Layer("application", "acme", "wiki")
LONG = {"idle_timeout": 864000, "maximum_lifetime": 864000}


def _lock(heart: Heart, started: Started) -> None:
    heart.database.write(
        lambda c: lock.lock(c, started.session.id, actor=ADMIN, now=heart.now, random=heart.random)
    )


def test_sessions_that_would_have_outlived_their_browser_session_end_with_it(heart: Heart) -> None:
    heart.set_policy(WIKI, **LONG)
    browser = heart.browser()
    wiki, chat = heart.start(parent=browser), heart.start("chat", parent=browser)
    offline = heart.start()
    assert wiki.session.parent is None

    impact = heart.change(WIKI, {**LONG, "end_children": True}).impact

    child = heart.stored(wiki)
    assert (child.parent, child.entered_through) == (browser.session.id, None)
    assert child.idle_timeout == browser.session.idle_timeout
    assert child.expires_at == browser.session.expires_at
    assert impact.shortened == Counter({("acme", "wiki"): 1})
    assert impact.ended == Counter()
    assert [one.id for one in impact.sample] == ids([wiki])
    assert heart.stored(offline) == offline.session, "who was entered from no browser stays"
    assert heart.stored(chat) == chat.session
    heart.check()
    heart.end(browser)
    assert heart.over(wiki) is EndReason.PARENT_ENDED
    assert heart.over(offline) is None
    heart.check()


def test_what_its_browser_session_has_left_behind_is_over(heart: Heart) -> None:
    heart.set_policy(ACME, end_children=False)
    gone, idle, there = heart.browser(), heart.browser(), heart.browser()
    first, second, third = (heart.start(parent=one) for one in (gone, idle, there))
    heart.end(gone)
    for _ in range(3):
        heart.move(1000)
        for one in (first, second, third, there):
            heart.use(one)
    assert heart.over(idle) is EndReason.IDLE

    impact = heart.change(ACME, {"end_children": True}).impact

    assert [heart.over(one) for one in (first, second, third)] == [EndReason.POLICY] * 2 + [None]
    assert impact.ended == Counter({("acme", "wiki"): 2})
    assert impact.shortened == Counter({("acme", "wiki"): 1})
    assert heart.stored(first).ended_by == ADMIN
    heart.sweep()
    heart.check()


def test_where_it_is_not_to_end_them_any_more_children_go_on_by_themselves(heart: Heart) -> None:
    browser = heart.browser()
    wiki, chat = heart.start(parent=browser), heart.start("chat", parent=browser)

    impact = heart.change(WIKI, {"end_children": False}).impact

    free = heart.stored(wiki)
    assert (free.parent, free.entered_through) == (None, browser.session.id)
    assert (free.idle_timeout, free.expires_at) == (
        wiki.session.idle_timeout,
        wiki.session.expires_at,
    ), "no deadline moves to later"
    assert not impact.shortened
    assert not impact.ended
    heart.end(browser)
    assert heart.over(wiki) is None
    assert heart.over(chat) is EndReason.PARENT_ENDED
    heart.check()


def test_where_no_layer_says_their_own_times_do(heart: Heart) -> None:
    heart.set_policy(ACME, end_children=False)
    heart.set_policy(Layer("application", "acme", "phone"), **LONG)
    browser = heart.browser()
    wiki, phone = heart.start(parent=browser), heart.start("phone", parent=browser)

    heart.set_policy(ACME)

    assert heart.stored(wiki).parent == browser.session.id
    assert heart.stored(phone).parent is None
    heart.set_policy(ACME, end_children=True)
    assert heart.stored(phone).parent == browser.session.id
    heart.set_policy(ACME)
    assert heart.stored(phone).parent is None
    heart.check()


def test_a_change_that_is_undone_leaves_each_with_whom_it_was(heart: Heart) -> None:
    browser = heart.browser()
    child = heart.start(parent=browser)
    heart.set_policy(WIKI, end_children=False)

    heart.set_policy(WIKI)

    assert heart.stored(child) == child.session


def test_the_strictest_layer_decides(heart: Heart) -> None:
    heart.set_policy(ACME, end_children=False)
    browser, bobs = heart.browser(), heart.browser("bob")
    anas, bob = heart.start(parent=browser), heart.start(user="bob", parent=bobs)

    heart.set_policy(Layer("user", "acme", "ana"), end_children=True)

    assert heart.stored(anas).parent == browser.session.id
    assert heart.stored(bob).parent is None
    heart.set_policy(INSTALLATION, end_children=True)
    assert heart.stored(bob).parent == bobs.session.id
    heart.check()


def test_the_activity_of_who_joins_is_its_browser_sessions(heart: Heart) -> None:
    heart.set_policy(WIKI, end_children=False)
    browser = heart.browser()
    wiki = heart.start(parent=browser)
    heart.move(1200)
    heart.use(wiki)

    heart.set_policy(WIKI, end_children=True)

    assert heart.stored(browser).last_active_at == heart.stored(wiki).last_active_at == heart.now
    heart.check()
    heart.move(1700)
    assert [heart.over(one) for one in (browser, wiki)] == [None, None]


def test_who_was_idle_for_longer_than_its_browser_session_may_be_is_over(heart: Heart) -> None:
    heart.set_policy(WIKI, **LONG)
    browser = heart.browser()
    wiki = heart.start(parent=browser)
    for _ in range(3):
        heart.move(1000)
        heart.use(browser)

    impact = heart.change(WIKI, {**LONG, "end_children": True}).impact

    assert heart.over(wiki) is EndReason.POLICY
    assert impact.ended == Counter({("acme", "wiki"): 1})
    assert not impact.shortened


def test_who_joins_a_locked_browser_session_is_locked(heart: Heart) -> None:
    heart.set_policy(WIKI, end_children=False)
    browser = heart.browser()
    wiki = heart.start(parent=browser)
    _lock(heart, browser)
    assert heart.over(wiki) is None

    heart.set_policy(WIKI, end_children=True)

    assert heart.over(wiki) is Hold.LOCKED
    assert heart.stored(wiki).locked_at == heart.stored(browser).locked_at


def test_each_is_counted_once_whatever_else_is_turned(heart: Heart) -> None:
    heart.set_policy(WIKI, end_children=False, maximum_lifetime=864000, idle_timeout=864000)
    browser = heart.browser()
    both, same = heart.start(parent=browser), heart.start(parent=browser, maximum_lifetime=60)

    turned = {"end_children": True, "maximum_lifetime": 3600, "idle_timeout": 864000}
    dry = heart.change(WIKI, turned, dry_run=True).impact
    assert heart.stored(both) == both.session
    real = heart.change(WIKI, turned).impact

    assert dry.shortened == real.shortened == Counter({("acme", "wiki"): 2})
    assert heart.stored(both).expires_at == after(heart.now, 3600)
    assert heart.stored(same).expires_at == after(heart.now, 60)
    heart.check()


@pytest.mark.parametrize("turned", [True, False])
def test_a_browser_session_that_ends_at_that_moment_leaves_nobody_behind(
    heart: Heart, turned: bool
) -> None:
    heart.set_policy(WIKI, end_children=not turned)
    for _ in range(5):
        browser = heart.browser()
        wiki = heart.start(parent=browser)

        results = race(
            lambda: heart.set_policy(WIKI, end_children=turned),
            lambda b=browser: heart.end(b),  # type: ignore[misc] # mypy cannot infer defaults
        )

        assert unexpected(results) == []
        heart.sweep()
        heart.check()
        if turned:
            assert heart.over(wiki) in (EndReason.PARENT_ENDED, EndReason.POLICY)
        heart.set_policy(WIKI, end_children=not turned)


def test_a_lower_number_of_places_counts_for_who_has_sessions_of_back_ends_only(
    heart: Heart,
) -> None:
    started = []
    for application in ("wiki", "wiki", "chat"):
        heart.move(1)
        started.append(heart.start(application))
    others = [heart.start(user="bob"), heart.start(user="bob", organization="globex")]

    impact = heart.change(ACME, {"maximum_user_sessions": 2}).impact

    assert [heart.over(one) for one in started] == [EndReason.LIMIT, None, None]
    assert [heart.over(one) for one in others] == [None, None]
    assert impact.ended == Counter({("acme", "wiki"): 1})
    heart.set_policy(Layer("application", "acme", "chat"), maximum_user_sessions=1)
    assert [heart.over(one) for one in started] == [EndReason.LIMIT, EndReason.LIMIT, None]
    heart.check()


def test_a_limit_of_the_browser_session_says_nothing_of_who_has_none(heart: Heart) -> None:
    heart.browser("bob")
    started = [heart.start(), heart.start()]

    heart.set_policy(Layer("application", "built-in", "app-built-in"), maximum_user_sessions=1)

    assert [heart.over(one) for one in started] == [None, None]
