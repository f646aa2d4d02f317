"""Users: people and service accounts of one organization."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from iam.db.prepared import Asked, Prepared, together
from iam.db.tables import organization as organization_table
from iam.db.tables import user_account
from iam.directory.legacy import forget_members
from iam.directory.names import NameTaken, Reserved, UserMissing, check_user_name
from iam.directory.preferences import (
    NO_PREFERENCES,
    Preferences,
    check_preferences,
    columns_of,
)
from iam.kernel.clock import Instant
from iam.kernel.events import Actor
from iam.kernel.ids import USER, make_id
from iam.kernel.secrets import Random
from iam.languages import _
from iam.sessions import cut, reform, rules, store
from iam.sessions.layers import forget_layer, read_said
from iam.sessions.lifecycle import Ended
from iam.sessions.model import BUILT_IN_ORGANIZATION, EndReason, Identity, Selection
from iam.sessions.policy import Layer

ADMINISTRATOR = "administrator"
"""The role that administers: the whole installation in `built-in`, elsewhere the own organization."""

AUDITOR = "auditor"
"""The role that reads what an administrator reads, and changes nothing."""

SUPPORT = "support"
"""The role that sees sessions and ends them, and nothing else."""

OWN_ROLES = frozenset({ADMINISTRATOR, AUDITOR, SUPPORT})
"""The roles that allow something here. They are given here, by hand: never taken from anybody else's word."""

FIRST_USER = "admin"


