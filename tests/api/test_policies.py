"""How long sessions last, changed at run time."""

from tests.support.basic import basic
from tests.support.world import World


def _explain(world: World, headers: dict[str, str]) -> list[tuple[int, str]]:
    answer = world.get(
        "/v1/policies/explain?organization=acme&application=shop", headers=headers
    ).json()
    knobs = (answer["idle_timeout"], answer["maximum_lifetime"])
    return [(knob["value"], knob["layer"]) for knob in knobs]


def test_the_strictest_layer_wins_and_explain_names_it(both_worlds: World) -> None:
    world = both_worlds
    world.make_organization("acme")
    world.make_application("acme", "shop")
    admin = world.admin
    assert _explain(world, admin) == [(1800, "default"), (43200, "default")]
    world.patch(
        "/v1/applications/acme/shop",
        json={"policy": {"idle_timeout": 7200, "maximum_lifetime": 90000}},
        headers=admin,
    )
    assert _explain(world, admin) == [(7200, "application"), (90000, "application")]
    world.patch("/v1/organizations/acme", json={"policy": {"idle_timeout": 3600}}, headers=admin)
    world.patch("/v1/policies/installation", json={"maximum_lifetime": 80000}, headers=admin)
    assert _explain(world, admin) == [(3600, "organization"), (80000, "installation")]
    world.patch("/v1/organizations/acme", json={"policy": {"idle_timeout": None}}, headers=admin)
    assert _explain(world, admin) == [(7200, "application"), (80000, "installation")]


def test_a_member_that_is_absent_stays_and_null_inherits(world: World) -> None:
    admin = world.admin
    path = "/v1/policies/installation"
    world.patch(path, json={"idle_timeout": 600, "maximum_lifetime": 6000}, headers=admin)
    kept = world.patch(path, json={"idle_timeout": 500}, headers=admin).json()
    assert kept == {"idle_timeout": 500, "maximum_lifetime": 6000}
    assert world.patch(path, json={}, headers=admin).json() == kept
    freed = world.patch(path, json={"maximum_lifetime": None}, headers=admin).json()
    assert freed == {"idle_timeout": 500, "maximum_lifetime": None}
    assert world.get(path, headers=admin).json() == freed


def test_tightening_a_policy_ends_what_is_now_too_old_at_once(both_worlds: World) -> None:
    world = both_worlds
    world.make_organization("acme")
    world.make_user("acme", "ann")
    client = basic(world.make_application("acme", "shop"))
    old = world.post("/v1/sessions", json={"user": "ann"}, headers=client).json()
    world.clock.move(600)
    new = world.post("/v1/sessions", json={"user": "ann"}, headers=client).json()
    answer = world.patch(
        "/v1/applications/acme/shop",
        json={"policy": {"maximum_lifetime": 500}},
        headers=world.admin,
    )
    assert answer.json()["policy"] == {"idle_timeout": None, "maximum_lifetime": 500}
    refused = world.get("/v1/session", headers=world.bearer(old["token"]))
    assert (refused.status_code, refused.json()["end_reason"]) == (401, "policy")
    assert world.get("/v1/session", headers=world.bearer(new["token"])).status_code == 200
    record = world.get("/v1/session-records/acme/ann/shop", headers=client).json()
    assert record["session_ids"] == [new["session"]["id"]]


def test_an_organization_reads_the_installations_policy_and_cannot_change_it(
    world: World,
) -> None:
    world.make_organization("acme", policy={"idle_timeout": 900})
    world.make_user("acme", "boss", roles=["administrator"])
    boss = world.bearer(world.sign_in("acme", "boss"))
    assert world.get("/v1/policies/installation", headers=boss).status_code == 200
    refused = world.patch("/v1/policies/installation", json={"idle_timeout": 1}, headers=boss)
    assert refused.status_code == 403
    layers = world.get("/v1/policies", headers=boss).json()["items"]
    assert [(one["layer"], one["policy"]["idle_timeout"]) for one in layers] == [
        ("installation", None),
        ("organization", 900),
    ]
    own = world.patch(
        "/v1/organizations/acme", json={"policy": {"idle_timeout": 800}}, headers=boss
    )
    assert own.json()["policy"]["idle_timeout"] == 800
