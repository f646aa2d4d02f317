"""Whom a provider means: people go on signing in through it, as whom they were there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iam.moving.accounts import Account
from iam.moving.findings import Finding, Reason
from iam.moving.take_providers import Known

Providers = Mapping[str, Mapping[str, Known | None]]
"""By organization and type; None where there are several of that type."""
_LONGEST_SUBJECT = 255


@dataclass(frozen=True, slots=True)
class Linked:
    """A link to be made: by which provider (its name in an organization, its ID) and by what subject."""

    organization: str
    provider: Known
    subject: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What there can be only one of."""
        return self.organization, self.provider.name, self.subject


def links_of(
    account: Account, providers: Providers, taken: set[tuple[str, str, str]]
) -> tuple[list[Linked], list[Finding]]:
    """The links of a user, and what is to be said of those that cannot be. `taken` are all those that there
    are; what is answered is added to it."""
    mine = providers.get(account.organization, {})
    links: list[Linked] = []
    findings: list[Finding] = []
    for type_, subject in account.links.items():
        if type_ not in mine:
            findings.append(Finding(type_, Reason.LINK_UNKNOWN))
            continue
        known = mine[type_]
        if known is None:
            findings.append(Finding(type_, Reason.LINK_AMBIGUOUS))
            continue
        link = Linked(account.organization, known, subject)
        if len(subject) > _LONGEST_SUBJECT or not subject.isprintable():
            findings.append(Finding(type_, Reason.INVALID))
        elif link.key in taken:
            findings.append(Finding(type_, Reason.LINK_TAKEN))
        else:
            taken.add(link.key)
            links.append(link)
    return links, findings


def wanted(accounts: Sequence[Account], providers: Providers) -> dict[str, set[str]]:
    """Which subjects of which provider (by its ID) these users would be linked by."""
    found: dict[str, set[str]] = {}
    for account in accounts:
        for type_, subject in account.links.items():
            known = providers.get(account.organization, {}).get(type_)
            if known is not None and known.id is not None:
                found.setdefault(known.id, set()).add(subject.replace("\0", ""))
    return found
