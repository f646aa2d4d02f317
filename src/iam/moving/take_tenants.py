"""Organizations: taken over first, because everything belongs to one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from iam.directory.legacy import keep_members
from iam.directory.moved import Mark, add_marks, read_marks
from iam.directory.names import OrganizationMissing
from iam.directory.organizations import (
    OrganizationChange,
    create_organization,
    find_organization,
    update_organization,
)
from iam.kernel.clock import Instant
from iam.kernel.errors import Invalid
from iam.kernel.events import OPERATOR
from iam.moving.accounts import Tenant
from iam.moving.clients import Client, policy_of
from iam.moving.findings import Finding, Reason
from iam.moving.keeping import keep
from iam.moving.move import Move
from iam.moving.names import name_for
from iam.moving.records import Malformed, Record, flag_of, instant_of, left_over, plain, text_of
from iam.sessions import rules
from iam.sessions.knobs import Value
from iam.sessions.model import BUILT_IN_ORGANIZATION
from iam.sessions.policy import Layer
from iam.sessions.policy_change import change_policy

_LONGEST_NAME = 128
_TAKEN = frozenset(
    {
        "owner",
        "name",
        "displayName",
        "createdTime",
        "passwordType",
        "passwordSalt",
        "enableExclusiveSignin",
        "maxSessions",
        "disableSignin",
    }
)
_MASTERS = frozenset({"masterPassword", "masterVerificationCode"})
_NOT_KEPT = {
    "defaultPassword",
    "passwordObfuscatorKey",
    "kerberosKeytab",
    "clientSecret",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Organization:
    source: str
    name: str
    display_name: str
    enabled: bool
    created_at: Instant
    password_type: str
    password_salt: str = field(repr=False)
    policy: Mapping[str, Value]
    members: Mapping[str, object] = field(repr=False)
    findings: tuple[Finding, ...]

    @property
    def digest(self) -> bytes:
        told = (self.name, self.display_name, self.enabled, sorted(self.policy.items()))
        return hashlib.sha256(json.dumps(told).encode()).digest()

    @property
    def tenant(self) -> Tenant:
        return Tenant(
            name=self.name, password_type=self.password_type, password_salt=self.password_salt
        )


def take_tenants(move: Move, clients: Sequence[Client]) -> None:
    """Take over the organizations that are asked for.

    Args:
        clients: all applications, whose longest sign-in is that of their organization's browser sessions.

    Raises:
        Invalid: one is asked for that is not there.
    """
    records = move.source.all_of("organizations")
    names = {str(one.get("name")) for one in records}
    if missing := sorted((move.options.organizations or frozenset()) - names):
        raise Invalid(f"There is no organization {missing[0]!r} there.")
    seen: dict[str, str] = {}
    # Those first that keep their names: who would have to be called like them gives way.
    for record in sorted(records, key=_is_renamed):
        theirs = record.get("name")
        source = theirs if isinstance(theirs, str) else f"{theirs!s:.100}"
        if not move.wants(source):
            continue
        try:
            found = _read(record, clients, move.clock())
        except Malformed as error:
            move.report.add(
                "organization", source, "refused", (Finding(error.field, Reason.MALFORMED),)
            )
            continue
        if found is None:
            move.report.add(
                "organization", source, "refused", (Finding(None, Reason.NAME_UNUSABLE),)
            )
        elif found.name == BUILT_IN_ORGANIZATION != source:
            # Whoever administers "Built In" there would administer the whole installation here.
            move.report.add("organization", source, "refused", (Finding(None, Reason.RESERVED),))
        elif found.name in seen:
            same = Reason.DUPLICATE if seen[found.name] == source else Reason.NAME_CLASH
            move.report.add(
                "organization", source, "refused", (Finding(None, same, seen[found.name]),)
            )
        else:
            seen[found.name] = source
            _take(move, found)


def _is_renamed(record: Record) -> bool:
    theirs = record.get("name")
    return not isinstance(theirs, str) or name_for(theirs) != theirs


def _take(move: Move, found: _Organization) -> None:
    if found.name == BUILT_IN_ORGANIZATION:
        move.tenants[found.source] = found.tenant
        move.report.add(
            "organization", found.source, "there", (Finding(None, Reason.BUILT_IN), *found.findings)
        )
        return
    mark, exists = move.database.read(lambda c: _look(c, found))
    if mark is not None:
        move.earlier.add(found.source)
        move.tenants[found.source] = found.tenant
        changed = (Finding(None, Reason.CHANGED_SINCE),) if mark.digest != found.digest else ()
        move.report.add("organization", found.source, "there", changed)
        return
    if exists and not move.options.merge:
        move.report.add(
            "organization", found.source, "refused", (Finding(None, Reason.ALREADY_HERE),)
        )
        return
    move.write(lambda c: _write(c, move, found, exists=exists))
    move.tenants[found.source] = found.tenant
    move.report.add("organization", found.source, "taken", found.findings)


def _look(connection: Connection, found: _Organization) -> tuple[Mark | None, bool]:
    mark = read_marks(connection, "organization", [found.source]).get(found.source)
    try:
        find_organization(connection, found.name)
    except OrganizationMissing:
        return None, False
    return mark, True


def _write(connection: Connection, move: Move, found: _Organization, *, exists: bool) -> None:
    now = move.clock()
    rules.hold_rules(connection, found.name)
    if not exists:
        create_organization(connection, found.name, found.display_name, found.created_at)
        keep_members(connection, "organization", found.name, found.name, found.members)
        told = {"organization": found.name, "data": {"moved_in": True}}
        move.note(connection, "organization.created", [told])
        if not found.enabled:
            update_organization(
                connection,
                found.name,
                OrganizationChange(enabled=False),
                actor=OPERATOR,
                now=now,
                random=move.random,
            )
        if found.policy:
            change_policy(
                connection,
                Layer("organization", found.name),
                found.policy,
                actor=OPERATOR,
                now=now,
                random=move.random,
            )
    mark = Mark(source=found.source, organization=found.name, name=found.name, digest=found.digest)
    add_marks(connection, "organization", [mark], now)


def _read(record: Record, clients: Sequence[Client], now: Instant) -> _Organization | None:
    theirs = text_of(record, "name")
    name = name_for(theirs)
    if name is None:
        return None
    findings: list[Finding] = []
    if name != theirs:
        findings.append(Finding("name", Reason.RENAMED, name))
    enabled = not flag_of(record, "disableSignin")
    if not enabled:
        findings.append(Finding(None, Reason.DISABLED))
    others = left_over(record, _TAKEN)
    findings += [Finding(one, Reason.MASTER_PASSWORD) for one in others if one in _MASTERS]
    members, told = keep(record, [one for one in others if one not in _MASTERS], never=_NOT_KEPT)
    findings += told
    mine = [one.policy for one in clients if one.organization_source == theirs]
    return _Organization(
        source=theirs,
        name=name,
        display_name=plain(text_of(record, "displayName"), _LONGEST_NAME) or name,
        enabled=enabled,
        created_at=instant_of(record, "createdTime", now),
        password_type=text_of(record, "passwordType"),
        password_salt=text_of(record, "passwordSalt"),
        policy={**policy_of(record), **_longest(mine)},
        members=members,
        findings=tuple(findings),
    )


def _longest(policies: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Of each lifetime the longest that an application has: the browser session has to last as long as
    any that is entered from it."""
    found: dict[str, Value] = {}
    for knob in ("maximum_lifetime", "remember_maximum_lifetime"):
        said = [value for one in policies if isinstance(value := one.get(knob), int)]
        if said:
            found[knob] = max(said)
    return found
