"""How applications prove themselves, and what does not prove them."""

import base64
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from iam.directory.applications import create_application
from iam.directory.client_settings import AuthMethod, ClientSettings
from iam.keys.client_keys import REGISTRY
from tests.oidc.conftest import ISSUER, Party

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}


def register(party: Party, name: str, method: AuthMethod | None) -> None:
    """An application of its own that authenticates by this method."""
    jwks = {"keys": [one.as_dict(private=False) for one in KEYS.values()]}
    settings = ClientSettings(
        token_endpoint_auth_method=method,
        jwks=jwks if method == "private_key_jwt" else None,
    )
    made, secret = party.world.engine.database.write(
        lambda c: create_application(
            c,
            organization="acme",
            name=name,
            redirect_uris=[f"https://{name}.acme.test/callback"],
            grant_types=["authorization_code", "refresh_token"],
            client=settings,
            now=party.world.clock(),
            random=party.world.engine.random,
        )
    )
    party.applications[name] = made
    if secret is not None:
        party.secrets[name] = secret


@pytest.fixture(scope="module")
def signer(party: Party) -> Party:
    for name, method in (
        ("signer", "private_key_jwt"),
        ("strict-basic", "client_secret_basic"),
        ("strict-post", "client_secret_post"),
    ):
        register(party, name, method)  # type: ignore[arg-type] # a tuple's literals are texts
    return party


def assertion(party: Party, algorithm: str = "ES256", key: Any = None, **changes: Any) -> str:
    """An assertion of `signer`, changed; None leaves a claim out."""
    client_id = party.applications["signer"].client_id
    now = party.world.clock() // 1000
    claims: dict[str, Any] = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "iat": now,
        "exp": now + 60,
        "jti": base64.urlsafe_b64encode(party.world.engine.random(12)).decode(),
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    key = key or KEYS[algorithm.replace("EdDSA", "Ed25519")]
    header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
    return jwt.encode(header, claims, key, registry=REGISTRY)


def introspect(party: Party, text: str, **changes: str | None) -> Mapping[str, Any]:
    answer = party.form(
        "/oauth/introspect",
        {"token": "x", "client_assertion_type": TYPE, "client_assertion": text, **changes},
    )
    found: dict[str, Any] = {"status": answer.status_code, **answer.json()}
    return found


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519", "EdDSA"])
def test_an_application_proves_itself_by_its_key(signer: Party, algorithm: str) -> None:
    assert introspect(signer, assertion(signer, algorithm))["status"] == 200


def test_a_code_is_redeemed_with_an_assertion(signer: Party) -> None:
    code = signer.code(signer.browser().token, "signer")

    answer = signer.redeem(
        code, "signer", client_assertion_type=TYPE, client_assertion=assertion(signer)
    )

    assert answer.status_code == 200


def test_an_assertion_is_good_once(signer: Party) -> None:
    text = assertion(signer)

    assert introspect(signer, text)["status"] == 200
    assert introspect(signer, text) == REFUSED


REFUSED = {
    "status": 401,
    "error": "invalid_client",
    "error_description": "The client credentials are not right.",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": f"{ISSUER}/oauth/token"},
        {"aud": [ISSUER]},
        {"aud": "https://other.test"},
        {"aud": None},
        {"iss": "app_" + "0" * 26},
        {"sub": None},
        {"exp": None},
        {"exp": 1_795_000_000 - 1},
        {"exp": 1 << 33},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"nbf": 1 << 33},
        {"iat": 1 << 33},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "j" * 256},
    ],
)
def test_an_assertion_that_says_something_else_proves_nothing(
    signer: Party, changes: dict[str, Any]
) -> None:
    assert introspect(signer, assertion(signer, **changes)) == REFUSED


def signed_with_the_public_key(claims: bytes) -> str:
    """HMAC under what everybody knows: where a verifier asks the header, that is a valid signature."""
    parts = b".".join(
        base64.urlsafe_b64encode(one).rstrip(b"=")
        for one in (b'{"alg":"HS256","kid":"rsa"}', claims)
    )
    digest = hmac.digest(KEYS["RS256"].as_pem(private=False), parts, "sha256")
    return f"{parts.decode()}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_an_assertion_of_another_key_proves_nothing(signer: Party) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "ec"})
    carried = {"alg": "ES256", "jwk": stranger.as_dict(private=False)}
    claims = jws.extract_compact(assertion(signer).encode()).payload
    for text in (
        assertion(signer, key=stranger),
        jws.serialize_compact(carried, claims, stranger, registry=REGISTRY),
        signed_with_the_public_key(claims),
        assertion(signer)[:-4] + "AAAA",
        "x",
        "é.é.é",
        "a" * 10000,
        "..",
    ):
        assert introspect(signer, text) == REFUSED


def test_an_unsigned_assertion_proves_nothing(signer: Party) -> None:
    _, claims, _ = assertion(signer).split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()

    assert introspect(signer, f"{header}.{claims}.") == REFUSED


def test_an_assertion_is_of_the_client_that_is_named(signer: Party) -> None:
    other = signer.applications["wiki"].client_id

    assert introspect(signer, assertion(signer), client_id=other) == REFUSED


def test_two_methods_at_once_are_refused(signer: Party) -> None:
    found = introspect(signer, assertion(signer), client_secret="x")

    assert (found["status"], found["error"]) == (400, "invalid_request")


def test_an_assertion_of_another_type_is_refused(signer: Party) -> None:
    found = introspect(signer, assertion(signer), client_assertion_type="urn:x")

    assert (found["status"], found["error"]) == (400, "invalid_request")


def test_the_method_is_the_one_that_was_registered(signer: Party) -> None:
    for name, method in (("strict-basic", "post"), ("strict-post", "basic"), ("signer", "none")):
        client_id, secret = signer.applications[name].client_id, signer.secrets.get(name, "")
        wrong = (
            signer.form("/oauth/introspect", {"token": "x"}, (client_id, secret))
            if method == "basic"
            else signer.ask("/oauth/introspect", name, token="x")
        )
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    pair = (signer.applications["strict-basic"].client_id, signer.secrets["strict-basic"])
    assert signer.form("/oauth/introspect", {"token": "x"}, pair).status_code == 200
    assert signer.ask("/oauth/introspect", "strict-post", token="x").status_code == 200


def test_basic_credentials_are_form_encoded_first(signer: Party) -> None:
    client_id, secret = signer.applications["mail"].client_id, signer.secrets["mail"]
    encoded = "".join(f"%{ord(one):02X}" for one in secret)

    answer = signer.form("/oauth/introspect", {"token": "x"}, (quote(client_id), encoded))

    assert answer.status_code == 200


def test_the_credentials_and_the_client_id_beside_them_are_of_one_application(
    signer: Party,
) -> None:
    pair = (signer.applications["mail"].client_id, signer.secrets["mail"])
    other = signer.applications["wiki"].client_id

    answer = signer.form("/oauth/introspect", {"token": "x", "client_id": other}, pair)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
