"""RP-initiated logout: an application signs its user out here, and nobody else can."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest

from iam.keys import SigningKey
from iam.oidc.tokens import Grant, make_access_token, make_id_token
from tests.oidc.conftest import ISSUER, SIGNED_OUT, Party, query_of
from tests.support.world import make_world

FORM = {"content-type": "application/x-www-form-urlencoded"}


def hint_of(party: Party, token: str, application: str = "wiki") -> tuple[str, str]:
    """An ID token that an application got, and the session that it names."""
    text = party.tokens(token, application)["id_token"]
    return text, party.claims(text)["sid"]


def question(answer: httpx2.Response) -> bool:
    """Whether the answer is the page that asks."""
    return 'id="sign-out"' in answer.text and "location" not in answer.headers


def test_an_application_signs_its_user_out_of_this_browser_and_of_all_applications(
    own_party: Party,
) -> None:
    browser = own_party.browser()
    hint, sid = hint_of(own_party, browser.token)
    _, other = hint_of(own_party, browser.token, "shop")
    elsewhere = own_party.browser()

    answer = own_party.logout(
        browser.token, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT, state="a b&c"
    )

    assert answer.status_code == 303
    assert answer.headers["location"] == f"{SIGNED_OUT}&state=a+b%26c"
    assert answer.headers["cache-control"] == "no-store"
    assert any("iam=;" in one for one in answer.headers.get_list("set-cookie"))
    ended = [own_party.ended(one) for one in (browser.session.id, sid, other)]
    assert ended == ["signed_out", "parent_ended", "parent_ended"]
    assert own_party.ended(elsewhere.session.id) is None
    silent = own_party.authorize(browser.token, prompt="none")
    assert query_of(silent.headers["location"])["error"] == "login_required"


def test_a_hint_may_have_expired(party: Party) -> None:
    browser = party.browser()
    hint, _ = hint_of(party, browser.token)
    party.world.clock.move(1200)

    assert party.logout(browser.token, id_token_hint=hint).status_code == 200
    assert party.ended(browser.session.id) == "signed_out"


def test_without_an_address_the_person_sees_that_they_are_signed_out(party: Party) -> None:
    browser = party.browser()
    hint, _ = hint_of(party, browser.token)

    answer = party.logout(browser.token, id_token_hint=hint, state="x", ui_locales="de fr")

    assert answer.status_code == 200
    assert "Sie sind abgemeldet" in answer.text, "in the language that the application asks for"
    assert "1 daraus geöffnete Anwendung" in answer.text


def test_a_posted_request_becomes_a_get_so_that_the_cookie_comes_along(party: Party) -> None:
    browser = party.browser()
    hint, _ = hint_of(party, browser.token)
    body = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT})

    bounced = party.world.post("/oauth/logout", content=body, headers=FORM)

    assert bounced.status_code == 303
    assert party.ended(browser.session.id) is None
    answer = party.visit(bounced.headers["location"], browser.token)
    assert answer.headers["location"] == SIGNED_OUT


@pytest.mark.parametrize("content", ["a" * 17000, "\x00"])
def test_a_posted_request_that_cannot_be_read_is_a_page(party: Party, content: str) -> None:
    plain = party.world.post("/oauth/logout", content=content, headers={"content-type": "text/x"})
    long = party.world.post("/oauth/logout", content=f"state={'a' * 17000}", headers=FORM)

    assert (plain.status_code, long.status_code) == (400, 400)
    assert "logout_request_refused" in plain.text


def test_without_a_hint_the_person_is_asked_and_a_link_ends_nothing(party: Party) -> None:
    browser = party.browser()
    client_id = party.applications["wiki"].client_id

    for fields in ({}, {"client_id": client_id, "post_logout_redirect_uri": SIGNED_OUT}):
        assert question(party.logout(browser.token, **fields))
    assert party.ended(browser.session.id) is None


def test_whoever_says_yes_is_signed_out_and_led_on(party: Party) -> None:
    browser = party.browser()
    client_id = party.applications["wiki"].client_id
    asked = {"client_id": client_id, "post_logout_redirect_uri": SIGNED_OUT, "state": '"é'}

    page = party.logout(browser.token, **asked)
    assert "form-action 'self' https://wiki.acme.test;" in page.headers["content-security-policy"]
    answer = party.say_yes(browser.token, page)

    assert query_of(answer.headers["location"]) == {"from": "iam", "state": '"é'}
    assert party.ended(browser.session.id) == "signed_out"
    again = party.say_yes(browser.token, page)
    assert again.headers["location"] == answer.headers["location"], "twice is no mistake"


def test_another_site_cannot_say_yes(party: Party) -> None:
    browser = party.browser()
    page = party.logout(browser.token)

    assert party.say_yes(browser.token, page, csrf="x" * 43).status_code == 403
    for header in ({"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
        headers = {**FORM, "cookie": f"iam={browser.token}", **header}
        answer = party.world.post("/oauth/logout/confirm", content="", headers=headers)
        assert answer.status_code == 403
    assert party.ended(browser.session.id) is None


def test_what_a_form_says_is_checked_again_when_it_comes_back(party: Party) -> None:
    browser = party.browser()
    page = party.logout(browser.token)
    client_id = party.applications["wiki"].client_id

    answer = party.say_yes(
        browser.token, page, client_id=client_id, post_logout_redirect_uri="https://evil.test/"
    )

    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert "evil" not in answer.text


FOREIGN = [
    "https://evil.test/",
    "https://wiki.acme.test/signed-out",
    "https://wiki.acme.test/signed-out?from=iam&foo=bar",
    "https://wiki.acme.test/signed-out?from=iam#",
    "https://wiki.acme.test/callback",
    "https://wiki.acme.test",
    "https://wiki.acme.test:443/",
    "https://wiki.acme.test@evil.test/",
    "//evil.test/",
    "javascript:alert(1)",
    "com.acme.phone:/signed-out",
    f"{SIGNED_OUT}\r\nset-cookie: a=b",
    f"{SIGNED_OUT}\x00",
]


@pytest.mark.parametrize("uri", FOREIGN)
def test_nobody_is_led_on_to_an_address_that_is_not_registered(party: Party, uri: str) -> None:
    browser = party.browser()
    hint, _ = hint_of(party, browser.token)
    client_id = party.applications["wiki"].client_id

    page = party.logout(browser.token, id_token_hint=hint, post_logout_redirect_uri=uri)

    assert (page.status_code, question(page)) == (400, True)
    assert party.ended(browser.session.id) is None
    for token in (None, "nonsense"):
        for known in ({"id_token_hint": hint}, {"client_id": client_id}):
            refused = party.logout(token, post_logout_redirect_uri=uri, **known)
            assert (refused.status_code, "location" in refused.headers) == (400, False)
            assert "evil" not in refused.text
    answer = party.say_yes(browser.token, page)
    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert party.ended(browser.session.id) == "signed_out"


def test_an_address_alone_leads_nowhere(party: Party) -> None:
    browser = party.browser()

    page = party.logout(browser.token, post_logout_redirect_uri=SIGNED_OUT)

    assert question(page)
    assert "location" not in party.say_yes(browser.token, page).headers
    assert "location" not in party.logout(None, post_logout_redirect_uri=SIGNED_OUT).headers


def _tokens(party: Party, key: SigningKey, issuer: str) -> tuple[str, str, str]:
    """An ID token, an access token and the browser's own token, of one sign-in."""
    browser = party.browser()
    sid = party.claims(party.tokens(browser.token)["id_token"])["sid"]
    grant = Grant(
        client_id=party.applications["wiki"].client_id,
        subject=party.users["ada"].id,
        session=party.session(sid),
        scope=("openid",),
        nonce=None,
    )
    now = party.world.clock()
    access, _ = make_access_token(grant, key, issuer, now, jti="j")
    id_token = make_id_token(grant, party.session(sid), {}, access, key, issuer, now)
    return id_token, access, browser.token


