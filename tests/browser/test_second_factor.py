"""A second factor in Chromium: added, asked for, stood in for and removed, with scripts and without, and
nothing in its pages shuts anybody out."""

import re
from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Show
from tests.browser.test_accessibility import violations
from tests.support.world import PASSWORD

Look = Callable[[Page, str], None]


def walk(show: Show, context: BrowserContext, look: Look, user: str = "joao") -> None:
    """The whole way of a person with it; `look` at each page."""
    page = show.sign_in(context, user)
    page.goto(f"{show.url}/account/second-factor")
    look(page, "none")
    page.get_by_label("Your password").fill("guess")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("This is not your password.")).to_be_visible()
    look(page, "wrong password")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("img", name="QR code of the key below")).to_be_visible()
    look(page, "picture")
    app = pyotp.TOTP(page.locator(".key code").inner_text().replace(" ", ""))
    page.get_by_label("Code that the app shows").fill("000000")
    page.get_by_role("button", name="Add the app").click()
    expect(page.get_by_role("alert")).to_contain_text("clock")
    look(page, "wrong code")
    page.get_by_label("Code that the app shows").fill(app.now())
    page.get_by_role("button", name="Add the app").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    look(page, "recovery codes")
    codes = page.locator(".recovery code").all_inner_texts()
    page.get_by_role("link", name="I have kept them").click()
    look(page, "set up")

    page.goto(f"{show.url}/sign-in/acme?prompt=login")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Enter a code")).to_be_visible()
    look(page, "code")
    expect(page.get_by_label("Code of six digits")).to_be_focused()
    page.get_by_label("Code of six digits").fill("000000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    look(page, "code was wrong")
    page.get_by_text("Use a recovery code instead").click()
    page.get_by_label("Recovery code").fill(codes[0])
    look(page, "recovery code")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/account/sessions")

    page.goto(f"{show.url}/account/password")
    look(page, "password")
    page.goto(f"{show.url}/account/second-factor")
    expect(page.get_by_text(re.compile("Recovery codes left"))).to_be_visible()
    form = page.locator("form", has=page.get_by_role("button", name="Remove"))
    form.get_by_label("Your password").fill(PASSWORD)
    form.get_by_label("Code of your authenticator app").fill(codes[1])
    form.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status")).to_contain_text("is removed")
    look(page, "removed")


@pytest.mark.parametrize(
    ("width", "scheme", "scripts"),
    [(1280, "light", True), (390, "dark", True), (390, "light", False)],
)
def test_a_person_goes_the_whole_way(
    show: Show, browser: Browser, width: int, scheme: str, scripts: bool
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        java_script_enabled=scripts,
    )
    wrong: dict[str, list[str]] = {}

    def look(page: Page, name: str) -> None:
        if not scripts:
            return
        wrong.update({name: found} if (found := violations(page)) else {})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name

    walk(show, context, look)
    context.close()

    assert wrong == {}
