"""Several accounts in one real browser: added, chosen, told apart, signed out; also without JavaScript."""

import os

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.wiki import Wiki
from tests.support.world import PASSWORD


def _sign_in(page: Page, name: str) -> None:
    page.fill("#organization", "acme")
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    page.wait_for_url("**/account/sessions")


def _both(wiki: Wiki, page: Page) -> None:
    """Bob signs in, and then alice besides."""
    page.goto(f"{wiki.server.url}/sign-in")
    _sign_in(page, "bob")
    page.click(".menu summary")
    expect(page.locator("#switch-account")).to_have_count(0)
    page.click("#add-account")
    expect(page.locator(".message")).to_contain_text("bob stays signed in")
    _sign_in(page, "alice")


def _look(page: Page, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    folder = os.environ.get("PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_person_adds_an_account_switches_and_signs_one_out(wiki: Wiki, page: Page) -> None:
    _both(wiki, page)
    expect(page.locator(".menu-name")).to_have_text("alice")
    page.click(".menu summary")
    page.click("#switch-account")
    expect(page.locator("h1")).to_have_text("Choose an account")
    _look(page, "choose")
    # By keyboard, as somebody does who has no mouse.
    page.get_by_role("button", name="bob").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/sessions")
    expect(page.locator(".menu-name")).to_have_text("bob")

    page.goto(f"{wiki.server.url}/sign-out")
    page.click("#sign-out")
    expect(page.locator("h1")).to_have_text("bob is signed out")
    _look(page, "signed-out")
    page.get_by_role("button", name="Continue as alice").click()
    page.wait_for_url("**/account/sessions")
    expect(page.locator(".menu-name")).to_have_text("alice")


@pytest.mark.parametrize("scripts", [True, False])
def test_an_application_has_its_person_choose_and_is_told_whom(
    wiki: Wiki, browser: Browser, scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    page.goto(f"{wiki.server.url}/sign-in")
    _sign_in(page, "bob")
    page.goto(wiki.authorize(prompt="select_account"))
    expect(page.locator("h1")).to_have_text("Choose an account")
    page.click("#another")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(page.locator("h1")).to_have_text("Allow The wiki?")
    expect(page.locator(".card-lead")).to_contain_text("alice")
    _look(page, "consent")
    page.click("#choose-account")
    page.get_by_role("button", name="bob").first.click()
    expect(page.locator(".card-lead")).to_contain_text("bob")
    page.click("#allow")
    expect(page.locator("#came")).to_have_text("GET /callback")
    bob = wiki.tokens(wiki.came[-1][1]["code"])

    # The turn is bob's; alice signs out of the application by name, and he stays.
    page.goto(wiki.authorize(login_hint="alice"))
    page.click("#allow")
    expect(page.locator("#came")).to_have_text("GET /callback")
    alice = wiki.tokens(wiki.came[-1][1]["code"])
    page.goto(wiki.authorize(login_hint="bob", prompt="none"))
    page.goto(wiki.logout(alice["id_token"]))
    if not scripts:
        page.click("#onward")
    expect(page.locator("#came")).to_have_text("GET /bye")
    page.goto(wiki.authorize(id_token_hint=alice["id_token"], prompt="none"))
    assert wiki.came[-1][1]["error"] == "login_required"
    page.goto(wiki.authorize(id_token_hint=bob["id_token"], prompt="none"))
    assert "code" in wiki.came[-1][1]
    context.close()


def test_a_page_of_another_site_switches_nobody(
    wiki: Wiki, page: Page, browser_context: BrowserContext
) -> None:
    _both(wiki, page)
    page.goto(f"{wiki.server.url}/choose-account")
    buttons = page.locator("#accounts button[name=account]")
    session_id = buttons.nth(1).get_attribute("value")
    csrf = page.locator("input[name=csrf]").first.get_attribute("value")
    before = {one["name"]: one["value"] for one in browser_context.cookies()}
    form = (
        f'<form method="post" action="{wiki.server.url}/choose-account">'
        f'<input name="account" value="{session_id}"><input name="csrf" value="{csrf}">'
        "<button>Win a prize</button></form>"
    )
    evil = browser_context.new_page()
    evil.route(
        "http://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html")
    )
    evil.goto("http://evil.example/")
    # Even with everything that a page could have read of ours.
    evil.click("button")
    expect(evil.locator("h1")).to_contain_text("This form is no longer valid")

    after = {one["name"]: one["value"] for one in browser_context.cookies()}
    assert {name: after[name] for name in ("iam", "iam-others")} == {
        name: before[name] for name in ("iam", "iam-others")
    }


def test_a_page_that_is_open_as_somebody_else_says_so(
    wiki: Wiki, page: Page, browser_context: BrowserContext
) -> None:
    _both(wiki, page)
    second = browser_context.new_page()
    second.goto(f"{wiki.server.url}/choose-account")
    second.get_by_role("button", name="bob").first.click()
    second.wait_for_url("**/account/sessions")

    page.bring_to_front()
    dialog = page.locator("#session-dialog")
    expect(dialog).to_contain_text("Another account is in use", timeout=15_000)
    expect(dialog).to_contain_text("bob")
    _look(page, "another")
    dialog.get_by_role("button", name="Reload").click()
    expect(page.locator(".menu-name")).to_have_text("bob")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(wiki: Wiki, browser: Browser, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    _both(wiki, page)
    page.goto(f"{wiki.server.url}/choose-account")
    _look(page, f"phone-{scheme}")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
    context.close()
