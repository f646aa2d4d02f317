"""A relying party in the test's own hands, so that it can also do what a decent one never would."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from iam.delivery.deliverer import Deliverer
from iam.directory.applications import (
    Application,
    ApplicationChange,
    create_application,
    update_application,
)
from iam.directory.organizations import create_organization
from iam.directory.users import User, create_user
from iam.kernel.events import SYSTEM
from iam.server.jobs import make_deliverer
from iam.sessions import lifecycle, store
from iam.sessions.layers import effective_policy
from iam.sessions.lifecycle import NewSession, Started
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason, Session
from tests.support.receiver import Receiver
from tests.support.told import ATTEMPTS, tell
from tests.support.world import ISSUER, World, make_world

FORM = "application/x-www-form-urlencoded"
CALLBACK = "https://wiki.acme.test/callback"
SIGNED_OUT = "https://wiki.acme.test/signed-out?from=iam"
AFTER_LOGOUT = {
    "wiki": [SIGNED_OUT, "https://wiki.acme.test/"],
    "phone": ["com.acme.phone:/signed-out"],
}
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-x"
CHALLENGE = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def query_of(location: str) -> dict[str, str]:
    """The query parameters of an address."""
    return dict(parse_qsl(urlsplit(location).query))


def hidden_fields(page: str) -> dict[str, str]:
    """What the form on a page carries along."""
    hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in hidden}


@dataclass
class Party:
    """Organization `acme` with user ada and applications `wiki` (a secret) and `phone` (public), `mail` and
    `tablet` that are the same and may refresh; organization `globex` with user eve."""

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
            for name, public, uris, *grants in (
                ("wiki", False, [CALLBACK, "https://wiki.acme.test/back?tenant=1"]),
                ("shop", False, ["https://shop.acme.test/callback"]),
                ("phone", True, ["com.acme.phone:/callback", "http://127.0.0.1/callback"]),
                ("mail", False, ["https://mail.acme.test/callback"], "refresh_token"),
                ("tablet", True, ["com.acme.tablet:/callback"], "refresh_token"),
            ):
                made, secret = create_application(
                    connection,
                    organization="acme",
                    name=name,
                    redirect_uris=uris,
                    grant_types=["authorization_code", *grants],
                    post_logout_redirect_uris=AFTER_LOGOUT.get(name, ()),
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

    def settle(self, application: str, **members: object) -> None:
        """Have an application take part in OpenID Connect otherwise."""
        engine, now = self.world.engine, self.world.clock()
        engine.database.write(
            lambda c: update_application(
                c,
                "acme",
                application,
                ApplicationChange(openid=members),
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

    def logout(self, token: str | None, /, **fields: str | None) -> httpx2.Response:
        """GET the logout endpoint in this browser; None leaves a parameter out."""
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        return self.visit(f"/oauth/logout?{query}" if query else "/oauth/logout", token)

    def say_yes(self, token: str | None, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """Send the form of a sign-out question as it stands, or with other fields."""
        body = hidden_fields(page.text) | fields
        headers = {"content-type": "application/x-www-form-urlencoded"}
        headers |= {"cookie": f"iam={token}"} if token else {}
        return self.world.post("/oauth/logout/confirm", content=urlencode(body), headers=headers)

    def ended(self, session_id: str) -> str | None:
        """Why this session is over; None while it lives."""
        return self.world.ended(session_id)

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
        return self.form("/oauth/token", parameters, basic)

    def refresh(
        self, refresh_token: str, application: str = "mail", /, **changes: str | None
    ) -> httpx2.Response:
        """Use a refresh token, with the secret in the body unless changed."""
        return self.ask(
            "/oauth/token",
            application,
            grant_type="refresh_token",
            refresh_token=refresh_token,
            **changes,
        )

    def ask(
        self, path: str, application: str = "wiki", /, **parameters: str | None
    ) -> httpx2.Response:
        """Post a form with this application's credentials in it, unless changed."""
        credentials = {
            "client_id": self.applications[application].client_id,
            "client_secret": self.secrets.get(application),
        }
        return self.form(path, {**credentials, **parameters})

    def form(
        self,
        path: str,
        parameters: Mapping[str, str | None],
        basic: tuple[str, str] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> httpx2.Response:
        """Post a form; None leaves a parameter out."""
        sent: dict[str, str | bytes] = {"content-type": FORM, **(headers or {})}
        if basic is not None:
            pair = base64.b64encode(":".join(basic).encode()).decode()
            sent["authorization"] = f"Basic {pair}"
        body = urlencode({name: value for name, value in parameters.items() if value is not None})
        return self.world.post(path, content=body, headers=sent)

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
        return jwt.decode(text, keys, algorithms=["RS256", "ES256"]).claims


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


__all__ = [
    "CALLBACK",
    "CHALLENGE",
    "ISSUER",
    "SIGNED_OUT",
    "VERIFIER",
    "Party",
    "header_of",
    "query_of",
]


@pytest.fixture
def stage(database_url: str) -> Iterator[Party]:
    """A server that may deliver to loopback, with people and applications."""
    with make_world(database_url, delivery_allow_private=True, delivery_attempts=ATTEMPTS) as world:
        made = Party(world)
        made.populate()
        yield made


@pytest.fixture
def deliverer(stage: Party) -> Iterator[Deliverer]:
    made = make_deliverer(stage.world.engine)
    yield made
    stage.world.portal.call(made.close)


@pytest.fixture
def wiki(stage: Party) -> Iterator[Receiver]:
    """Where the application wiki is told."""
    with Receiver() as receiver:
        assert tell(stage, "wiki", f"{receiver.url}/ended?from=iam").status_code == 200
        yield receiver
