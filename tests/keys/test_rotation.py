"""Signing keys: encrypted where they lie, published before they sign, kept while they are asked for."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from sqlalchemy import Connection, insert, select, update

from iam.db.tables import signing_key
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random
from iam.keys.cipher import (
    FILE,
    Cipher,
    EncryptionKeyMissing,
    EncryptionKeyWrong,
    make_key_file,
    open_cipher,
)
from iam.keys.rotation import rotate
from iam.keys.signing import KEPT, PUBLISHED_AHEAD, load_keys
from iam.server.build import build_engine, close_engine, prepare_database
from iam.server.jobs import look_at_keys
from iam.settings import Settings, load_settings
from tests.oidc.conftest import Party, header_of
from tests.support.race import race
from tests.support.world import World, make_world

NEW, OLD = "11" * 32, "22" * 32


@pytest.fixture
def party(both_worlds: World) -> Party:
    made = Party(both_worlds)
    made.populate()
    return made


@pytest.fixture
def other(party: Party) -> Iterator[World]:
    """A second node on the same database."""
    settings, clock = party.world.engine.settings, party.world.clock
    portal = party.world.portal

    async def build() -> Any:
        return build_engine(settings, clock, system_random)

    engine = portal.call(build)
    from iam.server.app import create_app

    yield World(engine=engine, clock=clock, portal=portal, app=create_app(engine))
    portal.call(close_engine, engine)


def look(*worlds: World) -> None:
    """What each node does every few seconds."""
    for one in worlds:
        one.portal.call(look_at_keys, one.engine)


def turn(world: World, *, at_once: bool = False) -> set[str]:
    """Rotate by command; the new keys' IDs."""
    engine = world.engine
    made = rotate(
        engine.database,
        engine.cipher,
        at_once=at_once,
        actor=OPERATOR,
        now=world.clock(),
        random=engine.random,
    )
    return {one.id for one in made}


def published(world: World) -> set[str]:
    return {one["kid"] for one in world.get("/oauth/jwks").json()["keys"]}


def signed_by(party: Party) -> str:
    """The key that signs now."""
    kid: str = header_of(party.tokens(party.browser().token)["id_token"])["kid"]
    return kid


def test_there_is_a_key_of_each_algorithm(party: Party) -> None:
    keys = party.world.get("/oauth/jwks").json()["keys"]

    assert {(one["alg"], one["kty"], one["use"]) for one in keys} == {
        ("RS256", "RSA", "sig"),
        ("ES256", "EC", "sig"),
    }
    assert {"d", "p", "q"} & {name for one in keys for name in one} == set()


def test_an_application_chooses_what_its_tokens_are_signed_by(party: Party) -> None:
    admin = party.world.admin
    change = {"id_token_signed_response_alg": "ES256"}
    party.world.patch("/v1/applications/acme/wiki", json=change, headers=admin)

    tokens = party.tokens(party.browser().token)

    assert (
        header_of(tokens["id_token"])["alg"] == header_of(tokens["access_token"])["alg"] == "ES256"
    )
    assert party.claims(tokens["id_token"])["sub"] == party.users["ada"].id
    assert party.userinfo(tokens["access_token"]).status_code == 200


def test_no_private_key_can_be_read_in_the_database(party: Party) -> None:
    turn(party.world)

    rows = party.world.engine.database.read(lambda c: c.execute(select(signing_key)).all())

    assert len(rows) == 4
    for row in rows:
        assert "PRIVATE" not in row.private_key
        assert row.private_key.startswith("v1.")


def test_a_new_key_is_published_first_and_signs_later_on_every_node(
    party: Party, other: World
) -> None:
    before = signed_by(party)
    made = turn(party.world)

    look(party.world, other)

    assert made < published(party.world)
    assert published(other) == published(party.world)
    assert signed_by(party) == before
    party.world.clock.move(PUBLISHED_AHEAD - 1)
    assert signed_by(party) == before
    party.world.clock.move(1)
    assert signed_by(party) in made


def test_a_key_that_is_known_is_not_read_again_and_a_new_one_is(world: World) -> None:
    engine = world.engine
    known = engine.keys
    turn(world)

    found = engine.database.look(lambda c: load_keys(c, engine.cipher))

    again = [one.key for one in found if one.id in {key.id for key in known}]
    assert len(found) == len(known) + 2
    assert {id(key) for key in again} == {id(one.key) for one in known}


def test_what_the_former_key_has_signed_is_still_good(party: Party, other: World) -> None:
    tokens = party.tokens(party.browser().token)
    turn(party.world)
    look(party.world, other)
    party.world.clock.move(PUBLISHED_AHEAD - 400)
    tokens = party.tokens(party.browser().token)
    party.world.clock.move(400)

    new = party.tokens(party.browser().token)

    for one in (tokens, new):
        for node in (party.world, other):
            answer = node.get("/oauth/userinfo", headers=node.bearer(one["access_token"]))
            assert answer.status_code == 200


