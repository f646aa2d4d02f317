"""Nothing that people read in the console is left in English."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from iam.directory.applications import Application
from iam.directory.preferences import time_zones
from iam.directory.providers import add_link, find_provider
from iam.directory.users import find_user
from iam.sessions.counting import Count
from iam.sessions.model import EndReason
from iam.web.pages import STATIC
from tests.saml.conftest import make_key_pair
from tests.support.authenticator import give_authenticator
from tests.support.people import enter
from tests.support.pseudo import GERMAN, unmarked, unmarked_in
from tests.support.saml_idp import idp_metadata
from tests.support.surfer import FIREFOX, IPHONE, Surfer
from tests.support.world import ADMIN_PASSWORD, ISSUER, World

TEMPLATES = STATIC.parent / "templates"
HOOK = "https://hooks.example.com/iam"
IDP = "https://idp.corp.example"
NAMES = (
    *("alice", "Alice", "bob", "Bob", "carol", "eve", "Eve", "admin", "administrator", "auditor"),
    *("acme", "Acme Corporation", "globex", "Globex", "built-in", "Built-in", "app-built-in"),
    *("wiki", "Wiki", "phone", "Phone", "mail", "Mail", "docs.acme.example", "wiki.acme.example"),
    *("acme.example", "partner", "Partner Ltd", "github", "GitHub", "google", "gitea", "gitlab"),
    *("runner-1", "a note", "INC-2041", HOOK, ISSUER, ISSUER.removeprefix("http://")),
    # What is the same in every language: of protocols, and of how things are written.
    *("PKCE", "SAML", "OpenID Connect", "OAuth 2", "CSV", "JSON", "S256", "UTC", "ses_…"),
    *("openid-client (Node)", "Authlib (Python)", "mod_auth_openidc (Apache)", "nginx", "Traefik"),
    *("Caddy", "Envoy", "client_secret_basic", "client_secret_post", "none", "microsoft", "slack"),
    *(
        "name,display_name,email,roles",
        "Firefox on Linux",
        "Firefox",
        "Okt.",
        "Nov.",
        "Mobile Safari on iOS",
    ),
    *(
        "Administrator",
        "python-httpx2",
        "private_key_jwt",
        "urn:hanzo:iam:acr:1",
        "amr pwd",
        "#2c53c9",
        FIREFOX,
        IPHONE,
    ),
    *(zone.replace("_", " ") for zone in time_zones()),
)
"""What stands on these pages and is nobody's to translate."""
IDS = re.compile(r"\b(?:ses|evt)_[0-9a-z]{26}\b|\b2026-01-01T00:00\b")
SAME_EVERYWHERE = {
    ": app console",
    "dt: PKCE",
    "h2: SAML",
    "input placeholder: #2c53c9",
    "span title: amr …",
    "textarea placeholder: name,display_name,email,roles",
}
"""What templates have that is in no language: classes, names of protocols, and values as they are written."""
NEW_USER = {"organization": "acme", "name": "carol", "display_name": "carol"}
PROVIDER = {
    "organization": "acme",
    "kind": "oidc",
    "name": "partner",
    "display_name": "Partner Ltd",
    "issuer": "https://login.partner.example",
    "client_id": "iam",
    "client_secret": "a secret of theirs",
    "auth_method": "client_secret_basic",
    "scopes": "openid email",
}


def _check(surfer: Surfer, *data: str) -> None:
    assert '<html lang="de"' in surfer.page
    assert "⟦" in surfer.page
    found = unmarked(IDS.sub("", surfer.page), (*NAMES, *data))
    # What is pasted, and what somebody has written, is as it is.
    assert [one for one in found if not one.startswith(("pre: ", "textarea: "))] == []


def _look(surfer: Surfer, path: str, status: int = 200, data: tuple[str, ...] = ()) -> None:
    """Go there, and find nothing that is not marked."""
    assert surfer.get(path).status_code == status, path
    _check(surfer, *data)


def _send(surfer: Surfer, path: str, status: int, **fields: str) -> None:
    """Send a form of the page, and find nothing on its answer that is not marked."""
    assert surfer.submit(path, **fields).status_code == status, (path, fields)
    _check(surfer)


