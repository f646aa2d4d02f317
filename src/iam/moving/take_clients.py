"""Applications: with their client IDs and secrets, so that nothing has to change in them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from iam.directory.applications import (
    Application,
    ApplicationChange,
    create_application,
    find_application,
    find_client,
    update_application,
)
from iam.directory.client_settings import ClientSettings
from iam.directory.legacy import keep_members
from iam.directory.moved import Mark, add_marks, read_marks
from iam.directory.names import ApplicationMissing
from iam.directory.openid_settings import OpenidSettings
from iam.kernel.events import OPERATOR
from iam.moving.clients import WEAK_SECRET, Client, is_masked, read_client
from iam.moving.findings import Finding, Reason
from iam.moving.move import Move
from iam.moving.names import name_for
from iam.moving.records import Malformed, Record
from iam.sessions import rules
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION
from iam.sessions.policy import Layer
from iam.sessions.policy_change import change_policy


def read_clients(move: Move) -> list[Client]:
    """All applications of the organizations that are asked for; what cannot be read is reported."""
    found: list[Client] = []
    seen: set[str] = set()
    for record in sorted(move.source.all_of("applications"), key=_is_renamed):
        organization, theirs = record.get("organization"), record.get("name")
        if isinstance(organization, str) and not move.wants(organization):
            continue
        source = theirs if isinstance(theirs, str) else f"{theirs!s:.100}"
        try:
            client = read_client(
                record,
                allow_private=move.options.allow_private,
                manages=move.options.manage,
                now=move.clock(),
            )
        except Malformed as error:
            _refuse(move, source, Finding(error.field, Reason.MALFORMED))
            continue
        if client is None:
            _refuse(move, source, Finding(None, Reason.NAME_UNUSABLE))
        elif source in seen:
            _refuse(move, source, Finding(None, Reason.DUPLICATE))
        else:
            seen.add(source)
            found.append(client)
    return found


def take_clients(move: Move, clients: Sequence[Client]) -> None:
    """Take these applications over."""
    names: dict[tuple[str, str], str] = {}
    client_ids: set[str] = set()
    for client in clients:
        tenant = move.tenants.get(client.organization_source)
        if client.name == BUILT_IN_APPLICATION:
            _refuse(move, client.source, Finding(None, Reason.RESERVED))
        elif tenant is None:
            _refuse(move, client.source, Finding("organization", Reason.ORGANIZATION_MISSING))
        elif (tenant.name, client.name) in names:
            other = names[tenant.name, client.name]
            _refuse(move, client.source, Finding(None, Reason.NAME_CLASH, other))
        elif client.client_id in client_ids:
            _refuse(move, client.source, Finding("clientId", Reason.CLIENT_ID_TAKEN))
        else:
            names[tenant.name, client.name] = client.source
            if client.client_id is not None:
                client_ids.add(client.client_id)
            _take(move, client, tenant.name)


def _is_renamed(record: Record) -> bool:
    theirs = record.get("name")
    return not isinstance(theirs, str) or name_for(theirs) != theirs


def _refuse(move: Move, source: str, finding: Finding) -> None:
    move.report.add("application", source, "refused", (finding,))


def _take(move: Move, client: Client, organization: str) -> None:
    mark, named, known = move.database.read(lambda c: _look(c, client, organization))
    if mark is not None:
        if named is None:
            _refuse(move, client.source, Finding(None, Reason.DELETED_HERE))
            return
        move.clients.append(client)
        changed = (Finding(None, Reason.CHANGED_SINCE),) if mark.digest != client.digest else ()
        move.report.add("application", client.source, "there", changed)
    elif named is not None:
        _refuse(move, client.source, Finding(None, Reason.ALREADY_HERE))
    elif known is not None:
        _refuse(move, client.source, Finding("clientId", Reason.CLIENT_ID_TAKEN))
    else:
        move.write(lambda c: _write(c, move, client, organization))
        move.clients.append(client)
        move.report.add("application", client.source, "taken", client.findings)


def _manages(move: Move, client: Client, organization: str) -> bool:
    """Not one of `built-in`, which would administer the whole installation."""
    good = client.secret is not None and len(client.secret) >= WEAK_SECRET
    return move.options.manage and good and organization != BUILT_IN_ORGANIZATION


def _look(
    connection: Connection, client: Client, organization: str
) -> tuple[Mark | None, Application | None, Application | None]:
    mark = read_marks(connection, "application", [client.source]).get(client.source)
    try:
        named = find_application(connection, organization, mark.name if mark else client.name)
    except ApplicationMissing:
        named = None
    known = find_client(connection, client.client_id) if client.client_id is not None else None
    return mark, named, known


def _write(connection: Connection, move: Move, client: Client, organization: str) -> None:
    now = move.clock()
    about = {"organization": organization, "application": client.name}
    rules.hold_rules(connection, organization)
    public = client.secret is None
    create_application(
        connection,
        organization=organization,
        name=client.name,
        display_name=client.display_name,
        redirect_uris=client.redirect_uris,
        grant_types=client.grant_types,
        openid=OpenidSettings(
            require_pkce=client.require_pkce,
            backchannel_logout_uri=client.backchannel_logout_uri,
        ),
        public=public,
        client=ClientSettings(
            token_endpoint_auth_method="none" if public else None,
            id_token_signed_response_alg=client.signing_algorithm,
            manages_organization=_manages(move, client, organization),
        ),
        client_id=client.client_id,
        secret=None if is_masked(client) else client.secret,
        now=client.created_at,
        random=move.random,
    )
    keep_members(connection, "application", organization, client.name, client.members)
    move.note(connection, "application.created", [{**about, "data": {"moved_in": True}}])
    if not client.enabled:
        update_application(
            connection,
            organization,
            client.name,
            ApplicationChange(enabled=False),
            actor=OPERATOR,
            now=now,
            random=move.random,
        )
    if client.policy:
        change_policy(
            connection,
            Layer("application", organization, client.name),
            client.policy,
            actor=OPERATOR,
            now=now,
            random=move.random,
        )
    mark = Mark(
        source=client.source, organization=organization, name=client.name, digest=client.digest
    )
    add_marks(connection, "application", [mark], now)
