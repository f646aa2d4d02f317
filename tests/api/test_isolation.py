"""Every route, tried by those for whom what it is about does not exist."""

from collections.abc import Callable
from typing import Any

from tests.support.routes import OPERATIONS, Operation
from tests.support.tenants import Tenant
from tests.support.world import World

OWN = frozenset(
    {
        "signIn",
        "getOwnSession",
        "signOut",
        "listMySessions",
        "endMySession",
        "endMyOtherSessions",
        "changeMyPassword",
        "lockMySession",
        "unlockOwnSession",
        "listMyConsents",
        "withdrawMyConsent",
    }
)
"""What is about the caller's own sessions; all else is managing."""

MANAGING = [operation for operation in OPERATIONS if operation.id not in OWN]

BODIES: dict[str, dict[str, Any]] = {
    "startSession": {"user": "ann"},
    "endSessions": {"filter": {"organization": "acme"}},
    "endSessionsBefore": {"organization": "acme"},
    "extendSession": {"lifetime": 60},
    "validateSessions": {"tokens": ["x"]},
    "createOrganization": {"name": "third"},
    "updateOrganization": {"display_name": "Mine now", "policy": {"idle_timeout": 1}},
    "createApplication": {"organization": "acme", "name": "spy"},
    "updateApplication": {"display_name": "Mine now", "redirect_uris": ["https://evil.example/"]},
    "createUser": {"organization": "acme", "name": "mallory", "roles": ["administrator"]},
    "updateUser": {"password": "taken over", "roles": ["administrator"]},
    "updateInstallationPolicy": {"idle_timeout": 1},
    "updateOrganizationPolicy": {"idle_timeout": 1},
    "updatePolicy": {"idle_timeout": 1},
    "setSamlProvider": {"metadata": "<x/>"},
    "createProvider": {
        "organization": "acme",
        "name": "evil",
        "kind": "oidc",
        "options": {"issuer": "https://evil.example", "client_id": "x"},
        "creates_users": True,
    },
    "updateProvider": {"options": {"issuer": "https://evil.example", "client_id": "x"}},
    "createWebhook": {"organization": "acme", "url": "https://e.example/", "event_types": ["*"]},
    "createRegistrationToken": {"organization": "acme"},
    "updateWebhook": {"url": "https://evil.example/", "event_types": ["*"]},
}

# What the administrator of another organization is answered; 404 where nothing is said.
OF_ANOTHER = {
    "listOrganizations": 200,  # their own
    "createOrganization": 403,
    "startSession": 403,
    "validateSessions": 200,  # each unknown
    "getInstallationPolicy": 200,  # it bounds them too
    "updateInstallationPolicy": 403,
}

# What a client of another organization is answered; 403 where nothing is said.
OF_ANOTHER_CLIENT = {
    "startSession": 201,  # for its own user of that name
    "validateSessions": 200,  # each unknown
    "listSessions": 404,
    "getSession": 404,
    "endSession": 404,
    "endSessions": 404,
    "endSessionsBefore": 404,
    "extendSession": 404,
    "lockSession": 404,
    "getBulkEnd": 404,
    "followBulkEnd": 404,
    "getSessionTimeline": 404,
    "listSessionRecords": 404,
    "getSessionRecord": 404,
    "endSessionRecord": 404,
}


def try_operation(world: World, operation: Operation, headers: dict[str, str], of: Tenant) -> Any:
    path = operation.path.format(
        id=_id(operation, of),
        organization="acme",
        application="shop",
        user="ann",
        name=_name(operation),
        kind="users",
    )
    query = "?organization=acme" if "organization" in operation.query else ""
    body = BODIES.get(operation.id) if operation.body else None
    return world.request(operation.method, path + query, headers=headers, json=body)


def _id(operation: Operation, of: Tenant) -> str:
    if operation.id == "removeLink":
        return of.link
    kinds = {"webhooks": of.webhook, "deliveries": of.delivery, "mails": of.mail}
    return kinds.get(operation.path.split("/")[2], of.session)


def _name(operation: Operation) -> str:
    if "/organizations/" in operation.path:
        return "acme"
    if "/providers/" in operation.path:
        return "idp"
    return "shop" if "/applications/" in operation.path else "ann"


def test_every_managing_route_with_a_body_has_one_here() -> None:
    assert {one.id for one in MANAGING if one.body} == BODIES.keys()


def test_another_organizations_administrator_finds_nothing_and_changes_nothing(
    world: World, acme: Tenant, rival: Tenant, rows: Callable[[], Any]
) -> None:
    before = rows()
    for operation in MANAGING:
        answer = try_operation(world, operation, rival.administrator, acme)
        assert answer.status_code == OF_ANOTHER.get(operation.id, 404), (operation, answer.text)
        assert "acme" not in answer.text, operation
        assert rows() == before, operation


