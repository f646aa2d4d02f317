"""Whoever signed in long ago shows who they are before something sensitive, and goes on with it then."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.authenticator import give_authenticator, hidden
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import ADMIN_PASSWORD, ISSUER, PASSWORD, World

LATER = 15 * 60 + 1


def _sign_in_again(surfer: Surfer, location: str, **fields: str) -> str:
    """Through the sign-in page that a refused form leads to; where that leads."""
    page = surfer.get(location)
    assert "Show that it is you" in page.text
    action = urlsplit(location).path
    back = parse_qs(urlsplit(location).query)["return_to"][0]
    answer = surfer.submit(action, username="bob", password=PASSWORD, return_to=back, **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@pytest.fixture
def phone(world: World, bob: Surfer) -> Surfer:
    """Another browser of bob's, signed in."""
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    return phone


def test_of_late_authenticated_nobody_is_asked(world: World, bob: Surfer, phone: Surfer) -> None:
    world.clock.move(15 * 60 - 1)
    bob.get("/account/sessions")
    answer = bob.submit("/account/sessions/end-others")
    assert answer.headers["location"] == "/account/sessions?notice=others"
    assert phone.get("/account/sessions").status_code == 303


def test_ending_the_others_asks_for_a_sign_in_and_goes_on_after_it(
    world: World, bob: Surfer, phone: Surfer
) -> None:
    world.clock.move(LATER)
    bob.get("/account/sessions")
    me = bob.session_id
    answer = bob.submit("/account/sessions/end-others")
    assert answer.status_code == 303
    assert phone.get("/account/sessions").status_code == 200  # nothing has been done
    back = _sign_in_again(bob, answer.headers["location"])
    page = bob.get(back)
    assert "Sign out all others" in page.text
    assert phone.get("/account/sessions").status_code == 200  # nor by coming back
    done = bob.submit("/account/sessions/end-others")
    assert done.headers["location"] == "/account/sessions?notice=others"
    assert phone.get("/account/sessions").status_code == 303
    assert bob.session_id == me  # the same session, raised


def test_ending_one_other_asks_and_signing_out_oneself_does_not(
    world: World, bob: Surfer, phone: Surfer
) -> None:
    world.clock.move(LATER)
    bob.get("/account/sessions")
    other = bob.submit("/account/sessions/end", id=phone.session_id)
    assert other.headers["location"].startswith("/sign-in/acme?prompt=login")
    bob.get("/account/sessions")
    assert bob.submit("/account/sessions/end", id=bob.session_id).status_code == 200


def test_what_is_kept_is_for_its_own_user_and_for_a_quarter_of_an_hour(
    world: World, bob: Surfer, alice: Surfer
) -> None:
    world.clock.move(LATER)
    bob.get("/account/sessions")
    location = bob.submit("/account/sessions/end-others").headers["location"]
    back = parse_qs(urlsplit(location).query)["return_to"][0]
    assert alice.get(back).status_code == 404
    assert alice.get("/account/again?code=unknown").status_code == 404
    assert bob.get(back).status_code == 200
    world.clock.move(1)
    world.write_touches()
    world.clock.move(15 * 60 + 1)
    assert bob.get(back).status_code == 404


def test_nobody_who_reads_the_database_finds_the_password_of_a_kept_form(
    world: World, alice: Surfer
) -> None:
    world.clock.move(LATER)
    alice.get("/console/users/acme/bob")
    answer = alice.submit("/console/users/acme/bob", do="password", password="a secret of bob's")
    assert answer.headers["location"].startswith("/sign-in/acme?prompt=login")
    stored = world.engine.database.read(
        lambda c: [
            tuple(map(repr, row)) for row in c.exec_driver_sql("select * from one_time_code")
        ]
    )
    assert stored
    assert "a secret of bob" not in str(stored)


