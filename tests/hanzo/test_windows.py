"""Sign-in in a window that an application has opened (`popup=1`), as its pages are served."""

import html
import re

import httpx2

from tests.hanzo.conftest import Legacy


def test_whoever_is_to_be_asked_in_any_case_is_asked_in_a_window_too(legacy: Legacy) -> None:
    cookie = {"cookie": f"iam={legacy.token('acme', 'ann')}"}
    asked = {
        "client_id": legacy.applications["acme/shop"]["client_id"],
        "redirect_uri": "https://acme.example/cb",
        "response_type": "code",
        "state": "s",
        "popup": "1",
    }

    legacy.world.clock.move(1)

    def page(**more: str) -> httpx2.Response:
        return legacy.world.get("/login/oauth/authorize", params=asked | more, headers=cookie)

    known, again, nobody = page(), page(prompt="login"), page(prompt="none", login_hint="bob")
    stranger = legacy.world.get("/login/oauth/authorize", params=asked | {"prompt": "none"})

    assert re.search(r'data-code="[A-Za-z0-9_-]{43}"', known.text)
    for shown in (known, nobody):
        assert 'id="continue"' not in shown.text
    assert 'data-code=""' in again.text
    [onward] = re.findall(r'id="continue" href="([^"]+)"', again.text)
    assert "prompt=login" in onward
    led = legacy.world.get(html.unescape(onward), headers=cookie)
    assert led.headers["location"].startswith("/sign-in?")
    assert 'id="refused"' in stranger.text
    for answer in (known, again, stranger):
        assert answer.headers["cross-origin-opener-policy"] == "unsafe-none"
        assert 'data-target="https://acme.example"' in answer.text
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "<form" not in answer.text
    assert led.headers.get("cross-origin-opener-policy") != "unsafe-none"


def test_an_answer_in_a_window_stays_on_our_page(legacy: Legacy) -> None:
    cookie = {"cookie": f"iam={legacy.token('acme', 'ann')}"}
    asked = {
        "client_id": legacy.applications["acme/shop"]["client_id"],
        "redirect_uri": "https://acme.example/cb",
        "response_type": "code",
        "scope": "openid",
        "state": '"><script>',
        "response_mode": "iam_window",
        "iam_channel": '"><script>alert(1)</script>',
    }

    answer = legacy.world.get("/oauth/authorize", params=asked, headers=cookie)

    assert answer.status_code == 200
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "<script>" not in answer.text
    assert re.search(r'data-code="[A-Za-z0-9_-]{43}"', answer.text)
    metadata = legacy.world.get("/.well-known/openid-configuration").json()
    assert "iam_window" not in metadata["response_modes_supported"]
