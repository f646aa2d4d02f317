"""The page of one's own ways to sign in: linking one more, removing one, and never the last."""

import httpx2

from iam.web.csrf import csrf_token
from tests.federation.conftest import Federation
from tests.support.surfer import Surfer


def _link(federation: Federation, surfer: Surfer) -> str:
    """Press the button: the address at the provider, which the page leads on to."""
    surfer.get("/account/ways")
    answer = surfer.submit(f"/account/ways/{federation.provider['id']}/link")
    assert answer.status_code == 200, answer.text
    address: str = surfer.page.split('id="onward" href="')[1].split('"')[0].replace("&amp;", "&")
    assert answer.headers["refresh"] == f"0; url={address}"
    return address


def _send(surfer: Surfer, path: str, **fields: str) -> httpx2.Response:
    """Send a form that the page itself may not offer."""
    return surfer.post(path, {"csrf": csrf_token(surfer.cookies["iam"]), **fields})


def test_somebody_links_an_account_and_signs_in_by_it(both_federations: Federation) -> None:
    federation, surfer = both_federations, both_federations.surfer()
    surfer.sign_in("acme", "bob")
    before = dict(surfer.cookies)
    back = federation.upstream.sign_in(_link(federation, surfer), subject="bob there")
    answer = federation.come_back(surfer, back)
    assert answer.headers["location"] == "/account/ways?notice=linked"
    surfer.get(answer.headers["location"])
    assert "Known there as bob there" in surfer.page
    assert surfer.cookies["iam"] == before["iam"]
    [linked] = federation.events("provider.linked")
    assert linked["data"] == {"provider": "idp", "subject": "bob there", "by": "person"}
    assert linked["actor"] == "user:acme/bob"
    other = federation.surfer()
    assert federation.sign_in(other, subject="bob there").status_code == 303
    assert federation.session(other)["user"] == "bob"


def test_an_account_there_is_one_users_here(federation: Federation) -> None:
    federation.world.make_user("acme", "rob")
    federation.link("rob", "shared")
    surfer = federation.surfer()
    surfer.sign_in("acme", "bob")
    back = federation.upstream.sign_in(_link(federation, surfer), subject="shared")
    assert federation.come_back(surfer, back).status_code == 403
    assert "another user" in surfer.page
    assert 'href="/account/ways"' in surfer.page


def test_linking_needs_somebody_who_has_just_signed_in(federation: Federation) -> None:
    surfer = federation.surfer()
    surfer.sign_in("acme", "bob")
    federation.world.clock.move(15 * 60 + 1)
    surfer.get("/account/ways")
    answer = surfer.submit(f"/account/ways/{federation.provider['id']}/link")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in/acme?")
    assert "prompt=login" in answer.headers["location"]
    surfer.sign_in("acme", "bob")
    assert _link(federation, surfer).startswith(federation.upstream.issuer)


def test_a_link_is_made_for_the_session_that_began_it(federation: Federation) -> None:
    surfer = federation.surfer()
    surfer.sign_in("acme", "bob")
    back = federation.upstream.sign_in(_link(federation, surfer), subject="bob there")
    federation.world.make_user("acme", "rob")
    flow = surfer.cookies["iam-flow"]
    surfer.sign_in("acme", "rob")
    surfer.cookies["iam-flow"] = flow
    assert federation.come_back(surfer, back).status_code == 303
    assert federation.events("provider.linked") == []


def test_one_way_in_stays(both_federations: Federation) -> None:
    federation, surfer = both_federations, both_federations.surfer()
    federation.sign_in(surfer, subject="s", preferred_username="ann")
    surfer.get("/account/ways")
    assert "Only way in" in surfer.page
    path = "/v1/users/acme/ann/links"
    [link] = federation.world.get(path, headers=federation.admin).json()["items"]
    answer = _send(surfer, "/account/ways/unlink", link=link["id"])
    assert answer.status_code == 409
    assert "your only way to sign in" in surfer.page
    password = {"password": "open sesame 1"}
    federation.world.patch("/v1/users/acme/ann", json=password, headers=federation.admin)
    surfer.sign_in("acme", "ann")
    surfer.get("/account/ways")
    assert _send(surfer, "/account/ways/unlink", link=link["id"]).status_code == 303
    [unlinked] = federation.events("provider.unlinked")
    assert unlinked["data"] == {"provider": "idp", "subject": "s"}
    assert unlinked["session"] == surfer.session_id
    assert federation.world.get(path, headers=federation.admin).json()["items"] == []
    federation.change(creates_users=False)
    assert federation.sign_in(subject="s").status_code == 403


def test_a_disabled_provider_is_no_way_in(federation: Federation) -> None:
    surfer = federation.surfer()
    federation.sign_in(surfer, subject="s", preferred_username="ann")
    other = federation.add("other", "oauth2", preset="github")
    first, federation.provider = federation.provider, other
    federation.link("ann", "4711")
    federation.provider = first
    path = "/v1/users/acme/ann/links"
    links = federation.world.get(path, headers=federation.admin).json()["items"]
    assert [one["provider_name"] for one in links] == ["idp", "other"]
    disable = {"enabled": False}
    federation.world.patch("/v1/providers/acme/other", json=disable, headers=federation.admin)
    surfer.get("/account/ways")
    assert _send(surfer, "/account/ways/unlink", link=links[0]["id"]).status_code == 409
    assert _send(surfer, "/account/ways/unlink", link=links[1]["id"]).status_code == 303


def test_nobody_removes_anothers_link(federation: Federation) -> None:
    federation.sign_in(subject="s", preferred_username="ann")
    path = "/v1/users/acme/ann/links"
    [link] = federation.world.get(path, headers=federation.admin).json()["items"]
    surfer = federation.surfer()
    surfer.sign_in("acme", "bob")
    surfer.get("/account/ways")
    assert _send(surfer, "/account/ways/unlink", link=link["id"]).status_code == 404
    wrong = f"/v1/users/acme/bob/links/{link['id']}"
    assert federation.world.delete(wrong, headers=federation.admin).status_code == 404
    assert len(federation.world.get(path, headers=federation.admin).json()["items"]) == 1


def test_another_organizations_provider_is_not_there_to_be_linked(federation: Federation) -> None:
    federation.world.make_organization("globex")
    federation.world.make_user("globex", "eve")
    surfer = federation.surfer()
    surfer.sign_in("globex", "eve")
    surfer.get("/account/ways")
    assert "Example ID" not in surfer.page
    answer = _send(surfer, f"/account/ways/{federation.provider['id']}/link")
    assert answer.status_code == 404
