"""Users by the verbs of Casdoor; what came of it is read by the native API."""

from typing import Any

from tests.hanzo.conftest import Legacy, bad
from tests.support.authenticator import give_authenticator
from tests.support.world import ISSUER, PASSWORD

NEW = "a brand new secret 9"


def _native(legacy: Legacy, organization: str, name: str) -> dict[str, Any]:
    world = legacy.world
    found: dict[str, Any] = world.get(
        f"/v1/users/{organization}/{name}", headers=world.admin
    ).json()
    return found


def _events(legacy: Legacy, type_: str) -> list[dict[str, Any]]:
    world = legacy.world
    query = {"type": type_, "organization": "acme"}
    found: list[dict[str, Any]] = world.get("/v1/events", params=query, headers=world.admin).json()[
        "items"
    ]
    return found


def test_a_user_who_is_added_can_sign_in_and_is_read_with_what_means_nothing_to_us(
    both: Legacy,
) -> None:
    office = both.client("acme/office")
    body = {
        "owner": "acme",
        "name": "dora",
        "displayName": "Dora",
        "email": "dora@acme.example",
        "password": NEW,
        "phone": "+15550001",
        "tag": "vip",
        "properties": {"a": ["b", 1]},
        "id": "chosen",
        "isAdmin": False,
        "isForbidden": False,
        "score": 7,
        "type": "normal",
    }

    assert both.post("add-user", body, id="acme/dora", **office)["data"] == "Affected"

    native = _native(both, "acme", "dora")
    assert (native["display_name"], native["email"]) == ("Dora", "dora@acme.example")
    assert both.world.sign_in("acme", "dora", password=NEW)
    shown = both.get("get-user", id="acme/dora", **office)["data"]
    assert shown["id"] == native["id"] != "chosen"
    assert shown["password"] == "***"
    kept = {one: shown[one] for one in ("phone", "tag", "properties", "score", "type")}
    assert kept == {one: body[one] for one in kept}
    actors = {one["user"]: one["actor"] for one in _events(both, "user.created")}
    assert actors["dora"] == "application:acme/office"


def test_a_user_is_found_by_name_mail_phone_and_id(both: Legacy) -> None:
    office = both.client("acme/office")
    both.post("update-user", {"owner": "acme", "name": "ann", "phone": "+15550001"}, **office)
    ann = _native(both, "acme", "ann")["id"]

    def found(**query: Any) -> str | None:
        user = both.get("get-user", **query, **office)["data"]
        return user["name"] if user is not None else None

    assert found(id="acme/ann") == "ann"
    assert found(owner="acme", email="ANN@acme.example") == "ann"
    assert found(owner="acme", phone="+15550001") == "ann"
    assert found(owner="acme", userId=ann) == "ann"
    assert found(owner="acme", userId=_native(both, "globex", "eve")["id"]) is None
    assert found(id="acme/nobody") is None


def test_users_are_listed_paged_sorted_sought_and_counted(both: Legacy) -> None:
    office = both.client("acme/office")
    both.post("update-user", {"owner": "acme", "name": "bob", "tag": "VIP one"}, **office)
    both.token("acme", "ann")

    def names(verb: str = "get-users", **query: Any) -> list[str]:
        return [one["name"] for one in both.get(verb, owner="acme", **query, **office)["data"]]

    assert sorted(names()) == ["ann", "bob", "boss"]
    assert names(sortField="name", sortOrder="ascend") == ["ann", "bob", "boss"]
    assert names(field="displayName", value="BO", sortField="name") == ["boss", "bob"]
    assert names(field="tag", value="vip") == ["bob"]
    page = both.get("get-users", owner="acme", p=2, pageSize=2, sortField="name", **office)
    assert ([one["name"] for one in page["data"]], page["data2"]) == (["ann"], 3)
    assert names("get-sorted-users", sorter="name", limit=2) == ["boss", "bob"]
    counts = [
        both.get("get-user-count", owner="acme", isOnline=one, **office)["data"]
        for one in ("", "1", "0")
    ]
    assert counts == [3, 1, 2]
    everybody = both.get("get-global-users", headers=both.headers("built-in", "admin"))["data"]
    assert {"ann", "eve", "admin"} <= {one["name"] for one in everybody}
    assert sorted(names("get-global-users")) == ["ann", "bob", "boss"], "of one's own organization"


def test_forbidding_a_user_ends_their_sessions_at_once(both: Legacy) -> None:
    token = both.token("acme", "ann")
    office = both.client("acme/office")

    both.post("update-user", {"owner": "acme", "name": "ann", "isForbidden": True}, **office)

    assert both.end_reason(token.split(".")[0]) == "user_disabled"
    refused = both.world.get("/api/get-account", headers=both.world.bearer(token))
    assert refused.json()["status"] == "error"
    assert both.get("get-user", id="acme/ann", **office)["data"]["isForbidden"] is True
    both.post("update-user", {"owner": "acme", "name": "ann", "isForbidden": False}, **office)
    assert both.token("acme", "ann")


