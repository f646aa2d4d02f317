"""Debian's mod_auth_openidc, a relying party that is not ours: signed in, signed out, told of an end."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.support.apache import run_apache
from tests.support.ports import free_port
from tests.support.processes import Server
from tests.support.site import run_page

PASSWORD = "open sesame 1"
PATIENCE = 60

CONFIG = """
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {client_secret}
OIDCRedirectURI {address}/handbook/redirect
OIDCCryptoPassphrase a-passphrase-of-the-test
OIDCPKCEMethod S256
OIDCScope "openid profile email"
OIDCSessionType server-cache
ProxyPass /handbook/redirect !
ProxyPass / http://127.0.0.1:{page}/
<Location /handbook>
    AuthType openid-connect
    Require valid-user
</Location>
"""


@dataclass
class Handbook:
    """A page behind Apache, and the server that its visitors sign in to."""

    server: Server
    admin: httpx2.Client
    address: str

    def browser_session(self) -> str:
        """The ID of the one live browser session of `acme`."""
        query = {"organization": "acme", "application": "app-built-in", "state": "active"}
        (found,) = self.admin.get("/v1/sessions", params=query).json()["items"]
        session: str = found["id"]
        return session


@pytest.fixture
def handbook(database_url: str) -> Iterator[Handbook]:
    with ExitStack() as stack:
        env = {"IAM_DELIVERY_ALLOW_PRIVATE": "true"}
        server = stack.enter_context(Server(database_url=database_url, env=env))
        token = server.command("token").stdout.splitlines()[-1]
        admin = stack.enter_context(
            httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"})
        )
        assert admin.post("/v1/organizations", json={"name": "acme"}).status_code == 201
        user = {"organization": "acme", "name": "alice", "password": PASSWORD}
        assert admin.post("/v1/users", json=user).status_code == 201
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        body = {
            "organization": "acme",
            "name": "handbook",
            "redirect_uris": [f"{address}/handbook/redirect"],
            "post_logout_redirect_uris": [f"{address}/goodbye"],
            "backchannel_logout_uri": f"{address}/handbook/redirect?logout=backchannel",
            "backchannel_logout_session_required": True,
        }
        made = admin.post("/v1/applications", json=body)
        assert made.status_code == 201, made.text
        config = CONFIG.format(
            issuer=server.url,
            client_id=made.json()["client_id"],
            client_secret=made.json()["client_secret"],
            address=address,
            page=stack.enter_context(run_page()),
        )
        stack.enter_context(
            run_apache(config, port=port, ready=f"{address}/goodbye", modules=["auth_openidc"])
        )
        yield Handbook(server, admin, address)


def sign_in(page: Page, handbook: Handbook) -> dict[str, str]:
    """Open the page, sign in on the way, and answer what it was told of its visitor."""
    page.goto(f"{handbook.address}/handbook/1")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    page.wait_for_url(f"{handbook.address}/handbook/1")
    return told(page)


def told(page: Page) -> dict[str, str]:
    heard: dict[str, str] = json.loads(page.locator("body").inner_text())
    return heard


def test_its_visitors_sign_in_and_out_and_every_end_reaches_it(
    handbook: Handbook, page: Page
) -> None:
    heard = sign_in(page, handbook)
    assert (heard["page"], heard["oidc_claim_preferred_username"]) == ("/handbook/1", "alice")
    first = handbook.browser_session()
    assert heard["oidc_claim_iss"] == handbook.server.url

    # It signs its visitor out here, with its ID token, and gets them back at a registered address.
    goodbye = f"{handbook.address}/goodbye"
    page.goto(f"{handbook.address}/handbook/redirect?{urlencode({'logout': goodbye})}")
    page.wait_for_url(goodbye)
    assert told(page)["page"] == "/goodbye"
    ended = handbook.admin.get(f"/v1/sessions/{first}").json()
    assert ended["end_reason"] == "signed_out"
    page.goto(f"{handbook.address}/handbook/2")
    expect(page.locator("#password")).to_be_visible()

    # An end that it has no part in reaches it too: it drops its own session, which knew nothing of it.
    heard = sign_in(page, handbook)
    page.goto(f"{handbook.address}/handbook/3")
    assert told(page)["oidc_claim_sid"] == heard["oidc_claim_sid"], "it asks nobody on the way"
    second = handbook.browser_session()
    assert handbook.admin.delete(f"/v1/sessions/{second}").status_code == 204
    assert delivered(handbook, second) == {"handbook": "delivered"}
    page.goto(f"{handbook.address}/handbook/4")
    expect(page.locator("#password")).to_be_visible()


def delivered(handbook: Handbook, session: str) -> dict[str, str]:
    """What became of the notices of this session's end, by application, once none is pending."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = handbook.admin.get(f"/v1/sessions/{session}/deliveries").json()["items"]
        states = {one["application"]: one["state"] for one in found}
        if "pending" not in states.values() or time.monotonic() > deadline:
            return states
        time.sleep(0.05)