EVIL = "https://evil.example/"
WIKI = "/console/applications/acme/wiki"
SAME = {
    "do": "save",
    "display_name": "Wiki",
    "redirect_uris": "https://wiki.acme.example/callback",
    "gate_hosts": "docs.acme.example",
    "grant_types.authorization_code": "1",
}
"""The form of the wiki as it is."""
SENSITIVE: list[tuple[str, dict[str, str]]] = [
    ("/console/users/new", {"organization": "acme", "name": "new", "roles": "administrator"}),
    ("/console/users/acme/bob", {"do": "save", "roles": "administrator"}),
    ("/console/users/acme/bob", {"do": "save", "email": "mallory@evil.example"}),
    ("/console/users/acme/bob", {"do": "password", "password": "another password"}),
    ("/console/users/acme/bob", {"do": "delete", "confirmed": "1"}),
    ("/console/users/acme/bob", {"do": "disable", "confirmed": "1"}),
    ("/console/users/acme/bob", {"do": "enable"}),
    (
        "/console/applications/new",
        {"organization": "acme", "name": "new", "kind": "public", "redirect_uris": EVIL},
    ),
    (WIKI, {**SAME, "redirect_uris": EVIL}),
    (WIKI, {**SAME, "post_logout_redirect_uris": EVIL}),
    (WIKI, {**SAME, "gate_hosts": "evil.example"}),
    (WIKI, {**SAME, "grant_types.client_credentials": "1"}),
    (WIKI, {**SAME, "rights.manages_organization": "1", "confirmed": "1"}),
    (WIKI, {"do": "disable", "confirmed": "1"}),
    (WIKI, {"do": "enable"}),
    ("/console/providers/acme/corp", {"do": "disable"}),
    ("/console/providers/acme/corp", {"do": "enable"}),
    (
        "/console/webhooks/{webhook}",
        {"do": "save", "url": "https://evil.example/", "event_types.user.deleted": "1"},
    ),
    ("/console/webhooks/{webhook}", {"do": "disable"}),
    ("/console/webhooks/{webhook}", {"do": "enable"}),
    ("/console/applications/acme/wiki", {"do": "secret", "confirmed": "1"}),
    ("/console/applications/acme/wiki", {"do": "delete", "confirmed": "1"}),
    (
        "/console/policies/edit",
        {"kind": "organization", "organization": "acme", "idle_timeout": "5 min", "confirmed": "1"},
    ),
    (
        "/console/webhooks/new",
        {"organization": "acme", "url": "https://a.example/", "event_types.user.deleted": "1"},
    ),
    ("/console/ends/chosen", {"id": "{bob}"}),
    (
        "/console/sessions/end-record",
        {"organization": "acme", "user": "bob", "application": "app-built-in", "confirmed": "1"},
    ),
]


