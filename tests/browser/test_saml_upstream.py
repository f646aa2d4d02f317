"""Identity providers that are not ours, and one that is, in a real browser.

They are of other sites than the server: what their pages post comes without our SameSite=Lax cookie, and has
to bring it along by a step of our own (`iam.saml.acs`).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.test_saml import PATIENCE, Home, run_home, sign_in
from tests.support.ports import free_port
from tests.support.simplesaml import PASSWORD as THEIR_PASSWORD
from tests.support.simplesaml import USER, SimpleSaml, run_simplesaml


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Ours, on a name of its own: `iam.localhost` and `corp.localhost` are two registrable domains."""
    port = free_port()
    (tmp_path / "home").mkdir()
    name = f"http://iam.localhost:{port}"
    with run_home(tmp_path / "home", PORT=str(port), IAM_ISSUER=name) as running:
        yield running


def address(home: Home) -> str:
    """Where browsers find it."""
    return home.server.settings["IAM_ISSUER"]


@pytest.fixture
def plain_home(tmp_path: Path) -> Iterator[Home]:
    """Ours, on an address that servers find as well: not every machine knows names under localhost."""
    (tmp_path / "plain").mkdir()
    with run_home(tmp_path / "plain") as running:
        yield running


def provide(home: Home, metadata: str, **options: Any) -> dict[str, Any]:
    """Have acme's people sign in by the provider with this metadata, or with what is at this address."""
    where = "metadata_url" if metadata.startswith("http") else "metadata"
    body = {
        "organization": "acme",
        "name": "corp",
        "display_name": "Corp",
        "kind": "saml",
        "creates_users": True,
        "trusted_domains": ["acme.test"],
        "attributes": {"roles": "groups"},
        "options": {where: metadata, "sign_out_there": True, **options},
    }
    made = home.admin.post("/v1/providers", json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def corp(request: pytest.FixtureRequest, home: Home) -> Iterator[SimpleSaml]:
    """SimpleSAMLphp, with whose account one signs in to acme."""
    with run_simplesaml(encrypts=request.param) as running:
        running.know(home.admin.get("/saml/sp/metadata").content)
        host = {"host": running.address.partition("//")[2]}
        described = httpx2.get(running.metadata, headers=host, timeout=PATIENCE).text
        provide(home, described)
        yield running


def continue_there(home: Home, page: Page) -> None:
    page.goto(f"{address(home)}/sign-in/acme")
    page.get_by_role("link", name="Continue with Corp").click()


def sign_in_there(page: Page) -> None:
    page.fill("#username", USER)
    page.fill("#password", THEIR_PASSWORD)
    page.get_by_role("button", name="Login").click()


def test_with_simplesamlphp_people_sign_in_and_out_on_both_sides(
    home: Home, corp: SimpleSaml, page: Page, browser_context: BrowserContext
) -> None:
    continue_there(home, page)
    assert page.url.startswith(corp.address)
    sign_in_there(page)
    page.wait_for_url(f"{address(home)}/account/sessions")
    (first,) = home.sessions("app-built-in")
    assert (first["user"], first["amr"]) == ("ada", ["fed"])
    user = home.admin.get("/v1/users/acme/ada").json()
    assert (user["email"], user["display_name"], user["roles"]) == (
        "ada@acme.test",
        "Ada Lovelace",
        ["staff", "poets"],
    )

    # The cookie came along though another site has posted: it is SameSite=Lax, and is there.
    cookies = {one["name"]: one for one in browser_context.cookies(address(home))}
    assert cookies["iam"]["sameSite"] == "Lax"

    # Ended here by the API: the page is refused, and the provider knows them still.
    assert home.admin.delete(f"/v1/sessions/{first['id']}").status_code == 204
    page.goto(f"{address(home)}/account/sessions")
    expect(page.locator("#password")).to_be_visible()
    continue_there(home, page)
    page.wait_for_url(f"{address(home)}/account/sessions")

    # Signed out there: it is over here.
    (second,) = home.sessions("app-built-in")
    page.goto(f"{corp.address}/saml2/idp/SingleLogoutService.php?ReturnTo={address(home)}/sign-in")
    wait_until_ended(home, second["id"])
    page.goto(f"{address(home)}/account/sessions")
    expect(page.locator("#password")).to_be_visible()

    # Signed out here: it is over there too.
    continue_there(home, page)
    sign_in_there(page)
    page.wait_for_url(f"{address(home)}/account/sessions")
    page.goto(f"{address(home)}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{address(home)}/saml/sp/slo?**")
    expect(page.get_by_text("You are signed out")).to_be_visible()
    continue_there(home, page)
    expect(page.locator("#username")).to_be_visible()
    assert page.url.startswith(corp.address)


def wait_until_ended(home: Home, session: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while home.admin.get(f"/v1/sessions/{session}").json()["state"] != "ended":
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- Another one of ours


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Home]:
    """A second server, by which people sign in to acme; each knows the other."""
    port = free_port()
    (tmp_path / "other").mkdir()
    # One host has one jar of cookies: the two would take each other's, were they both 127.0.0.1.
    name = f"http://localhost:{port}"
    with run_home(tmp_path / "other", PORT=str(port), IAM_ISSUER=name) as running:
        yield running


def test_with_another_one_of_ours_every_end_reaches_the_other_side(
    plain_home: Home, other: Home, page: Page
) -> None:
    home = plain_home
    # By address, on both sides: each fetches the other's metadata.
    provider = provide(home, f"{address(other)}/saml/metadata")
    assert provider["metadata_failed"] is None
    application = {"organization": "acme", "name": "first"}
    assert other.admin.post("/v1/applications", json=application).status_code == 201
    body = {
        "metadata_url": f"{address(home)}/saml/sp/metadata",
        "encrypt_assertion": True,
        "require_signed_requests": True,
        "attributes": {"mail": "email", "displayName": "display_name", "uid": "user_name"},
    }
    answer = other.admin.put("/v1/applications/acme/first/saml", json=body)
    assert answer.status_code == 200, answer.text

    continue_there(home, page)
    sign_in(page)
    page.wait_for_url(f"{address(home)}/account/sessions")
    (here,) = home.sessions("app-built-in")
    (there,) = other.sessions("first")
    assert here["user"] == "alice"

    # Ended there, by the API: by SOAP it is over here.
    assert other.admin.delete(f"/v1/sessions/{there['id']}").status_code == 204
    assert other.told("first") == ["delivered"]
    ended = home.admin.get(f"/v1/sessions/{here['id']}").json()
    assert (ended["state"], ended["ended_by"]) == ("ended", "provider:acme/corp")
    page.goto(f"{address(home)}/account/sessions")
    expect(page.locator("#password")).to_be_visible()

    # Ended here, by the API: the browser session there goes on, and lets them in again.
    continue_there(home, page)
    page.wait_for_url(f"{address(home)}/account/sessions")
    (again,) = home.sessions("app-built-in")
    assert home.admin.delete(f"/v1/sessions/{again['id']}").status_code == 204
    continue_there(home, page)
    page.wait_for_url(f"{address(home)}/account/sessions")

    # Signed out here: it is over there too, with everything that was entered from that browser.
    page.goto(f"{address(home)}/sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{address(home)}/saml/sp/slo?**")
    expect(page.get_by_text("You are signed out")).to_be_visible()
    assert other.sessions("first") == []
    assert other.sessions("app-built-in") == []
