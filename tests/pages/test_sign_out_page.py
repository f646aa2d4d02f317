"""Signing out."""

from pathlib import Path

from tests.support.people import enter
from tests.support.surfer import Surfer
from tests.support.world import World, make_world


def test_following_the_link_asks_and_ends_nothing(world: World, bob: Surfer) -> None:
    enter(world, bob.session_id, "wiki")
    page = bob.get("/sign-out").text
    assert "1 application" in page
    assert world.ended(bob.session_id) is None


def test_signing_out_ends_the_session_and_what_was_entered_from_it(
    world: World, bob: Surfer
) -> None:
    browser, token = bob.session_id, bob.cookies["iam"]
    child = enter(world, browser, "wiki")
    bob.get("/sign-out")
    answer = bob.submit("/sign-out")
    assert answer.status_code == 200
    assert "You are signed out" in answer.text
    assert "1 application" in answer.text
    assert "clear-site-data" not in answer.headers  # http: browsers would only warn
    assert bob.cookies.keys() == {"iam-device"}  # which proves nothing
    assert (world.ended(browser), world.ended(child)) == ("signed_out", "parent_ended")
    bob.cookies["iam"] = token
    assert bob.get("/account/sessions").status_code == 303


def test_another_site_cannot_sign_somebody_out(world: World, bob: Surfer) -> None:
    bob.get("/sign-out")
    for fields, headers in (
        ({}, {}),
        ({"csrf": "x" * 43}, {}),
        ({"csrf": bob.csrf}, {"origin": "https://evil.example"}),
        ({"csrf": bob.csrf}, {"sec-fetch-site": "cross-site"}),
    ):
        assert bob.post("/sign-out", fields, **headers).status_code == 403
    assert world.ended(bob.session_id) is None


def test_signing_out_twice_is_no_mistake(bob: Surfer) -> None:
    bob.get("/sign-out")
    cookies, csrf = dict(bob.cookies), bob.csrf
    assert bob.post("/sign-out", {"csrf": csrf}).status_code == 200
    bob.cookies = cookies
    assert bob.post("/sign-out", {"csrf": csrf}).status_code == 200
    assert bob.post("/sign-out", {}).status_code == 200  # without any cookie
    answer = bob.get("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_over_https_the_cookie_belongs_to_this_host_alone_and_the_browser_forgets_all(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/https.db"
    with make_world(url, issuer="https://id.acme.example") as world:
        surfer = Surfer(world)
        page = surfer.get("/sign-in/built-in", base_url="https://id.acme.example")
        flow = page.headers["set-cookie"]
        assert flow.startswith("__Host-iam-flow=")
        assert "; Secure" in flow
        assert "Domain" not in flow
        gone = surfer.post("/sign-out", {})
        assert gone.headers["clear-site-data"] == '"cache", "storage"'
        cleared = gone.headers.get_list("set-cookie")
        assert all("__Host-" in one and "; Secure" in one for one in cleared)
