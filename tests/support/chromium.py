"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

# Applications get names of their own, `wiki.test`, as in life: cookies tell hosts apart. All lead here,
# and nothing leads anywhere else.
_HOSTS = (
    "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, "
    "EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"
)
_ARGUMENTS = [
    "--no-sandbox",  # root cannot use it, and the pages are our own
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # small in containers
    f"--host-resolver-rules={_HOSTS}",
]


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """A headless Chromium until the `with` block ends."""
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if program is None:
        raise RuntimeError("Chromium is not installed: run scripts/test-tools.sh")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
