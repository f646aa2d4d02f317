"""A second factor of ours and somebody who comes by another provider."""

from typing import Any

from tests.support.authenticator import give_authenticator

Federation = Any  # conftest's own: test folders are no packages


def test_who_comes_by_a_provider_is_asked_only_where_an_application_wants_it(
    federation: Federation,
) -> None:
    federation.link("bob", "sub-bob")
    app = give_authenticator(federation.world, "acme", "bob")
    surfer = federation.surfer()

    assert federation.sign_in(surfer, subject="sub-bob").status_code == 303
    before, session = surfer.cookies["iam"], federation.session(surfer)
    assert session["amr"] == ["fed"]
    surfer.get("/second-factor")
    raised = surfer.submit("/second-factor", code=app.code(), return_to="/account/activity")

    assert raised.headers["location"] == "/account/activity"
    assert surfer.cookies["iam"] != before
    now = federation.session(surfer)
    assert (now["id"], now["amr"]) == (session["id"], ["fed", "otp", "mfa"])
    assert now["acr"] == "urn:hanzo:iam:acr:2"
    assert now["authenticated_at"] == session["authenticated_at"]
    assert now["federated"] == session["federated"]


def test_with_the_password_the_same_person_is_asked(federation: Federation) -> None:
    federation.link("bob", "sub-bob")
    give_authenticator(federation.world, "acme", "bob")

    asked = federation.surfer().sign_in("acme", "bob")

    assert 'autocomplete="one-time-code"' in asked.text
