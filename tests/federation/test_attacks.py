"""What an attacker could do on the way to a provider and back: refused, and no session or link is left."""

import base64
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey
from sqlalchemy import Connection, func, select

from iam.db.provider_tables import federated_session, federation_request, provider_link
from iam.db.tables import session, user_account
from iam.directory.providers import NewProvider, create_provider
from tests.federation.conftest import Federation
from tests.support.surfer import Surfer
from tests.support.upstream import Upstream, new_ec_key, query_of
from tests.support.world import ISSUER, World

Claims = dict[str, Any]


def _left(federation: Federation) -> tuple[int, ...]:
    """How many sessions of users of `acme`, links, births and users there are."""

    def work(connection: Connection) -> tuple[int, ...]:
        mine = select(func.count()).select_from(session).where(session.c.organization == "acme")
        others = (provider_link, federated_session, user_account)
        counts = (select(func.count()).select_from(table) for table in others)
        return tuple(connection.execute(query).scalar_one() for query in (mine, *counts))

    found: tuple[int, ...] = federation.world.engine.database.read(work)
    return found


def _with(location: str, **changed: str | None) -> str:
    """An answer's address with other parameters; None takes one away."""
    query = {**dict(parse_qsl(urlsplit(location).query)), **changed}
    kept = {name: value for name, value in query.items() if value is not None}
    return f"{location.partition('?')[0]}?{urlencode(kept)}"


def _refused(federation: Federation, surfer: Any, address: str, *statuses: int) -> None:
    before = _left(federation)
    answer = federation.come_back(surfer, address)
    assert answer.status_code in (statuses or (403, 422)), answer.text
    assert "iam" not in surfer.cookies
    assert _left(federation) == before


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
    _refused(federation, surfer, upstream.sign_in(federation.set_out(surfer)))
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
    _refused(federation, surfer, upstream.sign_in(federation.set_out(surfer)))


def test_an_answer_is_taken_once_and_only_in_its_browser(both_federations: Federation) -> None:
    federation, upstream = both_federations, both_federations.upstream
    surfer = federation.surfer()
    back = upstream.sign_in(federation.set_out(surfer))
    # Login CSRF: the attacker's answer in the victim's browser, with or without a way of its own.
    victim, bystander = federation.surfer(), federation.surfer()
    federation.set_out(victim)
    _refused(federation, victim, back)
    _refused(federation, bystander, back)
    # That has used it up for the attacker as well.
    _refused(federation, surfer, back)
    surfer = federation.surfer()
    back = upstream.sign_in(federation.set_out(surfer))
    assert federation.come_back(surfer, back).status_code == 303
    del surfer.cookies["iam"]
    _refused(federation, surfer, back)


def test_an_answer_of_another_sign_in_is_refused(federation: Federation) -> None:
    upstream = federation.upstream
    surfer, other = federation.surfer(), federation.surfer()
    mine, theirs = (upstream.sign_in(federation.set_out(one)) for one in (surfer, other))
    # A code that was stolen from somebody else, in one's own sign-in: PKCE and the nonce know it.
    _refused(federation, surfer, _with(mine, code=query_of(theirs)["code"]))
    surfer = federation.surfer()
    mine = upstream.sign_in(federation.set_out(surfer))
    _refused(federation, surfer, _with(mine, state=query_of(theirs)["state"]))


def test_a_code_that_was_used_is_worth_nothing(federation: Federation) -> None:
    upstream, surfer = federation.upstream, federation.surfer()
    back = upstream.sign_in(federation.set_out(surfer))
    upstream.grants[query_of(back)["code"]].used = True
    _refused(federation, surfer, back)


