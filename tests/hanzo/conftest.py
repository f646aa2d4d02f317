"""Two organizations, and what clients of Hanzo IAM and Casdoor do with a server that has them."""

import base64
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.hanzo.sdk_site import nobody_signed_in, site
from tests.support.world import ADMIN_PASSWORD, World


@dataclass
class Legacy:
    """Organizations `acme` (boss administers; ann, bob) and `globex` (rick administers; eve), an application
    `shop` in each that has only its own sessions, and `office` in `acme`, which administers it."""

    world: World
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)

    def populate(self) -> None:
        world = self.world
        for organization, boss, *people in (
            ("acme", "boss", "ann", "bob"),
            ("globex", "rick", "eve"),
        ):
            world.make_organization(organization)
            world.make_user(organization, boss, roles=["administrator"])
            for one in people:
                world.make_user(organization, one, email=f"{one}@{organization}.example")
            uris = [f"https://{organization}.example/cb"]
            grants = ["authorization_code", "refresh_token", "client_credentials"]
            self.applications[f"{organization}/shop"] = world.make_application(
                organization, "shop", redirect_uris=uris, grant_types=grants, require_pkce=False
            )
        self.applications["acme/office"] = world.make_application(
            "acme", "office", manages_organization=True
        )

    def client(self, name: str) -> dict[str, Any]:
        """The credentials of an application, as the Python SDK sends them."""
        made = self.applications[name]
        return {"clientId": made["client_id"], "clientSecret": made["client_secret"]}

    def basic(self, name: str) -> dict[str, str]:
        """The same, as the Node SDK sends them."""
        pair = ":".join(self.client(name).values())
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def token(self, organization: str, user: str, application: str = "app-built-in") -> str:
        password = {"password": ADMIN_PASSWORD} if user == "admin" else {}
        return self.world.sign_in(organization, user, application=application, **password)

    def headers(self, organization: str, user: str) -> dict[str, str]:
        """Headers of somebody who has signed in."""
        return self.world.bearer(self.token(organization, user))

    def cookie(
        self, organization: str, user: str, name: str = "casdoor_session_id"
    ) -> dict[str, str]:
        return {"cookie": f"{name}={self.token(organization, user)}"}

    def get(self, verb: str, /, *, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """What a verb answers, whose status is ok."""
        return good(self.world.get(f"/api/{verb}", params=query, headers=headers or {}))

    def post(
        self, verb: str, body: Any = None, /, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Any:
        answer = self.world.post(f"/api/{verb}", params=query, json=body, headers=headers or {})
        return good(answer)

    def live(self, organization: str, user: str, application: str) -> list[str]:
        """The session IDs of a record, by the native API."""
        path = f"/v1/session-records/{organization}/{user}/{application}"
        ids: list[str] = self.world.get(path, headers=self.world.admin).json()["session_ids"]
        return ids

    def end_reason(self, session_id: str) -> str | None:
        """Why a session is over, by the native API."""
        answer = self.world.get(f"/v1/sessions/{session_id}", headers=self.world.admin).json()
        reason: str | None = answer["end_reason"]
        return reason


def good(answer: httpx2.Response) -> Any:
    """The envelope of an answer, which is not an error."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "ok", body
    assert list(body) == ["status", "msg", "sub", "name", "data", "data2", "data3"]
    assert "set-cookie" not in answer.headers
    return body


def bad(answer: httpx2.Response) -> str:
    """What an answer that is an error says."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "error", body
    message: str = body["msg"]
    return message


@pytest.fixture
def legacy(world: World) -> Legacy:
    made = Legacy(world)
    made.populate()
    return made


@pytest.fixture
def both(both_worlds: World) -> Legacy:
    """The same on each kind of database."""
    made = Legacy(both_worlds)
    made.populate()
    return made


__all__ = ["Legacy", "bad", "good", "nobody_signed_in", "site"]
