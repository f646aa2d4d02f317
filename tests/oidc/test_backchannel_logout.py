"""Back-channel logout: every application that took part is told of every end, once, and of no other."""

from collections.abc import Callable
from typing import Any

import pytest

from iam.delivery.deliverer import Deliverer
from iam.delivery.outbox import FIRST_PAUSE
from tests.oidc.conftest import ISSUER, Party, header_of
from tests.support.receiver import Receiver
from tests.support.told import deliveries, entered, run, tell, told

EVENT = "http://schemas.openid.net/event/backchannel-logout"


def test_discovery_says_that_applications_are_told(party: Party) -> None:
    found = party.world.get("/.well-known/openid-configuration").json()

    assert found["backchannel_logout_supported"] is True
    assert found["backchannel_logout_session_supported"] is True
    assert found["end_session_endpoint"] == f"{ISSUER}/oauth/logout"


def test_an_application_is_told_of_the_end_of_its_session_in_the_specified_form(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    browser = stage.browser()
    hint = stage.tokens(browser.token)["id_token"]
    sid = stage.claims(hint)["sid"]
    stage.logout(browser.token, id_token_hint=hint)
    stage.world.clock.move(50)
    run(stage, deliverer)

    (notice,) = wiki.notices
    assert notice.headers["content-type"] == "application/x-www-form-urlencoded"
    assert set(notice.form) == {"logout_token"}
    token = notice.form["logout_token"]
    assert header_of(token)["typ"] == "logout+jwt"
    assert header_of(token)["alg"] == "RS256"
    now = stage.world.clock() // 1000
    (delivery,) = deliveries(stage, browser.session.id)
    assert stage.claims(token) == {
        "iss": ISSUER,
        "aud": stage.applications["wiki"].client_id,
        "sub": stage.users["ada"].id,
        "sid": sid,
        "iat": now,
        "exp": now + 120,
        "jti": delivery["id"],
        "events": {EVENT: {}},
    }
    assert (delivery["application"], delivery["webhook"]) == ("wiki", None)
    assert (delivery["session"], delivery["state"]) == (sid, "delivered")
    assert stage.world.engine.metrics.deliveries == {"delivered": 1}


def _remote(stage: Party, _browser: str, sid: str) -> None:
    own = stage.browser()
    answer = stage.world.delete(f"/v1/me/sessions/{sid}", headers=stage.world.bearer(own.token))
    assert answer.status_code == 204, answer.text


def _api(method: str, path: str, body: Any = None) -> Callable[[Party, str, str], None]:
    def end(stage: Party, browser: str, sid: str) -> None:
        told = path.format(browser=browser, sid=sid)
        answer = stage.world.request(method, told, json=body, headers=stage.world.admin)
        assert answer.status_code in (200, 204), answer.text

    return end


def _cut(stage: Party, _browser: str, _sid: str) -> None:
    stage.world.clock.move(1)
    body = {"organization": "acme", "user": "ada"}
    answer = stage.world.post("/v1/sessions/not-before", json=body, headers=stage.world.admin)
    assert answer.status_code == 200, answer.text
    assert stage.world.sweep() >= 2


ENDS: dict[str, Callable[[Party, str, str], None]] = {
    "the person, from another device": _remote,
    "an administrator": _api("DELETE", "/v1/sessions/{sid}"),
    "an administrator, the browser session": _api("DELETE", "/v1/sessions/{browser}"),
    "an administrator, the record": _api("DELETE", "/v1/session-records/acme/ada/wiki"),
    "many at once": _api(
        "POST", "/v1/sessions/end", {"filter": {"organization": "acme", "user": "ada"}}
    ),
    "everything before an instant": _cut,
    "the user is disabled": _api("PATCH", "/v1/users/acme/ada", {"enabled": False}),
    "the password is changed": _api("PATCH", "/v1/users/acme/ada", {"password": "a new one 1"}),
    "the user is deleted": _api("DELETE", "/v1/users/acme/ada"),
    "the application is disabled": _api("PATCH", "/v1/applications/acme/wiki", {"enabled": False}),
}


EVERYWHERE = ("the user is", "the password is")


@pytest.mark.parametrize("how", ENDS)
def test_it_is_told_whoever_ends_the_session(
    stage: Party, wiki: Receiver, deliverer: Deliverer, how: str
) -> None:
    browser = stage.browser()
    sid = entered(stage, browser.token)
    entered(stage, browser.token)  # again: the same session, told of once
    ENDS[how](stage, browser.session.id, sid)
    run(stage, deliverer)

    # Of all that a user had, by their name alone (Back-Channel Logout 1.0 §2.6).
    named = None if how.startswith(EVERYWHERE) else sid
    assert [(one.get("sid"), one["sub"]) for one in told(stage, wiki)] == [
        (named, stage.users["ada"].id)
    ]


def test_of_all_that_a_user_had_each_application_is_told_once(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    with Receiver() as shop:
        tell(stage, "shop", shop.url)
        stage.settle("shop", backchannel_logout_session_required=True)
        browsers = [stage.browser() for _ in range(3)]
        sids = {
            name: [entered(stage, one.token, name) for one in browsers] for name in ("wiki", "shop")
        }
        changed = stage.world.patch(
            "/v1/users/acme/ada", json={"enabled": False}, headers=stage.world.admin
        )
        assert changed.status_code == 200
        run(stage, deliverer)

        [one] = told(stage, wiki)
        assert "sid" not in one
        assert one["sub"] == stage.users["ada"].id
        assert sorted(each["sid"] for each in told(stage, shop)) == sorted(sids["shop"])
        for sid in sids["wiki"]:
            [shared] = deliveries(stage, sid)
            assert (shared["application"], shared["state"]) == ("wiki", "delivered")


def test_who_has_signed_in_again_meanwhile_is_not_signed_out_by_a_notice_that_comes_late(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    wiki.answer = lambda _notice: 503 if len(wiki.notices) == 1 else 204
    ended = [entered(stage, stage.browser().token) for _ in range(3)]
    other = entered(stage, stage.browser("bob").token)
    for enabled in (False, True):
        stage.world.patch(
            "/v1/users/acme/ada", json={"enabled": enabled}, headers=stage.world.admin
        )
    run(stage, deliverer)
    [early] = told(stage, wiki)
    assert "sid" not in early
    again = entered(stage, stage.browser().token)
    stage.world.clock.move(10 * FIRST_PAUSE)
    run(stage, deliverer)
    run(stage, deliverer)

    late = told(stage, wiki)[1:]
    assert sorted(one["sid"] for one in late) == sorted(ended)
    assert len({one["jti"] for one in late}) == 3
    assert {again, other}.isdisjoint(one["sid"] for one in late)
    assert {one["sub"] for one in late} == {stage.users["ada"].id}


def test_nobody_is_told_that_a_deadline_has_passed(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    entered(stage, stage.browser().token)
    stage.world.clock.move(13 * 3600)
    assert stage.world.sweep() >= 2
    run(stage, deliverer)

    assert wiki.notices == []


def test_of_two_sessions_of_one_user_the_one_that_ended_is_named(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    first, second = stage.browser(), stage.browser()
    gone, kept = entered(stage, first.token), entered(stage, second.token)
    stage.end(first.session.id)
    run(stage, deliverer)

    assert [one["sid"] for one in told(stage, wiki)] == [gone]
    assert kept != gone


def test_each_application_is_told_of_its_own_session_and_the_asking_one_as_well(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    with Receiver() as shop:
        tell(stage, "shop", shop.url)
        browser = stage.browser()
        sids = {name: entered(stage, browser.token, name) for name in ("wiki", "shop", "phone")}
        stage.end(browser.session.id)
        run(stage, deliverer)

        assert [one["sid"] for one in told(stage, wiki)] == [sids["wiki"]]
        assert [one["sid"] for one in told(stage, shop)] == [sids["shop"]]
        assert told(stage, shop)[0]["aud"] == stage.applications["shop"].client_id
    assert len(deliveries(stage, browser.session.id)) == 2, "phone has no address"


def test_it_is_not_told_of_sessions_that_it_was_never_given(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    world = stage.world
    world.make_user("acme", "carl")
    own = world.sign_in("acme", "carl", application="wiki")
    assert world.delete("/v1/session", headers=world.bearer(own)).status_code == 204
    browser = stage.browser()
    stage.code(browser.token)  # a code that nobody redeems
    stage.end(browser.session.id)
    run(stage, deliverer)

    assert wiki.notices == []


@pytest.mark.parametrize(
    ("path", "is_told"),
    [
        (None, False),
        ("installation", True),
        ("organizations/acme", True),
        ("applications/acme/wiki", True),
        ("users/acme/ada", True),
        ("users/acme/bob", False),
        ("applications/acme/phone", False),
        ("organizations/globex", False),
    ],
)
def test_of_an_end_by_a_deadline_it_is_told_where_a_layer_of_policy_says_so(
    stage: Party, wiki: Receiver, deliverer: Deliverer, path: str | None, is_told: bool
) -> None:
    if path is not None:
        answer = stage.world.patch(
            f"/v1/policies/{path}", json={"notify_on_expiry": True}, headers=stage.world.admin
        )
        assert answer.status_code == 200, answer.text
    sid = entered(stage, stage.browser().token)
    stage.world.clock.move(1801)
    stage.world.sweep()

    stage.world.portal.call(deliverer.run_due)

    assert [claims["sid"] for claims in told(stage, wiki)] == ([sid] if is_told else [])
