"""Applications that register themselves (RFC 7591): the tokens that let them, and those they manage
themselves with (RFC 7592). Of both only hashes are stored."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from iam.db.token_tables import client_registration, registration_token
from iam.kernel.clock import Instant, after
from iam.kernel.events import Actor
from iam.kernel.ids import REGISTRATION, make_id
from iam.kernel.secrets import Random, hash_secret, make_secret, proves

_FORM = re.compile(r"(rgt_[0-9a-hjkmnp-tv-z]{26})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationToken:
    """What lets applications of one organization register themselves, and who made it."""

    id: str
    organization: str
    created_by: Actor
    expires_at: Instant
    uses_left: int


def create_token(
    connection: Connection,
    organization: str,
    *,
    lifetime: int,
    uses: int,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[RegistrationToken, str]:
    """A token for so many registrations within so many seconds, and its text, which is shown this once."""
    secret = make_secret(random)
    made = RegistrationToken(
        id=make_id(REGISTRATION, now, random),
        organization=organization,
        created_by=actor,
        expires_at=after(now, lifetime),
        uses_left=uses,
    )
    row = {
        "id": made.id,
        "secret_hash": hash_secret(secret),
        "organization": organization,
        "created_by": actor,
        "expires_at": made.expires_at,
        "uses_left": uses,
    }
    connection.execute(insert(registration_token), row)
    return made, f"{made.id}.{secret}"


def use_token(connection: Connection, text: str, now: Instant) -> RegistrationToken | None:
    """Use one of a token's registrations up; None if there is none left, or no such token."""
    table, match = registration_token, _FORM.fullmatch(text)
    if match is None:
        return None
    row = connection.execute(
        select(table).where(table.c.id == match[1]).with_for_update()
    ).one_or_none()
    if row is None or not proves(match[2], row.secret_hash):
        return None
    if row.expires_at <= now or row.uses_left < 1:
        return None
    left = row.uses_left - 1
    connection.execute(update(table).where(table.c.id == row.id).values(uses_left=left))
    return RegistrationToken(
        id=row.id,
        organization=row.organization,
        created_by=Actor(row.created_by),
        expires_at=Instant(row.expires_at),
        uses_left=left,
    )


def note_registration(
    connection: Connection, organization: str, application: str, random: Random
) -> str:
    """Remember that this application registered itself; answer the token that it manages itself with."""
    secret = make_secret(random)
    row = {
        "organization": organization,
        "application": application,
        "secret_hash": hash_secret(secret),
    }
    connection.execute(insert(client_registration), row)
    return secret


def manages(connection: Connection, organization: str, application: str, secret: str) -> bool:
    """Whether this is the token that an application manages itself with."""
    table = client_registration
    query = select(table.c.secret_hash).where(
        table.c.organization == organization, table.c.application == application
    )
    return proves(secret, connection.execute(query).scalar_one_or_none())


def purge(connection: Connection, now: Instant) -> int:
    """Forget tokens that have expired or are used up; answer how many."""
    table = registration_token
    old = (table.c.expires_at <= now) | (table.c.uses_left < 1)
    return connection.execute(delete(table).where(old)).rowcount
