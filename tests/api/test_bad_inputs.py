"""What no caller should send, to every route: a clear 4xx, and nothing changed."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.support.routes import OPERATIONS, Operation
from tests.support.tenants import Tenant
from tests.support.world import World

WITH_BODY = [operation for operation in OPERATIONS if operation.body]
NUL, SURROGATE = "a\x00b", "\ud800"

GOOD: dict[str, dict[str, Any]] = {
    "signIn": {"organization": "acme", "username": "ann", "password": "open sesame 1"},
    "changeMyPassword": {"current_password": "not it", "new_password": "open sesame 2"},
    "unlockOwnSession": {"password": "not it"},
    "startSession": {"user": "ann"},
    "endSessions": {"filter": {"organization": "acme"}},
    "endSessionsBefore": {"organization": "acme"},
    "extendSession": {"lifetime": 60},
    "validateSessions": {"tokens": ["x"]},
    "createOrganization": {"name": "third"},
    "updateOrganization": {"display_name": "Acme"},
    "createApplication": {"organization": "acme", "name": "spare"},
    "updateApplication": {"display_name": "Shop"},
    "createUser": {"organization": "acme", "name": "eve"},
    "updateUser": {"display_name": "Ann"},
    "updateInstallationPolicy": {"idle_timeout": 60},
    "updateOrganizationPolicy": {"exclusive": True},
    "updatePolicy": {"maximum_sessions": 3, "at_limit": "ask"},
    "createRegistrationToken": {"organization": "acme"},
    "setSamlProvider": {"metadata": "<x/>"},
    "createProvider": {
        "organization": "acme",
        "name": "spare",
        "kind": "oidc",
        "options": {"issuer": "https://id.example", "client_id": "iam"},
    },
    "updateProvider": {"display_name": "Theirs"},
    "createWebhook": {
        "organization": "acme",
        "url": "https://hooks.example/",
        "event_types": ["user.created"],
    },
    "updateWebhook": {"url": "https://hooks.example/"},
}

# By operation: members that do not fit, each put into a body that is good.
BAD: dict[str, list[dict[str, Any]]] = {
    "signIn": [
        {"organization": 1},
        {"username": None},
        {"username": NUL},
        {"username": "x" * 300},
        {"password": ["x"]},
        {"password": SURROGATE},
        {"password": "x" * 2000},
        {"code": 123456},
        {"code": "x" * 65},
        {"code": SURROGATE},
    ],
    "changeMyPassword": [
        {"current_password": None},
        {"current_password": SURROGATE},
        {"current_password": "x" * 2000},
        {"new_password": "short"},
        {"new_password": "x" * 257},
        {"new_password": ["open sesame 2"]},
        {"end_others": "no"},
        {"code": 123456},
    ],
    "unlockOwnSession": [
        {"password": None},
        {"password": SURROGATE},
        {"password": "x" * 2000},
        {"code": ["000000"]},
    ],
    "startSession": [
        {"user": ""},
        {"user": "a/b"},
        {"user": NUL},
        {"instance": ""},
        {"instance": "x" * 129},
        {"instance": "two\nlines"},
        {"metadata": []},
        {"metadata": {"x": "y" * 5000}},
        {"metadata": {"x": NUL}},
        {"metadata": {NUL: 1}},
        {"metadata": {"x": SURROGATE}},
        {"metadata": {"x": float("nan")}},
        {"maximum_lifetime": 0},
        {"maximum_lifetime": -1},
        {"maximum_lifetime": 10**30},
        {"maximum_lifetime": "60"},
        {"maximum_lifetime": True},
        {"maximum_lifetime": 1.5},
        {"ip": "example.com"},
        {"ip": 2130706433},
        {"ip": "fe80::1%eth0"},
        {"user_agent": "x" * 513},
        {"device": NUL},
    ],
    "endSessions": [
        {"ids": ["x"]},
        {"filter": {}},
        {"filter": None},
        {"filter": {"but_current": "yes", "user": "ann"}},
        {"filter": {"user": NUL}},
        {"filter": {"ip": "10.0.0.0/33"}},
        {"filter": {"ip": "fe80::1%eth0"}},
        {"filter": {"started_before": "2026-11-24"}},
        {"filter": {"started_after": 1795000000}},
        {"filter": {"state": "idle"}},
        {"cursor": "x"},
        {"confirm": NUL},
        {"reason": "two\nlines"},
        {"dry_run": 1},
    ],
    "endSessionsBefore": [
        {"before": "2026-02-30T00:00:00Z"},
        {"before": "2026-11-24T10:00:00"},
        {"before": None},
        {"user": NUL},
        {"amr": ""},
        {"reason": 1},
    ],
    "extendSession": [{"lifetime": 0}, {"lifetime": "60"}, {"lifetime": 10**12}],
    "validateSessions": [
        {"tokens": []},
        {"tokens": "x"},
        {"tokens": [1]},
        {"tokens": [None]},
        {"tokens": ["x"] * 1001},
    ],
    "createOrganization": [
        {"name": ""},
        {"name": "Upper"},
        {"name": "a b"},
        {"name": "a\n"},
        {"name": "x" * 64},
        {"name": NUL},
        {"display_name": ""},
        {"display_name": NUL},
        {"policy": None},
        {"policy": {"idle_timeout": 0}},
        {"policy": {"idle_timeout": 10**12}},
        {"policy": {"idle": 5}},
    ],
    "updateOrganization": [
        {"display_name": None},
        {"name": "other"},
        {"policy": []},
        {"enabled": 1},
    ],
    "createApplication": [
        {"redirect_uris": "https://a.example/"},
        {"redirect_uris": ["/relative"]},
        {"redirect_uris": ["http://a.example/"]},
        {"redirect_uris": ["https://a.example/#fragment"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["data:text/html,x"]},
        {"redirect_uris": ["https://user@a.example/"]},
        {"redirect_uris": ["https://a.example:99999/"]},
        {"redirect_uris": ["https://a.example/ space"]},
        {"redirect_uris": ["https:///nothing"]},
        {"redirect_uris": ["https://a.example/" + "x" * 2048]},
        {"redirect_uris": ["https://a.example/"] * 51},
        {"post_logout_redirect_uris": ["nonsense"]},
        {"grant_types": ["magic"]},
        {"gate_hosts": ["https://a.example"]},
        {"gate_hosts": ["Upper.example"]},
        {"gate_hosts": ["a.example/path"]},
        {"gate_hosts": ["a.example:0"]},
        {"gate_hosts": ["127.0.0.1:8000"]},  # the server's own
        {"public": "no"},
    ],
    "updateApplication": [
        {"manages_organization": 1},
        {"enabled": None},
        {"enabled": 0},
        {"redirect_uris": None},
    ],
    "createUser": [
        {"password": "short"},
        {"password": "x" * 257},
        {"email": "no at sign"},
        {"email": NUL},
        {"roles": ["with,comma"]},
        {"roles": ["a\r\nSet-Cookie: x"]},
        {"roles": [""]},
        {"roles": "administrator"},
        {"roles": ["r"] * 33},
    ],
    "updateUser": [{"password": None}, {"roles": None}, {"enabled": "false"}, {"name": "new"}],
    "updateInstallationPolicy": [
        {"idle_timeout": "60"},
        {"maximum_lifetime": 0},
        {"remember_maximum_lifetime": -1},
        {"reauthentication_age": 10**10},
    ],
    "updateOrganizationPolicy": [{"exclusive": "yes"}, {"end_children": 1}, {"exclusive": []}],
    "updatePolicy": [
        {"maximum_sessions": 0},
        {"maximum_sessions": 10**7},
        {"maximum_user_sessions": True},
        {"at_limit": "panic"},
        {"at_limit": None, "patience": 1},
    ],
    "createRegistrationToken": [
        {"organization": 1},
        {"lifetime": 59},
        {"lifetime": 2592001},
        {"lifetime": "60"},
        {"uses": 0},
        {"uses": 1001},
        {"uses": None},
        {"unheard": "of"},
    ],
    "setSamlProvider": [
        {"metadata": 1},
        {"metadata": ""},
        {"metadata": NUL},
        {"metadata": SURROGATE},
        {"metadata": "x" * 50_001},
        {"require_signed_requests": "yes"},
        {"sign_response": 1},
        {"sign_assertion": None},
        {"name_id_format": "windows"},
        {"attributes": ["mail"]},
        {"attributes": {"mail": "password_hash"}},
        {"attributes": {"": "email"}},
        {"attributes": {"with space": "email"}},
        {"attributes": {f"a{number}": "email" for number in range(51)}},
        {"allow_idp_initiated": "no"},
        {"logout_ends_browser_session": None},
        {"metadata": None, "metadata_url": "shop.example"},
        {"metadata": None, "metadata_url": "https://user@shop.example/"},
        {"metadata": None, "metadata_url": NUL},
        {"metadata_signer": "-----BEGIN CERTIFICATE-----"},
        {"metadata_signer": NUL},
        {"encrypt_assertion": "yes"},
    ],
    "createProvider": [
        {"kind": "ldap"},
        {"kind": None},
        {"name": "a b"},
        {"display_name": NUL},
        {"enabled": "yes"},
        {"creates_users": 1},
        {"options": None},
        {"options": {}},
        {"options": {"issuer": "https://id.example"}},
        {"options": {"issuer": "id.example", "client_id": "iam"}},
        {"options": {"issuer": "https://id.example/?a=b", "client_id": "iam"}},
        {"options": {"issuer": "https://user@id.example", "client_id": "iam"}},
        {"options": {"issuer": "https://id.example", "client_id": ""}},
        {"options": {"issuer": "https://id.example", "client_id": "a b"}},
        {"options": {"issuer": "https://id.example", "client_id": "x" * 256}},
        {"options": {"issuer": "https://id.example", "client_id": "x", "scopes": ["a b"]}},
        {"options": {"issuer": "https://id.example", "client_id": "x", "preset": "github"}},
        {"options": {"issuer": "https://id.example", "client_id": "x", "userinfo": "yes"}},
        {
            "options": {
                "issuer": "https://id.example",
                "client_id": "x",
                "auth_method": "tls_client_auth",
            }
        },
        {"kind": "saml"},
        {"kind": "saml", "options": {"metadata": ""}},
        {"kind": "saml", "options": {"metadata": NUL}},
        {"kind": "saml", "options": {"metadata": "x" * 50_001}},
        {"kind": "saml", "options": {"metadata_url": "https://user@id.example"}},
        {"kind": "saml", "options": {"metadata": "<x/>", "metadata_signer": "none"}},
        {"kind": "saml", "options": {"metadata": "<x/>", "request_binding": "soap"}},
        {"kind": "saml", "options": {"metadata": "<x/>", "context_classes": ["a b"]}},
        {"kind": "saml", "options": {"metadata": "<x/>", "context_comparison": "most"}},
        {"kind": "saml", "options": {"metadata": "<x/>", "subject_attribute": ""}},
        {"kind": "saml", "options": {"metadata": "<x/>", "allow_unsolicited": "yes"}},
        {"kind": "saml", "options": {"metadata": "<x/>"}, "client_secret": "x"},
        {"client_secret": ""},
        {"client_secret": "two\nlines"},
        {"client_secret": "x" * 1025},
        {"trusted_domains": "acme.example"},
        {"trusted_domains": ["Acme.example"]},
        {"trusted_domains": ["*"]},
        {"trusted_domains": ["com"]},
        {"trusted_domains": ["a.example"] * 101},
        {"attributes": {"password_hash": "sub"}},
        {"attributes": {"email": ""}},
        {"attributes": {"email": NUL}},
        {"attributes": ["email"]},
    ],
    "updateProvider": [
        {"kind": "oidc"},
        {"name": "other"},
        {"display_name": None},
        {"enabled": 0},
        {"options": {"client_id": "x", "preset": "myspace"}},
        {"options": {"issuer": "https://id.example", "client_id": "x", "unheard": "of"}},
        {"client_secret": None},
        {"trusted_domains": None},
        {"attributes": {"is_admin": "x"}},
    ],
    "createWebhook": [
        {"organization": "Upper"},
        {"organization": 1},
        {"url": "hooks.example"},
        {"url": "ftp://hooks.example/"},
        {"url": "https://user@hooks.example/"},
        {"url": "https://hooks.example/#part"},
        {"url": "https://hooks.example:0/"},
        {"url": "https://hooks.example/ space"},
        {"url": "https://hooks.example/" + "x" * 2048},
        {"url": NUL},
        {"event_types": []},
        {"event_types": "*"},
        {"event_types": ["session.end"]},
        {"event_types": ["session.ended,*"]},
        {"event_types": ["*"] * 51},
        {"event_types": [None]},
    ],
    "updateWebhook": [
        {"url": None},
        {"event_types": None},
        {"event_types": []},
        {"enabled": 1},
        {"enabled": None},
        {"organization": "rival"},
    ],
}


def _send(
    world: World, operation: Operation, headers: dict[str, str], **options: Any
) -> httpx2.Response:
    names = {
        "organization": "acme",
        "application": "shop",
        "user": "ann",
        "id": "x",
        "kind": "users",
    }
    last = operation.path.split("/")[2]
    known = {"organizations": "acme", "applications": "shop", "providers": "idp"}
    names["name"] = known.get(last, "ann")
    return world.request(
        operation.method, operation.path.format(**names), headers=headers, **options
    )


def _is_problem(answer: httpx2.Response, status: int, code: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    if code is not None:
        assert problem["code"] == code


@pytest.fixture
def caller(world: World, acme: Tenant) -> Callable[[Operation], dict[str, str]]:
    admin = world.admin
    locked = world.post(f"/v1/sessions/{acme.session}/lock", headers=admin)
    assert locked.status_code == 200
    others = {"startSession": acme.client, "unlockOwnSession": world.bearer(acme.token)}
    return lambda operation: others.get(operation.id, admin)


def test_every_route_with_a_body_is_in_the_tables() -> None:
    names = {operation.id for operation in WITH_BODY}
    assert names == GOOD.keys() == BAD.keys()


def test_a_member_that_does_not_fit_is_422_names_it_and_changes_nothing(
    world: World, caller: Callable[..., dict[str, str]], rows: Callable[[], Any]
) -> None:
    before = rows()
    for operation in WITH_BODY:
        for bad in [*BAD[operation.id], {"unknown_member": 1}]:
            body = json.dumps({**GOOD[operation.id], **bad})
            headers = {**caller(operation), "content-type": "application/json"}
            answer = _send(world, operation, headers, content=body)
            _is_problem(answer, 422)
            for mistake in answer.json().get("errors", []):
                assert mistake["field"]
                assert mistake["message"]
    assert rows() == before


def test_what_is_no_json_object_is_refused_everywhere(
    world: World, caller: Callable[..., dict[str, str]], rows: Callable[[], Any]
) -> None:
    before = rows()
    for operation in WITH_BODY:
        headers = {**caller(operation), "content-type": "application/json"}
        for malformed in (b"{", b"{'a': 1}", b"\xff\xfe", b"[" * 20_000, b"1" * 5000, b"\x00"):
            answer = _send(world, operation, headers, content=malformed)
            _is_problem(answer, 400, "malformed_json")
        for other in (b"", b"null", b"[]", b'"text"', b"1", b"NaN"):
            answer = _send(world, operation, headers, content=other)
            _is_problem(answer, 422, "invalid_request")
    assert rows() == before


def test_a_body_of_another_type_is_415_and_one_too_large_413(
    world: World, caller: Callable[..., dict[str, str]], rows: Callable[[], Any]
) -> None:
    before = rows()
    for operation in WITH_BODY:
        headers = caller(operation)
        good = json.dumps(GOOD[operation.id]).encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = _send(world, operation, {**headers, "content-type": kind}, content=good)
            _is_problem(answer, 415, "unsupported_media_type")
        bound = 1024 * 1024 if operation.id == "validateSessions" else 64 * 1024
        for content in (b" " * (bound + 1), _in_parts(bound)):
            answer = _send(
                world, operation, {**headers, "content-type": "application/json"}, content=content
            )
            _is_problem(answer, 413, "body_too_large")
    assert rows() == before


async def _in_parts(bound: int) -> Any:
    """A body whose length nobody has declared."""
    for _ in range(bound // 8192 + 1):
        yield b" " * 8192


def test_a_password_that_is_refused_is_not_repeated(world: World) -> None:
    secret = "hunter2 " * 200
    body = {"organization": "acme", "username": "ann", "password": secret, "hunter3": 1}
    answer = world.post("/v1/sign-in", json=body)
    _is_problem(answer, 422)
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1e9",
        "cursor=%00",
        "cursor=" + "x" * 600,
        "limit=5&limit=6",
    ],
)
def test_a_page_that_cannot_be_is_422(world: World, query: str) -> None:
    admin = world.admin
    for operation in OPERATIONS:
        if "limit" in operation.query:
            _is_problem(world.get(f"{operation.path}?{query}", headers=admin), 422)


def test_a_parameter_that_a_route_has_not_is_422_and_nothing_is_done(world: World) -> None:
    admin = world.admin
    for operation in OPERATIONS:
        answer = world.request(
            operation.method, f"{operation.path}?dryrun=true&usr=x", headers=admin
        )
        _is_problem(answer, 422)
        fields = [one["field"] for one in answer.json()["errors"]]
        assert {"dryrun", "usr"} <= set(fields), operation


def test_filters_and_names_of_any_text_are_answered_not_crashed_on(world: World) -> None:
    admin = world.admin
    for text in ("%00", "%0a", "%ff", "%ed%a0%80", "%27%22--", "%25", "x" * 300, "%F0%9F%92%A9"):
        for operation in OPERATIONS:
            if operation.method != "GET":
                continue
            path = operation.path
            for name in ("organization", "application", "user", "name", "id"):
                path = path.replace(f"{{{name}}}", text)
            query = "&".join(f"{name}={text}" for name in operation.query if name != "limit")
            answer = world.get(f"{path}?{query}", headers=admin)
            assert answer.status_code < 500, (path, query, answer.text)


def test_unknown_routes_and_methods_are_problems_too(world: World) -> None:
    _is_problem(world.get("/v1/nothing"), 404, "not_found")
    _is_problem(world.get("/v1/"), 404, "not_found")
    answer = world.request("PUT", "/v1/session")
    _is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


def test_credentials_of_any_bytes_are_401(world: World) -> None:
    for value in (
        "Basic",
        "Basic !",
        "Basic OnBhc3M=",
        "Basic AAA6AA==",
        "Bearer",
        "Digest x",
        "x",
    ):
        answer = world.get("/v1/sessions", headers={"authorization": value})
        _is_problem(answer, 401)
