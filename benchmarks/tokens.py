"""Introspection, refresh and the redemption of codes, beside npm's oidc-provider in memory.

Both answer the same requests: the same client by Basic, ES256, opaque access tokens, rotation. Ours
writes to the disk what theirs keeps in a Map.
"""

import base64
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from benchmarks.results import Results
from iam.db import open_database
from iam.db.tables import one_time_code
from iam.directory.applications import Application, create_application
from iam.directory.client_settings import ClientSettings
from iam.directory.organizations import create_organization
from iam.directory.users import create_user
from iam.kernel.clock import after, system_clock
from iam.kernel.events import SYSTEM, Origin
from iam.kernel.secrets import system_random
from iam.oidc import access_tokens, refresh_tokens
from iam.oidc.tokens import Grant
from iam.server.build import prepare_database
from iam.sessions import lifecycle
from iam.sessions.layers import effective_policy
from iam.sessions.lifecycle import NewSession
from iam.sessions.model import BUILT_IN_APPLICATION, Identity
from iam.settings import load_settings
from iam.signin.codes import issue_code
from iam.signin.enter import enter_application
from tests.support.node import node
from tests.support.ports import free_port
from tests.support.processes import Process, Server
from tests.support.run import run_directory

ROUNDS = 3
COUNT = 1000
"""Tokens of each kind in each round; each of them is used once."""
_USERS = 500
KINDS = ("access", "refresh", "code")

_PROVIDER = Path(__file__).with_name("provider")
_VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-x"
_CHALLENGE = base64.urlsafe_b64encode(sha256(_VERIFIER.encode()).digest()).rstrip(b"=").decode()
_REDIRECT = "https://shop.bench.example/callback"
_BODIES = {
    "access": "token=@@",
    "refresh": "grant_type=refresh_token&refresh_token=@@",
    "code": f"grant_type=authorization_code&code=@@&code_verifier={_VERIFIER}"
    "&redirect_uri=https%3A%2F%2Fshop.bench.example%2Fcallback",
}
_NAMES = {"access": "introspection", "refresh": "refresh", "code": "code redemption"}


@dataclass(frozen=True)
class _Side:
    """One of the two that are compared: where, by which paths, and with which tokens."""

    name: str
    port: int
    paths: dict[str, str]
    credentials: str

    def rate(self, kind: str, turn: int) -> float:
        """Requests a second with the tokens of this turn."""
        values = run_directory() / f"{self.name}-{kind}"
        lines = values.read_bytes().splitlines()[turn * COUNT : (turn + 1) * COUNT]
        some = values.with_name(f"{values.name}-{turn}")
        some.write_bytes(b"\n".join(lines) + b"\n")
        length = len(_BODIES[kind]) - 2 + len(lines[0])
        basic = base64.b64encode(self.credentials.encode()).decode()
        template = run_directory() / f"{self.name}-{kind}.http"
        template.write_text(
            f"POST {self.paths[kind]} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {length}\r\n\r\n{_BODIES[kind]}"
        )
        once = Path(__file__).with_name("once.py")
        command = [sys.executable, once, str(self.port), template, some, "16"]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        told = json.loads(ran.stdout)
        if told["bad"] or told["good"] != COUNT:
            raise RuntimeError(f"not all requests were answered well: {told}")
        rate: float = told["good"] / told["seconds"]
        return rate


def measure(results: Results, url: str, label: str) -> None:
    """Pairs of runs, one of each side in turn; the ratio of each pair counts."""
    data = run_directory()
    settings = load_settings(database_url=url, data_dir=data, password_memory_kib=64)
    prepare_database(settings, system_clock, system_random)
    credentials = _seed(url)
    with Server(database_url=url) as server, _provider() as theirs:
        ours = _Side(
            "ours",
            server.port,
            {"access": "/oauth/introspect", "refresh": "/oauth/token", "code": "/oauth/token"},
            credentials,
        )
        for kind in KINDS:
            pairs = [(theirs.rate(kind, turn), ours.rate(kind, turn)) for turn in range(ROUNDS)]
            ratio = statistics.median(mine / other for other, mine in pairs)
            baseline = statistics.median(other for other, _ in pairs)
            name = f"{_NAMES[kind]}, {label}"
            least = 2.5 if kind == "access" else None
            results.add(
                name, baseline * ratio, "1/s", baseline=baseline, least=least, of_ratio=True
            )


