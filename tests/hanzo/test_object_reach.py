"""Every verb that touches an object, for everybody whom that object is not for: refused in the same words
whether it is there or not, and nothing is changed."""

from typing import Any

import pytest

from tests.hanzo.conftest import Legacy, bad

DENIED = "Unauthorized operation"
ADMIN = "admin"

OF_GLOBEX: dict[str, dict[str, Any]] = {
    "get-users": {"query": {"owner": "globex"}},
    "get-sorted-users": {"query": {"owner": "globex", "sorter": "name", "limit": "5"}},
    "get-user-count": {"query": {"owner": "globex"}},
    "get-user": {"query": {"id": "globex/eve"}},
    "get-organization": {"query": {"id": "admin/globex"}},
    "get-applications": {"query": {"owner": "admin", "organization": "globex"}},
    "get-organization-applications": {"query": {"organization": "globex"}},
    "get-application": {"query": {"id": "globex/shop"}},
    "get-user-application": {"query": {"id": "globex/eve"}},
    "get-providers": {"query": {"owner": "globex"}},
    "get-provider": {"query": {"id": "globex/idp"}},
    "get-certs": {"query": {"owner": "globex"}},
    "get-cert": {"query": {"id": "globex/cert"}},
    "get-roles": {"query": {"owner": "globex"}},
    "get-role": {"query": {"id": "globex/editor"}},
    "get-records": {"query": {"owner": "globex"}},
    "get-tokens": {"query": {"owner": "admin", "organization": "globex"}},
    "add-user": {"body": {"owner": "globex", "name": "mole", "password": "long enough 1"}},
    "update-user": {"body": {"owner": "globex", "name": "eve", "isForbidden": True}},
    "delete-user": {"body": {"owner": "globex", "name": "eve"}},
    "set-password": {
        "body": {"userOwner": "globex", "userName": "eve", "newPassword": "long enough 1"}
    },
    "check-user-password": {"body": {"owner": "globex", "name": "eve", "password": "x"}},
    "update-organization": {"body": {"owner": "admin", "name": "globex", "displayName": "Mine"}},
    "delete-organization": {"body": {"owner": "admin", "name": "globex"}},
    "add-organization": {"body": {"owner": "admin", "name": "newcomer"}},
    "add-application": {"body": {"owner": "admin", "name": "mole", "organization": "globex"}},
    "update-application": {
        "body": {"owner": "admin", "name": "shop", "organization": "globex", "logo": "x"}
    },
    "delete-application": {"body": {"owner": "admin", "name": "shop", "organization": "globex"}},
    "add-provider": {"body": {"owner": "globex", "name": "mole", "category": "Email"}},
    "update-provider": {"body": {"owner": "globex", "name": "mail", "host": "evil"}},
    "delete-provider": {"body": {"owner": "globex", "name": "mail"}},
    "add-cert": {"body": {"owner": "globex", "name": "mole"}},
    "update-cert": {"body": {"owner": "globex", "name": "mole"}},
    "delete-cert": {"body": {"owner": "globex", "name": "mole"}},
    "add-role": {"body": {"owner": "globex", "name": "mole", "users": ["globex/eve"]}},
    "update-role": {"body": {"owner": "globex", "name": "editor", "users": []}},
    "delete-role": {"body": {"owner": "globex", "name": "editor"}},
    "delete-mfa": {"body": {"owner": "globex", "name": "eve"}},
    "add-token": {"body": {"owner": "admin", "name": "mole", "organization": "globex"}},
    "add-record": {"body": {"owner": "globex", "organization": "globex", "action": "login"}},
    "get-records-filter": {"body": {"organization": "globex"}},
}
# Which object is meant by a query that says less, and by one that says something else than the body.
CLAIMS: tuple[dict[str, str], ...] = (
    {},
    {"id": "acme/ann"},
    {"owner": "acme"},
    {"organization": "acme"},
)


def _callers(legacy: Legacy) -> dict[str, dict[str, str]]:
    return {
        "administrator of acme": legacy.headers("acme", "boss"),
        "application that manages acme": legacy.basic("acme/office"),
        "user of acme": legacy.headers("acme", "ann"),
        "application of acme": legacy.basic("acme/shop"),
        "user of globex": legacy.headers("globex", "eve"),
    }


def _state(legacy: Legacy) -> Any:
    world = legacy.world
    kinds = ("users", "applications", "providers")
    paths = ("/v1/organizations", *(f"/v1/{one}?organization=globex" for one in kinds))
    return [world.get(path, headers=world.admin).json()["items"] for path in paths]


