"""Sessions and records as administrators and back ends see and end them."""

from typing import Any

from tests.support.basic import basic
from tests.support.world import World


def _populate(world: World) -> tuple[dict[str, str], list[str]]:
    """Client headers of acme/shop and the tokens of three instances of one user."""
    world.make_organization("acme")
    world.make_user("acme", "ann")
    client = basic(world.make_application("acme", "shop"))
    tokens = []
    for number in range(3):
        world.clock.move(1)
        body = {"user": "ann", "instance": f"worker-{number}", "metadata": {"n": number}}
        answer = world.post("/v1/sessions", json=body, headers=client)
        assert answer.status_code == 201, answer.text
        tokens.append(answer.json()["token"])
    return client, tokens


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    """What a dry run says of the sessions and what ending them says."""
    return {name: answer[name] for name in ("ended", "ids", "own_session_ended")}


def _id(token: str) -> str:
    return token.split(".", maxsplit=1)[0]


def test_a_back_end_holds_a_session_for_each_of_its_instances(both_worlds: World) -> None:
    world = both_worlds
    client, tokens = _populate(world)
    record = world.get("/v1/session-records/acme/ann/shop", headers=client).json()
    assert record["session_ids"] == [_id(token) for token in tokens]
    page = world.get("/v1/sessions?instance=worker-1", headers=client).json()
    (session,) = page["items"]
    assert session["id"] == _id(tokens[1])
    assert session["metadata"] == {"n": 1}
    assert (session["amr"], session["authenticated_at"], session["acr"]) == ([], None, None)


def test_who_may_start_sessions_is_found_out_anew_for_each(both_worlds: World) -> None:
    world = both_worlds
    world.make_organization("acme")
    world.make_user("acme", "ann")
    shop = world.make_application("acme", "shop")
    client = basic(shop)

    def started(headers: dict[str, str]) -> tuple[int, str | None]:
        answer = world.post("/v1/sessions", json={"user": "ann"}, headers=headers)
        return answer.status_code, answer.json().get("code")

    assert started(client) == (201, None)
    for wrong in (
        {**shop, "client_id": "app_" + "0" * 26},
        {**shop, "client_id": shop["client_id"] + "\0"},
        {**shop, "client_id": ""},
        {**shop, "client_id": "é" * 300},
        {**shop, "client_secret": "A" * 43},
        {**shop, "client_secret": ""},
    ):
        assert started(basic(wrong)) == (401, "client_invalid")
    assert started({"authorization": "Basic !"}) == (401, "client_invalid")
    assert started({}) == (401, "authentication_required")
    assert started(client) == (201, None)
    fresh = world.post("/v1/applications/acme/shop/secret", headers=world.admin).json()
    assert started(client) == (401, "client_invalid")
    assert started(basic(fresh)) == (201, None)
    off = world.patch("/v1/applications/acme/shop", json={"enabled": False}, headers=world.admin)
    assert off.status_code == 200
    assert started(basic(fresh)) == (401, "client_invalid")


def test_a_back_end_says_where_its_user_comes_from(world: World) -> None:
    client, _ = _populate(world)
    body: dict[str, Any] = {
        "user": "ann",
        "ip": "2001:DB8::1",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "maximum_lifetime": 60,
    }
    session = world.post("/v1/sessions", json=body, headers=client).json()["session"]
    assert session["ip"] == "2001:db8::1"
    assert session["device"] == "Firefox on Linux"
    assert session["idle_expires_at"] == session["expires_at"]
    named = world.post("/v1/sessions", json={**body, "device": "Till 4"}, headers=client).json()
    assert named["session"]["device"] == "Till 4"


def test_nobody_but_an_application_starts_sessions_for_others(world: World) -> None:
    client, _ = _populate(world)
    refused = world.post("/v1/sessions", json={"user": "ann"}, headers=world.admin)
    assert refused.status_code == 403
    unknown = world.post("/v1/sessions", json={"user": "nobody"}, headers=client)
    assert (unknown.status_code, unknown.json()["code"]) == (403, "not_admitted")


def test_sessions_are_listed_newest_first_a_page_at_a_time(both_worlds: World) -> None:
    world = both_worlds
    _, tokens = _populate(world)
    admin = world.admin
    newest_first = [_id(token) for token in reversed(tokens)]
    seen: list[str] = []
    cursor = ""
    while True:
        address = f"/v1/sessions?organization=acme&limit=2{cursor}"
        page = world.get(address, headers=admin).json()
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == newest_first