def _set(world: World, statement: str, *values: str | int | None) -> None:
    """Make of what is stored what would take long to come about."""
    world.engine.database.write(lambda c: c.exec_driver_sql(statement, values))


@pytest.fixture
def reader(pseudo: None, alice: Surfer) -> Surfer:
    """The browser of alice, who administers acme, answered in the language of ⟦brackets⟧."""
    alice.headers |= GERMAN
    return alice


@pytest.fixture
def root(pseudo: None, world: World, applications: dict[str, Application]) -> Surfer:
    """The same of the administrator of the installation."""
    surfer = Surfer(world)
    assert surfer.sign_in("built-in", "admin", ADMIN_PASSWORD).status_code == 303
    surfer.headers |= GERMAN
    return surfer


@pytest.mark.parametrize(
    "template", sorted(TEMPLATES.glob("*console*.html")), ids=lambda one: one.name
)
def test_a_template_marks_all_that_it_says(template: Path) -> None:
    assert set(unmarked_in(template.read_text())) <= SAME_EVERYWHERE


def test_the_overview(world: World, reader: Surfer, root: Surfer) -> None:
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    phone.sign_in("acme", "bob", "guess")
    enter(world, reader.session_id, "wiki")
    world.delete(f"/v1/sessions/{phone.session_id}", headers=world.admin)
    for query in ("", "?range=7d", "?range=30d"):
        _look(reader, f"/console{query}")
        _look(root, f"/console{query}")


def test_sessions(world: World, reader: Surfer, root: Surfer) -> None:
    enter(world, reader.session_id, "wiki", "runner-1")
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    locked = Surfer(world)
    locked.sign_in("acme", "bob")
    world.post(f"/v1/sessions/{locked.session_id}/lock", headers=world.admin)
    world.delete(f"/v1/sessions/{phone.session_id}", headers=world.admin)
    world.clock.move(90)
    path = "/console/sessions"
    for who in (reader, root):
        for query in (
            "",
            "?state=locked",
            "?state=ended",
            "?state=all",
            "?user=bob",
            "?state=ended&user=bob",
            "?amr=pwd&state=all",
            "?user=nobody",
            "?user=bo",
            "?state=all&user=nobody",
            "?state=locked&user=nobody",
            "?state=ended&user=nobody",
            "?ip=x",
            "?started_after=x",
            "?started_after=2026-01-01T00:00&last_active_before=2026-01-01T00:00",
            "?parent=ses_nobody",
            "?notice=ended",
            "?notice=over",
            "?notice=none",
            "?notice=ended-1",
            "?notice=ended-1312",
            "?organization=acme",
        ):
            _look(who, path + query, data=("nobody", "bo", "…nobody", "x"))
    for id_ in (reader.session_id, phone.session_id, locked.session_id):
        for notice in ("", "extended", "not-extended", "locked", "again", "pending"):
            _look(reader, f"{path}/{id_}?notice={notice}")
    _look(reader, f"{path}/ses_nothing", 404)
    for query in ("", "?q=nobody", "?q=bob", "?notice=ended", "?notice=record", "?notice=over"):
        _look(reader, f"/console/records{query}", data=("nobody",))
    for query in ("", "?user=nobody", "?user=bob"):
        _look(reader, f"/console/browsers{query}", data=("nobody",))
        _look(root, f"/console/browsers{query}", data=("nobody",))


def test_every_reason_of_an_end(world: World, reader: Surfer) -> None:
    for reason in EndReason:
        there = Surfer(world)
        there.sign_in("acme", "bob")
        _set(
            world,
            "UPDATE session SET ended_at = created_at, end_reason = ? WHERE id = ?",
            str(reason),
            there.session_id,
        )
        _look(reader, f"/console/sessions/{there.session_id}")
    _look(reader, "/console/sessions?state=ended")


