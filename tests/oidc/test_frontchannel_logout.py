"""Front-channel logout: the browser that signs out loads what the applications want, and nothing else."""

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from tests.oidc.conftest import ISSUER, SIGNED_OUT, Party

FRAME = "https://wiki.acme.test/gone?a=1"


@pytest.fixture
def told(own_party: Party) -> Party:
    """The browser of wiki's users loads a page of its at sign-out."""
    answer = settle(own_party, "wiki", FRAME)
    assert answer.json()["frontchannel_logout_uri"] == FRAME
    return own_party


def settle(party: Party, name: str, uri: str | None) -> httpx2.Response:
    path = f"/v1/applications/acme/{name}"
    body = {"frontchannel_logout_uri": uri}
    return party.world.patch(path, json=body, headers=party.world.admin)


def frames(page: httpx2.Response) -> list[str]:
    return [unescape(one) for one in re.findall(r'<iframe [^>]*src="([^"]*)"', page.text)]


def test_discovery_says_so(party: Party) -> None:
    found = party.world.get("/.well-known/openid-configuration").json()

    assert found["frontchannel_logout_supported"] is True
    assert found["frontchannel_logout_session_supported"] is True


def test_a_sign_out_loads_a_frame_with_issuer_and_session_before_it_leads_on(told: Party) -> None:
    browser = told.browser()
    hint = told.tokens(browser.token)["id_token"]
    told.tokens(browser.token, "shop")

    page = told.logout(browser.token, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)

    assert (page.status_code, "location" in page.headers) == (200, False)
    (frame,) = frames(page)
    assert frame.startswith(f"{FRAME}&")
    assert dict(parse_qsl(urlsplit(frame).query)) == {
        "a": "1",
        "iss": ISSUER,
        "sid": told.claims(hint)["sid"],
    }
    policy = page.headers["content-security-policy"]
    assert "frame-src https://wiki.acme.test;" in policy
    assert "default-src 'none';" in policy
    assert f'href="{SIGNED_OUT}" data-onward' in page.text
    assert f'content="4;url={SIGNED_OUT}"' in page.text, "without JavaScript"
    assert page.headers["cache-control"] == "no-store"
    assert any("iam=;" in one for one in page.headers.get_list("set-cookie"))


def test_our_own_sign_out_loads_it_as_well(told: Party) -> None:
    browser = told.browser()
    told.tokens(browser.token)
    question = told.logout(browser.token)

    page = told.say_yes(browser.token, question)

    assert len(frames(page)) == 1
    assert "data-onward" not in page.text
    assert frames(told.say_yes(browser.token, question)) == [], "once"


def test_where_nobody_wants_it_there_is_no_frame(told: Party) -> None:
    assert settle(told, "wiki", None).json()["frontchannel_logout_uri"] is None
    browser = told.browser()
    hint = told.tokens(browser.token)["id_token"]

    answer = told.logout(browser.token, id_token_hint=hint)

    assert frames(answer) == []
    assert "frame-src" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.test/gone",
        "https://wiki.acme.test:8443/gone",
        "http://wiki.acme.test/gone",
        "https://wiki.acme.test.evil.test/gone",
        "https://wiki.acme.test/gone#fragment",
        "javascript:alert(1)",
        "com.acme.phone:/gone",
        "",
    ],
)
def test_only_a_page_of_the_applications_own_is_loaded(party: Party, uri: str) -> None:
    refused = settle(party, "wiki", uri)

    assert refused.status_code in (409, 422)
    assert refused.json()["code"] in ("frontchannel_logout_foreign", "invalid_request")
    path = "/v1/applications/acme/wiki"
    now = party.world.get(path, headers=party.world.admin).json()
    assert now["frontchannel_logout_uri"] is None


def test_the_last_redirect_uri_on_its_origin_is_not_taken_away(told: Party) -> None:
    path = "/v1/applications/acme/wiki"
    body = {"redirect_uris": ["https://other.acme.test/callback"]}

    answer = told.world.patch(path, json=body, headers=told.world.admin)

    assert (answer.status_code, answer.json()["code"]) == (409, "frontchannel_logout_foreign")
