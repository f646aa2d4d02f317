"""Every managing route, tried by each role: what it may do is done, and nothing else is."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.test_isolation import MANAGING, try_operation
from tests.support.routes import Operation
from tests.support.tenants import Tenant
from tests.support.world import World

ENDING = {"endSession", "endSessions", "endSessionsBefore", "endSessionRecord"}
SEEING = {
    "listSessions",
    "getSession",
    "getSessionTimeline",
    "listSessionRecords",
    "getSessionRecord",
    "getBulkEnd",
    "followBulkEnd",
    "listDeliveriesOfSession",
    "streamEvents",
}


def _may(role: str, operation: Operation) -> bool:
    if role == "auditor":
        return operation.method == "GET"
    return operation.id in SEEING | ENDING


@pytest.mark.parametrize("role", ["auditor", "support"])
def test_each_role_may_do_what_the_table_says_and_nothing_else(
    world: World, acme: Tenant, rows: Callable[[], Any], role: str
) -> None:
    world.make_user("acme", "rita", roles=[role])
    rita = world.bearer(world.sign_in("acme", "rita"))
    # A feed that may be opened stays open: one from an event that there is not is answered at once.
    rita["last-event-id"] = f"evt_{'0' * 26}"
    before = rows()
    for operation in MANAGING:
        if _may(role, operation) and operation.id in ENDING:
            continue
        answer = try_operation(world, operation, rita, acme)
        if _may(role, operation):
            assert answer.status_code in (200, 404), (operation, answer.text)
        else:
            assert answer.status_code == 403, (operation, answer.text)
            assert answer.json()["code"] == "forbidden", operation
        assert rows() == before, operation


def test_support_ends_one_session_a_record_and_many(world: World, acme: Tenant) -> None:
    world.make_user("acme", "rita", roles=["support"])
    rita = world.bearer(world.sign_in("acme", "rita"))
    assert world.delete(f"/v1/sessions/{acme.session}", headers=rita).status_code == 204
    world.sign_in("acme", "ann", application="shop")
    record = world.delete("/v1/session-records/acme/ann/shop", headers=rita)
    assert record.status_code == 204
    many = world.post("/v1/sessions/end", json={"filter": {"user": "ann"}}, headers=rita)
    assert many.status_code == 200
    cut = world.post("/v1/sessions/not-before", json={"user": "boss"}, headers=rita)
    assert cut.status_code == 200


@pytest.mark.parametrize("role", ["auditor", "support"])
def test_a_role_counts_in_its_own_organization_and_in_built_in_everywhere(
    world: World, acme: Tenant, role: str
) -> None:
    world.make_organization("rival")
    world.make_user("rival", "rita", roles=[role])
    world.make_user("built-in", "rita", roles=[role])
    elsewhere = world.bearer(world.sign_in("rival", "rita"))
    everywhere = world.bearer(world.sign_in("built-in", "rita"))
    path = f"/v1/sessions/{acme.session}"
    assert world.get(path, headers=elsewhere).status_code == 404
    assert world.get(path, headers=everywhere).status_code == 200


def test_a_role_counts_for_nothing_with_a_session_of_an_application(
    world: World, acme: Tenant
) -> None:
    world.make_user("acme", "rita", roles=["auditor", "support"])
    token = world.sign_in("acme", "rita", application="shop")
    assert world.get("/v1/sessions", headers=world.bearer(token)).status_code == 403
