"""Sessions by the verbs: one row for each user and application, on both databases."""

from tests.hanzo.conftest import Legacy, bad

ROW = {"owner": "acme", "name": "ann", "application": "shop"}


def test_a_row_lists_the_live_sessions_of_a_user_and_application(both: Legacy) -> None:
    first, second = (both.token("acme", "ann", "shop").split(".")[0] for _ in range(2))

    row = both.get("get-session", sessionPkId="acme/ann/shop", **both.client("acme/office"))["data"]

    assert row["sessionId"] == [first, second]
    assert {name: row[name] for name in ROW} == ROW
    assert row["ExclusiveSignin"] is False
    info = row["sessionInfos"][0]
    assert info["sessionId"] == first
    assert info["clientIp"] == "127.0.0.1"
    assert info["device"]
    assert info["lastActiveTime"] == info["createdTime"]


def test_rows_come_by_page_with_their_count(both: Legacy) -> None:
    office = both.client("acme/office")
    for user in ("ann", "bob", "boss"):
        both.token("acme", user, "shop")
        both.world.clock.move(1)
    both.token("globex", "eve", "shop")

    page = both.get("get-sessions", owner="acme", p=1, pageSize=2, **office)
    rest = both.get("get-sessions", owner="acme", p=2, pageSize=2, **office)
    sorted_ = both.get("get-sessions", owner="acme", sortField="name", sortOrder="ascend", **office)
    found = both.get("get-sessions", owner="acme", field="name", value="O", **office)

    assert [one["name"] for one in page["data"]] == ["boss", "bob"]
    assert [one["name"] for one in rest["data"]] == ["ann"]
    assert page["data2"] == rest["data2"] == 3
    assert [one["name"] for one in sorted_["data"]] == ["ann", "bob", "boss"]
    assert sorted_["data2"] is None
    assert [one["name"] for one in found["data"]] == ["boss", "bob"]


def test_ids_that_a_client_adds_are_kept_word_for_word_beside_ours(both: Legacy) -> None:
    office = both.client("acme/office")
    ours = both.token("acme", "ann", "shop").split(".")[0]

    for ids in (["ünlike", 'a"b\\c'], ["third", "ünlike"]):
        added = both.post("add-session", {**ROW, "sessionId": ids}, **office)
        assert added["data"] == "Affected"
    row = both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"]

    assert row["sessionId"] == [ours, "ünlike", 'a"b\\c', "third"]
    assert [one["sessionId"] for one in row["sessionInfos"]] == [ours]
    found = both.get("get-sessions", field="sessionId", value='a"b\\c', **office)["data"]
    assert [one["name"] for one in found] == ["ann"]
    assert both.live("acme", "ann", "shop") == [ours]


def test_deleting_one_id_leaves_the_others_and_deleting_the_last_takes_the_row(
    both: Legacy,
) -> None:
    office = both.client("acme/office")
    ours = both.token("acme", "ann", "shop").split(".")[0]
    both.post("add-session", {**ROW, "sessionId": ["own"]}, **office)

    gone = both.post("delete-session", ROW, sessionId=ours, **office)
    again = both.post("delete-session", ROW, sessionId=ours, **office)

    assert (gone["data"], again["data"]) == ("Affected", "Unaffected")
    assert both.end_reason(ours) == "ended_by_admin"
    row = both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"]
    assert row["sessionId"] == ["own"]
    both.post("delete-session", ROW, sessionId="own", **office)
    assert both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"] is None


def test_deleting_a_row_ends_all_its_sessions_and_forgets_what_was_added(both: Legacy) -> None:
    office = both.client("acme/office")
    ours = [both.token("acme", "ann", "shop").split(".")[0] for _ in range(3)]
    both.post("add-session", {**ROW, "sessionId": ["own"]}, **office)

    assert both.post("delete-session", ROW, **office)["data"] == "Affected"

    assert {both.end_reason(one) for one in ours} == {"ended_by_admin"}
    assert both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"] is None
    assert both.post("delete-session", ROW, **office)["data"] == "Unaffected"


def test_updating_a_row_ends_what_is_left_out_of_it(both: Legacy) -> None:
    office = both.client("acme/office")
    stays, goes = (both.token("acme", "ann", "shop").split(".")[0] for _ in range(2))

    changed = both.post("update-session", {**ROW, "sessionId": [stays, "own"]}, **office)

    assert changed["data"] == "Affected"
    row = both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"]
    assert row["sessionId"] == [stays, "own"]
    assert both.end_reason(goes) == "ended_by_admin"
    assert both.post("update-session", {**ROW, "sessionId": []}, **office)["data"] == "Affected"
    assert both.live("acme", "ann", "shop") == [stays], "without columns an empty list says nothing"
    both.post("update-session", {**ROW, "sessionId": []}, columns="session_id", **office)
    assert both.live("acme", "ann", "shop") == []
    nobody = {**ROW, "name": "bob", "sessionId": ["x"]}
    assert both.post("update-session", nobody, **office)["data"] == "Unaffected"


