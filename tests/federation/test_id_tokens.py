"""ID tokens of a provider that say what they must not, or are not signed by it: each signs nobody in."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey

from tests.federation.conftest import Federation
from tests.support.federation_attacks import refused
from tests.support.upstream import Upstream

Claims = dict[str, Any]


BENT: dict[str, Callable[[Upstream, Claims], Claims]] = {
    "wrong nonce": lambda _, claims: {**claims, "nonce": "another"},
    "no nonce": lambda _, claims: {k: v for k, v in claims.items() if k != "nonce"},
    "another issuer": lambda _, claims: {**claims, "iss": "https://evil.example"},
    "issuer with a slash": lambda up, claims: {**claims, "iss": up.issuer + "/"},
    "foreign audience": lambda _, claims: {**claims, "aud": "somebody else"},
    "audience without us": lambda _, claims: {**claims, "aud": ["a", "b"], "azp": "iam"},
    "audience of two without azp": lambda _, claims: {**claims, "aud": ["iam", "b"]},
    "given to another": lambda _, claims: {**claims, "azp": "somebody else"},
    "no audience": lambda _, claims: {**claims, "aud": None},
    "audience that is no text": lambda _, claims: {**claims, "aud": {"iam": 1}},
    "expired": lambda _, claims: {**claims, "exp": claims["iat"] - 61},
    "without an end": lambda _, claims: {k: v for k, v in claims.items() if k != "exp"},
    "an end that is no number": lambda _, claims: {**claims, "exp": "tomorrow"},
    "an endless end": lambda _, claims: {**claims, "exp": float("inf")},
    "of the future": lambda _, claims: {**claims, "iat": claims["iat"] + 120},
    "not before later": lambda _, claims: {**claims, "nbf": claims["iat"] + 120},
    "another access token": lambda _, claims: {**claims, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "nobody": lambda _, claims: {**claims, "sub": ""},
    "no text as subject": lambda _, claims: {**claims, "sub": 7},
    "a subject that hides": lambda _, claims: {**claims, "sub": "ann\u0000"},
    "a huge subject": lambda _, claims: {**claims, "sub": "x" * 256},
}


@pytest.mark.parametrize("name", BENT)
def test_an_id_token_that_says_something_else_signs_nobody_in(
    federation: Federation, name: str
) -> None:
    upstream = federation.upstream
    upstream.bend = lambda claims: BENT[name](upstream, claims)
    surfer = federation.surfer()
    refused(federation, surfer, upstream.sign_in(federation.set_out(surfer)))
    assert "Back to sign-in" in surfer.page
    [failed] = federation.events("sign_in.failed")
    assert failed["reason"] == "provider_answer_refused"


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _hmac_with_the_public_key(upstream: Upstream, claims: Claims) -> str:
    """The old trick: the public key, which everybody has, as the secret of an HMAC."""
    header = {"alg": "HS256", "kid": "one"}
    signed = ".".join(_part(json.dumps(one).encode()) for one in (header, claims))
    pem = upstream.keys[0].as_pem(private=False)
    return f"{signed}.{_part(hmac.digest(pem, signed.encode(), 'sha256'))}"


def _critical(upstream: Upstream, claims: Claims) -> str:
    """Well signed, under a header that says what is not understood here."""
    header = {"alg": "RS256", "kid": "one", "crit": ["unheard"], "unheard": 1}
    signed = ".".join(_part(json.dumps(one).encode()) for one in (header, claims))
    key = upstream.keys[0].private_key
    return f"{signed}.{_part(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _none(upstream: Upstream, claims: Claims) -> str:
    head, body, _ = upstream.signed(claims).split(".")
    nothing = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    assert head != nothing
    return f"{nothing}.{body}."


def _own_key_in_the_header(upstream: Upstream, claims: Claims) -> str:
    mine = RSAKey.generate_key(2048, {"kid": "mine"})
    return upstream.signed(claims, mine, jwk=mine.as_dict(private=False))


def _another_key_by_its_name(upstream: Upstream, claims: Claims) -> str:
    return upstream.signed(claims, RSAKey.generate_key(2048, {"kid": "one"}))


def _tampered(upstream: Upstream, claims: Claims) -> str:
    head, body, signature = upstream.signed(claims).split(".")
    _, other, _ = upstream.signed({**claims, "sub": "bob there"}).split(".")
    assert other != body
    return f"{head}.{other}.{signature}"


FORGED: dict[str, Callable[[Upstream, Claims], str]] = {
    "alg none": _none,
    "HMAC with the public key": _hmac_with_the_public_key,
    "a key of its own in the header": _own_key_in_the_header,
    "another key by the same name": _another_key_by_its_name,
    "tampered": _tampered,
    "a logout token": lambda up, claims: up.signed(claims, typ="logout+jwt"),
    "an access token": lambda up, claims: up.signed(claims, typ="at+jwt"),
    "critical": _critical,
    "no token": lambda _, claims: "x.y.z",
    "huge": lambda up, claims: up.signed({**claims, "pad": "x" * 20_000}),
    "a list": lambda up, claims: up.signed([claims]),  # type: ignore[arg-type] # what it must not be
}


@pytest.mark.parametrize("name", FORGED)
def test_an_id_token_that_is_not_signed_by_the_provider_signs_nobody_in(
    federation: Federation, name: str
) -> None:
    upstream = federation.upstream
    federation.link("bob", "bob there")
    upstream.sign = lambda claims: FORGED[name](upstream, claims)
    surfer = federation.surfer()
    refused(federation, surfer, upstream.sign_in(federation.set_out(surfer)))
