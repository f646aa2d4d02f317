"""The notices of back-channel logout on their way: what is tried again, given up, and never sent."""

import json

import pytest

from iam.delivery.deliverer import Deliverer
from iam.delivery.outbox import FIRST_PAUSE, LONGEST_PAUSE
from tests.oidc.conftest import Party
from tests.support.receiver import Notice, Receiver
from tests.support.told import ATTEMPTS, deliveries, entered, run, tell, told


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
