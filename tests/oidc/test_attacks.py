"""A table of attacks on the token side: each with its refusal, and none leaves anything behind."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, func, select

from iam.db.tables import session as session_table
from iam.db.token_tables import access_token, refresh_token
from iam.sessions.model import BUILT_IN_APPLICATION
from tests.oidc import test_client_auth, test_dpop
from tests.oidc.conftest import CALLBACK, Party

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture(scope="module")
def target(party: Party) -> Party:
    """Every grant is allowed, so that only the attack itself can be what is refused."""
    admin = party.world.admin
    everything = [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        DEVICE_CODE,
        EXCHANGE,
    ]
    for name in ("wiki", "shop", "mail", "phone", "tablet"):
        change: dict[str, Any] = {"grant_types": everything, "access_token_format": "opaque"}
        answer = party.world.patch(f"/v1/applications/acme/{name}", json=change, headers=admin)
        assert answer.status_code == 200
    test_client_auth.register(party, "signer", "private_key_jwt")
    return party


def code(party: Party, **changes: str) -> str:
    return party.code(party.browser().token, **changes)


def tokens(party: Party, application: str = "mail", **changes: str) -> dict[str, Any]:
    return party.tokens(party.browser().token, application, **changes)


def expired(party: Party, seconds: int, value: str) -> str:
    party.world.clock.move(seconds)
    return value


def tampered(text: str) -> str:
    """One character of it, in the middle of its last part, is another one."""
    at = text.rindex(".") + 8
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def with_assertion(party: Party, text: str) -> httpx2.Response:
    return party.form(
        "/oauth/token",
        {
            "grant_type": "authorization_code",
            "code": party.code(party.browser().token, "signer"),
            "redirect_uri": party.applications["signer"].redirect_uris[0],
            "code_verifier": "a-verifier-that-is-long-enough-for-rfc-7636-x",
            "client_assertion_type": test_client_auth.TYPE,
            "client_assertion": text,
        },
    )


def assertion(party: Party, **changes: Any) -> str:
    return test_client_auth.assertion(party, **changes)


def used_assertion(party: Party) -> str:
    text = assertion(party)
    assert test_client_auth.introspect(party, text)["status"] == 200
    return text


def with_proof(party: Party, text: str) -> httpx2.Response:
    return test_dpop.redeem(party, party.code(party.browser().token, "mail"), "mail", text)


def used_proof(party: Party) -> str:
    text = test_dpop.proof(party)
    party.form("/oauth/token", {"grant_type": "x"}, headers={"dpop": text})
    return text


def exchanged(party: Party, text: str, application: str = "shop") -> httpx2.Response:
    return party.ask(
        "/oauth/token",
        application,
        grant_type=EXCHANGE,
        subject_token=text,
        subject_token_type=ACCESS,
    )


def polled(party: Party, text: str, application: str = "shop") -> httpx2.Response:
    return party.ask("/oauth/token", application, grant_type=DEVICE_CODE, device_code=text)


def device_code(party: Party, application: str = "shop") -> str:
    found: str = party.ask("/oauth/device", application).json()["device_code"]
    return found


Preparation = Callable[[Party], Any]
Attack = Callable[[Party, Any], httpx2.Response]

ATTACKS: dict[str, tuple[Preparation, Attack, str]] = {
    "a code that expired": (
        lambda p: expired(p, 60, code(p)),
        lambda p, x: p.redeem(x),
        "invalid_grant",
    ),
    "a code of another application": (
        code,
        lambda p, x: p.redeem(x, "shop", redirect_uri=CALLBACK),
        "invalid_grant",
    ),
    "a code with another verifier": (
        code,
        lambda p, x: p.redeem(x, code_verifier="x" * 43),
        "invalid_grant",
    ),
    "a code that was tampered with": (
        code,
        lambda p, x: p.redeem(x[:-1] + ("A" if x[-1] != "A" else "B")),
        "invalid_grant",
    ),
    "a code as a refresh token": (
        code,
        lambda p, x: p.refresh(x, "wiki"),
        "invalid_grant",
    ),
    "a refresh token as a code": (
        lambda p: tokens(p)["refresh_token"],
        lambda p, x: p.redeem(x, "mail"),
        "invalid_grant",
    ),
    "a refresh token that was tampered with": (
        lambda p: tokens(p)["refresh_token"],
        lambda p, x: p.refresh(tampered(x[: x.rindex(".")] + "." + x[x.rindex(".") + 1 :][::-1])),
        "invalid_grant",
    ),
    "a refresh token of another application": (
        lambda p: tokens(p)["refresh_token"],
        lambda p, x: p.refresh(x, "tablet"),
        "invalid_grant",
    ),
    "a refresh token of a session that is idle": (
        lambda p: expired(p, 1800, tokens(p)["refresh_token"]),
        lambda p, x: p.refresh(x),
        "invalid_grant",
    ),
    "an access token as a refresh token": (
        lambda p: tokens(p)["access_token"],
        lambda p, x: p.refresh(x),
        "invalid_grant",
    ),
    "an assertion that was used": (used_assertion, with_assertion, "invalid_client"),
    "an assertion that expired": (
        lambda p: expired(p, 60, assertion(p)),
        with_assertion,
        "invalid_client",
    ),
    "an assertion for another server": (
        lambda p: assertion(p, aud="https://other.test"),
        with_assertion,
        "invalid_client",
    ),
    "an assertion that was tampered with": (
        lambda p: tampered(assertion(p)),
        with_assertion,
        "invalid_client",
    ),
    "a proof that was used": (used_proof, with_proof, "invalid_dpop_proof"),
    "a proof that is old": (
        lambda p: expired(p, 60, test_dpop.proof(p)),
        with_proof,
        "invalid_dpop_proof",
    ),
    "a proof of another request": (
        lambda p: test_dpop.proof(p, test_dpop.USERINFO),
        with_proof,
        "invalid_dpop_proof",
    ),
    "a proof that was tampered with": (
        lambda p: tampered(test_dpop.proof(p)),
        with_proof,
        "invalid_dpop_proof",
    ),
    "an exchange of somebody else's token": (
        lambda p: tokens(p, "wiki")["access_token"],
        exchanged,
        "invalid_request",
    ),
    "an exchange of a token that expired": (
        lambda p: expired(p, 600, tokens(p, "shop")["access_token"]),
        exchanged,
        "invalid_request",
    ),
    "an exchange of an ID token": (
        lambda p: tokens(p, "shop")["id_token"],
        exchanged,
        "invalid_request",
    ),
    "a device code that nobody approved": (device_code, polled, "authorization_pending"),
    "a device code of another application": (
        lambda p: device_code(p, "wiki"),
        polled,
        "invalid_grant",
    ),
    "a device code that expired": (
        lambda p: expired(p, 600, device_code(p)),
        polled,
        "expired_token",
    ),
}


def kept(party: Party) -> tuple[int, ...]:
    """How many sessions of applications, refresh tokens and access tokens there are."""

    def work(connection: Connection) -> tuple[int, ...]:
        entered = session_table.c.application != BUILT_IN_APPLICATION
        queries = (
            select(func.count()).select_from(session_table).where(entered),
            select(func.count()).select_from(refresh_token),
            select(func.count()).select_from(access_token),
        )
        return tuple(connection.execute(query).scalar_one() for query in queries)

    return party.world.engine.database.read(work)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_leaves_nothing_behind(target: Party, name: str) -> None:
    prepare, attack, error = ATTACKS[name]
    prepared = prepare(target)
    before = kept(target)

    answer = attack(target, prepared)

    assert (answer.json()["error"], answer.headers["cache-control"]) == (error, "no-store")
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert {"access_token", "refresh_token", "id_token"} & set(answer.json()) == set()
    assert kept(target) == before


def test_a_code_that_is_replayed_ends_what_it_gave(target: Party) -> None:
    value = code(target)
    first = target.redeem(value).json()
    before = kept(target)

    again = target.redeem(value)

    assert again.json()["error"] == "invalid_grant"
    assert kept(target) == before
    assert target.userinfo(first["access_token"]).status_code == 401
    assert target.refresh(first["refresh_token"], "wiki").json()["error"] == "invalid_grant"
