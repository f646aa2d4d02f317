"""Every route of the console, tried by each role."""

from typing import Any

import pytest
from starlette.routing import Route

from iam.console import routes
from tests.support.surfer import Surfer
from tests.support.world import World

SEE, END, READ, CHANGE = "see", "end", "read", "change"
RIGHTS = {
    "administrator": {SEE, END, READ, CHANGE},
    "auditor": {SEE, READ},
    "support": {SEE, END},
    "developer": set[str](),
}

NEEDED = {
    ("GET", "/console"): SEE,  # who may see no more than sessions is led to those
    ("GET", "/console/records"): SEE,
    ("GET", "/console/browsers"): SEE,
    ("GET", "/console/sessions"): SEE,
    ("POST", "/console/sessions/end"): END,
    ("POST", "/console/sessions/end-record"): END,
    ("GET", "/console/sessions/{id}"): SEE,
    ("POST", "/console/sessions/{id}/extend"): CHANGE,
    ("POST", "/console/sessions/{id}/lock"): CHANGE,
    ("POST", "/console/deliveries/{id}/redeliver"): CHANGE,
    ("POST", "/console/ends"): END,
    ("POST", "/console/ends/chosen"): END,
    ("GET", "/console/ends/{id}"): END,
    ("POST", "/console/ends/{id}"): END,
}
"""What a route of the console needs. Of those not named: looking needs `read`, all else `change`."""

CHANGING_PAGES = ("/new", "/edit", "/import")
"""Pages on which nothing is read but a form to change something."""


def _needed(method: str, path: str) -> str:
    if (method, path) in NEEDED:
        return NEEDED[method, path]
    return READ if method == "GET" and not path.endswith(CHANGING_PAGES) else CHANGE


def _all_routes() -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for route in routes()
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


@pytest.mark.parametrize("role", RIGHTS)
def test_a_route_is_there_for_the_roles_that_have_its_right_and_for_no_other(
    world: World, applications: Any, role: str
) -> None:
    world.make_user("acme", "rita", roles=[role])
    rita = Surfer(world)
    rita.sign_in("acme", "rita")
    victim = Surfer(world)
    victim.sign_in("acme", "bob")
    for method, path in _all_routes():
        rita.get("/account/sessions")
        address = path.format(id=victim.session_id, organization="acme", name="bob")
        # Nothing that is asked for can be done: what is sent fits no form.
        answer = rita.get(address) if method == "GET" else rita.submit(address)
        allowed = _needed(method, path) in RIGHTS[role]
        refused = answer.status_code == 403 and "This is for" in answer.text
        assert refused != allowed, (method, path, answer.status_code)
        assert answer.status_code < 500, (method, path)


def test_an_auditor_sees_no_form_that_changes_anything(world: World, applications: Any) -> None:
    world.make_user("acme", "rita", roles=["auditor"])
    rita, bob = Surfer(world), Surfer(world)
    rita.sign_in("acme", "rita")
    bob.sign_in("acme", "bob")
    for path in (
        "/console",
        "/console/sessions",
        "/console/records",
        "/console/browsers",
        f"/console/sessions/{bob.session_id}",
        "/console/users",
        "/console/users/acme/bob",
        "/console/applications",
        "/console/applications/acme/wiki",
        "/console/organizations",
        "/console/organizations/acme",
        "/console/policies",
        "/console/webhooks",
        "/console/audit",
    ):
        page = rita.get(path)
        assert page.status_code == 200, path
        assert 'method="post"' not in page.text, path
        assert "/new" not in page.text, path


def test_support_sees_sessions_ends_them_and_is_offered_nothing_else(
    world: World, applications: Any
) -> None:
    world.make_user("acme", "rita", roles=["support"])
    rita, bob = Surfer(world), Surfer(world)
    rita.sign_in("acme", "rita")
    bob.sign_in("acme", "bob")
    assert rita.get("/console").headers["location"] == "/console/sessions"
    page = rita.get("/console/sessions").text
    assert 'href="/console/audit"' not in page
    assert 'href="/console/users"' not in page
    one = rita.get(f"/console/sessions/{bob.session_id}").text
    assert "/lock" not in one
    assert "/extend" not in one
    ended = rita.submit("/console/sessions/end", id=bob.session_id, confirmed="1")
    assert ended.status_code == 303
    assert bob.get("/account/sessions").status_code == 303


def test_who_loses_a_role_loses_it_in_the_session_they_have(
    world: World, applications: Any
) -> None:
    world.make_user("acme", "rita", roles=["auditor"])
    rita = Surfer(world)
    rita.sign_in("acme", "rita")
    assert rita.get("/console/audit").status_code == 200
    boss = world.bearer(world.sign_in("acme", "alice"))
    world.patch("/v1/users/acme/rita", json={"roles": []}, headers=boss)
    assert rita.get("/console/audit").status_code == 403
    assert "/console" not in rita.get("/account/sessions").text