def test_keys_are_replaced_by_schedule_and_forgotten_in_the_end(database_url: str) -> None:
    with make_world(database_url, key_rotation=1) as world:
        first = published(world)
        world.clock.move(24 * 3600 - 1)
        world.sweep()
        look(world)
        assert published(world) == first
        world.clock.move(1)
        world.sweep()
        world.sweep()
        look(world)
        second = published(world)
        assert (len(second), first < second) == (4, True)

    with make_world(database_url, key_rotation=0) as world:
        world.clock.move(24 * 3600 + PUBLISHED_AHEAD + KEPT - 1)
        world.sweep()
        look(world)
        assert published(world) == second
        world.clock.move(1)
        world.sweep()
        look(world)
        assert published(world) == second - first


def test_a_key_that_may_be_known_is_forgotten_at_once(party: Party) -> None:
    tokens = party.tokens(party.browser().token)

    made = turn(party.world, at_once=True)
    look(party.world)

    assert published(party.world) == made
    assert party.userinfo(tokens["access_token"]).status_code == 401
    assert signed_by(party) in made


def test_a_rotation_leaves_an_event(party: Party) -> None:
    made = turn(party.world)

    events = party.world.get("/v1/events?type=keys.rotated", headers=party.world.admin).json()

    assert [set(one["data"]["keys"]) for one in events["items"]] == [made]


def settings(url: str, key: str) -> Settings:
    return load_settings(
        database_url=url, encryption_key=key, password_memory_kib=64, password_passes=1
    )


def test_a_start_encrypts_again_what_an_older_key_encrypted(world: World) -> None:
    url, keys = world.engine.settings.database_url, published(world)
    former = "00" * 32

    prepare_database(settings(url, f"{NEW}, {former}"), world.clock, system_random)

    with pytest.raises(EncryptionKeyWrong):
        prepare_database(settings(url, OLD), world.clock, system_random)
    with pytest.raises(EncryptionKeyWrong):
        prepare_database(settings(url, former), world.clock, system_random)
    with make_world(url, encryption_key=NEW) as again:
        assert published(again) == keys


def test_a_start_encrypts_what_an_older_version_left_in_clear(world: World) -> None:
    pem = RSAKey.generate_key(2048).as_pem(private=True).decode()

    def work(connection: Connection) -> None:
        row = {"id": "key_old", "algorithm": "RS256", "private_key": pem, "created_at": 0}
        connection.execute(insert(signing_key), row)

    world.engine.database.write(work)
    prepare_database(world.engine.settings, world.clock, system_random)
    look(world)

    assert "key_old" in published(world)
    query = select(signing_key.c.private_key).where(signing_key.c.id == "key_old")
    stored = world.engine.database.read(lambda c: c.execute(query).scalar_one())
    assert stored.startswith("v1.")


def test_a_key_that_was_put_in_the_place_of_another_is_refused(world: World) -> None:
    rows = world.engine.database.read(lambda c: c.execute(select(signing_key)).all())
    one, another = rows

    def swap(connection: Connection) -> None:
        for target, source in ((one, another), (another, one)):
            connection.execute(
                update(signing_key)
                .where(signing_key.c.id == target.id)
                .values(private_key=source.private_key)
            )

    world.engine.database.write(swap)

    with pytest.raises(EncryptionKeyWrong):
        look(world)


def test_without_a_setting_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    where = load_settings(data_dir=tmp_path / "data")
    with pytest.raises(EncryptionKeyMissing):
        open_cipher(where)

    race(*[lambda: make_key_file(where, system_random)] * 6)
    first = open_cipher(where)
    make_key_file(where, system_random)

    assert open_cipher(where) == first
    assert [one.name for one in (tmp_path / "data").iterdir()] == [FILE]
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600


def test_a_data_directory_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EncryptionKeyMissing):
        make_key_file(load_settings(data_dir=tmp_path / "file"), system_random)


def test_a_changed_text_is_not_decrypted() -> None:
    cipher = Cipher((bytes(32),))
    sealed = cipher.encrypt("a secret", "key_1", system_random)

    assert cipher.decrypt(sealed, "key_1") == "a secret"
    for wrong in (sealed[:-4] + "AAA=", "v2" + sealed[2:], "", "v1..", sealed + "é"):
        with pytest.raises(EncryptionKeyWrong):
            cipher.decrypt(wrong, "key_1")
    with pytest.raises(EncryptionKeyWrong):
        cipher.decrypt(sealed, "key_2")
    assert "a secret" not in repr(cipher)
