"""Providers: each in every organization of which an application lets people in through it."""

from dataclasses import dataclass

from sqlalchemy import Connection

from iam.directory.moved import Mark, add_marks, read_marks
from iam.directory.names import check_name
from iam.directory.providers import (
    NewProvider,
    Provider,
    ProviderMissing,
    create_provider,
    find_provider,
)
from iam.kernel.ids import PROVIDER, make_id
from iam.moving.findings import Finding, Reason
from iam.moving.move import Move
from iam.moving.names import name_for
from iam.moving.records import Malformed
from iam.moving.upstreams import (
    MetadataUnusable,
    Upstream,
    read_saml_upstream,
    read_upstream,
)
from iam.sessions import rules
from iam.signin.provider_secrets import seal_secret


@dataclass(frozen=True, slots=True)
class Known:
    """A provider of an organization that people may be linked to: its ID, None in a rehearsal."""

    name: str
    id: str | None


def take_providers(move: Move) -> None:
    """Take over the providers that are used."""
    users: dict[str, dict[str, bool]] = {}
    for client in move.clients:
        for name, signs_up in client.providers.items():
            mine = users.setdefault(name, {})
            mine[client.organization_source] = (
                mine.get(client.organization_source, False) or signs_up
            )
    seen: set[str] = set()
    for record in move.source.all_of("providers"):
        theirs = record.get("name")
        source = theirs if isinstance(theirs, str) else f"{theirs!s:.100}"
        try:
            if record.get("category") == "SAML":
                found: Upstream | None = read_saml_upstream(record)
            else:
                found = read_upstream(record, allow_private=move.options.allow_private)
        except MetadataUnusable as error:
            unusable = Finding("metadata", Reason.SAML_UNUSABLE, str(error))
            move.report.add("provider", source, "refused", (unusable,))
            continue
        except Malformed as error:
            move.report.add(
                "provider", source, "refused", (Finding(error.field, Reason.MALFORMED),)
            )
            continue
        refusal = None
        if source in seen:
            refusal = Reason.DUPLICATE
        elif found is None:
            refusal = Reason.NOT_SUPPORTED
        elif source not in users:
            refusal = Reason.UNUSED
        if found is None or refusal is not None:
            kind = f"{record.get('category')!s:.30}: {record.get('type')!s:.30}"
            finding = Finding(None, refusal or Reason.NOT_SUPPORTED, kind)
            move.report.add("provider", source, "refused", (finding,))
            continue
        seen.add(source)
        for organization, signs_up in sorted(users[source].items()):
            _take(move, found, organization, signs_up=signs_up)


def _take(move: Move, upstream: Upstream, organization: str, *, signs_up: bool) -> None:
    tenant = move.tenants[organization]
    source = f"{upstream.source} of {organization}"
    name = name_for(upstream.source)
    if name is None:
        move.report.add("provider", source, "refused", (Finding(None, Reason.NAME_UNUSABLE),))
        return
    mark, there = move.database.read(lambda c: _look(c, source, tenant.name, name))
    if mark is not None:
        if there is None:
            move.report.add("provider", source, "refused", (Finding(None, Reason.DELETED_HERE),))
            return
        changed = (Finding(None, Reason.CHANGED_SINCE),) if mark.digest != upstream.digest else ()
        move.report.add("provider", source, "there", changed)
        _know(move, upstream, tenant.name, Known(name, there.id))
        return
    known = move.known_providers.get(tenant.name, {})
    clash = any(one is not None and one.name == name for one in known.values())
    if there is not None or clash:
        reason = Reason.ALREADY_HERE if there is not None else Reason.NAME_CLASH
        move.report.add("provider", source, "refused", (Finding(None, reason),))
        return
    id_ = make_id(PROVIDER, move.clock(), move.random)
    move.write(lambda c: _write(c, move, upstream, tenant.name, name, id_, source, signs_up))
    told = list(upstream.findings)
    if name != upstream.source:
        told.append(Finding("name", Reason.RENAMED, name))
    if signs_up:
        told.append(Finding(None, Reason.SIGNS_UP))
    move.report.add("provider", source, "taken", tuple(told))
    _know(move, upstream, tenant.name, Known(name, None if move.options.dry_run else id_))


def _know(move: Move, upstream: Upstream, organization: str, known: Known) -> None:
    """Remember whom users' fields of this type are about; of several nobody can say."""
    if upstream.links:
        mine = move.known_providers.setdefault(organization, {})
        type_ = upstream.type.lower()
        mine[type_] = None if type_ in mine else known


def _look(
    connection: Connection, source: str, organization: str, name: str
) -> tuple[Mark | None, Provider | None]:
    mark = read_marks(connection, "provider", [source]).get(source)
    try:
        there = find_provider(connection, organization, mark.name if mark else name)
    except ProviderMissing:
        there = None
    return mark, there


def _write(
    connection: Connection,
    move: Move,
    upstream: Upstream,
    organization: str,
    name: str,
    id_: str,
    source: str,
    signs_up: bool,
) -> None:
    now = move.clock()
    rules.hold_rules(connection, organization)
    sealed = None
    if upstream.secret is not None:
        sealed = seal_secret(move.cipher, id_, upstream.secret, move.random)
    create_provider(
        connection,
        organization,
        check_name(name),
        NewProvider(
            kind=upstream.kind,
            display_name=upstream.display_name,
            enabled=upstream.enabled,
            options=upstream.options,
            creates_users=signs_up,
            attributes=upstream.attributes,
        ),
        provider_id=id_,
        sealed_secret=sealed,
        now=now,
        random=move.random,
    )
    data = {"provider": name, "kind": upstream.kind, "moved_in": True}
    move.note(connection, "provider.created", [{"organization": organization, "data": data}])
    mark = Mark(source=source, organization=organization, name=name, digest=upstream.digest)
    add_marks(connection, "provider", [mark], now)
