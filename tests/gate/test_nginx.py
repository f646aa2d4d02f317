"""A page behind a real nginx, with the configuration that docs/how-to/nginx.md gives."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.support.behind import PASSWORD, Behind, run_behind
from tests.support.nginx import run_nginx
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.site import documented, run_page


def nginx(*, iam: int, page: int, port: int) -> AbstractContextManager[Process]:
    config = documented(iam=iam, page=page, port=port)
    return run_nginx(config, f"http://127.0.0.1:{port}/.iam/sign-out")


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    url = f"sqlite:///{tmp_path_factory.mktemp('gate') / 'iam.db'}"
    with run_behind(url, nginx) as running:
        yield running


def test_a_person_signs_in_sees_the_page_and_is_out_when_the_session_is_ended(
    behind: Behind, page: Page
) -> None:
    page.goto(f"{behind.site}/deep/page?a=1")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(page.locator("body")).to_contain_text("/deep/page?a=1")
    assert page.url == f"{behind.site}/deep/page?a=1"
    told = json.loads(page.locator("body").inner_text())
    assert told["remote-user"] == "alice"
    assert told["remote-name"] == "%C3%84lice"

    assert behind.admin.delete(f"/v1/sessions/{told['x-iam-session']}").status_code == 204
    # The browser session lives on, so the next visit starts a new session without a password …
    page.goto(f"{behind.site}/deep/page")
    again = json.loads(page.locator("body").inner_text())
    assert again["x-iam-session"] != told["x-iam-session"]
    # … until the person signs out of it all.
    page.goto(f"{behind.iam.url}/sign-out")
    page.click("#sign-out")
    page.goto(f"{behind.site}/deep/page")
    expect(page.locator("#password")).to_be_visible()


def test_a_person_signs_out_on_the_host_itself(behind: Behind, page: Page) -> None:
    page.goto(f"{behind.site}/page")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#sign-in")
    expect(page.locator("body")).to_contain_text("remote-user")
    session_id = json.loads(page.locator("body").inner_text())["x-iam-session"]
    page.goto(f"{behind.site}/.iam/sign-out")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("h1")).to_have_text("You are signed out")
    ended = behind.admin.get(f"/v1/sessions/{session_id}").json()
    assert (ended["state"], ended["end_reason"]) == ("ended", "signed_out")


def test_the_page_is_told_who_it_is_and_cannot_be_lied_to(behind: Behind) -> None:
    answer = behind.visit(
        behind.sign_in(), remote_user="root", remote_groups="administrator", x_iam_application="x"
    )
    assert answer.status_code == 200
    told = answer.json()
    assert told["remote-user"] == "alice"
    assert told["remote-email"] == "alice@acme.test"
    assert told["remote-groups"] == "editor"
    assert told["x-iam-organization"] == "acme"
    assert told["x-iam-application"] == "wiki"


def test_the_request_after_the_end_is_refused(behind: Behind) -> None:
    for _ in range(20):
        token = behind.sign_in()
        assert behind.visit(token).status_code == 200
        session_id = token.split(".", maxsplit=1)[0]
        assert behind.admin.delete(f"/v1/sessions/{session_id}").status_code == 204
        answer = behind.visit(token)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{behind.iam.url}/gate/enter?rd=")


def test_without_a_session_the_page_is_never_reached(behind: Behind) -> None:
    answer = behind.visit(None, "/secret?a=1&b=2", remote_user="root")
    assert answer.status_code == 303
    assert answer.headers["location"].endswith("%2Fsecret%3Fa%3D1%26b%3D2")
    assert "remote-user" not in answer.text


def test_a_session_of_another_application_is_forbidden(behind: Behind) -> None:
    token = behind.sign_in("shop")
    assert behind.visit(token).status_code == 403


def test_the_client_cannot_say_which_host_it_is_let_in_to(behind: Behind) -> None:
    token = behind.sign_in()
    site = behind.site.removeprefix("http://")
    for name in ("x_forwarded_host", "x_original_url"):
        answer = behind.visit(token, host="127.0.0.1", **{name: site})
        assert answer.status_code == 403


def test_the_question_itself_is_not_open_to_browsers(behind: Behind) -> None:
    assert behind.visit(behind.sign_in(), "/.iam/gate").status_code == 404


def test_a_server_that_is_away_lets_nobody_in(behind: Behind) -> None:
    port, nobody = free_port(), free_port()
    with run_page() as wiki:
        config = documented(iam=nobody, page=wiki, port=port)
        with run_nginx(config, f"http://127.0.0.1:{port}/.iam/sign-out", status=502):
            answer = httpx2.get(
                f"http://127.0.0.1:{port}/", headers={"cookie": f"iam-app={behind.sign_in()}"}
            )
            assert answer.status_code == 500
