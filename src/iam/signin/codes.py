"""One-time codes: what carries an entry from the sign-in host to an application.

A code is 256 random bits, stored hashed, good for a minute and for one use. The second use is told
apart from an unknown code, because it means that somebody else has it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from iam.db.prepared import Prepared, values_of
from iam.db.tables import one_time_code as table
from iam.kernel.clock import Instant, after
from iam.kernel.secrets import Random, hash_secret, make_secret

LIFETIME = 60
"""Seconds, as FAPI 2.0 §5.3.2.1 bounds it."""
_REMEMBERED = 10 * 60
"""Seconds for which a used code is still known as used."""


_HERE = table.c.code_hash == bindparam("key")
_ISSUE = Prepared(insert(table).values(values_of(table, "used_at", "started_session")))
# Of two who come with one code at the same moment, the second waits to see it used.
_LOCK = Prepared(select(table).where(_HERE, table.c.kind == bindparam("kind")).with_for_update())
_USE = Prepared(update(table).where(_HERE).values(used_at=bindparam("now")))
_LED_TO = Prepared(update(table).where(_HERE).values(started_session=bindparam("session_id")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a code was issued with. `replayed` if it had been used before: then nothing may be given,
    and what `started_session` names should be ended."""

    browser_session: str
    payload: Mapping[str, object]
    replayed: bool
    started_session: str | None


def issue_code(
    connection: Connection,
    kind: str,
    *,
    browser_session: str,
    payload: Mapping[str, object],
    now: Instant,
    random: Random,
    lifetime: int = LIFETIME,
) -> str:
    """A new code of this kind (`oidc`, `gate`, `limit`, `again`), good for `lifetime` seconds."""
    code = make_secret(random)
    _ISSUE.run(
        connection,
        {
            "code_hash": hash_secret(code),
            "kind": kind,
            "browser_session": browser_session,
            "payload": dict(payload),
            "expires_at": after(now, lifetime),
        },
    )
    return code


def redeem_code(connection: Connection, kind: str, code: str, now: Instant) -> Code | None:
    """Use a code up; None if there is no such code or it is too old. A failed use uses it up as well."""
    key = hash_secret(code)
    row = _LOCK.one_or_none(connection, {"key": key, "kind": kind})
    if row is None or (row.used_at is None and row.expires_at <= now):
        return None
    if row.used_at is None:
        _USE.run(connection, {"key": key, "now": now})
    return Code(
        browser_session=row.browser_session,
        payload=row.payload,
        replayed=row.used_at is not None,
        started_session=row.started_session,
    )


def peek_code(
    connection: Connection, kind: str, code: str, now: Instant
) -> Mapping[str, object] | None:
    """What a code that is still good was issued with; it stays good. None if there is no such code."""
    return connection.execute(
        select(table.c.payload).where(
            table.c.code_hash == hash_secret(code),
            table.c.kind == kind,
            table.c.used_at.is_(None),
            table.c.expires_at > now,
        )
    ).scalar_one_or_none()


def note_started(connection: Connection, code: str, session_id: str) -> None:
    """Remember which session a code led to."""
    _LED_TO.run(connection, {"key": hash_secret(code), "session_id": session_id})


def purge(connection: Connection, now: Instant) -> int:
    """Delete codes that no longer tell anything; answer how many."""
    return connection.execute(
        delete(table).where(table.c.expires_at < after(now, -_REMEMBERED))
    ).rowcount
