"""A mailed link to set a password, in Chromium."""

import email
import email.policy
import re
import time
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Show


def _mailed(folder: Path, mail_id: str) -> str:
    """The link in a mail, which is a file here."""
    path, until = folder / f"{mail_id}.eml", time.monotonic() + 30
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    text = message.get_body(("plain",))
    assert text is not None
    found = re.search(r"https?://\S+/set-password\?t=\S+", text.get_content())
    assert found is not None
    return found[0]


def test_somebody_invited_chooses_a_password_and_signs_in_with_it(
    show: Show, browser: Browser
) -> None:
    token = show.server.command("token").stdout.splitlines()[-1]
    headers = {"authorization": f"Bearer {token}"}
    user = {"organization": "acme", "name": "nora", "email": "nora@acme.example"}
    made = httpx2.post(f"{show.url}/v1/users", json=user, headers=headers)
    assert made.status_code == 201, made.text
    sent = httpx2.post(f"{show.url}/v1/users/acme/nora/password-link", headers=headers)
    assert sent.status_code == 201, sent.text
    folder = Path(show.server.settings["IAM_DATA_DIR"]) / "mail"
    context = browser.new_context()
    page = context.new_page()
    page.goto(_mailed(folder, sent.json()["id"]))
    page.get_by_label("New password", exact=True).fill("a password of one's own")
    page.get_by_label("New password once more").fill("a password of one's own")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("heading", name="Your password is set")).to_be_visible()
    context.close()
