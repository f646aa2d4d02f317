"""OAuth 2 servers: who somebody is, is told by an endpoint, and each preset has its own words."""

from typing import Any

import pytest

from tests.federation.conftest import Federation
from tests.support.surfer import Surfer
from tests.support.upstream import query_of


def _add(federation: Federation, preset: str | None, **more: Any) -> dict[str, Any]:
    issuer = federation.upstream.issuer
    options = {
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "preset": preset,
        **({"emails_endpoint": f"{issuer}/emails"} if preset == "github" else {}),
        **({"issuer": issuer} if preset == "google" else {}),
        **more,
    }
    made: dict[str, Any] = federation.add(preset or "own", "oauth2", **options)
    federation.provider = made
    return made


def _sign_in(federation: Federation, surfer: Surfer, **told: Any) -> Any:
    back = federation.upstream.sign_in(federation.set_out(surfer), userinfo=told)
    return federation.come_back(surfer, back)


@pytest.mark.parametrize("preset", ["google", "microsoft", "gitlab"])
def test_the_presets_ask_for_what_tells_who_somebody_is(
    federation: Federation, preset: str
) -> None:
    _add(federation, preset)
    surfer = federation.surfer()
    asked = query_of(federation.set_out(surfer, prompt="login", login_hint="ann"))
    assert set(asked["scope"].split()) == {"openid", "email", "profile"}
    assert asked["prompt"] == ("select_account" if preset == "google" else "login")
    assert asked["login_hint"] == "ann"
    assert asked["code_challenge_method"] == "S256"
    answer = _sign_in(federation, surfer, sub="1234", name="Ann", email="a@x.example")
    assert answer.status_code == 303
    session = federation.session(surfer)
    assert session["federated"]["subject"] == "1234"
    # Nobody said that the address is verified.
    assert federation.users()[session["user"]]["email"] is None


def test_github_is_told_by_its_number_and_its_verified_address(federation: Federation) -> None:
    _add(federation, "github")
    federation.upstream.emails = [
        {"email": "second@x.example", "primary": False, "verified": True},
        {"email": "first@x.example", "primary": True, "verified": True},
    ]
    surfer = federation.surfer()
    told = {"id": 4711, "login": "octocat", "name": "Octo Cat", "email": "claimed@x.example"}
    assert _sign_in(federation, surfer, **told).status_code == 303
    assert federation.session(surfer)["federated"]["subject"] == "4711"
    made = federation.users()["octocat"]
    assert (made["display_name"], made["email"]) == ("Octo Cat", "first@x.example")
    # The name was given to somebody else there: another number, another user.
    federation.upstream.emails = [{"email": "x@x.example", "primary": True, "verified": False}]
    other = federation.surfer()
    _sign_in(federation, other, **{**told, "id": 4712})
    assert federation.session(other)["user"] == "octocat-2"
    assert federation.users()["octocat-2"]["email"] is None


def test_github_says_200_to_what_it_refuses(federation: Federation) -> None:
    _add(federation, "github")
    federation.upstream.token_answer = lambda _: (200, {"error": "bad_verification_code"})
    assert _sign_in(federation, federation.surfer(), id=1).status_code == 403


@pytest.mark.parametrize("subject", [None, True, "", 1.5, ["1"], "x" * 300, "a\nb"])
def test_who_has_no_subject_is_nobody(federation: Federation, subject: Any) -> None:
    _add(federation, None, subject_claim="number")
    surfer = federation.surfer()
    assert _sign_in(federation, surfer, number=subject).status_code == 403
    assert "iam" not in surfer.cookies


def test_an_answer_that_names_another_issuer_is_refused(federation: Federation) -> None:
    _add(federation, "google", issuer="https://accounts.google.com")
    assert _sign_in(federation, federation.surfer()).status_code == 403


def test_without_a_preset_every_endpoint_has_to_be_given(federation: Federation) -> None:
    body = {
        "organization": "acme",
        "name": "half",
        "kind": "oauth2",
        "options": {"client_id": "iam", "token_endpoint": "https://id.example/token"},
    }
    answer = federation.world.post("/v1/providers", json=body, headers=federation.admin)
    assert answer.status_code == 403
    assert answer.json()["code"] == "provider_options_refused"
    body["options"] = {"client_id": "iam", "preset": "github"}
    answer = federation.world.post("/v1/providers", json=body, headers=federation.admin)
    assert answer.status_code == 201
    other = {"options": {"issuer": "https://id.example", "client_id": "iam"}}
    path = "/v1/providers/acme/half"
    answer = federation.world.patch(path, json=other, headers=federation.admin)
    assert answer.json()["code"] == "provider_options_refused"


def test_who_is_to_show_once_more_who_they_are_does_so_elsewhere(federation: Federation) -> None:
    """Such a server does not say when somebody signed in: it may not have asked them at all."""
    _add(federation, "github")
    surfer = federation.surfer()
    assert _sign_in(federation, surfer, id=1, login="ann").status_code == 303
    before = dict(surfer.cookies)
    back = federation.upstream.sign_in(
        federation.set_out(surfer, prompt="login"), userinfo={"id": 1, "login": "ann"}
    )
    answer = federation.come_back(surfer, back)
    assert answer.status_code == 403
    assert "does not say whether you have just signed in" in surfer.page
    assert surfer.cookies["iam"] == before["iam"]
    # As somebody else it is another sign-in.
    back = federation.upstream.sign_in(
        federation.set_out(surfer, prompt="login"), userinfo={"id": 2, "login": "eve"}
    )
    assert federation.come_back(surfer, back).status_code == 303
    assert federation.session(surfer)["user"] == "eve"