def test_ending(world: World, reader: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    child = enter(world, phone.session_id, "wiki")
    reader.get("/console/sessions")
    _send(reader, "/console/sessions/end", 200, id=phone.session_id)
    _send(reader, "/console/sessions/end", 200, id=reader.session_id)
    reader.get("/console/sessions")
    record = {"organization": "acme", "user": "bob", "application": "wiki"}
    _send(reader, "/console/sessions/end-record", 200, **record)
    reader.get("/console/sessions")
    _send(reader, "/console/ends", 200, what="chosen", id=child)
    reader.get("/console/sessions")
    _send(reader, "/console/ends", 200, what="chosen", id=reader.session_id)
    reader.get("/console/sessions")
    for number in range(2):
        monkeypatch.setattr("iam.console.bulk_page.UNCONFIRMED_AT_MOST", number)
        reader.get("/console/sessions")
        _send(reader, "/console/ends", 200, what="all", user="bob", state="active")
    address = reader.page.partition('action="/console/ends/')[2].partition('"')[0]
    monkeypatch.setattr("iam.console.bulk_page.UNCONFIRMED_AT_MOST", 0)
    _send(reader, f"/console/ends/{address}", 422, confirmed="1", typed="")
    reader.submit(f"/console/ends/{address}", confirmed="1", typed="2", note="a note")
    _look(reader, f"/console/ends/{address}")
    _look(reader, "/console/ends/nothing", 404)
    reader.get("/console/sessions")
    _send(reader, f"/console/sessions/{reader.session_id}/extend", 422, lifetime="1")
    monkeypatch.setattr("iam.console.sessions_page.count_some", lambda *_: Count(1000, exact=False))
    _look(reader, "/console/sessions?user=alice")


def test_users(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/users"
    _look(root, path)
    for query in ("", "?q=nobody", "?q=bob", "?notice=deleted"):
        _look(reader, path + query, data=("nobody",))
    _look(reader, f"{path}/new?organization=acme")
    for fields in (
        {},
        {**NEW_USER, "email": "x", "roles": "ü\n" * 2, "password": "x"},
        {**NEW_USER, "invite.mail": "1", "display_name": "x" * 200},
        {**NEW_USER, "roles": "\n".join(f"r{n}" for n in range(40))},
    ):
        reader.get(f"{path}/new?organization=acme")
        assert reader.submit(f"{path}/new", **{"organization": "acme", **fields}).status_code == 422
        _check(reader, *(f"r{n}" for n in range(40)))
    reader.get(f"{path}/new?organization=acme")
    _send(reader, f"{path}/new", 409, **{**NEW_USER, "name": "bob"})
    reader.submit(f"{path}/new", **NEW_USER)
    give_authenticator(world, "acme", "carol")
    for name in ("alice", "bob", "carol"):
        for notice in (
            "",
            "created",
            "invited",
            "unlinked",
            "mailed",
            "saved",
            "disabled",
            "enabled",
            "password",
            "factor",
        ):
            _look(reader, f"{path}/acme/{name}?notice={notice}")
    there = f"{path}/acme/carol"
    for status, fields in (
        (422, {"do": "nothing"}),
        (200, {"do": "disable"}),
        (200, {"do": "delete"}),
        (200, {"do": "remove-factor"}),
        (422, {"do": "password", "password": "x"}),
        (422, {"do": "save", "email": "x"}),
        (200, {"do": "password"}),
    ):
        reader.get(there)
        assert reader.submit(there, **fields).status_code == status, fields
        shown = reader.page.partition('data-copy="')[2].partition('"')[0]
        _check(reader, *([shown] if fields == {"do": "password"} else []))
    reader.get(there)
    _send(reader, there, 409, do="mail-link")
    assert reader.submit(there, do="disable", confirmed="1").status_code == 303
    _look(reader, there)
    _look(reader, f"{path}/acme/nobody", 404)
    _look(reader, f"{path}?organization=globex", 404)


def test_an_import(world: World, reader: Surfer) -> None:
    path = "/console/users/import"
    _look(reader, f"{path}?organization=acme")
    for status, csv in (
        (422, ""),
        (422, "nothing"),
        (422, 'name\n"x'),
        (422, "name,email,roles,display_name\n ,x,ü," + "x" * 200 + "\nbob,,\ncarol\ncarol\n"),
        (200, "name\nbob\n"),
        (200, "name\ncarol\nbob\n"),
    ):
        reader.get(f"{path}?organization=acme")
        assert reader.submit(path, organization="acme", csv=csv).status_code == status, csv
        _check(reader, "x" * 128, "x", "ü", "unexpected end of data")
    for fields in ({"invite": "1"}, {"confirmed": "1"}):
        reader.get(f"{path}?organization=acme")
        reader.submit(path, organization="acme", csv="name\ncarol\n", **fields)
        _check(reader)


def test_applications(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/applications"
    _look(reader, f"{path}?notice=deleted")
    _look(root, f"{path}?organization=built-in")
    _look(reader, f"{path}/new?organization=acme")
    for fields in ({}, {"redirect_uris": "x\ny", "gate_hosts": "X", "kind": "x", "name": "Ü"}):
        reader.get(f"{path}/new?organization=acme")
        assert reader.submit(f"{path}/new", **{"organization": "acme", **fields}).status_code == 422
        _check(reader, "Ü", "“y”", "“X”")
    reader.get(f"{path}/new?organization=acme")
    _send(reader, f"{path}/new", 409, organization="acme", name="wiki", kind="public")
    reader.submit(f"{path}/new", organization="acme", name="desk", kind="confidential")
    secret = reader.page.split('data-copy="')[-1].partition('"')[0]
    client = reader.page.split('data-copy="')[1].partition('"')[0]
    _check(reader, secret, client, "desk")
    for notice in ("", "created", "saved", "saml", "no-saml", "disabled", "enabled"):
        _look(reader, f"{path}/acme/wiki?notice={notice}")
    _look(reader, f"{path}/acme/phone")
    _look(root, f"{path}/built-in/app-built-in")
    there = f"{path}/acme/wiki"
    for status, fields in (
        (200, {"do": "disable"}),
        (200, {"do": "delete"}),
        (200, {"do": "secret"}),
        (200, {"do": "saml-delete"}),
        (422, {"do": "saml"}),
        (422, {"do": "saml", "metadata": "<x/>"}),
        (422, {"do": "saml", "metadata": "x"}),
        (422, {"do": "save", "redirect_uris": "x"}),
    ):
        reader.get(there)
        _send(reader, there, status, **fields)
    reader.get(there)
    assert reader.submit(there, do="disable", confirmed="1").status_code == 303
    _look(reader, there)


def test_providers(world: World, reader: Surfer) -> None:
    path = "/console/providers"
    _look(reader, path)
    for kind in ("oidc", "oauth2", "saml"):
        _look(reader, f"{path}/new?organization=acme&kind={kind}")
        _send(reader, f"{path}/new", 422, organization="acme", kind=kind)
        reader.get(f"{path}/new?organization=acme&kind={kind}")
        wrong = {
            "name": "partner",
            "client_id": "x",
            "issuer": "x",
            "scopes": "ü",
            "attributes": "ü",
            "trusted_domains": "ü",
            "client_secret": "ü",
            "auth_method": "x",
            "metadata_url": "x",
            "metadata": "x",
            "metadata_signer": "x",
        }
        _send(reader, f"{path}/new", 422, organization="acme", kind=kind, **wrong)
    reader.get(f"{path}/new?organization=acme&kind=oauth2")
    lost = {"kind": "oauth2", "name": "partner", "client_id": "x", "auth_method": "none"}
    _send(reader, f"{path}/new", 403, organization="acme", **lost)
    reader.get(f"{path}/new?organization=acme")
    _send(reader, f"{path}/new", 422, organization="acme", kind="x")
    reader.get(f"{path}/new?organization=acme")
    assert reader.submit(f"{path}/new", **PROVIDER).status_code == 303
    world.engine.database.write(
        lambda c: add_link(
            c,
            find_provider(c, "acme", "partner").id,
            "bob@acme.example",
            find_user(c, "acme", "bob").id,
            world.clock(),
        )
    )
    _look(reader, "/console/users/acme/bob", data=("bob@acme.example",))
    _look(reader, f"{path}?notice=deleted")
    for notice in ("created", "saved", "disabled", "enabled"):
        _look(reader, f"{path}/acme/partner?notice={notice}")
    _send(reader, f"{path}/acme/partner", 200, do="delete")
    reader.get(f"{path}/acme/partner")
    reader.submit(f"{path}/acme/partner", do="save", issuer="https://other.example")
    _check(reader)
    _look(reader, f"{path}/acme/none", 404)


def test_saml_providers(world: World, reader: Surfer) -> None:
    path = "/console/providers"
    reader.get(f"{path}/new?organization=acme&kind=saml")
    given = {
        "organization": "acme",
        "kind": "saml",
        "name": "partner",
        "metadata_url": "",
        "name_id_format": "",
        "request_binding": "redirect",
        "context_comparison": "exact",
    }
    _send(reader, f"{path}/new", 422, **given)
    reader.get(f"{path}/new?organization=acme&kind=saml")
    _send(reader, f"{path}/new", 422, **given, metadata="<a/>")
    reader.get(f"{path}/new?organization=acme&kind=saml")
    key = make_key_pair()
    document = idp_metadata(IDP, (key,), (("HTTP-POST", f"{IDP}/sso"),))
    assert reader.submit(f"{path}/new", **given, metadata=document).status_code == 303
    print_ = key.certificate.fingerprint(SHA256()).hex(":").upper()
    shown = (IDP, f"{IDP}/sso", print_)
    _look(reader, f"{path}/acme/partner?notice=fetched", data=shown)
    reader.get(f"{path}/acme/partner")
    _send(reader, f"{path}/acme/partner", 422, do="fetch")


def test_organizations(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/organizations"
    _look(root, path)
    _look(root, f"{path}?notice=deleted")
    _look(root, f"{path}/new")
    _send(root, f"{path}/new", 422)
    root.get(f"{path}/new")
    _send(root, f"{path}/new", 409, name="acme")
    for who in (reader, root):
        for notice in ("", "created", "saved", "brand", "disabled", "enabled"):
            _look(who, f"{path}/acme?notice={notice}")
    for status, fields in (
        (422, {"do": "save"}),
        (200, {"do": "disable"}),
        (200, {"do": "delete"}),
        (422, {"do": "x"}),
    ):
        root.get(f"{path}/acme")
        _send(root, f"{path}/acme", status, **fields)
    root.get(f"{path}/built-in")
    _send(root, f"{path}/built-in", 409, do="delete", confirmed="1")
    for colour in ("x", "#ffff00"):
        reader.get(f"{path}/acme")
        _send(reader, f"{path}/acme/brand", 422, colour=colour)
    reader.get(f"{path}/acme")
    _send(reader, f"{path}/acme", 403, do="disable")
    root.get(f"{path}/acme")
    assert root.submit(f"{path}/globex", do="disable", confirmed="1").status_code == 303
    _look(root, f"{path}/globex")
    _look(root, path)


def test_webhooks(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/webhooks"
    _look(reader, path)
    _look(root, f"{path}/new")
    for url in ("x", "http://hooks.example.com", "https://127.0.0.1/x"):
        _look(reader, f"{path}/new")
        _send(reader, f"{path}/new", 422, url=url)
    reader.get(f"{path}/new")
    reader.submit(f"{path}/new", url=HOOK, **{"event_types.*": "1"})
    secret = reader.page.partition('data-copy="')[2].partition('"')[0]
    _check(reader, secret)
    (made,) = world.get("/v1/webhooks?organization=acme", headers=world.admin).json()["items"]
    there = f"{path}/{made['id']}"
    reader.get(there)
    reader.submit(there, do="test")
    for query in (
        "",
        "?state=pending",
        "?state=dead",
        "?state=delivered",
        "?notice=saved",
        "?notice=tested",
        "?notice=disabled",
        "?notice=enabled",
        "?notice=again",
        "?notice=pending",
    ):
        _look(reader, there + query)
    _look(root, f"{path}?notice=deleted")
    reader.get(there)
    _send(reader, there, 422, do="save", url="x")
    reader.get(there)
    _send(reader, there, 422, do="x")
    reader.get(there)
    _send(reader, there, 200, do="delete")
    for state, attempts, status in (("delivered", 1, 200), ("dead", 9, 500), ("pending", 2, None)):
        changed = "UPDATE delivery SET state = ?, attempts = ?, last_status = ?"
        _set(world, changed, state, attempts, status)
        _look(reader, there)
    reader.get(there)
    assert reader.submit(there, do="disable").status_code == 303
    _look(reader, there)
    _look(reader, path)


def test_policies(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/policies"
    said = {
        "idle_timeout": 5400,
        "at_limit": "ask",
        "exclusive": True,
        "maximum_sessions": 3,
        "remember_maximum_lifetime": 0,
    }
    world.patch("/v1/policies/organizations/acme", json=said, headers=world.admin)
    world.patch("/v1/policies/users/acme/bob", json={"exclusive": False}, headers=world.admin)
    world.patch("/v1/policies/roles/acme/auditor", json={"exclusive": False}, headers=world.admin)
    for who in (reader, root):
        for notice in ("", "&notice=saved", "&notice=same"):
            _look(who, f"{path}?organization=acme{notice}")
    layers = ("installation", "organization", "application", "role", "user")
    names = {"application": "wiki", "role": "auditor", "user": "bob"}
    for kind in layers:
        query = f"kind={kind}&organization=acme&name={names.get(kind, '')}"
        _look(root, f"{path}/edit?{query}")
    fields = {"kind": "organization", "organization": "acme"}
    _send(root, f"{path}/edit", 422, **fields, idle_timeout="x", maximum_lifetime="9000000 d")
    root.get(f"{path}/edit?kind=organization&organization=acme")
    _send(root, f"{path}/edit", 200, **fields, idle_timeout="1", at_limit="end_oldest")
    enter(world, reader.session_id, "wiki")
    world.clock.move(60)
    root.get(f"{path}/edit?kind=organization&organization=acme")
    _send(root, f"{path}/edit", 200, **fields, idle_timeout="1", maximum_lifetime="3600")
    _look(reader, f"/console/sessions/{reader.session_id}")
    _look(root, f"{path}/edit?kind=x", 404)
    _look(reader, f"{path}/edit?kind=installation", 403)


def test_keys(world: World, reader: Surfer, root: Surfer) -> None:
    path = "/console/keys"
    _look(root, path)
    root.submit(path, do="rotate")
    root.get(path)
    root.submit(path, do="saml")
    for notice in ("rotated", "saml", "replaced"):
        _look(root, f"{path}?notice={notice}")
    _send(root, path, 200, do="replace")
    _look(reader, path, 403)


def test_the_audit_log(world: World, reader: Surfer, root: Surfer) -> None:
    Surfer(world).sign_in("acme", "bob", "guess")
    enter(world, reader.session_id, "wiki")
    for who in (reader, root):
        for query in (
            "",
            "?user=nobody",
            "?type=session.started",
            "?since=x",
            "?until=2026-01-01T00:00",
            "?user=bob&ip=127.0.0.1&actor=system&reason=idle",
            "?organization=acme",
        ):
            _look(who, f"/console/audit{query}", data=("nobody", "user:", "system", "idle", "x"))
    _look(reader, "/console/audit/export?since=x", 422)


def test_whoever_has_no_part_in_it(pseudo: None, bob: Surfer) -> None:
    bob.headers |= GERMAN
    for path in ("/console", "/console/sessions", "/console/users/new"):
        _look(bob, path, 403)


def test_a_value_that_was_saved_can_be_saved_again_in_any_language(
    world: World, reader: Surfer
) -> None:
    said = {"idle_timeout": 5401, "maximum_lifetime": 90061, "maximum_sessions": 1312}
    world.patch("/v1/policies/organizations/acme", json=said, headers=world.admin)
    page = reader.get("/console/policies/edit?kind=organization&organization=acme").text
    fields = {
        name: page.partition(f'name="{name}"')[2].partition('value="')[2].partition('"')[0]
        for name in said
    }
    assert fields["maximum_lifetime"] == "1 d 1 h 1 min 1 s"
    where = {"kind": "organization", "organization": "acme", "confirmed": "1"}
    assert reader.submit("/console/policies/edit", **where, **fields).status_code == 303
    policy = world.get("/v1/policies/organizations/acme", headers=world.admin).json()
    assert {name: policy["policy"][name] for name in said} == said
