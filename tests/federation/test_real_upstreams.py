"""Signing in by providers that run as in life: a second instance of ours, and npm's oidc-provider; in a
real browser, in which the two are different sites."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.node import CLIENTS, node
from tests.support.node_client import ADMIN_PASSWORD, FAST
from tests.support.ports import free_port
from tests.support.processes import Process, Server
from tests.support.receiver import Receiver

PASSWORD = "open sesame 1"
_PATIENCE = 30.0


@dataclass
class Instance:
    """A server, and its administrator's calls."""

    server: Server
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.server.settings["IAM_ISSUER"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx2.request(method, f"{self.server.url}{path}", json=body, headers=self.headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def sessions(self, **query: str) -> list[dict[str, Any]]:
        found = httpx2.get(
            f"{self.server.url}/v1/sessions", params=query, headers=self.headers
        ).json()
        items: list[dict[str, Any]] = found["items"]
        return items


@contextmanager
def _instance(folder: Path, name: str, host: str) -> Iterator[Instance]:
    """A server under a host name of its own: cookies tell names apart, and not ports."""
    port = free_port()
    env = {
        **FAST,
        "IAM_ISSUER": f"http://{host}:{port}",
        "IAM_DELIVERY_ALLOW_PRIVATE": "true",
        "IAM_DATA_DIR": str(folder / name),
    }
    (folder / name).mkdir()
    url = f"sqlite:///{folder / name / 'iam.db'}"
    with Server(database_url=url, port=port, env=env, name=name) as server:
        made = Instance(server)
        body = {
            "organization": "built-in",
            "application": "app-built-in",
            "username": "admin",
            "password": ADMIN_PASSWORD,
        }
        token = made.call("POST", "/v1/sign-in", body)["token"]
        made.headers = {"authorization": f"Bearer {token}"}
        yield made


@dataclass
class Pair:
    """Ours, and whom its people sign in by. `sign_in_there` fills its pages in."""

    ours: Instance
    provider: dict[str, Any]
    sign_in_there: Callable[[Page], None]
    theirs: Instance | None = None
    process: Process | None = None

    def sign_in(self, context: BrowserContext, return_to: str = "/account/sessions") -> Page:
        page = context.new_page()
        page.goto(f"{self.ours.url}/sign-in/acme?return_to={return_to}")
        page.get_by_role("link", name="Continue with Corporate").click()
        self.sign_in_there(page)
        page.wait_for_url(f"{self.ours.url}{return_to}*")
        return page

    def wait_for_end(self, session: str) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.ours.call("GET", f"/v1/sessions/{session}")
            if found["state"] == "ended":
                return found
            time.sleep(0.05)
        logs = self.process.logs() if self.process is not None else ""
        raise AssertionError(f"the session did not end\n{logs}\n{self.ours.server.logs()}")


def _prepare(ours: Instance, issuer: str, secret: str, client_id: str) -> dict[str, Any]:
    for path, new in (
        ("/v1/organizations", {"name": "acme", "display_name": "Acme Corporation"}),
        ("/v1/users", {"organization": "acme", "name": "bob", "password": PASSWORD}),
    ):
        ours.call("POST", path, new)
    body: dict[str, Any] = {
        "organization": "acme",
        "name": "corp",
        "display_name": "Corporate",
        "kind": "oidc",
        "options": {"issuer": issuer, "client_id": client_id, "sign_out_there": True},
        "client_secret": secret,
        "creates_users": True,
    }
    made: dict[str, Any] = ours.call("POST", "/v1/providers", body)
    return made


def _fill_in_ours(page: Page) -> None:
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def _fill_in_node(page: Page) -> None:
    page.locator("input[name=login]").fill("ann")
    page.locator("input[name=password]").fill("anything")
    page.locator("button[type=submit]").click()
    # The consent, which its development pages ask as well.
    page.locator("button[type=submit]", has_text="Continue").click()


@contextmanager
def _own_kind(folder: Path) -> Iterator[Pair]:
    with (
        _instance(folder, "theirs", "localhost") as theirs,
        _instance(folder, "ours", "127.0.0.1") as ours,
    ):
        theirs.call("POST", "/v1/organizations", {"name": "corp"})
        body = {"organization": "corp", "name": "ann", "password": PASSWORD}
        theirs.call("POST", "/v1/users", {**body, "display_name": "Ann of Corporate"})
        client = theirs.call("POST", "/v1/applications", {"organization": "corp", "name": "iam"})
        made = _prepare(ours, theirs.url, client["client_secret"], client["client_id"])
        registered = {
            "redirect_uris": [made["redirect_uri"]],
            "post_logout_redirect_uris": [f"{ours.url}/sign-out/done"],
            "backchannel_logout_uri": made["backchannel_logout_uri"],
        }
        theirs.call("PATCH", "/v1/applications/corp/iam", registered)
        yield Pair(ours, made, _fill_in_ours, theirs)


@contextmanager
def _node(folder: Path) -> Iterator[Pair]:
    port, secret = free_port(), "known to both of us"
    issuer = f"http://localhost:{port}"
    with ExitStack() as stack:
        ours = stack.enter_context(_instance(folder, "ours", "127.0.0.1"))
        made = _prepare(ours, issuer, secret, "iam")
        env = {
            "PORT": str(port),
            "CLIENT_ID": "iam",
            "CLIENT_SECRET": secret,
            "REDIRECT_URI": made["redirect_uri"],
            "LOGOUT_URI": made["backchannel_logout_uri"],
            "SIGNED_OUT": f"{ours.url}/sign-out/done",
        }
        command: list[str | Path] = [node(), "server.mjs"]
        there = stack.enter_context(
            Process(command, env=env, cwd=CLIENTS / "provider", name="provider")
        )
        there.wait_ready(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield Pair(ours, made, _fill_in_node, process=there)


@pytest.fixture(scope="module")
def own_kind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with _own_kind(tmp_path_factory.mktemp("federation")) as pair:
        yield pair


@pytest.fixture(scope="module", params=["another instance", "oidc-provider"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    if request.param == "another instance":
        yield request.getfixturevalue("own_kind")
        return
    with _node(tmp_path_factory.mktemp("federation")) as made:
        yield made


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_person_signs_in_there_and_out_of_both(
    pair: Pair, browser: Browser, scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = pair.sign_in(context)
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    [session] = pair.ours.sessions(user="ann", state="active")
    born = pair.ours.call("GET", f"/v1/sessions/{session['id']}")["federated"]
    assert born["provider"] == "corp"
    assert born["session"]
    # Signed in there as well, so that the way is short the second time.
    page.goto(f"{pair.ours.url}/sign-out")
    page.get_by_role("button", name="Sign out", exact=True).click()
    # The page leads on by itself; a provider that is not ours asks first.
    if pair.theirs is None:
        page.locator("button[name=logout]").click()
    page.wait_for_url(f"{pair.ours.url}/sign-out/done*")
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert pair.wait_for_end(session["id"])["end_reason"] == "signed_out"
    context.close()


def test_who_is_signed_out_there_is_signed_out_here(pair: Pair, browser: Browser) -> None:
    context = browser.new_context()
    page = pair.sign_in(context)
    [session] = pair.ours.sessions(user="ann", state="active")
    other = context.new_page()
    if pair.theirs is not None:
        [there] = pair.theirs.sessions(user="ann", application="app-built-in", state="active")
        pair.theirs.call("DELETE", f"/v1/sessions/{there['id']}")
    else:
        issuer = pair.provider["options"]["issuer"]
        other.goto(f"{issuer}/session/end")
        other.locator("button[name=logout], button[type=submit]").first.click()
    ended = pair.wait_for_end(session["id"])
    assert (ended["end_reason"], ended["ended_by"]) == ("signed_out", "provider:acme/corp")
    page.goto(f"{pair.ours.url}/account/sessions")
    expect(page.get_by_role("heading", name="Sign in to")).to_be_visible()
    context.close()


def test_the_end_goes_on_to_an_application_of_ours(own_kind: Pair, browser: Browser) -> None:
    """From a session there, over ours, to an application that knows neither of the two's people."""
    pair, context = own_kind, browser.new_context()
    with Receiver() as receiver:
        body = {
            "organization": "acme",
            "name": "wiki",
            "redirect_uris": [f"{receiver.url}/callback"],
            "require_pkce": False,
            "backchannel_logout_uri": f"{receiver.url}/logout",
        }
        client = pair.ours.call("POST", "/v1/applications", body)
        pair.sign_in(context)
        [session] = pair.ours.sessions(user="ann", application="app-built-in", state="active")
        query = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": f"{receiver.url}/callback",
            "scope": "openid",
        }
        cookies = {one["name"]: one["value"] for one in context.cookies(pair.ours.url)}
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        sent = httpx2.get(
            f"{pair.ours.url}/oauth/authorize", params=query, headers={"cookie": cookie}
        )
        form = {
            "grant_type": "authorization_code",
            "code": httpx2.URL(sent.headers["location"]).params["code"],
            "redirect_uri": f"{receiver.url}/callback",
        }
        secret = (client["client_id"], client["client_secret"])
        tokens = httpx2.post(f"{pair.ours.url}/oauth/token", data=form, auth=secret)
        assert tokens.status_code == 200, tokens.text
        assert pair.theirs is not None
        [there] = pair.theirs.sessions(user="ann", application="app-built-in", state="active")
        pair.theirs.call("DELETE", f"/v1/sessions/{there['id']}")
        assert pair.wait_for_end(session["id"])["ended_by"] == "provider:acme/corp"
        receiver.wait_for(1)
        [notice] = receiver.notices
        assert notice.form["logout_token"].count(".") == 2
    over = httpx2.get(
        f"{pair.ours.url}/oauth/userinfo",
        headers={"authorization": f"Bearer {tokens.json()['access_token']}"},
    )
    assert over.status_code == 401
    context.close()


def test_a_person_links_an_account_there_and_cancels_before(
    own_kind: Pair, browser: Browser
) -> None:
    pair, context = own_kind, browser.new_context()
    page = context.new_page()
    page.goto(f"{pair.ours.url}/sign-in/acme")
    page.get_by_label("User name").fill("bob")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.goto(f"{pair.ours.url}/account/ways")
    expect(page.get_by_text("You sign in there and come back here")).to_be_visible()
    page.get_by_role("button", name="Link Corporate").click()
    # Nobody who is known here is linked to another: the person there has to be a new one.
    assert pair.theirs is not None
    body = {"organization": "corp", "name": "bobby", "password": PASSWORD}
    pair.theirs.call("POST", "/v1/users", body)
    page.get_by_label("User name").fill("bobby")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/account/ways?notice=linked")
    expect(page.get_by_text("Linked. From now on")).to_be_visible()
    expect(page.get_by_role("heading", name="Corporate")).to_be_visible()
    context.close()


def test_a_fresh_sign_in_is_asked_for_there(own_kind: Pair, browser: Browser) -> None:
    pair, context = own_kind, browser.new_context()
    page = pair.sign_in(context)
    [session] = pair.ours.sessions(user="ann", application="app-built-in", state="active")
    before = session["authenticated_at"]
    page.goto(f"{pair.ours.url}/sign-in/acme?prompt=login")
    page.get_by_role("link", name="Continue with Corporate").click()
    # Signed in there all the while, and asked all the same.
    pair.sign_in_there(page)
    page.wait_for_url("**/account/sessions")
    after = pair.ours.call("GET", f"/v1/sessions/{session['id']}")
    assert after["authenticated_at"] > before
    context.close()
