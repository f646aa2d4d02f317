"""SAML keys in rotation: known before they sign, believed and readable for as long as was said."""

from typing import Any

import pytest
from lxml import etree

from iam.kernel.events import OPERATOR
from iam.keys.rotation import rotate_saml
from tests.saml.conftest import NS, KeyPair, Stage
from tests.saml.test_sign_on import verify
from tests.support.processes import Server
from tests.support.saml_idp import Idp, encrypted
from tests.support.saml_upstream import encryption_certificate, make_idp
from tests.support.surfer import Surfer
from tests.support.world import World

DAY = 24 * 60 * 60


def rotate(world: World, ahead: int, kept: int) -> None:
    rotate_saml(
        world.engine.database,
        world.engine.cipher,
        world.engine.settings.issuer,
        ahead=ahead * DAY,
        kept=kept * DAY,
        actor=OPERATOR,
        now=world.clock(),
        random=world.engine.random,
    )


def certificates(stage: Stage, path: str = "/saml/metadata", use: str = "signing") -> list[str]:
    root = etree.fromstring(stage.world.get(path).content)
    found = root.iterfind(f".//md:KeyDescriptor[@use='{use}']//ds:X509Certificate", NS)
    return [str(one.text) for one in found]


def signer_of(stage: Stage, browser: dict[str, str]) -> str:
    reply = stage.enter(browser)
    return str(reply.root.findtext("ds:Signature//ds:X509Certificate", None, NS)).replace("\n", "")


def test_a_new_key_is_published_before_it_signs_and_the_old_one_stays_as_long_as_said(
    own_stage: Stage,
) -> None:
    stage = own_stage
    [old] = certificates(stage)
    rotate(stage.world, ahead=14, kept=30)

    both = certificates(stage)
    assert both[0] == old
    [new] = [one for one in both if one != old]
    assert signer_of(stage, stage.cookie()) == old

    stage.world.clock.move(14 * DAY)
    assert certificates(stage) == [new, old]
    assert signer_of(stage, stage.cookie()) == new
    verify(stage, etree.fromstring(stage.world.get("/saml/metadata").content))

    stage.world.clock.move(30 * DAY)
    assert certificates(stage) == [new]
    stage.world.sweep()
    assert len(stage.rows("saml_key")["saml_key"]) == 2  # one signs, one is encrypted for


def test_what_was_encrypted_for_the_old_key_can_be_read_until_it_retires(
    both_worlds: World, keys: KeyPair
) -> None:
    idp: Idp = make_idp(both_worlds, keys)
    old = encryption_certificate(idp)
    rotate(idp.world, ahead=1, kept=1)
    new = encryption_certificate(idp)
    assert old != new

    def bring(certificate: bytes) -> int:
        surfer = Surfer(idp.world)
        request, _ = idp.asked(surfer)
        root = etree.fromstring(idp.message(idp.saying(request)))
        return idp.bring(surfer, etree.tostring(encrypted(root, certificate))).status_code

    assert [bring(old), bring(new)] == [303, 303]
    idp.world.clock.move(2 * DAY)
    assert [bring(old), bring(new)] == [422, 303]


def test_an_event_says_so(own_stage: Stage) -> None:
    certificates(own_stage)
    rotate(own_stage.world, ahead=0, kept=0)

    events = own_stage.world.get(
        "/v1/events", params={"type": "keys.rotated"}, headers=own_stage.world.admin
    ).json()["items"]
    assert (events[0]["actor"], len(events[0]["data"]["saml"])) == ("operator", 2)
    [only] = certificates(own_stage)
    assert signer_of(own_stage, own_stage.cookie()) == only


@pytest.fixture
def server(tmp_path: Any) -> Any:
    with Server(database_url=f"sqlite:///{tmp_path / 'iam.db'}") as running:
        yield running


def test_the_command_rotates_and_lists_them(server: Server) -> None:
    made = server.command("saml", "rotate-key", "--ahead", "3", "--keep", "5")
    assert (made.returncode, made.stderr) == (0, "")
    assert "signs from" in made.stdout
    again = server.command("saml", "rotate-key")
    listed = server.command("saml", "keys")

    assert again.returncode == listed.returncode == 0
    assert "signs" in listed.stdout
    assert "next" in listed.stdout
