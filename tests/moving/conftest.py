"""A Casdoor with a bit of everything, and `iam import casdoor` as an operator types it."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from iam.cli import main
from tests.support import old_casdoor as casdoor
from tests.support.mariadb import MariaDb
from tests.support.old_casdoor import Rows
from tests.support.postgres import Cluster
from tests.support.world import World, make_world

PASSWORD = "hunter2 and more"  # of everybody there
SALT = "0rg-$alt"  # of acme
CLIENT_ID = "014ae4bd048734ca2dea"
CLIENT_SECRET = "f26a4115725867b7bb7b668c81e1f8f7fae1544d"
CALLBACK = "https://shop.example.com/callback"
ALICE = "5b6b9e3b-4b0c-4c57-9d6c-1d3a5a0f7a11"


def user(name: str, password: str, type_: str = "", salt: str = "", **more: Any) -> dict[str, Any]:
    """A user of acme's."""
    return {
        "owner": "acme",
        "name": name,
        "createdTime": "2024-03-01T10:00:00+08:00",
        "id": f"id-of-{name}",
        "type": "normal-user",
        "password": password,
        "passwordType": type_,
        "passwordSalt": salt,
        "displayName": name.title(),
        "score": 2000,
        **more,
    }


def installation() -> dict[str, list[dict[str, Any]]]:
    """By the names of the tables."""
    return {
        "organization": [
            {
                "owner": "admin",
                "name": "acme",
                "createdTime": "2023-01-01T00:00:00Z",
                "displayName": "Acme Ltd",
                "passwordType": "salt",
                "passwordSalt": SALT,
                "tags": ["blue", "green"],
                "isProfilePublic": True,
                "initScore": 2000,
                "masterPassword": "opens everything",
                "languages": ["en", "fr"],
            },
            {"owner": "admin", "name": "built-in", "displayName": "Built-in Organization"},
        ],
        "application": [
            {
                "owner": "admin",
                "name": "shop",
                "createdTime": "2023-02-01T00:00:00Z",
                "displayName": "The shop",
                "organization": "acme",
                "clientId": CLIENT_ID,
                "clientSecret": CLIENT_SECRET,
                "redirectUris": [
                    CALLBACK,
                    "http://localhost:9000/callback",
                    "https://.*.example.com/x",
                ],
                "grantTypes": ["authorization_code", "password", "refresh_token", "id_token"],
                "enableExclusiveSignin": True,
                "cookieExpireInHours": 8,
                "expireInHours": 168.0,
                "homepageUrl": "https://shop.example.com",
                "tokenFormat": "JWT",
                "providers": [],
            },
            {
                "owner": "admin",
                "name": "app-built-in",
                "organization": "built-in",
                "clientId": "0ba528121ea87b3eb54d",
                "clientSecret": "a" * 40,
            },
        ],
        "user": [
            user(
                "alice",
                casdoor.salted("sha256", PASSWORD, SALT),
                id=ALICE,
                email="alice@example.com",
                phone="5551234",
                isAdmin=True,
                properties={"shoe": "38"},
                totpSecret="JBSWY3DPEHPK3PXP",
            ),
            user("bob", casdoor.bcrypted(PASSWORD), "bcrypt", isForbidden=True),
            {
                "owner": "built-in",
                "name": "admin",
                "id": "b7a0",
                "password": "123",
                "passwordType": "plain",
                "isAdmin": True,
            },
        ],
        "role": [
            {
                "owner": "acme",
                "name": "buyer",
                "users": ["acme/alice"],
                "roles": [],
                "isEnabled": True,
            },
            {
                "owner": "acme",
                "name": "staff",
                "users": ["acme/bob", "globex/eve"],
                "roles": ["acme/buyer"],
                "isEnabled": True,
            },
            {"owner": "acme", "name": "administrator", "users": ["acme/bob"], "isEnabled": True},
            {"owner": "acme", "name": "gone", "users": ["acme/alice"], "isEnabled": False},
        ],
        "session": [
            {"owner": "acme", "name": "alice", "application": "shop", "sessionId": ["ab" * 16]}
        ],
        "token": [{"owner": "admin", "name": "t1"}],
    }


@dataclass(frozen=True)
class Done:
    """What a command said, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def run_import(world: World, *arguments: str) -> Done:
    """`iam import casdoor …` on the world's database, in this process: it is run often."""
    url = world.engine.database.url
    plain = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)
    env = {
        "IAM_DATABASE_URL": plain,
        "IAM_ENCRYPTION_KEY": "00" * 32,
        "IAM_PASSWORD_MEMORY_KIB": "64",
        "IAM_PASSWORD_PASSES": "1",
    }
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, env),
        mock.patch.object(sys, "argv", ["iam", "import", "casdoor", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Pair:
    """A server of ours, and where their data is."""

    world: World
    place: Callable[[Rows], list[str]]
    """Puts an installation there; answers the options that name the place."""


@pytest.fixture(
    params=[
        ("sqlite", "mariadb"),
        ("postgresql", "postgresql"),
        ("postgresql", "sqlite"),
        ("sqlite", "file"),
    ],
    ids=lambda kinds: f"{kinds[1]}-to-{kinds[0]}",
)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Each of our databases, and each place where theirs may be."""
    ours, theirs = request.param

    def place(rows: Rows) -> list[str]:
        if theirs == "file":
            return in_file(tmp_path, rows)
        if theirs == "sqlite":
            return ["--database-url", casdoor.in_sqlite(tmp_path / "casdoor.db", rows)]
        if theirs == "postgresql":
            return ["--database-url", casdoor.in_postgres(Cluster.shared(), rows)]
        return ["--database-url", casdoor.in_mariadb(MariaDb.shared(), rows)]

    url = f"sqlite:///{tmp_path / 'iam.db'}"
    if ours == "postgresql":
        url = Cluster.shared().new_database()
    with make_world(url) as made:
        yield Pair(made, place)


def in_file(folder: Path, rows: Rows) -> list[str]:
    """The options that name a file with this."""
    path = folder / "init_data.json"
    data = casdoor.as_init_data(rows)
    # What `casdoor -export` writes has hashes, each with its type.
    for one in data.get("users", ()):
        one["passwordType"] = one.get("passwordType") or "salt"
    path.write_text(json.dumps(data))
    return ["--init-data", str(path)]