def test_what_is_sensitive_in_the_console_is_not_done_by_who_signed_in_long_ago(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    names = {"bob": bob.session_id, "webhook": _a_provider_and_a_webhook(world)}
    world.clock.move(LATER)
    for path, fields in SENSITIVE:
        alice.get("/console/sessions")
        sent = {name: value.format(**names) for name, value in fields.items()}
        answer = alice.submit(path.format(**names), **sent)
        assert answer.status_code == 303, (path, fields, answer.text)
        location = answer.headers["location"]
        assert location.startswith("/sign-in/acme?prompt=login"), (path, fields)
        # A sentence says what it was, and of what: the words of a button ("Save") do not.
        assert re.search(r'id="about">You wanted to [^<]{10,}\.<', alice.get(_back(location)).text)
    boss = world.bearer(world.sign_in("acme", "alice"))
    assert world.get("/v1/users/acme/bob", headers=boss).json()["roles"] == []
    assert world.get(f"/v1/sessions/{bob.session_id}", headers=boss).json()["state"] == "active"


def _back(location: str) -> str:
    """Where the sign-in page at this address leads."""
    return parse_qs(urlsplit(location).query)["return_to"][0]


def _a_provider_and_a_webhook(world: World) -> str:
    """Those of acme that the sensitive deeds are tried on; the webhook's ID."""
    options = {"issuer": "https://login.corp.example", "client_id": "iam"}
    corp = {"organization": "acme", "name": "corp", "kind": "oidc", "options": options}
    assert world.post("/v1/providers", json=corp, headers=world.admin).status_code == 201
    hook = {"organization": "acme", "url": "https://hooks.acme.example/", "event_types": ["*"]}
    made = world.post("/v1/webhooks", json=hook, headers=world.admin)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def test_what_changes_nothing_sensitive_is_held_up_by_nothing(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    world.clock.move(LATER)
    for path, fields in (
        (WIKI, {**SAME, "display_name": "The wiki"}),
        (
            "/console/users/acme/bob",
            {"do": "save", "display_name": "B", "email": "bob@acme.example"},
        ),
        ("/console/organizations/acme", {"do": "save", "display_name": "Acme"}),
    ):
        alice.get("/console/sessions")
        assert alice.submit(path, **fields).headers["location"] == f"{path}?notice=saved"


def test_an_organization_is_switched_by_who_signed_in_of_late_only(
    world: World, surfer: Surfer
) -> None:
    surfer.sign_in("built-in", "admin", ADMIN_PASSWORD)
    world.clock.move(LATER)
    for fields in ({"do": "disable", "confirmed": "1"}, {"do": "enable"}):
        surfer.get("/console/sessions")
        answer = surfer.submit("/console/organizations/acme", **fields)
        assert answer.headers["location"].startswith("/sign-in/built-in?prompt=login")
    assert world.get("/v1/organizations/acme", headers=world.admin).json()["enabled"] is True


def test_new_redirect_uris_are_set_once_the_sign_in_is_done(world: World, alice: Surfer) -> None:
    world.clock.move(LATER)
    alice.get(WIKI)
    new = "https://wiki.acme.example/new"
    location = alice.submit(WIKI, **{**SAME, "redirect_uris": new}).headers["location"]
    alice.get(location)
    alice.submit("/sign-in/acme", username="alice", password=PASSWORD, return_to=_back(location))
    page = alice.get(_back(location)).text
    assert "You wanted to change the addresses, the grants or the rights of wiki." in page
    assert f'name="redirect_uris" value="{new}"' in page
    alice.submit(WIKI, **{**SAME, "redirect_uris": new})
    found = world.get("/v1/applications/acme/wiki", headers=world.admin).json()
    assert found["redirect_uris"] == [new]


def test_a_bulk_end_waits_for_the_sign_in_with_all_that_was_chosen(
    world: World, alice: Surfer, bob: Surfer, phone: Surfer
) -> None:
    world.clock.move(LATER)
    alice.get("/console/sessions")
    preview = alice.submit("/console/ends", what="all", user="bob")
    assert preview.status_code == 200
    path = alice.page.split('action="/console/ends/')[1].split('"')[0]
    answer = alice.submit(f"/console/ends/{path}", note="a stolen laptop")
    page = alice.get(answer.headers["location"])
    assert page.status_code == 200
    back = parse_qs(urlsplit(answer.headers["location"]).query)["return_to"][0]
    alice.submit("/sign-in/acme", username="alice", password=PASSWORD, return_to=back)
    assert 'value="a stolen laptop"' in alice.get(back).text
    alice.submit(f"/console/ends/{path}", note="a stolen laptop")
    assert bob.get("/account/sessions").status_code == 303
    assert phone.get("/account/sessions").status_code == 303


def test_a_sign_in_that_cannot_raise_the_session_still_leads_back_to_the_form(
    world: World, bob: Surfer, phone: Surfer, applications: Any
) -> None:
    world.clock.move(LATER)
    bob.get("/account/sessions")
    answer = bob.submit("/account/sessions/end-others")
    bob.cookies.pop("iam")  # as if the browser had been closed meanwhile
    bob.get("/sign-in/acme?prompt=login")
    back = parse_qs(urlsplit(answer.headers["location"]).query)["return_to"][0]
    signed = bob.submit("/sign-in/acme", username="bob", password=PASSWORD, return_to=back)
    assert signed.headers["location"] == back
    assert "Sign out all others" in bob.get(back).text


def test_whoever_has_a_second_factor_shows_both_and_then_goes_on(
    world: World, surfer: Surfer, applications: Any
) -> None:
    app = give_authenticator(world, "acme", "bob")
    surfer.sign_in("acme", "bob")
    _show_code(surfer, app.code())
    world.clock.move(LATER)
    surfer.get("/account/sessions")
    me = surfer.session_id
    location = surfer.submit("/account/sessions/end-others").headers["location"]
    back = parse_qs(urlsplit(location).query)["return_to"][0]
    surfer.get(location)
    asked = surfer.submit("/sign-in/acme", username="bob", password=PASSWORD, return_to=back)
    assert asked.status_code == 200  # the password alone is not enough
    refused = surfer.get("/account/sessions")
    assert refused.status_code == 200
    again = surfer.submit("/account/sessions/end-others")
    assert again.headers["location"].startswith("/sign-in/acme?prompt=login")
    surfer.get(location)
    surfer.submit("/sign-in/acme", username="bob", password=PASSWORD, return_to=back)
    assert _show_code(surfer, app.next()).headers["location"] == back
    assert "Sign out all others" in surfer.get(back).text
    done = surfer.submit("/account/sessions/end-others")
    assert done.headers["location"] == "/account/sessions?notice=others"
    assert surfer.session_id == me


def _show_code(surfer: Surfer, code: str) -> Any:
    carried = {
        name: hidden(surfer.page, name)
        for name in ("ticket", "return_to", "application")
        if f'name="{name}"' in surfer.page
    }
    return surfer.submit("/second-factor", code=code, **carried)


def test_the_api_asks_the_same_of_a_browsers_cookie(world: World) -> None:
    world.make_organization("globex")
    world.make_user("globex", "boss", password=PASSWORD, roles=["administrator"])
    boss = Surfer(world)
    boss.sign_in("globex", "boss")
    headers = {"cookie": f"iam={boss.cookies['iam']}", "origin": ISSUER}
    body = {"display_name": "The Boss"}
    world.clock.move(LATER)
    boss.get("/account/sessions")  # active all the while

    answer = world.patch("/v1/users/globex/boss", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "authentication_stale")
    assert world.get("/v1/users/globex/boss", headers=headers).status_code == 200
    token = world.bearer(boss.cookies["iam"])
    assert world.patch("/v1/users/globex/boss", json=body, headers=token).status_code == 200
