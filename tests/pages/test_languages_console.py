"""Nothing that people read on the console's pages of sessions, policies and events is left in English."""

from pathlib import Path

import pytest

from iam.sessions.counting import Count
from iam.sessions.model import EndReason
from iam.web.pages import STATIC
from tests.support.marked_console import look, send, store
from tests.support.people import enter
from tests.support.pseudo import GERMAN, unmarked_in
from tests.support.surfer import IPHONE, Surfer
from tests.support.world import World

TEMPLATES = STATIC.parent / "templates"
SAME_EVERYWHERE = {
    ": app console",
    "dt: PKCE",
    "h2: SAML",
    "input placeholder: #2c53c9",
    "span title: amr …",
    "textarea placeholder: name,display_name,email,roles",
}
"""What templates have that is in no language: classes, names of protocols, and values as they are written."""


@pytest.fixture
def reader(pseudo: None, alice: Surfer) -> Surfer:
    """The browser of alice, who administers acme, answered in the language of ⟦brackets⟧."""
    alice.headers |= GERMAN
    return alice


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
        look(reader, f"/console{query}")
        look(root, f"/console{query}")


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
            look(who, path + query, data=("nobody", "bo", "…nobody", "x"))
    for id_ in (reader.session_id, phone.session_id, locked.session_id):
        for notice in ("", "extended", "not-extended", "locked", "again", "pending"):
            look(reader, f"{path}/{id_}?notice={notice}")
    look(reader, f"{path}/ses_nothing", 404)
    for query in ("", "?q=nobody", "?q=bob", "?notice=ended", "?notice=record", "?notice=over"):
        look(reader, f"/console/records{query}", data=("nobody",))
    for query in ("", "?user=nobody", "?user=bob"):
        look(reader, f"/console/browsers{query}", data=("nobody",))
        look(root, f"/console/browsers{query}", data=("nobody",))


def test_every_reason_of_an_end(world: World, reader: Surfer) -> None:
    for reason in EndReason:
        there = Surfer(world)
        there.sign_in("acme", "bob")
        store(
            world,
            "UPDATE session SET ended_at = created_at, end_reason = ? WHERE id = ?",
            str(reason),
            there.session_id,
        )
        look(reader, f"/console/sessions/{there.session_id}")
    look(reader, "/console/sessions?state=ended")


def test_ending(world: World, reader: Surfer, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Surfer(world, IPHONE)
    phone.sign_in("acme", "bob")
    child = enter(world, phone.session_id, "wiki")
    reader.get("/console/sessions")
    send(reader, "/console/sessions/end", 200, id=phone.session_id)
    send(reader, "/console/sessions/end", 200, id=reader.session_id)
    reader.get("/console/sessions")
    record = {"organization": "acme", "user": "bob", "application": "wiki"}
    send(reader, "/console/sessions/end-record", 200, **record)
    reader.get("/console/sessions")
    send(reader, "/console/ends", 200, what="chosen", id=child)
    reader.get("/console/sessions")
    send(reader, "/console/ends", 200, what="chosen", id=reader.session_id)
    reader.get("/console/sessions")
    for number in range(2):
        monkeypatch.setattr("iam.console.bulk_page.UNCONFIRMED_AT_MOST", number)
        reader.get("/console/sessions")
        send(reader, "/console/ends", 200, what="all", user="bob", state="active")
    address = reader.page.partition('action="/console/ends/')[2].partition('"')[0]
    monkeypatch.setattr("iam.console.bulk_page.UNCONFIRMED_AT_MOST", 0)
    send(reader, f"/console/ends/{address}", 422, confirmed="1", typed="")
    reader.submit(f"/console/ends/{address}", confirmed="1", typed="2", note="a note")
    look(reader, f"/console/ends/{address}")
    look(reader, "/console/ends/nothing", 404)
    reader.get("/console/sessions")
    send(reader, f"/console/sessions/{reader.session_id}/extend", 422, lifetime="1")
    monkeypatch.setattr("iam.console.sessions_page.count_some", lambda *_: Count(1000, exact=False))
    look(reader, "/console/sessions?user=alice")


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
            look(who, f"{path}?organization=acme{notice}")
    layers = ("installation", "organization", "application", "role", "user")
    names = {"application": "wiki", "role": "auditor", "user": "bob"}
    for kind in layers:
        query = f"kind={kind}&organization=acme&name={names.get(kind, '')}"
        look(root, f"{path}/edit?{query}")
    fields = {"kind": "organization", "organization": "acme"}
    send(root, f"{path}/edit", 422, **fields, idle_timeout="x", maximum_lifetime="9000000 d")
    root.get(f"{path}/edit?kind=organization&organization=acme")
    send(root, f"{path}/edit", 200, **fields, idle_timeout="1", at_limit="end_oldest")
    enter(world, reader.session_id, "wiki")
    world.clock.move(60)
    root.get(f"{path}/edit?kind=organization&organization=acme")
    send(root, f"{path}/edit", 200, **fields, idle_timeout="1", maximum_lifetime="3600")
    look(reader, f"/console/sessions/{reader.session_id}")
    look(root, f"{path}/edit?kind=x", 404)
    look(reader, f"{path}/edit?kind=installation", 403)


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
            look(who, f"/console/audit{query}", data=("nobody", "user:", "system", "idle", "x"))
    look(reader, "/console/audit/export?since=x", 422)


def test_whoever_has_no_part_in_it(pseudo: None, bob: Surfer) -> None:
    bob.headers |= GERMAN
    for path in ("/console", "/console/sessions", "/console/users/new"):
        look(bob, path, 403)


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
