"""Users, applications, organizations and webhooks in the console: changed, audited, and nobody else's."""

import re
from html import unescape

import pytest
from sqlalchemy import text

from iam import audit
from iam.directory.applications import find_client
from iam.directory.preferences import Preferences
from iam.directory.users import find_user
from iam.kernel.events import Event
from tests.support.authenticator import give_authenticator
from tests.support.people import enter
from tests.support.surfer import Surfer
from tests.support.world import ADMIN_PASSWORD, World


@pytest.fixture
def admin(world: World, alice: Surfer) -> Surfer:
    """The browser of the installation's administrator, signed in."""
    surfer = Surfer(world)
    assert surfer.sign_in("built-in", "admin", ADMIN_PASSWORD).status_code == 303
    return surfer


def _events(world: World, type_: str, organization: str | None = "acme") -> list[Event]:
    return list(
        world.engine.database.read(
            lambda c: audit.list_events(c, organization=organization, type_=type_)
        )
    )


def _shown_once(page: str, words: str) -> str:
    found = re.search(rf"<dt>{words}</dt><dd><span[^>]*><code>([^<]*)</code>", page)
    assert found is not None
    return unescape(found[1])


def test_a_user_is_added_changed_and_found(world: World, alice: Surfer) -> None:
    alice.get("/console/users/new")
    fields = {"organization": "acme", "name": "carol", "display_name": "Carol <b>", "roles": "dev"}
    added = alice.submit("/console/users/new", password="open sesame 2", **fields)
    assert added.headers["location"] == "/console/users/acme/carol?notice=created"
    assert Surfer(world).sign_in("acme", "carol", "open sesame 2").status_code == 303
    page = alice.get("/console/users?q=caro").text
    assert page.count('<span class="name">') == 1
    assert "Carol &lt;b&gt;" in page
    alice.get("/console/users/acme/carol")
    fields = {"display_name": "Carol Ray", "email": "carol@acme.example", "roles": "dev\nops\n"}
    saved = alice.submit("/console/users/acme/carol", do="save", **fields)
    assert "Saved." in alice.get(saved.headers["location"]).text
    user = world.engine.database.read(lambda c: find_user(c, "acme", "carol"))
    assert (user.display_name, user.email, user.roles) == (
        "Carol Ray",
        "carol@acme.example",
        ("dev", "ops"),
    )
    assert [one.actor for one in _events(world, "user.created")] == ["user:acme/alice"]
    [changed] = _events(world, "user.updated")
    assert changed.data["roles"] == ["dev", "ops"]


def test_a_users_language_and_time_zone_are_chosen_for_them(world: World, alice: Surfer) -> None:
    chosen = {"locale": "fr", "zoneinfo": "Europe/Paris"}
    alice.get("/console/users/new")
    alice.submit("/console/users/new", organization="acme", name="carol", **chosen)
    page = alice.get("/console/users/acme/carol").text
    assert '<option value="fr" selected>Français</option>' in page
    assert '<option value="Europe/Paris" selected>Europe/Paris</option>' in page
    alice.submit("/console/users/acme/carol", do="save", locale="ja", zoneinfo="")
    user = world.engine.database.read(lambda c: find_user(c, "acme", "carol"))
    assert user.preferences == Preferences("ja", None)
    alice.get("/console/users/acme/carol")
    refused = alice.submit("/console/users/acme/carol", do="save", locale="tlh", zoneinfo="Mars")
    assert (refused.status_code, refused.text.count("Choose one of these.")) == (422, 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "no spaces here"}, "Letters, digits and"),
        ({"name": ""}, "This is needed."),
        ({"email": "nowhere"}, "This is no e-mail address."),
        ({"roles": "fine\nnot, fine"}, "“not, fine”"),
        ({"password": "short"}, "Use 8 to 256 characters."),
        ({"display_name": "x" * 200}, "At most 128 characters."),
        ({"name": "bob"}, "has a user"),
    ],
)
def test_a_mistake_is_said_beside_its_field_and_nothing_is_lost(
    world: World, alice: Surfer, given: dict[str, str], words: str
) -> None:
    alice.get("/console/users/new")
    fields = {"organization": "acme", "name": "carol", "email": "carol@acme.example", **given}
    answer = alice.submit("/console/users/new", **fields)
    assert answer.status_code in (409, 422)
    assert words in unescape(answer.text)
    if "email" not in given:
        assert 'value="carol@acme.example"' in answer.text
    assert "short" not in answer.text.partition("<form")[2].replace("button-short", "")
    assert _events(world, "user.created") == []


