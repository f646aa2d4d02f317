"""`/console`: who gets in, the records of an organization, and ending what they hold."""

import re
from html import unescape

from sqlalchemy import Connection

from iam.directory.users import UserChange, create_user, update_user
from iam.kernel.events import SYSTEM
from iam.sessions import records
from iam.sessions.model import RecordKey
from tests.support.people import enter, serve_instance
from tests.support.surfer import Surfer
from tests.support.world import ADMIN_PASSWORD, World


def _admin(world: World) -> Surfer:
    admin = Surfer(world)
    assert admin.sign_in("built-in", "admin", ADMIN_PASSWORD).status_code == 303
    return admin


def _rows(surfer: Surfer, path: str = "/console/records") -> list[tuple[str, str]]:
    """(user, application) of the records on the page."""
    page = surfer.get(path).text
    return re.findall(
        r'cell-user"><a[^>]*>([^<]*)</a>.*?cell-application">([^<]*)<', page, re.DOTALL
    )


def _tags(surfer: Surfer) -> list[str]:
    return re.findall(r'<summary title="(ses_\w+)', surfer.page)


def test_only_administrators_get_in(world: World, bob: Surfer) -> None:
    other = serve_instance(world, "a")
    for path in (
        "/console/sessions",
        "/console/browsers",
        "/console/records",
        f"/console/sessions/{other}",
    ):
        answer = bob.get(path)
        assert (answer.status_code, "This is for" in answer.text) == (403, True)
    bob.get("/account/sessions")
    assert 'href="/console' not in bob.page
    for path in ("/console/sessions/end", "/console/sessions/end-record"):
        fields = {"organization": "acme", "user": "bob", "application": "wiki"}
        assert bob.submit(path, id=other, confirmed="1", **fields).status_code == 403
        bob.get("/account/sessions")
    assert world.ended(other) is None


