"""Deadlines: where they come from, when exactly they end a session, and what a change of them does."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from iam.kernel.clock import after
from iam.sessions.knobs import KNOBS, AtLimit
from iam.sessions.layers import effective_policy, read_policies, read_policy, store_policy
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason
from iam.sessions.policy import INSTALLATION, LONGEST, Layer, Policy, settle, strictest
from tests.support.heart import ADMIN, Heart, ended_ids, ids

ACME = Layer("organization", "acme")
WIKI = Layer("application", "acme", "wiki")
BROWSER = Layer("application", "built-in", BUILT_IN_APPLICATION)

times = some.none() | some.integers(1, LONGEST)
yes_or_no = some.none() | some.booleans()
policies = some.builds(
    Policy,
    idle_timeout=times,
    maximum_lifetime=times,
    remember_idle_timeout=times,
    remember_maximum_lifetime=times | some.just(0),
    exclusive=yes_or_no,
    maximum_sessions=times,
    at_limit=some.none() | some.sampled_from(AtLimit),
    maximum_user_sessions=times,
    reauthentication_age=times,
    end_children=yes_or_no,
    notify_on_expiry=yes_or_no,
)


def test_where_no_layer_sets_a_knob_it_has_its_default(heart: Heart) -> None:
    session = heart.start().session

    assert session.idle_timeout == 30 * 60
    assert session.expires_at == after(heart.now, 12 * 60 * 60)


def test_a_default_is_no_ceiling(heart: Heart) -> None:
    heart.set_policy(WIKI, idle_timeout=86400, maximum_lifetime=864000)

    session = heart.start().session

    assert (session.idle_timeout, session.expires_at) == (86400, after(heart.now, 864000))


def test_of_all_layers_the_strictest_wins_knob_by_knob(heart: Heart) -> None:
    heart.set_policy(INSTALLATION, idle_timeout=3600, maximum_lifetime=7200)
    heart.set_policy(ACME, idle_timeout=1200)
    heart.set_policy(WIKI, idle_timeout=2400, maximum_lifetime=5000)

    session = heart.start().session

    assert (session.idle_timeout, session.expires_at) == (1200, after(heart.now, 5000))


def test_a_layer_speaks_for_its_own_alone(heart: Heart) -> None:
    heart.set_policy(Layer("organization", "globex"), idle_timeout=1)
    heart.set_policy(Layer("application", "globex", "wiki"), idle_timeout=1)
    heart.set_policy(Layer("application", "acme", "chat"), idle_timeout=1)

    assert heart.start().session.idle_timeout == 30 * 60


def test_the_browser_sessions_of_every_organization_follow_one_application(heart: Heart) -> None:
    heart.set_policy(BROWSER, idle_timeout=77)

    assert heart.browser().session.idle_timeout == 77
    assert heart.browser(organization="globex").session.idle_timeout == 77


@given(some.lists(policies), policies)
def test_another_layer_never_loosens_what_is_set(layers: list[Policy], more: Policy) -> None:
    before, with_it = strictest(layers), strictest([*layers, more])

    for knob in KNOBS:
        if any(getattr(layer, knob.name) is not None for layer in layers):
            values = (getattr(with_it, knob.name), getattr(before, knob.name))
            assert knob.strictest(values) == values[0]


@given(
    some.permutations(
        [Policy(idle_timeout=5), Policy(exclusive=True), Policy(at_limit=AtLimit.ASK)]
    )
)
def test_the_order_of_layers_makes_no_difference(layers: list[Policy]) -> None:
    assert strictest(layers) == strictest(reversed(layers))


@given(policies)
def test_a_layer_said_twice_is_said_once(policy: Policy) -> None:
    assert strictest([policy, policy]) == strictest([policy])


@given(some.lists(policies), some.lists(policies))
def test_layers_combine_in_any_grouping(some_: list[Policy], others: list[Policy]) -> None:
    together = strictest([*some_, *others])

    for knob in KNOBS:
        said = [getattr(one, knob.name) for one in (*some_, *others)]
        said = [value for value in said if value is not None]
        if said:
            assert getattr(together, knob.name) == knob.strictest(said)
            assert getattr(together, knob.name) in said


@given(some.lists(policies))
def test_who_is_remembered_never_stays_longer_than_a_time_that_was_set(
    layers: list[Policy],
) -> None:
    policy = strictest(layers)

    for knob in KNOBS:
        if knob.bounded_by is None or any(getattr(one, knob.name) is not None for one in layers):
            continue
        if any(getattr(one, knob.bounded_by) is not None for one in layers):
            assert getattr(policy, knob.name) <= getattr(policy, knob.bounded_by)


@given(some.lists(some.tuples(some.sampled_from([ACME, WIKI, INSTALLATION]), policies)))
def test_the_layer_that_is_named_has_said_the_value_that_holds(
    said: list[tuple[Layer, Policy]],
) -> None:
    for name, settled in settle(said).items():
        knob = next(one for one in KNOBS if one.name == name)
        if settled.layer is None:
            assert settled.value == knob.default
        else:
            values = [
                getattr(policy, known)
                for layer, policy in said
                if layer == settled.layer
                for known in (name, knob.bounded_by)
                if known is not None
            ]
            assert settled.value in values


def test_a_layer_that_says_nothing_is_not_kept(heart: Heart) -> None:
    heart.set_policy(WIKI, idle_timeout=5)
    assert heart.database.read(lambda c: read_policies(c, "application")) == {
        WIKI: Policy(idle_timeout=5)
    }

    heart.set_policy(WIKI)

    assert heart.database.read(lambda c: read_policy(c, WIKI)) == Policy()
    assert heart.database.read(lambda c: read_policies(c, "application")) == {}


def test_a_session_is_idle_at_the_very_instant_of_its_deadline_and_not_before(
    heart: Heart,
) -> None:
    heart.set_policy(idle_timeout=60)
    started = heart.start()

    heart.move(59.999)
    assert heart.over(started) is None
    heart.move(0.001)
    assert heart.over(started) is EndReason.IDLE


def test_a_session_expires_at_the_very_instant_of_its_deadline_however_active(
    heart: Heart,
) -> None:
    heart.set_policy(idle_timeout=60, maximum_lifetime=100)
    started = heart.start()
    for _ in range(4):
        heart.move(20)
        heart.use(started)

    heart.move(19.999)
    assert heart.over(started) is None
    heart.move(0.001)
    assert heart.over(started) is EndReason.EXPIRED


def test_of_two_deadlines_that_have_passed_the_earlier_one_ended_it(heart: Heart) -> None:
    heart.set_policy(idle_timeout=60, maximum_lifetime=100)
    idle = heart.start()
    active = heart.start()
    heart.move(50)
    heart.use(active)
    heart.move(1000)

    assert heart.over(idle) is EndReason.IDLE
    assert heart.over(active) is EndReason.EXPIRED


def test_the_longest_policy_is_judged_without_overflow(heart: Heart) -> None:
    heart.set_policy(idle_timeout=LONGEST, maximum_lifetime=LONGEST)
    started = heart.start()

    heart.move(LONGEST - 0.001)
    assert heart.sweep() == ()
    assert heart.over(started) is None
    heart.move(0.001)
    assert ended_ids(heart.sweep()) == ids([started])


def test_tightening_a_policy_ends_what_is_too_old_at_once(heart: Heart) -> None:
    idle = heart.start()
    heart.move(600)
    fresh = heart.start()

    ended = heart.set_policy(ACME, idle_timeout=600)

    assert ended_ids(ended) == ids([idle])
    assert heart.over(idle) is EndReason.POLICY
    assert heart.over(fresh) is None
    assert heart.stored(fresh).idle_timeout == 600
    (event,) = heart.events("session.ended")
    assert (event.actor, event.reason, event.at) == (ADMIN, "policy", heart.now)
    heart.check()


def test_a_shorter_maximum_lifetime_counts_from_the_start_of_the_session(heart: Heart) -> None:
    older = heart.start()
    heart.move(100)
    newer = heart.start()
    heart.move(100)

    heart.set_policy(maximum_lifetime=200)

    assert heart.over(older) is EndReason.POLICY
    assert heart.stored(newer).expires_at == after(newer.session.created_at, 200)


def test_tightening_what_governs_parents_brings_their_children_down_too(heart: Heart) -> None:
    browser = heart.browser()
    child = heart.start(parent=browser)

    heart.set_policy(BROWSER, idle_timeout=60, maximum_lifetime=90)

    assert heart.stored(child).idle_timeout == 60
    assert heart.stored(child).expires_at == after(heart.now, 90)
    heart.check()
    heart.move(100)
    heart.set_policy(BROWSER, idle_timeout=30, maximum_lifetime=90)
    heart.check()


def test_a_policy_of_one_organization_leaves_the_others(heart: Heart) -> None:
    elsewhere = heart.start(organization="globex")
    heart.move(100)

    heart.set_policy(ACME, idle_timeout=10)

    assert heart.over(elsewhere) is None
    assert heart.stored(elsewhere) == elsewhere.session


def test_a_looser_policy_is_for_new_sessions_only(heart: Heart) -> None:
    heart.set_policy(WIKI, idle_timeout=60, maximum_lifetime=120)
    former = heart.start()

    heart.set_policy(WIKI, idle_timeout=6000, maximum_lifetime=12000)

    assert heart.stored(former) == former.session
    assert heart.start().session.idle_timeout == 6000


def test_a_life_that_was_given_short_on_purpose_stays_short(heart: Heart) -> None:
    short = heart.start(maximum_lifetime=30)

    heart.set_policy(idle_timeout=60, maximum_lifetime=600)

    assert heart.stored(short).expires_at == after(heart.now, 30)


def test_what_was_over_before_a_policy_became_stricter_keeps_its_own_reason(heart: Heart) -> None:
    idle = heart.start()
    elsewhere = heart.start(organization="globex")
    heart.move(2000)
    late = heart.start()
    heart.move(100)

    ended = heart.set_policy(ACME, idle_timeout=60)

    assert heart.over(idle) is EndReason.IDLE
    assert heart.stored(idle).ended_at == idle.session.idle_expires_at
    assert heart.over(late) is EndReason.POLICY
    assert sorted(ended_ids(ended)) == sorted(ids([idle, late]))
    assert heart.stored(elsewhere).ended_at is None, "not of this organization: left to the sweep"
    heart.check()


def test_a_stricter_policy_ends_more_sessions_than_it_can_note_at_once(heart: Heart) -> None:
    all_ = heart.start_many(1003)
    heart.move(100)

    noted = heart.set_policy(idle_timeout=60)

    assert len(noted) == 1000
    assert all(heart.over(one) is not None for one in all_)
    heart.move(30)
    swept = heart.sweep()
    assert len(swept) == 3
    assert {(one.reason, one.actor, one.at) for one in swept} == {
        (EndReason.POLICY, ADMIN, heart.now - 30_000)
    }
    heart.check()


@pytest.mark.parametrize("layer", [INSTALLATION, ACME, WIKI, BROWSER], ids=lambda one: one.kind)
def test_each_layer_can_be_set_changed_and_read(heart: Heart, layer: Layer) -> None:
    for policy in (Policy(idle_timeout=5), Policy(maximum_lifetime=LONGEST), Policy()):
        heart.database.write(lambda c, p=policy: store_policy(c, layer, p))  # type: ignore[misc] # mypy cannot infer defaults
        assert heart.database.read(lambda c: read_policy(c, layer)) == policy
    assert (
        heart.database.read(lambda c: effective_policy(c, "acme", "wiki")).idle_timeout == 30 * 60
    )
