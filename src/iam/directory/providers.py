"""Providers: who else says who somebody is, and whom of ours each of them means by a subject.

What a kind's `options` are is said where that kind is spoken (`signin`, `saml`). A provider's secret is
stored as the caller has encrypted it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from iam.db.provider_tables import provider as table
from iam.db.provider_tables import provider_link as link_table
from iam.directory.legacy import forget_members
from iam.directory.names import NameTaken, check_name
from iam.directory.organizations import find_organization
from iam.directory.provider_options import names_of_subjects, shows_secret_to
from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict, Missing
from iam.kernel.ids import LINK, PROVIDER, make_id
from iam.kernel.secrets import Random
from iam.languages import _

Kind = Literal["oidc", "oauth2", "saml"]
Attribute = Literal["name", "display_name", "email", "roles"]


class ProviderMissing(Missing):
    """There is no such provider, or not for this caller."""

    code = "provider_not_found"
    title = "There is no such provider."


class ProviderLinked(Conflict):
    """Users are linked to a provider, so that it cannot become another one under them."""

    code = "provider_linked"
    title = "Users are linked to this provider."


class ProviderSecretNeeded(Conflict):
    """A provider's secret would be shown to another server than before."""

    code = "provider_secret_needed"
    title = "Give the client secret as well: it would be shown to another server than before."


class LinkMissing(Missing):
    """No provider knows this user under that name, or not for this caller."""

    code = "link_not_found"
    title = "There is no such link."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProvider:
    """What a provider is made with, and what replacing one sets."""

    kind: Kind
    display_name: str
    enabled: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    creates_users: bool = False
    trusted_domains: tuple[str, ...] = ()
    """Mail domains of which it is believed: only there are its people linked to ours by address."""
    attributes: Mapping[Attribute, str] = field(default_factory=dict)
    """Which claim or attribute of its fills what of ours, anew at each sign-in; what is not named has its
    kind's default, and is filled once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(NewProvider):
    """One provider of one organization. `sealed_secret`: what we are known by there, encrypted."""

    id: str
    organization: str
    name: str
    sealed_secret: str | None
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """That a provider means this user by this subject."""

    provider: str
    subject: str
    user_id: str
    created_at: Instant
    last_used_at: Instant | None


def create_provider(
    connection: Connection,
    organization: str,
    name: str,
    new: NewProvider,
    *,
    provider_id: str | None = None,
    sealed_secret: str | None = None,
    now: Instant,
    random: Random,
) -> Provider:
    """Add a provider to an organization.

    Args:
        provider_id: made before, where a secret was encrypted for it.

    Raises:
        NameInvalid: no provider may be called that.
        NameTaken: one of this organization is.
        OrganizationMissing: there is no such organization.
    """
    check_name(name)
    find_organization(connection, organization)
    row = {
        "id": provider_id or make_id(PROVIDER, now, random),
        "organization": organization,
        "name": name,
        **_values(new),
        "secret": sealed_secret,
        "created_at": now,
        "updated_at": now,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(table), row)
    except IntegrityError as error:
        raise NameTaken from error
    return find_provider(connection, organization, name)


def update_provider(
    connection: Connection,
    organization: str,
    name: str,
    new: NewProvider,
    *,
    sealed_secret: str | None,
    now: Instant,
) -> Provider:
    """Replace what a provider is; `sealed_secret` None leaves the one that it has.

    Raises:
        ProviderMissing: there is none.
        ProviderLinked: users are linked to it, and by the change it would mean others by the same subjects.
        ProviderSecretNeeded: the one that it has would be shown to another server. Who may change a
            provider may not read its secret: not by having it sent to a server of their own either.
    """
    before = find_provider(connection, organization, name)
    names = [(one.kind, *names_of_subjects(one.kind, one.options)) for one in (before, new)]
    if names[0] != names[1] and has_links(connection, before.id):
        raise ProviderLinked(_("Another issuer's subjects are other people's: add it beside."))
    moves = shows_secret_to(before.kind, before.options) != shows_secret_to(new.kind, new.options)
    if before.sealed_secret is not None and sealed_secret is None and moves:
        raise ProviderSecretNeeded
    values = _values(new) | {"updated_at": now}
    if sealed_secret is not None:
        values["secret"] = sealed_secret
    if not connection.execute(
        update(table).where(*_here(organization, name)).values(values)
    ).rowcount:
        raise ProviderMissing
    return find_provider(connection, organization, name)


def find_provider(connection: Connection, organization: str, name: str) -> Provider:
    """One provider.

    Raises:
        ProviderMissing: there is none.
    """
    row = connection.execute(select(table).where(*_here(organization, name))).one_or_none()
    if row is None:
        raise ProviderMissing
    return _provider(row)


def find_provider_by_id(connection: Connection, provider_id: str) -> Provider | None:
    """The provider with this ID, of whatever organization; None if there is none."""
    row = connection.execute(select(table).where(table.c.id == provider_id)).one_or_none()
    return _provider(row) if row is not None else None


def providers_of_entity(connection: Connection, entity_id: str) -> tuple[Provider, ...]:
    """The providers that call themselves so (SAML: its entityID), of whatever organizations."""
    here = select(table).where(table.c.entity_id == entity_id).order_by(table.c.id)
    return tuple(_provider(row) for row in connection.execute(here))


def replace_options(connection: Connection, provider_id: str, options: Mapping[str, Any]) -> None:
    """Take over what a provider has said of itself: nobody has changed what it is to us, so whoever is
    just signing in by it goes on (`signin.arrival.link_seal`)."""
    here = table.c.id == provider_id
    connection.execute(update(table).where(here).values(options=dict(options)))


def list_providers(connection: Connection, organization: str) -> tuple[Provider, ...]:
    """Every provider of an organization, by name; there are few."""
    here = select(table).where(table.c.organization == organization).order_by(table.c.name)
    return tuple(_provider(row) for row in connection.execute(here))


def read_secrets(connection: Connection) -> dict[str, str]:
    """What we are known by at every provider that has a secret, encrypted, by the provider's ID."""
    query = select(table.c.id, table.c.secret).where(table.c.secret.is_not(None))
    return {row.id: row.secret for row in connection.execute(query)}


