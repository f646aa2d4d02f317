"""The way of a person to a page behind the gate, and out again."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

ISSUER = "http://127.0.0.1:8000"
SITE = "http://wiki.test"


class Browser:
    """Keeps cookies by host, as browsers do, and follows no redirect by itself."""

    def __init__(self, place: Any) -> None:
        self.place = place
        self.cookies: dict[str, dict[str, str]] = {}

    def visit(self, url: str, method: str = "GET", **headers: str) -> httpx2.Response:
        parts = urlsplit(url)
        jar = self.cookies.setdefault(parts.netloc, {})
        sent = {"cookie": "; ".join(f"{k}={v}" for k, v in jar.items())} if jar else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        base = f"{parts.scheme}://{parts.netloc}"
        answer: httpx2.Response = self.place.world.request(
            method, path, base_url=base, headers=sent
        )
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.split(";", 1)[0]
            if "Max-Age=0" in rest:
                jar.pop(name, None)
            else:
                jar[name] = value
        return answer

    def sign_in(self, organization: str = "acme", user: str = "ada") -> str:
        token: str = self.place.browser(organization, user)
        self.cookies.setdefault("127.0.0.1:8000", {})["iam"] = token
        return token

    def set_out(self, rd: str = f"{SITE}/page?a=1") -> str:
        """From the gate's 401 to the address of `/gate/enter` with its state."""
        first = self.visit(f"{ISSUER}/gate/enter?" + urlencode({"rd": rd}))
        assert first.status_code == 303, first.text
        second = self.visit(first.headers["location"])
        assert second.status_code == 303, second.text
        return str(second.headers["location"])

    def arrive(self, rd: str = f"{SITE}/page?a=1") -> httpx2.Response:
        """All the way to the answer that carries the application's cookie."""
        third = self.visit(self.set_out(rd))
        assert third.status_code == 303, third.text
        return self.visit(third.headers["location"])


@pytest.fixture
def browser(place: Any) -> Browser:
    return Browser(place)


def test_who_is_signed_in_enters_without_a_word(both_places: Any) -> None:
    browser = Browser(both_places)
    parent = browser.sign_in()
    answer = browser.arrive()
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{SITE}/page?a=1"
    token = browser.cookies["wiki.test"]["iam-app"]
    check = both_places.ask(token, path="/gate/check").json()
    assert check["parent"] == parent.split(".", maxsplit=1)[0]
    assert check["instance"] == "wiki.test"
    assert check["user"] == "ada"


def test_the_cookie_is_the_applications_own(browser: Browser) -> None:
    browser.sign_in()
    cookie = browser.arrive().headers["set-cookie"]
    assert cookie.startswith("iam-app=ses_")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(browser: Browser) -> None:
    answer = browser.visit(browser.set_out())
    assert answer.status_code == 303
    url = urlsplit(answer.headers["location"])
    assert url.path == "/sign-in"
    query = parse_qs(url.query)
    assert query["application"][0].startswith("app_")
    back = query["return_to"][0]
    assert back.startswith("/gate/enter?")
    browser.sign_in()
    assert "code=" in browser.visit(ISSUER + back).headers["location"]


def test_entering_again_keeps_the_session_and_changes_its_secret(browser: Browser) -> None:
    browser.sign_in()
    browser.arrive()
    first = browser.cookies["wiki.test"]["iam-app"]
    browser.arrive()
    second = browser.cookies["wiki.test"]["iam-app"]
    assert first.split(".")[0] == second.split(".")[0]
    assert first != second
    assert browser.place.ask(first).json()["code"] == "session_unknown"
    assert browser.place.ask(second).status_code == 200


def test_two_hosts_of_an_application_have_two_sessions(browser: Browser) -> None:
    browser.sign_in()
    browser.arrive()
    browser.arrive("http://docs.test/")
    one = browser.cookies["wiki.test"]["iam-app"]
    two = browser.cookies["docs.test"]["iam-app"]
    assert one.split(".")[0] != two.split(".")[0]