MANGLED: dict[str, Callable[[str], str]] = {
    "no state": lambda back: _with(back, state=None),
    "another state": lambda back: _with(back, state=secrets.token_urlsafe(32)),
    "NUL in the state": lambda back: _with(back, state="\x00"),
    "no code": lambda back: _with(back, code=None),
    "empty code": lambda back: _with(back, code=""),
    "unknown code": lambda back: _with(back, code="x\u0000y\ud7ff"),
    "two codes": lambda back: back + "&code=another",
    "two states": lambda back: back + "&state=another",
    "mixed up": lambda back: _with(back, iss="https://evil.example"),
    "without iss where it always is": lambda back: _with(back, iss=None),
    "huge": lambda back: back + "&x=" + "x" * 9000,
}


@pytest.mark.parametrize("name", MANGLED)
def test_an_answer_that_was_meddled_with_is_refused(federation: Federation, name: str) -> None:
    surfer = federation.surfer()
    back = federation.upstream.sign_in(federation.set_out(surfer))
    _refused(federation, surfer, MANGLED[name](back))


def test_an_answer_at_another_providers_address_is_refused(federation: Federation) -> None:
    """Mix-up: an honest provider's code must not be sent to a dishonest one's token endpoint."""
    with Upstream(federation.world.clock) as evil:
        other = federation.add("evil", "oidc", issuer=evil.issuer)
        surfer = federation.surfer()
        back = federation.upstream.sign_in(federation.set_out(surfer))
        moved = back.replace(federation.provider["id"], other["id"])
        _refused(federation, surfer, moved)
        assert [path for path, _, _ in evil.requests] == []


def test_an_answer_that_comes_too_late_is_refused(federation: Federation) -> None:
    surfer = federation.surfer()
    back = federation.upstream.sign_in(federation.set_out(surfer))
    federation.world.clock.move(10 * 60)
    _refused(federation, surfer, back)
    federation.world.sweep()

    def work(connection: Connection) -> int:
        query = select(func.count()).select_from(federation_request)
        return int(connection.execute(query).scalar_one())

    assert federation.world.engine.database.read(work) == 0


def test_what_is_remembered_of_a_sign_in_shows_no_secret(federation: Federation) -> None:
    address = federation.set_out(federation.surfer())

    def work(connection: Connection) -> str:
        return repr(connection.execute(select(federation_request)).all())

    stored = federation.world.engine.database.read(work)
    assert query_of(address)["state"] not in stored
    # Whoever reads the row and sees the code on its way could not redeem it.
    back = federation.upstream.sign_in(address)
    grant = federation.upstream.grants[query_of(back)["code"]]
    assert grant.asked["code_challenge"] not in stored


def test_nobody_is_led_elsewhere_by_a_sign_in(federation: Federation) -> None:
    for address in ("https://evil.example/", "//evil.example", "/\\evil.example", "/sign-out"):
        surfer = federation.surfer()
        back = federation.upstream.sign_in(federation.set_out(surfer, return_to=address))
        answer = federation.come_back(surfer, back)
        assert answer.headers["location"] == "/account/sessions"


def test_an_attackers_account_is_not_linked_in_a_victims_browser(federation: Federation) -> None:
    """The victim is signed in; the attacker has them follow an answer to a link that the attacker began."""
    attacker, victim = federation.surfer(), federation.surfer()
    federation.world.make_user("acme", "mallory")
    attacker.sign_in("acme", "mallory")
    victim.sign_in("acme", "bob")
    attacker.get("/account/ways")
    page = attacker.submit(f"/account/ways/{federation.provider['id']}/link")
    address = attacker.page.split('id="onward" href="')[1].split('"')[0].replace("&amp;", "&")
    assert page.status_code == 200
    back = federation.upstream.sign_in(address, subject="mallory there")
    before = _left(federation)
    answer = federation.come_back(victim, back)
    assert answer.status_code == 422
    assert _left(federation) == before
    # Nor does a form of another site begin one.
    forged = victim.post(
        f"/account/ways/{federation.provider['id']}/link", {}, origin="https://evil.example"
    )
    assert forged.status_code == 403