def replace_secret(connection: Connection, provider_id: str, sealed_secret: str) -> None:
    """Store the same secret, encrypted otherwise: to the provider's links that is no change."""
    connection.execute(update(table).where(table.c.id == provider_id).values(secret=sealed_secret))


def delete_provider(connection: Connection, organization: str, name: str) -> None:
    """Delete a provider with its links. Whom it let in stays in until their sessions end.

    Raises:
        ProviderMissing: there is none.
    """
    if not connection.execute(delete(table).where(*_here(organization, name))).rowcount:
        raise ProviderMissing
    forget_members(connection, "provider", organization, name)


def find_link(connection: Connection, provider: str, subject: str) -> Link | None:
    """Whom this provider (by its ID) means by this subject; None if nobody yet."""
    here = (link_table.c.provider == provider, link_table.c.subject == subject)
    row = connection.execute(select(link_table).where(*here)).one_or_none()
    return _link(row) if row is not None else None


def has_links(connection: Connection, provider_id: str) -> bool:
    """Whether a provider means anybody."""
    some = select(exists().where(link_table.c.provider == provider_id))
    return bool(connection.execute(some).scalar_one())


def list_links(connection: Connection, user_id: str) -> tuple[Link, ...]:
    """By whom a user is known."""
    mine = select(link_table).where(link_table.c.user_id == user_id)
    return tuple(_link(row) for row in connection.execute(mine.order_by(link_table.c.created_at)))


def add_link(
    connection: Connection, provider: str, subject: str, user_id: str, now: Instant
) -> Link:
    """From now on this provider (by its ID) means this user by this subject.

    Raises:
        NameTaken: it means somebody by it already.
    """
    row = {"provider": provider, "subject": subject, "user_id": user_id, "created_at": now}
    try:
        with connection.begin_nested():
            connection.execute(insert(link_table), row)
    except IntegrityError as error:
        raise NameTaken(_("This subject is linked already.")) from error
    return Link(
        provider=provider, subject=subject, user_id=user_id, created_at=now, last_used_at=None
    )


def link_id(link: Link) -> str:
    """What a link is called where a subject cannot stand: in an address, whatever it is made of."""
    return LINK + sha256(f"{link.provider}\0{link.subject}".encode()).hexdigest()[:32]


def find_own_link(connection: Connection, user_id: str, wanted: str) -> Link:
    """The link of this user that `link_id` calls so.

    Raises:
        LinkMissing: they have none of that name.
    """
    for one in list_links(connection, user_id):
        if link_id(one) == wanted:
            return one
    raise LinkMissing


def note_use(connection: Connection, provider: str, subject: str, now: Instant) -> None:
    """Somebody has just signed in by this link."""
    here = (link_table.c.provider == provider, link_table.c.subject == subject)
    connection.execute(update(link_table).where(*here).values(last_used_at=now))


def remove_link(connection: Connection, provider: str, subject: str) -> bool:
    """The provider means nobody by this subject any more; whether it did."""
    here = (link_table.c.provider == provider, link_table.c.subject == subject)
    return bool(connection.execute(delete(link_table).where(*here)).rowcount)


def _here(organization: str, name: str) -> tuple[Any, Any]:
    return table.c.organization == organization, table.c.name == name


def _values(new: NewProvider) -> dict[str, Any]:
    return {
        "kind": new.kind,
        "display_name": new.display_name,
        "enabled": new.enabled,
        "options": dict(new.options),
        "entity_id": new.options.get("entity_id"),
        "creates_users": new.creates_users,
        "trusted_domains": list(new.trusted_domains),
        "attributes": dict(new.attributes),
    }


def _provider(row: Row[Any]) -> Provider:
    return Provider(
        id=row.id,
        organization=row.organization,
        name=row.name,
        kind=row.kind,
        display_name=row.display_name,
        enabled=bool(row.enabled),
        options=row.options,
        sealed_secret=row.secret,
        creates_users=bool(row.creates_users),
        trusted_domains=tuple(row.trusted_domains),
        attributes=row.attributes,
        created_at=Instant(row.created_at),
        updated_at=Instant(row.updated_at),
    )


def _link(row: Row[Any]) -> Link:
    used = row.last_used_at
    return Link(
        provider=row.provider,
        subject=row.subject,
        user_id=row.user_id,
        created_at=Instant(row.created_at),
        last_used_at=Instant(used) if used is not None else None,
    )
