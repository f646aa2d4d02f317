"""What the browser tests of the console share: a server with a month of history."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page

from iam.db import open_database
from iam.kernel.clock import system_clock
from iam.kernel.secrets import system_random
from iam.server.build import make_passwords
from iam.settings import Settings
from tests.support.processes import Server
from tests.support.showcase import fill
from tests.support.wiki import Wiki, run_wiki
from tests.support.world import PASSWORD


@dataclass
class Show:
    """A running server that `showcase.fill` has filled: alice administers acme."""

    server: Server

    @property
    def url(self) -> str:
        return self.server.url

    def token_of(self, user: str, application: str = "app-built-in") -> str:
        """Sign in without a browser, as from a terminal; the session's token."""
        body = {
            "organization": "acme",
            "application": application,
            "username": user,
            "password": PASSWORD,
        }
        made = httpx2.post(f"{self.url}/v1/sign-in", json=body, headers={"user-agent": "curl/8.9"})
        assert made.status_code == 201, made.text
        token: str = made.json()["token"]
        return token

    def alive(self, token: str) -> bool:
        headers = {"authorization": f"Bearer {token}"}
        return httpx2.get(f"{self.url}/v1/session", headers=headers).status_code == 200

    def sign_in(self, context: BrowserContext, user: str) -> Page:
        """A page of somebody who has signed in."""
        page = context.new_page()
        page.goto(f"{self.url}/sign-in/acme")
        page.get_by_label("User name").fill(user)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/account/**")
        return page


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    url = f"sqlite:///{tmp_path_factory.mktemp('console') / 'iam.db'}"
    cheap = {"IAM_PASSWORD_MEMORY_KIB": "64", "IAM_PASSWORD_PASSES": "1"}
    with Server(database_url=url, env=cheap):
        pass
    given: dict[str, Any] = {"password_memory_kib": 64, "password_passes": 1}
    settings = Settings(**given)
    database = open_database(url)
    fill(database, make_passwords(settings, system_random).hash(PASSWORD), system_clock(), days=9)
    database.close()
    with Server(database_url=url, env=cheap) as server:
        yield Show(server)


@pytest.fixture
def wiki() -> Iterator[Wiki]:
    """An application of acme with its server; alice and bob are of acme."""
    with run_wiki() as made:
        yield made
