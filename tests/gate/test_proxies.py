"""What Traefik, Caddy and Envoy ask by their documented contracts, and what a browser gets through them."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from iam.settings import load_settings
from tests.gate.test_enter import Browser
from tests.support.proxies import IDENTITY, PROXIES, Proxy, Request

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "sec-fetch-mode": "navigate"}
SIGN_IN = "http://127.0.0.1:8000/gate/enter"

every_proxy = pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: proxy.name)


def ask(place: Any, proxy: Proxy, request: Request) -> httpx2.Response:
    question = proxy.asks(request)
    answer: httpx2.Response = place.world.request(
        question.method, question.path, headers=question.headers
    )
    return answer


def visit(
    place: Any, proxy: Proxy, token: str | None = None, request: Request | None = None
) -> httpx2.Response:
    """A request of a browser through the proxy, up to the gate's answer."""
    request = request or Request(headers=dict(BROWSER))
    if token is not None:
        request.headers["cookie"] = f"theme=dark; iam-app={token}"
    return ask(place, proxy, request)


@every_proxy
def test_a_good_session_reaches_the_application_with_its_identity(
    both_places: Any, proxy: Proxy
) -> None:
    started = both_places.started()
    request = Request(headers=dict(BROWSER))
    answer = visit(both_places, proxy, started.token, request)
    assert proxy.admits(answer)
    assert answer.content == b""
    told = proxy.passes_on(request, answer)
    assert {name: told[name] for name in IDENTITY} == {
        "remote-user": "ada",
        "remote-email": "ada@acme.test",
        "remote-name": "Ada Lovelace",
        "remote-groups": "editor,reader",
        "x-iam-session": started.session.id,
        "x-iam-organization": "acme",
        "x-iam-application": "wiki",
    }


@every_proxy
def test_all_proxies_are_told_the_same_as_nginx(place: Any, proxy: Proxy) -> None:
    token = place.start(display_name="Zoë\r\nX-Admin: yes", email=None)
    nginx = place.ask(token)
    answer = visit(place, proxy, token)
    assert dict(answer.headers) == dict(nginx.headers)


@every_proxy
def test_an_ended_session_is_led_to_sign_in_by_the_next_request(
    both_places: Any, proxy: Proxy
) -> None:
    token = both_places.start()
    assert proxy.admits(visit(both_places, proxy, token))
    both_places.end(token)
    answer = visit(both_places, proxy, token)
    assert not proxy.admits(answer)
    assert answer.status_code == 302
    url = urlsplit(answer.headers["location"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == SIGN_IN
    assert parse_qs(url.query) == {"rd": ["http://wiki.test/page?a=1"]}
    assert answer.headers["cache-control"] == "no-store"
    assert not set(IDENTITY) & set(answer.headers)


@every_proxy
@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", BROWSER, 302),
        ("HEAD", BROWSER, 302),
        ("GET", {"accept": "TEXT/HTML"}, 302),
        ("GET", BROWSER | {"authorization": "Basic YTpi"}, 302),
        # A form that is posted would lose its fields on the way.
        ("POST", BROWSER, 401),
        ("PUT", BROWSER, 401),
        ("PATCH", BROWSER, 401),
        ("DELETE", BROWSER, 401),
        ("OPTIONS", {"access-control-request-method": "POST", "origin": "http://x.test"}, 401),
        # Programs and scripts.
        ("GET", {}, 401),
        ("GET", {"accept": "*/*"}, 401),
        ("GET", {"accept": "application/json"}, 401),
        ("GET", BROWSER | {"x-requested-with": "XMLHttpRequest"}, 401),
        ("GET", BROWSER | {"sec-fetch-mode": "cors"}, 401),
        ("GET", BROWSER | {"sec-fetch-mode": "same-origin"}, 401),
        ("GET", {"accept": "image/avif,*/*", "sec-fetch-mode": "no-cors"}, 401),
        ("GET", BROWSER | {"authorization": "Bearer nonsense"}, 401),
        # A web socket.
        ("GET", {"connection": "Upgrade", "upgrade": "websocket"}, 401),
        ("GET", {"accept": "*/*", "sec-fetch-mode": "websocket"}, 401),
    ],
)
def test_only_a_page_that_somebody_wants_to_see_is_redirected(
    place: Any, proxy: Proxy, method: str, headers: dict[str, str], status: int
) -> None:
    for token in (None, "nonsense"):
        request = Request(method=method, headers=dict(headers))
        answer = visit(place, proxy, token, request)
        assert answer.status_code == status
        assert not proxy.admits(answer)
        if status == 401:
            assert "location" not in answer.headers
            assert answer.headers["www-authenticate"].startswith("Bearer ")
            assert answer.json()["code"] == "session_unknown"
            # What a script asked for is no page to come back to.
            back = urlsplit(answer.headers["x-iam-sign-in"])
            assert parse_qs(back.query) == {"rd": ["http://wiki.test/"]}


