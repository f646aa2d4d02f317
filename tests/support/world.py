"""A whole server in the test's own process, with a clock that the test moves."""

import functools
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx2
from sqlalchemy.engine import make_url

from iam.kernel.clock import Instant
from iam.kernel.secrets import system_random
from iam.server.app import create_app
from iam.server.build import build_engine, close_engine, prepare_database
from iam.server.jobs import sweep_once, write_touches
from iam.sessions import store
from iam.sessions.policy import end_reason
from iam.settings import Settings
from iam.web.engine import Engine
from tests.support.postgres import Cluster
from tests.support.run import run_directory

ISSUER = "http://127.0.0.1:8000"
ADMIN_PASSWORD = "correct horse battery"
PASSWORD = "open sesame 1"
_CHEAP: dict[str, Any] = {
    "password_memory_kib": 64,
    "password_passes": 1,
    "password_workers": 4,
    "encryption_key": "00" * 32,
}
_START = Instant(1_795_000_000_000)


class MovableClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> Instant:
        return self.now

    def move(self, seconds: float) -> None:
        self.now = Instant(self.now + round(seconds * 1000))


@dataclass
class World:
    """A server and what a test does with it, synchronously, through HTTP."""

    engine: Engine
    clock: MovableClock
    portal: Any
    app: Any
    address: str = "127.0.0.1"

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request without cookies (give them as `headers={"cookie": …}`); follows no redirect."""
        base = options.pop("base_url", ISSUER)

        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app, client=(self.address, 50000))
            async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, **options)

        response: httpx2.Response = self.portal.call(send)
        return response

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> httpx2.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx2.Response:
        return self.request("DELETE", path, **options)

    @staticmethod
    def bearer(token: str) -> dict[str, str]:
        return {"authorization": f"Bearer {token}"}

    @property
    def admin(self) -> dict[str, str]:
        """Headers of an administrator of the installation, freshly signed in."""
        return self.bearer(self.sign_in("built-in", "admin", password=ADMIN_PASSWORD))

    def sign_in(
        self,
        organization: str,
        user: str,
        application: str = "app-built-in",
        password: str = PASSWORD,
    ) -> str:
        """Sign in through the API; the token."""
        body = {
            "organization": organization,
            "application": application,
            "username": user,
            "password": password,
        }
        answer = self.post("/v1/sign-in", json=body)
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["token"]
        return token

    def make_organization(self, name: str, **members: Any) -> dict[str, Any]:
        return self._made("/v1/organizations", {"name": name, **members})

    def make_user(self, organization: str, name: str, **members: Any) -> dict[str, Any]:
        body = {"organization": organization, "name": name, "password": PASSWORD, **members}
        return self._made("/v1/users", body)

    def make_application(self, organization: str, name: str, **members: Any) -> dict[str, Any]:
        return self._made(
            "/v1/applications", {"organization": organization, "name": name, **members}
        )

    def ended(self, session_id: str) -> str | None:
        """Why this session is over; None while it lives."""
        session = self.engine.database.read(lambda c: store.read_session(c, session_id))
        assert session is not None
        reason = end_reason(session, self.clock())
        return None if reason is None else str(reason)

    def sweep(self) -> int:
        """One round of the sweep, as the background job does it."""
        expired: int = self.portal.call(sweep_once, self.engine, "node_test")
        return expired

    def write_touches(self) -> None:
        """One round of writing touches, as the background job does it."""
        self.portal.call(write_touches, self.engine)

    def _made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.post(path, json=body, headers=self.admin)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def make_world(database_url: str, **settings: Any) -> Any:
    """Context manager: a prepared server on this database."""
    return _Open(database_url, settings)


@functools.cache
def _first_start(admin_password: str) -> Path:
    """A SQLite file as a first start leaves it, made once a process: an RSA key takes its time."""
    file = Path(tempfile.mkdtemp(prefix="first-start-", dir=run_directory())) / "iam.db"
    settings = Settings(**_CHEAP, database_url=f"sqlite:///{file}", admin_password=admin_password)
    prepare_database(settings, MovableClock(), system_random)
    return file


@functools.cache
def _first_start_there(admin_password: str) -> str:
    """The same as a database of the shared cluster, made once a run."""
    template = f"first_start_{hashlib.sha256(admin_password.encode()).hexdigest()[:12]}"

    def prepare(url: str) -> None:
        settings = Settings(**_CHEAP, database_url=url, admin_password=admin_password)
        prepare_database(settings, MovableClock(), system_random)

    Cluster.shared().prepare_template(prepare, template)
    return template


def _prepare(settings: Settings, clock: MovableClock) -> None:
    file = Path(str(make_url(settings.database).database))
    if settings.is_sqlite:
        if not file.exists():
            shutil.copy(_first_start(settings.admin_password), file)
    elif Cluster.shared().is_empty(settings.database):
        Cluster.shared().fill(settings.database, _first_start_there(settings.admin_password))
    prepare_database(settings, clock, system_random)


class _Open:
    def __init__(self, database_url: str, settings: dict[str, Any]) -> None:
        self._settings = Settings(
            **{
                "database_url": database_url,
                "issuer": ISSUER,
                "admin_password": ADMIN_PASSWORD,
                **_CHEAP,
                **settings,
            }
        )

    def __enter__(self) -> World:
        clock = MovableClock()
        _prepare(self._settings, clock)
        self._context = anyio.from_thread.start_blocking_portal("asyncio")
        portal = self._context.__enter__()

        async def build() -> Engine:
            return build_engine(self._settings, clock, system_random)

        engine = portal.call(build)
        self._world = World(engine=engine, clock=clock, portal=portal, app=create_app(engine))
        return self._world

    def __exit__(self, *_: object) -> None:
        self._world.portal.call(close_engine, self._world.engine)
        self._context.__exit__(None, None, None)


__all__ = ["ADMIN_PASSWORD", "ISSUER", "PASSWORD", "MovableClock", "World", "make_world"]