def test_a_hint_that_is_none_of_ours_leads_nowhere_and_ends_nothing(
    party: Party, tmp_path: Path
) -> None:
    with make_world(f"sqlite:///{tmp_path}/other.db", admin_password="another one") as other:
        foreign = other.engine.keys[0]
    mine = party.world.engine.keys[0]
    good, access, token = _tokens(party, mine, ISSUER)
    head, body, signature = good.split(".")
    forged = {
        "signed by another server": _tokens(party, foreign, ISSUER)[0],
        "signed by another server under our key's name": _tokens(
            party, replace(foreign, id=mine.id), ISSUER
        )[0],
        "another issuer's": _tokens(party, mine, "https://other.test")[0],
        "an access token": access,
        "unsigned": f"eyJhbGciOiJub25lIn0.{body}.",
        "tampered with": f"{head}.{body[:-4]}AAAA.{signature}",
        "no token": "nonsense",
        "far too long": "a" * 9000,
    }
    browser_session = token.partition(".")[0]
    for what, hint in forged.items():
        fields = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT}
        page = party.logout(token, **fields)
        assert (page.status_code, question(page)) == (400, True), what
        refused = party.logout(None, **fields)
        assert (refused.status_code, "location" in refused.headers) == (400, False), what
    assert party.ended(browser_session) is None
    assert party.logout(token, id_token_hint=good).status_code == 200
    assert party.ended(browser_session) == "signed_out"


def test_a_hint_of_another_application_than_the_named_one_leads_nowhere(party: Party) -> None:
    browser = party.browser()
    hint, _ = hint_of(party, browser.token, "shop")

    page = party.logout(
        browser.token,
        id_token_hint=hint,
        client_id=party.applications["wiki"].client_id,
        post_logout_redirect_uri=SIGNED_OUT,
    )

    assert (page.status_code, question(page)) == (400, True)


