"""Whom an identity provider's answer is for, when, and how often: once, in the browser that was sent."""

from collections.abc import Iterator
from typing import Any

import pytest

from iam.kernel.clock import after, to_iso
from tests.saml.conftest import KeyPair, make_key_pair
from tests.support.acs_attacks import refused
from tests.support.saml_idp import ACS, SP, Idp
from tests.support.saml_upstream import make_idp
from tests.support.surfer import Surfer
from tests.support.world import make_world


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory, keys: KeyPair) -> Iterator[Idp]:
    path = tmp_path_factory.mktemp("acs") / "iam.db"
    with make_world(f"sqlite:///{path}") as world:
        yield make_idp(world, keys)


@pytest.fixture
def own_idp(both_worlds: Any, keys: KeyPair) -> Idp:
    return make_idp(both_worlds, keys)


ANSWER, MESSAGE = "saml_answer_refused", "saml_message_refused"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"audience": ("https://other.example/saml",)}, ANSWER),
        ({"audience": ()}, ANSWER),
        ({"audience": (SP, "https://other.example/saml")}, ANSWER),
        ({"audience": (f"{SP}/",)}, ANSWER),
        ({"recipient": "https://other.example/acs"}, ANSWER),
        ({"recipient": None}, ANSWER),
        ({"recipient": f"{ACS}/"}, ANSWER),
        ({"destination": "https://other.example/acs"}, MESSAGE),
        ({"confirmed_request": "_other"}, ANSWER),
        ({"confirmed_request": None}, ANSWER),
        ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, ANSWER),
        ({"assertion_issuer": "https://other.example/saml"}, ANSWER),
        ({"issuer": "https://other.example/saml"}, ANSWER),
        ({"until": -61}, ANSWER),
        ({"confirmed_until": -61}, ANSWER),
        ({"not_before": 61}, ANSWER),
        ({"issued_at": -700}, MESSAGE),
        ({"issued_at": 100}, MESSAGE),
        ({"authenticated_at": 100}, ANSWER),
        ({"session_until": -1}, ANSWER),
        ({"until": "yesterday"}, MESSAGE),
        ({"name_id": ""}, MESSAGE),
        ({"name_id": "x" * 513}, MESSAGE),
        ({"id": "_" + "x" * 300}, MESSAGE),
        ({"session_index": "x" * 513}, MESSAGE),
        ({"context_class": "x" * 513}, MESSAGE),
        ({"conditions": "<saml:Condition/>"}, MESSAGE),
        ({"conditions": '<evil xmlns="urn:x"/>'}, MESSAGE),
        ({"inside": "<saml:AuthnStatement/>"}, MESSAGE),
        ({"inside": '<evil xmlns="urn:x"/>'}, MESSAGE),
        ({"inside": "<saml:Subject/>"}, "xml_refused"),
        ({"inside": "<saml:Conditions/>"}, "xml_refused"),
        (
            {
                "inside": "<saml:AttributeStatement><saml:EncryptedAttribute/></saml:AttributeStatement>"
            },
            MESSAGE,
        ),
    ],
)
def test_what_is_signed_must_be_for_us_and_for_now(
    idp: Idp, changes: dict[str, Any], code: str
) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    moments = {
        name: to_iso(after(idp.world.clock(), value)) if isinstance(value, int) else value
        for name, value in changes.items()
    }
    data = idp.message(idp.saying(request, **moments), sign="both")

    refused(idp, data, code, surfer=surfer)


@pytest.mark.parametrize("name", ["until", "confirmed_until"])
def test_a_clock_may_differ_by_a_minute(idp: Idp, name: str) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    late = {name: to_iso(after(idp.world.clock(), -59))}

    assert idp.bring(surfer, idp.message(idp.saying(request, **late))).status_code == 303


