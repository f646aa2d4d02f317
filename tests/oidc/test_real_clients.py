"""Client libraries that are not ours, at the token side: npm's openid-client and Authlib's own."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from authlib.integrations.requests_client import (  # type: ignore[import-untyped] # Authlib ships no types
    OAuth2Session,
)
from joserfc.jwk import ECKey

from tests.oidc.conftest import query_of
from tests.support.node import CLIENTS, node
from tests.support.processes import Server

PASSWORD = "open sesame 1"
CALLBACK = "https://app.acme.test/callback"
API = "https://api.acme.test"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@dataclass
class Site:
    """A server with organization `acme`, where alice is signed in."""

    server: Server
    admin: httpx2.Client
    session: str

    def register(self, name: str, **members: Any) -> dict[str, Any]:
        body = {"organization": "acme", "name": name, "redirect_uris": [CALLBACK], **members}
        answer = self.admin.post("/v1/applications", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def run(self, journey: str, application: dict[str, Any], **env: str) -> dict[str, Any]:
        """A journey of tests/clients/openid/tokens.mjs; what came of it."""
        ran = subprocess.run(
            [node(), "tokens.mjs"],
            env={
                "ISSUER": self.server.url,
                "CLIENT_ID": application["client_id"],
                "CLIENT_SECRET": application["client_secret"] or "",
                "SESSION": self.session,
                "JOURNEY": journey,
                **env,
            },
            cwd=CLIENTS / "openid",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr + self.server.logs()
        found: dict[str, Any] = json.loads(ran.stdout)
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    file: Path = tmp_path_factory.mktemp("clients") / "iam.db"
    with Server(database_url=f"sqlite:///{file}") as server:
        token = server.command("token").stdout.splitlines()[-1]
        headers = {"authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers) as admin:
            admin.post("/v1/organizations", json={"name": "acme"})
            user = {"organization": "acme", "name": "alice", "password": PASSWORD}
            assert admin.post("/v1/users", json=user).status_code == 201
            who = {"organization": "acme", "application": "app-built-in"}
            body = {**who, "username": "alice", "password": PASSWORD}
            signed_in = httpx2.post(f"{server.url}/v1/sign-in", json=body)
            assert signed_in.status_code == 201, signed_in.text
            yield Site(server, admin, signed_in.json()["token"])


def test_openid_client_pushes_refreshes_introspects_and_revokes(site: Site) -> None:
    application = site.register(
        "confidential",
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="client_secret_basic",
        require_pushed_authorization_requests=True,
    )

    assert site.run("confidential", application) == {
        "rotated": True,
        "sid": True,
        "active": True,
        "user": "alice",
        "over": False,
        "refused": "invalid_grant",
    }


def test_openid_client_binds_tokens_to_its_key(site: Site) -> None:
    application = site.register(
        "bound",
        public=True,
        grant_types=["authorization_code", "refresh_token"],
        dpop_bound_access_tokens=True,
    )

    assert site.run("bound", application) == {
        "type": "dpop",
        "user": "alice",
        "bearer": 401,
        "refused": "invalid_request",
    }


def test_openid_client_proves_itself_by_a_key_and_exchanges_tokens(site: Site) -> None:
    key = ECKey.generate_key("P-256")
    application = site.register(
        "key",
        grant_types=["authorization_code", "client_credentials", EXCHANGE],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [key.as_dict(private=False)]},
        id_token_signed_response_alg="ES256",
        resources=[API],
    )

    private = json.dumps(key.as_dict(private=True))
    assert site.run("key", application, CLIENT_KEY=private, RESOURCE=API) == {
        "own": True,
        "aud": API,
        "user": True,
        "acts": True,
        "scope": "profile",
    }


def test_openid_client_registers_itself(site: Site) -> None:
    body = {"organization": "acme"}
    made = site.admin.post("/v1/registration-tokens", json=body).json()
    newcomer = {"client_id": "none yet", "client_secret": made["token"]}

    assert site.run("registers", newcomer) == {"named": "Newcomer", "asked": True}


def test_openid_client_lets_a_device_in(site: Site) -> None:
    application = site.register(
        "tv", display_name="Television", public=True, grant_types=[DEVICE_CODE]
    )

    assert site.run("device", application) == {"named": True, "user": "alice"}


def test_authlibs_client_shows_its_secret_by_basic_authentication(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the issuer is http on loopback
    made = site.register(
        "authlib",
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="client_secret_basic",
    )
    url = site.server.url
    with OAuth2Session(
        made["client_id"],
        made["client_secret"],
        scope="openid profile",
        redirect_uri=CALLBACK,
        token_endpoint_auth_method="client_secret_basic",
        revocation_endpoint_auth_method="client_secret_basic",
        code_challenge_method="S256",
    ) as client:
        verifier = "v" * 48
        where, state = client.create_authorization_url(
            f"{url}/oauth/authorize", code_verifier=verifier
        )
        sent = httpx2.get(where, headers={"cookie": f"iam={site.session}"}).headers["location"]
        token = client.fetch_token(
            f"{url}/oauth/token",
            authorization_response=sent,
            state=state,
            code_verifier=verifier,
        )
        again = client.refresh_token(f"{url}/oauth/token", refresh_token=token["refresh_token"])
        told = client.introspect_token(f"{url}/oauth/introspect", token=again["access_token"])
        revoked = client.revoke_token(f"{url}/oauth/revoke", token=again["refresh_token"])
        over = client.introspect_token(f"{url}/oauth/introspect", token=again["access_token"])

    assert dict(parse_qsl(urlsplit(sent).query))["iss"] == url
    assert query_of(sent)["state"] == state
    assert token["refresh_token"] != again["refresh_token"]
    assert (told.json()["active"], told.json()["username"]) == (True, "alice")
    assert (revoked.status_code, over.json()) == (200, {"active": False})
