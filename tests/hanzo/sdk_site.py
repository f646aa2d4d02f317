"""A running server that Casdoor's own SDKs call, and how they are set up for it."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import KeySet

from tests.support.processes import Server

PASSWORD = "open sesame 1"
CALLBACK = "https://app.acme.test/callback"
CREATED = "2026-11-26T10:00:00+08:00"


@dataclass
class Site:
    """A server with organization `acme`, its user ann and an application that administers it."""

    server: Server
    admin: httpx2.Client
    application: dict[str, Any]
    certificate: str

    @property
    def python(self) -> dict[str, str]:
        """How the SDK for Python is set up."""
        return {
            "endpoint": self.server.url,
            "client_id": self.application["client_id"],
            "client_secret": self.application["client_secret"],
            "certificate": self.certificate,
            "org_name": "acme",
            "application_name": "portal",
        }

    @property
    def node(self) -> dict[str, str]:
        """How the SDK for Node is set up."""
        return {
            "endpoint": self.server.url,
            "clientId": self.application["client_id"],
            "clientSecret": self.application["client_secret"],
            "certificate": self.certificate,
            "orgName": "acme",
            "appName": "portal",
        }

    def code(self, scope: str = "read") -> str:
        """A code for somebody who signs in on Casdoor's page."""
        query = {
            "clientId": self.application["client_id"],
            "responseType": "code",
            "redirectUri": CALLBACK,
            "scope": scope,
            "state": "portal",
        }
        form = {"type": "code", "application": "portal", "organization": "acme"}
        who = {"username": "ann", "password": PASSWORD, "signinMethod": "Password"}
        answer = httpx2.post(
            f"{self.server.url}/api/login", params=query, json=form | who, timeout=60
        )
        assert answer.json()["status"] == "ok", answer.text
        found: str = answer.json()["data"]
        return found

    def live(self, application: str) -> list[str]:
        """Ann's live sessions there."""
        path = f"/v1/session-records/acme/ann/{application}"
        found: list[str] = self.admin.get(path).json()["session_ids"]
        return found

    def end_all(self) -> None:
        for application in ("portal", "app-built-in"):
            self.admin.delete(f"/v1/session-records/acme/ann/{application}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    file: Path = tmp_path_factory.mktemp("sdks") / "iam.db"
    with Server(database_url=f"sqlite:///{file}") as server:
        token = server.command("token").stdout.splitlines()[-1]
        headers = {"authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers, timeout=60) as admin:
            admin.post("/v1/organizations", json={"name": "acme"})
            user = {"organization": "acme", "name": "ann", "password": PASSWORD}
            assert admin.post("/v1/users", json=user).status_code == 201
            grants = ["authorization_code", "refresh_token", "client_credentials", "password"]
            body = {
                "organization": "acme",
                "name": "portal",
                "redirect_uris": [CALLBACK],
                "grant_types": grants,
                "require_pkce": False,
                "manages_organization": True,
            }
            made = admin.post("/v1/applications", json=body)
            assert made.status_code == 201, made.text
            yield Site(server, admin, made.json(), _certificate(server))


def _certificate(server: Server) -> str:
    """A certificate of the key that tokens are signed with, as the SDKs are set up with one."""
    keys = KeySet.import_key_set(httpx2.get(f"{server.url}/oauth/jwks").json()).keys
    [public] = [key.get_op_key("verify") for key in keys if key.as_dict()["kty"] == "RSA"]
    assert isinstance(public, rsa.RSAPublicKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cert-built-in")])
    now = datetime.datetime.now(datetime.UTC)
    issuer = rsa.generate_private_key(65537, 2048)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(issuer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def nobody_signed_in(site: Site) -> Iterator[None]:
    yield
    site.end_all()
