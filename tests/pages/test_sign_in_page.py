"""The sign-in page, by its public surface."""

import re

import pytest

from iam.directory.applications import Application, ApplicationChange, update_application
from iam.kernel.clock import to_datetime, to_iso
from iam.kernel.events import SYSTEM
from iam.sessions import lifecycle
from iam.sessions.model import EndReason
from tests.support.surfer import Surfer
from tests.support.world import ADMIN_PASSWORD, PASSWORD, World

Applications = dict[str, Application]


def test_signing_in_sets_the_browser_cookie_and_leads_to_the_own_sessions(surfer: Surfer) -> None:
    answer = surfer.sign_in("acme", "bob")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/account/sessions"
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("iam=ses_"))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "iam-flow" not in surfer.cookies
    assert surfer.get("/account/sessions").status_code == 200
    assert "Bob" in surfer.page


def test_the_organization_can_be_typed(surfer: Surfer) -> None:
    surfer.get("/sign-in")
    assert 'id="organization"' in surfer.page
    answer = surfer.submit("/sign-in", organization="acme", username="bob", password=PASSWORD)
    assert answer.status_code == 303


def test_an_application_settles_the_organization(
    surfer: Surfer, applications: Applications
) -> None:
    wiki = applications["wiki"].client_id
    surfer.get(f"/sign-in?application={wiki}")
    assert "Sign in to Wiki" in surfer.page
    assert "Acme Corporation" in surfer.page
    assert 'id="organization"' not in surfer.page
    # What the form says of the organization counts for nothing then.
    eve = surfer.submit(
        "/sign-in", application=wiki, organization="globex", username="eve", password=PASSWORD
    )
    assert eve.status_code == 401
    bob = surfer.submit("/sign-in", application=wiki, username="bob", password=PASSWORD)
    assert bob.status_code == 303


def test_form_action_names_where_the_chain_of_redirects_ends_and_nothing_else(
    surfer: Surfer, applications: Applications
) -> None:
    def form_action(name: str | None) -> str:
        query = f"?application={applications[name].client_id}" if name else ""
        policy = surfer.get(f"/sign-in{query}").headers["content-security-policy"]
        found = re.search(r"form-action ([^;]*);", policy)
        assert found is not None
        return found[1]

    assert form_action(None) == "'self'"
    assert form_action("wiki") == (
        "'self' https://wiki.acme.example https://docs.acme.example http://docs.acme.example"
    )
    assert form_action("phone") == "'self' com.acme.phone: http://127.0.0.1 http://127.0.0.1:*"


def test_an_unknown_or_disabled_application_is_a_page_that_says_so(
    world: World, surfer: Surfer, applications: Applications
) -> None:
    unknown = surfer.get("/sign-in?application=app_00000000000000000000000000")
    assert (unknown.status_code, "application_not_found" in unknown.text) == (404, True)
    assert surfer.get("/sign-in?application=%00").status_code == 200  # not a name of anything
    assert surfer.get("/sign-in?application=<script>").status_code == 404
    world.engine.database.write(
        lambda c: update_application(
            c,
            "acme",
            "wiki",
            ApplicationChange(enabled=False),
            actor=SYSTEM,
            now=world.clock(),
            random=world.engine.random,
        )
    )
    off = surfer.get(f"/sign-in?application={applications['wiki'].client_id}")
    assert (off.status_code, "switched off" in off.text) == (403, True)


def test_an_unknown_organization_in_the_address_is_not_found(surfer: Surfer) -> None:
    for name in ("initech", "ACME", "a%00b", "..", "%2e%2e", "x" * 300, "ä"):
        answer = surfer.get(f"/sign-in/{name}")
        assert answer.status_code in (303, 404), name
        assert "<html" in answer.text or answer.status_code == 303, name


@pytest.mark.parametrize(
    ("organization", "username", "password"),
    [
        ("acme", "bob", "not the password"),
        ("acme", "nobody-of-that-name", PASSWORD),
        ("initech", "bob", PASSWORD),
        ("globex", "bob", PASSWORD),
        ("ACME/../acme", "bob", PASSWORD),
        ("acme", "bob' OR 1=1 --", PASSWORD),
        ("acme", "bob\ud800".encode("utf-8", "replace").decode(), PASSWORD),
        ("acme", "b" * 5000, PASSWORD),
        ("acme", "bob", "p" * 5000),
        ("o" * 5000, "bob", PASSWORD),
    ],
)
def test_every_wrong_claim_is_answered_with_the_same_words(
    surfer: Surfer, organization: str, username: str, password: str
) -> None:
    surfer.get("/sign-in")
    wrong = surfer.submit(
        "/sign-in", organization=organization, username=username, password=password
    )
    assert wrong.status_code == 401
    assert "iam" not in surfer.cookies
    message = re.search(r'id="problem".*?</div>\s*</div>', wrong.text, re.DOTALL)
    assert message is not None
    assert "The user name or the password is not right. Check both and try again." in message[0]
    assert password not in wrong.text


