"""Notices go out at least once, in order per session, whatever the receiver does."""

import base64
import hashlib
import hmac
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete

from iam.db.tables import event
from iam.delivery.deliverer import Deliverer
from iam.delivery.outbox import FIRST_PAUSE, LONGEST_PAUSE, pause
from iam.server.jobs import make_deliverer
from tests.support.basic import basic
from tests.support.receiver import PATIENCE, Notice, Receiver
from tests.support.world import World, make_world

ATTEMPTS = 3


@pytest.fixture
def stage(database_url: str) -> Iterator[World]:
    """A server that may deliver to loopback, with organization `acme`, its user and application."""
    with make_world(
        database_url,
        delivery_allow_private=True,
        delivery_attempts=ATTEMPTS,
        delivery_timeout=30,
    ) as world:
        world.make_organization("acme")
        world.make_user("acme", "ann")
        yield world


@pytest.fixture
def shop(stage: World) -> dict[str, str]:
    return basic(stage.make_application("acme", "shop"))


@pytest.fixture
def deliverer(stage: World) -> Iterator[Deliverer]:
    made = make_deliverer(stage.engine)
    yield made
    stage.portal.call(made.close)


def subscribe(world: World, url: str, *types: str, organization: str | None = "acme") -> Any:
    body = {"organization": organization, "url": url, "event_types": list(types) or ["*"]}
    answer = world.post("/v1/webhooks", json=body, headers=world.admin)
    assert answer.status_code == 201, answer.text
    return answer.json()


def start(world: World, client: dict[str, str]) -> str:
    answer = world.post("/v1/sessions", json={"user": "ann"}, headers=client)
    assert answer.status_code == 201, answer.text
    id_: str = answer.json()["session"]["id"]
    return id_


def end(world: World, client: dict[str, str], session: str) -> None:
    assert world.delete(f"/v1/sessions/{session}", headers=client).status_code == 204


