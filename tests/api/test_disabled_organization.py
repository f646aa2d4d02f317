"""An organization that is switched off: everything of it is over and refused until it is on again."""

from sqlalchemy import Connection

from iam.directory.applications import Application
from iam.kernel.events import NOWHERE, SYSTEM
from iam.signin.enter import start_for_user
from tests.support.people import populate
from tests.support.surfer import Surfer
from tests.support.tenants import Tenant, make_tenant
from tests.support.world import PASSWORD, World

OFF, ON = {"enabled": False}, {"enabled": True}
ACME = "/v1/organizations/acme"


def _start_many(world: World, number: int) -> list[str]:
    def work(connection: Connection) -> list[str]:
        return [
            start_for_user(
                connection,
                organization="acme",
                user="ann",
                application="shop",
                actor=SYSTEM,
                instance=None,
                metadata={},
                maximum_lifetime=None,
                origin=NOWHERE,
                device=None,
                now=world.clock(),
                random=world.engine.random,
            ).token
            for _ in range(number)
        ]

    return world.engine.database.write(work)


def test_its_sessions_are_over_at_once_however_many_there_are(both_worlds: World) -> None:
    world = both_worlds
    acme, rival = make_tenant(world, "acme"), make_tenant(world, "rival")
    many = [*_start_many(world, 1100), acme.token]
    admin = world.admin

    answer = world.patch(ACME, json=OFF, headers=admin)

    assert (answer.status_code, answer.json()["enabled"]) == (200, False)
    for first in range(0, len(many), 1000):
        told = world.post(
            "/v1/sessions/validate", json={"tokens": many[first : first + 1000]}, headers=admin
        ).json()
        assert {(one["code"], one["end_reason"]) for one in told} == {
            ("session_ended", "user_disabled")
        }
    assert world.get("/v1/session", headers=rival.user).status_code == 200
    world.clock.move(1)
    world.sweep()
    ended = world.get("/v1/sessions?organization=acme&state=ended&count=exact", headers=admin)
    assert ended.json()["count"] == len(many) + 2
    assert {one["ended_by"] for one in ended.json()["items"]} == {"user:built-in/admin"}
    records = world.get("/v1/session-records?organization=acme", headers=admin)
    assert records.json()["items"] == []


def test_nobody_gets_in_until_it_is_on_again(world: World, acme: Tenant) -> None:
    admin = world.admin
    sign_in = {"organization": "acme", "username": "ann", "password": PASSWORD}
    world.patch(ACME, json=OFF, headers=admin)

    refused = world.post("/v1/sign-in", json=sign_in)
    assert (refused.status_code, refused.json()["code"]) == (401, "credentials_invalid")
    started = world.post("/v1/sessions", json={"user": "ann"}, headers=acme.client)
    assert (started.status_code, started.json()["code"]) == (401, "client_invalid")

    world.patch(ACME, json=ON, headers=admin)
    assert world.post("/v1/sign-in", json=sign_in).status_code == 201
    assert world.post("/v1/sessions", json={"user": "ann"}, headers=acme.client).status_code == 201
    gone = world.get("/v1/session", headers=acme.user)
    assert gone.status_code == 401, "what has ended is not brought back"
    changed = world.get("/v1/events?organization=acme&type=organization.updated", headers=admin)
    assert [one["data"] for one in changed.json()["items"]] == [{"changed": ["enabled"]}] * 2


def test_its_pages_say_that_it_is_off(world: World) -> None:
    applications: dict[str, Application] = populate(world)
    surfer = Surfer(world)
    world.patch(ACME, json=OFF, headers=world.admin)

    for path in ("/sign-in/acme", f"/sign-in?application={applications['wiki'].client_id}"):
        assert surfer.get(path).status_code == 403
        assert "organization_disabled" in surfer.page
    client = {"client_id": applications["wiki"].client_id, "redirect_uri": "https://x.example"}
    refused = world.get("/oauth/authorize", params=client)
    assert (refused.status_code, "client_unknown" in refused.text) == (400, True)
    gate = world.get("/gate/nginx", headers={"x-forwarded-host": "docs.acme.example"})
    assert (gate.status_code, gate.json()["code"]) == (403, "gate_host_unknown")


def test_only_the_installations_administrator_switches_it(world: World, acme: Tenant) -> None:
    for headers, status in ((acme.administrator, 403), (acme.user, 403), (world.admin, 200)):
        assert world.patch(ACME, json=OFF, headers=headers).status_code == status
    own = world.patch("/v1/organizations/built-in", json=OFF, headers=world.admin)
    assert (own.status_code, own.json()["code"]) == (409, "reserved")