def test_what_was_typed_is_kept_but_never_the_password(surfer: Surfer) -> None:
    surfer.get("/sign-in")
    surfer.submit(
        "/sign-in",
        organization="acme",
        username='bob"><script>',
        password="hunter2 hunter2",
        return_to="/console/sessions?q=a",
    )
    assert 'value="acme"' in surfer.page
    assert 'value="bob&#34;&gt;&lt;script&gt;"' in surfer.page
    assert 'value="/console/sessions?q=a"' in surfer.page
    assert "hunter2" not in surfer.page


def test_an_empty_field_is_asked_for(surfer: Surfer) -> None:
    surfer.get("/sign-in/acme")
    for fields in ({"username": "bob"}, {"password": PASSWORD}, {"username": " ", "password": "x"}):
        assert surfer.submit("/sign-in/acme", **fields).status_code == 422
        assert "Something is missing" in surfer.page


def test_too_many_failures_make_everybody_wait_and_the_page_says_how_long(
    world: World, surfer: Surfer
) -> None:
    for _ in range(5):
        assert surfer.sign_in("acme", "bob", "wrong wrong").status_code == 401
    blocked = surfer.sign_in("acme", "bob")
    assert blocked.status_code == 429
    assert "Try again in 30 seconds." in blocked.text
    assert blocked.headers["retry-after"] == "30"
    # The same for a name nobody has: waiting tells nothing either.
    for _ in range(5):
        surfer.sign_in("acme", "nobody-here", "wrong wrong")
    assert surfer.sign_in("acme", "nobody-here").status_code == 429
    world.clock.move(30)
    assert surfer.sign_in("acme", "bob").status_code == 303


def test_a_session_the_client_brings_is_never_adopted(world: World, surfer: Surfer) -> None:
    forged = "ses_" + "7" * 26 + "." + "A" * 43
    surfer.cookies["iam"] = forged
    surfer.get("/sign-in/acme")
    assert "iam" not in surfer.cookies  # cleared at once
    surfer.cookies["iam"] = forged
    answer = surfer.submit(
        "/sign-in/acme",
        username="bob",
        password=PASSWORD,
        session=forged,
        id=forged.partition(".")[0],
        token=forged,
    )
    assert answer.status_code == 303
    assert surfer.session_id != forged.partition(".")[0]
    assert "A" * 43 not in surfer.cookies["iam"]


def test_signing_in_as_another_user_makes_a_session_of_its_own_beside_the_former(
    world: World, surfer: Surfer
) -> None:
    surfer.sign_in("acme", "bob")
    first = surfer.cookies["iam"]
    surfer.sign_in("acme", "alice")
    assert surfer.cookies["iam"] != first
    assert surfer.cookies["iam-others"] == first
    assert world.ended(first.partition(".")[0]) is None
    assert world.ended(surfer.session_id) is None


def test_a_failed_sign_in_leaves_the_former_session_alone(world: World, bob: Surfer) -> None:
    before = bob.session_id
    assert bob.sign_in("acme", "bob", "wrong wrong").status_code == 401
    assert bob.session_id == before
    assert world.ended(before) is None


def test_whoever_is_signed_in_may_go_on_as_they_are(surfer: Surfer, bob: Surfer) -> None:
    page = bob.get("/sign-in?return_to=/console/sessions").text
    assert "Continue as Bob" in page
    assert 'href="/console/sessions"' in page
    assert 'id="password"' not in page
    assert 'id="password"' in bob.get("/sign-in?prompt=login").text


