"""`/console/sessions/{id}`: one session, its story and its rules, and what is done about it there."""

import re

from sqlalchemy import Connection, text

from iam import audit
from iam.delivery.webhooks import create_webhook
from iam.sessions import store
from iam.sessions.layers import store_policy
from iam.sessions.policy import Layer, Policy
from tests.support.people import enter, serve_instance
from tests.support.surfer import Surfer
from tests.support.world import World


def test_one_sessions_page_tells_all_about_it(world: World, alice: Surfer, bob: Surfer) -> None:
    child = enter(world, bob.session_id, "wiki", "docs.acme.example")
    page = alice.get(f"/console/sessions/{bob.session_id}").text
    assert "Firefox on Linux" in page
    assert "Password" in page
    assert "docs.acme.example" in page
    assert f"/console/sessions/{child}" in page
    page = alice.get(f"/console/sessions/{child}").text
    assert f"/console/sessions/{bob.session_id}" in page
    page = alice.get(f"/console/sessions/{serve_instance(world, 'billing-1')}").text
    assert "by no person: started by an application" in page
    assert "&lt;b&gt;eu&lt;/b&gt;" in page
    assert "<b>eu" not in page


def test_a_session_may_go_on_for_as_long_as_its_policy_allows_and_no_longer(
    world: World, alice: Surfer
) -> None:
    wanted = serve_instance(world, "a")
    path = f"/console/sessions/{wanted}"

    def expiry() -> int:
        session = world.engine.database.read(lambda c: store.read_session(c, wanted))
        assert session is not None
        return session.expires_at

    before = expiry()
    for lifetime, notice in (("", "not-extended"), ("3600", "not-extended")):
        alice.get(path)
        answer = alice.submit(f"{path}/extend", lifetime=lifetime)
        assert answer.headers["location"] == f"{path}?notice={notice}"
    world.clock.move(600)
    alice.get(path)
    answer = alice.submit(f"{path}/extend", lifetime="")
    assert "may go on for longer" in alice.get(answer.headers["location"]).text
    assert expiry() == before + 600_000
    assert "Session extended" in alice.page
    assert alice.submit(f"{path}/extend", lifetime="1e9").status_code == 422
    alice.get("/console/sessions")
    alice.submit("/console/sessions/end", id=wanted, confirmed="1")
    alice.get("/console/sessions")
    assert alice.submit(f"{path}/extend", lifetime="").status_code == 409


def test_another_tenants_session_is_not_extended(world: World, alice: Surfer) -> None:
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    alice.get("/console/sessions")
    assert alice.submit(f"/console/sessions/{eve.session_id}/extend").status_code == 404


def test_a_session_page_says_who_was_told_and_sends_it_again(world: World, alice: Surfer) -> None:
    def add(connection: Connection) -> None:
        for organization, name in (("acme", "acme"), ("globex", "globex"), (None, "everything")):
            create_webhook(
                connection,
                organization=organization,
                url=f"https://hooks.example/{name}",
                event_types=["session.ended"],
                now=world.clock(),
                random=world.engine.random,
            )

    world.engine.database.write(add)
    wanted = serve_instance(world, "a")
    assert "Nobody wanted to be told" in alice.get(f"/console/sessions/{wanted}").text
    alice.submit("/console/sessions/end", id=wanted, confirmed="1")
    page = alice.get(f"/console/sessions/{wanted}").text
    assert "https://hooks.example/acme" in page
    assert "Waiting" in page
    # The installation's own are no business of a tenant's administrator.
    assert "everything" not in page
    assert "globex" not in page
    world.engine.database.write(
        lambda c: c.execute(text("UPDATE delivery SET state = 'dead', attempts = 8"))
    )
    assert "Given up" in alice.get(f"/console/sessions/{wanted}").text
    [path] = re.findall(r'action="(/console/deliveries/dlv_\w+/redeliver)"', alice.page)
    answer = alice.submit(path, back=f"/console/sessions/{wanted}")
    assert "is being sent again" in alice.get(answer.headers["location"]).text
    assert "Waiting" in alice.page
    alice.get("/console/sessions")
    again = alice.submit(path, back=f"/console/sessions/{wanted}")
    assert "still to be sent" in alice.get(again.headers["location"]).text
    events = world.engine.database.read(
        lambda c: audit.list_events(c, organization="acme", type_="delivery.redelivered")
    )
    assert [event.actor for event in events] == ["user:acme/alice"]
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    eve.get("/console/sessions")
    assert eve.submit(path).status_code == 404


def test_a_session_page_explains_each_rule_by_the_layer_that_sets_it(
    world: World, alice: Surfer
) -> None:
    world.engine.database.write(
        lambda c: store_policy(c, Layer("organization", "acme"), Policy(idle_timeout=900))
    )
    page = alice.get(f"/console/sessions/{serve_instance(world, 'a')}").text
    rows = re.findall(
        r'rowheader" scope="row"[^>]*>([^<]*)</th><td role="cell"><strong>([^<]*)</strong></td>'
        r'\s*<td role="cell"><span[^>]*>([^<]*)<',
        page,
    )
    assert {
        ("Idle timeout", "15 min", "Organization"),
        ("Maximum lifetime", "12 h", "default"),
    } <= set(rows)


def test_a_session_is_locked_and_listed_as_such(world: World, alice: Surfer, bob: Surfer) -> None:
    path = f"/console/sessions/{bob.session_id}"
    alice.get(path)
    done = alice.submit(f"{path}/lock")
    assert "is locked until" in alice.get(done.headers["location"]).text
    assert ">Locked</span>" in alice.page
    assert bob.session_id in alice.get("/console/sessions?state=locked").text
    assert bob.get("/account/sessions").status_code == 303
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    eve.get("/account/sessions")
    assert eve.submit(f"{path}/lock").status_code == 404
