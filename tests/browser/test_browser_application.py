"""npm's oidc-client-ts in Chromium: an application without a back end, on an origin of its own."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser_application import run_browser_application
from tests.support.ports import free_port
from tests.support.processes import Server
from tests.support.run import run_directory

PASSWORD = "open sesame 1"


@pytest.fixture
def application() -> Iterator[tuple[Server, httpx2.Client, str]]:
    """The server, an administrator of it, and the application's address."""
    with ExitStack() as stack:
        port = free_port()
        url = f"sqlite:///{run_directory()}/browser-{port}.db"
        server = stack.enter_context(Server(database_url=url))
        token = server.command("token").stdout.splitlines()[-1]
        admin = stack.enter_context(
            httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"})
        )
        assert admin.post("/v1/organizations", json={"name": "acme"}).status_code == 201
        user = {"organization": "acme", "name": "alice", "password": PASSWORD}
        assert admin.post("/v1/users", json=user).status_code == 201
        address = f"http://127.0.0.1:{port}"
        body = {
            "organization": "acme",
            "name": "spa",
            "public": True,
            "redirect_uris": [f"{address}/callback"],
            "post_logout_redirect_uris": [f"{address}/bye"],
        }
        made = admin.post("/v1/applications", json=body)
        assert made.status_code == 201, made.text
        config = {"issuer": server.url, "client_id": made.json()["client_id"]}
        yield server, admin, stack.enter_context(run_browser_application(port, config))


def test_it_signs_in_asks_silently_and_signs_out_of_everything(
    application: tuple[Server, httpx2.Client, str], page: Page
) -> None:
    server, admin, address = application
    state = page.locator("#state")
    page.goto(address)
    expect(state).to_have_text("signed out")
    page.click("#silent")
    expect(state).to_have_text("failed: login_required")

    page.click("#login")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(state).to_contain_text("signed in as alice (sid ses_")
    assert page.url == f"{address}/"
    sid = state.inner_text()
    page.click("#silent")
    expect(state).to_have_text(sid)

    page.click("#logout")
    expect(state).to_have_text("signed out")
    assert page.url == f"{address}/"
    page.click("#silent")
    expect(state).to_have_text("failed: login_required")
    query = {"organization": "acme", "state": "active"}
    assert admin.get("/v1/sessions", params=query).json()["items"] == []
    page.goto(f"{server.url}/account/sessions")
    expect(page.locator("#password")).to_be_visible()
