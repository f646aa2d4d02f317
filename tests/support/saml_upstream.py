"""An organization whose people come in through a SAML identity provider."""

import base64
from typing import Any

from lxml import etree

from tests.saml.conftest import NS, KeyPair
from tests.support.saml_idp import Idp
from tests.support.surfer import Surfer
from tests.support.world import World


def make_idp(world: World, key: KeyPair) -> Idp:
    world.make_organization("acme")
    world.make_user("acme", "bob", email="bob@acme.test")
    world.make_application("acme", "wiki")
    made = Idp(world, key)
    made.register()
    return made


def session_of(idp: Idp, surfer: Surfer) -> dict[str, Any]:
    answer = idp.world.get(f"/v1/sessions/{surfer.session_id}", headers=idp.world.admin)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def encryption_certificate(idp: Idp) -> bytes:
    root = etree.fromstring(idp.world.get("/saml/sp/metadata").content)
    text = root.findtext(".//md:KeyDescriptor[@use='encryption']//ds:X509Certificate", None, NS)
    return base64.b64decode(text)