def test_what_the_provider_answers_is_bounded_and_led_nowhere(federation: Federation) -> None:
    upstream = federation.upstream
    path = "/.well-known/openid-configuration"
    for answer in (
        lambda: (302, b""),
        lambda: (404, b"{}"),
        lambda: (500, b"{}"),
        lambda: (200, b"<html>"),
        lambda: (200, b"[" * 100_000),
        lambda: (200, b'{"issuer": "' + b"x" * 300_000 + b'"}'),
        lambda: (200, b'{"issuer": "https://evil.example"}'),
        lambda: (200, b'{"issuer": "' + upstream.issuer.encode() + b'"}'),
        lambda: (200, b'{"issuer": "' + upstream.issuer.encode() + b'", "token_endpoint": 7}'),
    ):
        upstream.answers = {path: answer}
        surfer = federation.surfer()
        reply = surfer.get(f"/sign-in/with/{federation.provider['id']}")
        assert reply.status_code in (403, 503), reply.text
        assert "/sign-in/acme" in surfer.page
    assert "/elsewhere" not in {one for one, _, _ in upstream.requests}
    upstream.answers = {}
    for path in ("/token", "/jwks", "/userinfo"):
        for answer in (lambda: (302, b""), lambda: (500, b""), lambda: (200, b"\xff{")):
            federation.world.clock.move(3601)
            upstream.answers = {path: answer}
            surfer = federation.surfer()
            back = upstream.sign_in(federation.set_out(surfer))
            if path != "/jwks":
                _refused(federation, surfer, back, 403, 503)
        upstream.answers = {}


def test_a_private_address_is_not_asked_unless_the_setting_says_so(world: World) -> None:
    world.make_organization("acme")
    admin = world.admin
    for url in (
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "http://id.example/",
        "https://localhost/",
    ):
        body = {
            "organization": "acme",
            "name": "inner",
            "kind": "oidc",
            "options": {"issuer": url, "client_id": "iam"},
        }
        answer = world.post("/v1/providers", json=body, headers=admin)
        assert answer.status_code == 403, url
        assert answer.json()["code"] == "provider_url_refused"


def test_nor_is_one_that_was_let_in_before_the_setting_was_changed(world: World) -> None:
    world.make_organization("acme")
    engine = world.engine
    with Upstream(world.clock) as upstream:
        options = {"issuer": upstream.issuer, "client_id": "iam"}
        new = NewProvider(kind="oidc", display_name="Inner", options=options)
        made = engine.database.write(
            lambda c: create_provider(
                c, "acme", "inner", new, now=world.clock(), random=engine.random
            )
        )
        assert Surfer(world).get(f"/sign-in/with/{made.id}").status_code == 403
        assert upstream.requests == []


def test_the_keys_may_change_and_are_not_asked_for_at_every_mistake(
    federation: Federation,
) -> None:
    upstream = federation.upstream
    assert federation.sign_in(subject="s").status_code == 303
    upstream.keys = [new_ec_key("two"), *upstream.keys]
    federation.world.clock.move(61)
    assert federation.sign_in(subject="s").status_code == 303

    def asked() -> int:
        return sum(path == "/jwks" for path, _, _ in upstream.requests)

    before = asked()
    upstream.sign = lambda claims: upstream.signed(claims, new_ec_key("unheard of"))
    for _ in range(5):
        assert federation.sign_in(subject="s").status_code == 403
    assert asked() - before <= 1


def test_a_provider_that_is_down_for_a_while_is_still_believed_by_its_last_keys(
    federation: Federation,
) -> None:
    upstream = federation.upstream
    assert federation.sign_in(subject="s").status_code == 303
    federation.world.clock.move(2 * 3600)
    upstream.answers = {
        "/jwks": lambda: (500, b""),
        "/.well-known/openid-configuration": lambda: (500, b""),
    }
    assert federation.sign_in(subject="s").status_code == 303
    federation.world.clock.move(25 * 3600)
    surfer = federation.surfer()
    path = f"/sign-in/with/{federation.provider['id']}"
    assert surfer.get(path).status_code == 503
    assert ISSUER not in surfer.page.split("<main")[1].split("</main")[0]
