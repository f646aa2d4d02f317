"""How long sessions last, changed at run time."""

from iam.api.policy_views import ExplainedView
from iam.api.schemas import PolicyBody
from iam.api.views import PolicyView
from iam.sessions.knobs import KNOBS
from iam.sessions.policy import NAMES
from tests.support.basic import basic
from tests.support.world import PASSWORD, World


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
    unset = dict.fromkeys(NAMES)
    kept = world.patch(path, json={"idle_timeout": 500}, headers=admin).json()["policy"]
    assert kept == {**unset, "idle_timeout": 500, "maximum_lifetime": 6000}
    assert world.patch(path, json={}, headers=admin).json()["policy"] == kept
    freed = world.patch(path, json={"maximum_lifetime": None}, headers=admin).json()["policy"]
    assert freed == {**unset, "idle_timeout": 500}
    assert world.get(path, headers=admin).json()["policy"] == freed


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
    assert answer.json()["policy"] == {**dict.fromkeys(NAMES), "maximum_lifetime": 500}
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


def _shop(world: World) -> tuple[dict[str, str], dict[str, str]]:
    world.make_organization("acme")
    world.make_user("acme", "ann", roles=["staff"])
    return world.admin, basic(world.make_application("acme", "shop"))


def test_the_members_of_a_policy_are_the_knobs() -> None:
    names = [knob.name for knob in KNOBS]

    assert list(PolicyBody.model_fields) == list(PolicyView.model_fields) == names
    assert [name for name in ExplainedView.model_fields if name in names] == names
    assert list(NAMES) == names


def test_explain_names_roles_and_users_too(both_worlds: World) -> None:
    world = both_worlds
    admin, _ = _shop(world)
    for path, knobs in (
        ("roles/acme/staff", {"idle_timeout": 900, "exclusive": True}),
        ("users/acme/ann", {"maximum_sessions": 2, "at_limit": "refuse"}),
        ("applications/acme/shop", {"maximum_sessions": 5, "idle_timeout": 900}),
    ):
        answer = world.patch(f"/v1/policies/{path}", json=knobs, headers=admin)
        assert answer.status_code == 200, answer.text

    path = "/v1/policies/explain?organization=acme&application=shop&user=ann"
    explained = world.get(path, headers=admin).json()

    assert explained["user"] == "ann"
    assert explained["idle_timeout"] == {"value": 900, "layer": "application", "name": "shop"}
    assert explained["exclusive"] == {"value": True, "layer": "role", "name": "staff"}
    assert explained["maximum_sessions"] == {"value": 2, "layer": "user", "name": "ann"}
    assert explained["at_limit"] == {"value": "refuse", "layer": "user", "name": "ann"}
    assert explained["end_children"] == {"value": None, "layer": "default", "name": None}
    layers = world.get("/v1/policies?organization=acme", headers=admin).json()["items"]
    assert [(one["layer"], one["application"], one["role"], one["user"]) for one in layers] == [
        ("installation", None, None, None),
        ("organization", None, None, None),
        ("application", "shop", None, None),
        ("role", None, "staff", None),
        ("user", None, None, "ann"),
    ]


def test_a_dry_run_says_how_many_sessions_a_change_would_end_and_changes_nothing(
    both_worlds: World,
) -> None:
    world = both_worlds
    admin, client = _shop(world)
    tokens = []
    for _ in range(3):
        answer = world.post("/v1/sessions", json={"user": "ann"}, headers=client).json()
        tokens.append(answer["token"])
        world.clock.move(60)
    path = "/v1/policies/applications/acme/shop"

    dry = world.patch(f"{path}?dry_run=true", json={"maximum_lifetime": 100}, headers=admin).json()

    assert (dry["dry_run"], dry["shortened"], dry["ended"]) == (True, 1, 2)
    assert dry["applications"] == [
        {"organization": "acme", "application": "shop", "shortened": 1, "ended": 2}
    ]
    assert sorted(one["effect"] for one in dry["sample"]) == ["ended", "ended", "shortened"]
    assert {one["end_reason"] for one in dry["sample"]} == {"policy", None}
    assert world.get(path, headers=admin).json()["policy"]["maximum_lifetime"] is None
    for token in tokens:
        assert world.get("/v1/session", headers=world.bearer(token)).status_code == 200

    real = world.patch(path, json={"maximum_lifetime": 100}, headers=admin).json()

    assert {**real, "dry_run": True} == dry
    statuses = [world.get("/v1/session", headers=world.bearer(t)).status_code for t in tokens]
    assert statuses == [401, 401, 200]


