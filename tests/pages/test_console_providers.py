"""Providers are added, changed, switched and deleted in the console, and a user's link is taken away."""

from typing import Any

import pytest

from iam.directory.providers import add_link, find_provider
from iam.directory.users import find_user
from tests.support.surfer import Surfer
from tests.support.world import World

NEW = "/console/providers/new"
FIELDS = {
    "organization": "acme",
    "kind": "oidc",
    "name": "partner",
    "display_name": "Partner Ltd",
    "issuer": "https://login.partner.example",
    "client_id": "iam",
    "client_secret": "a secret of theirs",
    "auth_method": "client_secret_basic",
    "scopes": "openid email",
    "options.userinfo": "1",
    "behaviour.creates_users": "1",
    "trusted_domains": "partner.example\n",
    "attributes": "roles=groups",
}


@pytest.fixture
def boss(alice: Surfer) -> Surfer:
    alice.get(NEW)
    return alice


def _api(world: World, name: str = "partner") -> Any:
    return world.get(f"/v1/providers/acme/{name}", headers=world.admin)


def test_one_is_added_with_all_that_the_api_would_take(world: World, boss: Surfer) -> None:
    answer = boss.submit(NEW, **FIELDS)
    assert answer.headers["location"] == "/console/providers/acme/partner?notice=created"
    made = _api(world).json()
    assert made["display_name"] == "Partner Ltd"
    assert made["creates_users"] is True
    assert made["trusted_domains"] == ["partner.example"]
    assert made["attributes"] == {"roles": "groups"}
    assert made["options"]["scopes"] == ["openid", "email"]
    assert made["options"]["trust_email"] is False
    assert made["has_client_secret"] is True
    page = boss.get("/console/providers/acme/partner").text
    assert made["redirect_uri"] in page
    assert "a secret of theirs" not in page
    assert "Partner Ltd" in boss.get("/console/providers").text


def test_a_preset_needs_no_endpoints_and_without_one_they_are_needed(
    world: World, boss: Surfer
) -> None:
    fields = {
        "organization": "acme",
        "kind": "oauth2",
        "name": "hub",
        "client_id": "iam",
        "auth_method": "client_secret_post",
    }
    assert boss.submit(NEW, **fields, preset="").status_code == 403
    assert _api(world, "hub").status_code == 404
    assert boss.submit(NEW, **fields, preset="github").status_code == 303
    assert _api(world, "hub").json()["options"]["preset"] == "github"


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("issuer", "http://10.0.0.1", 403),
        ("issuer", "javascript:alert(1)", 422),
        ("issuer", "", 422),
        ("client_id", "", 422),
        ("client_secret", "é", 422),
        ("auth_method", "by hand", 422),
        ("trusted_domains", "not a domain", 422),
        ("attributes", "password=x", 422),
        ("scopes", 'a"b', 422),
        ("name", "A name", 422),
        ("kind", "magic", 422),
    ],
)
def test_what_does_not_fit_is_said_and_adds_nothing(
    world: World, boss: Surfer, field: str, value: str, status: int
) -> None:
    assert boss.submit(NEW, **{**FIELDS, field: value}).status_code == status
    assert world.get("/v1/providers?organization=acme", headers=world.admin).json()["items"] == []


def test_it_is_changed_switched_off_and_on_and_deleted(world: World, boss: Surfer) -> None:
    boss.submit(NEW, **FIELDS)
    here = "/console/providers/acme/partner"
    boss.get(here)
    changed = {**FIELDS, "display_name": "Partner", "client_secret": "", "scopes": "openid"}
    assert boss.submit(here, do="save", **changed).headers["location"] == f"{here}?notice=saved"
    now = _api(world).json()
    assert (now["display_name"], now["options"]["scopes"]) == ("Partner", ["openid"])
    assert now["has_client_secret"] is True  # an empty field leaves it
    boss.submit(here, do="disable")
    assert _api(world).json()["enabled"] is False
    boss.submit(here, do="enable")
    assert _api(world).json()["enabled"] is True
    assert boss.submit(here, do="delete").status_code == 200  # the question
    assert _api(world).status_code == 200
    boss.submit(here, do="delete", confirmed="1")
    assert _api(world).status_code == 404
    told = world.get("/v1/events?organization=acme", headers=world.admin).json()["items"]
    kinds = [one["type"] for one in told if one["type"].startswith("provider.")]
    assert kinds.count("provider.updated") == 3
    assert {"provider.created", "provider.deleted"} <= set(kinds)


def test_it_becomes_no_other_under_its_users_and_its_secret_goes_nowhere_else(
    world: World, boss: Surfer
) -> None:
    boss.submit(NEW, **FIELDS)
    here = "/console/providers/acme/partner"
    boss.get(here)
    moved = {**FIELDS, "issuer": "https://evil.example"}
    unsaid = boss.submit(here, do="save", **{**moved, "client_secret": ""})
    assert unsaid.status_code == 409
    assert "Give the client secret as well" in unsaid.text
    engine, now = world.engine, world.clock()
    provider = engine.database.read(lambda c: find_provider(c, "acme", "partner"))
    alice = engine.database.read(lambda c: find_user(c, "acme", "alice"))
    engine.database.write(lambda c: add_link(c, provider.id, "1", alice.id, now))
    linked = boss.submit(here, do="save", **moved)
    assert linked.status_code == 409
    assert _api(world).json()["options"]["issuer"] == FIELDS["issuer"]


def test_a_user_is_unlinked(world: World, boss: Surfer) -> None:
    boss.submit(NEW, **FIELDS)

    def link(connection: Any) -> None:
        provider = find_provider(connection, "acme", "partner")
        bob = find_user(connection, "acme", "bob")
        add_link(connection, provider.id, "bob-over-there", bob.id, world.clock())

    world.engine.database.write(link)
    page = boss.get("/console/users/acme/bob").text
    assert "bob-over-there" in page
    wanted = page.split('name="link" value="')[1].split('"')[0]
    answer = boss.submit("/console/users/acme/bob", do="unlink", link=wanted)
    assert answer.headers["location"].endswith("notice=unlinked")
    assert "bob-over-there" not in boss.get("/console/users/acme/bob").text
    boss.get("/console/users/acme/bob")
    assert boss.submit("/console/users/acme/bob", do="unlink", link=wanted).status_code == 404


def test_another_tenants_providers_do_not_exist(world: World, boss: Surfer) -> None:
    boss.submit(NEW, **FIELDS)
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    eve.get(NEW)
    assert eve.get("/console/providers/acme/partner").status_code == 404
    assert eve.get("/console/providers?organization=acme").status_code == 404
    eve.get(NEW)
    deleted = eve.submit("/console/providers/acme/partner", do="delete", confirmed="1")
    assert deleted.status_code == 404
    eve.get(NEW)
    assert eve.submit(NEW, **{**FIELDS, "name": "mine"}).status_code == 404