@every_proxy
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_good_session_is_let_in_whatever_it_does(place: Any, proxy: Proxy, method: str) -> None:
    answer = visit(place, proxy, place.start(), Request(method=method))
    assert proxy.admits(answer)


@every_proxy
def test_a_web_socket_of_a_good_session_is_let_in(place: Any, proxy: Proxy) -> None:
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    assert proxy.admits(visit(place, proxy, place.start(), Request(headers=headers)))


@every_proxy
def test_a_bearer_token_is_as_good_as_a_cookie_and_decides_alone(place: Any, proxy: Proxy) -> None:
    token = place.start()
    good = Request(headers={"authorization": f"Bearer {token}"})
    assert proxy.admits(ask(place, proxy, good))
    bad = Request(headers=BROWSER | {"authorization": "Bearer nonsense"})
    assert visit(place, proxy, token, bad).status_code == 401


@every_proxy
def test_why_a_session_is_refused_is_told_as_to_nginx(place: Any, proxy: Proxy) -> None:
    ended = place.start()
    place.end(ended)
    for token in (ended, "nonsense", place.start("shop")):
        answer = visit(place, proxy, token, Request())
        nginx = place.ask(token)
        assert (answer.status_code, answer.json()) == (nginx.status_code, nginx.json())


@every_proxy
def test_a_session_of_another_application_or_tenant_is_refused(place: Any, proxy: Proxy) -> None:
    for application, organization in (
        ("shop", "acme"),
        ("wiki", "globex"),
        ("app-built-in", "acme"),
    ):
        token = place.start(application, organization, instance="wiki.test")
        answer = visit(place, proxy, token)
        assert answer.status_code == 403
        # For a person it is a page, with the way out of it.
        assert answer.headers["content-type"].startswith("text/html")
        assert "wrong_application" in answer.text
        assert 'href="/.iam/sign-out"' in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not set(IDENTITY) & set(answer.headers)


@every_proxy
def test_a_client_cannot_say_which_host_it_is_let_in_to(place: Any, proxy: Proxy) -> None:
    """The session is of wiki.test; whatever headers say so, the host that was asked for counts."""
    token = place.start()
    lies = {
        "X-Forwarded-Host": "wiki.test",
        "X-Original-URL": "http://wiki.test/page",
        "X-Original-URI": "/page",
        "X-Original-Host": "wiki.test",
        "X-Host": "wiki.test",
        "Forwarded": "host=wiki.test",
    }
    for host, status in (("shop.test:8443", 403), ("elsewhere.test", 403), ("wiki.test", 200)):
        answer = visit(place, proxy, token, Request(host=host, headers=dict(lies)))
        assert answer.status_code == status
    # Nor can it take away what its proxy says, by calling it a matter of one hop.
    lies |= {"Connection": "close, X-Forwarded-Host, X-Forwarded-Method, X-Forwarded-Uri"}
    assert (
        visit(place, proxy, token, Request(host="shop.test:8443", headers=lies)).status_code == 403
    )


