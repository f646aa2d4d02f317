"""Service providers that are not ours: Debian's mod_auth_mellon and npm's node-saml, in a real browser.

They are on another site than the server (localhost and 127.0.0.1 have nothing in common), so that what a
form of theirs posts comes without our SameSite=Lax cookie.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.saml.conftest import NS, make_key_pair
from tests.support.apache import run_apache
from tests.support.node import CLIENTS, node
from tests.support.ports import free_port
from tests.support.processes import Process, Server
from tests.support.site import run_page

PASSWORD = "open sesame 1"
PATIENCE = 60


@dataclass
class Home:
    """The server with organization `acme`, its user alice and applications; an administrator's client."""

    server: Server
    admin: httpx2.Client

    def application(self, name: str, metadata: str, **options: Any) -> None:
        made = self.admin.post("/v1/applications", json={"organization": "acme", "name": name})
        assert made.status_code == 201, made.text
        body = {"metadata": metadata, **options}
        answer = self.admin.put(f"/v1/applications/acme/{name}/saml", json=body)
        assert answer.status_code == 200, answer.text

    def sessions(self, application: str, state: str = "active") -> list[dict[str, Any]]:
        query = {"organization": "acme", "application": application, "state": state}
        found: list[dict[str, Any]] = self.admin.get("/v1/sessions", params=query).json()["items"]
        return found

    def told(self, application: str) -> list[str]:
        """What became of the notices to an application, once none is pending."""
        deadline = time.monotonic() + PATIENCE
        while True:
            items = self.admin.get("/v1/deliveries").json()["items"]
            states = [one["state"] for one in items if one["application"] == application]
            if "pending" not in states or time.monotonic() > deadline:
                return states
            time.sleep(0.05)

    def certificate(self) -> str:
        from lxml import etree

        root = etree.fromstring(self.admin.get("/saml/metadata").content)
        return str(root.findtext(".//md:KeyDescriptor//ds:X509Certificate", namespaces=NS))


@contextmanager
def run_home(folder: Path, **env: str) -> Iterator[Home]:
    """A server of its own until the `with` block ends; `env` are further settings."""
    with ExitStack() as stack:
        given = {"IAM_DELIVERY_ALLOW_PRIVATE": "true", "IAM_DATA_DIR": str(folder), **env}
        port = int(given.pop("PORT", 0)) or free_port()
        url = f"sqlite:///{folder / 'iam.db'}"
        server = stack.enter_context(Server(database_url=url, port=port, env=given))
        token = server.command("token").stdout.splitlines()[-1]
        admin = stack.enter_context(
            httpx2.Client(
                base_url=server.url, headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE
            )
        )
        assert admin.post("/v1/organizations", json={"name": "acme"}).status_code == 201
        user = {"organization": "acme", "name": "alice", "password": PASSWORD}
        user["email"] = "alice@acme.test"
        assert admin.post("/v1/users", json=user).status_code == 201
        yield Home(server, admin)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with run_home(tmp_path) as running:
        yield running


def write_keys(folder: Path) -> tuple[Path, Path]:
    """A provider's private key and certificate, as files."""
    from cryptography.hazmat.primitives.serialization import Encoding

    pair = make_key_pair()
    key, certificate = folder / "sp.key", folder / "sp.pem"
    key.write_bytes(pair.pem)
    certificate.write_bytes(pair.certificate.public_bytes(Encoding.PEM))
    return key, certificate


def sign_in(page: Page) -> None:
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")


# --- Debian's mod_auth_mellon