def test_an_object_that_is_sent_back_as_it_was_read_changes_nothing(both: Legacy) -> None:
    office = both.client("acme/office")
    token = both.token("acme", "ann")
    before = _native(both, "acme", "ann")
    user = both.get("get-user", id="acme/ann", **office)["data"]

    assert both.post("update-user", user, id="acme/ann", **office)["data"] == "Affected"

    assert _native(both, "acme", "ann") == before
    assert both.end_reason(token.split(".")[0]) is None
    assert _events(both, "user.updated") == []


def test_columns_say_what_of_the_body_is_meant(both: Legacy) -> None:
    office = both.client("acme/office")
    body = {"owner": "acme", "name": "ann", "displayName": "Annie", "isForbidden": True}
    body |= {"email": "other@acme.example", "isAdmin": True, "tag": "x", "bio": "y"}

    both.post("update-user", body, id="acme/ann", columns="display_name,tag", **office)

    native = _native(both, "acme", "ann")
    assert (native["display_name"], native["email"]) == ("Annie", "ann@acme.example")
    assert (native["enabled"], native["roles"]) == (True, [])
    shown = both.get("get-user", id="acme/ann", **office)["data"]
    assert (shown["tag"], "bio" in shown) == ("x", False)


def test_an_administrator_is_made_and_unmade(both: Legacy) -> None:
    office = both.client("acme/office")

    both.post("update-user", {"owner": "acme", "name": "ann", "isAdmin": True}, **office)
    assert _native(both, "acme", "ann")["roles"] == ["administrator"]
    assert both.get("get-users", owner="acme", headers=both.headers("acme", "ann"))["data"]

    both.post("update-user", {"owner": "acme", "name": "ann", "isAdmin": False}, **office)
    assert _native(both, "acme", "ann")["roles"] == []


def test_what_is_kept_never_stands_for_what_is_decided_here(both: Legacy) -> None:
    office = both.client("acme/office")
    body = {
        "owner": "acme",
        "name": "ann",
        "id": "forged",
        "createdTime": "1999",
        "roles": ["a"],
        "permissions": [{"name": "all"}],
        "isGlobalAdmin": True,
        "isOnline": True,
        "totpSecret": "seed",
        "passwordSalt": "salt",
        "accessKey": "k",
        "accessSecret": "s",
        "recoveryCodes": ["1"],
        "hash": "h",
        "mfaAccounts": [{}],
        "passwordType": "plain",
    }

    both.post("update-user", body, **office)

    shown = both.get("get-user", id="acme/ann", **office)["data"]
    assert shown["id"] == _native(both, "acme", "ann")["id"]
    assert shown["isGlobalAdmin"] is False
    assert (shown["roles"], shown["permissions"]) == ([], [])
    assert shown["createdTime"] != "1999"
    secrets = {"totpSecret", "passwordSalt", "accessKey", "accessSecret", "recoveryCodes", "hash"}
    assert not secrets & set(shown)
    assert "isOnline" not in shown


def test_a_user_changes_of_themselves_what_is_theirs_and_nothing_else(both: Legacy) -> None:
    ann = both.headers("acme", "ann")
    user = both.get("get-user", id="acme/ann", headers=ann)["data"]

    changed = {**user, "displayName": "Ann A.", "avatar": "https://acme.example/ann.png"}
    assert both.post("update-user", changed, id="acme/ann", headers=ann)["data"] == "Affected"
    assert _native(both, "acme", "ann")["display_name"] == "Ann A."

    for forbidden in (
        {"isAdmin": True},
        {"email": "boss@acme.example"},
        {"isForbidden": True},
        {"password": NEW},
        {"groups": ["acme/all"]},
        {"tag": "vip"},
        {"balance": 1000},
        {"phone": "+1"},
    ):
        answer = both.world.post("/api/update-user", json={**user, **forbidden}, headers=ann)
        assert bad(answer) == "Unauthorized operation", forbidden
    assert both.get("get-user", id="acme/ann", headers=ann)["data"].get("tag") is None


