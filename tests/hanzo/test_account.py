"""Who one is, by `get-account`, `userinfo` and `user`."""

from typing import Any

from iam.directory.legacy import MembersTooLarge, keep_members, read_members
from tests.hanzo.conftest import Legacy, bad
from tests.hanzo.test_sign_in import asked, login
from tests.hanzo.test_sign_out import tokens


def _keep(legacy: Legacy, kind: Any, name: str, members: dict[str, Any]) -> None:
    legacy.world.engine.database.write(lambda c: keep_members(c, kind, "acme", name, members))


def test_an_account_is_the_user_and_their_organization(both: Legacy) -> None:
    _keep(both, "user", "ann", {"phone": "+43 1", "name": "mallory", "accessSecret": "s3cr3t"})
    _keep(both, "organization", "acme", {"logo": "x.png", "masterPassword": "m4ster"})

    account = both.get("get-account", headers=both.cookie("acme", "ann"))

    user, organization = account["data"], account["data2"]
    assert account["sub"] == user["id"]
    assert account["name"] == user["name"] == "ann", "what is kept never speaks for us"
    assert (user["owner"], user["email"], user["isAdmin"]) == ("acme", "ann@acme.example", False)
    assert (user["password"], user["phone"]) == ("***", "+43 1")
    assert (organization["name"], organization["logo"]) == ("acme", "x.png")
    assert user["accessToken"] == "", "a cookie becomes no token that scripts read"
    for secret in ("s3cr3t", "m4ster", "$argon2"):
        assert secret not in str(account)
    boss = both.get("get-account", headers=both.headers("acme", "boss"))["data"]
    assert (boss["isAdmin"], boss["isGlobalAdmin"]) == (True, False)


def test_what_is_kept_goes_with_its_object(both: Legacy) -> None:
    world = both.world
    _keep(both, "user", "ann", {"phone": "+43 1"})
    _keep(both, "application", "shop", {"logo": "x.png"})
    world.delete("/v1/users/acme/ann", headers=world.admin)
    world.delete("/v1/applications/acme/shop", headers=world.admin)
    world.make_user("acme", "ann")
    world.make_application("acme", "shop")

    def look(kind: Any, name: str) -> dict[str, Any]:
        found: dict[str, Any] = world.engine.database.read(
            lambda c: read_members(c, kind, "acme", name)
        )
        return found

    assert look("user", "ann") == look("application", "shop") == {}
    _keep(both, "user", "bob", {"phone": "+43 2"})
    assert world.delete("/v1/organizations/acme", headers=world.admin).status_code == 204
    assert look("user", "bob") == {}


def test_no_more_is_kept_than_there_is_room_for(both: Legacy) -> None:
    _keep(both, "user", "ann", {"bio": "x"})
    try:
        _keep(both, "user", "ann", {"bio": "x" * 70_000})
    except MembersTooLarge:
        pass
    else:
        raise AssertionError("it was kept")
    account = both.get("get-account", headers=both.cookie("acme", "ann"))
    assert account["data"]["bio"] == "x"


def test_userinfo_says_what_the_scopes_let_it_say(legacy: Legacy) -> None:
    cookie = legacy.cookie("acme", "ann")
    whole = legacy.world.bearer(tokens(legacy, cookie)["access_token"])
    code = login(
        legacy, {"type": "code"}, params=asked(legacy, scope="openid"), headers=cookie
    ).json()["data"]
    body = {"grant_type": "authorization_code", "code": code}
    bare = legacy.world.post(
        "/v1/iam/oauth/token", json=body, headers=legacy.basic("acme/shop")
    ).json()

    def info(headers: dict[str, str]) -> set[str]:
        answer = legacy.world.get("/api/userinfo", headers=headers)
        assert answer.headers["access-control-allow-origin"] == "*"
        return set(answer.json())

    least = {"sub", "iss", "aud"}
    assert info(whole) == least | {"name", "preferred_username", "email"}
    assert info(legacy.world.bearer(bare["access_token"])) == least
    assert info(cookie) == least
    nobody = legacy.world.get("/api/userinfo")
    assert (nobody.status_code, bad(nobody)) == (200, "Please login first")
    hanzo = legacy.world.get("/v1/iam/userinfo")
    assert (hanzo.status_code, hanzo.headers["www-authenticate"]) == (
        401,
        'Bearer error="invalid_token"',
    )


def test_laravel_reads_its_user(legacy: Legacy) -> None:
    found = legacy.world.get("/api/user", headers=legacy.headers("acme", "ann")).json()

    assert found.keys() == {
        "id",
        "name",
        "email",
        "email_verified_at",
        "created_at",
        "updated_at",
    }
    assert found["email"] == "ann@acme.example"


def test_an_application_asks_about_no_one_it_does_not_administer(legacy: Legacy) -> None:
    get = legacy.world.get
    named = {"userId": "globex/eve"}
    for application in ("acme/shop", "acme/office"):
        query = {**legacy.client(application), **named}
        assert bad(get("/api/get-account", params=query)) == "Unauthorized operation"
    unnamed = get("/api/get-account", params=legacy.client("acme/office"))
    assert bad(unnamed) == "Please login first"
    missing = {**legacy.client("acme/office"), "userId": "acme/nobody"}
    assert bad(get("/api/get-account", params=missing)) == "The user: acme/nobody doesn't exist"
