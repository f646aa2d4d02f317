"""The sweep: notes the ends that deadlines brought about, and purges old history.

Validation never waits for it: a session is over at its deadline whether the sweep has been there or
not. It works in small batches, each one transaction, so that it holds no lock for long.
"""

from sqlalchemy import Connection

from iam.kernel.clock import Instant, after
from iam.kernel.secrets import Random
from iam.sessions import lifecycle, store
from iam.sessions.lifecycle import Due

BATCH = 10


def expire(connection: Connection, now: Instant, random: Random, limit: int = BATCH) -> Due:
    """Look at up to `limit` sessions whose deadline may have passed, and note the end of those (and
    their children) for which it has.

    Safe to run on several nodes at once: the second finds the rows ended and passes them over.
    """
    return lifecycle.end_due(connection, None, now=now, random=random, limit=limit)


def purge(connection: Connection, now: Instant, retention: int, limit: int = BATCH) -> int:
    """Delete up to `limit` sessions that ended more than `retention` seconds ago; answer how many."""
    return store.purge_ended(connection, after(now, -retention), limit)
