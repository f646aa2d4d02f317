"""A change of policy and the sessions that live when it is made."""

from collections import Counter

import pytest

from iam.kernel.clock import after
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason
from iam.sessions.policy import INSTALLATION, Layer
from tests.support.heart import ADMIN, Heart, ids

ACME = Layer("organization", "acme")
WIKI = Layer("application", "acme", "wiki")
BROWSER = Layer("application", "built-in", BUILT_IN_APPLICATION)
STAFF = Layer("role", "acme", "staff")
ANA = Layer("user", "acme", "ana")


def test_a_role_governs_the_sessions_of_those_who_have_it(heart: Heart) -> None:
    staff, other = heart.start(roles=("staff", "dev")), heart.start(user="bob", roles=("staffing",))

    heart.set_policy(STAFF, idle_timeout=60)

    assert heart.stored(staff).idle_timeout == 60
    assert heart.stored(other).idle_timeout == 1800
    assert heart.start(roles=("staff",)).session.idle_timeout == 60
    assert heart.start(roles=("dev",)).session.idle_timeout == 1800


def test_of_several_roles_the_strictest_holds(heart: Heart) -> None:
    heart.set_policy(STAFF, idle_timeout=600, maximum_lifetime=900)
    heart.set_policy(Layer("role", "acme", "admin"), idle_timeout=300)

    session = heart.start(roles=("staff", "admin")).session

    assert (session.idle_timeout, session.expires_at) == (300, after(heart.now, 900))


def test_a_user_can_have_a_policy_of_their_own(heart: Heart) -> None:
    own, other = heart.start(), heart.start(user="bob")
    elsewhere = heart.start(organization="globex")

    heart.set_policy(ANA, idle_timeout=60)

    assert heart.stored(own).idle_timeout == 60
    assert heart.stored(other).idle_timeout == heart.stored(elsewhere).idle_timeout == 1800
    assert heart.start().session.idle_timeout == 60


def test_a_change_for_all_respects_what_roles_and_users_have_of_their_own(heart: Heart) -> None:
    heart.set_policy(STAFF, idle_timeout=7200)
    heart.set_policy(Layer("user", "acme", "bob"), idle_timeout=5400)
    staff, bob = heart.start(roles=("staff",)), heart.start(user="bob", roles=("staff",))
    plain = heart.start(user="eve")

    heart.set_policy(INSTALLATION, maximum_lifetime=6000)

    assert heart.stored(staff).idle_timeout == 7200
    assert heart.stored(bob).idle_timeout == 5400
    assert heart.stored(plain).idle_timeout == 1800
    for one in (staff, bob, plain):
        assert heart.stored(one).expires_at == after(heart.now, 6000)


def test_what_governs_one_application_leaves_the_others(heart: Heart) -> None:
    wiki, chat = heart.start(), heart.start("chat")

    heart.set_policy(WIKI, idle_timeout=60)

    assert heart.stored(wiki).idle_timeout == 60
    assert heart.stored(chat) == chat.session


def test_a_remembered_session_is_brought_down_to_what_is_said_of_remembered_ones(
    heart: Heart,
) -> None:
    kept, usual = heart.browser(remembered=True), heart.browser()

    heart.set_policy(ACME, remember_idle_timeout=86400, remember_maximum_lifetime=172800)

    assert heart.stored(kept).idle_timeout == 86400
    assert heart.stored(kept).expires_at == after(heart.now, 172800)
    assert heart.stored(usual) == usual.session


def test_a_short_time_that_is_set_bounds_also_those_who_are_remembered(heart: Heart) -> None:
    kept = heart.browser(remembered=True)

    heart.set_policy(ACME, idle_timeout=900, maximum_lifetime=3600)

    assert heart.stored(kept).idle_timeout == 900
    assert heart.stored(kept).expires_at == after(heart.now, 3600)
    assert heart.browser(remembered=True).session.idle_timeout == 900


def test_a_lower_limit_ends_at_once_what_is_too_many(heart: Heart) -> None:
    first, second = heart.start(), heart.start()
    heart.move(1)
    third = heart.start()
    others = [heart.start(user="bob"), heart.start("chat")]
    heart.move(300)
    heart.use(first)

    changed = heart.change(WIKI, {"maximum_sessions": 2})

    assert heart.over(second) is EndReason.LIMIT
    assert [heart.over(one) for one in (first, third, *others)] == [None] * 4
    assert changed.impact.ended == Counter({("acme", "wiki"): 1})
    assert heart.stored(second).ended_by == ADMIN
    heart.check()


def test_a_rule_of_one_session_keeps_the_newest_of_each_user(heart: Heart) -> None:
    old = heart.browser()
    child = heart.start(parent=old)
    heart.move(1)
    new = heart.browser()
    bobs = heart.browser("bob")

    heart.set_policy(BROWSER, exclusive=True)

    assert heart.over(old) is EndReason.EXCLUSIVE
    assert heart.over(child) is EndReason.PARENT_ENDED
    assert [heart.over(one) for one in (new, bobs)] == [None, None]
    heart.check()