def test_what_was_added_goes_with_its_user_and_application(both: Legacy) -> None:
    office, world = both.client("acme/office"), both.world
    for user in ("ann", "bob"):
        both.post("add-session", {**ROW, "name": user, "sessionId": ["own"]}, **office)

    world.delete("/v1/users/acme/ann", headers=world.admin)
    assert [one["name"] for one in both.get("get-sessions", **office)["data"]] == ["bob"]
    world.delete("/v1/applications/acme/shop", headers=world.admin)

    assert both.get("get-sessions", **office)["data"] == []
    world.make_user("acme", "ann")
    world.make_application("acme", "shop")
    assert both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"] is None


def test_what_was_added_goes_with_its_organization(both: Legacy) -> None:
    admin, world = both.headers("built-in", "admin"), both.world
    row = {"owner": "globex", "name": "eve", "application": "app-built-in", "sessionId": ["own"]}
    both.post("add-session", row, headers=admin)

    assert world.delete("/v1/organizations/globex", headers=admin).status_code == 204

    names = [one["name"] for one in both.get("get-sessions", headers=admin)["data"]]
    assert "eve" not in names


def test_the_current_session_is_refused_in_the_documented_words(both: Legacy) -> None:
    token = both.token("acme", "ann")
    own, headers = token.split(".")[0], both.world.bearer(token)
    row = {**ROW, "application": "app-built-in"}
    words = f"session id {own} is the current session and cannot be deleted"

    for query in ({"sessionId": own}, {}):
        answer = both.world.post("/api/delete-session", params=query, json=row, headers=headers)
        assert bad(answer) == words
    german = both.world.post(
        "/api/delete-session", json=row, headers={**headers, "accept-language": "de-AT,en"}
    )
    assert (
        bad(german) == f"Die Sitzung {own} ist die aktuelle Sitzung und kann nicht gelöscht werden"
    )
    assert both.live("acme", "ann", "app-built-in") == [own]


def test_duplicates_are_counted_over_all_ids(both: Legacy) -> None:
    office = both.client("acme/office")

    def duplicated(session_id: str) -> bool:
        found: bool = both.get(
            "is-session-duplicated",
            sessionPkId="acme/ann/shop",
            sessionId=session_id,
            **office,
        )["data"]
        return found

    assert duplicated("x") is False
    both.post("add-session", {**ROW, "sessionId": ["own"]}, **office)
    assert (duplicated("own"), duplicated("x")) == (False, True)
    both.token("acme", "ann", "shop")
    assert duplicated("own") is True


def test_a_session_whose_time_is_over_is_in_no_row_before_the_sweep_has_come(both: Legacy) -> None:
    both.token("acme", "ann", "shop")
    both.world.clock.move(31 * 60)
    office = both.client("acme/office")

    page = both.get("get-sessions", p=1, pageSize=10, **office)

    assert (page["data"], page["data2"]) == ([], 0)
    both.token("acme", "ann", "shop")
    page = both.get("get-sessions", p=1, pageSize=10, **office)
    assert (len(page["data"][0]["sessionId"]), page["data2"]) == (1, 1)


def test_adding_an_id_of_ours_says_nothing_new(both: Legacy) -> None:
    office = both.client("acme/office")
    ours = both.token("acme", "ann", "shop").split(".")[0]

    both.post("add-session", {**ROW, "sessionId": [ours]}, **office)
    assert both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"]["sessionId"] == [
        ours
    ]
    both.world.delete(f"/v1/sessions/{ours}", headers=both.world.admin)

    assert both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"] is None
    late = both.world.post("/api/add-session", json={**ROW, "sessionId": [ours]}, params=office)
    assert bad(late) == f"{ours} is no live session of this user and application."
    updated = {**ROW, "sessionId": [ours, "own"]}
    both.post("add-session", {**ROW, "sessionId": ["own"]}, **office)
    assert both.post("update-session", updated, **office)["data"] == "Affected"
    row = both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"]
    assert row["sessionId"] == ["own"], "no session that is over is listed as live"


def test_a_row_that_a_client_begins_without_ids_is_there(both: Legacy) -> None:
    office = both.client("acme/office")

    both.post("add-session", {**ROW, "sessionId": [], "createdTime": "yesterday"}, **office)

    row = both.get("get-session", sessionPkId="acme/ann/shop", **office)["data"]
    assert (row["sessionId"], row["createdTime"]) == ([], "yesterday")
