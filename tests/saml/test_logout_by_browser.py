"""Logouts that go on through the browser: other providers' turns, and sign-outs of our own."""

import re
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from iam.kernel.clock import to_iso
from tests.saml.conftest import BACK, NS, SAML, SAMLP, SLO, KeyPair, Stage, redirected, register
from tests.support.saml_attacks import refused
from tests.support.saml_logout import enter, send, statuses


def send_answer(
    stage: Stage, told: Any, *, issuer: str, key: KeyPair | None = None, status: str = "Success"
) -> httpx2.Response:
    """A provider's LogoutResponse to a LogoutRequest of ours."""
    text = (
        f'<samlp:LogoutResponse xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" Version="2.0" '
        f'ID="_a{next(stage.numbers)}" IssueInstant="{to_iso(stage.world.clock())}" '
        f'Destination="{SLO}" InResponseTo="{told.get("ID")}"><saml:Issuer>{issuer}</saml:Issuer>'
        '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:'
        f'{status}"/></samlp:Status></samlp:LogoutResponse>'
    )
    return stage.redirect(text, key=key or stage.key, path="/saml/slo", kind="SAMLResponse")


SHOP = "https://shop.acme.test/saml"


@pytest.fixture
def pair(ready: Stage) -> tuple[Stage, Any, Any]:
    """Both applications entered from one browser, and told through it."""
    register(ready, "shop", ("HTTP-Redirect", "https://shop.acme.test/slo"))
    browser = ready.cookie()
    return ready, enter(ready, browser, "wiki"), enter(ready, browser, "shop")


def test_who_cannot_be_told_by_soap_is_told_through_the_browser(
    pair: tuple[Stage, Any, Any],
) -> None:
    stage, wiki, shop = pair

    url, told, _ = redirected(send(stage, wiki, wiki.session_id, ID="_bye"))

    assert url == "https://shop.acme.test/slo"
    assert told.findtext("samlp:SessionIndex", namespaces=NS) == shop.session_id
    assert told.findtext("saml:NameID", namespaces=NS) == shop.name_id.text
    assert stage.session(shop.session_id)["state"] == "ended", "before anybody is told"

    url, answer, more = redirected(send_answer(stage, told, issuer=SHOP))
    assert (url, answer.get("InResponseTo"), more["RelayState"]) == (BACK, "_bye", "back here")
    assert statuses(answer) == ["Success"]


def test_who_does_not_confirm_makes_it_partial(pair: tuple[Stage, Any, Any]) -> None:
    stage, wiki, _ = pair
    told = redirected(send(stage, wiki, wiki.session_id))[1]

    answer = redirected(send_answer(stage, told, issuer=SHOP, status="Responder"))[1]

    assert statuses(answer) == ["Success", "PartialLogout"]


def test_only_whom_we_asked_goes_on_with_a_logout_and_once(
    pair: tuple[Stage, Any, Any], strange_keys: KeyPair
) -> None:
    stage, wiki, _ = pair
    told = redirected(send(stage, wiki, wiki.session_id))[1]
    wrong, old = stage.entity_id, "saml_message_refused"

    refused(stage, lambda: send_answer(stage, told, issuer=wrong), old)
    refused(
        stage,
        lambda: send_answer(stage, told, issuer=SHOP, key=strange_keys),
        "saml_signature_refused",
    )
    assert send_answer(stage, told, issuer=SHOP).status_code == 303
    refused(stage, lambda: send_answer(stage, told, issuer=SHOP), old)


def test_who_has_no_way_to_be_told_makes_it_partial(ready: Stage) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop")
    wiki, shop = enter(stage, browser, "wiki"), enter(stage, browser, "shop")

    answer = redirected(send(stage, wiki, wiki.session_id))[1]

    assert statuses(answer) == ["Success", "PartialLogout"]
    assert stage.session(shop.session_id)["state"] == "ended"


