"""Throttling: guessing passwords becomes slow, by account and by address, on all nodes alike.

An account is blocked after five failures in a row, for half a minute, doubling up to a quarter of an
hour; an address after fifty failures, because many people may share one. A block ends by itself: an
attacker can delay a person but not lock them out for good.
"""

from ipaddress import ip_address, ip_network

from sqlalchemy import Connection, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.tables import throttle
from iam.kernel.clock import Instant, after

ACCOUNT_FAILURES = 5
ADDRESS_FAILURES = 50
FIRST_BLOCK = 30
LONGEST_BLOCK = 15 * 60
FORGET_AFTER = 15 * 60
"""Seconds after the last failure (or block) at which counting begins anew."""


def account_key(organization: str, user: str) -> str:
    """What failures of one account are counted under, whether there is such a user or not."""
    return f"account:{organization}/{user[:128]}"


def code_key(organization: str, user: str) -> str:
    """What wrong device codes that a user enters are counted under, as failures of an account are."""
    return f"account:device codes:{organization}/{user[:128]}"


def address_key(ip: str) -> str:
    """What failures from one address are counted under: IPv6 by /64, which is one household."""
    address = ip_address(ip)
    return f"address:{ip_network((address, 64), strict=False) if address.version == 6 else address}"


def blocked_for(connection: Connection, keys: list[str], now: Instant) -> int:
    """Seconds (at least 1) until none of these keys is blocked any more; 0 if none is."""
    query = select(throttle.c.blocked_until).where(
        throttle.c.key.in_(keys), throttle.c.blocked_until > now
    )
    until = max(connection.execute(query).scalars(), default=now)
    return -(-(until - now) // 1000)


def count_failure(connection: Connection, key: str, now: Instant) -> bool:
    """Count one failure; answer whether the key is blocked now. Counts correctly in parallel."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    stale = throttle.c.last_failed_at < after(now, -FORGET_AFTER)
    statement = (
        insert(throttle)
        .values(key=key, failures=1, last_failed_at=now, blocked_until=0)
        .on_conflict_do_update(
            index_elements=[throttle.c.key],
            set_={
                "failures": case((stale, 1), else_=throttle.c.failures + 1),
                "last_failed_at": now,
            },
        )
        .returning(throttle.c.failures)
    )
    failures = connection.execute(statement).scalar_one()
    limit = ACCOUNT_FAILURES if key.startswith("account:") else ADDRESS_FAILURES
    if failures < limit:
        return False
    seconds = min(FIRST_BLOCK << min(failures - limit, 10), LONGEST_BLOCK)
    connection.execute(
        throttle.update().where(throttle.c.key == key).values(blocked_until=after(now, seconds))
    )
    return True


def forgive(connection: Connection, key: str) -> None:
    """Forget the failures of an account whose owner has just shown the right password."""
    connection.execute(delete(throttle).where(throttle.c.key == key))


def purge(connection: Connection, now: Instant) -> int:
    """Delete what no longer counts; answer how many rows."""
    old = after(now, -max(FORGET_AFTER, LONGEST_BLOCK))
    return connection.execute(
        delete(throttle).where(throttle.c.last_failed_at < old, throttle.c.blocked_until < now)
    ).rowcount
