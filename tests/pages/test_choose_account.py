"""Several accounts in one browser, by the page on which one of them is chosen."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from iam.directory.applications import Application
from tests.support.accounts import PAGE, held, id_of, in_use
from tests.support.people import enter
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD, World, make_world

Applications = dict[str, Application]


def _choose(surfer: Surfer, session_id: str, path: str = PAGE, **fields: str) -> str:
    surfer.get(path)
    answer = surfer.submit(PAGE, account=session_id, **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_the_page_shows_everybody_and_a_choice_changes_whose_turn_it_is(both: Surfer) -> None:
    bob, alice = both.cookies["iam-others"], both.cookies["iam"]
    assert in_use(both) == "Alice"
    page = both.get(PAGE).text
    assert re.findall(r'<span class="account-text"><strong>(\w+)', page) == ["Alice", "Bob"]
    assert "In use" in page
    assert "Use another account" in page

    assert _choose(both, id_of(bob)) == "/account/sessions"

    assert (both.cookies["iam"], both.cookies["iam-others"]) == (bob, alice)
    assert in_use(both) == "Bob"


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
    assert both.session_id == id_of(bob), "it is raised"
    assert both.cookies["iam"] != bob, "with another secret"
    assert held(both) == {alice}

    assert both.sign_in("acme", "alice", remember="1").status_code == 303
    assert held(both) == {id_of(bob)}
    assert both.session_id != alice, "a remembered one is a new one"
    assert world.ended(alice) == "signed_out"


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
        for deed in ({"account": id_of(bob)}, {"sign_out": id_of(bob)}, {"sign_out": "all"}):
            assert both.post(PAGE, {**fields, **deed}, **headers).status_code == 403
    assert both.get(f"{PAGE}?account={id_of(bob)}").status_code == 200, "a link is only looked at"
    assert both.cookies["iam"] == alice
    both.submit(PAGE, account=id_of(bob))
    assert both.post(PAGE, {"csrf": csrf, "account": id_of(alice)}).status_code == 403


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
    assert both.submit(PAGE, account=id_of(token)).headers["location"].startswith(PAGE)


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
    assert held(both) == {id_of(alice)}


def test_a_cookie_that_comes_twice_counts_as_none(world: World, both: Surfer) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in both.cookies.items())
    twice = f"{cookies}; iam-others={both.cookies['iam-others']}"
    answer = world.get(PAGE, headers={"cookie": twice})
    assert answer.status_code == 200
    assert "Bob" not in answer.text


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
    alice = next(one for one in held(both))
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
    bob = id_of(both.cookies["iam-others"])
    for evil in ("https://evil.example/", "//evil.example", "/\\evil", "javascript:alert(1)"):
        page = both.get(f"{PAGE}?return_to={evil}").text
        assert "evil" not in page
        assert "alert(1)" not in page
        answer = both.submit(PAGE, account=bob, return_to=evil)
        assert answer.headers["location"] == "/account/sessions"
        bob = next(iter(held(both)))


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
