"""`/console/policies`: rules are seen, tried and changed by whom they concern."""

import re
from html import unescape

import pytest

from iam import audit
from iam.sessions.layers import read_policy
from iam.sessions.policy import INSTALLATION, Layer, Policy
from tests.support.surfer import Surfer
from tests.support.world import ADMIN_PASSWORD, World

ACME = {"kind": "organization", "organization": "acme"}


def _policy(world: World, layer: Layer) -> Policy:
    return world.engine.database.read(lambda c: read_policy(c, layer))


def _confirm(surfer: Surfer) -> dict[str, str]:
    """The hidden fields of the page that says what a change would do."""
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', surfer.page)
    return {name: unescape(value) for name, value in fields}


def test_a_change_is_tried_before_it_is_made(world: World, alice: Surfer, bob: Surfer) -> None:
    world.clock.move(20 * 60)
    alice.sign_in("acme", "alice")
    page = alice.get("/console/policies/edit?kind=organization&organization=acme").text
    assert "Idle timeout" in page
    tried = alice.submit("/console/policies/edit", idle_timeout="15 min", **ACME)
    assert "This ends 1 live session and shortens 1" in tried.text
    assert _policy(world, Layer("organization", "acme")) == Policy()
    assert bob.get("/account/state").json()["live"] is True
    done = alice.post("/console/policies/edit", _confirm(alice))
    assert done.headers["location"] == "/console/policies?organization=acme&notice=saved"
    assert _policy(world, Layer("organization", "acme")).idle_timeout == 900
    assert "stricter" in bob.get("/account/state").json()["text"]
    page = alice.get(done.headers["location"]).text
    assert "15 min" in page
    assert "Organization acme" in page
    events = world.engine.database.read(
        lambda c: audit.list_events(c, organization="acme", type_="policy.updated")
    )
    assert [event.actor for event in events] == ["user:acme/alice"]


def test_what_is_set_stands_in_the_form_and_goes_when_it_is_emptied(
    world: World, alice: Surfer
) -> None:
    rules = {
        "idle_timeout": "1 h 30 min",
        "maximum_lifetime": "86400",
        "exclusive": "yes",
        "maximum_sessions": "3",
        "at_limit": "refuse",
        "remember_maximum_lifetime": "0",
    }
    alice.get("/console/policies/edit?kind=application&organization=acme&name=wiki")
    layer = {"kind": "application", "organization": "acme", "name": "wiki"}
    alice.submit("/console/policies/edit", **layer, **rules)
    alice.post("/console/policies/edit", _confirm(alice))
    policy = _policy(world, Layer("application", "acme", "wiki"))
    assert (policy.idle_timeout, policy.maximum_lifetime, policy.exclusive) == (5400, 86400, True)
    assert (policy.maximum_sessions, policy.remember_maximum_lifetime) == (3, 0)
    path = "/console/policies/edit?kind=application&organization=acme&name=wiki"
    page = alice.get(path).text
    assert 'value="1 h 30 min"' in page
    assert '<option value="refuse" selected>' in page
    alice.submit("/console/policies/edit", **layer)
    alice.post("/console/policies/edit", _confirm(alice))
    assert _policy(world, Layer("application", "acme", "wiki")) == Policy()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("idle_timeout", "soon"),
        ("idle_timeout", "0"),
        ("idle_timeout", "99999 d"),
        ("maximum_sessions", "-1"),
        ("maximum_sessions", "1.5"),
        ("exclusive", "maybe"),
        ("at_limit", "explode"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    world: World, alice: Surfer, name: str, text: str
) -> None:
    alice.get("/console/policies/edit?kind=organization&organization=acme")
    answer = alice.submit("/console/policies/edit", confirmed="1", **{**ACME, name: text})
    assert (answer.status_code, 'class="wrong"' in answer.text) == (422, True)
    assert _policy(world, Layer("organization", "acme")) == Policy()


def test_the_installations_policy_is_for_its_administrator(world: World, alice: Surfer) -> None:
    assert "Installation" in alice.get("/console/policies").text
    assert alice.get("/console/policies/edit?kind=installation").status_code == 403
    alice.get("/account/sessions")
    answer = alice.submit(
        "/console/policies/edit", kind="installation", idle_timeout="60", confirmed="1"
    )
    assert answer.status_code == 403
    admin = Surfer(world)
    admin.sign_in("built-in", "admin", ADMIN_PASSWORD)
    admin.get("/console/policies/edit?kind=installation")
    admin.submit("/console/policies/edit", kind="installation", maximum_lifetime="8 h")
    admin.post("/console/policies/edit", _confirm(admin))
    assert _policy(world, INSTALLATION).maximum_lifetime == 8 * 3600


@pytest.mark.parametrize(
    "query",
    [
        "kind=organization&organization=globex",
        "kind=application&organization=acme&name=nothing",
        "kind=user&organization=acme&name=nobody",
        "kind=user&organization=acme",
        "kind=planet&organization=acme",
        "kind=organization",
        "",
    ],
)
def test_a_layer_that_is_not_there_is_not_changed(alice: Surfer, query: str) -> None:
    assert alice.get(f"/console/policies/edit?{query}").status_code == 404
    fields = dict(part.split("=") for part in query.split("&") if part)
    alice.get("/account/sessions")
    answer = alice.submit("/console/policies/edit", confirmed="1", idle_timeout="60", **fields)
    assert answer.status_code == 404


def test_who_administers_nothing_sees_no_policy(bob: Surfer) -> None:
    for path in ("/console/policies", "/console/policies/edit?kind=organization&organization=acme"):
        assert bob.get(path).status_code == 403