def test_ending_the_browser_session_closes_the_page(browser: Browser) -> None:
    parent = browser.sign_in()
    browser.arrive()
    token = browser.cookies["wiki.test"]["iam-app"]
    assert browser.place.ask(token).status_code == 200
    browser.place.end(parent)
    assert browser.place.ask(token).json()["end_reason"] == "parent_ended"


@pytest.mark.parametrize(
    "rd",
    [
        "",
        "/local",
        "//wiki.test/",
        "http:wiki.test/",
        "http:/wiki.test/",
        "http:///wiki.test/",
        "javascript:alert(1)//wiki.test/",
        "ftp://wiki.test/",
        "http://ada@wiki.test/",
        "http://wiki.test@evil.test/",
        "http://wiki.test\\@evil.test/",
        "http://evil.test\\.wiki.test/",
        "http://evil.test/http://wiki.test/",
        "http://wiki.test.evil.test/",
        "http://wiki.test%2eevil.test/",
        "http://wiki.test:8080/",
        "http://wiki.test:99999999/",
        "http://wiki.test\r\nset-cookie: a=b/",
        "http://wiki.test\t/",
        "http:// wiki.test/",
        "http://wiki。test/",
        "http://[::1/",
        "http://",
        "\x00http://wiki.test/",
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(browser: Browser, rd: str) -> None:
    browser.sign_in()
    for state in ("", "A" * 43):
        query = urlencode({"rd": rd, "state": state})
        answer = browser.visit(f"{ISSUER}/gate/enter?{query}")
        assert answer.status_code in (403, 422)
        assert "location" not in answer.headers
        assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", ["//evil.test/", "/\\evil.test", "///", "/a\r\nb", "/é", "?x"])
def test_a_strange_path_stays_on_its_host(browser: Browser, path: str) -> None:
    browser.sign_in()
    here = browser.visit(f"{SITE}/.iam/callback?" + urlencode({"rd": path}))
    entered = browser.visit(here.headers["location"])
    answer = browser.visit(entered.headers["location"])
    assert urlsplit(answer.headers["location"]).netloc == "wiki.test"


def code_for(browser: Browser) -> str:
    """The address of a callback with a fresh code."""
    return str(browser.visit(browser.set_out()).headers["location"])


def test_a_code_works_once(browser: Browser) -> None:
    browser.sign_in()
    url = code_for(browser)
    assert browser.visit(url).status_code == 303
    again = browser.visit(url)
    assert again.status_code == 422
    assert "set-cookie" not in again.headers


def test_a_code_works_for_a_minute(browser: Browser) -> None:
    browser.sign_in()
    url = code_for(browser)
    browser.place.world.clock.move(60)
    assert browser.visit(url).status_code == 422


def test_a_code_works_on_its_own_host_alone(browser: Browser) -> None:
    browser.sign_in()
    browser.arrive("http://docs.test/")
    url = code_for(browser)
    assert browser.visit(url.replace("wiki.test", "docs.test")).status_code == 422
    assert browser.visit(url).status_code == 422  # and the wrong use has used it up


def test_a_code_works_in_the_browser_that_asked_for_it_alone(browser: Browser) -> None:
    """Else somebody could sign a victim in to an account of their own."""
    browser.sign_in()
    url = code_for(browser)
    victim = Browser(browser.place)
    assert victim.visit(url).status_code == 422
    assert "iam-app" not in victim.cookies["wiki.test"]


@pytest.mark.parametrize("code", ["", "x", "A" * 43, "\x00", "é", "x" * 20_000])
def test_an_invented_code_opens_nothing(browser: Browser, code: str) -> None:
    answer = browser.visit(f"{SITE}/.iam/callback?" + urlencode({"code": code}))
    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers


def test_a_code_of_a_browser_session_that_ended_meanwhile_opens_nothing(browser: Browser) -> None:
    parent = browser.sign_in()
    url = code_for(browser)
    browser.place.end(parent)
    answer = browser.visit(url)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_user_of_another_organization_does_not_enter(browser: Browser) -> None:
    browser.sign_in("globex")
    answer = browser.visit(browser.set_out())
    assert answer.status_code == 403
    assert "location" not in answer.headers


def test_a_session_of_an_application_is_no_browser_session(browser: Browser) -> None:
    browser.cookies["127.0.0.1:8000"] = {"iam": browser.place.start("shop")}
    answer = browser.visit(browser.set_out())
    assert urlsplit(answer.headers["location"]).path == "/sign-in"


def test_a_planted_cookie_is_not_adopted(browser: Browser) -> None:
    browser.sign_in()
    planted = browser.place.start(instance="wiki.test")
    browser.cookies["wiki.test"] = {"iam-app": planted}
    browser.arrive()
    taken = browser.cookies["wiki.test"]["iam-app"]
    assert taken.split(".")[0] != planted.split(".")[0]


def test_signing_out_ends_the_applications_session_alone(browser: Browser) -> None:
    parent = browser.sign_in()
    browser.arrive()
    token = browser.cookies["wiki.test"]["iam-app"]
    page = browser.visit(f"{SITE}/.iam/sign-out")
    assert page.status_code == 200
    assert "Sign out?" in page.text
    assert browser.place.ask(token).status_code == 200
    answer = browser.visit(
        f"{SITE}/.iam/sign-out", "POST", origin=SITE, sec_fetch_site="same-origin"
    )
    assert answer.status_code == 303
    assert "iam-app" not in browser.cookies["wiki.test"]
    assert browser.place.ask(token).json()["end_reason"] == "signed_out"
    assert "You are signed out" in browser.visit(answer.headers["location"]).text
    assert (
        browser.place.ask(parent, x_forwarded_host="wiki.test").json()["code"]
        == "wrong_application"
    )  # it lives


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
    ],
)
def test_another_site_cannot_sign_anybody_out(browser: Browser, headers: dict[str, str]) -> None:
    browser.sign_in()
    browser.arrive()
    token = browser.cookies["wiki.test"]["iam-app"]
    answer = browser.visit(f"{SITE}/.iam/sign-out", "POST", **headers)
    assert answer.status_code == 403
    assert browser.place.ask(token).status_code == 200