def test_an_answer_is_taken_once(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    data = idp.message(idp.saying(request))
    assert idp.bring(surfer, data).status_code == 303

    # Its request is used up; and where nobody has to ask, its assertion is known.
    refused(idp, data, "federation_request_unknown", surfer=surfer)
    request, _ = idp.asked(surfer)
    first = idp.message(idp.saying(request))
    assert idp.post(first).status_code == 303
    refused(idp, first, "saml_message_used", surfer=surfer)


def test_the_way_on_is_good_once(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    onward = idp.post(idp.message(idp.saying(request))).headers["location"]
    assert surfer.get(onward).status_code == 303

    assert surfer.get(onward).status_code == 422
    assert Surfer(idp.world).get("/saml/acs?answer=nonsense").status_code == 422
    assert Surfer(idp.world).get("/saml/acs").status_code == 422


def test_the_way_on_is_good_for_nobody_who_was_signed_out_meanwhile(own_idp: Idp) -> None:
    idp, surfer = own_idp, Surfer(own_idp.world)
    request, _ = idp.asked(surfer)
    onward = idp.post(idp.message(idp.saying(request))).headers["location"]
    assert idp.soap(idp.logout()).status_code == 200

    assert surfer.get(onward).status_code == 422
    assert "You have been signed out there meanwhile." in surfer.page


def test_the_way_on_is_worth_nothing_once_the_provider_was_changed(own_idp: Idp) -> None:
    """What has signed the answer may be just what is not trusted any more."""
    idp, surfer = own_idp, Surfer(own_idp.world)
    request, _ = idp.asked(surfer)
    onward = idp.post(idp.message(idp.saying(request))).headers["location"]
    idp.world.clock.move(1)
    other = Idp(idp.world, make_key_pair())
    idp.change(options={"metadata": other.metadata})

    assert surfer.get(onward).status_code == 422


def test_an_assertion_that_came_unasked_is_taken_once(own_idp: Idp) -> None:
    idp = own_idp
    idp.change(options={"metadata": idp.metadata, "allow_unsolicited": True})
    data = idp.message(idp.saying(None))
    assert idp.bring(Surfer(idp.world), data).status_code == 303

    refused(idp, data, "saml_message_used")
    idp.world.clock.move(300)
    refused(idp, data, "saml_message_used")
    idp.world.clock.move(3600)
    idp.world.sweep()
    refused(idp, data, "saml_message_refused", "saml_answer_refused")


def test_an_answer_is_good_only_in_the_browser_that_was_sent(idp: Idp) -> None:
    """Login CSRF: the attacker's own answer, brought to somebody else; and a stolen one."""
    attacker, victim = Surfer(idp.world), Surfer(idp.world)
    request, _ = idp.asked(attacker)

    refused(idp, idp.message(idp.saying(request)), "federation_request_unknown", surfer=victim)

    idp.asked(victim)  # with a sign-in of its own under way
    request, _ = idp.asked(attacker)
    refused(idp, idp.message(idp.saying(request)), "federation_request_unknown", surfer=victim)


def test_an_answer_to_a_request_that_was_never_made_is_refused(idp: Idp) -> None:
    refused(idp, idp.message(idp.saying("_stolen")), "federation_request_unknown")


def test_an_answer_that_took_too_long_is_refused(idp: Idp) -> None:
    surfer = Surfer(idp.world)
    request, _ = idp.asked(surfer)
    idp.world.clock.move(601)

    refused(idp, idp.message(idp.saying(request)), "federation_request_unknown", surfer=surfer)


def test_a_request_id_of_another_provider_is_no_way_in(own_idp: Idp, strange_keys: KeyPair) -> None:
    """Mix-up: the answer of one provider to what was asked of another."""
    idp, surfer = own_idp, Surfer(own_idp.world)
    other = Idp(idp.world, strange_keys, entity_id="https://idp.other.test/saml")
    other.register("other")
    request, _ = idp.asked(surfer)

    refused(idp, other.message(other.saying(request)), "saml_signature_refused", surfer=surfer)
    posing = other.message(other.saying(request, issuer=idp.entity_id))
    refused(idp, posing, "saml_signature_refused", surfer=surfer)


def test_the_longest_name_that_is_taken_fits_into_every_database(own_idp: Idp) -> None:
    longest = "\U0001f642" * 512  # four bytes each
    for surfer in (Surfer(own_idp.world), Surfer(own_idp.world)):
        answer = own_idp.sign_in(surfer, name_id=longest, session_index="é" * 512)
        assert answer.status_code == 303
    own_idp.register("other", options={"subject_attribute": "uid"})
    own = {"uid": "x" * 513}
    assert own_idp.sign_in(Surfer(own_idp.world), attributes=own).status_code == 422