def test_a_plain_user_manages_nothing(world: World, acme: Tenant, rows: Callable[[], Any]) -> None:
    before = rows()
    for operation in MANAGING:
        answer = try_operation(world, operation, acme.user, acme)
        assert answer.status_code == 403, (operation, answer.text)
        assert answer.json()["code"] == "forbidden", operation
        assert rows() == before, operation


def test_a_client_of_another_organization_finds_nothing(
    world: World, acme: Tenant, rival: Tenant, rows: Callable[[], Any]
) -> None:
    before = rows()
    for operation in MANAGING:
        answer = try_operation(world, operation, rival.client, acme)
        expected = OF_ANOTHER_CLIENT.get(operation.id, 403)
        assert answer.status_code == expected, (operation, answer.text)
        assert "acme" not in answer.text, operation
        if operation.id == "startSession":
            before = rows()
        assert rows() == before, operation


def test_without_credentials_nothing_is_answered(
    world: World, acme: Tenant, rows: Callable[[], Any]
) -> None:
    before = rows()
    for operation in OPERATIONS:
        for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic x"}):
            if operation.id != "signIn":
                answer = try_operation(world, operation, headers, acme)
                assert answer.status_code == 401, (operation, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
    assert rows() == before


def test_what_is_another_tenants_is_answered_like_what_does_not_exist(
    world: World, acme: Tenant, rival: Tenant
) -> None:
    for operation in (one for one in MANAGING if "{" in one.path):
        foreign = try_operation(world, operation, rival.administrator, acme)
        path = operation.path.format(
            id="ses_00000000000000000000000000",
            organization="nowhere",
            application="shop",
            user="ann",
            name="nowhere" if "/organizations/" in operation.path else _name(operation),
            kind="users",
        )
        unknown = world.request(
            operation.method,
            path,
            headers=rival.administrator,
            json=BODIES.get(operation.id) if operation.body else None,
        )
        assert foreign.status_code == unknown.status_code == 404, operation
        assert foreign.json() == unknown.json(), operation


def test_a_token_that_was_handed_to_an_application_administers_nothing(
    world: World, acme: Tenant
) -> None:
    token = world.sign_in("acme", "boss", application="shop")
    answer = world.get("/v1/sessions", headers=world.bearer(token))
    assert answer.status_code == 403
    assert world.get("/v1/sessions", headers=acme.administrator).status_code == 200


def test_an_administrator_of_an_organization_sees_it_and_only_it(
    world: World, acme: Tenant, rival: Tenant
) -> None:
    for path in (
        "/v1/sessions",
        "/v1/session-records",
        "/v1/events",
        "/v1/users",
        "/v1/webhooks",
        "/v1/deliveries",
    ):
        page = world.get(f"{path}?limit=200", headers=acme.administrator).json()
        assert {one["organization"] for one in page["items"]} == {"acme"}
    page = world.get("/v1/organizations", headers=acme.administrator).json()
    assert [one["name"] for one in page["items"]] == ["acme"]


def test_bulk_ends_and_validations_pass_over_what_is_another_tenants(
    world: World, acme: Tenant, rival: Tenant
) -> None:
    body = {"ids": [acme.session, rival.session]}
    ended = world.post("/v1/sessions/end", json=body, headers=rival.administrator).json()
    assert ended["ids"] == [rival.session]
    verdicts = world.post(
        "/v1/sessions/validate", json={"tokens": [acme.token]}, headers=rival.administrator
    ).json()
    assert verdicts == [{"code": "session_unknown", "end_reason": None}]
    assert world.get("/v1/session", headers=world.bearer(acme.token)).status_code == 200


def test_an_application_reaches_only_its_own_sessions(world: World, acme: Tenant) -> None:
    browser = world.sign_in("acme", "ann").split(".", maxsplit=1)[0]
    assert world.get(f"/v1/sessions/{browser}", headers=acme.client).status_code == 404
    assert world.delete(f"/v1/sessions/{browser}", headers=acme.client).status_code == 404
    other = "/v1/session-records/acme/ann/app-built-in"
    assert world.get(other, headers=acme.client).status_code == 404
    page = world.get("/v1/sessions", headers=acme.client).json()
    assert [one["id"] for one in page["items"]] == [acme.session]
    narrowed = world.get("/v1/sessions?application=app-built-in", headers=acme.client)
    assert narrowed.status_code == 404
