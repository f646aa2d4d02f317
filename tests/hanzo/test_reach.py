"""Who reaches what: the object that is acted on is the object that is checked."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from iam.db.tables import metadata
from tests.hanzo.conftest import Legacy, bad

FOREIGN = {"owner": "globex", "name": "eve", "application": "shop"}
NOWHERE = {"owner": "nowhere", "name": "eve", "application": "shop"}
DENIED = "Unauthorized operation"


@pytest.fixture
def rows(legacy: Legacy) -> Callable[[], Any]:
    """Reads all that is stored, to be compared."""

    def work(connection: Connection) -> Any:
        return {
            table.name: sorted(tuple(map(repr, row)) for row in connection.execute(table.select()))
            for table in metadata.sorted_tables
        }

    return lambda: legacy.world.engine.database.read(work)


def _tries(row: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    pk = f"{row['owner']}/{row['name']}/{row['application']}"
    body = {**row, "sessionId": ["x"]}
    tries: list[tuple[str, str, dict[str, Any]]] = []
    for ids in ({}, {"id": "acme/ann"}, {"organization": "acme"}, {"id": "acme/boss"}):
        tries += [
            ("GET", "/api/get-sessions", {"params": {"owner": row["owner"], **ids}}),
            ("GET", "/api/get-session", {"params": {"sessionPkId": pk, **ids}}),
            ("GET", "/api/is-session-duplicated", {"params": {"sessionPkId": pk, **ids}}),
            ("POST", "/api/add-session", {"json": body, "params": ids}),
            ("POST", "/api/update-session", {"json": body, "params": ids}),
            ("POST", "/api/delete-session", {"json": body, "params": ids}),
            ("POST", "/api/delete-session", {"json": body, "params": {**ids, "sessionId": "x"}}),
        ]
    return tries


@pytest.mark.parametrize("caller", ["boss", "ann", "shop", "office"])
def test_another_organization_does_not_exist_whatever_the_query_says(
    legacy: Legacy, rows: Callable[[], Any], caller: str
) -> None:
    legacy.token("globex", "eve", "shop")
    if caller in ("shop", "office"):
        headers = legacy.basic(f"acme/{caller}")
    else:
        headers = legacy.headers("acme", caller)
    before = rows()
    for (method, path, there), (_, _, nowhere) in zip(
        _tries(FOREIGN), _tries(NOWHERE), strict=True
    ):
        foreign = legacy.world.request(method, path, headers=headers, **there)
        unknown = legacy.world.request(method, path, headers=headers, **nowhere)
        assert bad(foreign) == bad(unknown) == DENIED, (path, there)
    assert rows() == before
    for noun in ("list", "get", "create", "update", "delete"):
        body = {**FOREIGN, "sessionId": ["x"]}
        answer = legacy.world.post(f"/v1/iam/sessions/{noun}", json=body, headers=headers)
        assert (answer.status_code, answer.json()["msg"]) == (403, DENIED), noun
    assert rows() == before
    assert "globex" not in legacy.world.get("/api/get-sessions", headers=headers).text


def test_a_person_reaches_their_own_rows_and_no_others(legacy: Legacy) -> None:
    headers = legacy.headers("acme", "ann")
    legacy.token("acme", "ann", "shop")
    legacy.token("acme", "bob", "shop")

    rows = legacy.get("get-sessions", headers=headers)["data"]

    assert {(row["name"], row["application"]) for row in rows} == {
        ("ann", "app-built-in"),
        ("ann", "shop"),
    }
    other = {"sessionPkId": "acme/bob/shop", "id": "acme/ann"}
    assert bad(legacy.world.get("/api/get-session", params=other, headers=headers)) == DENIED
    mine = {"owner": "acme", "name": "ann", "application": "shop"}
    [session] = legacy.live("acme", "ann", "shop")
    assert legacy.post("delete-session", mine, headers=headers)["data"] == "Affected"
    assert legacy.end_reason(session) == "ended_by_user"


def test_an_application_reaches_its_own_sessions_until_it_may_administer(legacy: Legacy) -> None:
    world, client = legacy.world, legacy.client("acme/shop")
    legacy.token("acme", "ann", "shop")
    legacy.token("acme", "ann")

    rows = legacy.get("get-sessions", **client)["data"]
    assert [row["application"] for row in rows] == ["shop"]
    browser = {"owner": "acme", "name": "ann", "application": "app-built-in"}
    answer = world.post("/api/delete-session", json=browser, params=client)
    assert bad(answer) == DENIED

    change = {"manages_organization": True}
    world.patch("/v1/applications/acme/shop", json=change, headers=world.admin)
    assert legacy.post("delete-session", browser, **client)["data"] == "Affected"
    assert bad(world.get("/api/get-sessions", params={**client, "owner": "globex"})) == DENIED
    assert legacy.get("get-account", **client, userId="acme/bob")["name"] == "bob"


def test_only_an_application_with_a_secret_can_administer(legacy: Legacy) -> None:
    world = legacy.world
    body = {"organization": "acme", "name": "spa", "public": True, "manages_organization": True}
    answer = world.post("/v1/applications", json=body, headers=world.admin)
    assert answer.json()["code"] == "auth_method_conflict"


def test_a_token_that_an_application_was_handed_does_not_administer(legacy: Legacy) -> None:
    token = legacy.token("acme", "boss", "shop")
    legacy.token("acme", "ann", "shop")

    queries: list[dict[str, Any]] = [{"owner": "acme"}, {}]
    for query in queries:
        rows = legacy.get("get-sessions", headers=legacy.world.bearer(token), **query)["data"]
        assert {row["name"] for row in rows} == {"boss"}
    body = {"owner": "acme", "name": "ann", "application": "shop"}
    answer = legacy.world.post("/api/delete-session", json=body, headers=legacy.world.bearer(token))
    assert bad(answer) == DENIED


def test_administrators_of_the_installation_reach_everything(legacy: Legacy) -> None:
    legacy.token("acme", "ann", "shop")
    legacy.token("globex", "eve", "shop")
    admin = legacy.headers("built-in", "admin")

    owners = {row["owner"] for row in legacy.get("get-sessions", headers=admin)["data"]}

    assert owners >= {"acme", "globex", "built-in"}
    legacy.applications["built-in/root"] = legacy.world.make_application(
        "built-in", "root", manages_organization=True
    )
    rows = legacy.get("get-sessions", owner="globex", **legacy.client("built-in/root"))["data"]
    assert [row["name"] for row in rows] == ["eve"]


def test_a_browser_in_which_somebody_signed_in_long_ago_administers_nothing(both: Legacy) -> None:
    session = both.token("acme", "ann", "shop").partition(".")[0]
    token = both.token("acme", "boss")
    both.world.clock.move(901)
    cookie = {"cookie": f"casdoor_session_id={token}", "sec-fetch-site": "same-origin"}
    row = {"owner": "acme", "name": "ann", "application": "shop"}
    bob = {"owner": "acme", "name": "bob", "isForbidden": True}

    for verb, body in (("delete-session", row), ("update-user", bob), ("delete-user", bob)):
        answer = both.world.post(f"/api/{verb}", json=body, headers=cookie)
        assert bad(answer) == "Your sign-in is too long ago for this, please login again"

    assert both.get("get-users", owner="acme", headers=cookie)["data"], "looking is no change"
    both.post("delete-session", row, headers=both.world.bearer(token))
    assert both.end_reason(session) == "ended_by_admin", "a token is more than a browser"
