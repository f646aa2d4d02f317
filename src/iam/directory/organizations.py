"""Organizations: the tenants."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from iam.db.provider_tables import provider
from iam.db.tables import application, organization, policy, user_account
from iam.directory.names import NameTaken, OrganizationMissing, Reserved, check_name
from iam.kernel.clock import Instant
from iam.kernel.events import Actor
from iam.kernel.secrets import Random
from iam.languages import _
from iam.sessions import cut, rules
from iam.sessions.lifecycle import Ended
from iam.sessions.model import BUILT_IN_ORGANIZATION, EndReason, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A tenant. Users and applications belong to one; nobody signs in to one that is disabled."""

    name: str
    display_name: str
    enabled: bool
    created_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChange:
    """What to change; None leaves it."""

    display_name: str | None = None
    enabled: bool | None = None


def create_organization(
    connection: Connection, name: str, display_name: str | None, now: Instant
) -> Organization:
    """Add an organization.

    Raises:
        NameInvalid: the name's form.
        NameTaken: there is one of that name.
    """
    row = {
        "name": check_name(name),
        "display_name": display_name or name,
        "enabled": True,
        "created_at": now,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(organization), row)
    except IntegrityError as error:
        raise NameTaken(_("There is an organization %(name)s already.", name=repr(name))) from error
    return find_organization(connection, name)


def find_organization(connection: Connection, name: str) -> Organization:
    """The organization of that name.

    Raises:
        OrganizationMissing: there is none.
    """
    row = connection.execute(select(organization).where(organization.c.name == name)).one_or_none()
    if row is None:
        raise OrganizationMissing
    return _organization(row)


def list_organizations(
    connection: Connection, *, after: str | None = None, limit: int = 50
) -> tuple[Organization, ...]:
    """Organizations by name, from the one after `after` (keyset paging)."""
    query = select(organization).order_by(organization.c.name).limit(limit)
    if after is not None:
        query = query.where(organization.c.name > after)
    return tuple(_organization(row) for row in connection.execute(query))


def update_organization(
    connection: Connection,
    name: str,
    change: OrganizationChange,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[Organization, tuple[Ended, ...]]:
    """Change an organization; answer it and which sessions that ended and noted.

    Disabling ends all of them at once, however many they are (`cut.end_at_once`).

    Raises:
        OrganizationMissing: there is none.
        Reserved: it would disable `built-in`.
    """
    rules.hold_rules(connection, name)
    find_organization(connection, name)
    if name == BUILT_IN_ORGANIZATION and change.enabled is False:
        raise Reserved(_("The organization built-in cannot be disabled: nobody could administer."))
    values = {
        key: value
        for key, value in (("display_name", change.display_name), ("enabled", change.enabled))
        if value is not None
    }
    if values:
        connection.execute(update(organization).where(organization.c.name == name).values(values))
    ended: tuple[Ended, ...] = ()
    if change.enabled is False:
        ended = cut.end_at_once(
            connection,
            Selection(organization=name),
            reason=EndReason.USER_DISABLED,
            actor=actor,
            now=now,
            random=random,
        )
    return find_organization(connection, name), ended


def delete_organization(
    connection: Connection, name: str, *, actor: Actor, now: Instant, random: Random
) -> tuple[Ended, ...]:
    """Delete an organization with its users and applications and end all their sessions; answer these.

    The history of its sessions and events stays until the retention sweep.

    Raises:
        OrganizationMissing: there is none.
        Reserved: it is `built-in`.
    """
    if name == BUILT_IN_ORGANIZATION:
        raise Reserved(_("The organization built-in cannot be deleted."))
    rules.hold_rules(connection, name)
    find_organization(connection, name)
    ended = cut.end_at_once(
        connection,
        Selection(organization=name),
        reason=EndReason.USER_DISABLED,
        actor=actor,
        now=now,
        random=random,
    )
    for table in (provider, application, user_account, policy):
        connection.execute(delete(table).where(table.c.organization == name))
    connection.execute(delete(organization).where(organization.c.name == name))
    return ended


def _organization(row: Row[Any]) -> Organization:
    return Organization(
        name=row.name,
        display_name=row.display_name,
        enabled=bool(row.enabled),
        created_at=Instant(row.created_at),
    )
