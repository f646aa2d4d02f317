"""What somebody could try with a sign-in through a provider: each is refused, and leaves nothing."""

import json
import secrets
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from sqlalchemy import Connection, func, select

from iam.db.provider_tables import federation_request
from tests.federation.conftest import Federation
from tests.support.federation_attacks import refused, what_is_left
from tests.support.upstream import Upstream, query_of


def _with(location: str, **changed: str | None) -> str:
    """An answer's address with other parameters; None takes one away."""
    query = {**dict(parse_qsl(urlsplit(location).query)), **changed}
    kept = {name: value for name, value in query.items() if value is not None}
    return f"{location.partition('?')[0]}?{urlencode(kept)}"


def test_an_answer_is_taken_once_and_only_in_its_browser(both_federations: Federation) -> None:
    federation, upstream = both_federations, both_federations.upstream
    surfer = federation.surfer()
    back = upstream.sign_in(federation.set_out(surfer))
    # Login CSRF: the attacker's answer in the victim's browser, with or without a way of its own.
    victim, bystander = federation.surfer(), federation.surfer()
    federation.set_out(victim)
    refused(federation, victim, back)
    refused(federation, bystander, back)
    # That has used it up for the attacker as well.
    refused(federation, surfer, back)
    surfer = federation.surfer()
    back = upstream.sign_in(federation.set_out(surfer))
    assert federation.come_back(surfer, back).status_code == 303
    del surfer.cookies["iam"]
    refused(federation, surfer, back)


def test_an_answer_of_another_sign_in_is_refused(federation: Federation) -> None:
    upstream = federation.upstream
    surfer, other = federation.surfer(), federation.surfer()
    mine, theirs = (upstream.sign_in(federation.set_out(one)) for one in (surfer, other))
    # A code that was stolen from somebody else, in one's own sign-in: PKCE and the nonce know it.
    refused(federation, surfer, _with(mine, code=query_of(theirs)["code"]))
    surfer = federation.surfer()
    mine = upstream.sign_in(federation.set_out(surfer))
    refused(federation, surfer, _with(mine, state=query_of(theirs)["state"]))


def test_a_code_that_was_used_is_worth_nothing(federation: Federation) -> None:
    upstream, surfer = federation.upstream, federation.surfer()
    back = upstream.sign_in(federation.set_out(surfer))
    upstream.grants[query_of(back)["code"]].used = True
    refused(federation, surfer, back)


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
    refused(federation, surfer, MANGLED[name](back))


def test_an_answer_at_another_providers_address_is_refused(federation: Federation) -> None:
    """Mix-up: an honest provider's code must not be sent to a dishonest one's token endpoint."""
    with Upstream(federation.world.clock) as evil:
        other = federation.add("evil", "oidc", issuer=evil.issuer)
        surfer = federation.surfer()
        back = federation.upstream.sign_in(federation.set_out(surfer))
        moved = back.replace(federation.provider["id"], other["id"])
        refused(federation, surfer, moved)
        assert [path for path, _, _ in evil.requests] == []


def test_an_answer_that_comes_too_late_is_refused(federation: Federation) -> None:
    surfer = federation.surfer()
    back = federation.upstream.sign_in(federation.set_out(surfer))
    federation.world.clock.move(10 * 60)
    refused(federation, surfer, back)
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
    before = what_is_left(federation)
    answer = federation.come_back(victim, back)
    assert answer.status_code == 422
    assert what_is_left(federation) == before
    # Nor does a form of another site begin one.
    forged = victim.post(
        f"/account/ways/{federation.provider['id']}/link", {}, origin="https://evil.example"
    )
    assert forged.status_code == 403


@pytest.mark.parametrize("end", ["\r\nset-cookie: a=b", "\n", "\u20ac", "/a b"])
def test_an_address_that_cannot_stand_in_a_header_is_none(federation: Federation, end: str) -> None:
    """The page that leads on to a provider has its address in `Refresh`."""
    surfer, upstream = federation.surfer(), federation.upstream
    surfer.sign_in("acme", "bob")
    address = f"{upstream.issuer}/authorize{end}"
    body = json.dumps({**upstream.discovery, "authorization_endpoint": address}).encode()
    upstream.answers = {"/.well-known/openid-configuration": lambda: (200, body)}
    surfer.get("/account/ways")
    answer = surfer.submit(f"/account/ways/{federation.provider['id']}/link")
    assert answer.status_code == 503
    assert "refresh" not in answer.headers
