"""Consent, a posted answer and signing out in a real browser, with JavaScript and without."""

from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, expect

from tests.support.wiki import Wiki
from tests.support.world import PASSWORD


def enter(wiki: Wiki, page: Page, **more: str) -> None:
    """Sign in and allow what is asked."""
    page.goto(wiki.authorize(**more))
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(page.locator("h1")).to_have_text("Allow The wiki?")
    page.click("#allow")


def test_the_answer_is_posted_and_the_sign_out_loads_the_frame_before_it_leads_on(
    wiki: Wiki, page: Page
) -> None:
    enter(wiki, page, response_mode="form_post")
    expect(page.locator("#came")).to_have_text("POST /callback")
    tokens = wiki.tokens(wiki.came[-1][1]["code"])

    wiki.came.clear()
    page.goto(wiki.logout(tokens["id_token"]))
    expect(page.locator("#came")).to_have_text("GET /bye")
    paths = [path for path, _ in wiki.came]
    assert paths.index("GET /gone") < paths.index("GET /bye")
    (told,) = [sent for path, sent in wiki.came if path == "GET /gone"]
    assert told["iss"] == wiki.server.url
    assert told["sid"].startswith("ses_")
    page.goto(wiki.authorize(prompt="none"))
    assert wiki.came[-1][1]["error"] == "login_required"


def test_a_no_comes_back_and_a_link_to_sign_out_asks(wiki: Wiki, page: Page) -> None:
    page.goto(wiki.authorize())
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    page.click("#deny")
    expect(page.locator("#came")).to_have_text("GET /callback")
    assert wiki.came[-1][1]["error"] == "access_denied"

    query = {
        "client_id": wiki.client["client_id"],
        "post_logout_redirect_uri": f"{wiki.address}/bye",
    }
    page.goto(f"{wiki.server.url}/oauth/logout?{urlencode(query)}")
    expect(page.locator("h1")).to_have_text("Sign out?")
    page.click("#sign-out")
    expect(page.locator("#came")).to_have_text("GET /bye")


def test_all_of_it_works_without_javascript(wiki: Wiki, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    enter(wiki, page, response_mode="form_post")
    page.click("#continue")
    expect(page.locator("#came")).to_have_text("POST /callback")
    tokens = wiki.tokens(wiki.came[-1][1]["code"])

    page.goto(wiki.logout(tokens["id_token"]))
    expect(page.locator("h1")).to_have_text("You are signed out")
    page.click("#onward")
    expect(page.locator("#came")).to_have_text("GET /bye")
    assert "GET /gone" in [path for path, _ in wiki.came]
    context.close()
