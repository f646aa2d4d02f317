"""Fixtures for every test: databases, a browser, and the run they belong to."""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from iam.db import Database, open_database
from iam.db.migrate import migrate
from tests.support.chromium import run_chromium
from tests.support.heart import Heart
from tests.support.postgres import Cluster
from tests.support.run import Run, run_directory
from tests.support.world import World, make_world

# No deadline: how long an example takes says something about the machine. In CI the same examples each
# time, so that a change is never blamed for what another day's luck would have found; at a
# developer's desk new ones.
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")

_RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    # Workers of pytest-xdist inherit the run's directory through the environment.
    if not hasattr(config, "workerinput"):
        config.stash[_RUN] = Run()


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(_RUN, None)
    if run is not None:
        run.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # schemathesis gives the items of all operations one node ID, and pytest-xdist runs what it knows by
    # that once: 35 of 36 would be left out, and nobody told.
    seen: Counter[str] = Counter()
    for item in items:
        seen[item.nodeid] += 1
        if seen[item.nodeid] > 1:
            item._nodeid = f"{item.nodeid}[{seen[item.nodeid]}]"  # type: ignore[attr-defined]  # no public name


def pytest_runtest_setup() -> None:
    # A developer's own server is configured by the same names; the tests must not read them.
    for name in [name for name in os.environ if name.startswith("IAM_")]:
        del os.environ[name]


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run as the server does."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_cluster() -> Cluster:
    """The PostgreSQL that all tests share; each takes databases of its own from it."""
    return Cluster.shared()


@pytest.fixture
def durable_cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the test's own that syncs to disk, to be crashed."""
    cluster = Cluster.create(run_directory() / f"pg-{secrets.token_hex(4)}", durable=True)
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database: the test runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'iam.db'}"
        return
    # Asked for only here, so that a run of SQLite tests starts no cluster.
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    url = cluster.new_database()
    yield url
    cluster.drop(url)


def _migrate(url: str) -> None:
    database = open_database(url)
    migrate(database)
    database.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied: cheaper than to migrate for each test."""
    file = tmp_path_factory.mktemp("migrated") / "iam.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open database with the schema and no rows: the test runs once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "iam.db")
        opened = open_database(f"sqlite:///{tmp_path / 'iam.db'}")
        yield opened
        opened.close()
        return
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    cluster.prepare_template(_migrate)
    url = cluster.new_database(prepared=True)
    opened = open_database(url)
    yield opened
    opened.close()
    cluster.drop(url)


@pytest.fixture
def heart(database: Database) -> Heart:
    """The heart on each kind of database, with a clock that the test moves."""
    return Heart(database)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Per module: while it runs, Playwright keeps this thread's event loop to itself, and
    an asynchronous test of another module could not start its own."""
    with run_chromium() as running:
        yield running


@pytest.fixture
def browser_context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: cookies of its own."""
    context = browser.new_context(locale="en-US", timezone_id="UTC")
    yield context
    context.close()


@pytest.fixture
def page(browser_context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test if a script on it breaks or breaks the security policy."""
    page = browser_context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: (
            wrong.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield page
    assert wrong == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server in this process on SQLite, with a clock that the test moves."""
    with make_world(f"sqlite:///{tmp_path / 'iam.db'}") as made:
        yield made


@pytest.fixture
def both_worlds(database_url: str) -> Iterator[World]:
    """The same on each kind of database."""
    with make_world(database_url) as made:
        yield made
