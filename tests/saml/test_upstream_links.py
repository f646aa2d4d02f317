"""Accounts at a SAML identity provider: whom they are linked to, and who is not let in."""

import base64
import zlib
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from lxml import etree

from tests.saml.conftest import KeyPair, make_key_pair
from tests.support.saml_idp import Idp
from tests.support.saml_upstream import make_idp, session_of
from tests.support.surfer import Surfer
from tests.support.world import World, make_world


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


def test_an_address_links_only_where_the_provider_is_believed(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)

    assert idp.sign_in(surfer, name_id="b", attributes={"mail": "bob@acme.test"}).status_code == 303
    assert session_of(idp, surfer)["user"] == "bob"

    idp.change(trusted_domains=[])
    stranger = Surfer(idp.world)
    idp.world.make_user("acme", "carol", email="carol@acme.test")
    idp.sign_in(stranger, name_id="c", attributes={"mail": "carol@acme.test"})
    assert session_of(idp, stranger)["user"] != "carol"


def test_a_provider_that_is_off_lets_nobody_in(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    request, _ = idp.asked(surfer)
    data = idp.message(idp.saying(request))
    idp.change(enabled=False)

    assert idp.bring(surfer, data).status_code == 404
    assert surfer.get(f"/saml/sign-in/{idp.provider['id']}").status_code == 404
    assert surfer.get("/saml/sign-in/idp_00000000000000000000000000").status_code == 404


def test_what_a_provider_refuses_is_said_in_words(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)

    answer = idp.bring(
        surfer,
        idp.message(idp.saying(request, status=("Responder", "AuthnFailed")), sign="response"),
    )

    assert answer.status_code == 422
    assert "It could not tell that it is you." in answer.text


def test_who_comes_unasked_comes_in_only_where_that_is_allowed(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)

    refused = idp.bring(surfer, idp.message(idp.saying(None)))
    assert refused.status_code == 404
    idp.change(options={"metadata": idp.metadata, "allow_unsolicited": True})
    answer = idp.bring(surfer, idp.message(idp.saying(None)), RelayState="/account/activity")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/activity")
    elsewhere = Surfer(idp.world)
    evil = idp.bring(elsewhere, idp.message(idp.saying(None)), RelayState="https://evil.example/")
    assert evil.headers["location"] == "/account/sessions"


def test_of_two_organizations_with_one_provider_nobody_is_guessed(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    idp.world.make_organization("globex")
    idp.change(options={"metadata": idp.metadata, "allow_unsolicited": True})
    first = idp.provider
    idp.register(organization="globex", options={"allow_unsolicited": True})

    assert idp.bring(surfer, idp.message(idp.saying(None))).status_code == 422
    idp.sign_in(surfer)
    assert session_of(idp, surfer)["organization"] == "globex"
    idp.provider = first
    other = Surfer(idp.world)
    idp.sign_in(other)
    assert session_of(idp, other)["organization"] == "acme"


def test_the_provider_of_another_organization_says_nothing_about_ours(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    idp.world.make_organization("globex")
    first = idp.provider
    other = Idp(idp.world, make_key_pair(), entity_id="https://idp.globex.test/")
    other.register(organization="globex")
    request, _ = idp.asked(surfer)

    assert first["id"] != other.provider["id"]
    assert idp.bring(surfer, other.message(other.saying(request))).status_code == 422


def test_somebody_who_is_signed_in_links_their_account_there(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    idp.change(creates_users=False)
    surfer.sign_in("acme", "bob")
    before = surfer.session_id
    surfer.get("/account/ways")
    page = surfer.submit(f"/saml/link/{idp.provider['id']}")
    location = page.headers["refresh"].partition("url=")[2]
    request = request_in(location)

    # Brought to another browser it links nothing.
    data = idp.message(idp.saying(request, name_id="bob-there"))
    other = Surfer(idp.world)
    other.sign_in("acme", "bob")
    assert idp.bring(other, data).status_code == 422
    surfer.get("/account/ways")
    page = surfer.submit(f"/saml/link/{idp.provider['id']}")
    request = request_in(page.headers["refresh"].partition("url=")[2])
    answer = idp.bring(surfer, idp.message(idp.saying(request, name_id="bob-there")))

    assert answer.headers["location"] == "/account/ways?notice=linked"
    assert surfer.session_id == before
    fresh = Surfer(idp.world)
    assert idp.sign_in(fresh, name_id="bob-there").status_code == 303
    assert session_of(idp, fresh)["user"] == "bob"
    stranger = Surfer(idp.world)
    assert idp.sign_in(stranger, name_id="nobody").status_code == 403


def request_in(location: str) -> str:
    given = dict(parse_qsl(urlsplit(location).query))
    root = etree.fromstring(zlib.decompress(base64.b64decode(given["SAMLRequest"]), -15))
    return str(root.get("ID"))


def test_a_link_needs_a_sign_in_of_late_and_our_own_form(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    surfer.sign_in("acme", "bob")
    surfer.get("/account/ways")
    path = f"/saml/link/{idp.provider['id']}"

    assert surfer.post(path, {}).status_code == 403
    idp.world.clock.move(16 * 60)
    surfer.get("/account/ways")
    assert surfer.submit(path).headers["location"].startswith("/sign-in/acme?")


def test_a_refused_answer_leaves_a_failed_sign_in(own_idp: Idp, strange_keys: KeyPair) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    request, _ = idp.asked(surfer)
    idp.bring(surfer, idp.message(idp.saying(request), key=strange_keys))

    query = {"type": "sign_in.failed"}
    found = idp.world.get("/v1/events", params=query, headers=idp.world.admin).json()["items"][0]
    assert (found["actor"], found["reason"]) == ("provider:acme/corp", "saml_signature_refused")


def test_a_provider_does_not_become_another_one_under_its_users(own_idp: Idp) -> None:
    idp = own_idp
    other = Idp(idp.world, idp.key, entity_id="https://idp.other.test/saml")
    path = f"/v1/providers/acme/{idp.provider['name']}"
    changes = [
        {"metadata": other.metadata},
        {"metadata": idp.metadata, "subject_attribute": "mail"},
    ]
    assert idp.sign_in(Surfer(idp.world)).status_code == 303

    for options in changes:
        answer = idp.world.patch(path, json={"options": options}, headers=idp.world.admin)
        assert (answer.status_code, answer.json()["code"]) == (409, "provider_linked")
    idp.change(options={"metadata": idp.metadata, "sign_out_there": True})