def test_sessions_are_filtered_by_every_member(both_worlds: World) -> None:
    world = both_worlds
    client, tokens = _populate(world)
    world.make_user("acme", "bob")
    browser = _id(world.sign_in("acme", "bob"))
    world.delete(f"/v1/sessions/{_id(tokens[0])}", headers=client)
    admin = world.admin

    def ids(query: str) -> set[str]:
        page = world.get(f"/v1/sessions?organization=acme&{query}", headers=admin).json()
        return {one["id"] for one in page["items"]}

    started = {_id(token) for token in tokens}
    assert ids("user=bob") == {browser}
    assert ids("application=shop") == started
    assert ids("state=active") == {browser, *started} - {_id(tokens[0])}
    assert ids("state=ended") == {_id(tokens[0])}
    assert ids("ip=192.0.2.1") == set()
    assert ids("ip=127.0.0.1") == {browser, *started}
    assert ids(f"parent={browser}") == set()
    world.clock.move(12 * 60 * 60)  # the sweep has not been there
    admin = world.admin
    assert ids("state=active") == set()
    assert ids("state=ended") == {browser, *started}


def test_ending_one_session_leaves_the_others_of_its_record(both_worlds: World) -> None:
    world = both_worlds
    client, tokens = _populate(world)
    assert world.delete(f"/v1/sessions/{_id(tokens[1])}", headers=world.admin).status_code == 204
    assert world.delete(f"/v1/sessions/{_id(tokens[1])}", headers=world.admin).status_code == 204
    shown = world.get(f"/v1/sessions/{_id(tokens[1])}", headers=client).json()
    assert (shown["state"], shown["end_reason"]) == ("ended", "ended_by_admin")
    assert shown["ended_by"] == "user:built-in/admin"
    record = world.get("/v1/session-records/acme/ann/shop", headers=client).json()
    assert record["session_ids"] == [_id(tokens[0]), _id(tokens[2])]


def test_ending_a_record_ends_all_its_sessions(both_worlds: World) -> None:
    world = both_worlds
    client, tokens = _populate(world)
    assert world.delete("/v1/session-records/acme/ann/shop", headers=client).status_code == 204
    record = world.get("/v1/session-records/acme/ann/shop", headers=client).json()
    assert (record["session_ids"], record["created_at"]) == ([], None)
    for token in tokens:
        assert world.get("/v1/session", headers=world.bearer(token)).status_code == 401
    assert world.get("/v1/session-records?organization=acme", headers=world.admin).json() == {
        "items": [],
        "next": None,
    }
    missing = world.get("/v1/session-records/nowhere/ann/shop", headers=world.admin)
    assert missing.status_code == 404


def test_records_are_listed_by_key_a_page_at_a_time(both_worlds: World) -> None:
    world = both_worlds
    client, _ = _populate(world)
    for name in ("bob", "cleo"):
        world.make_user("acme", name)
        world.post("/v1/sessions", json={"user": name}, headers=client)
    first = world.get("/v1/session-records?limit=2", headers=client).json()
    assert [one["user"] for one in first["items"]] == ["ann", "bob"]
    rest = world.get(f"/v1/session-records?limit=2&cursor={first['next']}", headers=client).json()
    assert [one["user"] for one in rest["items"]] == ["cleo"]
    assert rest["next"] is None
    only = world.get("/v1/session-records?user=bob", headers=client).json()
    assert [one["user"] for one in only["items"]] == ["bob"]


def test_many_end_by_their_ids_and_unknown_ones_are_passed_over(both_worlds: World) -> None:
    world = both_worlds
    client, tokens = _populate(world)
    ids = [_id(tokens[0]), _id(tokens[1]), "ses_00000000000000000000000000", "\x7e nonsense"]
    dry = world.post("/v1/sessions/end", json={"ids": ids, "dry_run": True}, headers=client)
    assert dry.json()["ids"] == [_id(tokens[0]), _id(tokens[1])]
    assert world.get("/v1/session", headers=world.bearer(tokens[0])).status_code == 200
    done = world.post("/v1/sessions/end", json={"ids": ids}, headers=client)
    assert _told(done.json()) == _told(dry.json())
    again = world.post("/v1/sessions/end", json={"ids": ids}, headers=client)
    assert _told(again.json()) == {"ended": 0, "ids": [], "own_session_ended": False}
    assert world.get("/v1/session", headers=world.bearer(tokens[2])).status_code == 200


def test_many_end_by_a_filter_and_the_dry_run_names_the_same(both_worlds: World) -> None:
    world = both_worlds
    _, tokens = _populate(world)
    body = {"filter": {"organization": "acme", "user": "ann"}}
    admin = world.admin
    dry = world.post("/v1/sessions/end", json={**body, "dry_run": True}, headers=admin).json()
    done = world.post("/v1/sessions/end", json=body, headers=admin).json()
    assert _told(done) == _told(dry)
    assert set(done["ids"]) == {_id(token) for token in tokens}


def test_the_caller_is_told_when_their_own_session_went_too(world: World) -> None:
    admin = world.admin
    own = world.get("/v1/session", headers=admin).json()["id"]
    spared = world.post(
        "/v1/sessions/end",
        json={"filter": {"user": "admin", "but_current": True}},
        headers=admin,
    ).json()
    assert spared["own_session_ended"] is False
    body = {"filter": {"user": "admin"}}
    answer = world.post("/v1/sessions/end", json=body, headers=admin).json()
    assert _told(answer) == {"ended": 1, "ids": [own], "own_session_ended": True}
    assert world.get("/v1/session", headers=admin).json()["code"] == "session_ended"
    admin = world.admin
    own = world.get("/v1/session", headers=admin).json()["id"]
    gone = world.delete(f"/v1/sessions/{own}", headers=admin)
    assert gone.headers["x-own-session-ended"] == "true"
    assert world.get("/v1/session", headers=admin).json()["end_reason"] == "signed_out"


