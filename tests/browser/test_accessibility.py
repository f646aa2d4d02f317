"""axe-core finds nothing wrong with any page: at a desk and on a phone, in light and in dark."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Show

_AXE = Path(__file__).parents[1] / "clients" / "openid" / "node_modules" / "axe-core" / "axe.min.js"
PUBLIC = ["/sign-in", "/sign-in/acme", "/sign-in/acme?ui_locales=ja", "/sign-in?ui_locales=en"]
OWN = [
    "/account/sessions",
    "/account/activity",
    "/account/password",
    "/account/preferences",
    "/account/second-factor",
    "/account/ways",
    "/account/applications",
    "/choose-account",
    "/sign-out",
    "/console",
    "/console?range=30d",
    "/console/sessions",
    "/console/sessions?state=all&application=wiki&sort=-user",
    "/console/sessions?state=ended",
    "/console/sessions?user=nobody",
    "/console/sessions?ip=nowhere",
    "/console/records",
    "/console/browsers",
    "/console/users",
    "/console/users/new",
    "/console/users/import",
    "/console/users/acme/joao",
    "/console/users/acme/nobody",
    "/console/applications",
    "/console/applications/new",
    "/console/applications/acme/wiki",
    "/console/providers",
    "/console/providers/new?kind=oidc",
    "/console/providers/new?kind=oauth2",
    "/console/organizations",
    "/console/organizations/acme",
    "/console/policies",
    "/console/policies/edit?kind=organization&organization=acme",
    "/console/webhooks",
    "/console/webhooks/new",
    "/console/providers/new?kind=saml",
    "/console/audit",
    "/console/audit?reason=idle",
]


_RUN = "(options) => axe.run(document, options).then((result) => result.violations)"


def violations(page: Page) -> list[str]:
    """What axe finds, each with the element and what is wrong with it; in light and in dark, between which
    nothing but the colours differs."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(_RUN, {"resultTypes": ["violations"]})
    page.emulate_media(color_scheme="dark")
    found += page.evaluate(_RUN, {"runOnly": ["color-contrast"], "resultTypes": ["violations"]})
    page.emulate_media(color_scheme="light")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("width", [1360, 390])
def test_no_page_shuts_anybody_out(show: Show, browser: Browser, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme="light",
        reduced_motion="reduce",
        has_touch=width < 500,
    )
    page = context.new_page()
    wrong: dict[str, list[str]] = {}

    def look(path: str) -> None:
        page.goto(show.url + path)
        found = violations(page)
        if found:
            wrong[page.url] = found
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (path, wide)

    for path in PUBLIC:
        look(path)
    page.close()
    page = show.sign_in(context, "alice")
    for path in OWN:
        look(path)
    for query in ("user=joao", "state=ended&application=app-built-in"):
        page.goto(f"{show.url}/console/sessions?{query}")
        look(page.locator(".cell-user a").first.get_attribute("href") or "")
    page.goto(f"{show.url}/console/webhooks")
    look(page.locator('a[href*="/webhooks/whk_"]').first.get_attribute("href") or "")
    page.goto(f"{show.url}/console/sessions")
    page.get_by_role("button", name="End all").click()
    wrong |= {"preview": found} if (found := violations(page)) else {}
    page.goto(f"{show.url}/console/sessions?user=joao")
    page.locator("summary", has_text="Filter").click()
    wrong |= {"filter": found} if (found := violations(page)) else {}
    page.keyboard.press("Escape")
    page.locator(".end button").first.click()
    wrong |= {"dialog": found} if (found := violations(page)) else {}
    context.close()

    assert wrong == {}
