"""A provider that wants a second factor: the session is raised by what is missing, or it is told so."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from iam.kernel.authn import MULTI_FACTOR
from tests.saml.conftest import PPT, Stage, reply_of
from tests.support.authenticator import give_authenticator
from tests.support.surfer import Surfer
from tests.support.world import ISSUER


@pytest.mark.parametrize(
    ("comparison", "classes", "asked"),
    [
        ("exact", [MULTI_FACTOR], True),
        ("minimum", [MULTI_FACTOR], True),
        ("better", [PPT], True),
        ("exact", [MULTI_FACTOR, PPT], False),
        ("minimum", [PPT], False),
    ],
)
def test_a_provider_that_wants_a_second_factor_gets_a_session_that_was_raised_by_one(
    own_stage: Stage, comparison: str, classes: list[str], asked: bool
) -> None:
    world = own_stage.world
    ada = Surfer(world)
    ada.sign_in("acme", "ada")
    app = give_authenticator(world, "acme", "ada")
    before = ada.cookies["iam"]
    inside = "".join(
        f"<saml:AuthnContextClassRef>{one}</saml:AuthnContextClassRef>" for one in classes
    )
    wanted = (
        f'<samlp:RequestedAuthnContext Comparison="{comparison}">{inside}'
        "</samlp:RequestedAuthnContext>"
    )
    kept = own_stage.redirect(own_stage.request(wanted))
    answer = ada.get(kept.headers["location"].removeprefix(ISSUER))
    if asked:
        there = answer.headers["location"]
        assert there.startswith("/second-factor?")
        ada.get(there)
        query = dict(parse_qsl(urlsplit(there).query))
        done = ada.submit("/second-factor", **query, code=app.code())
        assert ada.cookies["iam"] != before
        assert ada.session_id == before.partition(".")[0]
        answer = ada.get(done.headers["location"])

    reply = reply_of(answer)

    assert reply.one("//saml:AuthnContextClassRef").text == (MULTI_FACTOR if asked else PPT)


def test_without_a_second_factor_or_a_page_the_provider_is_told_so(own_stage: Stage) -> None:
    wanted = (
        "<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>"
        f"{MULTI_FACTOR}</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"
    )

    assert own_stage.enter(own_stage.cookie(), wanted).statuses == ["Responder", "NoAuthnContext"]
    browser = own_stage.cookie()
    give_authenticator(own_stage.world, "acme", "ada")
    passive = own_stage.enter(browser, wanted, IsPassive="true")
    assert passive.statuses == ["Responder", "NoPassive"]