def test_children_end_with_the_browser_session_and_count(world: World) -> None:
    world.make_organization("acme")
    world.make_user("acme", "ann")
    world.make_application("acme", "shop")
    browser = world.sign_in("acme", "ann")
    child = world.engine.database.write(lambda c: _enter(c, world, _id(browser)))
    answer = world.post("/v1/sessions/end", json={"ids": [_id(browser)]}, headers=world.admin)
    assert set(answer.json()["ids"]) == {_id(browser), child}
    shown = world.get(f"/v1/sessions/{child}", headers=world.admin).json()
    assert (shown["end_reason"], shown["parent"]) == ("parent_ended", _id(browser))


def _enter(connection: Any, world: World, browser: str) -> str:
    from iam.kernel.events import NOWHERE
    from iam.signin.enter import enter_application

    session, _, _ = enter_application(
        connection,
        browser_session=browser,
        organization="acme",
        application="shop",
        instance=None,
        origin=NOWHERE,
        now=world.clock(),
        random=world.engine.random,
    )
    return session.id


def test_tokens_are_judged_in_order_and_each_says_why(both_worlds: World) -> None:
    world = both_worlds
    client, tokens = _populate(world)
    world.delete(f"/v1/sessions/{_id(tokens[1])}", headers=client)
    browser = world.sign_in("built-in", "admin", password="correct horse battery")
    asked = [tokens[0], tokens[1], browser, "", "\x00", "x" * 5000, tokens[2], tokens[0]]
    answer = world.post("/v1/sessions/validate", json={"tokens": asked}, headers=client)
    results = answer.json()
    assert [one.get("id") for one in results] == [
        _id(tokens[0]), None, None, None, None, None, _id(tokens[2]), _id(tokens[0]),
    ]  # fmt: skip  # reads as the list it is
    assert results[1] == {"code": "session_ended", "end_reason": "ended_by_admin"}
    assert all(one == {"code": "session_unknown", "end_reason": None} for one in results[2:6])
    one = world.get(f"/v1/sessions/{_id(tokens[0])}", headers=client).json()
    assert one.pop("federated") is None  # which is told of one session alone
    assert results[0] == one


def test_an_applications_asking_keeps_a_session_alive_and_an_administrators_does_not(
    world: World,
) -> None:
    client, tokens = _populate(world)
    for caller, alive in ((world.admin, False), (client, True)):
        token = tokens.pop()
        world.post("/v1/sessions/validate", json={"tokens": [token]}, headers=caller)
        world.clock.move(20 * 60)
        headers = caller if alive else world.admin
        world.post("/v1/sessions/validate", json={"tokens": [token]}, headers=headers)
        world.write_touches()
        world.clock.move(2)
        world.write_touches()
        world.clock.move(15 * 60)
        (verdict,) = world.post(
            "/v1/sessions/validate", json={"tokens": [token]}, headers=client
        ).json()
        assert ("id" in verdict) is alive
        if not alive:
            assert verdict["end_reason"] == "idle"
            fresh = world.post("/v1/sessions", json={"user": "ann"}, headers=client).json()
            tokens.append(fresh["token"])


def test_a_thousand_tokens_are_judged_at_once_and_no_more(world: World) -> None:
    client, tokens = _populate(world)
    many = {"tokens": tokens[:1] * 1000}
    assert len(world.post("/v1/sessions/validate", json=many, headers=client).json()) == 1000
    more = {"tokens": tokens[:1] * 1001}
    assert world.post("/v1/sessions/validate", json=more, headers=client).status_code == 422


def test_a_thousand_sessions_of_one_user_end_in_one_request(world: World) -> None:
    client, _ = _populate(world)

    def start_many(connection: Any) -> None:
        from iam.kernel.events import SYSTEM
        from iam.signin.enter import start_for_user

        for _ in range(1000):
            start_for_user(
                connection,
                organization="acme",
                user="ann",
                application="shop",
                actor=SYSTEM,
                instance=None,
                metadata={},
                maximum_lifetime=None,
                origin=_nowhere(),
                device=None,
                now=world.clock(),
                random=world.engine.random,
            )

    world.engine.database.write(start_many)
    body: dict[str, Any] = {"filter": {"user": "ann"}}
    dry = world.post("/v1/sessions/end", json={**body, "dry_run": True}, headers=client).json()
    body["confirm"] = dry["confirm"]
    answer = world.post("/v1/sessions/end", json=body, headers=client)
    assert (answer.json()["ended"], answer.json()["more"]) == (1003, False)


def _nowhere() -> Any:
    from iam.kernel.events import NOWHERE

    return NOWHERE
