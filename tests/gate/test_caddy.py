"""A page behind a real Caddy, with the Caddyfile that docs/how-to/caddy.md gives."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx2
import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.support.behind import PASSWORD, Behind, run_behind
from tests.support.caddy import run_caddy
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.proxies import Caddy, Request
from tests.support.site import documented_caddyfile, run_page

HTML = {"accept": "text/html"}


def caddy(*, iam: int, page: int, port: int) -> AbstractContextManager[Process]:
    config = documented_caddyfile(iam=iam, page=page, port=port)
    return run_caddy(config, f"http://127.0.0.1:{port}/.iam/sign-out")


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    url = f"sqlite:///{tmp_path_factory.mktemp('caddy') / 'iam.db'}"
    with run_behind(url, caddy) as running:
        yield running


def sign_in(behind: Behind, page: Page, path: str) -> dict[str, str]:
    """In the browser; what the page is told."""
    page.goto(f"{behind.site}{path}")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(page.locator("body")).to_contain_text("remote-user")
    told: dict[str, str] = json.loads(page.locator("body").inner_text())
    return told


def test_a_person_signs_in_sees_the_page_and_is_out_when_the_session_is_ended(
    behind: Behind, page: Page
) -> None:
    told = sign_in(behind, page, "/deep/page?a=1&b=%2F")
    assert page.url == f"{behind.site}/deep/page?a=1&b=%2F"
    assert told["page"] == "/deep/page?a=1&b=%2F"
    assert told["remote-user"] == "alice"
    assert told["remote-name"] == "%C3%84lice"
    asking = "fetch('/api', {method: 'POST', body: 'x'}).then(answer => answer.status)"
    assert page.evaluate(asking) == 200

    # Ended through the API: the very next request is refused, a script's with a status …
    assert behind.admin.delete(f"/v1/sessions/{told['x-iam-session']}").status_code == 204
    assert page.evaluate(asking) == 401
    reason = "fetch('/api').then(answer => answer.json()).then(body => body.end_reason)"
    assert page.evaluate(reason) == "ended_by_admin"
    # … and a page with the way to sign in, where the browser session still lives.
    page.goto(f"{behind.site}/deep/page")
    again = json.loads(page.locator("body").inner_text())
    assert again["x-iam-session"] != told["x-iam-session"]
    # That is over as well when it is ended, wherever.
    session = behind.admin.get(f"/v1/sessions/{again['x-iam-session']}").json()
    assert behind.admin.delete(f"/v1/sessions/{session['parent']}").status_code == 204
    page.goto(f"{behind.site}/deep/page")
    expect(page.locator("#password")).to_be_visible()


def test_a_person_signs_out_on_the_host_itself(behind: Behind, page: Page) -> None:
    session_id = sign_in(behind, page, "/page")["x-iam-session"]
    page.goto(f"{behind.site}/.iam/sign-out")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("h1")).to_have_text("You are signed out")
    ended = behind.admin.get(f"/v1/sessions/{session_id}").json()
    assert (ended["state"], ended["end_reason"]) == ("ended", "signed_out")


def test_a_person_with_a_session_of_another_application_finds_the_way_out(
    behind: Behind, page: Page
) -> None:
    cookie = {"name": "iam-app", "value": behind.sign_in("shop"), "url": behind.site}
    page.context.add_cookies([cookie])  # type: ignore[list-item] # a literal is not seen as their TypedDict
    answer = page.goto(f"{behind.site}/page")
    assert answer is not None
    assert answer.status == 403
    expect(page.locator("h1")).to_have_text("This session is of another application.")
    page.get_by_role("link", name="Sign out here").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{behind.site}/page")
    expect(page.locator("#password")).to_be_visible()


def test_the_page_is_told_who_it_is_and_cannot_be_lied_to(behind: Behind) -> None:
    lies = {
        "Remote-User": "root",
        "Remote-Groups": "administrator",
        "X-IAM-Application": "x",
        "Remote_User": "root",
        "Remote.User": "root",
        "remote~user": "root",
        "X_IAM_Session": "x",
        "X-IAM_Session": "x",
        "X.IAM-Session": "x",
    }
    answer = behind.send(behind.sign_in(), "/page", "GET", lies)
    assert answer.status_code == 200
    told = answer.json()
    assert told["remote-user"] == "alice"
    assert told["remote-email"] == "alice@acme.test"
    assert told["remote-groups"] == "editor"
    assert told["x-iam-organization"] == "acme"
    assert told["x-iam-application"] == "wiki"
    ours = {name for name in told if "iam" in name or name.startswith("remote")}
    assert len(ours) == 7


def test_a_user_without_an_email_address_cannot_bring_one_along(behind: Behind) -> None:
    user = {"organization": "acme", "name": "bob", "password": PASSWORD}
    assert behind.admin.post("/v1/users", json=user).status_code == 201
    body = {"organization": "acme", "application": "wiki", "username": "bob", "password": PASSWORD}
    token = behind.admin.post("/v1/sign-in", json=body).json()["token"]
    told = behind.visit(token, remote_email="root@acme.test").json()
    assert (told["remote-user"], told.get("remote-email", "")) == ("bob", "")


def test_the_request_after_the_end_is_refused(behind: Behind) -> None:
    for _ in range(20):
        token = behind.sign_in()
        assert behind.visit(token).status_code == 200
        session_id = token.split(".", maxsplit=1)[0]
        assert behind.admin.delete(f"/v1/sessions/{session_id}").status_code == 204
        answer = behind.visit(token, **HTML)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith(f"{behind.iam.url}/gate/enter?rd=")


def test_without_a_session_the_page_is_never_reached(behind: Behind) -> None:
    answer = behind.visit(None, "/secret?a=1&b=2", remote_user="root", **HTML)
    assert answer.status_code == 302
    assert answer.headers["location"].endswith("%2Fsecret%3Fa%3D1%26b%3D2")
    assert "remote-user" not in answer.text
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert behind.visit(None, method=method, **HTML).status_code == 401
    assert behind.visit().json()["code"] == "session_unknown"
    # The way in is no way round: what leads elsewhere by dots is asked about, or is ours.
    for path in ("/.iam/../secret", "/.iam/%2e%2e/secret", "//.iam/../secret", "/.IAM/secret"):
        answer = behind.visit(None, path, **HTML)
        assert answer.status_code in (302, 403, 404), path
        assert '"page"' not in answer.text


def test_a_good_session_may_send_whatever_it_likes(behind: Behind) -> None:
    answer = httpx2.post(
        f"{behind.proxy}/form?a=1",
        headers={
            "host": behind.site.removeprefix("http://"),
            "cookie": f"iam-app={behind.sign_in()}",
        },
        content=b"x" * 100_000,
    )
    assert (answer.status_code, answer.json()["method"]) == (200, "POST")
    assert answer.json()["content-length"] == "100000"


def test_the_client_cannot_say_which_host_it_is_let_in_to(behind: Behind) -> None:
    token = behind.sign_in()
    site = behind.site.removeprefix("http://")
    for name, value in (
        ("x_forwarded_host", site),
        ("x_original_url", f"{behind.site}/"),
        ("forwarded", f"host={site}"),
    ):
        answer = behind.visit(token, host="127.0.0.1", **{name: value})
        assert (answer.status_code, answer.json()["code"]) == (403, "gate_host_unknown")
    lies = {"x_forwarded_host": "evil.test", "x_forwarded_uri": "/evil", "connection": "close"}
    answer = behind.visit(None, **lies, **HTML)
    assert answer.headers["location"].endswith("wiki.test%3A" + site.rpartition(":")[2] + "%2Fpage")


def test_a_server_that_is_away_lets_nobody_in(behind: Behind) -> None:
    port, nobody = free_port(), free_port()
    with run_page() as wiki:
        config = documented_caddyfile(iam=nobody, page=wiki, port=port)
        with run_caddy(config, f"http://127.0.0.1:{port}/.iam/sign-out", status=502):
            cookie = {"cookie": f"iam-app={behind.sign_in()}"}
            answer = httpx2.get(f"http://127.0.0.1:{port}/", headers=cookie)
            assert answer.status_code == 502


@contextmanager
def echo() -> Iterator[int]:
    """An application that speaks web sockets; its port."""

    def talk(connection: ServerConnection) -> None:
        user = connection.request.headers["Remote-User"] if connection.request else ""
        for message in connection:
            connection.send(f"{user}: {message!s}")

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


def test_a_web_socket_is_opened_by_a_good_session_alone(behind: Behind) -> None:
    port = free_port()
    behind.register("chat", gate_hosts=[f"wiki.test:{port}"])
    token = behind.sign_in("chat")

    def talk(cookie: str) -> str:
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            connect(
                f"ws://wiki.test:{port}/talk",
                sock=raw,
                additional_headers={"Cookie": cookie, "Remote-User": "root"},
            ) as connection,
        ):
            connection.send("hello")
            return str(connection.recv(timeout=30))

    with echo() as application, caddy(iam=behind.iam.port, page=application, port=port):
        assert talk(f"iam-app={token}") == "alice: hello"
        session_id = token.split(".", maxsplit=1)[0]
        assert behind.admin.delete(f"/v1/sessions/{session_id}").status_code == 204
        with pytest.raises(InvalidStatus) as refused:
            talk(f"iam-app={token}")
    assert refused.value.response.status_code == 401


def test_the_stand_in_for_caddy_asks_as_caddy_asks(behind: Behind) -> None:
    """Seen by a page in the gate's place, so that the table of contracts stays true."""
    port = free_port()
    request = Request(
        method="POST",
        path="/a//b?x=1",
        host=f"wiki.test:{port}",
        headers={
            "Accept": "text/html",
            "Cookie": "a=b",
            "Remote-User": "root",
            "X_IAM_Session": "x",
            "X-Forwarded-Host": "evil.test",
            "X-Forwarded-Uri": "/evil",
            "X-Forwarded-Method": "PUT",
            "X-Original-URL": "http://evil.test/",
            "Connection": "X-Forwarded-Host, Cookie",
        },
    )
    seen: list[dict[str, str]] = []
    with run_page(seen) as gate, run_page() as page:
        config = documented_caddyfile(iam=gate, page=page, port=port)
        with run_caddy(config, f"http://127.0.0.1:{port}/.iam/sign-out"):
            seen.clear()
            httpx2.request(
                request.method,
                f"http://127.0.0.1:{port}{request.path}",
                headers={"host": request.host, **request.headers},
            )
    expected = Caddy().asks(request)
    [asked] = seen
    assert (asked["method"], asked["page"]) == (expected.method, expected.path)
    own = {"x-forwarded-for", "user-agent", "accept-encoding", "connection", "page", "method"}
    assert {k: v for k, v in asked.items() if k not in own} == {
        k: v for k, v in expected.headers.items() if k not in own
    }