def test_disabling_a_user_asks_first_and_ends_their_sessions(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    alice.get("/console/users/acme/bob")
    asked = alice.submit("/console/users/acme/bob", do="disable")
    assert "Disable bob?" in asked.text
    assert world.ended(bob.session_id) is None
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    done = alice.post("/console/users/acme/bob", {k: unescape(v) for k, v in fields.items()})
    assert done.headers["location"].endswith("notice=disabled")
    assert world.ended(bob.session_id) == "user_disabled"
    alice.get("/console/users/acme/bob")
    alice.submit("/console/users/acme/bob", do="enable")
    assert Surfer(world).sign_in("acme", "bob").status_code == 303


def test_a_password_that_is_made_is_shown_once_and_ends_all_sessions(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    alice.get("/console/users/acme/bob")
    made = alice.submit("/console/users/acme/bob", do="password", password="")
    password = _shown_once(made.text, "password")
    assert made.headers["cache-control"] == "no-store"
    assert world.ended(bob.session_id) == "credentials_changed"
    assert Surfer(world).sign_in("acme", "bob", password).status_code == 303
    assert password not in alice.get("/console/users/acme/bob").text
    assert password not in str(_events(world, "user.updated"))
    alice.submit("/console/users/acme/bob", do="password", password="chosen by alice")
    assert Surfer(world).sign_in("acme", "bob", "chosen by alice").status_code == 303


def test_a_second_factor_is_seen_and_removed_after_a_question(world: World, alice: Surfer) -> None:
    here = "/console/users/acme/bob"
    assert "The password alone signs bob in" in alice.get(here).text
    give_authenticator(world, "acme", "bob")
    page = alice.get(here).text
    assert "10 recovery codes left" in page

    asked = alice.submit(here, do="remove-factor")
    assert "Remove the second factor of bob?" in asked.text
    assert _events(world, "factor.removed") == []
    done = alice.submit(here, do="remove-factor", confirmed="1")

    assert done.headers["location"] == f"{here}?notice=factor"
    (event,) = _events(world, "factor.removed")
    assert (event.actor, event.user) == ("user:acme/alice", "bob")
    assert Surfer(world).sign_in("acme", "bob").status_code == 303
    alice.get(here)
    assert alice.submit(here, do="remove-factor", confirmed="1").headers["location"] == here


def test_a_user_is_deleted_and_the_first_administrator_is_not(
    world: World, alice: Surfer, admin: Surfer
) -> None:
    alice.get("/account/sessions")
    gone = alice.submit("/console/users/acme/bob", do="delete", confirmed="1")
    assert "deleted" in alice.get(gone.headers["location"]).text
    assert alice.get("/console/users/acme/bob").status_code == 404
    admin.get("/console/users/built-in/admin")
    refused = admin.submit("/console/users/built-in/admin", do="delete", confirmed="1")
    assert refused.status_code == 409
    admin.get("/console/users/built-in/admin")
    refused = admin.submit("/console/users/built-in/admin", do="save", roles="")
    assert (refused.status_code, "locked out" in refused.text) == (409, True)


def test_an_application_is_added_with_a_secret_that_is_shown_once(
    world: World, alice: Surfer
) -> None:
    alice.get("/console/applications/new")
    fields = {
        "organization": "acme",
        "name": "blog",
        "kind": "confidential",
        "redirect_uris": "https://blog.acme.example/callback\n",
        "gate_hosts": "blog.acme.example",
        "grant_types.authorization_code": "1",
    }
    made = alice.submit("/console/applications/new", **fields)
    client_id, secret = (_shown_once(made.text, one) for one in ("client ID", "client secret"))
    found = world.engine.database.read(lambda c: find_client(c, client_id))
    assert found is not None
    assert found.authenticates(secret)
    page = alice.get("/console/applications/acme/blog").text
    assert secret not in page
    assert "Put blog.acme.example behind the gate" in page
    assert "forward_auth 127.0.0.1:8000 {" in page
    asked = alice.submit("/console/applications/acme/blog", do="secret")
    assert "Replace the client secret?" in asked.text
    again = alice.submit("/console/applications/acme/blog", do="secret", confirmed="1")
    fresh = world.engine.database.read(lambda c: find_client(c, client_id))
    assert fresh is not None
    assert fresh.authenticates(_shown_once(again.text, "client secret"))
    assert not fresh.authenticates(secret)
    assert len(_events(world, "application.secret_rotated")) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"redirect_uris": "javascript:alert(1)"}, "“javascript:alert(1)”"),
        ({"redirect_uris": "https://a.example/#x"}, "without a fragment"),
        ({"gate_hosts": "UPPER.example"}, "lower case"),
        ({"gate_hosts": "127.0.0.1:8000"}, "the server's own host"),
        ({"gate_hosts": "docs.acme.example"}, "for another application"),
        ({"name": "wiki"}, "has an application"),
        ({"kind": "other"}, "Choose one of these."),
    ],
)
def test_what_no_application_may_have_is_refused(
    world: World, alice: Surfer, given: dict[str, str], words: str
) -> None:
    alice.get("/console/applications/new")
    fields = {"organization": "acme", "name": "blog", "kind": "public", **given}
    answer = alice.submit("/console/applications/new", **fields)
    assert answer.status_code in (409, 422)
    assert words in unescape(answer.text)
    assert _events(world, "application.created") == []


