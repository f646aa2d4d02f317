"""Sessions by the nouns of Hanzo IAM: no envelope, HTTP statuses."""

from typing import Any

from tests.hanzo.conftest import Legacy

ROW = {"owner": "acme", "name": "ann", "application": "shop"}


def _noun(legacy: Legacy, name: str, /, **body: Any) -> Any:
    headers = legacy.basic("acme/office")
    return legacy.world.post(f"/v1/iam/sessions/{name}", json=body, headers=headers)


def test_rows_are_listed_and_read(both: Legacy) -> None:
    for user in ("ann", "bob"):
        both.token("acme", user, "shop")
        both.world.clock.move(1)

    listed = _noun(both, "list", owner="acme").json()["sessions"]
    narrowed = _noun(both, "list", owner="acme", name="ann", application="shop").json()["sessions"]
    one = _noun(both, "get", **ROW)

    assert [row["name"] for row in listed] == ["bob", "ann"]
    assert [row["name"] for row in narrowed] == ["ann"]
    assert one.json() == narrowed[0]
    missing = _noun(both, "get", **{**ROW, "name": "boss"})
    assert (missing.status_code, missing.json()["msg"]) == (404, "session not found")


def test_rows_are_created_updated_and_deleted(both: Legacy) -> None:
    ours = both.token("acme", "ann", "shop").split(".")[0]

    created = _noun(both, "create", **ROW, sessionId=["own"]).json()
    updated = _noun(both, "update", **ROW, sessionId=["own", "two"]).json()

    assert created["sessionId"] == [ours, "own"]
    assert updated["sessionId"] == ["own", "two"]
    assert both.end_reason(ours) == "ended_by_admin"
    emptied = _noun(both, "update", **ROW, sessionId=[])
    assert emptied.json()["sessionId"] == []
    assert _noun(both, "get", **ROW).status_code == 404
    _noun(both, "create", **ROW, sessionId=["own"])
    assert _noun(both, "delete", **ROW).json() == {"deleted": True}
    assert _noun(both, "delete", **ROW).json() == {"deleted": False}
    assert _noun(both, "update", **ROW, sessionId=["x"]).status_code == 404


def test_exclusive_creation_ends_the_others(both: Legacy) -> None:
    first, second = (both.token("acme", "ann", "shop").split(".")[0] for _ in range(2))

    row = _noun(both, "create", **ROW, sessionId=[second], exclusiveSignin=True).json()

    assert row["sessionId"] == [second]
    assert both.end_reason(first) == "exclusive"


def test_errors_have_their_status(legacy: Legacy) -> None:
    post = legacy.world.post
    assert post("/v1/iam/sessions/list", json={"owner": "acme"}).status_code == 401
    assert _noun(legacy, "list").status_code == 422
    assert _noun(legacy, "get", owner="acme").status_code == 422
    assert _noun(legacy, "update", **ROW).status_code == 422
    assert _noun(legacy, "list", owner="globex").status_code == 403
    broken = post("/v1/iam/sessions/list", content=b"{")
    assert broken.status_code in (401, 422, 400)
    own = legacy.token("acme", "ann")
    headers = legacy.world.bearer(own)
    row = {**ROW, "application": "app-built-in"}
    current = post("/v1/iam/sessions/delete", json=row, headers=headers)
    assert current.status_code == 409
