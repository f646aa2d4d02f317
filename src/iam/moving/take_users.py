"""Users: many, so in bounded transactions, each of which is whole when the next begins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from iam.directory.moved import (
    Mark,
    MovedUser,
    add_links,
    add_marks,
    add_users,
    links_here,
    names_here,
    read_marks,
    subjects_here,
)
from iam.directory.users import FIRST_USER
from iam.kernel.ids import USER, make_id
from iam.moving.accounts import Account, NameUnusable, read_account
from iam.moving.findings import Finding, Reason
from iam.moving.move import Move
from iam.moving.records import Malformed, Record, text_of
from iam.moving.roles import Roles, read_roles
from iam.moving.take_links import Linked, links_of, wanted
from iam.sessions import rules
from iam.sessions.model import BUILT_IN_ORGANIZATION
from iam.signin.factors import MovedFactor, add_moved_factors
from iam.signin.totp import step_at


@dataclass(slots=True)
class _Run:
    """What all batches know. Names are few bytes each: a hundred thousand are some megabytes."""

    move: Move
    roles: Roles
    hash_all: Callable[[Sequence[str]], list[str]]
    sources: set[str] = field(default_factory=set)
    names: set[tuple[str, str]] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    links: set[tuple[str, str, str]] = field(default_factory=set)


def take_users(move: Move) -> None:
    """Take over all users of the organizations that are taken over."""
    roles = read_roles(
        move.source.all_of("roles"), move.report, wanted=move.tenants, earlier=move.earlier
    )
    with ThreadPoolExecutor(move.options.workers) as pool:

        def hash_all(typed: Sequence[str]) -> list[str]:
            return list(pool.map(move.passwords.hash_known, typed))

        run = _Run(move, roles, hash_all)
        later: list[Record] = []
        for records in move.source.users(move.options.batch):
            _take(run, list(_read(run, records, later)))
            move.advance(len(records))
        # At last those who cannot keep their names: who is called so by right has it by now.
        for start in range(0, len(later), move.options.batch):
            _take(run, list(_read(run, later[start : start + move.options.batch])))


def _read(
    run: _Run, records: Sequence[Record], later: list[Record] | None = None
) -> Iterator[Account]:
    """Of these users those that can be taken over; who has to be renamed is put off, where that is wanted."""
    move = run.move
    for record in records:
        try:
            owner = text_of(record, "owner")
            if not move.wants(owner):
                continue
            tenant = move.tenants.get(owner)
            if tenant is None:
                _refuse(move, record, Finding(None, Reason.ORGANIZATION_MISSING))
                continue
            account = read_account(
                record,
                tenant,
                run.roles,
                as_typed=move.source.passwords_as_typed,
                now=move.clock(),
            )
        except Malformed as error:
            _refuse(move, record, Finding(error.field, Reason.MALFORMED))
        except NameUnusable:
            _refuse(move, record, Finding(None, Reason.NAME_UNUSABLE))
        else:
            if account.renamed and later is not None:
                later.append(record)
            else:
                yield account


def _refuse(move: Move, record: Record, finding: Finding) -> None:
    source = f"{record.get('owner')!s:.100}/{record.get('name')!s:.256}"
    move.report.add("user", source, "refused", (finding,))


def _take(run: _Run, accounts: Sequence[Account]) -> None:
    """Take a batch over: look what is there, decide, hash, write, report."""
    accounts = _distinct(run, accounts)
    if not accounts:
        return
    providers = run.move.known_providers
    there = run.move.database.read(lambda c: _look(c, accounts, wanted(accounts, providers)))
    called = {
        known.id: (organization, known.name)
        for organization, types in providers.items()
        for known in types.values()
        if known is not None
    }
    run.links |= {(*called[provider], subject) for provider, subject in there.links}
    new = [one for one in accounts if _is_new(run, one, there)]
    decided = [_decide(run, one, there) for one in new]
    typed = [one.account.password for one in decided if one.account.password is not None]
    if typed and not run.move.options.dry_run:
        hashes = iter(run.hash_all(typed))
        decided = [
            replace(one, account=replace(one.account, password_hash=next(hashes), password=None))
            if one.account.password is not None
            else one
            for one in decided
        ]
    if decided:
        run.move.write(lambda c: _write(c, run.move, decided))
    for one in decided:
        run.move.report.add("user", one.account.source, "taken", one.findings)


@dataclass(frozen=True, slots=True)
class _There:
    """What is here already, of a batch."""

    marks: dict[str, Mark]
    names: set[tuple[str, str]]
    subjects: set[str]
    links: set[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Decided:
    """Somebody who is to be added."""

    account: Account
    id: str
    links: tuple[Linked, ...]
    findings: tuple[Finding, ...]


def _distinct(run: _Run, accounts: Sequence[Account]) -> list[Account]:
    kept = []
    for one in accounts:
        if one.source in run.sources:
            run.move.report.add("user", one.source, "refused", (Finding(None, Reason.DUPLICATE),))
        else:
            run.sources.add(one.source)
            kept.append(one)
    return kept


def _look(
    connection: Connection, accounts: Sequence[Account], subjects: Mapping[str, set[str]]
) -> _There:
    marks = read_marks(connection, "user", [one.source for one in accounts])
    names: dict[str, set[str]] = {}
    for one in accounts:
        mark = marks.get(one.source)
        names.setdefault(one.organization, set()).add(mark.name if mark else one.name)
    return _There(
        marks=marks,
        names=names_here(connection, names),
        links=links_here(connection, subjects),
        subjects=subjects_here(connection, [one.subject for one in accounts if one.subject]),
    )


def _is_new(run: _Run, account: Account, there: _There) -> bool:
    """Whether this one is to be added; if not, that is reported."""
    report, mark = run.move.report, there.marks.get(account.source)
    if mark is not None:
        if (account.organization, mark.name) not in there.names:
            report.add("user", account.source, "refused", (Finding(None, Reason.DELETED_HERE),))
        else:
            changed = mark.digest != account.digest
            findings = (Finding(None, Reason.CHANGED_SINCE),) if changed else ()
            run.names.add((account.organization, mark.name))
            report.add("user", account.source, "there", findings)
        return False
    key = (account.organization, account.name)
    reason = None
    if key == (BUILT_IN_ORGANIZATION, FIRST_USER):
        reason = Reason.OWN_ADMINISTRATOR
    elif key in run.names:
        reason = Reason.NAME_CLASH
    elif key in there.names:
        reason = Reason.ALREADY_HERE
    if reason is not None:
        report.add("user", account.source, "refused", (Finding(None, reason),))
        return False
    run.names.add(key)
    return True


def _decide(run: _Run, account: Account, there: _There) -> _Decided:
    """Under which ID somebody is added: that by which applications know them, if nobody has it."""
    findings = account.findings
    subject = account.subject
    if subject is not None and (subject in there.subjects or subject in run.subjects):
        findings = (*findings, Finding("id", Reason.SUBJECT_TAKEN))
        subject = None
    if subject is not None:
        run.subjects.add(subject)
    links, told = links_of(account, run.move.known_providers, run.links)
    return _Decided(
        account,
        subject or make_id(USER, run.move.clock(), run.move.random),
        tuple(links),
        (*findings, *told),
    )


def _write(connection: Connection, move: Move, decided: Sequence[_Decided]) -> None:
    for organization in sorted({one.account.organization for one in decided}):
        rules.share_rules(connection, organization)
    add_users(
        connection,
        [
            MovedUser(
                id=one.id,
                organization=one.account.organization,
                name=one.account.name,
                password_hash=one.account.password_hash,
                display_name=one.account.display_name,
                email=one.account.email,
                roles=one.account.roles,
                enabled=one.account.enabled,
                created_at=one.account.created_at,
                members=one.account.members,
            )
            for one in decided
        ],
    )
    now = move.clock()
    factors = [
        MovedFactor(one.id, one.account.totp_secret, one.account.recovery_codes)
        for one in decided
        if one.account.totp_secret is not None
    ]
    added = add_moved_factors(
        connection, move.cipher, factors, step=step_at(now), now=now, random=move.random
    )
    links = [
        (link.provider.id, link.subject, one.id)
        for one in decided
        for link in one.links
        if link.provider.id is not None
    ]
    add_links(connection, links, move.clock())
    marks = [
        Mark(
            source=one.account.source,
            organization=one.account.organization,
            name=one.account.name,
            digest=one.account.digest,
        )
        for one in decided
    ]
    add_marks(connection, "user", marks, move.clock())
    move.note(
        connection,
        "factor.added",
        [
            {
                "organization": one.account.organization,
                "user": one.account.name,
                "data": {"factor": added[one.id], "moved_in": True},
            }
            for one in decided
            if one.id in added
        ],
    )
    move.note(
        connection,
        "user.created",
        [
            {
                "organization": one.account.organization,
                "user": one.account.name,
                "data": {"roles": list(one.account.roles), "moved_in": True},
            }
            for one in decided
        ],
    )
