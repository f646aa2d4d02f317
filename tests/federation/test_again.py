"""Showing once more who one is, by a provider: it is asked to ask, and has to say that it did."""

from urllib.parse import urlencode

from iam.kernel.clock import from_iso
from tests.federation.conftest import Federation
from tests.support.surfer import Surfer
from tests.support.upstream import query_of

CALLBACK = "https://wiki.acme.example/callback"


def _wiki(federation: Federation) -> str:
    made = federation.world.make_application("acme", "wiki", redirect_uris=[CALLBACK])
    id_: str = made["client_id"]
    return id_


def _authorize(surfer: Surfer, client_id: str, **more: str) -> str:
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        **more,
    }
    address: str = surfer.get(f"/oauth/authorize?{urlencode(query)}").headers["location"]
    return address


def _button(federation: Federation, surfer: Surfer, sign_in_page: str) -> str:
    """Follow the button on a sign-in page: the address at the provider."""
    surfer.get(sign_in_page)
    href = surfer.page.split('id="with-idp" href="')[1].split('"')[0].replace("&amp;", "&")
    answer = surfer.get(href)
    assert answer.status_code == 303, answer.text
    address: str = answer.headers["location"]
    return address


def test_an_applications_wishes_go_on_to_the_provider(both_federations: Federation) -> None:
    federation, world = both_federations, both_federations.world
    client_id, surfer = _wiki(federation), both_federations.surfer()
    # The first time: an age, because the application wants one.
    to = _authorize(surfer, client_id, max_age="600", login_hint="ann@x.example")
    address = _button(federation, surfer, to)
    asked = query_of(address)
    assert asked["max_age"] == "600"
    assert asked["login_hint"] == "ann@x.example"
    assert "prompt" not in asked
    now = world.clock() // 1000
    back = federation.upstream.sign_in(address, "s", auth_time=now - 500)
    answer = federation.come_back(surfer, back)
    answer = surfer.get(answer.headers["location"])
    assert answer.headers["location"].startswith(CALLBACK)
    before = surfer.session_id
    # Then it wants a fresh sign-in of the one who is signed in.
    world.clock.move(60)
    to = _authorize(surfer, client_id, prompt="login")
    address = _button(federation, surfer, to)
    assert query_of(address)["prompt"] == "login"
    # The provider did not ask them: it is told by its own word.
    old = federation.upstream.sign_in(address, "s", auth_time=now - 500)
    assert federation.come_back(surfer, old).status_code == 403
    assert "and did not" in surfer.page
    silent = federation.upstream.sign_in(_button(federation, surfer, to), "s")
    federation.upstream.bend = lambda claims: {
        name: value for name, value in claims.items() if name != "auth_time"
    }
    assert federation.come_back(surfer, silent).status_code == 403
    federation.upstream.bend = lambda claims: claims
    fresh = federation.upstream.sign_in(
        _button(federation, surfer, to), "s", auth_time=world.clock() // 1000
    )
    answer = federation.come_back(surfer, fresh)
    answer = surfer.get(answer.headers["location"])
    assert answer.headers["location"].startswith(CALLBACK)
    # The same session, under a new secret: `sid` stays what it was.
    assert surfer.session_id == before
    at = from_iso(federation.session(surfer)["authenticated_at"])
    assert world.clock() - at < 1000


def test_an_old_sign_in_there_is_no_fresh_one_here(federation: Federation) -> None:
    """Without a wish nothing is refused; the session says how old its sign-in is."""
    client_id, surfer = _wiki(federation), federation.surfer()
    federation.sign_in(surfer, subject="s", auth_time=federation.world.clock() // 1000 - 3600)
    to = _authorize(surfer, client_id, max_age="600")
    assert to.startswith("/sign-in?")
    assert "prompt=login" in to
    assert _authorize(surfer, client_id, max_age="7200").startswith(CALLBACK)


def test_a_clock_that_goes_slow_by_a_little_does_not_send_anybody_round(
    federation: Federation,
) -> None:
    client_id, surfer = _wiki(federation), federation.surfer()
    federation.sign_in(surfer, subject="s")
    federation.world.clock.move(10)
    to = _authorize(surfer, client_id, prompt="login")
    late = federation.world.clock() // 1000 - 40
    back = federation.upstream.sign_in(_button(federation, surfer, to), "s", auth_time=late)
    answer = surfer.get(federation.come_back(surfer, back).headers["location"])
    assert answer.headers["location"].startswith(CALLBACK)


def test_a_provider_that_says_no_says_so_in_words_with_the_way_back(
    federation: Federation,
) -> None:
    client_id = _wiki(federation)
    for error, words in (
        ("login_required", "You are not signed in there."),
        ("server_error", "Something went wrong there."),
        ("<script>alert(1)</script>", "It refused the request."),
    ):
        surfer = federation.surfer()
        address = _button(federation, surfer, _authorize(surfer, client_id))
        query = {
            "error": error,
            "error_description": "<b>call this number</b>",
            "state": query_of(address)["state"],
            "iss": federation.upstream.issuer,
        }
        path = f"/oauth/callback/{federation.provider['id']}"
        answer = surfer.get(f"{path}?{urlencode(query)}")
        assert answer.status_code == 403
        assert words in surfer.page
        assert "call this number" not in surfer.page
        assert "<script>alert" not in surfer.page
        back = surfer.page.split('button-wide" href="')[1].split('"')[0].replace("&amp;", "&")
        assert back.startswith("/sign-in/acme?")
        assert surfer.get(back).status_code == 200
        assert "Sign in to wiki" in surfer.page
    assert {one["reason"] for one in federation.events("sign_in.failed")} == {"provider_error"}


def test_who_cancels_is_back_where_they_began(federation: Federation) -> None:
    client_id, surfer = _wiki(federation), federation.surfer()
    address = _button(federation, surfer, _authorize(surfer, client_id))
    query = {
        "error": "access_denied",
        "state": query_of(address)["state"],
        "iss": federation.upstream.issuer,
    }
    path = f"/oauth/callback/{federation.provider['id']}"
    answer = surfer.get(f"{path}?{urlencode(query)}")
    assert answer.status_code == 303
    surfer.get(answer.headers["location"])
    assert "You did not sign in" in surfer.page
    assert "Sign in to wiki" in surfer.page
    # From there it goes on as before.
    again = federation.upstream.sign_in(_button(federation, surfer, answer.headers["location"]))
    assert federation.come_back(surfer, again).headers["location"].startswith("/oauth/authorize?")
