"""Casdoor's JavaScript SDK in Chromium: an application without a back end, on an origin of its own."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.support.casdoor import run_casdoor_application
from tests.support.ports import free_port
from tests.support.processes import Server
from tests.support.run import run_directory

PASSWORD = "open sesame 1"


@pytest.fixture
def application(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[Server, httpx2.Client, str]]:
    """The server, an administrator of it, and the application's address. It is a public one, or else has a
    back end and sends no `code_challenge`."""
    public = getattr(request, "param", True)
    with ExitStack() as stack:
        port = free_port()
        url = f"sqlite:///{run_directory()}/casdoor-{port}.db"
        server = stack.enter_context(Server(database_url=url))
        token = server.command("token").stdout.splitlines()[-1]
        admin = stack.enter_context(
            httpx2.Client(
                base_url=server.url,
                headers={"authorization": f"Bearer {token}"},
                timeout=60,
            )
        )
        assert admin.post("/v1/organizations", json={"name": "acme"}).status_code == 201
        user = {"organization": "acme", "name": "ann", "password": PASSWORD}
        assert admin.post("/v1/users", json=user).status_code == 201
        body = {
            "organization": "acme",
            "name": "spa",
            "public": public,
            "require_pkce": public,
            "redirect_uris": [f"http://127.0.0.1:{port}/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
        }
        made = admin.post("/v1/applications", json=body)
        assert made.status_code == 201, made.text
        config = {
            "serverUrl": server.url,
            "clientId": made.json()["client_id"],
            "appName": "spa",
            "organizationName": "acme",
        }
        secret = made.json().get("client_secret")
        yield server, admin, stack.enter_context(run_casdoor_application(port, config, secret))


def test_it_signs_in_refreshes_and_is_refused_when_the_session_has_ended(
    application: tuple[Server, httpx2.Client, str], page: Page
) -> None:
    _, admin, address = application
    state = page.locator("#state")
    page.goto(address)
    expect(state).to_have_text("signed out")

    page.click("#login")
    page.fill("#username", "ann")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")

    expect(state).to_contain_text("acme/ann is ann, sid ses_")
    record = "/v1/session-records/acme/ann/spa"
    [entered] = admin.get(record).json()["session_ids"]
    expect(state).to_contain_text(entered)
    page.click("#refresh")
    expect(state).to_contain_text(entered)
    admin.delete(record)
    page.click("#refresh")
    expect(state).to_have_text("refused: invalid_grant")


@pytest.mark.parametrize("application", [False], indirect=True)
def test_it_is_told_in_a_frame_whether_somebody_is_signed_in(
    application: tuple[Server, httpx2.Client, str], page: Page
) -> None:
    server, _, address = application
    state = page.locator("#state")
    page.goto(address)
    expect(state).to_have_text("signed out")  # until then nothing listens
    page.click("#silent")
    expect(state).to_have_text("silently: user-not-logged-in")

    page.goto(f"{server.url}/sign-in")
    page.fill("#organization", "acme")
    page.fill("#username", "ann")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    page.wait_for_url("**/account/sessions")
    page.goto(address)
    expect(state).to_have_text("signed out")  # until then nothing listens
    page.click("#silent")

    expect(state).to_have_text("silently: signed in")


def _open(page: Page, address: str) -> Page:
    """What the application has opened, for somebody who presses its button."""
    page.goto(address)
    expect(page.locator("#state")).to_have_text("signed out")
    with page.expect_popup() as opened:
        page.click("#popup")
    opened.value.wait_for_load_state()
    return opened.value


@pytest.mark.parametrize("application", [False], indirect=True)
def test_it_signs_in_in_a_window_that_it_cannot_touch(
    application: tuple[Server, httpx2.Client, str], page: Page
) -> None:
    _, admin, address = application
    window = _open(page, address)
    expect(window.locator("#lead")).to_contain_text("asks who you are")
    assert window.locator("input").count() == 0, "nothing is asked where the opener has its hand"

    with page.context.expect_page() as opened:
        window.click("#continue")
    sign_in = opened.value
    sign_in.wait_for_url("**/sign-in?*")
    assert sign_in.evaluate("window.opener === null")
    sign_in.fill("#username", "ann")
    sign_in.fill("#password", PASSWORD)
    with page.expect_navigation():  # the SDK reloads once it has its token
        sign_in.click("#sign-in")

    expect(page.locator("#state")).to_contain_text("acme/ann is ann, sid ses_")
    [entered] = admin.get("/v1/session-records/acme/ann/spa").json()["session_ids"]
    expect(page.locator("#state")).to_contain_text(entered)
    assert window.is_closed()
    if not sign_in.is_closed():
        sign_in.wait_for_event("close")

    # Whoever is signed in is asked nothing.
    page.evaluate("sessionStorage.clear()")
    page.goto(address)
    expect(page.locator("#state")).to_have_text("signed out")
    with page.expect_navigation():
        page.click("#popup")
    expect(page.locator("#state")).to_contain_text("acme/ann is ann")


@pytest.mark.parametrize("application", [False], indirect=True)
def test_it_is_told_when_the_window_is_closed(
    application: tuple[Server, httpx2.Client, str], page: Page
) -> None:
    _, _, address = application
    window = _open(page, address)

    window.close(run_before_unload=True)

    expect(page.locator("#state")).to_have_text("in the window: login failed")


@pytest.mark.parametrize("application", [False], indirect=True)
def test_a_page_of_another_origin_that_opens_the_window_is_told_nothing(
    application: tuple[Server, httpx2.Client, str], page: Page
) -> None:
    server, _, address = application
    page.goto(f"{server.url}/sign-in")
    page.fill("#organization", "acme")
    page.fill("#username", "ann")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    page.wait_for_url("**/account/sessions")
    page.goto(address)
    expect(page.locator("#state")).to_have_text("signed out")
    there = json.loads(page.locator("#addresses").inner_text())[0] + "&popup=1"
    # The same application on another name: not what is registered.
    page.goto(address.replace("127.0.0.1", "localhost"))
    page.evaluate("window.heard = []; addEventListener('message', (e) => heard.push(e.data))")
    with page.expect_popup() as opened:
        page.evaluate("(there) => { window.open(there, 'login') }", there)
    opened.value.wait_for_selector("#popup", state="attached")
    expect(opened.value.locator("h1")).to_be_visible()

    opened.value.evaluate("new Promise((done) => setTimeout(done, 0))")
    assert page.evaluate("heard") == []
    answer = httpx2.get(f"{server.url}/login/oauth/authorize?client_id=x&popup=1")
    assert answer.status_code == 400
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


def test_its_addresses_lead_to_pages_of_ours(
    application: tuple[Server, httpx2.Client, str], page: Page
) -> None:
    server, _, address = application
    page.goto(address)
    expect(page.locator("#state")).to_have_text("signed out")

    for there in json.loads(page.locator("#addresses").inner_text()):
        answer = httpx2.get(there, follow_redirects=True)
        # Without PKCE a public application gets no code: the error goes back to it, and it alone.
        if "oauth/authorize" in there:
            answer = httpx2.get(there, follow_redirects=False)
            assert answer.headers["location"].startswith("/oauth/authorize?")
        else:
            assert (answer.status_code, answer.url.path) == (200, "/sign-in"), there
    assert httpx2.get(f"{server.url}/login/oauth/authorize?client_id=x").status_code == 303
