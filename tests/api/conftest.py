"""Two tenants with everything in them, and what is stored of them."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from iam.db.tables import metadata
from tests.support.tenants import Tenant, make_tenant
from tests.support.world import World

Rows = dict[str, list[tuple[str, ...]]]


@pytest.fixture
def acme(world: World) -> Tenant:
    return make_tenant(world, "acme")


@pytest.fixture
def rival(world: World) -> Tenant:
    return make_tenant(world, "rival")


@pytest.fixture
def rows(world: World) -> Callable[[], Rows]:
    """Reads all that is stored, to be compared."""

    def work(connection: Connection) -> Rows:
        return {
            table.name: sorted(tuple(map(repr, row)) for row in connection.execute(table.select()))
            for table in metadata.sorted_tables
        }

    return lambda: world.engine.database.read(work)
