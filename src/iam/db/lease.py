"""A lease: one node at a time does a job, and another takes over when it dies."""

from sqlalchemy import Connection, or_
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.tables import lease
from iam.kernel.clock import Instant, after


def take_lease(connection: Connection, name: str, holder: str, now: Instant, seconds: int) -> bool:
    """Take or renew the lease `name` for `seconds`; False while another holder's has not run out.

    The deadline is compared with the caller's `now`: a node whose clock is ahead by less than
    `seconds` only takes over early, and every leased job is safe to run twice.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(lease).values(name=name, holder=holder, expires_at=after(now, seconds))
    statement = statement.on_conflict_do_update(
        index_elements=[lease.c.name],
        set_={
            "holder": statement.excluded.holder,
            "expires_at": statement.excluded.expires_at,
        },
        where=or_(lease.c.holder == holder, lease.c.expires_at <= now),
    )
    # The row that comes back, not the count of rows: of an INSERT the driver does not keep it.
    return connection.execute(statement.returning(lease.c.holder)).one_or_none() is not None
