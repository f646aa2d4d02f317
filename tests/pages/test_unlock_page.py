"""The page that a locked session leads to, by its public surface."""

from urllib.parse import parse_qs, urlsplit

from iam.directory.applications import Application
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD, World

HOST = "docs.acme.example"


def _lock(world: World, session_id: str) -> None:
    answer = world.post(f"/v1/sessions/{session_id}/lock", headers=world.admin)
    assert answer.status_code == 200, answer.text


def _asked(world: World, surfer: Surfer) -> tuple[int, str]:
    """What the gate answers to the application's cookie."""
    cookie = {"x-forwarded-host": HOST, "cookie": f"iam-app={surfer.cookies['iam-app']}"}
    answer = world.get("/gate/nginx", headers=cookie)
    return answer.status_code, "" if answer.is_success else answer.json()["code"]


def _unlock(surfer: Surfer, address: str, password: str = PASSWORD) -> tuple[int, str | None]:
    """Send the form of the page last looked at, with what the page's address says."""
    query = parse_qs(urlsplit(address).query)
    fields = {name: values[0] for name, values in query.items()}
    answer = surfer.submit("/unlock", **fields, password=password)
    return answer.status_code, answer.headers.get("location")


def test_a_locked_browser_session_asks_for_the_password_and_goes_on_as_itself(
    world: World, bob: Surfer
) -> None:
    session, former = bob.session_id, bob.cookies["iam"]
    _lock(world, session)

    away = bob.get("/account/sessions?notice=ended")
    there = bob.get(away.headers["location"])
    assert (there.status_code, urlsplit(there.headers["location"]).path) == (303, "/unlock")
    assert bob.get(there.headers["location"]).status_code == 200

    assert "This session is locked" in bob.page
    assert "Bob" in bob.page
    assert 'name="organization"' not in bob.page
    back = "/account/sessions?notice=ended"
    assert _unlock(bob, there.headers["location"]) == (303, back)
    assert bob.session_id == session
    assert bob.cookies["iam"] != former
    assert bob.get(back).status_code == 200
    bob.cookies["iam"] = former
    assert bob.get(back).status_code == 303, "the former cookie is nobody's"


def test_a_wrong_password_unlocks_nothing_and_is_throttled(world: World, bob: Surfer) -> None:
    _lock(world, bob.session_id)
    bob.get("/unlock")
    assert _unlock(bob, "", "") == (422, None)
    for _ in range(5):
        assert _unlock(bob, "", "guess") == (403, None)
        assert "Error:" in bob.page
    assert _unlock(bob, "") == (429, None)
    assert "30 seconds" in bob.page
    assert bob.get("/account/sessions").status_code == 303


def test_another_site_cannot_send_the_form(world: World, bob: Surfer) -> None:
    _lock(world, bob.session_id)
    bob.get("/unlock")
    forged = bob.post("/unlock", {"password": PASSWORD})
    foreign = bob.post(
        "/unlock", {"password": PASSWORD, "csrf": bob.csrf}, origin="https://evil.example"
    )
    assert (forged.status_code, foreign.status_code) == (403, 403)


def test_what_is_entered_from_a_locked_browser_session_is_refused_until_it_is_unlocked(
    world: World, bob: Surfer
) -> None:
    bob.visit(HOST)
    assert _asked(world, bob) == (200, "")
    _lock(world, bob.session_id)
    assert _asked(world, bob) == (401, "session_locked")

    bob.visit(HOST)

    assert "This session is locked" in bob.page
    there = bob.get(f"/sign-in?return_to=/gate/enter?rd=http://{HOST}/").headers["location"]
    bob.get(there)
    status, back = _unlock(bob, there)
    assert (status, back) == (303, f"/gate/enter?rd=http://{HOST}/")
    assert _asked(world, bob) == (200, ""), "it was unlocked with it"


def test_an_application_alone_is_unlocked_from_the_browser_session_it_was_entered_from(
    world: World, bob: Surfer, applications: dict[str, Application]
) -> None:
    bob.visit(HOST)
    child = bob.cookies["iam-app"].split(".")[0]
    _lock(world, child)
    assert bob.get("/account/sessions").status_code == 200, "only the application's is locked"

    bob.visit(HOST)

    assert "This session is locked" in bob.page
    assert "Wiki" in bob.page
    wiki = applications["wiki"].client_id
    address = f"/unlock?session={child}&application={wiki}&return_to=/account/sessions"
    bob.get(address)
    assert _unlock(bob, address) == (303, "/account/sessions")
    bob.visit(HOST)
    assert bob.cookies["iam-app"].split(".")[0] == child
    assert _asked(world, bob) == (200, "")


def test_an_openid_client_waits_for_the_unlocking_too(
    world: World, bob: Surfer, applications: dict[str, Application]
) -> None:
    bob.visit(HOST)
    _lock(world, bob.cookies["iam-app"].split(".")[0])
    query = {
        "client_id": applications["wiki"].client_id,
        "redirect_uri": "https://wiki.acme.example/callback",
        "response_type": "code",
        "scope": "openid",
        "code_challenge": "A" * 43,
        "code_challenge_method": "S256",
    }

    asked = bob.get("/oauth/authorize", params=query)
    there = bob.get(asked.headers["location"])
    assert urlsplit(there.headers["location"]).path == "/unlock"
    silent = bob.get("/oauth/authorize", params={**query, "prompt": "none"})
    assert "error=login_required" in silent.headers["location"]


def test_somebody_elses_session_is_not_offered(world: World, bob: Surfer, alice: Surfer) -> None:
    alice.visit(HOST)
    child = alice.cookies["iam-app"].split(".")[0]
    _lock(world, child)
    answer = bob.get(f"/unlock?session={child}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/sessions")
    bob.get("/account/sessions")
    assert _unlock(bob, f"?session={child}") == (303, "/account/sessions")
    assert _asked(world, alice) == (401, "session_locked")


def test_a_locked_session_can_be_signed_out_of_or_left_for_another_account(
    world: World, bob: Surfer, alice: Surfer
) -> None:
    former = bob.cookies["iam"]
    for surfer in (bob, alice):
        _lock(world, surfer.session_id)
        surfer.get("/unlock")
    bob.submit("/sign-out")
    assert "iam" not in bob.cookies
    ended = world.get("/v1/session", headers=world.bearer(former)).json()
    assert ended["end_reason"] == "signed_out"

    left = alice.cookies["iam"]
    assert alice.sign_in("acme", "bob").status_code == 303
    kept = world.get("/v1/session", headers=world.bearer(left)).json()
    assert kept["code"] == "session_locked", "it is kept beside, and no less locked"
    assert alice.cookies["iam-others"] == left


def test_a_locked_application_can_be_signed_out_of_on_its_own_host(
    world: World, bob: Surfer
) -> None:
    bob.visit(HOST)
    child = bob.cookies["iam-app"]
    _lock(world, child.split(".")[0])

    answer = bob.send("POST", "/.iam/sign-out", base_url=f"http://{HOST}")

    assert answer.status_code == 303
    ended = world.get("/v1/session", headers=world.bearer(child)).json()
    assert ended["end_reason"] == "signed_out"


def test_who_is_not_signed_in_is_led_to_the_sign_in_page(world: World) -> None:
    answer = Surfer(world).get("/unlock?return_to=/console/sessions")
    assert answer.headers["location"] == "/sign-in?return_to=%2Fconsole%2Fsessions"