# With the word of their organization: every sign-in and every start comes here.
_USER = select(user_account, organization_table.c.enabled.label("organization_enabled")).join(
    organization_table, organization_table.c.name == user_account.c.organization
)
_FIND = Prepared(
    _USER.where(
        user_account.c.organization == bindparam("organization"),
        user_account.c.name == bindparam("name"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One user. `id` is the OIDC subject and never given to anyone else."""

    id: str
    organization: str
    name: str
    display_name: str
    email: str | None
    roles: tuple[str, ...]
    enabled: bool
    organization_enabled: bool
    has_password: bool
    created_at: Instant
    preferences: Preferences

    @property
    def admitted(self) -> bool:
        """Whether they may have sessions: neither they nor their organization are disabled."""
        return self.enabled and self.organization_enabled

    @property
    def identity(self) -> Identity:
        """What the gate says of this user."""
        return Identity(display_name=self.display_name, email=self.email, roles=self.roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What to change; None leaves it. An e-mail address, a language (`locale`) and a time zone are removed
    with the empty string."""

    display_name: str | None = None
    email: str | None = None
    roles: Sequence[str] | None = None
    enabled: bool | None = None
    password_hash: str | None = None
    locale: str | None = None
    zoneinfo: str | None = None


def create_user(
    connection: Connection,
    *,
    organization: str,
    name: str,
    password_hash: str | None,
    display_name: str | None,
    email: str | None,
    roles: Sequence[str],
    preferences: Preferences = NO_PREFERENCES,
    now: Instant,
    random: Random,
) -> User:
    """Add a user. The organization must exist (the caller has looked).

    Raises:
        NameInvalid: the name's form.
        PreferenceInvalid: there is no such language or time zone.
        NameTaken: the organization has a user of that name.
    """
    row = {
        "id": make_id(USER, now, random),
        "organization": organization,
        "name": check_user_name(name),
        "password_hash": password_hash,
        "display_name": display_name or name,
        "email": email,
        "roles": list(roles),
        "enabled": True,
        "created_at": now,
        **columns_of(check_preferences(preferences)),
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(user_account), row)
    except IntegrityError as error:
        raise NameTaken(
            _(
                "%(organization)s has a user %(name)s already.",
                organization=repr(organization),
                name=repr(name),
            )
        ) from error
    return find_user(connection, organization, name)


def find_user(connection: Connection, organization: str, name: str) -> User:
    """The user of that name in that organization.

    Raises:
        UserMissing: there is none.
    """
    [rows] = together(connection, asking_user(organization, name))
    return user_among(rows)


def asking_user(organization: str, name: str) -> Asked:
    """What `find_user` asks, to go `together` with other questions."""
    return _FIND, {"organization": organization, "name": name}


def user_among(rows: Sequence[Any]) -> User:
    """The user that the answer to `asking_user` is.

    Raises:
        UserMissing: there is none.
    """
    if not rows:
        raise UserMissing
    return _user(rows[0])


def find_user_by_id(connection: Connection, user_id: str) -> User | None:
    """The user with this ID (an OIDC subject), None if there is none any more."""
    row = connection.execute(_USER.where(user_account.c.id == user_id)).one_or_none()
    return _user(row) if row is not None else None


def users_with_email(connection: Connection, organization: str, email: str) -> tuple[User, ...]:
    """Users of an organization with this address, in any case; two at most, for two are too many."""
    address = func.lower(user_account.c.email) == email.lower()
    query = _USER.where(user_account.c.organization == organization, address)
    return tuple(_user(row) for row in connection.execute(query.limit(2)))


def read_password_hash(connection: Connection, organization: str, name: str) -> str | None:
    """The stored hash of an admitted user's password; None when there is nothing to compare with."""
    query = _USER.with_only_columns(user_account.c.password_hash, maintain_column_froms=True).where(
        _is(organization, name), user_account.c.enabled, organization_table.c.enabled
    )
    return connection.execute(query).scalar_one_or_none()


def set_password_hash(
    connection: Connection, organization: str, name: str, password_hash: str
) -> None:
    """Store a hash of the user's password; what becomes of their sessions is the caller's to know."""
    connection.execute(
        update(user_account).where(_is(organization, name)).values(password_hash=password_hash)
    )


def list_users(
    connection: Connection,
    organization: str,
    *,
    after: str | None = None,
    limit: int = 50,
    contains: str | None = None,
) -> tuple[User, ...]:
    """Users of an organization by name, from the one after `after` (keyset paging).

    Args:
        contains: part of the name, the displayed name or the address, in any case.
    """
    query = (
        _USER.where(user_account.c.organization == organization)
        .order_by(user_account.c.name)
        .limit(limit)
    )
    if after is not None:
        query = query.where(user_account.c.name > after)
    if contains:
        part = contains.lower()
        columns = (user_account.c.name, user_account.c.display_name, user_account.c.email)
        lowered = (func.lower(func.coalesce(column, "")) for column in columns)
        query = query.where(or_(*(one.contains(part, autoescape=True) for one in lowered)))
    return tuple(_user(row) for row in connection.execute(query))


def users_by(
    connection: Connection, narrowed: Callable[[Select[Any]], Select[Any]]
) -> tuple[User, ...]:
    """Users that a query finds, once it was narrowed and put in an order (`directory.user_lists`)."""
    return tuple(_user(row) for row in connection.execute(narrowed(_USER)))


def names_among(connection: Connection, organization: str, names: Sequence[str]) -> frozenset[str]:
    """Which of these names the organization's users have."""
    found: set[str] = set()
    # By the hundred: databases take so many parameters and no more.
    for start in range(0, len(names), 500):
        query = select(user_account.c.name).where(
            user_account.c.organization == organization,
            user_account.c.name.in_(names[start : start + 500]),
        )
        found.update(connection.execute(query).scalars())
    return frozenset(found)


def users_like(
    connection: Connection, organization: str, beginning: str, *, limit: int = 8
) -> tuple[str, ...]:
    """Names of users of an organization that begin like this: what somebody may have meant."""
    name = user_account.c.name
    query = select(name).where(
        user_account.c.organization == organization,
        name >= beginning,
        name.startswith(beginning, autoescape=True),
    )
    return tuple(connection.execute(query.order_by(name).limit(limit)).scalars())


def update_user(
    connection: Connection,
    organization: str,
    name: str,
    change: UserChange,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[User, tuple[Ended, ...]]:
    """Change a user; answer them and which of their sessions it ended.

    Disabling ends all their sessions, as does a new password set by another. With other roles another
    policy may hold, to which their sessions are brought down.

    Raises:
        UserMissing: there is none.
        Reserved: it would disable the first administrator or take their role away.
        PreferenceInvalid: there is no such language or time zone.
    """
    rules.hold_rules(connection, organization)
    before = find_user(connection, organization, name)
    values: dict[str, object] = {}
    if change.display_name is not None:
        values["display_name"] = change.display_name
    if change.email is not None:
        values["email"] = change.email or None
    if change.roles is not None:
        values["roles"] = list(change.roles)
    if change.enabled is not None:
        values["enabled"] = change.enabled
    if change.password_hash is not None:
        values["password_hash"] = change.password_hash
    if change.locale is not None or change.zoneinfo is not None:
        wanted = before.preferences.changed(change.locale, change.zoneinfo)
        values |= columns_of(check_preferences(wanted))
    if _is_first(before) and (
        change.enabled is False or (change.roles is not None and ADMINISTRATOR not in change.roles)
    ):
        raise Reserved(
            _("The user admin of built-in keeps the installation from being locked out.")
        )
    if values:
        connection.execute(update(user_account).where(_is(organization, name)).values(**values))
    after = find_user(connection, organization, name)
    ended: tuple[Ended, ...] = ()
    if change.enabled is False or change.password_hash is not None:
        reason = (
            EndReason.USER_DISABLED if change.enabled is False else EndReason.CREDENTIALS_CHANGED
        )
        ended = cut.end_at_once(
            connection,
            Selection(organization=organization, user=name),
            reason=reason,
            actor=actor,
            now=now,
            random=random,
        )
    elif after.identity != before.identity:
        store.set_identity(connection, organization, name, after.identity)
        differing = set(before.roles) ^ set(after.roles)
        if differing & read_said(connection, organization).names("role"):
            own = Layer("user", organization, name)
            impact = reform.apply_policy(connection, own, actor=actor, now=now, random=random)
            ended = impact.noted
    return after, ended


def delete_user(
    connection: Connection,
    organization: str,
    name: str,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[Ended, ...]:
    """Delete a user and end all their sessions; answer these.

    Raises:
        UserMissing: there is none.
        Reserved: it is the first administrator.
    """
    rules.hold_rules(connection, organization)
    if _is_first(find_user(connection, organization, name)):
        raise Reserved(_("The user admin of built-in cannot be deleted."))
    ended = cut.end_at_once(
        connection,
        Selection(organization=organization, user=name),
        reason=EndReason.USER_DISABLED,
        actor=actor,
        now=now,
        random=random,
    )
    forget_layer(connection, Layer("user", organization, name))
    forget_members(connection, "user", organization, name)
    connection.execute(delete(user_account).where(_is(organization, name)))
    return ended


def _is(organization: str, name: str) -> Any:
    return (user_account.c.organization == organization) & (user_account.c.name == name)


def _is_first(user: User) -> bool:
    return user.organization == BUILT_IN_ORGANIZATION and user.name == FIRST_USER


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        organization=row.organization,
        name=row.name,
        display_name=row.display_name,
        email=row.email,
        roles=tuple(row.roles),
        enabled=bool(row.enabled),
        organization_enabled=bool(row.organization_enabled),
        has_password=row.password_hash is not None,
        created_at=Instant(row.created_at),
        preferences=Preferences(row.locale, row.zoneinfo),
    )
