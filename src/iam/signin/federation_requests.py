"""Somebody on their way to a provider and back: what was asked there, until its answer comes.

An answer is taken once, and only in the browser that was sent: its flow cookie is part of the request.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from iam.db.provider_tables import federation_request as table
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Invalid
from iam.kernel.secrets import hash_secret

LIFETIME = 10 * 60
"""Seconds in which somebody has to be back."""
_FLOW = "flow"


class FederationRequestUnknown(Invalid):
    """An answer to nothing that was asked here, in this browser: unknown, used, too old, or swapped."""

    code = "federation_request_unknown"
    title = "This sign-in is no longer valid. Begin it again."


def open_request(
    connection: Connection,
    handle: str,
    provider_id: str,
    flow: str,
    payload: Mapping[str, Any],
    now: Instant,
) -> None:
    """Remember what a browser is sent to a provider with.

    Args:
        handle: what the answer has to bring back (`state`, or the ID of a SAML request).
        flow: the browser's flow cookie. Whoever brings the answer has to hold the same (login CSRF).
        payload: what the answer is checked against. Secrets in it are encrypted by the caller.
    """
    connection.execute(
        insert(table),
        {
            "handle_hash": hash_secret(handle),
            "provider": provider_id,
            "payload": {**payload, _FLOW: _hashed(flow)},
            "expires_at": after(now, LIFETIME),
        },
    )


def peek_request(
    connection: Connection, handle: str, now: Instant
) -> tuple[str, Mapping[str, Any]] | None:
    """Of which provider (by its ID) something was asked, and what; it stays. None: nothing was.

    For an answer that comes without the browser's cookie and is checked before its browser is known.
    """
    query = select(table).where(
        table.c.handle_hash == hash_secret(handle), table.c.expires_at > now
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.provider, row.payload)


def take_request(
    connection: Connection, handle: str, provider_id: str, flow: str | None, now: Instant
) -> dict[str, Any] | None:
    """What was asked, which is forgotten by that, so that an answer that comes again is one to nothing.

    None if nothing was asked by that handle, of that provider, in that browser; then it is used up as
    well. (Not an error, which would undo that. What is raised for it is `FederationRequestUnknown`.)
    """
    row = connection.execute(
        delete(table)
        .where(table.c.handle_hash == hash_secret(handle))
        .returning(table.c.provider, table.c.payload, table.c.expires_at)
    ).one_or_none()
    if row is None or row.provider != provider_id or row.expires_at <= now:
        return None
    payload: dict[str, Any] = dict(row.payload)
    if payload.pop(_FLOW) != _hashed(flow or ""):
        return None
    return payload


def purge(connection: Connection, now: Instant) -> int:
    """Forget whoever did not come back; answer how many."""
    return connection.execute(delete(table).where(table.c.expires_at <= now)).rowcount


def _hashed(flow: str) -> str:
    return sha256(flow.encode("utf-8", "surrogatepass")).hexdigest()
