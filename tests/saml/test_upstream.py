"""Signing in through a SAML identity provider: what is asked, and which answers let somebody in."""

from collections.abc import Iterator
from typing import Any

import pytest
import xmlsec
from lxml import etree

from iam.kernel.clock import after, to_iso
from tests.saml.conftest import FORMATS, NS, KeyPair, make_key_pair, signed
from tests.support.saml_idp import ACS, SP, SP_SLO, Idp, encrypted, idp_metadata
from tests.support.saml_upstream import encryption_certificate, make_idp, session_of
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


def test_the_metadata_for_providers_says_where_answers_go_and_what_to_encrypt_for(idp: Idp) -> None:
    answer = idp.world.get("/saml/sp/metadata")
    root = etree.fromstring(answer.content)

    assert root.get("entityID") == SP
    assert answer.headers["content-type"].startswith("application/samlmetadata+xml")
    assert root.xpath("//md:AssertionConsumerService/@Location", namespaces=NS) == [ACS]
    assert set(root.xpath("//md:SingleLogoutService/@Location", namespaces=NS)) == {SP_SLO}
    uses = root.xpath("//md:KeyDescriptor/@use", namespaces=NS)
    assert uses == ["signing", "encryption"]
    texts = [one.text for one in root.iterfind(".//{*}X509Certificate")]
    assert len(set(texts)) == len(texts)


def test_the_request_is_signed_and_asks_for_what_is_set(own_idp: Idp) -> None:
    idp = own_idp
    options = {
        "metadata": idp.metadata,
        "name_id_format": FORMATS["transient"],
        "context_classes": ["urn:x:strong"],
        "context_comparison": "minimum",
        "subject_attribute": "uid",
    }
    idp.change(options=options)
    surfer = Surfer(idp.world)

    _, plain = idp.asked(surfer)
    _, forced = idp.asked(surfer, prompt="login")

    assert plain.get("ForceAuthn") is None
    assert forced.get("ForceAuthn") == "true"
    assert plain.get("Destination") == "https://idp.corp.test/sso"
    assert plain.get("AssertionConsumerServiceURL") == ACS
    assert plain.findtext("saml:Issuer", namespaces=NS) == SP
    assert plain.find("samlp:NameIDPolicy", namespaces=NS).get("Format") == FORMATS["transient"]
    context = plain.find("samlp:RequestedAuthnContext", namespaces=NS)
    assert (context.get("Comparison"), context[0].text) == ("minimum", "urn:x:strong")
    location = surfer.get(f"/saml/sign-in/{idp.provider['id']}").headers["location"]
    assert "&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256" in location


def test_a_request_by_post_is_a_page_that_sends_it(own_idp: Idp) -> None:
    idp = own_idp
    places = (("HTTP-POST", "https://idp.corp.test/post"),)
    idp.change(
        options={
            "metadata": idp_metadata(idp.entity_id, (idp.key,), places),
            "request_binding": "post",
        }
    )
    surfer = Surfer(idp.world)

    page = surfer.get(f"/saml/sign-in/{idp.provider['id']}")

    assert page.status_code == 200
    assert 'action="https://idp.corp.test/post"' in page.text
    assert (
        "form-action 'self' https://idp.corp.test/post;" in page.headers["content-security-policy"]
    )


@pytest.mark.parametrize("sign", ["assertion", "response", "both"])
def test_an_answer_may_be_signed_at_either_place(idp: Idp, sign: str) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer, return_to="/account/activity")

    answer = idp.bring(surfer, idp.message(idp.saying(request), sign=sign))

    assert (answer.status_code, answer.headers["location"]) == (303, "/account/activity")
    assert session_of(idp, surfer)["state"] == "active"


def test_an_answer_may_be_signed_with_ecdsa_and_by_the_second_of_two_keys(own_idp: Idp) -> None:
    idp, other = own_idp, make_key_pair("ec")
    both = idp_metadata(
        idp.entity_id, (idp.key, other), (("HTTP-Redirect", "https://idp.corp.test/sso"),)
    )
    idp.change(options={"metadata": both})
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    data = idp.message(idp.saying(request), key=other, method=xmlsec.constants.TransformEcdsaSha256)

    assert idp.bring(surfer, data).status_code == 303


@pytest.mark.parametrize(
    ("method", "sign", "status"),
    [
        (xmlsec.constants.TransformAes256Gcm, "assertion", 303),
        (xmlsec.constants.TransformAes128Gcm, "assertion", 303),
        (xmlsec.constants.TransformAes256Cbc, "assertion", 422),
    ],
)
def test_an_assertion_may_be_encrypted_for_us(
    idp: Idp, method: Any, sign: str, status: int
) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    root = etree.fromstring(idp.message(idp.saying(request), sign=sign))
    bits = 128 if method is xmlsec.constants.TransformAes128Gcm else 256
    sealed = encrypted(
        root,
        encryption_certificate(idp),
        method=method,
        key_type=(xmlsec.constants.KeyDataAes, bits),
    )

    assert idp.bring(surfer, etree.tostring(sealed)).status_code == status


