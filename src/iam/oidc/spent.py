"""What is good once, or no more: assertions and proofs that were used, access tokens that were revoked,
logout tokens.

Kept in the database, so that what one node has seen no other takes.
"""

from hashlib import sha256

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.prepared import Prepared
from iam.db.token_tables import spent as table
from iam.kernel.clock import Instant

ASSERTION = "assertion"
PROOF = "proof"
REVOKED = "revoked"
LOGOUT = "logout"

_FIND = Prepared(select(table.c.key).where(table.c.key == bindparam("key")))


def spend(connection: Connection, kind: str, owner: str, name: str, until: Instant) -> bool:
    """Note that `name` (of `owner`) is used up; False if it was before.

    Args:
        until: from when on nobody would take it anyway, so that it need not be remembered.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(key=_key(kind, owner, name), expires_at=until)
    statement = statement.on_conflict_do_nothing(index_elements=[table.c.key])
    return connection.execute(statement.returning(table.c.key)).one_or_none() is not None


def is_spent(connection: Connection, kind: str, owner: str, name: str) -> bool:
    """Whether it was noted."""
    return _FIND.one_or_none(connection, {"key": _key(kind, owner, name)}) is not None


def purge(connection: Connection, now: Instant) -> int:
    """Forget what has expired; answer how many."""
    return connection.execute(delete(table).where(table.c.expires_at <= now)).rowcount


def _key(kind: str, owner: str, name: str) -> bytes:
    return sha256(f"{kind}\0{owner}\0{name}".encode("utf-8", "surrogatepass")).digest()