@contextmanager
def _provider() -> Iterator[_Side]:
    """npm's oidc-provider, running."""
    port = free_port()
    env = {
        "PORT": str(port),
        "OUT": str(run_directory()),
        "COUNT": str(COUNT * ROUNDS),
        "CHALLENGE": _CHALLENGE,
        "REDIRECT_URI": _REDIRECT,
        "CLIENT_ID": "bench",
        "CLIENT_SECRET": "a-secret-of-the-benchmark",
    }
    with Process([node(), "server.mjs"], env=env, cwd=_PROVIDER, name="provider") as process:
        process.wait_ready(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        paths = {"access": "/token/introspection", "refresh": "/token", "code": "/token"}
        yield _Side("provider", port, paths, "bench:a-secret-of-the-benchmark")


def _seed(url: str) -> str:
    """Users in as many browsers as there are tokens of a kind; answer the client's credentials."""
    database, now = open_database(url), system_clock()

    def directory(connection: Connection) -> tuple[Application, str | None]:
        create_organization(connection, "tokens", None, now)
        for number in range(_USERS):
            create_user(
                connection,
                organization="tokens",
                name=f"user{number}",
                password_hash=None,
                display_name="Some user",
                email=None,
                roles=[],
                now=now,
                random=system_random,
            )
        return create_application(
            connection,
            organization="tokens",
            name="shop",
            redirect_uris=[_REDIRECT],
            grant_types=["authorization_code", "refresh_token"],
            client=ClientSettings(
                id_token_signed_response_alg="ES256",  # an algorithm
                access_token_format="opaque",
            ),
            now=now,
            random=system_random,
        )

    application, secret = database.write(directory)
    files: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for _ in range(COUNT * ROUNDS // 500):
        database.write(lambda c: [_one(c, application, n % _USERS, files) for n in range(500)])
    # As long as the measuring takes, which is longer than codes live.
    later = update(one_time_code).values(expires_at=after(now, 3600))
    database.write(lambda connection: connection.execute(later))
    database.close()
    for kind, lines in files.items():
        (run_directory() / f"ours-{kind}").write_text("\n".join(lines) + "\n")
    return f"{application.client_id}:{secret}"


def _one(
    connection: Connection, application: Application, user_number: int, files: dict[str, list[str]]
) -> None:
    """A browser session with a code, and one of the application with its tokens."""
    now, random = system_clock(), system_random
    code_for, entered_from = (_browser(connection, f"user{user_number}") for _ in range(2))
    session, user, _ = enter_application(
        connection,
        browser_session=entered_from,
        organization="tokens",
        application="shop",
        instance=None,
        origin=Origin(),
        now=now,
        random=random,
    )
    grant = Grant(
        client_id=application.client_id, subject=user.id, session=session, scope=("openid",)
    )
    access, _ = access_tokens.issue_opaque(connection, grant, "issuer", now, random)
    files["access"].append(access)
    files["refresh"].append(
        refresh_tokens.issue(connection, grant, jkt=None, now=now, random=random)
    )
    payload: dict[str, Any] = {
        "client": application.client_id,
        "redirect_uri": _REDIRECT,
        "code_challenge": _CHALLENGE,
        "nonce": None,
        "scope": "openid",
        "audience": [],
        "jkt": None,
        "ip": None,
        "user_agent": None,
    }
    files["code"].append(
        issue_code(
            connection, "oidc", browser_session=code_for, payload=payload, now=now, random=random
        )
    )


def _browser(connection: Connection, user: str) -> str:
    now = system_clock()
    new = NewSession(
        organization="tokens",
        user=user,
        application=BUILT_IN_APPLICATION,
        identity=Identity(display_name="Some user"),
        authenticated_at=now,
        amr=("pwd",),
    )
    policy = effective_policy(connection, "tokens", BUILT_IN_APPLICATION)
    started = lifecycle.start(connection, new, policy, actor=SYSTEM, now=now, random=system_random)
    return started.session.id
