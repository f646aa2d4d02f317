"""Two tenants with everything in them, for tests of who may reach what."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.basic import basic
from tests.support.world import World


@dataclass
class Tenant:
    """An organization, its people and their headers."""

    name: str
    administrator: dict[str, str]
    user: dict[str, str]
    client: dict[str, str]
    session: str
    """A session of the plain user at the application `shop`."""
    token: str


def _tenant(world: World, name: str) -> Tenant:
    world.make_organization(name)
    world.make_user(name, "boss", roles=["administrator"])
    world.make_user(name, "ann")
    shop = world.make_application(name, "shop", redirect_uris=[f"https://{name}.example/cb"])
    token = world.sign_in(name, "ann", application="shop")
    return Tenant(
        name=name,
        administrator=world.bearer(world.sign_in(name, "boss")),
        user=world.bearer(world.sign_in(name, "ann")),
        client=basic(shop),
        session=token.split(".")[0],
        token=token,
    )


@pytest.fixture
def acme(world: World) -> Tenant:
    return _tenant(world, "acme")


@pytest.fixture
def rival(world: World) -> Tenant:
    return _tenant(world, "rival")


@pytest.fixture
def rows(world: World) -> Any:
    """All that is stored, but the activity and counters that any request may leave."""

    def read() -> dict[str, list[tuple[Any, ...]]]:
        from iam.db.tables import metadata

        def work(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
            return {
                table.name: sorted((tuple(map(repr, row)) for row in connection.execute(table.select())))
                for table in metadata.sorted_tables
            }

        return world.engine.database.read(work)

    return read
