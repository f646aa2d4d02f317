"""What we are known by at a provider: encrypted, shown to nobody, and readable under a new key."""

from pathlib import Path

from sqlalchemy import Connection, select

from iam.db.provider_tables import provider
from iam.directory.providers import find_provider
from iam.signin.provider_secrets import open_secret
from tests.support.world import World, make_world

FIRST, SECOND = "00" * 32, "11" * 32


def _stored(connection: Connection) -> str:
    return str(connection.execute(select(provider.c.secret)).scalar_one())


def _make(world: World) -> None:
    world.make_organization("acme")
    body = {
        "organization": "acme",
        "name": "idp",
        "kind": "oidc",
        "options": {"issuer": "https://id.example", "client_id": "iam"},
        "client_secret": "known to both",
    }
    answer = world.post("/v1/providers", json=body, headers=world.admin)
    assert answer.status_code == 201
    assert answer.json()["has_client_secret"] is True
    assert "known to both" not in answer.text
    listed = world.get("/v1/providers?organization=acme", headers=world.admin)
    assert "known to both" not in listed.text
    assert "known to both" not in world.get("/v1/events", headers=world.admin).text


def test_a_client_secret_is_stored_encrypted_and_follows_the_encryption_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'iam.db'}"
    with make_world(url, encryption_key=FIRST) as world:
        _make(world)
        before = world.engine.database.read(_stored)
        assert before.startswith("v1.")
        assert "known" not in before
    with make_world(url, encryption_key=f"{SECOND},{FIRST}") as world:
        after = world.engine.database.read(_stored)
        assert after != before
        assert world.engine.cipher.is_newest(after)
    # The former key is not needed any more.
    with make_world(url, encryption_key=SECOND) as world:
        found = world.engine.database.read(lambda c: find_provider(c, "acme", "idp"))
        assert open_secret(world.engine.cipher, found) == "known to both"


def test_a_secret_is_kept_by_a_change_that_does_not_give_one(world: World) -> None:
    _make(world)
    path = "/v1/providers/acme/idp"
    before = world.engine.database.read(_stored)
    world.clock.move(1)
    answer = world.patch(path, json={"display_name": "Theirs"}, headers=world.admin)
    assert answer.json()["has_client_secret"] is True
    assert world.engine.database.read(_stored) == before
    world.clock.move(1)
    world.patch(path, json={"client_secret": "another"}, headers=world.admin)
    assert world.engine.database.read(_stored) != before
    [updated, *_] = world.get("/v1/events?type=provider.updated", headers=world.admin).json()[
        "items"
    ]
    assert updated["data"] == {"provider": "idp", "changed": ["client_secret"]}


def test_a_secret_is_not_shown_to_another_server_by_a_change_that_does_not_give_one(
    world: World,
) -> None:
    """Who may change a provider may not read its secret: nor have it sent to a server of their own."""
    _make(world)
    evil = "https://evil.example"
    told = {
        "organization": "acme",
        "name": "hub",
        "kind": "oauth2",
        "options": {"client_id": "iam", "preset": "github"},
        "client_secret": "known to both",
    }
    assert world.post("/v1/providers", json=told, headers=world.admin).status_code == 201
    for name, options in (
        ("idp", {"client_id": "iam", "issuer": evil}),
        ("hub", {"client_id": "iam", "preset": "github", "token_endpoint": f"{evil}/token"}),
        ("hub", {"client_id": "iam", "preset": "gitlab"}),
    ):
        path = f"/v1/providers/acme/{name}"
        answer = world.patch(path, json={"options": options}, headers=world.admin)
        assert (answer.status_code, answer.json()["code"]) == (409, "provider_secret_needed")
        both = {"options": options, "client_secret": "another"}
        assert world.patch(path, json=both, headers=world.admin).status_code == 200