def test_an_application_of_another_organization_asks_for_an_account_there(
    bob: Surfer, applications: Applications
) -> None:
    page = bob.get(f"/sign-in?application={applications['mail'].client_id}").text
    assert "Continue as" not in page
    assert "This needs an account of Globex" in page
    assert 'id="password"' in page


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (EndReason.ENDED_BY_ADMIN, "An administrator ended this session at {time} UTC."),
        (EndReason.ENDED_BY_USER, "You ended this session from another device at {time} UTC."),
        (EndReason.CREDENTIALS_CHANGED, "Your password or your second factor was changed."),
    ],
)
def test_the_page_says_why_a_session_is_over_to_its_former_holder(
    world: World, bob: Surfer, reason: EndReason, words: str
) -> None:
    words = words.format(time=to_iso(world.clock())[11:16])
    world.engine.database.write(
        lambda c: lifecycle.end(
            c,
            [bob.session_id],
            reason=reason,
            actor=SYSTEM,
            now=world.clock(),
            random=world.engine.random,
        )
    )
    stranger = Surfer(world)
    stranger.cookies["iam"] = f"{bob.session_id}.{'A' * 43}"
    assert words not in stranger.get("/sign-in").text
    sent_on = bob.get("/account/sessions")
    assert (sent_on.status_code, sent_on.headers["location"]) == (303, "/sign-in")
    assert words in bob.get("/sign-in").text
    assert "iam" not in bob.cookies


def test_the_page_names_the_day_of_an_end_that_was_not_today(world: World, bob: Surfer) -> None:
    headers = world.admin
    body = {"organization": "acme", "user": "bob"}
    world.clock.move(1)
    assert world.post("/v1/sessions/not-before", json=body, headers=headers).status_code == 200
    ended = to_datetime(world.clock())
    world.clock.move(24 * 60 * 60)

    words = ended.strftime("An administrator ended this session on %-d %b %Y at %H:%M UTC.")
    assert words in bob.get("/sign-in").text


def test_an_idle_session_is_over_and_the_page_says_it(world: World, bob: Surfer) -> None:
    world.clock.move(30 * 60)
    assert bob.get("/account/sessions").status_code == 303
    assert "You were away for longer" in bob.get("/sign-in").text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_sent_by_another_site_signs_nobody_in(
    surfer: Surfer, headers: dict[str, str]
) -> None:
    surfer.get("/sign-in/acme")
    fields = {"csrf": surfer.csrf, "username": "bob", "password": PASSWORD}
    assert surfer.post("/sign-in/acme", fields, **headers).status_code == 403
    assert "iam" not in surfer.cookies


def test_a_form_without_the_flow_of_this_browser_signs_nobody_in(
    world: World, surfer: Surfer
) -> None:
    other = Surfer(world)
    other.get("/sign-in/acme")
    surfer.get("/sign-in/acme")
    own = surfer.csrf
    for csrf in ("", "x" * 43, other.csrf, own[:-1]):
        fields = {"csrf": csrf, "username": "bob", "password": PASSWORD}
        answer = surfer.post("/sign-in/acme", fields)
        assert (answer.status_code, "csrf_failed" in answer.text) == (403, True)
    del surfer.cookies["iam-flow"]
    fields = {"csrf": own, "username": "bob", "password": PASSWORD}
    assert surfer.post("/sign-in/acme", fields).status_code == 403


def test_the_flow_cookie_serves_several_open_pages_and_a_malformed_one_is_replaced(
    surfer: Surfer,
) -> None:
    surfer.get("/sign-in/acme")
    flow = surfer.cookies["iam-flow"]
    assert len(flow) == 43
    surfer.get("/sign-in")
    assert surfer.cookies["iam-flow"] == flow
    surfer.cookies["iam-flow"] = "short"
    surfer.get("/sign-in")
    assert len(surfer.cookies["iam-flow"]) == 43


def test_a_body_that_is_no_form_is_refused_with_a_page(surfer: Surfer) -> None:
    surfer.get("/sign-in/acme")
    for content, kind in (
        (b'{"username": "bob"}', "application/json"),
        (b"", ""),
        (b"username=a%00b&csrf=x", "application/x-www-form-urlencoded"),
        (b"&".join(b"f%d=1" % n for n in range(200)), "application/x-www-form-urlencoded"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
    ):
        answer = surfer.send("POST", "/sign-in", content=content, headers={"content-type": kind})
        assert answer.status_code in (400, 422), (content, kind)
        assert answer.headers["content-type"].startswith("text/html")


def test_every_page_is_private_and_framed_by_nobody(surfer: Surfer) -> None:
    headers = surfer.get("/sign-in").headers
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert " style=" not in surfer.page
    assert "onclick" not in surfer.page


def test_the_first_administrator_signs_in_to_the_whole_installation(surfer: Surfer) -> None:
    assert surfer.sign_in("built-in", "admin", ADMIN_PASSWORD).status_code == 303
    assert surfer.get("/console/sessions?organization=acme").status_code == 200
