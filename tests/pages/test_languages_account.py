"""Nothing that people read on the pages of their account, and on the way in and out, is left in English."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import Connection

from iam.delivery.links import PASSWORD_PATH, make_link
from iam.directory.applications import Application
from iam.directory.users import find_user
from iam.kernel.clock import Instant
from iam.kernel.events import EVENT_TYPES, SYSTEM, Event, Origin, provider_actor
from iam.kernel.ids import EVENT, make_id
from iam.languages import speaking
from iam.sessions import lifecycle
from iam.sessions.model import EndReason
from iam.signin import consents
from iam.web.event_words import REASONS, tell
from iam.web.pages import STATIC
from iam.web.script_words import script_words
from tests.support.authenticator import Authenticator, enrol, give_authenticator, hidden, show_code
from tests.support.people import enter
from tests.support.pseudo import GERMAN, unmarked, unmarked_in
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import ISSUER, PASSWORD, World

Applications = dict[str, Application]
TEMPLATES = STATIC.parent / "templates"
NAMES = (
    *(
        "bob",
        "Bob",
        "acme",
        "Acme Corporation",
        "app-built-in",
        "built-in",
        "none",
        "Wiki",
        "wiki",
        "Phone",
        "phone",
    ),
    *("docs.acme.example", "corp", "ada", "ina", ISSUER, ISSUER.removeprefix("http://")),
)
"""What stands on these pages and is nobody's to translate."""


def _german(surfer: Surfer) -> Surfer:
    surfer.headers |= GERMAN
    return surfer


def _look(surfer: Surfer, path: str, status: int = 200) -> None:
    """Go there, and find nothing that is not marked."""
    assert surfer.get(path).status_code == status, path
    _check(surfer)


def _send(surfer: Surfer, path: str, status: int, **fields: str) -> None:
    """Send a form of the page, and find nothing on its answer that is not marked."""
    assert surfer.submit(path, **fields).status_code == status, (path, fields)
    _check(surfer)


def _check(surfer: Surfer) -> None:
    assert '<html lang="de"' in surfer.page
    assert "⟦" in surfer.page
    assert unmarked(surfer.page, NAMES) == []


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
    return _german(bob)


@pytest.fixture
def stranger(pseudo: None, surfer: Surfer) -> Surfer:
    """A browser in which nobody is signed in, answered in it as well."""
    return _german(surfer)


@pytest.mark.parametrize(
    "template",
    [one for one in sorted(TEMPLATES.glob("*.html")) if "console" not in one.name],
    ids=lambda one: one.name,
)
def test_a_template_marks_all_that_it_says(template: Path) -> None:
    assert unmarked_in(template.read_text()) == []


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda one: one.name)
def test_what_a_script_says_is_carried_to_it(pseudo: None, script: Path) -> None:
    with speaking("de"):
        carried = script_words()
    for sentence in re.findall(r'\b_\(\s*"([^"]+)"', script.read_text()):
        assert carried[sentence] == f"⟦{sentence}⟧"


def test_signing_in(world: World, stranger: Surfer, applications: Applications) -> None:
    wiki = applications["wiki"].client_id
    for path in ("/sign-in", "/sign-in/acme?with=cancelled", f"/sign-in?application={wiki}"):
        _look(stranger, path)
    _look(stranger, "/sign-in/none", 404)
    _look(stranger, "/sign-in?application=nobody", 404)
    stranger.get("/sign-in")
    for status, fields in (
        (422, {}),
        (422, {"organization": "acme"}),
        (422, {"organization": "acme", "username": "bob"}),
        (401, {"organization": "acme", "username": "bob", "password": "guess"}),
    ):
        _send(stranger, "/sign-in", status, **fields)
    for _ in range(5):
        stranger.sign_in("acme", "bob", "guess")
    _check(stranger)
    assert stranger.post("/sign-in", {}, origin="https://evil.example").status_code == 403
    _check(stranger)
    assert stranger.send("POST", "/sign-in", content="x").status_code == 422
    _check(stranger)


