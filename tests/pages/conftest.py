"""What the tests of pages share."""

import pytest

from iam.directory.applications import Application
from tests.support.people import populate
from tests.support.pseudo import GERMAN, speak_pseudo
from tests.support.surfer import Surfer
from tests.support.world import ADMIN_PASSWORD, World


@pytest.fixture
def applications(world: World) -> dict[str, Application]:
    """Applications of two tenants, by name; the tenants and their people are there as well."""
    return populate(world)


@pytest.fixture
def surfer(world: World, applications: dict[str, Application]) -> Surfer:
    """Somebody's browser, not signed in."""
    return Surfer(world)


@pytest.fixture
def bob(world: World, applications: dict[str, Application]) -> Surfer:
    """The browser of bob of acme, signed in."""
    surfer = Surfer(world)
    assert surfer.sign_in("acme", "bob").status_code == 303
    return surfer


@pytest.fixture
def alice(world: World, applications: dict[str, Application]) -> Surfer:
    """The browser of alice, who administers acme, signed in."""
    surfer = Surfer(world)
    assert surfer.sign_in("acme", "alice").status_code == 303
    return surfer


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """German is a language in which every sentence stands in ⟦brackets⟧."""
    speak_pseudo(monkeypatch)


@pytest.fixture
def both(world: World, applications: dict[str, Application]) -> Surfer:
    """A browser in which bob signed in first and alice then."""
    surfer = Surfer(world)
    for name in ("bob", "alice"):
        assert surfer.sign_in("acme", name).status_code == 303
        world.clock.move(1)
    return surfer


@pytest.fixture
def root(pseudo: None, world: World, applications: dict[str, Application]) -> Surfer:
    """The browser of the installation's administrator, answered in the language of ⟦brackets⟧."""
    surfer = Surfer(world)
    assert surfer.sign_in("built-in", "admin", ADMIN_PASSWORD).status_code == 303
    surfer.headers |= GERMAN
    return surfer