def test_names_from_headers_are_not_written_into_pages(browser: Browser) -> None:
    token = browser.place.start(display_name="<script>alert(1)</script>")
    browser.cookies["wiki.test"] = {"iam-app": token}
    page = browser.visit(f"{SITE}/.iam/sign-out")
    assert "<script>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_who_signed_in_too_long_ago_signs_in_again_before_they_enter(browser: Browser) -> None:
    world = browser.place.world
    answer = world.patch(
        "/v1/policies/applications/acme/wiki",
        json={"reauthentication_age": 600},
        headers=world.admin,
    )
    assert answer.status_code == 200, answer.text
    browser.sign_in()
    assert browser.arrive().status_code == 303
    world.clock.move(601)

    again = browser.visit(browser.set_out())

    url = urlsplit(again.headers["location"])
    assert url.path == "/sign-in"
    assert parse_qs(url.query)["prompt"] == ["login"]
    browser.sign_in()
    assert "code=" in browser.visit(browser.set_out()).headers["location"]


def test_where_there_is_no_room_the_page_says_so(browser: Browser) -> None:
    world = browser.place.world
    world.patch(
        "/v1/policies/applications/acme/wiki",
        json={"maximum_sessions": 1, "at_limit": "refuse"},
        headers=world.admin,
    )
    browser.sign_in()
    browser.arrive()
    other = Browser(browser.place)
    other.sign_in()

    refused = other.visit(other.set_out())

    assert refused.status_code == 409
    assert "session_limit" in refused.text
