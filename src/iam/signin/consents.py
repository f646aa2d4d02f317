"""Consent: what a person has let an application know, asked where the application wants it asked.

Remembered by user and application until it is withdrawn; more than was allowed is asked for anew. With it
end the sessions that it was given for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from iam import audit
from iam.db.tables import application
from iam.db.tables import consent as table
from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing
from iam.directory.users import find_user
from iam.kernel.clock import Instant
from iam.kernel.errors import Missing
from iam.kernel.events import Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.languages import N_
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, Selection


class ConsentMissing(Missing):
    """The user has allowed no application of this name anything."""

    code = "consent_not_found"
    title = "You have allowed this application nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What one person has allowed one application, and when they did last."""

    application: str
    display_name: str
    scopes: tuple[str, ...]
    granted_at: Instant


def allowed_scopes(connection: Connection, user_id: str, client_id: str) -> frozenset[str]:
    """The scopes that this person has allowed this client."""
    query = select(table.c.scopes).where(table.c.user_id == user_id, table.c.client_id == client_id)
    return frozenset(connection.execute(query).scalar_one_or_none() or ())


def allow(
    connection: Connection, user_id: str, client_id: str, scopes: Iterable[str], now: Instant
) -> tuple[str, ...]:
    """Remember that these scopes are allowed besides those that were; answer all of them."""
    together = sorted({*scopes, *allowed_scopes(connection, user_id, client_id)})
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"scopes": together, "granted_at": now}
    connection.execute(
        insert(table)
        .values(user_id=user_id, client_id=client_id, **values)
        .on_conflict_do_update(index_elements=list(table.primary_key), set_=values)
    )
    return tuple(together)


def list_consents(connection: Connection, user_id: str) -> tuple[Consent, ...]:
    """What this person has allowed, by application."""
    query = (
        select(table, application.c.name, application.c.display_name)
        .join(application, application.c.client_id == table.c.client_id)
        .where(table.c.user_id == user_id)
        .order_by(application.c.name)
    )
    return tuple(
        Consent(
            application=row.name,
            display_name=row.display_name,
            scopes=tuple(row.scopes),
            granted_at=Instant(row.granted_at),
        )
        for row in connection.execute(query)
    )


def withdraw(
    connection: Connection,
    organization: str,
    user: str,
    application: str,
    *,
    now: Instant,
    random: Random,
    origin: Origin,
) -> tuple[Ended, ...]:
    """Forget what this user has allowed this application, and end their sessions there.

    Raises:
        ConsentMissing: they have allowed it nothing.
    """
    actor = user_actor(organization, user)
    try:
        client_id = find_application(connection, organization, application).client_id
    except ApplicationMissing as error:
        raise ConsentMissing from error
    user_id = find_user(connection, organization, user).id
    gone = connection.execute(
        delete(table).where(table.c.user_id == user_id, table.c.client_id == client_id)
    )
    if not gone.rowcount:
        raise ConsentMissing
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="consent.withdrawn",
        actor=actor,
        organization=organization,
        user=user,
        application=application,
        origin=origin,
    )
    audit.append(connection, [event])
    return lifecycle.end_selected(
        connection,
        Selection(organization=organization, user=user, application=application),
        reason=EndReason.ENDED_BY_USER,
        actor=actor,
        now=now,
        random=random,
        origin=origin,
        note=N_("consent withdrawn"),
    )