def test_signing_in_again_and_to_elsewhere(world: World, reader: Surfer) -> None:
    _look(reader, "/sign-in")
    _look(reader, "/sign-in/globex")
    for reason in EndReason:
        there = _german(Surfer(world, IPHONE))
        there.sign_in("acme", "bob")
        _end(world, there.session_id, reason)
        state = there.get("/account/state").json()
        assert re.fullmatch("⟦.*⟧", state["text"]), state
        _look(there, "/sign-in")


def test_the_own_sessions_and_what_happened(world: World, reader: Surfer) -> None:
    enter(world, reader.session_id, "wiki", "docs.acme.example")
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    nothing = Surfer(world, "")
    nothing.sign_in("acme", "bob")
    Surfer(world, "").sign_in("acme", "bob", "guess")
    world.post(f"/v1/sessions/{phone.session_id}/lock", headers=world.admin)
    world.clock.move(60)
    for notice in ("", "ended", "others", "password", "over"):
        _look(reader, f"/account/sessions?notice={notice}")
    for device in ("Firefox on Linux", "Mobile Safari on iOS", "Unknown device"):
        assert f"⟦{device}⟧" in reader.page
    for browser in (phone, nothing):
        world.delete(f"/v1/sessions/{browser.session_id}", headers=world.admin)
    world.clock.move(20 * 60)
    _look(reader, "/account/activity")
    reader.get("/account/sessions")
    assert reader.submit("/account/sessions/end", id="ses_nothing").status_code == 303
    again = reader.submit("/account/sessions/end-others").headers["location"]
    _look(reader, again)
    back = {"return_to": hidden(reader.page, "return_to").replace("&amp;", "&")}
    done = reader.submit("/sign-in/acme", username="bob", password=PASSWORD, **back)
    _look(reader, done.headers["location"])
    _send(reader, "/account/sessions/end", 404, id="ses_nothing")
    _look(reader, "/account/again?code=nothing", 404)


def test_applications_and_consent(world: World, reader: Surfer, applications: Applications) -> None:
    wiki = applications["wiki"]

    def allow(connection: Connection) -> None:
        user = find_user(connection, "acme", "bob")
        scopes = ["openid", "profile", "email", "offline_access"]
        consents.allow(connection, user.id, wiki.client_id, scopes, world.clock())

    _look(reader, "/account/applications")
    world.engine.database.write(allow)
    enter(world, reader.session_id, "wiki")
    enter(world, reader.session_id, "phone")
    _look(reader, "/account/applications?notice=withdrawn")

    asked = {
        "client_id": wiki.client_id,
        "redirect_uri": "https://wiki.acme.example/callback",
        "response_type": "code",
        "code_challenge": "A" * 43,
        "code_challenge_method": "S256",
        "scope": "openid profile",
    }
    for changed, status in (
        ({"prompt": "consent"}, 200),
        ({"response_mode": "form_post"}, 200),
        ({"client_id": "nobody"}, 400),
        ({"redirect_uri": "https://evil.example"}, 400),
        ({"response_mode": "nothing"}, 400),
    ):
        reader.get(f"/oauth/authorize?{urlencode(asked | changed)}")
        assert unmarked(reader.page, (*NAMES, "wiki.acme.example")) == []
        assert reader.get(f"/oauth/authorize?{urlencode(asked | changed)}").status_code == status
    reader.get(f"/oauth/authorize?{urlencode(asked | {'prompt': 'consent'})}")
    _send(reader, "/oauth/consent", 422, decision="maybe")
    # What the application is told is as the specification writes it: ASCII, and in no language of ours.
    told = reader.get(f"/oauth/authorize?{urlencode(asked | {'max_age': 'x'})}")
    assert "error_description=max_age+must" in told.headers["location"]


