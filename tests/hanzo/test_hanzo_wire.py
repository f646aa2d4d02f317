"""What Hanzo's client for Python sends and reads (hanzo-iam 1.30), request by request."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.hanzo.conftest import Legacy
from tests.hanzo.test_sign_in import CHALLENGE, VERIFIER

CALLBACK = "https://acme.example/cb"
FORM = {"content-type": "application/x-www-form-urlencoded", "user-agent": "hanzo-iam-python/1.0"}


class Client:
    """The requests of its `IAMClient`: JSON as Content-Type even where there is no body."""

    def __init__(self, legacy: Legacy) -> None:
        self._world = legacy.world
        made = legacy.applications["acme/shop"]
        self.id, self._secret = made["client_id"], made["client_secret"]

    def get(self, path: str, **headers: str) -> httpx2.Response:
        sent = {"user-agent": "hanzo-iam-python/1.0", "content-type": "application/json"}
        return self._world.get(path, headers=sent | headers)

    def post(self, path: str, **fields: str) -> httpx2.Response:
        body = {"client_id": self.id, "client_secret": self._secret, **fields}
        return self._world.post(path, content=urlencode(body), headers=FORM)

    def validate(self, token: str) -> dict[str, Any]:
        """Signature by the published keys, and the client among the audience."""
        keys = KeySet.import_key_set(self.get("/v1/iam/.well-known/jwks").json())
        claims = jwt.decode(token, keys, algorithms=["RS256", "ES256"]).claims
        assert self.id in claims["aud"]
        return claims


@pytest.fixture
def client(legacy: Legacy) -> Client:
    return Client(legacy)


def _code(legacy: Legacy, client: Client, cookie: dict[str, str]) -> str:
    query = {
        "client_id": client.id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    led = legacy.world.get("/v1/iam/oauth/authorize", params=query, headers=cookie)
    there = legacy.world.get(led.headers["location"], headers=cookie).headers["location"]
    assert there.startswith(CALLBACK)
    return parse_qs(urlsplit(there).query)["code"][0]


def test_a_person_signs_in_is_known_and_signs_out(legacy: Legacy, client: Client) -> None:
    cookie = {"cookie": f"iam={legacy.token('acme', 'ann')}"}
    assert client.get("/.well-known/openid-configuration").json()["issuer"]

    tokens = client.post(
        "/v1/iam/oauth/token",
        grant_type="authorization_code",
        code=_code(legacy, client, cookie),
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
    ).json()

    claims = client.validate(tokens["access_token"])
    assert (claims["owner"], claims["name"], claims["email"]) == ("acme", "ann", "ann@acme.example")
    bearer = f"Bearer {tokens['access_token']}"
    info = client.get("/v1/iam/oauth/userinfo", authorization=bearer).json()
    assert info["sub"] == claims["sub"]
    look = client.post("/v1/iam/oauth/introspect", token=tokens["access_token"]).json()
    assert (look["active"], look["username"]) == (True, "ann")
    again = client.post(
        "/v1/iam/oauth/token",
        grant_type="refresh_token",
        refresh_token=tokens["refresh_token"],
    ).json()
    assert client.validate(again["access_token"])["sid"] == claims["sid"]
    given_back = client.post("/v1/iam/oauth/revoke", token=again["refresh_token"])
    assert given_back.status_code == 200
    over = client.post("/v1/iam/oauth/introspect", token=again["access_token"]).json()
    assert over == {"active": False}


def test_an_application_gets_a_token_for_itself(legacy: Legacy, client: Client) -> None:
    answer = client.post("/v1/iam/oauth/token", grant_type="client_credentials", scope="openid")

    token = answer.json()["access_token"]
    assert client.validate(token)["sub"] == client.id
    legacy.token("acme", "ann", "shop")
    legacy.token("acme", "ann")
    listed = legacy.world.post(
        "/v1/iam/sessions/list", json={"owner": "acme"}, headers=legacy.world.bearer(token)
    )
    assert [row["application"] for row in listed.json()["sessions"]] == ["shop"]


def test_leaving_by_its_logout_leads_to_our_page(legacy: Legacy) -> None:
    answer = legacy.world.get("/v1/iam/oauth/logout?client_id=x&state=y")

    assert answer.headers["location"] == "/oauth/logout?client_id=x&state=y"
