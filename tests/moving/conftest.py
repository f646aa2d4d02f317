"""A Casdoor with a bit of everything, and `iam import casdoor` as an operator types it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import casdoor
from tests.support.casdoor import Rows
from tests.support.mariadb import MariaDb
from tests.support.postgres import Cluster
from tests.support.world import World

PASSWORD = "hunter2 and more"  # of everybody there
SALT = "0rg-$alt"  # of acme
CLIENT_ID = "014ae4bd048734ca2dea"
CLIENT_SECRET = "f26a4115725867b7bb7b668c81e1f8f7fae1544d"
CALLBACK = "https://shop.example.com/callback"
ALICE = "5b6b9e3b-4b0c-4c57-9d6c-1d3a5a0f7a11"

Import = Callable[..., "subprocess.CompletedProcess[str]"]


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


@pytest.fixture
def run_import(both_worlds: World) -> Import:
    """Runs `iam import casdoor …` on the world's database."""
    return importer(both_worlds)


def importer(world: World) -> Import:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    url = world.engine.database.url
    plain = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)
    env = kept | {
        "IAM_DATABASE_URL": plain,
        "IAM_ENCRYPTION_KEY": "00" * 32,
        "IAM_PASSWORD_MEMORY_KIB": "64",
        "IAM_PASSWORD_PASSES": "1",
        "PYTHONWARNINGS": "ignore",
    }

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "iam.cli", "import", "casdoor", *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def mariadb() -> MariaDb:
    """The MariaDB that all tests share."""
    return MariaDb.shared()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "file"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Rows], list[str]]:
    """Puts an installation where Casdoor would; answers the options that name the place."""

    def place(rows: Rows) -> list[str]:
        if request.param == "sqlite":
            return ["--database-url", casdoor.in_sqlite(tmp_path / "casdoor.db", rows)]
        if request.param == "postgresql":
            cluster: Cluster = request.getfixturevalue("postgres_cluster")
            return ["--database-url", casdoor.in_postgres(cluster, rows)]
        if request.param == "mariadb":
            server: MariaDb = request.getfixturevalue("mariadb")
            return ["--database-url", casdoor.in_mariadb(server, rows)]
        return in_file(tmp_path, rows)

    return place


def in_file(folder: Path, rows: Rows) -> list[str]:
    """The options that name a file with this."""
    path = folder / "init_data.json"
    data = casdoor.as_init_data(rows)
    # What `casdoor -export` writes has hashes, each with its type.
    for one in data.get("users", ()):
        one["passwordType"] = one.get("passwordType") or "salt"
    path.write_text(json.dumps(data))
    return ["--init-data", str(path)]
