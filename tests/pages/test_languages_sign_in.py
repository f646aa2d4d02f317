"""Nothing that people read on the way in and out is left in English."""

import re

import pytest
from sqlalchemy import Connection

from iam.delivery.links import PASSWORD_PATH, make_link
from iam.directory.applications import Application
from iam.kernel.events import SYSTEM, Origin
from iam.sessions import lifecycle
from iam.sessions.model import EndReason
from tests.support.authenticator import hidden
from tests.support.marked_account import check, german, look, send
from tests.support.people import enter
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import ISSUER, World

Applications = dict[str, Application]


def _end(world: World, session: str, reason: EndReason) -> None:
    """However sessions end."""

    def work(connection: Connection) -> None:
        lifecycle.end(
            connection,
            [session],
            reason=reason,
            actor=SYSTEM,
            now=world.clock(),
            random=world.engine.random,
            origin=Origin(),
        )

    world.engine.database.write(work)


@pytest.fixture
def reader(pseudo: None, bob: Surfer) -> Surfer:
    """Bob's browser, signed in and answered in the language of ⟦brackets⟧."""
    return german(bob)


@pytest.fixture
def stranger(pseudo: None, surfer: Surfer) -> Surfer:
    """A browser in which nobody is signed in, answered in it as well."""
    return german(surfer)


def test_signing_in(world: World, stranger: Surfer, applications: Applications) -> None:
    wiki = applications["wiki"].client_id
    for path in ("/sign-in", "/sign-in/acme?with=cancelled", f"/sign-in?application={wiki}"):
        look(stranger, path)
    look(stranger, "/sign-in/none", 404)
    look(stranger, "/sign-in?application=nobody", 404)
    stranger.get("/sign-in")
    for status, fields in (
        (422, {}),
        (422, {"organization": "acme"}),
        (422, {"organization": "acme", "username": "bob"}),
        (401, {"organization": "acme", "username": "bob", "password": "guess"}),
    ):
        send(stranger, "/sign-in", status, **fields)
    for _ in range(5):
        stranger.sign_in("acme", "bob", "guess")
    check(stranger)
    assert stranger.post("/sign-in", {}, origin="https://evil.example").status_code == 403
    check(stranger)
    assert stranger.send("POST", "/sign-in", content="x").status_code == 422
    check(stranger)


def test_signing_in_again_and_to_elsewhere(world: World, reader: Surfer) -> None:
    look(reader, "/sign-in")
    look(reader, "/sign-in/globex")
    for reason in EndReason:
        there = german(Surfer(world, IPHONE))
        there.sign_in("acme", "bob")
        _end(world, there.session_id, reason)
        state = there.get("/account/state").json()
        assert re.fullmatch("⟦.*⟧", state["text"]), state
        look(there, "/sign-in")


def test_where_a_session_is_locked_or_has_no_room(world: World, reader: Surfer) -> None:
    policy = {"at_limit": "ask", "maximum_sessions": 1}
    world.patch("/v1/policies/organizations/acme", json=policy, headers=world.admin)
    phone = german(Surfer(world, IPHONE))
    phone.sign_in("acme", "bob")
    check(phone)
    send(phone, "/choose-sessions", 409, ticket=hidden(phone.page, "ticket"))
    send(phone, "/choose-sessions", 422, ticket="x")
    policy["at_limit"] = "refuse"
    world.patch("/v1/policies/organizations/acme", json=policy, headers=world.admin)
    phone.sign_in("acme", "bob")
    check(phone)

    world.post(f"/v1/sessions/{reader.session_id}/lock", headers=world.admin)
    assert re.fullmatch("⟦.*⟧", reader.get("/account/state").json()["text"])
    look(reader, "/unlock")
    send(reader, "/unlock", 422)
    for _ in range(6):
        reader.submit("/unlock", password="guess")
        check(reader)


def test_the_links_in_mails(world: World, reader: Surfer) -> None:
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    stranger = german(Surfer(world))
    (mail,) = world.get("/v1/mails?organization=acme", headers=world.admin).json()["items"]
    link = make_link(ISSUER, world.engine.cipher, mail["id"]).removeprefix(ISSUER)
    look(stranger, link)
    send(stranger, "/sign-out/device", 200, t=link.partition("?t=")[2])
    look(stranger, "/sign-out/device?t=x", 404)

    boss = Surfer(world)
    boss.sign_in("acme", "alice")
    boss.get("/console/users/new")
    fields = {"name": "ina", "email": "ina@acme.example", "invite.mail": "1"}
    boss.submit("/console/users/new", organization="acme", **fields)
    mails = world.get("/v1/mails?organization=acme", headers=world.admin).json()["items"]
    for one in mails:
        made = make_link(ISSUER, world.engine.cipher, one["id"], PASSWORD_PATH)
        token = made.partition("?t=")[2]
        if stranger.get(f"/set-password?t={token}").status_code == 404:
            check(stranger)
            continue
        check(stranger)
        for status, new, again in (
            (422, "x", "x"),
            (422, "long enough", "x"),
            (200, "long enough", "long enough"),
        ):
            send(stranger, "/set-password", status, t=token, new=new, again=again)


def test_signing_out(world: World, reader: Surfer, applications: Applications) -> None:
    look(reader, "/sign-out")
    enter(world, reader.session_id, "wiki")
    look(reader, "/sign-out")
    enter(world, reader.session_id, "phone")
    look(reader, "/sign-out")
    wiki = applications["wiki"].client_id
    look(reader, f"/oauth/logout?client_id={wiki}")
    for query in ("client_id=nobody", "id_token_hint=x", "state=a&state=b"):
        look(reader, f"/oauth/logout?{query}", 400)
    look(reader, f"/oauth/logout?client_id={wiki}&post_logout_redirect_uri=x", 400)
    reader.get("/sign-out")
    send(reader, "/sign-out", 200)
    look(reader, "/oauth/logout?client_id=nobody", 400)
    look(reader, "/oauth/logout")


def test_the_gate(world: World, reader: Surfer) -> None:
    host = "docs.acme.example"
    there = f"http://{host}"
    reader.visit(host)
    for path in ("/.iam/sign-out", "/.iam/callback?code=x"):
        reader.get(path, base_url=there)
        check(reader)
    reader.send("POST", "/.iam/sign-out", base_url=there)
    reader.get("/.iam/sign-out", base_url=there)
    check(reader)
    look(reader, "/gate/enter?rd=http://nobody.example/", 403)
    look(reader, "/gate/enter?rd=x", 422)
    asked = {
        "x-forwarded-host": "nobody.example",
        "x-forwarded-method": "GET",
        "accept": "text/html",
    }
    refused = reader.get("/gate/traefik", headers=asked)
    assert refused.status_code == 403
    check(reader)
    english = world.get("/gate/traefik", headers=asked)
    assert "You have not been let in." in english.text


@pytest.mark.parametrize(
    "path",
    [
        "/saml/sso",
        "/saml/sso?SAMLRequest=x",
        "/saml/sso?request=x",
        "/saml/slo?SAMLRequest=%21",
        "/saml/slo?onward=x",
        "/saml/sso?application=x",
        "/saml/sign-in/nothing",
        "/saml/acs?answer=x",
    ],
)
def test_what_saml_refuses(stranger: Surfer, path: str) -> None:
    assert 400 <= stranger.get(path).status_code < 500
    check(stranger)
