"""An answer of a provider, bent, and what it must leave: nothing."""

from typing import Any

from sqlalchemy import Connection, func, select

from iam.db.provider_tables import federated_session, provider_link
from iam.db.tables import session, user_account
from tests.federation.conftest import Federation


def what_is_left(federation: Federation) -> tuple[int, ...]:
    """How many sessions of users of `acme`, links, births and users there are."""

    def work(connection: Connection) -> tuple[int, ...]:
        mine = select(func.count()).select_from(session).where(session.c.organization == "acme")
        others = (provider_link, federated_session, user_account)
        counts = (select(func.count()).select_from(table) for table in others)
        return tuple(connection.execute(query).scalar_one() for query in (mine, *counts))

    found: tuple[int, ...] = federation.world.engine.database.read(work)
    return found


def refused(federation: Federation, surfer: Any, address: str, *statuses: int) -> None:
    before = what_is_left(federation)
    answer = federation.come_back(surfer, address)
    assert answer.status_code in (statuses or (403, 422)), answer.text
    assert "iam" not in surfer.cookies
    assert what_is_left(federation) == before
