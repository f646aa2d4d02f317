"""Signing out, in both directions: what ends there ends here, and who wants to is led on there."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from authlib.oauth2.rfc7636 import (  # type: ignore[import-untyped] # Authlib ships no types
    create_s256_code_challenge,
)
from sqlalchemy import select

from iam.db.provider_tables import federated_session
from iam.server.jobs import make_deliverer
from tests.federation.conftest import Federation
from tests.support.receiver import Receiver
from tests.support.surfer import Surfer
from tests.support.upstream import Upstream, query_of
from tests.support.world import ISSUER

CALLBACK = "https://wiki.acme.example/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-x"


def _tell(federation: Federation, token: str) -> httpx2.Response:
    path = f"/oauth/backchannel-logout/{federation.provider['id']}"
    answer: httpx2.Response = federation.world.post(path, data={"logout_token": token})
    assert answer.headers["cache-control"] == "no-store"
    return answer


def _enter(federation: Federation, surfer: Surfer, client: dict[str, Any]) -> str:
    """Enter the application by OpenID Connect; its session's ID."""
    query = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "code_challenge": create_s256_code_challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    back = surfer.get(f"/oauth/authorize?{urlencode(query)}").headers["location"]
    form = {
        "grant_type": "authorization_code",
        "code": query_of(back)["code"],
        "redirect_uri": CALLBACK,
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "code_verifier": VERIFIER,
    }
    assert federation.world.post("/oauth/token", data=form).status_code == 200
    page = federation.world.get(
        f"/v1/sessions?application=wiki&parent={surfer.session_id}", headers=federation.admin
    ).json()
    return str(page["items"][0]["id"])


def test_a_sign_out_there_ends_that_session_here_with_what_was_entered_from_it(
    both_federations: Federation,
) -> None:
    federation = both_federations
    one, other = federation.surfer(), federation.surfer()
    federation.sign_in(one, subject="s", sid="one")
    federation.sign_in(other, subject="s", sid="other")
    assert _tell(federation, federation.upstream.logout_token(sid="one")).status_code == 200
    ended = federation.session(one)
    assert (ended["state"], ended["end_reason"]) == ("ended", "signed_out")
    assert ended["ended_by"] == "provider:acme/idp"
    assert federation.session(other)["state"] == "active"
    assert one.get("/account/sessions").headers["location"].startswith("/sign-in")
    [event] = [e for e in federation.events("session.ended") if e["session"] == one.session_id]
    assert event["actor"] == "provider:acme/idp"
    assert event["data"]["note"] == "signed out at Example ID"
    # Again, about what is over: that is no mistake.
    assert _tell(federation, federation.upstream.logout_token(sid="one")).status_code == 200


def test_a_sign_out_everywhere_there_ends_all_that_were_born_of_them(
    federation: Federation,
) -> None:
    surfers = [federation.surfer() for _ in range(3)]
    for number, surfer in enumerate(surfers):
        federation.sign_in(surfer, subject="s", sid=str(number))
    stranger, local = federation.surfer(), federation.surfer()
    federation.sign_in(stranger, subject="t", sid="3")
    local.sign_in("acme", "bob")
    assert _tell(federation, federation.upstream.logout_token(sub="s")).status_code == 200
    assert {federation.session(one)["state"] for one in surfers} == {"ended"}
    assert federation.session(stranger)["state"] == "active"
    assert federation.session(local)["state"] == "active"
    # Both: only what fits both.
    token = federation.upstream.logout_token(sub="somebody else", sid="3")
    assert _tell(federation, token).status_code == 200
    assert federation.session(stranger)["state"] == "active"