@pytest.mark.parametrize("verb", OF_GLOBEX)
def test_nobody_else_reaches_it(legacy: Legacy, verb: str) -> None:
    call, world = OF_GLOBEX[verb], legacy.world
    before = _state(legacy)
    method = world.get if "query" in call else world.post
    own = {
        "delete-mfa",
        "get-user",
        "get-organization",
        "check-user-password",
        "set-password",
        "update-user",
    }

    for who, headers in _callers(legacy).items():
        if who == "user of globex" and verb in own | {"get-user-application", "get-tokens"}:
            continue
        for claim in CLAIMS if "body" in call else ({},):
            answer = method(
                f"/api/{verb}",
                params={**claim, **call.get("query", {})},
                headers=headers,
                **({"json": call["body"]} if "body" in call else {}),
            )
            message = bad(answer)
            if claim == {} or "different objects" not in message:
                assert message == DENIED, (who, claim)

    anonymous = method(
        f"/api/{verb}",
        params=call.get("query", {}),
        **({"json": call["body"]} if "body" in call else {}),
    )
    assert bad(anonymous) == "Please login first"
    assert _state(legacy) == before


# Of these a user reads or changes their own part alone.
FOR_ADMINISTRATORS = sorted(
    set(OF_GLOBEX) - {"get-user", "get-organization", "check-user-password", "set-password"}
)


def _at_home(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("globex", "acme").replace("eve", "bob")
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    if isinstance(value, dict):
        return {one: _at_home(inner) for one, inner in value.items()}
    return value


@pytest.mark.parametrize("verb", FOR_ADMINISTRATORS)
def test_at_home_it_takes_an_administrator(legacy: Legacy, verb: str) -> None:
    call, world = OF_GLOBEX[verb], legacy.world
    method = world.get if "query" in call else world.post
    body = {"json": _at_home(call["body"])} if "body" in call else {}

    for headers in (legacy.headers("acme", "ann"), legacy.basic("acme/shop")):
        answer = method(
            f"/v1/iam/{verb}", params=_at_home(call.get("query", {})), headers=headers, **body
        )
        if verb == "get-tokens":
            assert answer.json()["data"] == [], "there is none of theirs"
        elif not (
            verb == "get-application" and "authorization" in headers and "Basic" in str(headers)
        ):
            assert bad(answer) == DENIED


def test_an_id_of_a_token_elsewhere_finds_nothing(both: Legacy) -> None:
    world = both.world
    verifier = world.sign_in("globex", "eve", application="shop")
    assert verifier
    globex = both.headers("globex", "rick")
    both.post("add-token", {"owner": "admin", "name": "theirs", "scope": "x"}, headers=globex)
    assert both.get("get-token", id="admin/theirs", headers=globex)["data"]["scope"] == "x"

    for who in (both.headers("acme", "boss"), both.basic("acme/office"), both.basic("acme/shop")):
        assert both.get("get-token", id="admin/theirs", headers=who)["data"] is None
        for verb in ("update-token", "delete-token"):
            body = {"owner": "admin", "name": "theirs", "scope": "y"}
            assert both.post(verb, body, headers=who)["data"] == "Unaffected"

    assert both.get("get-token", id="admin/theirs", headers=globex)["data"]["scope"] == "x"


def test_lists_without_an_owner_hold_what_the_caller_administers(both: Legacy) -> None:
    boss, admin = both.headers("acme", "boss"), both.headers("built-in", "admin")
    for verb in ("get-organizations", "get-organization-names"):
        assert [one["name"] for one in both.get(verb, headers=boss)["data"]] == ["acme"]
        names = {one["name"] for one in both.get(verb, headers=admin)["data"]}
        assert names == {"acme", "globex", "built-in"}
    mine = both.get("get-applications", owner="admin", headers=boss)["data"]
    assert {one["organization"] for one in mine} == {"acme"}
    everything = both.get("get-applications", owner="admin", headers=admin)["data"]
    assert {one["organization"] for one in everything} == {"acme", "globex", "built-in"}
    records = both.get("get-records", headers=boss)["data"]
    assert {one["organization"] for one in records} == {"acme"}


def test_an_access_token_of_an_administrator_administers_nothing(both: Legacy) -> None:
    """Whichever application was handed it: only a session of app-built-in does."""
    token = both.token("acme", "boss", "shop")
    headers = both.world.bearer(token)

    answer = both.world.get("/api/get-users", params={"owner": "acme"}, headers=headers)

    assert bad(answer) == DENIED


def test_who_has_an_address_is_told_to_administrators_alone(both: Legacy) -> None:
    for name in ("eva", "evi"):
        both.world.make_user("globex", name, email="twins@globex.example")
    ann = both.headers("acme", "ann")
    asked = [
        {"owner": owner, "email": email}
        for owner in ("globex", "acme")
        for email in ("twins@globex.example", "bob@acme.example", "nobody@acme.example")
    ]

    for query in asked:
        assert bad(both.world.get("/api/get-user", params=query, headers=ann)) == DENIED, query
    own = both.get("get-user", email="Ann@acme.example", headers=ann)["data"]
    assert (own["owner"], own["name"]) == ("acme", "ann")