@every_proxy
def test_a_client_cannot_say_where_it_is_sent_after_sign_in(place: Any, proxy: Proxy) -> None:
    lies = {
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Uri": "/evil",
        "X-Forwarded-Method": "GET",
        "X-Original-URL": "http://wiki.test/evil",
        "X-Original-URI": "/evil",
    }
    answer = visit(place, proxy, None, Request(headers=BROWSER | lies))
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query == {"rd": ["http://wiki.test/page?a=1"]}


@every_proxy
def test_a_client_cannot_say_who_it_is(place: Any, proxy: Proxy) -> None:
    """Also not by a name that an application cannot tell from ours (`HTTP_REMOTE_USER`)."""
    lies = {
        "Remote-User": "root",
        "remote-groups": "administrator",
        "Remote-Email": "root@acme.test",
        "X-IAM-Application": "x",
        "Remote_User": "root",
        "REMOTE.USER": "root",
        "Remote~User": "root",
        "X_IAM_Session": "x",
        "X-IAM_Session": "x",
        "x.iam.organization": "x",
    }
    request = Request(headers=BROWSER | lies)
    answer = visit(place, proxy, place.start(email=None), request)
    told = proxy.passes_on(request, answer)
    as_cgi: dict[str, list[str]] = {}
    for name, value in told.items():
        as_cgi.setdefault("".join(c if c.isalnum() else "_" for c in name), []).append(value)
    assert as_cgi["remote_user"] == ["ada"]
    assert as_cgi["remote_email"] == [""]
    assert as_cgi["remote_groups"] == ["editor,reader"]
    assert as_cgi["x_iam_application"] == ["wiki"]
    assert as_cgi["x_iam_organization"] == ["acme"]
    assert len(as_cgi["x_iam_session"]) == 1


@every_proxy
@pytest.mark.parametrize("host", ["", "a b", "wiki.test,shop.test", "-", "x" * 300, "wiki.test:x"])
def test_what_is_no_host_is_refused(place: Any, proxy: Proxy, host: str) -> None:
    answer = visit(place, proxy, place.start(), Request(host=host))
    assert (answer.status_code, answer.json()["code"]) == (403, "host_required")


@every_proxy
def test_a_host_of_no_application_is_refused_with_a_page_that_says_so(
    place: Any, proxy: Proxy
) -> None:
    answer = visit(place, proxy, None, Request(host="elsewhere.test", headers=dict(BROWSER)))
    assert answer.status_code == 403
    assert "gate_host_unknown" in answer.text
    assert "location" not in answer.headers


@every_proxy
@pytest.mark.parametrize(
    "path", ["/" + "x" * 9000, "//evil.test/", "/\\evil", "/a/../b", "/%2f%2fevil.test", "/?x=//e/"]
)
def test_the_way_back_stays_on_the_host_and_never_breaks_the_answer(
    place: Any, proxy: Proxy, path: str
) -> None:
    answer = visit(place, proxy, None, Request(path=path, headers=dict(BROWSER)))
    assert answer.status_code == 302
    assert len(answer.headers["location"]) < 8000
    [target] = parse_qs(urlsplit(answer.headers["location"]).query)["rd"]
    assert urlsplit(target).netloc == "wiki.test"


@every_proxy
@pytest.mark.parametrize("path", ["/.iam/callback?code=x", "/.iam/sign-out"])
def test_a_proxy_that_guards_the_way_in_is_told_so_instead_of_going_round_in_circles(
    place: Any, proxy: Proxy, path: str
) -> None:
    answer = visit(place, proxy, None, Request(path=path, headers=dict(BROWSER)))
    assert answer.status_code == 403
    assert "way_in_guarded" in answer.text
    assert visit(place, proxy, None, Request(path=path)).json()["code"] == "way_in_guarded"


