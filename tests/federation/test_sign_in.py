"""Signing in through a provider: the way there and back, and the session it leads to."""

import base64
from urllib.parse import quote_plus

from iam.kernel.clock import from_iso
from tests.federation.conftest import Federation
from tests.support.surfer import Surfer
from tests.support.upstream import query_of


def test_the_sign_in_page_of_an_organization_offers_its_providers(federation: Federation) -> None:
    surfer = federation.surfer()
    surfer.get("/sign-in/acme?return_to=/account/activity")
    assert "Continue with Example ID" in surfer.page
    assert f"/sign-in/with/{federation.provider['id']}?return_to=%2Faccount" in surfer.page
    federation.change(enabled=False)
    surfer.get("/sign-in/acme")
    assert "Continue with" not in surfer.page


def test_what_the_provider_is_asked_is_bound_and_single(federation: Federation) -> None:
    asked = query_of(federation.set_out(federation.surfer(), login_hint="ann@acme.example"))
    assert asked["response_type"] == "code"
    assert asked["scope"] == "openid profile email"
    assert asked["code_challenge_method"] == "S256"
    assert asked["login_hint"] == "ann@acme.example"
    assert asked["redirect_uri"] == federation.provider["redirect_uri"]
    assert {len(asked[name]) for name in ("state", "nonce", "code_challenge")} == {43}
    other = query_of(federation.set_out(federation.surfer()))
    assert not {asked["state"], asked["nonce"]} & {other["state"], other["nonce"]}


def test_somebody_else_who_comes_by_a_provider_is_an_account_besides(
    federation: Federation,
) -> None:
    surfer = federation.surfer()
    federation.sign_in(surfer, subject="sub-1", preferred_username="ann")
    ann = surfer.cookies["iam"]
    federation.sign_in(surfer, subject="sub-2", preferred_username="ben")
    assert federation.session(surfer)["user"] == "ben"
    assert surfer.cookies["iam-others"] == ann
    ben = surfer.cookies["iam"]
    federation.sign_in(surfer, subject="sub-1", preferred_username="ann")
    assert surfer.session_id == ann.partition(".")[0], "there already: raised"
    assert surfer.cookies["iam"] != ann
    assert surfer.cookies["iam-others"] == ben


def test_nobody_comes_in_who_is_switched_off(federation: Federation) -> None:
    federation.link("bob", "bob there")
    headers = federation.admin
    for path, word in (
        ("/v1/users/acme/bob", "user"),
        ("/v1/organizations/acme", "organization"),
    ):
        surfer = federation.surfer()
        back = federation.upstream.sign_in(federation.set_out(surfer), subject="bob there")
        federation.world.patch(path, json={"enabled": False}, headers=headers)
        assert federation.come_back(surfer, back).status_code == 403, word
        assert "iam" not in surfer.cookies, word
        federation.world.patch(path, json={"enabled": True}, headers=headers)
    surfer = federation.surfer()
    back = federation.upstream.sign_in(federation.set_out(surfer), subject="bob there")
    federation.change(enabled=False)
    assert federation.come_back(surfer, back).status_code == 404
    assert federation.surfer().get(f"/sign-in/with/{federation.provider['id']}").status_code == 404


def test_signing_in_there_raises_the_session_of_the_same_person_and_ends_nobody_elses(
    federation: Federation,
) -> None:
    federation.link("bob", "bob there")
    surfer = federation.surfer()
    surfer.sign_in("acme", "bob")
    before, token = surfer.session_id, surfer.cookies["iam"]
    federation.sign_in(surfer, subject="bob there")
    # The same person: the same session under a new secret.
    assert surfer.session_id == before
    assert surfer.cookies["iam"] != token
    assert federation.session(surfer)["amr"] == ["fed"]
    federation.sign_in(surfer, subject="somebody else")
    assert surfer.session_id != before
    former = federation.world.get(f"/v1/sessions/{before}", headers=federation.admin).json()
    assert former["end_reason"] is None


