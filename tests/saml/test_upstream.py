"""Signing in through a SAML identity provider: who comes in, as whom, and who does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import xmlsec
from lxml import etree

from iam.kernel.clock import after, to_iso
from tests.saml.conftest import (
    DS,
    FORMATS,
    NS,
    SAML,
    SAMLP,
    KeyPair,
    make_key_pair,
    signed,
)
from tests.support.saml_idp import ACS, SP, SP_SLO, Idp, encrypted, idp_metadata
from tests.support.surfer import Surfer
from tests.support.world import ISSUER, World, make_world


def make_idp(world: World, key: KeyPair) -> Idp:
    world.make_organization("acme")
    world.make_user("acme", "bob", email="bob@acme.test")
    world.make_application("acme", "wiki")
    made = Idp(world, key)
    made.register()
    return made


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory, keys: KeyPair) -> Iterator[Idp]:
    """One server for a module's tests: each person is somebody else."""
    path = tmp_path_factory.mktemp("idp") / "iam.db"
    with make_world(f"sqlite:///{path}") as world:
        yield make_idp(world, keys)


@pytest.fixture
def own_idp(both_worlds: World, keys: KeyPair) -> Idp:
    """A test's own, on each kind of database."""
    return make_idp(both_worlds, keys)


def session_of(idp: Idp, surfer: Surfer) -> dict[str, Any]:
    answer = idp.world.get(f"/v1/sessions/{surfer.session_id}", headers=idp.world.admin)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_somebody_whom_the_provider_knows_comes_in_as_a_user_of_ours(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)

    answer = idp.sign_in(
        surfer, attributes={"uid": "ada", "mail": "ada@acme.test", "displayName": "Ada L."}
    )

    assert (answer.status_code, answer.headers["location"]) == (303, "/account/sessions")
    session = session_of(idp, surfer)
    assert (session["user"], session["state"], session["amr"]) == ("ada", "active", ["fed"])
    user = idp.world.get("/v1/users/acme/ada", headers=idp.world.admin).json()
    assert (user["email"], user["display_name"]) == ("ada@acme.test", "Ada L.")

    # And the second time as the same.
    idp.world.clock.move(60)
    again = Surfer(idp.world)
    assert idp.sign_in(again, attributes={"uid": "somebody"}).status_code == 303
    assert session_of(idp, again)["user"] == "ada"