def test_an_administrator_sees_the_records_of_the_own_organization(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    child = enter(world, bob.session_id, "wiki")
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    assert _rows(alice) == [("alice", "app-built-in"), ("bob", "app-built-in"), ("bob", "wiki")]
    assert _tags(alice) == [alice.session_id, bob.session_id, child]
    assert alice.page.count(">yours<") == 1
    assert "globex" not in alice.page
    assert _rows(alice, "/console/records?q=bo") == [("bob", "app-built-in"), ("bob", "wiki")]
    assert _rows(alice, "/console/records?q=%25") == []
    assert "No sessions match" in alice.page


def test_another_tenant_does_not_exist(world: World, alice: Surfer) -> None:
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    theirs = eve.session_id
    for path in (
        "/console/sessions?organization=globex",
        "/console/records?organization=globex",
        "/console/browsers?organization=globex",
        "/console/sessions?organization=built-in",
        "/console/sessions?organization=nobody",
        f"/console/sessions/{theirs}",
        "/console/sessions/ses_00000000000000000000000000",
        "/console/sessions/%00",
        "/console/sessions/" + "x" * 3000,
    ):
        answer = alice.get(path)
        assert answer.status_code == 404, path
        assert "eve" not in answer.text.lower().replace("everywhere", "")
    for path, fields in (
        ("/console/sessions/end", {"id": theirs}),
        (
            "/console/sessions/end-record",
            {"organization": "globex", "user": "eve", "application": "app-built-in"},
        ),
    ):
        for confirmed in ("", "1"):
            alice.get("/console/sessions")
            answer = alice.submit(path, confirmed=confirmed, **fields)
            assert answer.status_code == 404
    assert world.ended(theirs) is None


def test_the_installations_administrator_chooses_among_all_organizations(
    world: World, alice: Surfer
) -> None:
    admin = _admin(world)
    assert _rows(admin) == [("admin", "app-built-in")]
    assert '<option value="globex"' in admin.page
    assert _rows(admin, "/console/records?organization=acme") == [("alice", "app-built-in")]
    assert admin.get(f"/console/sessions/{alice.session_id}").status_code == 200
    assert admin.get("/console/records?organization=nobody").status_code == 404


def test_a_session_is_ended_after_one_question(world: World, alice: Surfer, bob: Surfer) -> None:
    child = enter(world, bob.session_id, "wiki")
    alice.get("/console/records?q=bob")
    back = re.search(r'name="back" value="([^"]*)"', alice.page)
    assert back is not None
    asked = alice.submit("/console/sessions/end", id=bob.session_id, back=unescape(back[1]))
    assert "End this session?" in asked.text
    assert "bob is signed out of app-built-in" in asked.text
    assert world.ended(bob.session_id) is None
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    done = alice.post("/console/sessions/end", {k: unescape(v) for k, v in fields.items()})
    assert done.headers["location"] == "/console/records?q=bob&notice=ended"
    assert (world.ended(bob.session_id), world.ended(child)) == (
        "ended_by_admin",
        "parent_ended",
    )
    assert "An administrator ended this session at " in bob.get("/sign-in").text


def test_ending_the_own_session_is_a_sign_out(world: World, alice: Surfer) -> None:
    alice.get("/console/sessions")
    asked = alice.submit("/console/sessions/end", id=alice.session_id)
    assert "you will have to sign in again" in asked.text
    own = alice.session_id
    done = alice.submit("/console/sessions/end", id=own, confirmed="1")
    assert "You are signed out" in done.text
    assert "iam" not in alice.cookies
    assert world.ended(own) == "signed_out"


def test_all_of_a_record_are_ended(world: World, alice: Surfer) -> None:
    ids = [serve_instance(world, f"worker-{number}") for number in range(20)]
    rest = serve_instance(world, "other", "alice")
    assert _rows(alice)[1:] == [("alice", "wiki"), ("bob", "wiki")]
    record = {"organization": "acme", "user": "bob", "application": "wiki"}
    asked = alice.submit("/console/sessions/end-record", **record)
    assert "20 sessions end at once" in asked.text
    done = alice.submit("/console/sessions/end-record", confirmed="1", **record)
    assert done.headers["location"] == "/console/sessions?notice=record"
    assert {world.ended(one) for one in ids} == {"ended_by_admin"}
    assert world.ended(rest) is None
    key = RecordKey("acme", "bob", "wiki")
    assert world.engine.database.read(lambda c: records.read(c, key)) is None
    alice.get("/console/sessions")
    again = alice.submit("/console/sessions/end-record", confirmed="1", **record)
    assert again.headers["location"] == "/console/sessions?notice=over"


def test_forms_from_elsewhere_end_nothing(world: World, alice: Surfer, bob: Surfer) -> None:
    bob.get("/account/sessions")
    alice.get("/console/sessions")
    fields = {"id": bob.session_id, "confirmed": "1"}
    for csrf, headers in (
        ("", {}),
        (bob.csrf, {}),
        (alice.csrf, {"origin": "https://evil.example"}),
        (alice.csrf, {"sec-fetch-site": "same-site"}),
    ):
        answer = alice.post("/console/sessions/end", {"csrf": csrf, **fields}, **headers)
        assert answer.status_code == 403
    assert world.ended(bob.session_id) is None


def test_nobody_is_led_elsewhere_from_the_console(world: World, alice: Surfer) -> None:
    for back in ("//evil.example", "/account/sessions", "https://evil.example/console/sessions"):
        alice.get("/console/sessions")
        wanted = serve_instance(world, "x")
        done = alice.submit("/console/sessions/end", id=wanted, confirmed="1", back=back)
        assert done.headers["location"] == "/console/sessions?notice=ended"


def test_many_records_come_in_pages_that_do_not_shift(world: World, alice: Surfer) -> None:
    def people(connection: Connection) -> None:
        for number in range(60):
            create_user(
                connection,
                organization="acme",
                name=f"user-{number:02d}",
                password_hash=None,
                display_name=None,
                email=None,
                roles=(),
                now=world.clock(),
                random=world.engine.random,
            )

    world.engine.database.write(people)
    for number in range(60):
        serve_instance(world, "one", f"user-{number:02d}")
    first = _rows(alice)
    assert len(first) == 50
    following = re.search(r'rel="next" href="([^"]*)"', alice.page)
    assert following is not None
    second = _rows(alice, unescape(following[1]))
    assert [user for user, _ in [*first, *second]] == [
        "alice",
        *(f"user-{number:02d}" for number in range(60)),
    ]
    assert 'rel="next"' not in alice.page


def test_a_record_of_many_sessions_shows_the_newest(world: World, alice: Surfer) -> None:
    ids = [serve_instance(world, f"worker-{number}") for number in range(120)]
    alice.get("/console/records?q=bob")
    assert set(_tags(alice)) == set(ids[20:])
    assert "and 20 older" in alice.page
    assert "120 sessions end at once" in alice.page


def test_an_administrators_power_ends_with_the_role(world: World, alice: Surfer) -> None:
    world.engine.database.write(
        lambda c: update_user(
            c,
            "acme",
            "alice",
            UserChange(roles=[]),
            actor=SYSTEM,
            now=world.clock(),
            random=world.engine.random,
        )
    )
    assert alice.get("/console/sessions").status_code == 403


def test_an_ended_session_says_why_when_and_by_whom(
    world: World, alice: Surfer, bob: Surfer
) -> None:
    idle = serve_instance(world, "a")
    world.clock.move(10)
    alice.get("/console/sessions")
    alice.submit("/console/sessions/end", id=bob.session_id, confirmed="1")
    page = alice.get(f"/console/sessions/{bob.session_id}").text
    assert "An administrator ended it" in page
    assert "alice (acme)" in page
    assert "End session" not in page
    world.clock.move(20 * 60)
    alice.get("/console/sessions")
    world.clock.move(1)
    world.write_touches()
    world.clock.move(15 * 60)
    # Over by its deadline, although no sweep has been there.
    page = alice.get(f"/console/sessions/{idle}").text
    assert "Not used for longer than its idle timeout" in page
    assert "the server, when its time was over" in page
    assert _rows(alice) == [("alice", "app-built-in")]