def test_a_back_end_is_told_that_there_is_no_room(world: World) -> None:
    admin, client = _shop(world)
    world.patch(
        "/v1/policies/applications/acme/shop",
        json={"maximum_sessions": 1, "at_limit": "ask"},
        headers=admin,
    )
    first = world.post("/v1/sessions", json={"user": "ann"}, headers=client).json()

    refused = world.post("/v1/sessions", json={"user": "ann"}, headers=client)

    assert refused.status_code == 409
    body = refused.json()
    assert (body["code"], body["sessions"]) == ("session_limit", [first["session"]["id"]])
    assert world.get("/v1/session", headers=world.bearer(first["token"])).status_code == 200


def test_who_signs_in_by_the_api_can_say_what_is_to_end(world: World) -> None:
    admin, _ = _shop(world)
    world.patch(
        "/v1/policies/users/acme/ann",
        json={"maximum_sessions": 1, "at_limit": "ask"},
        headers=admin,
    )
    token = world.sign_in("acme", "ann")
    body = {"organization": "acme", "username": "ann", "password": PASSWORD}
    refused = world.post("/v1/sign-in", json=body)
    assert (refused.status_code, refused.json()["may_choose"]) == (409, True)

    chosen = {**body, "end_sessions": refused.json()["sessions"]}
    answer = world.post("/v1/sign-in", json=chosen)

    assert answer.status_code == 201
    ended = world.get("/v1/session", headers=world.bearer(token))
    assert ended.json()["end_reason"] == "ended_by_user"


def test_a_refused_sign_in_is_an_event_and_no_failure_of_the_password(world: World) -> None:
    admin, _ = _shop(world)
    world.patch(
        "/v1/policies/users/acme/ann",
        json={"maximum_sessions": 1, "at_limit": "refuse"},
        headers=admin,
    )
    world.sign_in("acme", "ann")
    body = {"organization": "acme", "username": "ann", "password": PASSWORD}
    for _ in range(7):
        answer = world.post("/v1/sign-in", json=body)
        assert (answer.status_code, answer.json()["may_choose"]) == (409, False)

    events = world.get("/v1/events?type=sign_in.failed", headers=admin).json()["items"]
    assert {one["reason"] for one in events} == {"session_limit"}


def test_new_roles_bring_sessions_under_the_policy_of_those_roles(world: World) -> None:
    admin, client = _shop(world)
    world.make_user("acme", "bea")
    started = world.post("/v1/sessions", json={"user": "bea"}, headers=client).json()
    world.patch("/v1/policies/roles/acme/staff", json={"idle_timeout": 60}, headers=admin)
    world.clock.move(90)

    world.patch("/v1/users/acme/bea", json={"roles": ["staff"]}, headers=admin)

    refused = world.get("/v1/session", headers=world.bearer(started["token"]))
    assert refused.json()["end_reason"] == "policy"


def test_who_takes_the_name_of_a_deleted_user_has_not_their_policy(world: World) -> None:
    admin, _ = _shop(world)
    world.patch("/v1/policies/users/acme/ann", json={"idle_timeout": 60}, headers=admin)
    world.delete("/v1/users/acme/ann", headers=admin)
    world.make_user("acme", "ann")

    answer = world.get("/v1/policies/users/acme/ann", headers=admin).json()

    assert answer["policy"]["idle_timeout"] is None


def test_there_is_no_policy_of_what_is_not_there(world: World) -> None:
    admin, _ = _shop(world)
    for path, code in (
        ("organizations/nowhere", "organization_not_found"),
        ("applications/acme/none", "application_not_found"),
        ("users/acme/nobody", "user_not_found"),
        ("roles/acme/no,role", "role_invalid"),
    ):
        answer = world.patch(f"/v1/policies/{path}", json={"exclusive": True}, headers=admin)
        assert answer.json()["code"] == code, answer.text


def test_an_administrator_of_one_organization_reaches_no_policy_of_another(world: World) -> None:
    _shop(world)
    world.make_organization("globex")
    world.make_user("globex", "boss", roles=["administrator"])
    boss = world.bearer(world.sign_in("globex", "boss"))
    for path in ("organizations/acme", "applications/acme/shop", "roles/acme/x", "users/acme/ann"):
        assert world.get(f"/v1/policies/{path}", headers=boss).status_code == 404
        changed = world.patch(f"/v1/policies/{path}", json={"exclusive": True}, headers=boss)
        assert changed.status_code == 404
