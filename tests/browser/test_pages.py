"""The pages of people and administrators, in Chromium."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.processes import Server

PASSWORD = "open sesame 1"


@dataclass
class House:
    """A running server with an organization, an administrator in it (alice) and a user (bob)."""

    server: Server
    admin: httpx2.Client

    @property
    def url(self) -> str:
        return self.server.url

    def token_of(self, user: str) -> str:
        """Sign in without a browser, as from a terminal; the session's token."""
        body = {
            "organization": "acme",
            "application": "app-built-in",
            "username": user,
            "password": PASSWORD,
        }
        made = httpx2.post(f"{self.url}/v1/sign-in", json=body, headers={"user-agent": "curl/8.9"})
        assert made.status_code == 201, made.text
        token: str = made.json()["token"]
        return token

    def alive(self, token: str) -> bool:
        headers = {"authorization": f"Bearer {token}"}
        return httpx2.get(f"{self.url}/v1/session", headers=headers).status_code == 200


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    database = tmp_path_factory.mktemp("pages") / "iam.db"
    with Server(database_url=f"sqlite:///{database}") as server:
        token = server.command("token").stdout.splitlines()[-1]
        headers = {"authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers) as admin:
            organization = {"name": "acme", "display_name": "Acme Corporation"}
            assert admin.post("/v1/organizations", json=organization).status_code == 201
            for name, roles in (("alice", ["administrator"]), ("bob", [])):
                user = {"organization": "acme", "name": name, "password": PASSWORD, "roles": roles}
                assert admin.post("/v1/users", json=user).status_code == 201
            yield House(server, admin)


def sign_in(page: Page, house: House, user: str, password: str = PASSWORD) -> None:
    page.goto(f"{house.url}/sign-in/acme")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_person_signs_in_sees_their_sessions_and_ends_another(house: House, page: Page) -> None:
    elsewhere = house.token_of("bob")
    page.goto(f"{house.url}/")
    expect(page).to_have_url(re.compile("/sign-in$"))
    sign_in(page, house, "bob")
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    expect(page.get_by_text("This device", exact=True)).to_have_count(1)
    other = elsewhere.partition(".")[0]
    row = page.locator(f"#{other}")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Signed out there.")).to_be_visible()
    expect(page.locator(f"#{other}")).to_have_count(0)
    assert not house.alive(elsewhere)


def test_all_others_end_and_this_browser_stays(house: House, page: Page) -> None:
    sign_in(page, house, "bob")
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    tokens = [house.token_of("bob") for _ in range(2)]
    page.reload()
    page.get_by_role("button", name="Sign out all others").click()
    expect(page.get_by_text("Signed out everywhere else.")).to_be_visible()
    expect(page.locator("li.row")).to_have_count(1)
    assert [house.alive(token) for token in tokens] == [False, False]


def test_a_wrong_password_keeps_the_name_and_asks_again(house: House, page: Page) -> None:
    sign_in(page, house, "bob", "not the password")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The user name or the password is not right.")
    expect(page.get_by_label("User name")).to_have_value("bob")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()


def test_signing_out_and_back_leaves_nothing_to_see(house: House, page: Page) -> None:
    sign_in(page, house, "bob")
    page.locator("summary", has_text="Account menu").click()
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in to Hanzo IAM")).to_be_visible()
    # Neither proves anything: a sign-in under way, and which browser this is.
    assert {c["name"] for c in page.context.cookies()} <= {"iam-flow", "iam-device"}


def test_an_administrator_ends_a_session_in_the_dialog(
    house: House, page: Page, browser: Browser
) -> None:
    theirs = browser.new_context()
    bob = theirs.new_page()
    sign_in(bob, house, "bob")
    bobs = next(c["value"] for c in theirs.cookies() if c["name"] == "iam")
    sign_in(page, house, "alice")
    page.get_by_role("link", name="Console", exact=True).first.click()
    page.get_by_role("link", name="Sessions", exact=True).first.click()
    page.get_by_role("link", name="Records").click()
    page.get_by_role("searchbox").fill("bob")
    page.get_by_role("button", name="Find").click()
    short = bobs.partition(".")[0][-6:]
    page.get_by_role("button", name=f"End session …{short}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("bob is signed out of app-built-in")
    dialog.get_by_role("button", name="Cancel").click()
    assert house.alive(bobs)
    page.get_by_role("button", name=f"End session …{short}").click()
    dialog.get_by_role("button", name="End session").click()
    expect(page.get_by_text("The session has ended, on every node.")).to_be_visible()
    expect(page).to_have_url(re.compile("q=bob"))
    assert not house.alive(bobs)
    bob.reload()
    expect(bob.get_by_text("An administrator ended this session at")).to_be_visible()
    theirs.close()


def test_everything_works_without_javascript(house: House, browser: Browser) -> None:
    tokens = [house.token_of("bob") for _ in range(2)]
    context: BrowserContext = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, house, "alice")
    page.goto(f"{house.url}/console/records?q=bob")
    page.get_by_role("button", name=re.compile("End all")).click()
    expect(page.get_by_role("heading", name="End all sessions of this record?")).to_be_visible()
    assert house.alive(tokens[0])
    page.get_by_role("button", name="End all").click()
    expect(page.get_by_text("All sessions of the record have ended")).to_be_visible()
    assert [house.alive(token) for token in tokens] == [False, False]
    page.goto(f"{house.url}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_is_wider_than_the_screen(
    house: House, browser: Browser, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    paths = ["/sign-in", "/sign-in/acme", "/sign-in/nobody"]
    own = ["/account/sessions", "/sign-out", "/console/records", "/console/sessions/x"]

    def look(path: str) -> None:
        page.goto(house.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (path, wide)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades = [int(one) for one in re.findall(r"\d+", background)[:3]]
        assert (sum(shades) < 384) == (scheme == "dark"), (path, background)

    for path in paths:
        look(path)
    sign_in(page, house, "alice")
    session = next(c["value"] for c in context.cookies() if c["name"] == "iam").partition(".")[0]
    for path in [*own, f"/console/sessions/{session}"]:
        look(path)
    context.close()
