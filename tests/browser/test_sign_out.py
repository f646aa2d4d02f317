"""Consent, a posted answer and signing out in a real browser, with JavaScript and without."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.processes import Server
from tests.support.run import run_directory

PASSWORD = "open sesame 1"


@dataclass
class Wiki:
    """A relying party that shows what it is sent, and its server."""

    server: Server
    address: str
    client: dict[str, str] = field(default_factory=dict)
    came: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def authorize(self, **more: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.client["client_id"],
            "redirect_uri": f"{self.address}/callback",
            "scope": "openid profile email",
            "state": "s",
            **more,
        }
        return f"{self.server.url}/oauth/authorize?{urlencode(query)}"

    def tokens(self, code: str) -> dict[str, Any]:
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{self.address}/callback",
            "client_id": self.client["client_id"],
            "client_secret": self.client["client_secret"],
        }
        answer = httpx2.post(f"{self.server.url}/oauth/token", data=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def logout(self, hint: str) -> str:
        query = {"id_token_hint": hint, "post_logout_redirect_uri": f"{self.address}/bye"}
        return f"{self.server.url}/oauth/logout?{urlencode(query)}"


@pytest.fixture
def wiki() -> Iterator[Wiki]:
    came: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.show(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self.show(self.rfile.read(int(self.headers["content-length"])).decode())

        def show(self, sent: str) -> None:
            path = f"{self.command} {urlsplit(self.path).path}"
            if "favicon" not in path:
                came.append((path, dict(parse_qsl(sent))))
            body = f"<!doctype html><title>Wiki</title><p id=came>{path}</p>".encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    party = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=party.serve_forever, args=(0.01,))
    thread.start()
    address = f"http://127.0.0.1:{party.server_port}"
    url = f"sqlite:///{run_directory()}/sign-out-{party.server_port}.db"
    with Server(database_url=url) as server:
        token = server.command("token").stdout.splitlines()[-1]
        headers = {"authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers) as admin:
            admin.post("/v1/organizations", json={"name": "acme"})
            user = {"organization": "acme", "name": "alice", "password": PASSWORD}
            admin.post("/v1/users", json=user)
            body = {
                "organization": "acme",
                "name": "wiki",
                "display_name": "The wiki",
                "require_pkce": False,
                "consent": "required",
                "redirect_uris": [f"{address}/callback"],
                "post_logout_redirect_uris": [f"{address}/bye"],
                "frontchannel_logout_uri": f"{address}/gone",
            }
            made = admin.post("/v1/applications", json=body)
            assert made.status_code == 201, made.text
        yield Wiki(server, address, made.json(), came)
    party.shutdown()
    thread.join()
    party.server_close()


def enter(wiki: Wiki, page: Page, **more: str) -> None:
    """Sign in and allow what is asked."""
    page.goto(wiki.authorize(**more))
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(page.locator("h1")).to_have_text("Allow The wiki?")
    page.click("#allow")


def test_the_answer_is_posted_and_the_sign_out_loads_the_frame_before_it_leads_on(
    wiki: Wiki, page: Page
) -> None:
    enter(wiki, page, response_mode="form_post")
    expect(page.locator("#came")).to_have_text("POST /callback")
    tokens = wiki.tokens(wiki.came[-1][1]["code"])

    wiki.came.clear()
    page.goto(wiki.logout(tokens["id_token"]))
    expect(page.locator("#came")).to_have_text("GET /bye")
    paths = [path for path, _ in wiki.came]
    assert paths.index("GET /gone") < paths.index("GET /bye")
    (told,) = [sent for path, sent in wiki.came if path == "GET /gone"]
    assert told["iss"] == wiki.server.url
    assert told["sid"].startswith("ses_")
    page.goto(wiki.authorize(prompt="none"))
    assert wiki.came[-1][1]["error"] == "login_required"


def test_a_no_comes_back_and_a_link_to_sign_out_asks(wiki: Wiki, page: Page) -> None:
    page.goto(wiki.authorize())
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    page.click("#deny")
    expect(page.locator("#came")).to_have_text("GET /callback")
    assert wiki.came[-1][1]["error"] == "access_denied"

    query = {
        "client_id": wiki.client["client_id"],
        "post_logout_redirect_uri": f"{wiki.address}/bye",
    }
    page.goto(f"{wiki.server.url}/oauth/logout?{urlencode(query)}")
    expect(page.locator("h1")).to_have_text("Sign out?")
    page.click("#sign-out")
    expect(page.locator("#came")).to_have_text("GET /bye")


def test_all_of_it_works_without_javascript(wiki: Wiki, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    enter(wiki, page, response_mode="form_post")
    page.click("#continue")
    expect(page.locator("#came")).to_have_text("POST /callback")
    tokens = wiki.tokens(wiki.came[-1][1]["code"])

    page.goto(wiki.logout(tokens["id_token"]))
    expect(page.locator("h1")).to_have_text("You are signed out")
    page.click("#onward")
    expect(page.locator("#came")).to_have_text("GET /bye")
    assert "GET /gone" in [path for path, _ in wiki.came]
    context.close()
