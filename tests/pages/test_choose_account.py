"""Several accounts in one browser, by the page on which one of them is chosen."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Connection

from iam.directory.applications import Application
from iam.directory.users import create_user
from iam.kernel.events import SYSTEM
from iam.sessions import lifecycle, store
from iam.sessions.model import EndReason
from iam.sessions.policy import end_reason
from tests.support.people import enter
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD, World, make_world

Applications = dict[str, Application]
PAGE = "/choose-account"


def _ended(world: World, session_id: str) -> str | None:
    session = world.engine.database.read(lambda c: store.read_session(c, session_id))
    assert session is not None
    reason = end_reason(session, world.clock())
    return None if reason is None else str(reason)


def _ended_by(world: World, session_id: str) -> str:
    session = world.engine.database.read(lambda c: store.read_session(c, session_id))
    assert session is not None
    return str(session.ended_by)


def _end(world: World, session_id: str) -> None:
    world.engine.database.write(
        lambda c: lifecycle.end(
            c,
            [session_id],
            reason=EndReason.ENDED_BY_ADMIN,
            actor=SYSTEM,
            now=world.clock(),
            random=world.engine.random,
        )
    )


def _id(token: str) -> str:
    return token.partition(".")[0]


def _held(surfer: Surfer) -> set[str]:
    """The session IDs beside the one in use."""
    values = [surfer.cookies.get(name, "") for name in ("iam-others", "iam-others-kept")]
    return {_id(token) for value in values for token in value.split("~") if token}


def _in_use(surfer: Surfer) -> str:
    surfer.get("/account/sessions")
    found = re.search(r'class="menu-name">([^<]*)<', surfer.page)
    return found[1] if found else ""


def _choose(surfer: Surfer, session_id: str, path: str = PAGE, **fields: str) -> str:
    surfer.get(path)
    answer = surfer.submit(PAGE, account=session_id, **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@pytest.fixture
def both(world: World, applications: Applications) -> Surfer:
    """A browser in which bob signed in first and alice then."""
    surfer = Surfer(world)
    for name in ("bob", "alice"):
        assert surfer.sign_in("acme", name).status_code == 303
        world.clock.move(1)
    return surfer


def test_the_page_shows_everybody_and_a_choice_changes_whose_turn_it_is(both: Surfer) -> None:
    bob, alice = both.cookies["iam-others"], both.cookies["iam"]
    assert _in_use(both) == "Alice"
    page = both.get(PAGE).text
    assert re.findall(r'<span class="account-text"><strong>(\w+)', page) == ["Alice", "Bob"]
    assert "In use" in page
    assert "Use another account" in page

    assert _choose(both, _id(bob)) == "/account/sessions"

    assert (both.cookies["iam"], both.cookies["iam-others"]) == (bob, alice)
    assert _in_use(both) == "Bob"


def test_signing_in_besides_says_that_nobody_is_signed_out_by_it(bob: Surfer) -> None:
    page = bob.get("/sign-in?prompt=login").text
    assert "Bob stays signed in when somebody else signs in here." in page
    assert 'id="choose-account"' in page
    # Who is only asked to show that it is them adds nobody.
    assert "stays signed in" not in bob.get("/sign-in?prompt=login&login_hint=bob").text


def test_signing_in_again_as_somebody_who_is_here_replaces_that_one(
    world: World, both: Surfer
) -> None:
    bob = both.cookies["iam-others"]
    alice = both.session_id
    assert both.sign_in("acme", "bob").status_code == 303
    assert both.session_id == _id(bob), "it is raised"
    assert both.cookies["iam"] != bob, "with another secret"
    assert _held(both) == {alice}

    assert both.sign_in("acme", "alice", remember="1").status_code == 303
    assert _held(both) == {_id(bob)}
    assert both.session_id != alice, "a remembered one is a new one"
    assert _ended(world, alice) == "signed_out"


def test_the_menu_offers_to_switch_only_where_there_is_whom_to_switch_to(
    bob: Surfer, both: Surfer
) -> None:
    for surfer, offered in ((bob, False), (both, True)):
        page = surfer.get("/account/sessions").text
        assert ('id="switch-account"' in page) is offered
        assert 'id="add-account" ' in page or 'id="add-account"' in page


def test_a_form_of_another_site_or_of_another_account_changes_nothing(both: Surfer) -> None:
    bob, alice = both.cookies["iam-others"], both.cookies["iam"]
    both.get(PAGE)
    csrf = both.csrf
    for fields, headers in (
        ({}, {}),
        ({"csrf": "x" * 43}, {}),
        ({"csrf": csrf}, {"origin": "https://evil.example"}),
        ({"csrf": csrf}, {"sec-fetch-site": "cross-site"}),
        ({"csrf": csrf}, {"sec-fetch-site": "same-site"}),
    ):
        for deed in ({"account": _id(bob)}, {"sign_out": _id(bob)}, {"sign_out": "all"}):
            assert both.post(PAGE, {**fields, **deed}, **headers).status_code == 403
    assert both.get(f"{PAGE}?account={_id(bob)}").status_code == 200, "a link is only looked at"
    assert both.cookies["iam"] == alice
    both.submit(PAGE, account=_id(bob))
    assert both.post(PAGE, {"csrf": csrf, "account": _id(alice)}).status_code == 403


def test_nobody_is_reached_by_an_id_without_its_secret(
    world: World, both: Surfer, applications: Applications
) -> None:
    eve = Surfer(world)
    eve.sign_in("globex", "eve")
    alice, bob = both.cookies["iam"], both.cookies["iam-others"]
    swapped = f"{eve.session_id}.{bob.partition('.')[2]}"
    both.cookies["iam-others"] = f"{bob}~{swapped}"

    assert "Eve" not in both.get(PAGE).text
    assert both.cookies["iam-others"] == bob, "what is worth nothing is taken out"
    answer = both.submit(PAGE, account=eve.session_id)
    assert answer.headers["location"].startswith(PAGE), "shown what there is"
    assert both.cookies["iam"] == alice


def test_a_token_of_an_application_is_no_account(world: World, both: Surfer) -> None:
    enter(world, both.session_id, "wiki")
    body = {"organization": "acme", "application": "wiki", "username": "bob", "password": PASSWORD}
    token = world.post("/v1/sign-in", json=body).json()["token"]
    both.cookies["iam-others"] = token

    page = both.get(PAGE).text

    assert "Bob" not in page
    assert "iam-others" not in both.cookies
    assert both.submit(PAGE, account=_id(token)).headers["location"].startswith(PAGE)


@pytest.mark.parametrize(
    "planted",
    [
        "x",
        "~",
        "ses_~ses_",
        "ses_" + "0" * 26 + "." + "A" * 43,
        "~".join(["ses_" + "0" * 26 + "." + "A" * 43] * 200),
        "x" * 8192,
        "ses_" + "0" * 26 + "." + "A" * 43 + "~",
        '"quoted"',
        "%FF%FE",
    ],
)
def test_a_cookie_that_is_not_as_ours_are_is_taken_out_and_counts_for_nothing(
    both: Surfer, planted: str
) -> None:
    alice = both.cookies["iam"]
    for name in ("iam-others", "iam-others-kept"):
        for path in (PAGE, "/sign-in", "/account/sessions", "/sign-out"):
            both.cookies[name] = planted
            assert both.get(path).status_code in (200, 303), path
        both.get(PAGE)
        assert name not in both.cookies
    assert both.cookies["iam"] == alice
    both.cookies["iam-others"] = planted
    assert both.sign_in("acme", "bob").status_code == 303
    assert _held(both) == {_id(alice)}


def test_a_cookie_that_comes_twice_counts_as_none(world: World, both: Surfer) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in both.cookies.items())
    twice = f"{cookies}; iam-others={both.cookies['iam-others']}"
    answer = world.get(PAGE, headers={"cookie": twice})
    assert answer.status_code == 200
    assert "Bob" not in answer.text


def test_an_account_that_has_ended_is_shown_once_as_signed_out(world: World, both: Surfer) -> None:
    bob = _id(both.cookies["iam-others"])
    both.get(PAGE)
    _end(world, bob)
    # The page that was open before does not make it live.
    assert both.submit(PAGE, account=bob).headers["location"].startswith(PAGE)

    page = both.get(PAGE).text
    over = re.search(r'id="over".*?</ul>', page, re.DOTALL)
    assert over is not None
    assert "Bob" in over[0]
    assert "An administrator ended this session" in over[0]
    assert "login_hint=bob" in over[0]
    assert "iam-others" not in both.cookies
    assert "Bob" not in both.get(PAGE).text


def test_where_the_one_in_use_has_ended_the_others_are_offered(world: World, both: Surfer) -> None:
    bob = both.cookies["iam-others"]
    _end(world, both.session_id)
    sent = both.get("/account/applications").headers["location"]
    sent = both.get(sent).headers["location"]
    assert urlsplit(sent).path == PAGE
    page = both.get(sent).text
    assert "Alice" in page
    assert "Signed out" in page
    assert "iam" not in both.cookies

    answer = both.submit(PAGE, account=_id(bob), return_to="/account/applications")

    assert answer.headers["location"] == "/account/applications"
    assert both.cookies["iam"] == bob
    assert "iam-others" not in both.cookies


def test_a_page_that_was_open_while_the_one_in_use_ended_still_leads_on(
    world: World, both: Surfer
) -> None:
    bob = both.cookies["iam-others"]
    both.get(PAGE)
    _end(world, both.session_id)
    assert both.submit(PAGE, account=_id(bob)).status_code == 303
    assert both.cookies["iam"] == bob


def test_signing_out_keeps_the_others_and_says_who_they_are(world: World, both: Surfer) -> None:
    alice, bob = both.session_id, both.cookies["iam-others"]
    both.get("/sign-out")
    page = both.submit("/sign-out").text
    assert "Alice is signed out" in page
    assert "Continue as Bob" in page
    assert (_ended(world, alice), _ended(world, _id(bob))) == ("signed_out", None)
    assert "iam" not in both.cookies
    assert both.cookies["iam-others"] == bob

    assert both.submit(PAGE, account=_id(bob)).headers["location"] == "/account/sessions"
    assert _in_use(both) == "Bob"
    both.get("/sign-out")
    assert "You are signed out" in both.submit("/sign-out").text
    assert both.cookies.keys() <= {"iam-device", "iam-flow"}


def test_one_that_is_not_in_use_can_be_signed_out(world: World, both: Surfer) -> None:
    alice, bob = both.cookies["iam"], _id(both.cookies["iam-others"])
    child = enter(world, bob, "wiki")
    both.get(PAGE)
    page = both.submit(PAGE, sign_out=bob).text
    assert "Bob is signed out" in page
    assert "Continue as Alice" in page
    assert "1 application" in page
    assert (_ended(world, bob), _ended(world, child)) == ("signed_out", "parent_ended")
    assert both.cookies["iam"] == alice
    assert "iam-others" not in both.cookies
    assert _in_use(both) == "Alice"


def test_all_can_be_signed_out_at_once_each_by_themselves(world: World, both: Surfer) -> None:
    alice, bob = both.session_id, _id(both.cookies["iam-others"])
    both.get(PAGE)
    page = both.submit(PAGE, sign_out="all").text
    assert "You are signed out" in page
    assert {_ended(world, alice), _ended(world, bob)} == {"signed_out"}
    assert both.cookies.keys() <= {"iam-device"}
    for session_id, who in ((alice, "user:acme/alice"), (bob, "user:acme/bob")):
        assert _ended_by(world, session_id) == who


def test_only_accounts_of_its_organization_can_be_chosen_for_an_application(
    world: World, both: Surfer, applications: Applications
) -> None:
    assert both.sign_in("globex", "eve").status_code == 303
    mail, wiki = applications["mail"].client_id, applications["wiki"].client_id
    eve = both.session_id
    page = both.get(f"{PAGE}?application={mail}").text
    chosen, _, apart = page.partition('id="strangers"')
    assert "Eve" in chosen
    assert "Alice" in apart
    assert "Mail is for accounts of Globex" in apart
    alice = next(one for one in _held(both))
    answer = both.submit(PAGE, account=alice, application=mail)
    assert answer.headers["location"].startswith(PAGE), "not even by a form of one's own"
    assert both.session_id == eve

    # The sign-in page sends on to it: there is something to choose.
    sent = both.get(f"/sign-in?application={wiki}&return_to=/account/activity")
    assert urlsplit(sent.headers["location"]).path == PAGE
    query = parse_qs(urlsplit(sent.headers["location"]).query)
    assert query == {"application": [wiki], "return_to": ["/account/activity"]}


def test_the_page_of_an_organization_is_for_accounts_of_it(both: Surfer) -> None:
    both.sign_in("globex", "eve")
    sent = both.get("/sign-in/acme").headers["location"]
    assert sent.startswith(f"{PAGE}?")
    page = both.get(sent).text
    assert "You are about to sign in to Acme Corporation" in page
    assert "Eve" in page.partition('id="strangers"')[2]
    assert 'organization=acme"' in page, "another account is one of it"
    assert both.get(f"{PAGE}?organization=no").status_code == 404


def test_it_leads_to_pages_of_ours_alone(both: Surfer) -> None:
    bob = _id(both.cookies["iam-others"])
    for evil in ("https://evil.example/", "//evil.example", "/\\evil", "javascript:alert(1)"):
        page = both.get(f"{PAGE}?return_to={evil}").text
        assert "evil" not in page
        assert "alert(1)" not in page
        answer = both.submit(PAGE, account=bob, return_to=evil)
        assert answer.headers["location"] == "/account/sessions"
        bob = next(iter(_held(both)))


def test_a_page_that_nobody_can_choose_anything_on_is_the_sign_in_page(surfer: Surfer) -> None:
    answer = surfer.get(f"{PAGE}?return_to=/account/activity")
    assert answer.headers["location"] == "/sign-in?return_to=%2Faccount%2Factivity"
    assert surfer.post(PAGE, {"csrf": "", "account": "x"}).status_code == 403


def test_a_form_that_names_nothing_is_refused_and_so_is_an_unknown_application(
    both: Surfer,
) -> None:
    both.get(PAGE)
    assert both.submit(PAGE).status_code == 422
    assert both.submit(PAGE, account="ses_x\x00").status_code == 422
    both.get(PAGE)
    assert both.submit(PAGE, account="x", application="no such").status_code == 404
    assert both.get(f"{PAGE}?application=no").status_code == 404


def test_the_eighth_beside_is_no_more_and_the_one_used_longest_ago_ends(
    world: World, surfer: Surfer
) -> None:
    engine = world.engine
    names = [f"user{number}" for number in range(9)]
    password_hash = engine.passwords.hash(PASSWORD)

    def people(connection: Connection) -> None:
        for name in names:
            create_user(
                connection,
                organization="acme",
                name=name,
                password_hash=password_hash,
                display_name=name.title(),
                email=None,
                roles=[],
                now=world.clock(),
                random=engine.random,
            )

    engine.database.write(people)
    sessions = []
    for name in names:
        assert surfer.sign_in("acme", name).status_code == 303
        sessions.append(surfer.session_id)
        world.clock.move(2)

    assert _held(surfer) == set(sessions[1:8])
    assert _ended(world, sessions[0]) == "limit"
    assert [_ended(world, one) for one in sessions[1:]] == [None] * 8


def test_only_who_asked_to_be_kept_signed_in_outlasts_the_browser(
    world: World, surfer: Surfer
) -> None:
    surfer.sign_in("acme", "bob", remember="1")
    bob = surfer.cookies["iam"]
    answer = surfer.sign_in("acme", "alice")
    alice = surfer.cookies["iam"]
    set_cookies = answer.headers.get_list("set-cookie")
    (kept,) = [one for one in set_cookies if one.startswith("iam-others-kept=")]
    assert bob in kept
    assert re.search(r"Max-Age=[1-9]\d+$", kept)
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept

    answer_to = surfer.get(PAGE)
    assert answer_to.status_code == 200
    switched = surfer.submit(PAGE, account=_id(bob))
    set_cookies = switched.headers.get_list("set-cookie")
    (current,) = [one for one in set_cookies if one.startswith("iam=")]
    assert "Max-Age" in current
    (brief,) = [one for one in set_cookies if one.startswith("iam-others=")]
    assert alice in brief
    assert "Max-Age" not in brief
    assert "iam-others-kept" not in surfer.cookies


def test_a_locked_account_can_be_chosen_and_has_to_be_unlocked_then(
    world: World, both: Surfer
) -> None:
    bob = _id(both.cookies["iam-others"])
    locked = world.post(f"/v1/sessions/{bob}/lock", headers=world.admin)
    assert locked.status_code in (200, 204), locked.text
    page = both.get(PAGE).text
    assert "Locked" in page
    both.submit(PAGE, account=bob)
    sent = both.get("/account/sessions").headers["location"]
    sent = both.get(sent).headers["location"]
    assert urlsplit(sent).path == "/unlock"


def test_a_host_behind_the_gate_goes_on_with_an_account_of_its_organization(
    world: World, surfer: Surfer, applications: Applications
) -> None:
    surfer.sign_in("acme", "bob")
    bob = surfer.session_id
    surfer.sign_in("globex", "eve")
    answer = surfer.visit("docs.acme.example")
    assert answer.status_code == 200
    assert "Choose an account" in answer.text
    where = re.search(r'name="return_to" value="([^"]*)"', surfer.page)
    assert where is not None
    answer = surfer.submit(
        PAGE,
        account=bob,
        return_to=where[1].replace("&amp;", "&"),
        application=applications["wiki"].client_id,
    )
    assert answer.headers["location"].startswith("/gate/enter?")
    assert "code=" in surfer.get(answer.headers["location"]).headers["location"]


def test_over_https_the_cookies_belong_to_this_host_alone(tmp_path: Path) -> None:
    issuer = "https://id.acme.example"
    with make_world(f"sqlite:///{tmp_path}/https.db", issuer=issuer) as world:
        surfer = Surfer(world)
        forged = "ses_" + "7" * 26 + "." + "A" * 43
        surfer.cookies["__Host-iam-others"] = forged
        page = surfer.get(PAGE, base_url=issuer)
        assert page.headers["location"] == "/sign-in"
        surfer.cookies["__Host-iam-others"] = forged
        page = surfer.get("/sign-in", base_url=issuer)
        cookies = page.headers.get_list("set-cookie")
        (gone,) = [one for one in cookies if one.startswith("__Host-iam-others=")]
        for needed in ("; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=0"):
            assert needed in gone
        assert "Domain" not in gone