def test_cbc_is_read_in_a_response_that_is_signed_itself(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    root = etree.fromstring(idp.message(idp.saying(request), sign="nothing"))
    sealed = encrypted(
        root, encryption_certificate(idp), method=xmlsec.constants.TransformAes256Cbc
    )

    whole = signed(etree.tostring(sealed).decode(), idp.key)

    assert idp.bring(surfer, etree.tostring(whole)).status_code == 303


def test_who_signs_in_anew_must_have_been_asked_for_it_there(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    idp.world.clock.move(3600)
    long_ago = to_iso(after(idp.world.clock(), -600))

    request, _ = idp.asked(surfer)
    answer = idp.bring(
        surfer, idp.message(idp.saying(request, authenticated_at=long_ago, name_id="old"))
    )
    assert answer.status_code == 303
    assert session_of(idp, surfer)["authenticated_at"] == long_ago

    request, _ = idp.asked(surfer, prompt="login")
    stale = idp.message(idp.saying(request, authenticated_at=long_ago, name_id="old"))
    assert idp.bring(surfer, stale).status_code == 422
    request, _ = idp.asked(surfer, prompt="login")
    fresh = idp.message(idp.saying(request, name_id="old"))
    assert idp.bring(surfer, fresh).status_code == 303


def test_a_session_here_does_not_outlive_the_one_there(idp: Idp) -> None:
    surfer, until = Surfer(idp.world), to_iso(after(idp.world.clock(), 900))

    idp.sign_in(surfer, session_until=until)

    assert session_of(idp, surfer)["expires_at"] == until


def test_a_name_that_is_another_each_time_needs_an_attribute_to_know_people_by(
    own_idp: Idp,
) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    changing = {"format": FORMATS["transient"], "name_id": "_x1"}

    assert idp.sign_in(surfer, **changing).status_code == 422
    idp.change(options={"metadata": idp.metadata, "subject_attribute": "uid"})
    assert idp.sign_in(surfer, **changing).status_code == 422
    assert idp.sign_in(surfer, **changing, attributes={"uid": ["a", "b"]}).status_code == 422
    assert idp.sign_in(surfer, **changing, attributes={"uid": "carl"}).status_code == 303
    first = session_of(idp, surfer)["user"]
    other = Surfer(idp.world)
    changing["name_id"] = "_x2"
    assert idp.sign_in(other, **changing, attributes={"uid": "carl"}).status_code == 303
    assert session_of(idp, other)["user"] == first == "carl"


def test_the_button_is_on_the_organizations_page(idp: Idp) -> None:
    page = idp.world.get("/sign-in/acme")

    assert f'href="/saml/sign-in/{idp.provider["id"]}"' in page.text
    assert "Continue with corp" in page.text


def test_who_has_no_room_says_which_of_their_sessions_ends(own_idp: Idp) -> None:
    idp, first, second = own_idp, Surfer(own_idp.world), Surfer(own_idp.world)
    rules = {"maximum_sessions": 1, "at_limit": "ask"}
    limits = idp.world.patch("/v1/policies/organizations/acme", json=rules, headers=idp.world.admin)
    assert limits.status_code == 200, limits.text
    idp.sign_in(first)
    kept = first.session_id

    page = idp.sign_in(second)
    assert page.status_code == 200
    ticket = page.text.partition('name="ticket" value="')[2].partition('"')[0]
    answer = second.submit(
        "/choose-sessions", ticket=ticket, return_to="/account/sessions", **{kept: "1"}
    )

    assert answer.status_code == 303
    assert session_of(idp, second)["state"] == "active"


def test_who_comes_unasked_and_has_no_room_says_so_as_well(own_idp: Idp) -> None:
    """They have begun nothing here, so that their browser holds nothing yet that their choice is bound to."""
    idp, first, second = own_idp, Surfer(own_idp.world), Surfer(own_idp.world)
    idp.change(options={"metadata": idp.metadata, "allow_unsolicited": True})
    rules = {"maximum_sessions": 1, "at_limit": "ask"}
    idp.world.patch("/v1/policies/organizations/acme", json=rules, headers=idp.world.admin)
    idp.sign_in(first)
    kept = first.session_id

    page = idp.bring(second, idp.message(idp.saying(None)))
    assert page.status_code == 200
    ticket = page.text.partition('name="ticket" value="')[2].partition('"')[0]
    answer = second.submit(
        "/choose-sessions", ticket=ticket, return_to="/account/sessions", **{kept: "1"}
    )

    assert answer.status_code == 303
    assert session_of(idp, second)["state"] == "active"
