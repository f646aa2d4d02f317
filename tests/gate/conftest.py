"""An application behind the gate, its people, and the ways to ask about them."""

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from iam.directory.applications import create_application
from iam.directory.organizations import create_organization
from iam.directory.users import create_user
from iam.kernel.events import SYSTEM
from iam.sessions import lifecycle
from iam.sessions.layers import effective_policy
from iam.sessions.lifecycle import Ended, NewSession, Started
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason, Identity
from tests.support.world import World

HOST = "wiki.test"


@dataclass
class Place:
    """Organization `acme` with application `wiki` on `wiki.test`, `shop` on `shop.test`; user ada."""

    world: World

    def start(self, application: str = "wiki", organization: str = "acme", **members: Any) -> str:
        """A session of a user, started by hand; the token."""
        return self.started(application, organization, **members).token

    def started(
        self, application: str = "wiki", organization: str = "acme", **members: Any
    ) -> Started:
        engine, now = self.world.engine, self.world.clock()
        identity = Identity(
            display_name=members.pop("display_name", "Ada Lovelace"),
            email=members.pop("email", "ada@acme.test"),
            roles=members.pop("roles", ("editor", "reader")),
        )
        new = NewSession(
            organization=organization,
            user=members.pop("user", "ada"),
            application=application,
            identity=identity,
            **members,
        )
        return engine.database.write(
            lambda c: lifecycle.start(
                c,
                new,
                effective_policy(c, organization, application),
                actor=SYSTEM,
                now=now,
                random=engine.random,
            )
        )

    def browser(self, organization: str = "acme", user: str = "ada") -> str:
        """A browser session; the token."""
        now = self.world.clock()
        return self.start(BUILT_IN_APPLICATION, organization, user=user, authenticated_at=now)

    def end(self, token: str) -> tuple[Ended, ...]:
        engine = self.world.engine
        return engine.database.write(
            lambda c: lifecycle.end(
                c,
                [token.split(".", maxsplit=1)[0]],
                reason=EndReason.ENDED_BY_ADMIN,
                actor=SYSTEM,
                now=self.world.clock(),
                random=engine.random,
            )
        )

    def ask(
        self, token: str | None = None, *, path: str = "/gate/nginx", **headers: str
    ) -> httpx2.Response:
        """What a proxy asks. Headers by keyword, `_` for `-`; an empty one is left out."""
        sent = {"x-forwarded-host": HOST, "x-forwarded-uri": "/page?a=1"}
        if token is not None:
            sent["cookie"] = f"theme=dark; iam-app={token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.world.get(path, headers={k: v for k, v in sent.items() if v})


def furnish(world: World) -> Place:
    """Make what `Place` tells of."""

    def work(connection: Any) -> None:
        now, random = world.clock(), world.engine.random
        for organization in ("acme", "globex"):
            create_organization(connection, organization, None, now)
            for user in ("ada", "bob"):
                create_user(
                    connection,
                    organization=organization,
                    name=user,
                    password_hash=None,
                    display_name="Ada Lovelace" if user == "ada" else "Bob",
                    email=f"{user}@{organization}.test",
                    roles=("editor", "reader"),
                    now=now,
                    random=random,
                )
        for organization, name, hosts in (
            ("acme", "wiki", [HOST, "docs.test"]),
            ("acme", "shop", ["shop.test:8443"]),
            ("globex", "wiki", ["wiki.globex.test"]),
        ):
            create_application(
                connection,
                organization=organization,
                name=name,
                gate_hosts=hosts,
                now=now,
                random=random,
            )

    world.engine.database.write(work)
    return Place(world)


@pytest.fixture
def place(world: World) -> Place:
    return furnish(world)


@pytest.fixture
def both_places(both_worlds: World) -> Place:
    """The same on each kind of database."""
    return furnish(both_worlds)
