"""Applications: what one signs in to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, cast, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from iam.db.prepared import Asked, Prepared, together
from iam.db.tables import application, gate_host
from iam.db.tables import organization as organization_table
from iam.directory.client_settings import ClientSettings, as_row, settings_of
from iam.directory.legacy import forget_members
from iam.directory.names import ApplicationMissing, HostTaken, NameTaken, Reserved, check_name
from iam.directory.openid_settings import OpenidSettings, openid_of, openid_row
from iam.kernel.clock import Instant
from iam.kernel.events import Actor
from iam.kernel.ids import APPLICATION, make_id
from iam.kernel.secrets import Random, hash_secret, make_secret, proves
from iam.languages import _
from iam.sessions import added_ids, cut, rules
from iam.sessions.layers import forget_layer
from iam.sessions.lifecycle import Ended
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION, EndReason, Selection
from iam.sessions.policy import Layer

_OPEN = organization_table.c.enabled.label("organization_enabled")
_OF_ORGANIZATION = organization_table.c.name == application.c.organization
# With its hosts and its organization in one statement, a row for each host: every call that an
# application makes comes here.
_APPLICATION = (
    select(application, _OPEN, gate_host.c.host)
    .join(organization_table, _OF_ORGANIZATION)
    .outerjoin(
        gate_host,
        (gate_host.c.organization == application.c.organization)
        & (gate_host.c.application == application.c.name),
    )
)
_FIND = Prepared(
    _APPLICATION.where(
        application.c.organization == bindparam("organization"),
        application.c.name == bindparam("name"),
    )
)
_UNCHOSEN = OpenidSettings()
_FIND_CLIENT = Prepared(_APPLICATION.where(application.c.client_id == bindparam("client_id")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One application. A public one (a browser or native app) has nothing to prove itself with."""

    organization: str
    name: str
    client_id: str
    secret_hash: bytes | None
    display_name: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    gate_hosts: tuple[str, ...]
    openid: OpenidSettings
    enabled: bool
    organization_enabled: bool
    created_at: Instant
    client: ClientSettings

    @property
    def is_open(self) -> bool:
        """Whether one may enter it and it may call: neither it nor its organization is disabled."""
        return self.enabled and self.organization_enabled

    @property
    def public(self) -> bool:
        """Whether it does not authenticate."""
        return self.client.token_endpoint_auth_method == "none"  # noqa: S105 - the name of a method

    def authenticates(self, secret: str) -> bool:
        """Whether this is its client secret, compared in constant time."""
        return proves(secret, self.secret_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationChange:
    """What to change; None leaves it, and `openid` names those members alone that change."""

    display_name: str | None = None
    redirect_uris: Sequence[str] | None = None
    post_logout_redirect_uris: Sequence[str] | None = None
    grant_types: Sequence[str] | None = None
    gate_hosts: Sequence[str] | None = None
    openid: Mapping[str, object] = field(default_factory=dict)
    enabled: bool | None = None
    client: Mapping[str, Any] = field(default_factory=dict)
    """Members of `ClientSettings`."""


def create_application(
    connection: Connection,
    *,
    organization: str,
    name: str,
    display_name: str | None = None,
    redirect_uris: Sequence[str] = (),
    post_logout_redirect_uris: Sequence[str] = (),
    grant_types: Sequence[str] = ("authorization_code",),
    gate_hosts: Sequence[str] = (),
    openid: OpenidSettings = _UNCHOSEN,
    public: bool = False,
    client: ClientSettings | None = None,
    client_id: str | None = None,
    secret: str | None = None,
    now: Instant,
    random: Random,
) -> tuple[Application, str | None]:
    """Add an application; answer it and its client secret, if it has one, which is shown this once.

    The organization must exist (the caller has looked); URIs and hosts are checked by the door.

    Args:
        client_id: the one that it has had elsewhere (`kernel.ids.is_client_id`); None: a new one.
        secret: likewise.

    Raises:
        NameInvalid: the name's form.
        NameTaken: the organization has an application of that name.
        HostTaken: a gate host is another application's.
        MethodConflict: it could never authenticate like that.
        Reserved: `app-built-in` is the server's own.
    """
    if name == BUILT_IN_APPLICATION and organization != BUILT_IN_ORGANIZATION:
        raise Reserved(_("The name app-built-in is reserved."))
    settings = client or ClientSettings()
    if public and settings.token_endpoint_auth_method is None:
        settings = replace(settings, token_endpoint_auth_method="none")  # noqa: S106 - a method's name
    secret = (secret or make_secret(random)) if settings.check(public=public).has_secret else None
    row = {
        "organization": organization,
        "name": check_name(name),
        "client_id": client_id or make_id(APPLICATION, now, random),
        "secret_hash": hash_secret(secret) if secret is not None else None,
        "display_name": display_name or name,
        "redirect_uris": list(redirect_uris),
        "post_logout_redirect_uris": list(post_logout_redirect_uris),
        "grant_types": list(grant_types),
        **openid_row(openid),
        "enabled": True,
        "created_at": now,
        **as_row(settings),
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(application), row)
    except IntegrityError as error:
        places = {"organization": repr(organization), "name": repr(name)}
        words = _("%(organization)s has an application %(name)s already.", **places)
        raise NameTaken(words) from error
    _set_hosts(connection, organization, name, gate_hosts)
    return find_application(connection, organization, name), secret


def find_application(connection: Connection, organization: str, name: str) -> Application:
    """The application of that name in that organization.

    Raises:
        ApplicationMissing: there is none.
    """
    [rows] = together(connection, asking_application(organization, name))
    return application_among(rows)


def asking_application(organization: str, name: str) -> Asked:
    """What `find_application` asks, to go `together` with other questions."""
    return _FIND, {"organization": organization, "name": name}


def application_among(rows: Sequence[Any]) -> Application:
    """The application that the answer to `asking_application` is.

    Raises:
        ApplicationMissing: there is none.
    """
    if not rows:
        raise ApplicationMissing
    return _application(rows[0], [row.host for row in rows if row.host is not None])


def find_client(connection: Connection, client_id: str) -> Application | None:
    """The application with this OAuth client ID, None if there is none."""
    rows = _FIND_CLIENT.rows(connection, {"client_id": client_id})
    hosts = [row.host for row in rows if row.host is not None]
    return _application(rows[0], hosts) if rows else None


def application_at(connection: Connection, host: str) -> tuple[str, str] | None:
    """(organization, name) of the open application for which the gate answers on `host`."""
    query = (
        select(gate_host.c.organization, gate_host.c.application)
        .join(
            application,
            (application.c.organization == gate_host.c.organization)
            & (application.c.name == gate_host.c.application),
        )
        .join(organization_table, _OF_ORGANIZATION)
        .where(gate_host.c.host == host, application.c.enabled, organization_table.c.enabled)
    )
    row = connection.execute(query).one_or_none()
    return (row.organization, row.application) if row is not None else None


def find_resource_server(connection: Connection, organization: str, resource: str) -> bool:
    """Whether an enabled application of the organization is a resource server by this name."""
    query = select(application.c.resources).where(
        application.c.organization == organization,
        application.c.enabled,
        cast(application.c.resources, Text) != "[]",
    )
    return any(resource in found for found in connection.execute(query).scalars())


def list_applications(
    connection: Connection, organization: str, *, after: str | None = None, limit: int = 50
) -> tuple[Application, ...]:
    """Applications of an organization by name, from the one after `after` (keyset paging)."""
    query = select(application, _OPEN).join(organization_table, _OF_ORGANIZATION)
    query = query.where(application.c.organization == organization)
    if after is not None:
        query = query.where(application.c.name > after)
    rows = connection.execute(query.order_by(application.c.name).limit(limit)).all()
    hosts: dict[str, list[str]] = {}
    mine = select(gate_host).where(gate_host.c.organization == organization)
    for host in connection.execute(mine):
        hosts.setdefault(host.application, []).append(host.host)
    return tuple(_application(row, hosts.get(row.name, ())) for row in rows)


def organizations_with(connection: Connection, name: str) -> tuple[str, ...]:
    """The organizations that have an application of this name."""
    query = select(application.c.organization).where(application.c.name == name)
    return tuple(connection.execute(query.order_by(application.c.organization)).scalars())


def update_application(
    connection: Connection,
    organization: str,
    name: str,
    change: ApplicationChange,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[Application, tuple[Ended, ...]]:
    """Change an application; answer it and the sessions that this ended.

    Disabling ends its sessions; taking a gate host ends those there.

    Raises:
        ApplicationMissing: there is none.
        HostTaken: a gate host is another application's.
        MethodConflict: it could no longer authenticate.
        Reserved: it would disable `app-built-in`.
    """
    rules.hold_rules(connection, organization)
    before = find_application(connection, organization, name)
    if name == BUILT_IN_APPLICATION and change.enabled is False:
        raise Reserved(_("The application app-built-in cannot be disabled: nobody could sign in."))
    values: dict[str, object] = {
        key: list(value) if isinstance(value, (list, tuple)) else value
        for key, value in (
            ("display_name", change.display_name),
            ("redirect_uris", change.redirect_uris),
            ("post_logout_redirect_uris", change.post_logout_redirect_uris),
            ("grant_types", change.grant_types),
            ("enabled", change.enabled),
        )
        if value is not None
    }
    if change.client:
        settings = replace(before.client, **change.client).check(public=before.public)
        values |= as_row(settings)
    values |= change.openid
    if values:
        connection.execute(
            update(application)
            .where(application.c.organization == organization, application.c.name == name)
            .values(**values)
        )
    selections = []
    if change.gate_hosts is not None:
        _set_hosts(connection, organization, name, change.gate_hosts)
        selections += [
            Selection(organization=organization, application=name, instance=host)
            for host in set(before.gate_hosts) - set(change.gate_hosts)
        ]
    if change.enabled is False:
        selections.append(Selection(organization=organization, application=name))
    ended: list[Ended] = []
    for selection in selections:
        ended += cut.end_at_once(
            connection,
            selection,
            reason=EndReason.APPLICATION_DISABLED,
            actor=actor,
            now=now,
            random=random,
        )
    return find_application(connection, organization, name), tuple(ended)


def rotate_client_secret(
    connection: Connection, organization: str, name: str, random: Random, secret: str | None = None
) -> str:
    """Replace the client secret (by `secret`, if it is given); answer the new one, shown this once."""
    secret = secret or make_secret(random)
    connection.execute(
        update(application)
        .where(application.c.organization == organization, application.c.name == name)
        .values(secret_hash=hash_secret(secret))
    )
    return secret


def delete_application(
    connection: Connection,
    organization: str,
    name: str,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[Ended, ...]:
    """Delete an application, its hosts and policy, and end all its sessions; answer these.

    Raises:
        ApplicationMissing: there is none.
        Reserved: it is `app-built-in`.
    """
    rules.hold_rules(connection, organization)
    find_application(connection, organization, name)
    if name == BUILT_IN_APPLICATION:
        raise Reserved(_("The application app-built-in cannot be deleted."))
    ended = cut.end_at_once(
        connection,
        Selection(organization=organization, application=name),
        reason=EndReason.APPLICATION_DISABLED,
        actor=actor,
        now=now,
        random=random,
    )
    forget_layer(connection, Layer("application", organization, name))
    forget_members(connection, "application", organization, name)
    added_ids.forget_application(connection, organization, name)
    connection.execute(
        delete(application).where(
            application.c.organization == organization, application.c.name == name
        )
    )
    return ended


def _set_hosts(connection: Connection, organization: str, name: str, hosts: Sequence[str]) -> None:
    connection.execute(
        delete(gate_host).where(
            gate_host.c.organization == organization, gate_host.c.application == name
        )
    )
    for host in dict.fromkeys(one.lower() for one in hosts):
        row = {"host": host, "organization": organization, "application": name}
        try:
            with connection.begin_nested():
                connection.execute(insert(gate_host), row)
        except IntegrityError as error:
            words = _("The gate answers on %(host)s for another application.", host=repr(host))
            raise HostTaken(words) from error


def _application(row: Row[Any], gate_hosts: Iterable[str]) -> Application:
    return Application(
        organization=row.organization,
        name=row.name,
        client_id=row.client_id,
        secret_hash=row.secret_hash,
        display_name=row.display_name,
        redirect_uris=tuple(row.redirect_uris),
        post_logout_redirect_uris=tuple(row.post_logout_redirect_uris),
        grant_types=tuple(row.grant_types),
        gate_hosts=tuple(sorted(gate_hosts)),
        openid=openid_of(row),
        enabled=bool(row.enabled),
        organization_enabled=bool(row.organization_enabled),
        created_at=Instant(row.created_at),
        client=settings_of(row),
    )
