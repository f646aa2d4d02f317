"""What moved in from elsewhere: users many at a time, and what came from where."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, insert, select

from iam.db.hanzo_tables import legacy_members
from iam.db.moving_tables import moved_in
from iam.db.provider_tables import provider_link
from iam.db.tables import user_account
from iam.kernel.clock import Instant

# Bound on the values in one statement: databases limit their number.
_AT_ONCE = 500
_LONGEST_SOURCE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """That this came from there, and what it was then."""

    source: str
    organization: str | None
    name: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedUser:
    """A user to be added as they were elsewhere."""

    id: str
    organization: str
    name: str
    password_hash: str | None
    display_name: str
    email: str | None
    roles: tuple[str, ...]
    enabled: bool
    created_at: Instant
    members: Mapping[str, object] = field(default_factory=dict, repr=False)
    """What means nothing to us (`directory.legacy`)."""


def storable(source: str) -> str:
    """What something is called elsewhere as both databases can hold it: PostgreSQL has no NUL, and keys of at
    most 2,700 bytes."""
    plain = source.replace("\0", "\ufffd")
    if len(plain) <= _LONGEST_SOURCE:
        return plain
    return f"{plain[:_LONGEST_SOURCE]} {sha256(plain.encode('utf-8', 'replace')).hexdigest()}"


def read_marks(connection: Connection, kind: str, sources: Collection[str]) -> dict[str, Mark]:
    """Those of these that came before, by what they are called there."""
    found = {}
    for some in _parts([storable(one) for one in sources]):
        query = select(moved_in).where(moved_in.c.kind == kind, moved_in.c.source.in_(some))
        for row in connection.execute(query):
            found[row.source] = Mark(
                source=row.source,
                organization=row.organization,
                name=row.name,
                digest=bytes(row.digest),
            )
    return {one: found[storable(one)] for one in sources if storable(one) in found}


def add_marks(connection: Connection, kind: str, marks: Iterable[Mark], now: Instant) -> None:
    """Remember that these have come. Not twice: the caller has looked."""
    rows = [
        {
            "kind": kind,
            "source": storable(one.source),
            "organization": one.organization,
            "name": one.name,
            "digest": one.digest,
            "moved_at": now,
        }
        for one in marks
    ]
    if rows:
        connection.execute(insert(moved_in), rows)


def names_here(
    connection: Connection, wanted: Mapping[str, Collection[str]]
) -> set[tuple[str, str]]:
    """(organization, name) of those of these users that there are; `wanted` has names by organization."""
    found: set[tuple[str, str]] = set()
    for organization, names in wanted.items():
        for some in _parts(list(names)):
            query = select(user_account.c.name).where(
                user_account.c.organization == organization, user_account.c.name.in_(some)
            )
            found |= {(organization, one) for one in connection.execute(query).scalars()}
    return found


def subjects_here(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of these IDs that some user has."""
    found: set[str] = set()
    for some in _parts(list(ids)):
        query = select(user_account.c.id).where(user_account.c.id.in_(some))
        found |= set(connection.execute(query).scalars())
    return found


def add_users(connection: Connection, users: Sequence[MovedUser]) -> None:
    """Add users. Their organizations must exist, and their names be valid and free (the caller has looked).

    Raises:
        sqlalchemy.exc.IntegrityError: somebody else took a name or an ID meanwhile; nothing was added.
    """
    rows: list[dict[str, Any]] = [
        {
            "id": one.id,
            "organization": one.organization,
            "name": one.name,
            "password_hash": one.password_hash,
            "display_name": one.display_name,
            "email": one.email,
            "roles": list(one.roles),
            "enabled": one.enabled,
            "created_at": one.created_at,
        }
        for one in users
    ]
    if rows:
        connection.execute(insert(user_account), rows)
    kept = [
        {
            "kind": "user",
            "organization": one.organization,
            "name": one.name,
            "members": dict(one.members),
        }
        for one in users
        if one.members
    ]
    if kept:
        connection.execute(insert(legacy_members), kept)


def links_here(
    connection: Connection, wanted: Mapping[str, Collection[str]]
) -> set[tuple[str, str]]:
    """(provider, subject) of those of these links that there are; `wanted` has subjects by provider."""
    found: set[tuple[str, str]] = set()
    for provider, subjects in wanted.items():
        for some in _parts(list(subjects)):
            query = select(provider_link.c.subject).where(
                provider_link.c.provider == provider, provider_link.c.subject.in_(some)
            )
            found |= {(provider, one) for one in connection.execute(query).scalars()}
    return found


def add_links(connection: Connection, links: Iterable[tuple[str, str, str]], now: Instant) -> None:
    """Add links, each (provider, subject, user's ID). None of them exists (the caller has looked)."""
    rows = [
        {"provider": provider, "subject": subject, "user_id": user_id, "created_at": now}
        for provider, subject, user_id in links
    ]
    if rows:
        connection.execute(insert(provider_link), rows)


def _parts(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