def test_passwords(world: World, reader: Surfer) -> None:
    path = "/account/password"
    _look(reader, path)
    _send(reader, path, 422)
    _send(reader, path, 422, current="x", new="long enough", again="another")
    _send(reader, path, 403, current="guess", new="long enough", again="long enough")
    give_authenticator(world, "acme", "bob")
    _send(reader, path, 422, current=PASSWORD, new="long enough", again="long enough")
    _send(reader, path, 403, current=PASSWORD, new="long enough", again="long enough", code="0")


def test_a_second_factor(world: World, reader: Surfer) -> None:
    path = "/account/second-factor"
    for notice in ("", "removed", "exists", "gone"):
        _look(reader, f"{path}?notice={notice}")
    _send(reader, path, 422, do="nothing")
    reader.get(path)
    _send(reader, path, 422, do="begin")
    _send(reader, path, 403, do="begin", password="guess")
    _send(reader, path, 200, do="begin", password=PASSWORD)
    _send(reader, path, 403, do="confirm", sealed=hidden(reader.page, "sealed"), code="000000")
    app: Authenticator = enrol(world, reader)
    _check(reader)
    _look(reader, path)
    _send(reader, path, 422, do="remove", password=PASSWORD)
    _send(reader, path, 403, do="remove", password=PASSWORD, code="000000")

    phone = _german(Surfer(world, IPHONE))
    phone.sign_in("acme", "bob")
    _check(phone)
    for code, status in (("", 422), ("000000", 403)):
        assert show_code(phone, code=code).status_code == status
        _check(phone)
    assert show_code(phone, code=app.next(), ticket="x").status_code == 422
    _check(phone)


def test_where_a_session_is_locked_or_has_no_room(world: World, reader: Surfer) -> None:
    policy = {"at_limit": "ask", "maximum_sessions": 1}
    world.patch("/v1/policies/organizations/acme", json=policy, headers=world.admin)
    phone = _german(Surfer(world, IPHONE))
    phone.sign_in("acme", "bob")
    _check(phone)
    _send(phone, "/choose-sessions", 409, ticket=hidden(phone.page, "ticket"))
    _send(phone, "/choose-sessions", 422, ticket="x")
    policy["at_limit"] = "refuse"
    world.patch("/v1/policies/organizations/acme", json=policy, headers=world.admin)
    phone.sign_in("acme", "bob")
    _check(phone)

    world.post(f"/v1/sessions/{reader.session_id}/lock", headers=world.admin)
    assert re.fullmatch("⟦.*⟧", reader.get("/account/state").json()["text"])
    _look(reader, "/unlock")
    _send(reader, "/unlock", 422)
    for _ in range(6):
        reader.submit("/unlock", password="guess")
        _check(reader)