def test_who_has_no_room_chooses_and_the_choice_holds_the_proof(
    both_federations: Federation,
) -> None:
    federation = both_federations
    federation.link("bob", "bob there")
    limit = {"maximum_sessions": 1, "at_limit": "ask"}
    path = "/v1/policies/organizations/acme"
    federation.world.patch(path, json=limit, headers=federation.admin)
    first, second = federation.surfer(), federation.surfer()
    federation.sign_in(first, subject="bob there")
    answer = federation.sign_in(second, subject="bob there", sid="second")
    assert answer.status_code == 200
    assert "You are signed in elsewhere" in second.page
    fields = {first.session_id: "1", "ticket": _hidden(second, "ticket"), "return_to": "/account"}
    answer = second.submit("/choose-sessions", **fields)
    assert answer.status_code == 303
    assert federation.session(second)["federated"]["session"] == "second"
    assert federation.session(first)["state"] == "ended"


def test_a_choice_is_worth_nothing_once_the_link_or_the_provider_is_not_as_it_was(
    federation: Federation,
) -> None:
    federation.link("bob", "bob there")
    limit = {"maximum_sessions": 1, "at_limit": "ask"}
    federation.world.patch("/v1/policies/organizations/acme", json=limit, headers=federation.admin)
    holder = federation.surfer()
    federation.sign_in(holder, subject="bob there")
    links = "/v1/users/acme/bob/links"

    def unlink() -> None:
        [link] = federation.world.get(links, headers=federation.admin).json()["items"]
        gone = federation.world.delete(f"{links}/{link['id']}", headers=federation.admin)
        assert gone.status_code == 204

    def disable() -> None:
        federation.change(enabled=False)

    for spoil in (disable, unlink):
        federation.change(enabled=True)
        surfer = federation.surfer()
        assert federation.sign_in(surfer, subject="bob there").status_code == 200
        fields = {holder.session_id: "1", "ticket": _hidden(surfer, "ticket")}
        federation.world.clock.move(1)
        spoil()
        answer = surfer.submit("/choose-sessions", **fields)
        assert "iam" not in surfer.cookies
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
    assert federation.session(holder)["state"] == "active"


def _hidden(surfer: Surfer, name: str) -> str:
    return surfer.page.split(f'name="{name}" value="')[1].split('"')[0]


def test_we_show_who_we_are_as_the_provider_wants_it(federation: Federation) -> None:
    federation.sign_in(subject="s")
    _, headers, form = next(one for one in federation.upstream.requests if one[0] == "/token")
    shown = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
    assert shown == f"iam:{quote_plus('p+ss w?rd')}"
    assert "client_secret" not in form
    for method, members in (
        ("client_secret_post", {"client_id", "client_secret"}),
        ("private_key_jwt", {"client_id", "client_assertion", "client_assertion_type"}),
        ("none", {"client_id"}),
    ):
        options = {"issuer": federation.upstream.issuer, "client_id": "iam", "auth_method": method}
        federation.change(options=options)
        federation.upstream.requests.clear()
        assert federation.sign_in(subject="s").status_code == 303
        _, headers, form = next(one for one in federation.upstream.requests if one[0] == "/token")
        assert "authorization" not in headers
        usual = {"grant_type", "code", "redirect_uri", "code_verifier"}
        assert set(form) == usual | members, method


def test_claims_come_from_userinfo_too_if_it_is_about_the_same_person(
    federation: Federation,
) -> None:
    surfer = federation.surfer()
    there = {"preferred_username": "ann", "name": "Ann"}
    back = federation.upstream.sign_in(federation.set_out(surfer), "s", userinfo=there)
    assert federation.come_back(surfer, back).status_code == 303
    assert federation.session(surfer)["user"] == "ann"
    surfer = federation.surfer()
    other = {"sub": "somebody else", "preferred_username": "bob"}
    back = federation.upstream.sign_in(federation.set_out(surfer), "s", userinfo=other)
    assert federation.come_back(surfer, back).status_code == 403


def test_when_somebody_signed_in_there_is_when_they_did(federation: Federation) -> None:
    now = federation.world.clock()
    surfer = federation.surfer()
    federation.sign_in(surfer, subject="s", auth_time=now // 1000 - 3600)
    at = federation.session(surfer)["authenticated_at"]
    assert now - from_iso(at) == 3_600_000 + now % 1000


def test_an_account_is_not_stolen_by_an_application_of_another_organization(
    federation: Federation,
) -> None:
    federation.world.make_organization("globex")
    shop = federation.world.make_application("globex", "shop")
    path = f"/sign-in/with/{federation.provider['id']}"
    answer = federation.surfer().get(path, params={"application": shop["client_id"]})
    assert answer.status_code == 404
