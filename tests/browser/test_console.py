"""The console in Chromium: live rows, choosing many, the keyboard alone, two browsers at once."""

import re
import time

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Show


def test_ending_in_one_browser_shows_in_the_other_within_a_second(
    show: Show, browser: Browser
) -> None:
    token = show.token_of("bob")
    session_id = token.partition(".")[0]
    one, other = browser.new_context(), browser.new_context()
    first, second = show.sign_in(one, "alice"), show.sign_in(other, "alice")
    for page in (first, second):
        page.goto(f"{show.url}/console/sessions?user=bob")
        expect(page.get_by_role("button", name="Live")).to_have_class(re.compile("is-on"))
    row = second.locator(f'[data-session="{session_id}"]')
    expect(row).to_be_visible()
    first.locator(f'[data-session="{session_id}"]').get_by_role("button").click()
    first.get_by_role("dialog").get_by_role("button", name="End session").click()
    expect(first.get_by_text("The session has ended, on every node.")).to_be_visible()
    ended = time.monotonic()
    expect(row).to_have_class(re.compile("is-ended"))
    assert time.monotonic() - ended < 1
    expect(row).to_contain_text("By an administrator")
    expect(row.get_by_role("button")).to_have_count(0)
    assert not show.alive(token)
    expect(row).to_have_count(0, timeout=15_000)  # it can be read for a while, then makes room
    one.close()
    other.close()


def test_a_session_that_starts_appears_and_a_paused_page_stands_still(
    show: Show, browser: Browser
) -> None:
    context = browser.new_context()
    page = show.sign_in(context, "alice")
    page.goto(f"{show.url}/console/sessions?user=ivan")
    live = page.get_by_role("button", name="Live")
    expect(live).to_have_class(re.compile("is-on"))
    first = show.token_of("ivan").partition(".")[0]
    expect(page.locator(f'[data-session="{first}"]')).to_be_visible()
    second = show.token_of("ivan").partition(".")[0]
    row = page.locator(f'[data-session="{second}"]')
    expect(row).to_be_visible()
    row.get_by_role("button").click()  # a row that came later asks in the dialog as well
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_be_visible()
    third = show.token_of("ivan").partition(".")[0]
    page.wait_for_timeout(1500)
    expect(page.locator(f'[data-session="{third}"]')).to_have_count(0)
    page.get_by_role("button", name="Paused").click()
    expect(page.locator(f'[data-session="{third}"]')).to_be_visible()
    context.close()


def test_a_session_is_found_and_ended_by_the_keyboard_alone(show: Show, browser: Browser) -> None:
    token = show.token_of("dmitri")
    session_id = token.partition(".")[0]
    context = browser.new_context()
    page = show.sign_in(context, "alice")
    page.goto(f"{show.url}/console/sessions")

    def tab_to(name: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(() => { const e = document.activeElement; return (e.getAttribute('aria-label') "
                "|| e.labels?.[0]?.textContent || e.textContent).trim() })()"
            )
            if name in focused:
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"{focused} does not show that it has the focus"
                return
        raise AssertionError(f"the keyboard does not reach {name!r}")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to the content
    tab_to("Find by user")
    page.keyboard.type("dmitri")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/sessions?user=dmitri")
    tab_to(f"End session …{session_id[-6:]}")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The session has ended, on every node.")).to_be_visible()
    assert not show.alive(token)
    context.close()


def test_many_are_chosen_previewed_and_ended(show: Show, browser: Browser) -> None:
    tokens = [show.token_of("grace") for _ in range(3)]
    context = browser.new_context()
    page = show.sign_in(context, "alice")
    page.goto(f"{show.url}/console/sessions?user=grace")
    chosen = page.get_by_role("button", name="End selected…")
    expect(chosen).to_be_disabled()
    page.get_by_label("Select all on this page").check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_role("checkbox", name=f"…{tokens[0].partition('.')[0][-6:]}").uncheck()
    expect(page.get_by_text("2 selected")).to_be_visible()
    chosen.click()
    expect(page.get_by_role("heading", name="End 2 sessions?")).to_be_visible()
    page.get_by_label("Why").fill("INC-7")
    page.get_by_role("button", name="End 2 sessions").click()
    expect(page.get_by_text("2 sessions have ended, on every node.")).to_be_visible()
    assert [show.alive(token) for token in tokens] == [True, False, False]
    context.close()


def test_all_that_match_are_ended_without_another_click(show: Show, browser: Browser) -> None:
    token = show.token_of("grace")
    context = browser.new_context()
    page = show.sign_in(context, "alice")
    page.goto(f"{show.url}/console/sessions?user=grace")
    page.get_by_role("button", name=re.compile("End all .* that match")).click()
    page.get_by_role("button", name=re.compile("^End .* session")).click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    assert not show.alive(token)
    context.close()


def test_the_filter_works_in_its_panel_and_stays_in_the_address(
    show: Show, browser: Browser
) -> None:
    context = browser.new_context()
    page = show.sign_in(context, "alice")
    page.goto(f"{show.url}/console/sessions?state=all")
    page.locator("summary", has_text="Filter").click()
    page.get_by_label("Application", exact=True).select_option("wiki")
    page.get_by_label("Browser", exact=True).fill("Firefox")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("application=wiki.*browser=Firefox.*state=all|state=all.*"))
    chips = page.get_by_role("list", name="Filters")
    expect(chips).to_contain_text("Wiki")
    for cell in page.locator("tbody .cell-app").all_text_contents():
        assert cell.strip() == "Wiki"
    page.get_by_label("Remove the filter Browser Firefox").click()
    expect(page.get_by_role("list", name="Filters")).not_to_contain_text("Firefox")
    context.close()