def test_updating_by_user_id_and_deleting(both: Legacy) -> None:
    office = both.client("acme/office")
    token = both.token("acme", "ann")
    ann = _native(both, "acme", "ann")["id"]
    eve = _native(both, "globex", "eve")["id"]

    body = {"owner": "acme", "displayName": "By ID"}
    assert both.post("update-user", body, owner="acme", userId=ann, **office)["data"] == "Affected"
    assert _native(both, "acme", "ann")["display_name"] == "By ID"
    other = both.post("update-user", body, owner="acme", userId=eve, **office)
    assert other["data"] == "Unaffected"
    assert _native(both, "globex", "eve")["display_name"] == "eve"

    row = {"owner": "acme", "name": "ann"}
    assert both.post("delete-user", row, id="acme/ann", **office)["data"] == "Affected"
    assert both.end_reason(token.split(".")[0]) == "user_disabled"
    assert both.post("delete-user", row, id="acme/ann", **office)["data"] == "Unaffected"


def test_an_administrator_sets_a_password_and_everybody_with_the_old_one_is_out(
    both: Legacy,
) -> None:
    office, token = both.client("acme/office"), both.token("acme", "ann")
    form = {"userOwner": "acme", "userName": "ann", "oldPassword": "", "newPassword": NEW}

    # As the SDKs send it: multipart.
    files = {name: (None, value) for name, value in form.items()}
    answer = both.world.post("/api/set-password", params=office, files=files)

    assert answer.json()["status"] == "ok", answer.text
    assert both.end_reason(token.split(".")[0]) == "credentials_changed"
    assert both.world.sign_in("acme", "ann", password=NEW)


def test_a_persons_own_password_needs_the_old_one_and_keeps_their_session(both: Legacy) -> None:
    token, other = both.token("acme", "ann"), both.token("acme", "ann")
    headers = both.world.bearer(token)
    form = {"userOwner": "acme", "userName": "ann", "newPassword": NEW}

    for old in ("", "wrong"):
        answer = both.world.post(
            "/api/set-password", json={**form, "oldPassword": old}, headers=headers
        )
        assert bad(answer) == "password or code is incorrect"
    changed = both.post("set-password", {**form, "oldPassword": PASSWORD}, headers=headers)

    assert both.end_reason(other.split(".")[0]) == "credentials_changed"
    assert both.get("get-account", headers=both.world.bearer(changed["data2"]))["name"] == "ann"
    assert both.end_reason(token.split(".")[0]) is None


def test_a_browser_that_changes_the_password_goes_on_with_new_cookies(legacy: Legacy) -> None:
    cookie = legacy.cookie("acme", "ann")
    form = {"userOwner": "acme", "userName": "ann", "oldPassword": PASSWORD, "newPassword": NEW}
    origin = {"origin": ISSUER}

    foreign = legacy.world.post(
        "/api/set-password", json=form, headers={**cookie, "origin": "https://evil.example"}
    )
    answer = legacy.world.post("/api/set-password", json=form, headers=cookie | origin)

    assert foreign.json()["status"] == "error"
    assert answer.json()["status"] == "ok"
    assert answer.json()["data2"] is None
    cookies = answer.headers.get_list("set-cookie")
    assert any(one.startswith("casdoor_session_id=ses_") for one in cookies)


def test_checking_a_password_is_guessing_it(both: Legacy) -> None:
    office = both.client("acme/office")

    def check(password: str) -> str:
        body = {"owner": "acme", "name": "ann", "password": password}
        answer = both.world.post("/api/check-user-password", json=body, params=office)
        message: str = answer.json()["msg"] or answer.json()["status"]
        return message

    assert check(PASSWORD) == "ok"
    wrong = "password or code is incorrect"
    assert [check("wrong") for _ in range(5)] == [wrong] * 5
    assert check(PASSWORD).startswith("Too many failed attempts")
    assert "blocked" in {one["reason"] for one in _events(both, "sign_in.failed")}
    both.world.clock.move(31)
    assert check(PASSWORD) == "ok"


def test_a_second_factor_is_asked_for_and_removed_by_an_administrator(both: Legacy) -> None:
    office, session = both.client("acme/office"), both.token("acme", "ann")
    app = give_authenticator(both.world, "acme", "ann")
    headers = both.world.bearer(session)
    form = {"userOwner": "acme", "userName": "ann", "oldPassword": PASSWORD, "newPassword": NEW}

    without = both.world.post("/api/set-password", json=form, headers=headers)
    own = both.world.post(
        "/api/delete-mfa", params={"owner": "acme", "name": "ann"}, headers=headers
    )
    with_code = both.world.post(
        "/api/set-password", json={**form, "passcode": app.next()}, headers=headers
    )

    assert "authenticator app" in bad(without)
    assert "/account" in bad(own)
    assert with_code.json()["status"] == "ok", with_code.text
    removed = both.post("delete-mfa", None, owner="acme", name="ann", **office)
    assert removed["data"] == "Affected"
    assert both.end_reason(session.split(".")[0]) == "credentials_changed"
    assert both.world.sign_in("acme", "ann", password=NEW)
    again = both.post("delete-mfa", None, owner="acme", name="ann", **office)
    assert again["data"] == "Unaffected"
