"""Nothing that people read on the pages of their account is left in English."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import Connection

from iam.directory.applications import Application
from iam.directory.users import find_user
from iam.kernel.clock import Instant
from iam.kernel.events import EVENT_TYPES, Event, Origin, provider_actor
from iam.kernel.ids import EVENT, make_id
from iam.languages import speaking
from iam.signin import consents
from iam.web.event_words import REASONS, tell
from iam.web.pages import STATIC
from iam.web.script_words import script_words
from tests.support.authenticator import Authenticator, enrol, give_authenticator, hidden, show_code
from tests.support.marked_account import NAMES, check, german, look, send
from tests.support.people import enter
from tests.support.pseudo import unmarked, unmarked_in
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import PASSWORD, World

Applications = dict[str, Application]
TEMPLATES = STATIC.parent / "templates"


@pytest.fixture
def reader(pseudo: None, bob: Surfer) -> Surfer:
    """Bob's browser, signed in and answered in the language of ⟦brackets⟧."""
    return german(bob)


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
        look(reader, f"/account/sessions?notice={notice}")
    for device in ("Firefox on Linux", "Mobile Safari on iOS", "Unknown device"):
        assert f"⟦{device}⟧" in reader.page
    for browser in (phone, nothing):
        world.delete(f"/v1/sessions/{browser.session_id}", headers=world.admin)
    world.clock.move(20 * 60)
    look(reader, "/account/activity")
    reader.get("/account/sessions")
    assert reader.submit("/account/sessions/end", id="ses_nothing").status_code == 303
    again = reader.submit("/account/sessions/end-others").headers["location"]
    look(reader, again)
    back = {"return_to": hidden(reader.page, "return_to").replace("&amp;", "&")}
    done = reader.submit("/sign-in/acme", username="bob", password=PASSWORD, **back)
    look(reader, done.headers["location"])
    send(reader, "/account/sessions/end", 404, id="ses_nothing")
    look(reader, "/account/again?code=nothing", 404)


def test_applications_and_consent(world: World, reader: Surfer, applications: Applications) -> None:
    wiki = applications["wiki"]

    def allow(connection: Connection) -> None:
        user = find_user(connection, "acme", "bob")
        scopes = ["openid", "profile", "email", "offline_access"]
        consents.allow(connection, user.id, wiki.client_id, scopes, world.clock())

    look(reader, "/account/applications")
    world.engine.database.write(allow)
    enter(world, reader.session_id, "wiki")
    enter(world, reader.session_id, "phone")
    look(reader, "/account/applications?notice=withdrawn")

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
    send(reader, "/oauth/consent", 422, decision="maybe")
    # What the application is told is as the specification writes it: ASCII, and in no language of ours.
    told = reader.get(f"/oauth/authorize?{urlencode(asked | {'max_age': 'x'})}")
    assert "error_description=max_age+must" in told.headers["location"]


def test_passwords(world: World, reader: Surfer) -> None:
    path = "/account/password"
    look(reader, path)
    send(reader, path, 422)
    send(reader, path, 422, current="x", new="long enough", again="another")
    send(reader, path, 403, current="guess", new="long enough", again="long enough")
    give_authenticator(world, "acme", "bob")
    send(reader, path, 422, current=PASSWORD, new="long enough", again="long enough")
    send(reader, path, 403, current=PASSWORD, new="long enough", again="long enough", code="0")


def test_a_second_factor(world: World, reader: Surfer) -> None:
    path = "/account/second-factor"
    for notice in ("", "removed", "exists", "gone"):
        look(reader, f"{path}?notice={notice}")
    send(reader, path, 422, do="nothing")
    reader.get(path)
    send(reader, path, 422, do="begin")
    send(reader, path, 403, do="begin", password="guess")
    send(reader, path, 200, do="begin", password=PASSWORD)
    send(reader, path, 403, do="confirm", sealed=hidden(reader.page, "sealed"), code="000000")
    app: Authenticator = enrol(world, reader)
    check(reader)
    look(reader, path)
    send(reader, path, 422, do="remove", password=PASSWORD)
    send(reader, path, 403, do="remove", password=PASSWORD, code="000000")

    phone = german(Surfer(world, IPHONE))
    phone.sign_in("acme", "bob")
    check(phone)
    for code, status in (("", 422), ("000000", 403)):
        assert show_code(phone, code=code).status_code == status
        check(phone)
    assert show_code(phone, code=app.next(), ticket="x").status_code == 422
    check(phone)


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
        look(reader, "/device")
        send(reader, "/device", 422, user_code="WRONG")
        code = begun["user_code"]
        assert reader.submit("/device", user_code=code).status_code == 200
        assert unmarked(reader.page, (*NAMES, code)) == []
        send(reader, "/device/decide", 200, user_code=code, decision=decision)
    for _ in range(10):
        reader.submit("/device", user_code="WRONG")
    check(reader)


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
    look(reader, "/oauth/callback/nothing?state=x&code=y", 422)
    look(reader, "/sign-in/with/nothing", 404)


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