def test_a_form_on_the_way_may_lead_to_all_that_come_after_it(ready: Stage) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop", ("HTTP-POST", "https://shop.acme.test/slo"))
    wiki = enter(stage, browser, "wiki")
    enter(stage, browser, "shop")

    page = send(stage, wiki, wiki.session_id)

    policy = page.headers["content-security-policy"]
    assert f"form-action 'self' https://shop.acme.test/slo {BACK};" in policy
    assert 'name="SAMLRequest"' in page.text


def sign_out(stage: Stage, browser: dict[str, str]) -> httpx2.Response:
    """Sign out on our own page."""
    page = stage.world.get("/sign-out", headers=browser)
    csrf = re.search(r'name="csrf" value="([^"]*)"', page.text)
    assert csrf is not None
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode({"csrf": csrf[1]})
    answer = stage.world.post("/sign-out", content=body, headers=form | browser)
    assert answer.status_code == 200
    return answer


def test_a_sign_out_of_ours_goes_on_to_who_can_be_told_through_the_browser(
    ready: Stage,
) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop")
    wiki = enter(stage, browser, "wiki")
    enter(stage, browser, "shop")

    page = sign_out(stage, browser)
    onward = page.headers["refresh"].partition("url=")[2]
    assert f'href="{onward}"' in page.text
    url, told, _ = redirected(stage.world.get(onward))
    assert (url, told.findtext("samlp:SessionIndex", namespaces=NS)) == (BACK, wiki.session_id)
    last = send_answer(stage, told, issuer=stage.entity_id)

    assert last.status_code == 200
    assert "You are signed out" in last.text
    assert "did not confirm" in last.text, "the shop has no way to be told"
    refused(stage, lambda: stage.world.get(onward), "saml_message_refused")


def test_a_sign_out_that_concerns_no_such_provider_ends_here(ready: Stage) -> None:
    assert "refresh" not in sign_out(ready, ready.cookie()).headers


def rp_sign_out(stage: Stage, browser: dict[str, str]) -> httpx2.Response:
    """Sign out at an OpenID Connect application, and say yes to our question."""
    made = stage.world.post(
        "/v1/applications",
        headers=stage.world.admin,
        json={
            "organization": "acme",
            "name": "mail",
            "display_name": "Mail",
            "redirect_uris": ["https://mail.acme.test/callback"],
            "post_logout_redirect_uris": ["https://mail.acme.test/bye"],
        },
    ).json()
    wish = {
        "client_id": made["client_id"],
        "post_logout_redirect_uri": "https://mail.acme.test/bye",
        "state": "s",
    }
    page = stage.world.get(f"/oauth/logout?{urlencode(wish)}", headers=browser)
    csrf = re.search(r'name="csrf" value="([^"]*)"', page.text)
    assert csrf is not None
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = urlencode(wish | {"csrf": csrf[1]})
    return stage.world.post("/oauth/logout/confirm", content=body, headers=form | browser)


def test_a_sign_out_at_an_openid_application_tells_saml_ones_too_and_leads_back_to_it(
    ready: Stage,
) -> None:
    stage, browser = ready, ready.cookie()
    wiki = enter(stage, browser, "wiki")

    page = rp_sign_out(stage, browser)
    onward = page.headers["refresh"].partition("url=")[2]
    url, told, _ = redirected(stage.world.get(onward))
    assert (url, told.findtext("samlp:SessionIndex", namespaces=NS)) == (BACK, wiki.session_id)
    last = send_answer(stage, told, issuer=stage.entity_id)

    assert (last.status_code, last.headers["location"]) == (
        303,
        "https://mail.acme.test/bye?state=s",
    )


def test_who_was_not_told_of_that_sign_out_is_said_before_one_is_led_back(ready: Stage) -> None:
    stage, browser = ready, ready.cookie()
    register(stage, "shop")
    enter(stage, browser, "shop")

    onward = rp_sign_out(stage, browser).headers["refresh"].partition("url=")[2]
    page = stage.world.get(onward)

    assert page.status_code == 200
    assert "did not confirm" in page.text
    assert 'href="https://mail.acme.test/bye?state=s"' in page.text
    assert "Back to Mail" in page.text
