"""Takes the pictures of the console that the documents show, of a month in the life of two invented tenants.

make screenshots
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from iam.db import open_database
from iam.kernel.clock import system_clock
from iam.kernel.secrets import system_random
from iam.server.build import make_passwords
from iam.settings import Settings
from tests.support.chromium import run_chromium
from tests.support.processes import Server
from tests.support.run import Run
from tests.support.showcase import fill
from tests.support.world import PASSWORD

IMAGES = Path(__file__).parents[1] / "docs" / "images"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}


def sign_in(browser: Browser, url: str, size: Any, scheme: Any) -> Page:
    """A page of alice, who administers acme."""
    context = browser.new_context(
        viewport=size,
        color_scheme=scheme,
        device_scale_factor=1,
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
        user_agent=AGENT,
    )
    page = context.new_page()
    page.goto(f"{url}/sign-in/acme")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/account/**")
    return page


def take(page: Page, address: str, name: str) -> None:
    """One picture."""
    page.goto(address)
    page.wait_for_timeout(1000)  # until the live feed says that it is there
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"  docs/images/{name}.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/iam.db"
        with Server(database_url=url):
            pass
        database = open_database(url)
        made = make_passwords(Settings(), system_random)  # type: ignore[call-arg] # all have defaults
        fill(database, made.hash(PASSWORD), system_clock())
        database.close()
        with Server(database_url=url) as server, run_chromium() as browser:
            page = sign_in(browser, server.url, DESK, "light")
            take(page, f"{server.url}/console/sessions", "console")
            take(page, f"{server.url}/console?range=7d", "console-overview")
            page.goto(f"{server.url}/console/sessions?user=joao")
            href = page.locator(".cell-user a").first.get_attribute("href")
            take(page, f"{server.url}{href}", "console-session")
            dark = sign_in(browser, server.url, DESK, "dark")
            take(dark, f"{server.url}/console/browsers", "console-browsers-dark")
            phone = sign_in(browser, server.url, PHONE, "light")
            take(phone, f"{server.url}/console/sessions", "console-phone")
            take(phone, f"{server.url}/account/activity", "account-activity-phone")


if __name__ == "__main__":
    run = Run()
    try:
        sys.exit(main())
    finally:
        run.close()