def test_an_application_is_changed_disabled_and_deleted(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    child = enter(world, bob.session_id, "wiki")
    path = "/console/applications/acme/wiki"
    page = alice.get(path).text
    assert "https://wiki.acme.example/callback" in page
    fields = {"display_name": "The wiki", "redirect_uris": "https://w.example/cb"}
    fields["grant_types.refresh_token"] = "1"
    assert alice.submit(path, do="save", **fields).headers["location"].endswith("notice=saved")
    page = alice.get(path).text
    assert "The wiki" in page
    assert world.ended(child) is None
    alice.submit(path, do="disable", confirmed="1")
    assert world.ended(child) == "application_disabled"
    alice.get(path)
    alice.submit(path, do="enable")
    alice.get(path)
    alice.submit(path, do="delete", confirmed="1")
    assert alice.get(path).status_code == 404
    assert [len(_events(world, f"application.{one}")) for one in ("updated", "deleted")] == [3, 1]


def test_the_servers_own_application_stays(admin: Surfer) -> None:
    path = "/console/applications/built-in/app-built-in"
    for do in ("disable", "delete", "secret"):
        admin.get(path)
        assert admin.submit(path, do=do, confirmed="1").status_code == 409


def test_organizations_are_for_the_installations_administrator(
    world: World, admin: Surfer, alice: Surfer
) -> None:
    admin.get("/console/organizations/new")
    made = admin.submit("/console/organizations/new", name="initech", display_name="Initech")
    assert "has been added" in admin.get(made.headers["location"]).text
    admin.submit("/console/organizations/initech", do="save", display_name="Initech Ltd")
    assert "Initech Ltd" in admin.get("/console/organizations").text
    again = admin.submit("/console/organizations/new", name="acme")
    assert again.status_code in (403, 409)
    admin.get("/console/organizations/initech")
    admin.submit("/console/organizations/initech", do="delete", confirmed="1")
    assert admin.get("/console/organizations/initech").status_code == 404
    assert alice.get("/console/organizations/new").status_code == 403
    assert "Globex" not in alice.get("/console/organizations").text
    alice.get("/console/organizations/acme")
    refused = alice.submit("/console/organizations/acme", do="delete", confirmed="1")
    assert refused.status_code == 403
    alice.get("/console/organizations/acme")
    assert alice.submit("/console/organizations/new", name="mine").status_code == 403


def test_a_webhook_is_made_tried_changed_and_deleted(world: World, alice: Surfer) -> None:
    alice.get("/console/webhooks/new")
    fields = {"organization": "acme", "url": "https://hooks.example/in"}
    fields["event_types.session.ended"] = "1"
    made = alice.submit("/console/webhooks/new", **fields)
    assert _shown_once(made.text, "secret").startswith("whsec_")
    [path] = re.findall(r'href="(/console/webhooks/whk_\w+)"', made.text)
    assert "whsec_" not in alice.get(path).text
    alice.submit(path, do="test")
    assert "webhook.tested" in alice.get(path).text
    alice.submit(path, do="disable")
    assert "Disabled" in alice.get(path).text
    alice.submit(path, do="enable")
    alice.get(path)
    fields = {"url": "https://hooks.example/other", "event_types.*": "1"}
    alice.submit(path, do="save", **fields)
    assert "https://hooks.example/other" in alice.get("/console/webhooks").text
    alice.get(path)
    assert "Delete this webhook?" in alice.submit(path, do="delete").text
    alice.get(path)
    alice.submit(path, do="delete", confirmed="1")
    assert alice.get(path).status_code == 404
    kinds = ("created", "tested", "updated", "deleted")
    assert [len(_events(world, f"webhook.{one}")) for one in kinds] == [1, 1, 3, 1]


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "https://10.0.0.1/", "ftp://x.example", "https://"]
)
def test_no_webhook_goes_where_nothing_is_sent(alice: Surfer, url: str) -> None:
    alice.get("/console/webhooks/new")
    fields = {"organization": "acme", "url": url, "event_types.*": "1"}
    answer = alice.submit("/console/webhooks/new", **fields)
    assert (answer.status_code, 'class="wrong"' in answer.text) == (422, True)