def test_a_lower_number_of_places_counts_browsers_with_what_was_entered_from_them(
    heart: Heart,
) -> None:
    old = heart.browser()
    entered = heart.start(parent=old)
    heart.move(120)
    new = heart.browser()
    kept = [heart.start(name, parent=new) for name in ("wiki", "chat", "mail")]

    heart.set_policy(ACME, maximum_user_sessions=1)

    assert heart.over(old) is EndReason.LIMIT
    assert heart.over(entered) in (EndReason.LIMIT, EndReason.PARENT_ENDED)
    assert [heart.over(one) for one in (new, *kept)] == [None] * 4
    heart.check()


def test_a_limit_for_a_role_leaves_those_without_it(heart: Heart) -> None:
    staff = []
    for _ in range(3):
        heart.move(1)
        staff.append(heart.start(roles=("staff",)))
    others = [heart.start(user="bob") for _ in range(3)]

    heart.set_policy(STAFF, maximum_sessions=1)

    assert [heart.over(one) is None for one in staff] == [False, False, True]
    assert all(heart.over(one) is None for one in others)


def test_a_dry_run_says_what_would_be_and_leaves_nothing(heart: Heart) -> None:
    old = [heart.start(), heart.start("chat")]
    heart.move(600)
    young = heart.start()
    before = [heart.stored(one) for one in (*old, young)]
    events = heart.events()

    dry = heart.change(ACME, {"maximum_lifetime": 600}, dry_run=True)

    assert [heart.stored(one) for one in (*old, young)] == before
    assert heart.events() == events
    assert heart.change(ACME, {}, dry_run=True).policy.maximum_lifetime is None
    assert dry.impact.ended == Counter({("acme", "wiki"): 1, ("acme", "chat"): 1})
    assert dry.impact.shortened == Counter({("acme", "wiki"): 1})
    assert {one.id for one in dry.impact.sample} == set(ids([*old, young]))

    real = heart.change(ACME, {"maximum_lifetime": 600})

    assert (real.impact.ended, real.impact.shortened) == (dry.impact.ended, dry.impact.shortened)
    heart.check()


def test_a_dry_run_of_many_shows_some_of_those_that_would_end(heart: Heart) -> None:
    heart.start_many(30)
    heart.move(100)

    impact = heart.change(WIKI, {"maximum_lifetime": 50}, dry_run=True).impact

    assert impact.ended.total() == 30
    assert impact.shortened.total() == 0
    assert len(impact.sample) == 10


@pytest.mark.parametrize(
    "knobs", [{"at_limit": "refuse"}, {"reauthentication_age": 60}, {"notify_on_expiry": True}]
)
def test_what_is_asked_only_when_something_happens_leaves_live_sessions_alone(
    heart: Heart, knobs: dict[str, str | bool]
) -> None:
    heart.set_policy(WIKI, idle_timeout=60)
    started = heart.start()
    heart.set_policy(WIKI)

    impact = heart.change(WIKI, knobs).impact

    assert not impact.shortened
    assert not impact.ended
    assert heart.stored(started) == started.session


def test_a_change_is_an_event_that_says_which_knobs_were_turned(heart: Heart) -> None:
    heart.set_policy(STAFF, idle_timeout=60)

    (event,) = heart.events("policy.updated")

    assert (event.actor, event.organization) == (ADMIN, "acme")
    assert event.data == {
        "layer": "role",
        "role": "staff",
        "before": {"idle_timeout": None},
        "after": {"idle_timeout": 60},
    }


def test_where_the_end_of_the_browser_session_is_not_to_end_them_sessions_go_on(
    heart: Heart,
) -> None:
    heart.set_policy(WIKI, end_children=False)
    browser = heart.browser()
    wiki, chat = heart.start(parent=browser), heart.start("chat", parent=browser)

    heart.end(browser)

    assert heart.over(wiki) is None
    assert heart.over(chat) is EndReason.PARENT_ENDED
    assert (wiki.session.parent, wiki.session.entered_through) == (None, browser.session.id)


def test_where_it_is_to_end_them_a_longer_policy_does_not_free_them(heart: Heart) -> None:
    heart.set_policy(WIKI, maximum_lifetime=864000)
    browser = heart.browser()
    free, gone = heart.start(parent=browser), heart.browser()
    heart.end(gone)
    assert free.session.parent is None
    heart.set_policy(WIKI, maximum_lifetime=864000, end_children=True)
    bound = heart.start(parent=browser)

    heart.end(browser)

    assert heart.over(free) is EndReason.PARENT_ENDED
    assert heart.over(bound) is EndReason.PARENT_ENDED
