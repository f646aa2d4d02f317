"""Whom a provider means: users that are made, linked and filled from its claims, and never taken over."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from iam.signin.federated_users import change_of
from iam.signin.federation import sign_in_through
from tests.federation.conftest import Federation, make_federation
from tests.support.postgres import Cluster
from tests.support.surfer import Surfer
from tests.support.upstream import Upstream
from tests.support.world import make_world


def test_whom_the_provider_knows_and_we_do_not_becomes_a_user(both_federations: Federation) -> None:
    federation, surfer = both_federations, both_federations.surfer()
    back = federation.upstream.sign_in(
        federation.set_out(surfer, return_to="/account/activity"),
        subject="sub-1",
        preferred_username="ann",
        name="Ann Other",
        email="ann@else.example",
        email_verified=True,
        sid="upstream-session",
        amr=["pwd", "mfa"],
        acr="urn:theirs:gold",
    )
    answer = federation.come_back(surfer, back)
    assert answer.headers["location"] == "/account/activity"
    made = federation.users()["ann"]
    assert (made["display_name"], made["email"]) == ("Ann Other", "ann@else.example")
    assert made["has_password"] is False
    session = federation.session(surfer)
    assert session["user"] == "ann"
    assert session["amr"] == ["fed"]
    assert session["federated"] == {
        "provider": "idp",
        "provider_id": federation.provider["id"],
        "subject": "sub-1",
        "session": "upstream-session",
        "amr": ["pwd", "mfa"],
        "acr": "urn:theirs:gold",
    }
    [succeeded] = [e for e in federation.events("sign_in.succeeded") if e["user"] == "ann"]
    assert succeeded["data"] == {"amr": ["fed"], "provider": "idp"}
    [linked] = federation.events("provider.linked")
    assert linked["data"] == {"provider": "idp", "subject": "sub-1", "by": "created"}
    assert linked["actor"] == "provider:acme/idp"
    [created] = [e for e in federation.events("user.created") if e["user"] == "ann"]
    assert created["data"]["provider"] == "idp"
    # The second time they are the same user, with a session of the same kind.
    again = federation.surfer()
    assert federation.sign_in(again, subject="sub-1").status_code == 303
    assert federation.session(again)["user"] == "ann"
    assert len(federation.events("provider.linked")) == 1
    # From a browser that was not seen before, which they are told of as after a password.
    [news] = federation.events("sign_in.new_device")
    assert (news["user"], news["data"]["mailed"]) == ("ann", True)
    assert federation.world.engine.metrics.sign_ins["succeeded"] >= 2


def test_without_creating_users_only_who_is_linked_comes_in(federation: Federation) -> None:
    federation.change(creates_users=False)
    surfer = federation.surfer()
    answer = federation.sign_in(surfer, subject="stranger", preferred_username="bob")
    assert answer.status_code == 403
    assert "No account here belongs to this account of Example ID" in surfer.page
    assert "/sign-in/acme" in surfer.page
    assert "iam" not in surfer.cookies
    [failed] = federation.events("sign_in.failed")
    assert (failed["reason"], failed["data"]) == ("federation_refused", {"provider": "idp"})
    federation.link("bob", "stranger")
    assert federation.sign_in(surfer, subject="stranger").status_code == 303
    assert federation.session(surfer)["user"] == "bob"


def test_of_two_who_come_for_the_first_time_at_once_one_is_made(
    both_federations: Federation,
) -> None:
    federation = both_federations
    surfers = [federation.surfer() for _ in range(4)]
    ways = [
        federation.upstream.sign_in(federation.set_out(one), "s", preferred_username="ann")
        for one in surfers
    ]
    barrier = threading.Barrier(len(surfers))

    def come_back(pair: tuple[Surfer, str]) -> int:
        barrier.wait()
        return federation.come_back(*pair).status_code

    with ThreadPoolExecutor(len(surfers)) as pool:
        assert set(pool.map(come_back, zip(surfers, ways, strict=True))) == {303}
    assert {federation.session(one)["user"] for one in surfers} == {"ann"}
    assert set(federation.users()) == {"bob", "ann"}
    assert len(federation.events("provider.linked")) == 1


def test_a_provider_does_not_become_another_under_its_users(federation: Federation) -> None:
    other = {"options": {"issuer": "https://id.example", "client_id": "iam"}}
    path = "/v1/providers/acme/idp"
    federation.link("bob", "1")
    answer = federation.world.patch(path, json=other, headers=federation.admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "provider_linked")
    # Whatever else of it may change.
    federation.change(options={"issuer": federation.upstream.issuer, "client_id": "another"})
    [link] = federation.world.get("/v1/users/acme/bob/links", headers=federation.admin).json()[
        "items"
    ]
    federation.world.delete(f"/v1/users/acme/bob/links/{link['id']}", headers=federation.admin)
    answer = federation.world.patch(
        path, json={**other, "client_secret": "of that one"}, headers=federation.admin
    )
    assert answer.status_code == 200


def test_a_name_that_is_taken_is_never_taken_over(federation: Federation) -> None:
    for number, name in enumerate(("bob", "bob", "Bob / Smith ", "é")):
        surfer = federation.surfer()
        federation.sign_in(surfer, subject=f"sub-{number}", preferred_username=name)
        assert federation.session(surfer)["user"] != "bob"
    assert set(federation.users()) == {"bob", "bob-2", "bob-3", "Bob-Smith", "user"}


def test_an_address_links_only_where_the_provider_is_trusted_for_it(
    both_federations: Federation,
) -> None:
    federation = both_federations
    claims = {"subject": "sub-bob", "email": "BOB@acme.example", "preferred_username": "robert"}
    surfer = federation.surfer()
    answer = federation.sign_in(surfer, **claims, email_verified=True)
    assert answer.status_code == 403
    assert "There is an account with the address" in surfer.page
    federation.change(trusted_domains=["acme.example"])
    # Not verified: then it is an address that somebody says of themselves.
    for unverified in (False, None, "yes", 1):
        surfer = federation.surfer()
        federation.sign_in(
            surfer, **{**claims, "subject": f"mallory {unverified}"}, email_verified=unverified
        )
        assert federation.session(surfer)["user"].startswith("robert")
        assert federation.users()[federation.session(surfer)["user"]]["email"] is None
    surfer = federation.surfer()
    assert federation.sign_in(surfer, **claims, email_verified=True).status_code == 303
    assert federation.session(surfer)["user"] == "bob"
    # An address that was given to somebody else there does not give them the account as well.
    answer = federation.sign_in(**{**claims, "subject": "new hire"}, email_verified=True)
    assert answer.status_code == 403


def test_an_address_that_two_users_have_links_nobody(federation: Federation) -> None:
    federation.world.make_user("acme", "rob", email="bob@acme.example")
    federation.change(trusted_domains=["acme.example"])
    answer = federation.sign_in(subject="x", email="bob@acme.example", email_verified=True)
    assert answer.status_code == 403


def test_what_an_administrator_has_mapped_is_filled_anew_each_time(federation: Federation) -> None:
    federation.change(
        attributes={"display_name": "nick", "roles": "groups", "email": "mail", "name": "uid"},
        options={"issuer": federation.upstream.issuer, "client_id": "iam", "trust_email": True},
    )
    first = {"subject": "s", "uid": "ann", "nick": "Ann", "mail": "ann@x.example"}
    federation.sign_in(
        **first, groups=["staff", "administrator", "auditor", "support", "with space", 7]
    )
    made = federation.users()["ann"]
    assert (made["display_name"], made["email"]) == ("Ann", "ann@x.example")
    assert made["roles"] == ["staff", "7"]
    federation.sign_in(subject="s", nick="Annie", mail="bob@acme.example", groups=["boss"])
    now = federation.users()["ann"]
    # Bob's address stays Bob's.
    assert (now["display_name"], now["email"], now["roles"]) == ("Annie", "ann@x.example", ["boss"])
    [updated] = federation.events("user.updated")
    assert updated["data"] == {
        "changed": ["display_name", "roles"],
        "roles": ["boss"],
        "provider": "idp",
    }
    federation.sign_in(subject="s", nick="Annie", groups=["boss"])
    assert len(federation.events("user.updated")) == 1


def test_an_address_that_is_taken_from_another_claim_is_not_verified_by_that(
    federation: Federation,
) -> None:
    """`email_verified` speaks of `email`: what stands beside it anybody may have written there."""
    federation.change(attributes={"email": "contact"}, trusted_domains=["acme.example"])
    told = {"email": "mallory@x.example", "email_verified": True, "contact": "bob@acme.example"}
    surfer = federation.surfer()
    federation.sign_in(surfer, subject="mallory", preferred_username="mallory", **told)
    assert federation.session(surfer)["user"] == "mallory"
    assert federation.users()["mallory"]["email"] is None
    federation.change(attributes={"email": "email"})
    told |= {"email": "ann@x.example"}
    federation.sign_in(subject="ann", preferred_username="ann", **told)
    assert federation.users()["ann"]["email"] == "ann@x.example"


def test_a_role_that_is_just_being_taken_away_is_not_given_back(
    postgres_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests at once, which only PostgreSQL has: one demotes, one signs in and fills roles."""
    url = postgres_cluster.new_database()
    with (
        make_world(url, delivery_allow_private=True) as world,
        Upstream(world.clock) as upstream,
    ):
        federation = make_federation(world, upstream)
        federation.change(attributes={"roles": "groups"})
        path, admin = "/v1/users/acme/bob", federation.admin
        world.patch(path, json={"roles": ["administrator"]}, headers=admin)
        federation.link("bob", "b")
        looked: list[Any] = []

        def overtaken(*args: Any) -> Any:
            wanted = change_of(*args)
            if not looked:
                looked.append(wanted)
                assert world.patch(path, json={"roles": []}, headers=admin).status_code == 200
            return wanted

        monkeypatch.setattr("iam.signin.federation.change_of", overtaken)
        assert federation.sign_in(subject="b", groups=["staff"]).status_code == 303
        assert looked
        assert federation.users()["bob"]["roles"] == ["staff"]
    postgres_cluster.drop(url)


def test_what_a_provider_said_is_worth_nothing_once_it_has_been_changed(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that has vouched may be another than who is trusted from now on."""
    surfer = federation.surfer()
    back = federation.upstream.sign_in(federation.set_out(surfer))

    def overtaken(*args: Any, **named: Any) -> Any:
        federation.world.clock.move(1)
        federation.change(display_name="Another")
        return sign_in_through(*args, **named)

    monkeypatch.setattr("iam.oidc.upstream.callback.sign_in_through", overtaken)
    assert federation.come_back(surfer, back).status_code == 403
    assert "has just been changed" in surfer.page
    assert set(federation.users()) == {"bob"}


def test_without_a_mapping_what_is_here_stays(federation: Federation) -> None:
    federation.sign_in(subject="s", preferred_username="ann", name="Ann")
    federation.sign_in(subject="s", preferred_username="annette", name="Annette")
    assert federation.users()["ann"]["display_name"] == "Ann"
