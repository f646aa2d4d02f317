"""The main job, in a real browser: sign in once, enter applications, be signed out of one at once."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.support.nginx import run_nginx
from tests.support.node import CLIENTS, node
from tests.support.ports import free_port
from tests.support.processes import Process, Server
from tests.support.site import documented, run_page

PASSWORD = "open sesame 1"


@contextmanager
def openid_application(server: Server, admin: httpx2.Client, name: str) -> Iterator[str]:
    """A relying party built on npm's openid-client, registered and running; its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    body = {"organization": "acme", "name": name, "redirect_uris": [f"{address}/callback"]}
    made = admin.post("/v1/applications", json=body)
    assert made.status_code == 201, made.text
    env = {
        "ISSUER": server.url,
        "CLIENT_ID": made.json()["client_id"],
        "CLIENT_SECRET": made.json()["client_secret"],
        "PORT": str(port),
    }
    directory = CLIENTS / "openid"
    with Process([node(), "app.mjs"], env=env, cwd=directory, name=name) as process:
        process.wait_ready(address)
        yield address


@contextmanager
def page_behind_nginx(server: Server, admin: httpx2.Client) -> Iterator[str]:
    """A page without a thought of signing in, behind nginx, registered and running; its address."""
    port = free_port()
    host = f"wiki.test:{port}"
    body = {"organization": "acme", "name": "handbook", "gate_hosts": [host]}
    made = admin.post("/v1/applications", json=body)
    assert made.status_code == 201, made.text
    with run_page() as behind:
        config = documented(iam=server.port, page=behind, port=port)
        with run_nginx(config, f"http://127.0.0.1:{port}/.iam/sign-out"):
            yield f"http://{host}"


@pytest.fixture
def world(database_url: str) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        server = stack.enter_context(Server(database_url=database_url))
        token = server.command("token").stdout.splitlines()[-1]
        admin = stack.enter_context(
            httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"})
        )
        assert admin.post("/v1/organizations", json={"name": "acme"}).status_code == 201
        user = {"organization": "acme", "name": "alice", "password": PASSWORD}
        assert admin.post("/v1/users", json=user).status_code == 201
        yield {
            "server": server,
            "admin": admin,
            "shop": stack.enter_context(openid_application(server, admin, "shop")),
            "wiki": stack.enter_context(openid_application(server, admin, "wiki")),
            "handbook": stack.enter_context(page_behind_nginx(server, admin)),
        }


def test_one_password_enters_every_application_and_ending_one_session_leaves_the_others(
    world: dict[str, Any], page: Page
) -> None:
    page.goto(f"{world['shop']}/login")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(page.locator("body")).to_contain_text("signed in as")

    # The second application and the page behind nginx ask for no password.
    page.goto(f"{world['wiki']}/login")
    expect(page.locator("body")).to_contain_text("signed in as")
    page.goto(f"{world['handbook']}/chapter/1")
    behind_nginx = told(page)
    assert (behind_nginx["page"], behind_nginx["remote-user"]) == ("/chapter/1", "alice")

    # All of them are listed, and one is ended on the page.
    page.goto(f"{world['server'].url}/account/sessions")
    for name in ("shop", "wiki", "handbook"):
        expect(page.get_by_role("button", name=f"Sign out of {name}")).to_have_count(1)
    page.get_by_role("button", name="Sign out of shop").click()
    expect(page.get_by_role("button", name="Sign out of shop")).to_have_count(0)

    # The very next request with it is refused; the others go on.
    page.goto(world["shop"])
    expect(page.locator("body")).to_contain_text("signed out")
    page.goto(world["wiki"])
    expect(page.locator("body")).to_contain_text("signed in as")
    page.goto(f"{world['handbook']}/chapter/2")
    assert told(page)["x-iam-session"] == behind_nginx["x-iam-session"]

    # So it is with the page behind nginx: the old session is refused, a new one takes its place
    # only because the browser itself is still signed in.
    page.goto(f"{world['server'].url}/account/sessions")
    page.get_by_role("button", name="Sign out of handbook").click()
    expect(page.get_by_role("button", name="Sign out of handbook")).to_have_count(0)
    page.goto(f"{world['handbook']}/chapter/3")
    assert told(page)["x-iam-session"] != behind_nginx["x-iam-session"]
    page.goto(world["wiki"])
    expect(page.locator("body")).to_contain_text("signed in as")


def told(page: Page) -> dict[str, str]:
    """What the page behind nginx was told of its visitor."""
    heard: dict[str, str] = json.loads(page.locator("body").inner_text())
    return heard


def test_ending_the_browser_session_by_the_api_signs_out_of_every_application(
    world: dict[str, Any], page: Page
) -> None:
    page.goto(f"{world['shop']}/login")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    page.goto(f"{world['wiki']}/login")
    expect(page.locator("body")).to_contain_text("signed in as")

    listed = world["admin"].get(
        "/v1/sessions", params={"organization": "acme", "application": "app-built-in"}
    )
    (browser_session,) = [one for one in listed.json()["items"] if one["state"] == "active"]
    assert world["admin"].delete(f"/v1/sessions/{browser_session['id']}").status_code == 204

    for address in (world["shop"], world["wiki"]):
        page.goto(address)
        expect(page.locator("body")).to_contain_text("signed out")
    page.goto(f"{world['shop']}/login")
    expect(page.locator("#password")).to_be_visible()
    expect(page.locator("body")).to_contain_text("administrator ended")