MELLON = """
ProxyPass /mellon !
ProxyPass / http://127.0.0.1:{page}/
<Location />
    MellonEnable info
    MellonEndpointPath /mellon
    MellonSPentityId {address}/mellon/metadata
    MellonSPPrivateKeyFile {key}
    MellonSPCertFile {certificate}
    MellonIdPMetadataFile {metadata}
    MellonSignatureMethod rsa-sha256
    MellonSecureCookie secure
    RequestHeader set x-name-id "%{{MELLON_NAME_ID}}e"
    RequestHeader set x-mail "%{{MELLON_mail}}e"
</Location>
<Location /handbook>
    MellonEnable auth
    Require valid-user
</Location>
"""


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def handbook(request: pytest.FixtureRequest, home: Home) -> Iterator[str]:
    """A page behind Apache with mod_auth_mellon, which is told in the open or encrypted; its address."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mellon-")))
        # Its workers read these files themselves, and root has them run as nobody.
        folder.chmod(0o755)
        key, certificate = write_keys(folder)
        metadata = folder / "idp.xml"
        metadata.write_bytes(home.admin.get("/saml/metadata").content)
        port = free_port()
        address = f"http://localhost:{port}"
        config = MELLON.format(
            page=stack.enter_context(run_page()),
            address=address,
            key=key,
            certificate=certificate,
            metadata=metadata,
        )
        stack.enter_context(
            run_apache(
                config, port=port, ready=f"http://127.0.0.1:{port}/", modules=["auth_mellon"]
            )
        )
        described = httpx2.get(f"{address}/mellon/metadata", timeout=PATIENCE).text
        home.application(
            "handbook", described, attributes={"mail": "email"}, encrypt_assertion=request.param
        )
        yield address


def heard(page: Page) -> dict[str, str]:
    told: dict[str, str] = json.loads(page.locator("body").inner_text())
    return told


def test_mod_auth_mellon_signs_in_and_out_and_is_told_of_every_end(
    home: Home, handbook: str, page: Page
) -> None:
    page.goto(f"{handbook}/handbook/1")
    sign_in(page)
    page.wait_for_url(f"{handbook}/handbook/1")
    assert (heard(page)["page"], heard(page)["x-mail"]) == ("/handbook/1", "alice@acme.test")
    (first,) = home.sessions("handbook")

    # It signs its visitor out here and gets them back.
    page.goto(f"{handbook}/mellon/logout?ReturnTo={handbook}/goodbye")
    page.wait_for_url(f"{handbook}/goodbye")
    ended = home.admin.get(f"/v1/sessions/{first['id']}").json()
    assert ended["end_reason"] == "signed_out"
    assert home.admin.get(f"/v1/sessions/{first['parent']}").json()["state"] == "ended"
    page.goto(f"{handbook}/handbook/2")
    expect(page.locator("#password")).to_be_visible()

    # An end that it has no part in reaches it by SOAP: it drops its own session.
    sign_in(page)
    page.wait_for_url(f"{handbook}/handbook/2")
    (second,) = home.sessions("handbook")
    assert home.admin.delete(f"/v1/sessions/{second['parent']}").status_code == 204
    assert home.told("handbook") == ["delivered"]
    page.goto(f"{handbook}/handbook/3")
    expect(page.locator("#password")).to_be_visible()


# --- npm's node-saml


@pytest.fixture(params=["HTTP-Redirect", "HTTP-POST", "encrypted"])
def shop(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> Iterator[str]:
    """An application on node-saml that sends its requests by one binding or the other, or that has what it
    is told encrypted; its address."""
    encrypted = request.param == "encrypted"
    key, certificate = write_keys(tmp_path)
    port = free_port()
    address = f"http://localhost:{port}"
    env = {
        "IDP": home.server.url,
        "IDP_CERT": home.certificate(),
        "ADDRESS": address,
        "PORT": str(port),
        "KEY_FILE": str(key),
        "CERT_FILE": str(certificate),
        "BINDING": "HTTP-Redirect" if encrypted else request.param,
        **({"ENCRYPTED": "yes"} if encrypted else {}),
    }
    command = [node(), CLIENTS / "saml" / "app.mjs"]
    with Process(command, env=env, cwd=CLIENTS / "saml", name="node-saml") as process:
        process.wait_ready(f"http://127.0.0.1:{port}/metadata")
        described = httpx2.get(f"http://127.0.0.1:{port}/metadata", timeout=PATIENCE).text
        home.application(
            "shop",
            described,
            attributes={"mail": "email"},
            require_signed_requests=True,
            encrypt_assertion=encrypted,
        )
        yield address


def visit_again(page: Page, shop: str) -> None:
    """The application has forgotten its visitor."""
    page.context.clear_cookies(name="visitor")
    page.goto(shop)
    page.wait_for_url(f"{shop}/")


def test_node_saml_signs_in_and_out(home: Home, shop: str, page: Page, browser: Browser) -> None:
    page.goto(shop)
    sign_in(page)
    page.wait_for_url(f"{shop}/")
    told = page.locator("p").inner_text()
    (session,) = home.sessions("shop")
    assert re.fullmatch(rf"name \S{{43}} session {session['id']} mail alice@acme.test", told)

    # Another visit: the request that its form posts comes without our cookie, and needs no password all
    # the same. Without JavaScript a person presses the button.
    visit_again(page, shop)
    expect(page.get_by_text(told, exact=True)).to_be_visible()
    plain = browser.new_context(
        java_script_enabled=False, storage_state=page.context.storage_state()
    )
    try:
        other = plain.new_page()
        plain.clear_cookies(name="visitor")
        other.goto(shop)
        if other.get_by_role("button", name="Continue").count() == 0:
            other.locator("[type=submit]").click()  # its own form, by POST
        other.get_by_role("button", name="Continue").click()
        expect(other.get_by_text(told, exact=True)).to_be_visible()
    finally:
        plain.close()

    page.goto(f"{shop}/sign-out")
    expect(page.get_by_text("signed out", exact=True)).to_be_visible()
    assert home.sessions("shop") == []
    assert home.sessions("app-built-in") == []
    page.goto(shop)
    expect(page.locator("#password")).to_be_visible()

    # Who signs in once more and is ended here has to sign in again at the next visit that asks us.
    sign_in(page)
    page.wait_for_url(f"{shop}/")
    (again,) = home.sessions("shop")
    assert home.admin.delete(f"/v1/sessions/{again['parent']}").status_code == 204
    assert home.sessions("shop") == []
    page.context.clear_cookies(name="visitor")
    page.goto(shop)
    expect(page.locator("#password")).to_be_visible()