def test_nginx_too_is_told_when_it_guards_the_way_in(place: Any) -> None:
    answer = place.ask(x_forwarded_uri="/.iam/callback?code=x")
    assert (answer.status_code, answer.json()["code"]) == (403, "way_in_guarded")


@every_proxy
def test_a_stranger_may_not_say_what_a_browser_asked_for(place: Any, proxy: Proxy) -> None:
    token = place.start()
    place.world.address = "203.0.113.9"
    answer = visit(place, proxy, token, Request())
    assert (answer.status_code, answer.json()["code"]) == (403, "proxy_not_trusted")
    assert "proxy_not_trusted" in visit(place, proxy, token).text
    assert place.ask(token).json()["code"] == "proxy_not_trusted"
    # A program that asks about its own token is told; it passes nothing on.
    assert place.ask(token, path="/gate/check").status_code == 200


@every_proxy
@pytest.mark.parametrize("address", ["10.1.2.3", "2001:db8::7", "127.0.0.1", "::1"])
def test_a_proxy_on_this_machine_or_in_the_list_is_believed(
    place: Any, proxy: Proxy, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = load_settings(trusted_proxies="10.0.0.0/8, 2001:db8::/32").trusted_proxies
    gate = place.world.app.hot
    settings = gate.settings.model_copy(update={"trusted_proxies": networks})
    monkeypatch.setattr(gate, "settings", settings)
    place.world.address = address
    assert proxy.admits(visit(place, proxy, place.start()))


@every_proxy
def test_a_person_is_led_in_and_back_to_the_page(both_places: Any, proxy: Proxy) -> None:
    browser = Browser(both_places)
    browser.sign_in()
    refused = visit(both_places, proxy)
    setting_out = browser.visit(refused.headers["location"])
    asking = browser.visit(setting_out.headers["location"])
    coming_home = browser.visit(asking.headers["location"])
    back = browser.visit(coming_home.headers["location"])
    assert back.headers["location"] == "http://wiki.test/page?a=1"
    assert proxy.admits(visit(both_places, proxy, browser.cookies["wiki.test"]["iam-app"]))


@every_proxy
def test_being_asked_about_keeps_a_session_alive_and_is_counted(place: Any, proxy: Proxy) -> None:
    token = place.start()
    for _ in range(3):
        place.world.clock.move(20 * 60)
        assert proxy.admits(visit(place, proxy, token))
        place.world.clock.move(2)
        place.world.write_touches()
    visit(place, proxy, "nonsense")
    counts = place.world.engine.metrics.validations
    assert (counts["valid"], counts["unknown"]) == (3, 1)


@every_proxy
def test_a_database_that_is_away_lets_nobody_in(
    place: Any, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = place.start()
    assert proxy.admits(visit(place, proxy, token))
    reader = place.world.engine.reader

    class Away:
        def execute(self, *_: object) -> None:
            raise reader._module.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_connection", Away())
        for request in (Request(), Request(headers=dict(BROWSER))):
            answer = visit(place, proxy, token, request)
            assert answer.status_code == 503
            assert "database_unavailable" in answer.text
            assert "disk" not in answer.text


def test_only_get_and_head_are_answered_where_the_proxy_asks_with_get(place: Any) -> None:
    for path in ("/gate/traefik", "/gate/caddy"):
        answer = place.world.post(path, headers={"x-forwarded-host": "wiki.test"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_what_stands_before_envoys_path_is_matched_whole(place: Any) -> None:
    token = place.start()
    headers = {"cookie": f"iam-app={token}"}
    for path, status in (
        ("/gate/envoy/", 200),
        ("/gate/envoy//x", 200),
        ("/gate/envoy", 404),
        ("/gate/envoyx/", 404),
        ("/gate/traefik/x", 404),
    ):
        answer = place.world.get(path, headers=headers, base_url="http://wiki.test")
        assert answer.status_code == status, path
