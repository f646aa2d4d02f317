"""A relying party in the test's own hands, so that it can also do what a decent one never would."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from iam.directory.applications import Application, create_application
from iam.directory.organizations import create_organization
from iam.directory.users import User, create_user
from iam.kernel.events import SYSTEM
from iam.sessions import lifecycle, store
from iam.sessions.layers import effective_policy
from iam.sessions.lifecycle import NewSession, Started
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason, Session
from tests.support.world import ISSUER, World, make_world

CALLBACK = "https://wiki.acme.test/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-x"
CHALLENGE = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def query_of(location: str) -> dict[str, str]:
    """The query parameters of an address."""
    return dict(parse_qsl(urlsplit(location).query))


@dataclass
class Party:
    """Organization `acme` with user ada and applications `wiki` (a secret) and `phone` (public);
    organization `globex` with user eve."""

    world: World
    applications: dict[str, Application] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)

    def populate(self) -> None:
        engine, now = self.world.engine, self.world.clock()

        def work(connection: Any) -> None:
            for organization, user in (("acme", "ada"), ("acme", "bob"), ("globex", "eve")):
                if user != "bob":
                    create_organization(connection, organization, organization.title(), now)
                self.users[user] = create_user(
                    connection,
                    organization=organization,
                    name=user,
                    password_hash=None,
                    display_name=user.title(),
                    email=f"{user}@{organization}.test",
                    roles=[],
                    now=now,
                    random=engine.random,
                )
            for name, public, uris in (
                ("wiki", False, [CALLBACK, "https://wiki.acme.test/back?tenant=1"]),
                ("shop", False, ["https://shop.acme.test/callback"]),
                ("phone", True, ["com.acme.phone:/callback", "http://127.0.0.1/callback"]),
            ):
                made, secret = create_application(
                    connection,
                    organization="acme",
                    name=name,
                    redirect_uris=uris,
                    public=public,
                    now=now,
                    random=engine.random,
                )
                self.applications[name] = made
                if secret is not None:
                    self.secrets[name] = secret

        engine.database.write(work)

    def browser(self, user: str = "ada", organization: str = "acme") -> Started:
        """Somebody signs in: a browser session."""
        engine, now = self.world.engine, self.world.clock()
        new = NewSession(
            organization=organization,
            user=user,
            application=BUILT_IN_APPLICATION,
            identity=self.users[user].identity,
            authenticated_at=now,
            amr=("pwd",),
        )
        return engine.database.write(
            lambda c: lifecycle.start(
                c,
                new,
                effective_policy(c, organization, BUILT_IN_APPLICATION),
                actor=SYSTEM,
                now=now,
                random=engine.random,
            )
        )

    def end(self, session_id: str) -> None:
        engine, now = self.world.engine, self.world.clock()
        engine.database.write(
            lambda c: lifecycle.end(
                c,
                [session_id],
                reason=EndReason.ENDED_BY_ADMIN,
                actor=SYSTEM,
                now=now,
                random=engine.random,
            )
        )

    def session(self, session_id: str) -> Session:
        found = self.world.engine.database.read(lambda c: store.read_session(c, session_id))
        assert found is not None
        return found

    def asked(self, application: str = "wiki", /, **changes: str | None) -> dict[str, str]:
        """The parameters of a good authorization request, changed; None leaves one out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.applications[application].client_id,
            "redirect_uri": self.applications[application].redirect_uris[0],
            "scope": "openid profile email",
            "state": "a state/with ünusual+characters",
            "nonce": "n-0S6_WzA2Mj",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def authorize(
        self, token: str | None, application: str = "wiki", /, **changes: str | None
    ) -> httpx2.Response:
        return self.visit(
            "/oauth/authorize?" + urlencode(self.asked(application, **changes)), token
        )

    def visit(self, path: str, token: str | None) -> httpx2.Response:
        """GET with this browser's cookie."""
        return self.world.get(path, headers={"cookie": f"iam={token}"} if token else {})

    def code(self, token: str, application: str = "wiki", /, **changes: str | None) -> str:
        answer = self.authorize(token, application, **changes)
        assert answer.status_code == 303, answer.text
        return query_of(answer.headers["location"])["code"]

    def redeem(
        self,
        code: str,
        application: str = "wiki",
        basic: tuple[str, str] | None = None,
        /,
        **changes: str | None,
    ) -> httpx2.Response:
        """Ask for tokens, with the secret in the body unless changed."""
        parameters: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.applications[application].redirect_uris[0],
            "client_id": self.applications[application].client_id,
            "client_secret": self.secrets.get(application),
            "code_verifier": VERIFIER,
            **changes,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if basic is not None:
            pair = base64.b64encode(":".join(basic).encode()).decode()
            headers["authorization"] = f"Basic {pair}"
        body = urlencode({name: value for name, value in parameters.items() if value is not None})
        return self.world.post("/oauth/token", content=body, headers=headers)

    def tokens(
        self, token: str, application: str = "wiki", /, **changes: str | None
    ) -> dict[str, Any]:
        answer = self.redeem(self.code(token, application, **changes), application)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def userinfo(self, access_token: str) -> httpx2.Response:
        return self.world.get("/oauth/userinfo", headers=self.world.bearer(access_token))

    def claims(self, text: str) -> dict[str, Any]:
        """What a JWT says, its signature checked with the published keys."""
        keys = KeySet.import_key_set(self.world.get("/oauth/jwks").json())
        return jwt.decode(text, keys, algorithms=["RS256"]).claims


def header_of(text: str) -> dict[str, Any]:
    """A JWT's header."""
    part = text.split(".", maxsplit=1)[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    """One server for a module's tests: each signs in anew, and time only goes on."""
    path = tmp_path_factory.mktemp("party") / "iam.db"
    with make_world(f"sqlite:///{path}") as world:
        yield _populated(world)


@pytest.fixture
def own_party(both_worlds: World) -> Party:
    """A test's own, on each kind of database."""
    return _populated(both_worlds)


def _populated(world: World) -> Party:
    made = Party(world)
    made.populate()
    return made


__all__ = ["CALLBACK", "CHALLENGE", "ISSUER", "VERIFIER", "Party", "header_of", "query_of"]
