"""Messages that were accepted: remembered for as long as they could be sent again, and led back to from
sign-in.

What a request asked for stays here, on the server, while its user signs in: a posted one could not be
sent a second time by the browser, and nothing of it can be changed on the way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from iam.db.saml_tables import saml_message as table
from iam.kernel.clock import Instant, after
from iam.kernel.secrets import Random, hash_secret, make_secret
from iam.languages import _
from iam.saml.errors import SamlMessageUsed
from iam.saml.reading import FRESH, SKEW, Header

SIGN_IN = 30 * 60
"""Seconds that somebody may take to sign in."""
_REPLAYED = FRESH + 2 * SKEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A request that waits for its answer."""

    sender: str
    message_id: str
    payload: Mapping[str, Any]
    created_at: Instant
    used: bool


def keep_request(
    connection: Connection,
    header: Header,
    payload: Mapping[str, Any],
    now: Instant,
    random: Random,
) -> str:
    """Keep what a request asked for; answer the handle that leads back to it.

    Raises:
        SamlMessageUsed: its sender has sent one of this ID before.
    """
    handle = make_secret(random)
    _insert(connection, header, payload, now, SIGN_IN, handle_hash=hash_secret(handle))
    return handle


def note_message(connection: Connection, header: Header, now: Instant) -> None:
    """Remember a message that is dealt with now.

    Raises:
        SamlMessageUsed: its sender has sent one of this ID before.
    """
    _insert(connection, header, {}, now, _REPLAYED, used_at=now)


def note_assertion(
    connection: Connection, sender: str, assertion_id: str, until: Instant, now: Instant
) -> None:
    """Remember an assertion for as long as it could be shown again.

    Raises:
        SamlMessageUsed: it was shown before.
    """
    header = Header(id=assertion_id, issuer=sender, issued_at=now, destination=None)
    seconds = max(_REPLAYED, (until - now) // 1000 + 2 * SKEW)
    _insert(connection, header, {}, now, seconds, used_at=now)


def note_logout(
    connection: Connection,
    provider: str,
    name: str,
    session_indexes: Sequence[str],
    issued_at: Instant,
    until: Instant,
    now: Instant,
) -> None:
    """Remember a provider's logout: an assertion that was on its way meanwhile must not undo it
    (saml-core §3.7.3.1).

    Args:
        session_indexes: those that it named; none: all of this name's.
    """
    for one in session_indexes or ("",):
        mark = _logout_mark(name, one)
        here = (table.c.sender == provider, table.c.message_id == mark)
        connection.execute(delete(table).where(*here))
        header = Header(id=mark, issuer=provider, issued_at=issued_at, destination=None)
        seconds = max(_REPLAYED, (until - now) // 1000)
        _insert(connection, header, {"issued_at": issued_at}, now, seconds, used_at=now)


def logged_out_since(
    connection: Connection,
    provider: str,
    name: str,
    session_index: str | None,
    issued_at: Instant,
    now: Instant,
) -> bool:
    """Whether a provider has asked for the end of this session at or after an instant."""
    marks = [_logout_mark(name, one) for one in {"", session_index or ""}]
    query = select(table.c.payload).where(
        table.c.sender == provider, table.c.message_id.in_(marks), table.c.expires_at > now
    )
    return any(one["issued_at"] >= issued_at for one in connection.execute(query).scalars())


def _logout_mark(name: str, session_index: str) -> str:
    return f"logout:{hash_secret(f'{name}{chr(0)}{session_index}').hex()}"


def _insert(
    connection: Connection,
    header: Header,
    payload: Mapping[str, Any],
    now: Instant,
    seconds: int,
    **values: object,
) -> None:
    row = {
        "sender": header.issuer,
        "message_id": header.id,
        "payload": dict(payload),
        "created_at": now,
        "expires_at": after(now, seconds),
        **values,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(table), row)
    except IntegrityError:
        raise SamlMessageUsed(_("Go back to the application and start again.")) from None


def find_pending(
    connection: Connection, handle: str, now: Instant, *, lock: bool
) -> Pending | None:
    """The request that this handle leads to; None if there is none, or its time is over."""
    query = select(table).where(
        table.c.handle_hash == hash_secret(handle), table.c.expires_at > now
    )
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    return Pending(
        sender=row.sender,
        message_id=row.message_id,
        payload=row.payload,
        created_at=Instant(row.created_at),
        used=row.used_at is not None,
    )


def start_chain(
    connection: Connection,
    sender: str,
    message_id: str,
    payload: Mapping[str, Any],
    now: Instant,
) -> None:
    """Keep a logout that goes on through the browser, by the ID of the request under way (ours)."""
    row = {
        "sender": sender,
        "message_id": message_id,
        "payload": dict(payload),
        "created_at": now,
        "expires_at": after(now, FRESH),
    }
    connection.execute(insert(table), row)


def find_chain(
    connection: Connection, sender: str, message_id: str, now: Instant
) -> Mapping[str, Any] | None:
    """What was kept of a logout under way, which stays; None if there is none."""
    query = select(table.c.payload).where(
        table.c.sender == sender,
        table.c.message_id == message_id,
        table.c.used_at.is_(None),
        table.c.expires_at > now,
    )
    return connection.execute(query).scalar_one_or_none()


def take_chain(
    connection: Connection, sender: str, message_id: str, now: Instant
) -> Mapping[str, Any] | None:
    """What was kept of it, once; None if there is no such request under way."""
    here = (table.c.sender == sender, table.c.message_id == message_id)
    taken = connection.execute(
        update(table)
        .where(*here, table.c.used_at.is_(None), table.c.expires_at > now)
        .values(used_at=now)
    )
    if not taken.rowcount:
        return None
    found: Mapping[str, Any] = connection.execute(select(table.c.payload).where(*here)).scalar_one()
    return found


def use(connection: Connection, pending: Pending, now: Instant) -> None:
    """Note that this request has its answer: it gets no second one."""
    here = (table.c.sender == pending.sender, table.c.message_id == pending.message_id)
    connection.execute(update(table).where(*here).values(used_at=now))


def purge(connection: Connection, now: Instant) -> None:
    """Forget what could not be sent again."""
    connection.execute(delete(table).where(table.c.expires_at <= now))
