"""Roles of theirs as roles of ours: names that a user has."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from iam.directory.users import OWN_ROLES
from iam.moving.findings import Fate, Finding, Reason, Report
from iam.moving.names import role_for
from iam.moving.records import Malformed, Record, flag_of, left_over, text_of, texts_of

MOST_ROLES = 32
"""Of one user, as everywhere here."""
_TAKEN = frozenset({"owner", "name", "users", "roles", "isEnabled"})


@dataclass(slots=True)
class Roles:
    """Who has which role, by what the user is called there (`owner/name`)."""

    by_user: dict[str, list[str]] = field(default_factory=dict)

    def of(self, user: str) -> tuple[str, ...]:
        """The user's roles."""
        return tuple(self.by_user.get(user, ()))


def read_roles(
    records: Sequence[Record], report: Report, *, wanted: Collection[str], earlier: Collection[str]
) -> Roles:
    """Read the roles of these organizations (by what they are called there); say in `report` what of them
    is not taken over.

    A role may contain others; who has one of these has it as well. `earlier`: those of the organizations
    that an earlier run took over.
    """
    found: dict[str, _Role] = {}
    for record in records:
        try:
            role = _Role.read(record)
        except Malformed as error:
            report.add(
                "role", _source(record), "refused", (Finding(error.field, Reason.MALFORMED),)
            )
            continue
        if role.owner not in wanted:
            continue
        if role.source in found:
            report.add("role", role.source, "refused", (Finding(None, Reason.DUPLICATE),))
            continue
        found[role.source] = role
    roles = Roles()
    names: dict[tuple[str, str], str] = {}
    for role in sorted(found.values(), key=lambda one: role_for(one.name) != one.name):
        refusal = _refusal(role, names)
        if refusal is not None:
            report.add("role", role.source, "refused", (refusal,))
        else:
            findings = _take(role, found, roles)
            fate: Fate = "there" if role.owner in earlier else "taken"
            report.add("role", role.source, fate, () if fate == "there" else tuple(findings))
    return roles


def _refusal(role: "_Role", names: dict[tuple[str, str], str]) -> Finding | None:
    name = role_for(role.name)
    if not role.enabled:
        return Finding(None, Reason.ROLE_DISABLED)
    if name is None:
        return Finding(None, Reason.NAME_UNUSABLE)
    if name in OWN_ROLES:
        # What a role of this name may do there is nobody's to know; here it would open the console.
        return Finding(None, Reason.RESERVED)
    # Two roles that became one would give each the rights of the other.
    other = names.setdefault((role.owner, name), role.source)
    return Finding(None, Reason.NAME_CLASH, other) if other != role.source else None


def _take(role: "_Role", all_: Mapping[str, "_Role"], roles: Roles) -> list[Finding]:
    name = str(role_for(role.name))
    findings = [Finding(one, Reason.NO_PLACE) for one in role.others]
    if name != role.name:
        findings.append(Finding(None, Reason.RENAMED, name))
    strangers = False
    for user in dict.fromkeys(_members(role, all_)):
        if user.partition("/")[0] != role.owner:
            strangers = True
            continue
        mine = roles.by_user.setdefault(user, [])
        if name not in mine:
            mine.append(name)
    if strangers:
        findings.append(Finding("users", Reason.OTHER_ORGANIZATION))
    return findings


def _members(role: "_Role", all_: Mapping[str, "_Role"]) -> Iterable[str]:
    waiting, seen = [role.source], set[str]()
    while waiting:
        source = waiting.pop()
        if source in seen or source not in all_:
            continue
        seen.add(source)
        # A role that is disabled gives nobody anything, nor do those in it.
        if all_[source].enabled:
            yield from all_[source].users
            waiting += all_[source].roles


@dataclass(frozen=True, slots=True)
class _Role:
    owner: str
    name: str
    users: tuple[str, ...]
    roles: tuple[str, ...]
    enabled: bool
    others: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"{self.owner}/{self.name}"

    @classmethod
    def read(cls, record: Record) -> "_Role":
        return cls(
            owner=text_of(record, "owner"),
            name=text_of(record, "name"),
            users=tuple(texts_of(record, "users")),
            roles=tuple(texts_of(record, "roles")),
            enabled=flag_of(record, "isEnabled"),
            others=tuple(left_over(record, _TAKEN)),
        )


def _source(record: Record) -> str:
    return f"{record.get('owner')!s:.100}/{record.get('name')!s:.100}"