def test_a_hint_of_another_user_or_another_browser_is_asked_about(party: Party) -> None:
    ada, ada_elsewhere, bob = party.browser(), party.browser(), party.browser("bob")
    hint, sid = hint_of(party, ada.token)

    pages = [
        party.logout(token, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)
        for token in (ada_elsewhere.token, bob.token)
    ]
    for page in pages:
        assert (page.status_code, question(page)) == (200, True)
        assert "another sign-in" in page.text
    assert [party.ended(one) for one in (sid, bob.session.id)] == [None, None]
    assert party.say_yes(bob.token, pages[1]).headers["location"] == SIGNED_OUT
    assert [party.ended(one) for one in (sid, bob.session.id)] == [None, "signed_out"]


def test_a_browser_that_has_forgotten_us_ends_the_session_that_the_application_had(
    party: Party,
) -> None:
    browser = party.browser()
    hint, sid = hint_of(party, browser.token)

    answer = party.logout(None, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)

    assert answer.headers["location"] == SIGNED_OUT
    assert (party.ended(sid), party.ended(browser.session.id)) == ("signed_out", None)
    again = party.logout(None, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)
    assert again.headers["location"] == SIGNED_OUT, "signed out already is no mistake"


def test_with_neither_session_nor_hint_one_is_led_on_by_a_link_only(party: Party) -> None:
    client_id = party.applications["wiki"].client_id

    answer = party.logout(None, client_id=client_id, post_logout_redirect_uri=SIGNED_OUT)

    assert answer.status_code == 200
    assert f'href="{SIGNED_OUT}"' in answer.text
    assert "Back to wiki" in answer.text
    assert party.logout(None).status_code == 200


@pytest.mark.parametrize("client_id", ["app_" + "0" * 26, "wiki", "app_\x00", "é" * 500])
def test_an_unknown_application_leads_nowhere(party: Party, client_id: str) -> None:
    browser = party.browser()

    page = party.logout(browser.token, client_id=client_id, post_logout_redirect_uri=SIGNED_OUT)
    refused = party.logout(None, client_id=client_id, post_logout_redirect_uri=SIGNED_OUT)

    assert (page.status_code, question(page)) == (400, True)
    assert refused.status_code == 400


def test_a_parameter_that_comes_twice_is_believed_neither_time(party: Party) -> None:
    browser = party.browser()
    hint, _ = hint_of(party, browser.token)
    uri = urlencode({"post_logout_redirect_uri": "https://wiki.acme.test/"})
    query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT})

    page = party.visit(f"/oauth/logout?{query}&{uri}", browser.token)

    assert (page.status_code, question(page)) == (400, True)


def test_whose_session_is_locked_can_still_sign_out(party: Party) -> None:
    browser = party.browser()
    hint, sid = hint_of(party, browser.token)
    path = f"/v1/sessions/{browser.session.id}/lock"
    assert party.world.post(path, headers=party.world.admin).status_code == 200

    assert question(party.logout(browser.token))
    answer = party.logout(browser.token, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)

    assert answer.headers["location"] == SIGNED_OUT
    assert [party.ended(one) for one in (browser.session.id, sid)] == ["signed_out", "parent_ended"]


def test_a_session_that_outlives_the_browser_session_ends_with_the_sign_out_that_names_it(
    own_party: Party,
) -> None:
    world = own_party.world
    long = {
        "maximum_lifetime": 30 * 24 * 3600,
        "idle_timeout": 7 * 24 * 3600,
        "end_children": False,
    }
    path = "/v1/policies/applications/acme/wiki"
    assert world.patch(path, json=long, headers=world.admin).status_code == 200
    browser, elsewhere = own_party.browser(), own_party.browser()
    hint, sid = hint_of(own_party, browser.token)
    assert own_party.session(sid).parent is None

    page = own_party.logout(elsewhere.token, id_token_hint=hint)
    assert question(page), "another browser's"
    assert own_party.ended(sid) is None
    assert own_party.logout(browser.token, id_token_hint=hint).status_code == 200
    ended = [own_party.ended(one) for one in (browser.session.id, sid, elsewhere.session.id)]
    assert ended == ["signed_out", "signed_out", None]


def test_a_session_for_while_its_user_is_away_ends_by_its_own_application_only(
    own_party: Party,
) -> None:
    grants = {"grant_types": ["authorization_code", "refresh_token"]}
    path = "/v1/applications/acme/wiki"
    own_party.world.patch(path, json=grants, headers=own_party.world.admin)
    first, second = own_party.browser(), own_party.browser()
    kept, named = (
        own_party.tokens(one.token, scope="openid offline_access")["id_token"]
        for one in (first, second)
    )
    shop, _ = hint_of(own_party, first.token, "shop")
    sids = [own_party.claims(one)["sid"] for one in (kept, named)]

    assert own_party.logout(first.token, id_token_hint=shop).status_code == 200
    assert [own_party.ended(one) for one in sids] == [None, None]
    assert own_party.logout(second.token, id_token_hint=named).status_code == 200
    assert [own_party.ended(one) for one in sids] == [None, "signed_out"]