def test_devices(world: World, reader: Surfer, applications: Applications) -> None:
    grants = {"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]}
    world.patch("/v1/applications/acme/phone", json=grants, headers=world.admin)
    secret = world.post("/v1/applications/acme/phone/secret", headers=world.admin).json()
    form = {"content-type": "application/x-www-form-urlencoded"}
    asked = {
        "client_id": applications["phone"].client_id,
        "client_secret": secret["client_secret"],
        "scope": "openid profile email",
    }
    for decision in ("approve", "deny"):
        begun = world.post("/oauth/device", content=urlencode(asked), headers=form).json()
        _look(reader, "/device")
        _send(reader, "/device", 422, user_code="WRONG")
        code = begun["user_code"]
        assert reader.submit("/device", user_code=code).status_code == 200
        assert unmarked(reader.page, (*NAMES, code)) == []
        _send(reader, "/device/decide", 200, user_code=code, decision=decision)
    for _ in range(10):
        reader.submit("/device", user_code="WRONG")
    _check(reader)


def test_the_links_in_mails(world: World, reader: Surfer) -> None:
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    stranger = _german(Surfer(world))
    (mail,) = world.get("/v1/mails?organization=acme", headers=world.admin).json()["items"]
    link = make_link(ISSUER, world.engine.cipher, mail["id"]).removeprefix(ISSUER)
    _look(stranger, link)
    _send(stranger, "/sign-out/device", 200, t=link.partition("?t=")[2])
    _look(stranger, "/sign-out/device?t=x", 404)

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
            _check(stranger)
            continue
        _check(stranger)
        for status, new, again in (
            (422, "x", "x"),
            (422, "long enough", "x"),
            (200, "long enough", "long enough"),
        ):
            _send(stranger, "/set-password", status, t=token, new=new, again=again)


def test_signing_out(world: World, reader: Surfer, applications: Applications) -> None:
    _look(reader, "/sign-out")
    enter(world, reader.session_id, "wiki")
    _look(reader, "/sign-out")
    enter(world, reader.session_id, "phone")
    _look(reader, "/sign-out")
    wiki = applications["wiki"].client_id
    _look(reader, f"/oauth/logout?client_id={wiki}")
    for query in ("client_id=nobody", "id_token_hint=x", "state=a&state=b"):
        _look(reader, f"/oauth/logout?{query}", 400)
    _look(reader, f"/oauth/logout?client_id={wiki}&post_logout_redirect_uri=x", 400)
    reader.get("/sign-out")
    _send(reader, "/sign-out", 200)
    _look(reader, "/oauth/logout?client_id=nobody", 400)
    _look(reader, "/oauth/logout")


def test_ways_to_sign_in(world: World, reader: Surfer) -> None:
    options = {"issuer": "https://corp.example", "client_id": "iam"}
    body = {"organization": "acme", "name": "corp", "kind": "oidc", "options": options}
    sent = {**body, "client_secret": "x", "display_name": "Corp Inc"}
    made = world.post("/v1/providers", json=sent, headers=world.admin)
    assert made.status_code == 201, made.text
    names = (*NAMES, "Corp Inc")
    for query in ("", "?notice=linked", "?notice=unlinked", "?with=cancelled"):
        reader.get(f"/account/ways{query}")
        assert unmarked(reader.page, names) == []
    reader.get("/sign-in?prompt=login&application=")
    assert unmarked(reader.page, names) == []
    _look(reader, "/oauth/callback/nothing?state=x&code=y", 422)
    _look(reader, "/sign-in/with/nothing", 404)


def test_the_gate(world: World, reader: Surfer) -> None:
    host = "docs.acme.example"
    there = f"http://{host}"
    reader.visit(host)
    for path in ("/.iam/sign-out", "/.iam/callback?code=x"):
        reader.get(path, base_url=there)
        _check(reader)
    reader.send("POST", "/.iam/sign-out", base_url=there)
    reader.get("/.iam/sign-out", base_url=there)
    _check(reader)
    _look(reader, "/gate/enter?rd=http://nobody.example/", 403)
    _look(reader, "/gate/enter?rd=x", 422)
    asked = {
        "x-forwarded-host": "nobody.example",
        "x-forwarded-method": "GET",
        "accept": "text/html",
    }
    refused = reader.get("/gate/traefik", headers=asked)
    assert refused.status_code == 403
    _check(reader)
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
    _check(stranger)


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_every_event_is_told_in_words(pseudo: None, type_: str) -> None:
    at = Instant(1_795_000_000_000)
    data = {
        "changed": ["x"],
        "roles": ["y"],
        "sessions": 2,
        "provider": "z",
        "from_ip": "0",
        "layer": "w",
    }
    with speaking("de"):
        for reason, why in REASONS.items():
            event = Event(
                id=make_id(EVENT, at, lambda number: b"0" * number),
                at=at,
                type=type_,
                actor=provider_actor("acme", "corp"),
                reason=reason,
                origin=Origin(),
                data=data,
            )
            told = tell(event, at)
            assert re.fullmatch("⟦.*⟧", told.words)
            assert told.actor == "⟦the provider corp (acme)⟧"
            assert told.more.startswith(f"⟦{why}⟧ · ⟦")
            assert all(re.fullmatch("⟦.*⟧", one) for one in told.more.split(" · "))
