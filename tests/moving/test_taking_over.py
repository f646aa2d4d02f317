"""What an operator of Casdoor finds here after `iam import casdoor`, whichever database it was on."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.moving.conftest import (
    ALICE,
    CALLBACK,
    CLIENT_ID,
    PASSWORD,
    SALT,
    Pair,
    in_file,
    installation,
    run_import,
    user,
)
from tests.support import old_casdoor as casdoor
from tests.support.world import World


def read(world: World, path: str) -> Any:
    answer = world.get(path, headers=world.admin)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_everything_is_here_that_has_a_place_here(pair: Pair) -> None:
    done = run_import(pair.world, *pair.place(installation()))

    assert done.returncode == 0, done.stderr
    assert read(pair.world, "/v1/organizations/acme")["display_name"] == "Acme Ltd"
    alice = read(pair.world, "/v1/users/acme/alice")
    assert alice["id"] == ALICE
    assert alice["email"] == "alice@example.com"
    assert alice["roles"] == ["administrator", "buyer", "staff"]
    assert alice["enabled"] is True
    assert alice["created_at"] == "2024-03-01T02:00:00.000Z"
    assert read(pair.world, "/v1/users/acme/bob")["enabled"] is False
    shop = read(pair.world, "/v1/applications/acme/shop")
    assert shop["client_id"] == CLIENT_ID
    assert shop["redirect_uris"] == [CALLBACK, "http://localhost:9000/callback"]
    assert shop["grant_types"] == ["authorization_code", "refresh_token"]
    policy = shop["policy"]
    assert policy["exclusive"] is True
    assert policy["maximum_lifetime"] == policy["remember_maximum_lifetime"] == 8 * 3600


def test_the_own_administrator_and_application_stay_as_they_were(
    world: World, tmp_path: Path
) -> None:
    before = read(world, "/v1/users/built-in/admin")

    done = run_import(world, *in_file(tmp_path, installation()))

    assert done.returncode == 0
    assert read(world, "/v1/users/built-in/admin") == before
    assert (
        world.post(
            "/v1/sign-in", json={"organization": "built-in", "username": "admin", "password": "123"}
        ).status_code
        == 401
    )


def test_a_rehearsal_says_what_happens_then_and_a_second_run_changes_nothing(
    pair: Pair, tmp_path: Path
) -> None:
    place = pair.place(installation())
    before = everything(pair.world)

    rehearsed = run_import(
        pair.world, *place, "--dry-run", "--report", str(tmp_path / "rehearsed.json")
    )
    after = everything(pair.world)
    done = run_import(pair.world, *place, "--report", str(tmp_path / "done.json"))

    assert (rehearsed.returncode, done.returncode) == (0, 0)
    assert after == before
    assert "Nothing was written" in rehearsed.stdout
    reports = [
        json.loads((tmp_path / name).read_text()) for name in ("rehearsed.json", "done.json")
    ]
    assert reports[0] == reports[1]
    first = everything(pair.world)
    again = run_import(pair.world, *place)
    assert again.returncode == 0, again.stderr
    assert everything(pair.world) == first
    assert "differs there" not in again.stdout


def everything(world: World) -> dict[str, list[Any]]:
    """All rows of the database."""
    from iam.db.tables import metadata

    def work(connection: Any) -> dict[str, list[Any]]:
        return {
            one.name: sorted(map(repr, connection.execute(one.select())))
            for one in metadata.sorted_tables
        }

    return world.engine.database.read(work)


@pytest.mark.parametrize("options", [(), ("--organization", "Built In")])
def test_no_other_organization_becomes_the_one_that_administers_everything(
    world: World, tmp_path: Path, options: tuple[str, ...]
) -> None:
    rows = installation()
    rows["organization"] = [{"owner": "admin", "name": "Built In"}]
    rows["application"], rows["role"] = [], []
    rows["user"] = [
        {**user("mallory", PASSWORD, "plain", isAdmin=True), "owner": "Built In"},
    ]

    done = run_import(
        world, *in_file(tmp_path, rows), *options, "--report", str(tmp_path / "report.json")
    )

    assert done.returncode == 0, done.stderr
    assert '"reserved"' in (tmp_path / "report.json").read_text()
    assert world.get("/v1/users/built-in/mallory", headers=world.admin).status_code == 404


def test_an_organization_alone_can_be_asked_for(world: World, tmp_path: Path) -> None:
    rows = installation()
    rows["organization"].append({"owner": "admin", "name": "globex", "passwordType": "plain"})
    rows["user"].append({**user("eve", "x" * 9, "plain"), "owner": "globex"})

    done = run_import(world, *in_file(tmp_path, rows), "--organization", "globex")
    nobody = run_import(world, *in_file(tmp_path, rows), "--organization", "nowhere")

    assert done.returncode == 0, done.stderr
    assert {one["name"] for one in read(world, "/v1/organizations")["items"]} == {
        "built-in",
        "globex",
    }
    assert nobody.returncode == 1
    assert "There is no organization 'nowhere' there." in nobody.stderr


def test_an_organization_that_is_here_already_is_left_alone_unless_it_is_to_be_merged(
    world: World, tmp_path: Path
) -> None:
    world.make_organization("acme")
    world.make_user("acme", "alice")
    place = in_file(tmp_path, installation())

    refused = run_import(world, *place)
    alone = read(world, "/v1/users?organization=acme")["items"]
    merged = run_import(world, *place, "--merge", "--report", str(tmp_path / "report.json"))

    assert (refused.returncode, merged.returncode) == (0, 0)
    assert [one["name"] for one in alone] == ["alice"]
    assert "did not come from there" in refused.stdout
    assert {one["name"] for one in read(world, "/v1/users?organization=acme")["items"]} == {
        "alice",
        "bob",
    }
    assert finding(tmp_path / "report.json", "user", "acme/alice") == [(None, "already_here")]
    world.sign_in("acme", "alice")  # with the password that she had here


def test_names_are_made_fit_and_those_that_fit_already_come_first(
    world: World, tmp_path: Path
) -> None:
    rows = installation()
    rows["organization"] += [
        {"owner": "admin", "name": "Café du Monde"},
        {"owner": "admin", "name": "ACME"},
        {"owner": "admin", "name": "上海"},
    ]
    rows["user"] += [
        user("a lice", PASSWORD, "plain"),
        user("a-lice", PASSWORD, "plain"),
        user("o'hara", PASSWORD, "plain"),
        user("李", PASSWORD, "plain"),
    ]

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert read(world, "/v1/organizations/cafe-du-monde")["display_name"] == "cafe-du-monde"
    report = tmp_path / "report.json"
    assert finding(report, "organization", "ACME") == [(None, "name_clash")]
    assert finding(report, "organization", "上海") == [(None, "name_unusable")]
    assert finding(report, "user", "acme/a lice") == [(None, "name_clash")]
    assert finding(report, "user", "acme/李") == [(None, "name_unusable")]
    assert ("name", "renamed") in finding(report, "user", "acme/o'hara")
    assert read(world, "/v1/users/acme/o-hara")["id"].startswith("usr_")
    world.sign_in("acme", "a-lice", password=PASSWORD)


def finding(report: Path, kind: str, source: str) -> list[tuple[str | None, str]]:
    """What the report says of one object."""
    objects = json.loads(report.read_text())["objects"]
    (found,) = [one for one in objects if (one["kind"], one["object"]) == (kind, source)]
    return [(one["field"], one["reason"]) for one in found["findings"]]


def test_who_was_deleted_here_does_not_come_back(world: World, tmp_path: Path) -> None:
    place = in_file(tmp_path, installation())
    assert run_import(world, *place).returncode == 0
    for path in ("/v1/users/acme/alice", "/v1/applications/acme/shop"):
        assert world.delete(path, headers=world.admin).status_code in (200, 204)

    again = run_import(world, *place, "--report", str(tmp_path / "report.json"))

    assert again.returncode == 0
    assert world.get("/v1/users/acme/alice", headers=world.admin).status_code == 404
    assert finding(tmp_path / "report.json", "user", "acme/alice") == [(None, "deleted_here")]
    assert finding(tmp_path / "report.json", "application", "shop") == [(None, "deleted_here")]


def test_an_organization_that_was_deleted_here_can_come_again(world: World, tmp_path: Path) -> None:
    place = in_file(tmp_path, installation())
    assert run_import(world, *place).returncode == 0
    gone = world.delete("/v1/organizations/acme", headers=world.admin)
    assert gone.status_code in (200, 204), gone.text

    assert run_import(world, *place).returncode == 0

    world.sign_in("acme", "alice", password=PASSWORD)


def test_what_changed_there_since_is_said_and_left_as_it_is_here(
    world: World, tmp_path: Path
) -> None:
    rows = installation()
    assert run_import(world, *in_file(tmp_path, rows)).returncode == 0
    rows["user"][0]["email"] = "new@example.com"
    rows["user"].append(user("carol", casdoor.salted("sha256", PASSWORD, SALT)))

    again = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert again.returncode == 0
    assert read(world, "/v1/users/acme/alice")["email"] == "alice@example.com"
    assert finding(tmp_path / "report.json", "user", "acme/alice") == [(None, "changed_since")]
    world.sign_in("acme", "carol", password=PASSWORD)


def test_what_has_no_use_here_is_kept_for_those_who_ask_for_it_and_secrets_are_not(
    pair: Pair,
) -> None:
    from iam.directory.legacy import read_members

    rows = installation()
    rows["user"][0] |= {"accessSecret": "s3cret-of-hers", "managedAccounts": "[]", "isOnline": True}
    rows["user"][0]["affiliation"] = "🦉 \\u0000"
    assert run_import(pair.world, *pair.place(rows)).returncode == 0

    def kept(kind: Any, name: str) -> dict[str, Any]:
        return pair.world.engine.database.read(lambda c: read_members(c, kind, "acme", name))

    assert kept("user", "alice") == {
        "affiliation": "🦉 \\u0000",
        "phone": "5551234",
        "properties": {"shoe": "38"},
        "score": 2000,
        "type": "normal-user",
    }
    assert kept("organization", "acme")["tags"] == ["blue", "green"]
    assert kept("organization", "acme")["isProfilePublic"] is True
    assert kept("application", "shop")["homepageUrl"] == "https://shop.example.com"
    everywhere = repr(everything(pair.world))
    for secret in (
        "s3cret-of-hers",
        "opens everything",
        "JBSWY3DPEHPK3PXP",
        "f26a4115725867b7bb7b",
    ):
        assert secret not in everywhere


def test_every_change_left_its_event(world: World, tmp_path: Path) -> None:
    assert run_import(world, *in_file(tmp_path, installation())).returncode == 0

    found = read(world, "/v1/events?organization=acme&limit=100")["items"]
    moved = {
        (one["type"], one["user"], one["application"])
        for one in found
        if one["data"].get("moved_in")
    }
    assert moved == {
        ("organization.created", None, None),
        ("application.created", None, "shop"),
        ("user.created", "alice", None),
        ("user.created", "bob", None),
    }
    assert {one["actor"] for one in found} == {"operator"}


def test_a_role_of_theirs_makes_no_administrator_here(world: World, tmp_path: Path) -> None:
    rows = installation()
    rows["role"] += [
        {"owner": "acme", "name": "-administrator-", "users": ["acme/carol"], "isEnabled": True},
        {"owner": "globex", "name": "spy", "users": ["acme/carol"], "isEnabled": True},
        {
            "owner": "acme",
            "name": "loop",
            "users": ["acme/carol"],
            "roles": ["acme/loop"],
            "isEnabled": True,
        },
    ]
    rows["user"].append(user("carol", PASSWORD, "plain"))

    assert run_import(world, *in_file(tmp_path, rows)).returncode == 0

    assert read(world, "/v1/users/acme/carol")["roles"] == ["loop"]


def test_a_file_of_the_shape_that_casdoor_documents_is_taken(world: World, tmp_path: Path) -> None:
    example = Path(__file__).with_name("init_data.json")
    report = tmp_path / "report.json"

    done = run_import(world, "--init-data", str(example), "--report", str(report))

    assert done.returncode == 0, done.stderr
    world.sign_in("organization_1", "user_1", password="a password as it is typed")
    one = read(world, "/v1/users/organization_1/user_1")
    assert one["roles"] == ["administrator", "role_1"]
    app = read(world, "/v1/applications/organization_1/app_1")
    assert app["client_id"] == "294b09fbc17f95daf2fe"
    assert finding(report, "provider", "provider_1") == [(None, "not_supported")]
    assert finding(report, "cert", "admin/cert_1") == [(None, "cert_unusable")]
    assert json.loads(report.read_text())["not_read"] == {"groups": 1, "ldaps": 1}


@pytest.mark.parametrize("prefix", ["", "iam_"])
def test_a_table_prefix_is_no_obstacle(world: World, tmp_path: Path, prefix: str) -> None:
    url = casdoor.in_sqlite(tmp_path / "casdoor.db", installation(), prefix)

    done = run_import(world, "--database-url", url, "--table-prefix", prefix)

    assert done.returncode == 0, done.stderr
    world.sign_in("acme", "alice", password=PASSWORD)


def test_hanzos_second_server_is_read_as_well(world: World, tmp_path: Path) -> None:
    import sqlite3

    rows = installation()
    connection = sqlite3.connect(tmp_path / "iam2.db")
    with connection:
        connection.execute(
            "CREATE TABLE _entities (id TEXT PRIMARY KEY, kind TEXT NOT NULL, parent_id TEXT,"
            " data JSON NOT NULL, created_at DATETIME, updated_at DATETIME, deleted INTEGER DEFAULT 0)"
        )
        for name, some in rows.items():
            for number, one in enumerate(some):
                data = dict(one)
                if name == "user":
                    data["passwordHash"] = data.pop("password")
                key = (f"{name}-{number}", f"{name}s", json.dumps(data), 0)
                connection.execute(
                    "INSERT INTO _entities (id, kind, data, deleted) VALUES (?, ?, ?, ?)", key
                )
        gone = json.dumps(user("ghost", "x", "plain"))
        connection.execute(
            "INSERT INTO _entities VALUES ('g', 'users', NULL, ?, '', '', 1)", (gone,)
        )
    connection.close()

    done = run_import(world, "--database-url", f"sqlite:///{tmp_path / 'iam2.db'}")

    assert done.returncode == 0, done.stderr
    world.sign_in("acme", "alice", password=PASSWORD)
    assert world.get("/v1/users/acme/ghost", headers=world.admin).status_code == 404