REFUSED: dict[str, Callable[[Upstream], str]] = {
    "a nonce": lambda up: up.logout_token(sub="s", nonce="x"),
    "no event": lambda up: up.logout_token(sub="s", events=None),
    "another event": lambda up: up.logout_token(sub="s", events={"https://x.example": {}}),
    "an event that is no object": lambda up: up.logout_token(
        sub="s", events={"http://schemas.openid.net/event/backchannel-logout": True}
    ),
    "events that are no object": lambda up: up.logout_token(sub="s", events=["x"]),
    "nobody": lambda up: up.logout_token(),
    "a sub that is no text": lambda up: up.logout_token(sub=1, sid="one"),
    "without a jti": lambda up: up.logout_token(sub="s", jti=None),
    "another issuer": lambda up: up.logout_token(sub="s", iss="https://evil.example"),
    "another audience": lambda up: up.logout_token("somebody else", sub="s"),
    "expired": lambda up: up.logout_token(sub="s", exp=up.clock() // 1000 - 61),
    "without an end": lambda up: up.logout_token(sub="s", exp=None),
    "of the future": lambda up: up.logout_token(sub="s", iat=up.clock() // 1000 + 120),
    "an ID token": lambda up: up.signed({"iss": up.issuer, "aud": "iam", "sub": "s"}, typ="at+jwt"),
    "no token": lambda _: "x",
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_logout_token_that_is_none_ends_nothing(federation: Federation, name: str) -> None:
    surfer = federation.surfer()
    federation.sign_in(surfer, subject="s", sid="one")
    answer = _tell(federation, REFUSED[name](federation.upstream))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert federation.session(surfer)["state"] == "active"


def test_an_id_token_of_ones_own_signs_nobody_out(federation: Federation) -> None:
    surfer = federation.surfer()
    federation.sign_in(surfer, subject="s", sid="one")
    grant = next(iter(federation.upstream.tokens.values()))
    assert _tell(federation, federation.upstream.id_token(grant, "x")).status_code == 400
    assert federation.session(surfer)["state"] == "active"


def test_a_logout_token_is_taken_once(both_federations: Federation) -> None:
    federation = both_federations
    token = federation.upstream.logout_token(sub="s")
    barrier = threading.Barrier(4)

    def tell(_: int) -> int:
        barrier.wait()
        return _tell(federation, token).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(tell, range(4))) == [200, 400, 400, 400]


def test_a_request_that_is_no_notice_is_400(federation: Federation) -> None:
    path = f"/oauth/backchannel-logout/{federation.provider['id']}"
    token = federation.upstream.logout_token(sub="s")
    world = federation.world
    for options in (
        {"json": {"logout_token": token}},
        {"data": {"token": token}},
        {"content": f"logout_token={token}&logout_token={token}", "headers": {}},
    ):
        if "content" in options:
            options["headers"] = {"content-type": "application/x-www-form-urlencoded"}
        assert world.post(path, **options).status_code == 400
    for unknown in ("idp_00000000000000000000000000", "x", "%00"):
        answer = world.post(f"/oauth/backchannel-logout/{unknown}", data={"logout_token": token})
        assert answer.status_code == 400
    assert world.get(path).status_code == 405


def test_a_notice_that_cannot_be_judged_may_come_again(federation: Federation) -> None:
    path = "/.well-known/openid-configuration"
    federation.upstream.answers = {path: lambda: (500, b"")}
    token = federation.upstream.logout_token(sub="s")
    assert _tell(federation, token).status_code == 503
    federation.upstream.answers = {}
    assert _tell(federation, token).status_code == 200


def test_the_notice_goes_on_to_the_applications_here(federation: Federation) -> None:
    with Receiver() as receiver:
        client = federation.world.make_application(
            "acme",
            "wiki",
            redirect_uris=[CALLBACK],
            backchannel_logout_uri=f"{receiver.url}/logout",
        )
        surfer = federation.surfer()
        federation.sign_in(surfer, subject="s", sid="one")
        child = _enter(federation, surfer, client)
        detail = federation.world.get(f"/v1/sessions/{child}", headers=federation.admin).json()
        assert detail["federated"]["session"] == "one"
        assert _tell(federation, federation.upstream.logout_token(sid="one")).status_code == 200
        engine = federation.world.engine
        deliverer = make_deliverer(engine)
        federation.world.portal.call(deliverer.run_due)
        federation.world.portal.call(deliverer.close)
        [notice] = receiver.notices
        assert "logout_token" in notice.form
    ended = federation.world.get(f"/v1/sessions/{child}", headers=federation.admin).json()
    assert ended["end_reason"] == "parent_ended"


def test_who_signs_out_here_is_led_on_there_where_that_is_wanted(
    both_federations: Federation,
) -> None:
    federation, surfer = both_federations, both_federations.surfer()
    issuer = federation.upstream.issuer
    federation.sign_in(surfer, subject="s")
    surfer.get("/sign-out")
    assert "refresh" not in surfer.submit("/sign-out").headers
    options = {"issuer": issuer, "client_id": "iam", "sign_out_there": True}
    federation.change(options=options)
    federation.sign_in(surfer, subject="s")
    surfer.get("/sign-out")
    answer = surfer.submit("/sign-out")
    assert "iam" not in surfer.cookies
    address = answer.headers["refresh"].partition("url=")[2]
    assert address.startswith(f"{issuer}/logout?")
    asked = query_of(address)
    assert asked["post_logout_redirect_uri"] == f"{ISSUER}/sign-out/done"
    assert asked["client_id"] == "iam"
    assert asked["id_token_hint"].count(".") == 2
    assert "Sign out of Example ID" in surfer.page
    back = surfer.get(f"/sign-out/done?{urlencode({'state': asked['state']})}")
    assert back.status_code == 200
    assert "You are signed out" in surfer.page


def test_an_applications_sign_out_leads_there_and_then_back_to_it(federation: Federation) -> None:
    issuer = federation.upstream.issuer
    options = {"issuer": issuer, "client_id": "iam", "sign_out_there": True}
    federation.change(options=options)
    onward = "https://wiki.acme.example/bye"
    client = federation.world.make_application(
        "acme", "wiki", redirect_uris=[CALLBACK], post_logout_redirect_uris=[onward]
    )
    surfer = federation.surfer()
    federation.sign_in(surfer, subject="s")
    query = {"client_id": client["client_id"], "post_logout_redirect_uri": onward, "state": "x"}
    surfer.get(f"/oauth/logout?{urlencode(query)}")
    answer = surfer.submit("/oauth/logout/confirm", **query)
    address = answer.headers["refresh"].partition("url=")[2]
    assert address.startswith(f"{issuer}/logout?")
    state = query_of(address)["state"]
    answer = surfer.get(f"/sign-out/done?{urlencode({'state': state})}")
    assert answer.headers["location"] == f"{onward}?state=x"
    # Once: whoever has the address later is led nowhere.
    assert surfer.get(f"/sign-out/done?{urlencode({'state': state})}").status_code == 200
    assert surfer.get("/sign-out/done?state=%00").status_code == 200


def test_the_hint_lies_encrypted(federation: Federation) -> None:
    issuer = federation.upstream.issuer
    options = {"issuer": issuer, "client_id": "iam", "sign_out_there": True}
    federation.change(options=options)
    federation.sign_in(subject="s")
    query = select(federated_session.c.hint)
    hint = federation.world.engine.database.read(lambda c: c.execute(query).scalar_one())
    assert hint.startswith("v1.")
    assert "eyJ" not in hint
