"""Where metadata comes from again and again: the addresses of service providers and identity providers
that change their keys themselves.

A row's owner is an application's registration or a provider, by its ID.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from iam.db.saml_tables import saml_source as table
from iam.kernel.clock import Instant, after

INTERVAL = 6 * 60 * 60
"""Seconds between two looks."""
RETRY = 30 * 60
"""Seconds until the next look after one that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlSource:
    """An address that metadata is fetched from. `signer` (PEM): whose key must have signed it; `failed`:
    what went wrong since `fetched_at`."""

    owner: str
    url: str
    signer: str | None
    fetched_at: Instant
    next_at: Instant
    failed: str | None


def set_source(
    connection: Connection, owner: str, url: str | None, signer: str | None, now: Instant
) -> None:
    """Note where this owner's metadata has just been fetched from; None: it was uploaded."""
    connection.execute(delete(table).where(table.c.owner == owner))
    if url is not None:
        row = {"owner": owner, "url": url, "signer": signer, "fetched_at": now}
        connection.execute(insert(table), row | {"next_at": after(now, INTERVAL)})


def find_source(connection: Connection, owner: str) -> SamlSource | None:
    """Where this owner's metadata comes from; None: it was uploaded."""
    row = connection.execute(select(table).where(table.c.owner == owner)).one_or_none()
    return _source(row) if row is not None else None


def due_sources(connection: Connection, now: Instant, limit: int) -> tuple[SamlSource, ...]:
    """Those that it is time to look at, the longest due first."""
    query = select(table).where(table.c.next_at <= now).order_by(table.c.next_at).limit(limit)
    return tuple(_source(row) for row in connection.execute(query))


def note_look(connection: Connection, source: SamlSource, failed: str | None, now: Instant) -> None:
    """Note what came of a look."""
    values: dict[str, Any] = {"failed": failed, "next_at": after(now, RETRY)}
    if failed is None:
        values |= {"fetched_at": now, "next_at": after(now, INTERVAL)}
    here = (table.c.owner == source.owner, table.c.url == source.url)
    connection.execute(update(table).where(*here).values(values))


def _source(row: Row[Any]) -> SamlSource:
    return SamlSource(
        owner=row.owner,
        url=row.url,
        signer=row.signer,
        fetched_at=Instant(row.fetched_at),
        next_at=Instant(row.next_at),
        failed=row.failed,
    )