def test_notices_that_were_given_up_are_found_and_sent_again(world: World, alice: Surfer) -> None:
    alice.get("/console/webhooks/new")
    fields = {"organization": "acme", "url": "https://hooks.example/in", "event_types.*": "1"}
    alice.submit("/console/webhooks/new", **fields)
    Surfer(world).sign_in("acme", "bob")
    world.engine.database.write(
        lambda c: c.execute(text("UPDATE delivery SET state = 'dead', attempts = 8"))
    )
    page = alice.get("/console/webhooks?state=dead").text
    [path, *_] = re.findall(r'action="(/console/deliveries/dlv_\w+/redeliver)"', page)
    done = alice.submit(path, back="/console/webhooks?state=dead")
    assert done.headers["location"] == "/console/webhooks?state=dead&notice=again"
    assert "sent again" in alice.get(done.headers["location"]).text
    assert path not in alice.page


OTHERS = [
    "/console/users/globex/eve",
    "/console/users?organization=globex",
    "/console/users/new?organization=globex",
    "/console/applications/globex/mail",
    "/console/applications?organization=globex",
    "/console/applications/new?organization=globex",
    "/console/organizations/globex",
    "/console/webhooks?organization=globex",
    "/console/webhooks/new?organization=globex",
    "/console/webhooks/whk_00000000000000000000000000",
    "/console/audit?organization=globex",
    "/console/audit/export?organization=globex",
]


@pytest.mark.parametrize("path", OTHERS)
def test_what_is_another_tenants_does_not_exist(alice: Surfer, path: str) -> None:
    assert alice.get(path).status_code == 404
    assert "eve@globex" not in alice.page


@pytest.mark.parametrize("path", [*OTHERS, "/console/users", "/console/audit", "/console/webhooks"])
def test_who_administers_nothing_gets_nowhere(bob: Surfer, path: str) -> None:
    assert bob.get(path).status_code == 403


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/console/users/new", {"organization": "globex", "name": "mallory"}),
        ("/console/users/globex/eve", {"do": "password"}),
        ("/console/users/globex/eve", {"do": "delete"}),
        ("/console/applications/new", {"organization": "globex", "name": "x", "kind": "public"}),
        ("/console/applications/globex/mail", {"do": "secret"}),
        ("/console/organizations/globex", {"do": "save", "display_name": "mine"}),
        (
            "/console/webhooks/new",
            {"organization": "globex", "url": "https://e.example", "event_types.*": "1"},
        ),
    ],
)
def test_nothing_of_another_tenant_is_changed(
    world: World, alice: Surfer, bob: Surfer, path: str, fields: dict[str, str]
) -> None:
    alice.get("/account/sessions")
    assert alice.submit(path, confirmed="1", **fields).status_code == 404
    bob.get("/account/sessions")
    assert bob.submit(path, confirmed="1", **fields).status_code == 403
    alice.get("/account/sessions")
    for csrf, headers in (("", {}), (alice.csrf, {"origin": "https://evil.example"})):
        own = {**fields, "organization": "acme", "confirmed": "1", "csrf": csrf}
        assert alice.post(path.replace("globex", "acme"), own, **headers).status_code == 403
    assert [one for one in _events(world, "user.created", None) if one.user == "mallory"] == []


def test_a_form_that_does_not_say_what_to_do_changes_nothing(alice: Surfer) -> None:
    for path in ("/console/users/acme/bob", "/console/applications/acme/wiki"):
        for do in ("", "everything"):
            alice.get("/account/sessions")
            assert alice.submit(path, do=do).status_code == 422
