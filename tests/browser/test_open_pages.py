"""Pages that stay open: the warning before an idle session ends, in step across tabs, and word of an end."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Show


@pytest.fixture
def impatient(show: Show) -> Iterator[Show]:
    """The same server, whose sessions end after some seconds unused."""
    token = show.server.command("token").stdout.splitlines()[-1]
    headers = {"authorization": f"Bearer {token}"}
    path = f"{show.url}/v1/policies/organizations/acme"

    def say(seconds: int | None) -> None:
        answer = httpx2.patch(path, json={"idle_timeout": seconds}, headers=headers)
        assert answer.status_code == 200, answer.text

    say(16)
    yield show
    say(None)


def test_somebody_who_was_away_is_warned_in_every_tab_and_stays_in_all_by_one_press(
    impatient: Show, browser: Browser
) -> None:
    context = browser.new_context()
    first = impatient.sign_in(context, "ivan")
    second = context.new_page()
    second.goto(f"{impatient.url}/account/activity")
    for page in (first, second):
        expect(page.get_by_role("alertdialog")).to_contain_text(
            "You will be signed out in 0:", timeout=20_000
        )
    stay = first.get_by_role("button", name="Stay signed in")
    expect(stay).to_be_focused()
    stay.press("Enter")
    for page in (first, second):
        expect(page.get_by_role("alertdialog")).to_have_count(0)
    second.wait_for_timeout(3000)  # it would have been over by now
    second.reload()
    expect(second.get_by_role("heading", name="Activity")).to_be_visible()
    context.close()


def test_nobody_there_is_signed_out_and_the_page_says_so(impatient: Show, browser: Browser) -> None:
    context = browser.new_context()
    page = impatient.sign_in(context, "ivan")
    page.goto(f"{impatient.url}/account/activity")
    dialog = page.get_by_role("alertdialog", name="You are signed out")
    expect(dialog).to_contain_text("away for longer", timeout=30_000)
    dialog.get_by_role("link", name="Sign in again").click()
    expect(page).to_have_url(re.compile("return_to=%2Faccount%2Factivity"))
    context.close()


def test_a_page_says_that_its_session_was_ended_elsewhere(show: Show, browser: Browser) -> None:
    theirs, mine = browser.new_context(), browser.new_context()
    bob = show.sign_in(theirs, "farid")
    cookie = next(c["value"] for c in theirs.cookies() if c["name"] == "iam")
    page = show.sign_in(mine, "alice")
    page.goto(f"{show.url}/console/sessions/{cookie.partition('.')[0]}")
    page.get_by_role("button", name="End session").click()
    page.get_by_role("dialog").get_by_role("button", name="End session").click()
    expect(page.get_by_text("An administrator ended it").first).to_be_visible()
    dialog = bob.get_by_role("alertdialog")
    expect(dialog).to_contain_text("An administrator ended this session", timeout=8000)
    theirs.close()
    mine.close()
