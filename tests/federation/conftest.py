"""Organization `acme`, its user bob, and a provider `idp` of the test's own making."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from iam.directory.providers import add_link
from tests.support.surfer import Surfer
from tests.support.upstream import Upstream
from tests.support.world import ISSUER, World, make_world


@dataclass
class Federation:
    """A server, a provider that its users sign in by, and what a test does with both."""

    world: World
    upstream: Upstream
    provider: dict[str, Any]
    admin: dict[str, str]

    def surfer(self) -> Surfer:
        return Surfer(self.world)

    def set_out(self, surfer: Surfer, **query: str) -> str:
        """To the provider: the address that the browser is sent to."""
        answer = surfer.get(f"/sign-in/with/{self.provider['id']}", params=query)
        assert answer.status_code == 303, answer.text
        address: str = answer.headers["location"]
        return address

    def come_back(self, surfer: Surfer, address: str) -> httpx2.Response:
        return surfer.get(address.removeprefix(ISSUER))

    def sign_in(self, surfer: Surfer | None = None, /, **claims: Any) -> httpx2.Response:
        """There and back again."""
        surfer = surfer or self.surfer()
        back = self.upstream.sign_in(self.set_out(surfer), **claims)
        return self.come_back(surfer, back)

    def change(self, **members: Any) -> None:
        answer = self.world.patch("/v1/providers/acme/idp", json=members, headers=self.admin)
        assert answer.status_code == 200, answer.text
        self.provider = answer.json()

    def add(self, name: str, kind: str, **options: Any) -> dict[str, Any]:
        """One more provider; `options` are those of its kind."""
        body = {
            "organization": "acme",
            "name": name,
            "kind": kind,
            "options": {"client_id": "iam", **options},
            "client_secret": "of this one",
            "creates_users": True,
        }
        answer = self.world.post("/v1/providers", json=body, headers=self.admin)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def link(self, user: str, subject: str) -> None:
        """`subject` is this user from now on."""
        id_ = self.world.get(f"/v1/users/acme/{user}", headers=self.admin).json()["id"]
        engine, now = self.world.engine, self.world.clock()
        engine.database.write(lambda c: add_link(c, self.provider["id"], subject, id_, now))

    def users(self) -> dict[str, dict[str, Any]]:
        page = self.world.get("/v1/users?organization=acme", headers=self.admin).json()
        return {one["name"]: one for one in page["items"]}

    def events(self, type_: str) -> list[dict[str, Any]]:
        page = self.world.get(f"/v1/events?type={type_}&limit=200", headers=self.admin).json()
        found: list[dict[str, Any]] = page["items"]
        return found

    def session(self, surfer: Surfer) -> dict[str, Any]:
        found: dict[str, Any] = self.world.get(
            f"/v1/sessions/{surfer.session_id}", headers=self.admin
        ).json()
        return found


def _make(world: World, upstream: Upstream) -> Federation:
    world.make_organization("acme", display_name="Acme Corporation")
    world.make_user("acme", "bob", email="bob@acme.example")
    admin = world.admin
    body = {
        "organization": "acme",
        "name": "idp",
        "display_name": "Example ID",
        "kind": "oidc",
        "options": {"issuer": upstream.issuer, "client_id": "iam"},
        "client_secret": "p+ss wörd".encode("ascii", "replace").decode(),
        "creates_users": True,
    }
    made = world.post("/v1/providers", json=body, headers=admin)
    assert made.status_code == 201, made.text
    return Federation(world, upstream, made.json(), admin)


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    url = f"sqlite:///{tmp_path / 'iam.db'}"
    with make_world(url, delivery_allow_private=True) as world, Upstream(world.clock) as upstream:
        yield _make(world, upstream)


@pytest.fixture
def both_federations(database_url: str) -> Iterator[Federation]:
    """The same on each kind of database."""
    with (
        make_world(database_url, delivery_allow_private=True) as world,
        Upstream(world.clock) as upstream,
    ):
        yield _make(world, upstream)
