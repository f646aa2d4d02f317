"""Back-channel logout: every application that took part is told of every end, once, and of no other."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from iam.delivery.deliverer import Deliverer
from iam.delivery.outbox import FIRST_PAUSE, LONGEST_PAUSE
from iam.server.jobs import make_deliverer
from tests.oidc.conftest import ISSUER, Party, header_of
from tests.support.receiver import Notice, Receiver
from tests.support.world import make_world

EVENT = "http://schemas.openid.net/event/backchannel-logout"
ATTEMPTS = 3


@pytest.fixture
def stage(database_url: str) -> Iterator[Party]:
    """A server that may deliver to loopback, with people and applications."""
    with make_world(database_url, delivery_allow_private=True, delivery_attempts=ATTEMPTS) as world:
        made = Party(world)
        made.populate()
        yield made


@pytest.fixture
def deliverer(stage: Party) -> Iterator[Deliverer]:
    made = make_deliverer(stage.world.engine)
    yield made
    stage.world.portal.call(made.close)


@pytest.fixture
def wiki(stage: Party) -> Iterator[Receiver]:
    """Where the application wiki is told."""
    with Receiver() as receiver:
        assert tell(stage, "wiki", f"{receiver.url}/ended?from=iam").status_code == 200
        yield receiver


def tell(stage: Party, name: str, uri: str | None, organization: str = "acme") -> httpx2.Response:
    """Have an application told at this address; None: not any more."""
    body = {"backchannel_logout_uri": uri}
    path = f"/v1/applications/{organization}/{name}"
    return stage.world.patch(path, json=body, headers=stage.world.admin)


def entered(stage: Party, token: str, application: str = "wiki") -> str:
    """Enter an application; the `sid` that it got."""
    sid: str = stage.claims(stage.tokens(token, application)["id_token"])["sid"]
    return sid


def told(stage: Party, receiver: Receiver) -> list[dict[str, Any]]:
    """The claims of the tokens that came, their signatures checked."""
    return [stage.claims(notice.form["logout_token"]) for notice in receiver.notices]


def run(stage: Party, deliverer: Deliverer) -> None:
    stage.world.portal.call(deliverer.run_due)


def deliveries(stage: Party, session: str, token: str | None = None) -> list[dict[str, Any]]:
    headers = stage.world.admin if token is None else stage.world.bearer(token)
    answer = stage.world.get(f"/v1/sessions/{session}/deliveries", headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


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


def test_a_failed_notice_is_sent_again_as_the_same_one_signed_anew(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    wiki.answer = lambda _notice: 503 if len(wiki.notices) == 1 else 204
    browser = stage.browser()
    sid = entered(stage, browser.token)
    stage.end(browser.session.id)
    run(stage, deliverer)
    (waiting,) = deliveries(stage, sid)
    assert (waiting["state"], waiting["last_status"]) == ("pending", 503)
    stage.world.clock.move(10 * FIRST_PAUSE)
    run(stage, deliverer)

    first, second = told(stage, wiki)
    assert first["jti"] == second["jti"]
    assert second["exp"] - first["exp"] == 10 * FIRST_PAUSE
    assert second["iat"] == stage.world.clock() // 1000


@pytest.mark.parametrize("status", [200, 204])
def test_both_ways_to_say_yes_are_understood(
    stage: Party, wiki: Receiver, deliverer: Deliverer, status: int
) -> None:
    wiki.answer = lambda _notice: status
    browser = stage.browser()
    sid = entered(stage, browser.token)
    stage.end(browser.session.id)
    run(stage, deliverer)

    (delivery,) = deliveries(stage, sid)
    assert (delivery["state"], delivery["last_status"]) == ("delivered", status)


@pytest.mark.parametrize(
    ("says", "kept"),
    [
        (
            b'{"error": "invalid_request", "error_description": "no \\u0000\\nsuch \\u00e9 sid"}',
            "refused: invalid_request: no such sid",
        ),
        (b'{"error": "' + b"x" * 300 + b'"}', "refused: " + "x" * 100),
        (b"<html>" + b"x" * 100_000, "refused"),
        (b"[" * 2000, "refused"),
        (b'["error"]', "refused"),
        (b"", "refused"),
    ],
)
def test_a_refusal_is_not_repeated_and_its_reason_is_kept(
    stage: Party, wiki: Receiver, deliverer: Deliverer, says: bytes, kept: str
) -> None:
    wiki.answer, wiki.says = (lambda _notice: 400), says
    browser = stage.browser()
    sid = entered(stage, browser.token)
    stage.end(browser.session.id)
    run(stage, deliverer)
    stage.world.clock.move(LONGEST_PAUSE)
    run(stage, deliverer)

    assert len(wiki.notices) == 1
    (dead,) = deliveries(stage, sid)
    assert (dead["state"], dead["attempts"], dead["last_status"]) == ("dead", 1, 400)
    assert dead["last_error"] == kept


def test_what_was_given_up_is_listed_and_sent_again_on_demand(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    wiki.answer = lambda _notice: 307
    browser = stage.browser()
    sid = entered(stage, browser.token)
    stage.end(browser.session.id)
    for _ in range(ATTEMPTS + 1):
        run(stage, deliverer)
        stage.world.clock.move(2 * LONGEST_PAUSE)
    assert len(wiki.notices) == ATTEMPTS, "a redirect is not followed"
    query = "/v1/deliveries?state=dead&application=wiki&session=" + sid
    (dead,) = stage.world.get(query, headers=stage.world.admin).json()["items"]
    assert dead["last_error"] == "redirect"

    wiki.answer = lambda _notice: 200
    path = f"/v1/deliveries/{dead['id']}/redeliver"
    assert stage.world.post(path, headers=stage.world.admin).json()["state"] == "pending"
    run(stage, deliverer)
    assert {one["jti"] for one in told(stage, wiki)} == {dead["id"]}
    assert deliveries(stage, sid)[0]["state"] == "delivered"


def test_an_application_that_hangs_holds_up_no_other(stage: Party, deliverer: Deliverer) -> None:
    deliverer.timeout = 1

    def hang(_notice: Notice) -> int:
        assert quick.came.acquire(timeout=60)
        return 200

    with Receiver(hang) as slow, Receiver() as quick:
        tell(stage, "wiki", slow.url)
        tell(stage, "shop", quick.url)
        browser = stage.browser()
        for name in ("wiki", "shop"):
            entered(stage, browser.token, name)
        stage.end(browser.session.id)
        run(stage, deliverer)
    assert {one["state"] for one in deliveries(stage, browser.session.id)} == {"delivered"}


def test_an_application_that_took_its_address_away_is_told_no_more(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    first, second = stage.browser(), stage.browser()
    for browser in (first, second):
        entered(stage, browser.token)
    stage.end(first.session.id)
    assert tell(stage, "wiki", None).json()["backchannel_logout_uri"] is None
    stage.end(second.session.id)
    run(stage, deliverer)

    assert wiki.notices == []


def test_what_is_known_of_a_session_goes_with_its_row(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    wiki.answer = lambda _notice: 500
    browser = stage.browser()
    sid = entered(stage, browser.token)
    stage.end(browser.session.id)
    run(stage, deliverer)
    stage.world.clock.move(stage.world.engine.settings.retention + 60)
    stage.world.sweep()
    run(stage, deliverer)

    assert len(wiki.notices) == 1
    query = f"/v1/deliveries?session={sid}"
    (dead,) = stage.world.get(query, headers=stage.world.admin).json()["items"]
    assert (dead["state"], dead["last_error"]) == ("dead", "session_forgotten")


@pytest.mark.parametrize(
    "uri",
    [
        "http://wiki.acme.test/ended",
        "https://127.0.0.1/ended",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://localhost/",
        "https://10.0.0.1:8443/",
        "https://ada@wiki.acme.test/",
        "https://wiki.acme.test/ended#fragment",
        "ftp://wiki.acme.test/",
        "javascript:alert(1)",
        "",
    ],
)
def test_no_application_is_told_at_an_address_inside(party: Party, uri: str) -> None:
    refused = tell(party, "wiki", uri)
    body = {"organization": "acme", "name": "new", "backchannel_logout_uri": uri}
    made = party.world.post("/v1/applications", json=body, headers=party.world.admin)

    assert refused.status_code in (403, 422)
    assert made.status_code in (403, 422)
    assert refused.json()["code"] in ("logout_url_refused", "invalid_request")
    path = "/v1/applications/acme/wiki"
    now = party.world.get(path, headers=party.world.admin).json()
    assert now["backchannel_logout_uri"] is None
    gone = party.world.get("/v1/applications/acme/new", headers=party.world.admin)
    assert gone.status_code == 404


def test_an_address_that_became_private_is_not_called(
    stage: Party, wiki: Receiver, deliverer: Deliverer
) -> None:
    deliverer.allow_private = False
    browser = stage.browser()
    sid = entered(stage, browser.token)
    stage.end(browser.session.id)
    run(stage, deliverer)

    assert wiki.notices == []
    assert deliveries(stage, sid)[0]["last_error"] == "address_refused"


def test_who_was_told_is_another_tenants_secret(stage: Party, wiki: Receiver) -> None:
    browser = stage.browser()
    sid = entered(stage, browser.token)
    stage.end(browser.session.id)
    stage.world.make_user("globex", "gil", roles=["administrator"])
    token = stage.world.bearer(stage.world.sign_in("globex", "gil"))

    answer = stage.world.get(f"/v1/sessions/{sid}/deliveries", headers=token)
    listed = stage.world.get("/v1/deliveries", headers=token)
    (mine,) = deliveries(stage, sid)
    again = stage.world.post(f"/v1/deliveries/{mine['id']}/redeliver", headers=token)

    assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    assert json.loads(listed.text)["items"] == []
    assert again.status_code == 404


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