def deliveries(world: World, query: str = "") -> list[dict[str, Any]]:
    answer = world.get(f"/v1/deliveries?limit=200{query}", headers=world.admin)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_a_notice_says_what_happened_and_is_signed_by_standard_webhooks(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver() as receiver:
        webhook = subscribe(stage, f"{receiver.url}/hook?a=1", "session.ended")
        session = start(stage, shop)
        end(stage, shop, session)
        stage.portal.call(deliverer.run_due)

    (notice,) = receiver.notices
    found = stage.get("/v1/events?type=session.ended&organization=acme", headers=stage.admin)
    (told,) = found.json()["items"]
    assert notice.content == {"type": "session.ended", "timestamp": told["at"], "data": told}
    assert told["session"] == session
    assert told["reason"] == "ended_by_admin"
    headers = notice.headers
    key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + notice.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == told["id"]
    assert headers["webhook-timestamp"] == str(stage.clock() // 1000)
    (delivery,) = deliveries(stage, "&state=delivered")
    assert (delivery["attempts"], delivery["last_status"]) == (1, 204)
    assert stage.engine.metrics.deliveries == {"delivered": 1}


def test_a_webhook_is_told_of_its_organization_and_its_types_only(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    stage.make_organization("rival")
    with Receiver() as own, Receiver() as other, Receiver() as everything:
        subscribe(stage, own.url, "session.started", "user.created")
        subscribe(stage, other.url, "*", organization="rival")
        subscribe(stage, everything.url, "*", organization=None)
        stage.portal.call(deliverer.run_due)
        for receiver in (own, other, everything):
            receiver.notices.clear()
        session = start(stage, shop)
        end(stage, shop, session)
        stage.portal.call(deliverer.run_due)

        assert [notice.content["type"] for notice in own.notices] == ["session.started"]
        assert other.notices == []
        told = [n.content["type"] for n in everything.notices if n.session == session]
        assert told == ["session.started", "session.ended"]


def test_a_notice_exists_exactly_if_its_event_does(stage: World, shop: dict[str, str]) -> None:
    subscribe(stage, "http://127.0.0.1:9/", "session.started")
    refused = stage.post("/v1/sessions", json={"user": "nobody"}, headers=shop)
    assert refused.status_code == 403
    assert deliveries(stage) == []
    start(stage, shop)
    (delivery,) = deliveries(stage)
    assert delivery["state"] == "pending"


def test_of_one_session_notices_arrive_in_order_also_when_the_first_ones_fail(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    refused: set[str | None] = set()

    def fail_once(notice: Notice) -> int:
        first_time = notice.headers["webhook-id"] not in refused
        refused.add(notice.headers["webhook-id"])
        return 500 if first_time else 200

    with Receiver(fail_once) as receiver:
        subscribe(stage, receiver.url, "session.started", "session.ended")
        sessions = [start(stage, shop) for _ in range(12)]
        for session in sessions:
            end(stage, shop, session)
        for _ in range(4):
            stage.portal.call(deliverer.run_due)
            stage.clock.move(60)

        order = defaultdict(list)
        for notice in receiver.notices:
            order[notice.session].append(notice.content["type"].removeprefix("session."))
    assert dict(order) == {key: ["started", "started", "ended", "ended"] for key in sessions}
    assert {one["state"] for one in deliveries(stage)} == {"delivered"}


def test_what_is_never_taken_is_given_up_listed_and_sent_again_on_demand(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver(lambda _notice: 400) as receiver:
        subscribe(stage, receiver.url, "session.started")
        session = start(stage, shop)
        for _ in range(ATTEMPTS + 2):
            stage.portal.call(deliverer.run_due)
            stage.clock.move(2 * LONGEST_PAUSE)
        assert len(receiver.notices) == ATTEMPTS
        (dead,) = deliveries(stage, "&state=dead")
        assert (dead["session"], dead["attempts"]) == (session, ATTEMPTS)
        assert (dead["last_status"], dead["last_error"]) == (400, "status")

        receiver.answer = lambda _notice: 200
        path = f"/v1/deliveries/{dead['id']}/redeliver"
        assert stage.post(path, headers=stage.admin).json()["state"] == "pending"
        assert stage.post(path, headers=stage.admin).json()["code"] == "delivery_pending"
        stage.portal.call(deliverer.run_due)
        assert {one.headers["webhook-id"] for one in receiver.notices} == {dead["event"]}
    assert deliveries(stage, "&state=dead") == []
    (delivered,) = deliveries(stage)
    assert delivered["state"] == "delivered"


def test_attempts_are_further_and_further_apart(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver(lambda _notice: 503) as receiver:
        subscribe(stage, receiver.url, "session.started")
        start(stage, shop)
        stage.portal.call(deliverer.run_due)
        stage.clock.move(1)
        stage.portal.call(deliverer.run_due)
        assert len(receiver.notices) == 1, "the second attempt waits"
        stage.clock.move(2 * FIRST_PAUSE)
        stage.portal.call(deliverer.run_due)
        assert len(receiver.notices) == 2
        stage.clock.move(FIRST_PAUSE)
        stage.portal.call(deliverer.run_due)
        assert len(receiver.notices) == 2, "the third one waits longer"


def test_pauses_grow_to_a_bound_and_are_spread() -> None:
    def low(number: int) -> bytes:
        return b"\x00" * number

    def high(number: int) -> bytes:
        return b"\xff" * number

    for attempt in range(1, 31):
        assert 1 <= pause(attempt, low) < pause(attempt, high) <= LONGEST_PAUSE * 3 // 2
    assert pause(30, high) >= LONGEST_PAUSE


def test_a_redirect_is_not_followed(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver(lambda _notice: 307) as receiver:
        subscribe(stage, receiver.url, "session.started")
        start(stage, shop)
        stage.portal.call(deliverer.run_due)
        assert len(receiver.notices) == 1
    (waiting,) = deliveries(stage, "&state=pending")
    assert (waiting["last_status"], waiting["last_error"]) == (307, "redirect")


def test_a_receiver_that_hangs_delays_no_other_and_no_other_session(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    may_go_on = threading.Event()
    hanging: list[str | None] = []

    def hang_at_first(notice: Notice) -> int:
        if not hanging:
            hanging.append(notice.session)
            may_go_on.wait(PATIENCE)
        return 200

    with Receiver(hang_at_first) as slow, Receiver() as quick:
        subscribe(stage, slow.url, "session.started")
        subscribe(stage, quick.url, "session.started")
        sessions = {start(stage, shop) for _ in range(20)}
        stage.portal.call(deliverer.step)
        quick.wait_for(20)
        slow.wait_for(20)
        may_go_on.set()
        stage.portal.call(deliverer.run_due)
        assert {notice.session for notice in slow.notices} == sessions
        assert len(slow.notices) == 20
    assert {one["state"] for one in deliveries(stage)} == {"delivered"}


def test_a_receiver_that_does_not_answer_in_time_is_tried_again(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    may_go_on = threading.Event()

    def hang(_notice: Notice) -> int:
        may_go_on.wait(PATIENCE)
        return 200

    deliverer.timeout = 1
    with Receiver(hang) as receiver:
        subscribe(stage, receiver.url, "session.started")
        start(stage, shop)
        stage.portal.call(deliverer.run_due)
        (waiting,) = deliveries(stage, "&state=pending")
        assert (waiting["last_status"], waiting["last_error"]) == (None, "timeout")
        may_go_on.set()
        stage.clock.move(2 * FIRST_PAUSE)
        deliverer.timeout = 30
        stage.portal.call(deliverer.run_due)
    assert deliveries(stage, "&state=pending") == []


def test_a_receiver_that_was_away_gets_what_it_missed(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver() as receiver:
        subscribe(stage, receiver.url, "session.started", "session.ended")
        port = receiver.port
    session = start(stage, shop)
    end(stage, shop, session)
    stage.portal.call(deliverer.run_due)
    (first,) = [one for one in deliveries(stage) if one["attempts"]]
    assert first["last_error"].startswith("connection")
    stage.clock.move(2 * FIRST_PAUSE)
    with Receiver(port=port) as back:
        stage.portal.call(deliverer.run_due)
        told = [notice.content["type"] for notice in back.notices]
    assert told == ["session.started", "session.ended"]


def test_what_a_node_was_sending_when_it_stopped_goes_out_from_another(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    may_go_on = threading.Event()

    def hang(_notice: Notice) -> int:
        may_go_on.wait(PATIENCE)
        return 200

    stopped = make_deliverer(stage.engine)
    with Receiver(hang) as receiver:
        subscribe(stage, receiver.url, "session.started")
        start(stage, shop)
        stage.portal.call(stopped.step)
        receiver.wait_for(1)
        stage.portal.call(stopped.close)
        may_go_on.set()

        stage.portal.call(deliverer.run_due)
        assert len(receiver.notices) == 1, "it is still claimed"
        stage.clock.move(120)
        stage.portal.call(deliverer.run_due)
        assert len(receiver.notices) == 2
    (delivered,) = deliveries(stage)
    assert delivered["state"] == "delivered"


def test_two_nodes_share_the_work_and_send_nothing_twice(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    other = make_deliverer(stage.engine)
    with Receiver() as receiver:
        subscribe(stage, receiver.url, "session.started")
        for _ in range(30):
            start(stage, shop)
        stage.portal.call(other.step)
        stage.portal.call(deliverer.step)
        stage.portal.call(other.run_due)
        stage.portal.call(deliverer.run_due)
        sent = [notice.headers["webhook-id"] for notice in receiver.notices]
    stage.portal.call(other.close)
    assert {(one["state"], one["last_error"]) for one in deliveries(stage)} == {("delivered", None)}
    assert len(sent) == len(set(sent)) == 30


def test_a_disabled_webhook_is_told_nothing_until_it_is_enabled_again(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver() as receiver:
        webhook = subscribe(stage, receiver.url, "session.started")
        kept = start(stage, shop)
        path = f"/v1/webhooks/{webhook['id']}"
        stage.patch(path, json={"enabled": False}, headers=stage.admin)
        start(stage, shop)
        stage.portal.call(deliverer.run_due)
        assert receiver.notices == []
        stage.patch(path, json={"enabled": True}, headers=stage.admin)
        stage.portal.call(deliverer.run_due)
        assert [notice.session for notice in receiver.notices] == [kept]


def test_the_history_of_deliveries_is_purged_and_what_waits_stays(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver() as receiver:
        subscribe(stage, receiver.url, "session.started")
        start(stage, shop)
        stage.portal.call(deliverer.run_due)
        waiting = start(stage, shop)
        stage.clock.move(stage.engine.settings.retention + 60)
        stage.sweep()
    assert [one["session"] for one in deliveries(stage)] == [waiting]


def test_a_notice_of_an_event_that_is_gone_is_given_up_and_holds_up_no_other(
    stage: World, shop: dict[str, str], deliverer: Deliverer
) -> None:
    with Receiver() as receiver:
        subscribe(stage, receiver.url, "session.started")
        lost = start(stage, shop)
        stage.engine.database.write(
            lambda c: c.execute(delete(event).where(event.c.session_id == lost))
        )
        told = start(stage, shop)
        stage.portal.call(deliverer.run_due)

    assert [notice.session for notice in receiver.notices] == [told]
    (given_up,) = deliveries(stage, "&state=dead")
    assert (given_up["session"], given_up["last_error"]) == (lost, "event_forgotten")
