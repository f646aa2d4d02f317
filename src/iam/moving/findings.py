"""What was not taken over as it was, and why: by object and by field."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

KINDS = ("organization", "role", "application", "provider", "user", "cert", "session")
"""What is read, in the order in which it is taken over."""

Fate = Literal["taken", "there", "refused"]
"""Taken over (or, rehearsed, to be), here already from an earlier run, not taken over."""


class Reason(StrEnum):
    """Why something is not as it was. The value is what programs read, `WORDS` what people do."""

    ADMINISTRATES = "administrates"
    ALREADY_HERE = "already_here"
    APPLICATION_UNKNOWN = "application_unknown"
    BUILT_IN = "built_in"
    CALLBACK = "callback"
    CERT_OTHER = "cert_other"
    CERT_PUBLISHED = "cert_published"
    CERT_UNUSABLE = "cert_unusable"
    CERT_UNUSED = "cert_unused"
    CHANGED_SINCE = "changed_since"
    CLIENT_ID_TAKEN = "client_id_taken"
    CLIENT_ID_UNUSABLE = "client_id_unusable"
    COOKIES_OF_THEIRS = "cookies_of_theirs"
    DELETED_HERE = "deleted_here"
    DISABLED = "disabled"
    DUPLICATE = "duplicate"
    FACTOR_OFF = "factor_off"
    FIXED_HERE = "fixed_here"
    INTERNAL = "internal"
    INVALID = "invalid"
    KEPT_ASIDE = "kept_aside"
    LDAP = "ldap"
    LINK_AMBIGUOUS = "link_ambiguous"
    LINK_TAKEN = "link_taken"
    LINK_UNKNOWN = "link_unknown"
    MALFORMED = "malformed"
    MASKED = "masked"
    MASTER_PASSWORD = "master_password"  # noqa: S105 - a reason
    NAME_CLASH = "name_clash"
    NAME_UNUSABLE = "name_unusable"
    NO_PKCE = "no_pkce"
    NO_PLACE = "no_place"
    NOT_MANAGING = "not_managing"
    NOT_SUPPORTED = "not_supported"
    NOT_WANTED = "not_wanted"
    ORGANIZATION_MISSING = "organization_missing"
    OTHER_ORGANIZATION = "other_organization"
    OWN_ADMINISTRATOR = "own_administrator"
    PASSWORD_UNUSABLE = "password_unusable"  # noqa: S105 - a reason
    PATTERN = "pattern"
    PUBLIC_NOW = "public_now"
    RENAMED = "renamed"
    RESERVED = "reserved"
    ROLE_DISABLED = "role_disabled"
    SAML_LINKS = "saml_links"
    SAML_METADATA = "saml_metadata"
    SAML_UNUSABLE = "saml_unusable"
    SECOND_FACTOR = "second_factor"
    SHARED = "shared"
    SHORTENED = "shortened"
    SIGNS_UP = "signs_up"
    SUBJECT_NEW = "subject_new"
    SUBJECT_TAKEN = "subject_taken"
    TOKEN_LIFETIME = "token_lifetime"  # noqa: S105 - a reason
    TOO_MANY = "too_many"
    UNUSED = "unused"
    WEAK_SECRET = "weak_secret"  # noqa: S105 - a reason


WORDS: dict[Reason, str] = {
    Reason.ADMINISTRATES: "has the role administrator here",
    Reason.ALREADY_HERE: "there is one of this name here that did not come from there",
    Reason.APPLICATION_UNKNOWN: "no organization of that name is taken over",
    Reason.BUILT_IN: "is here from the start; what it settles there does not count here",
    Reason.CALLBACK: "has to be told its new redirect URI (iam provider list; GET /v1/providers)",
    Reason.CERT_OTHER: "another certificate signs: one key signs for all applications",
    Reason.CERT_PUBLISHED: "came with the source of that server: anybody could sign with it",
    Reason.CERT_UNUSABLE: "no private key for RS256 (2048 bits or more) or ES256 that fits its certificate",
    Reason.CERT_UNUSED: "signs for no application that is taken over",
    Reason.CHANGED_SINCE: "differs there from what was taken over earlier; it was left as it is here",
    Reason.CLIENT_ID_TAKEN: "another application here has this client ID",
    Reason.CLIENT_ID_UNUSABLE: "cannot be a client ID here; it has a new one",
    Reason.COOKIES_OF_THEIRS: "their IDs are cookies of the old server; everybody signs in once more",
    Reason.DELETED_HERE: "was taken over earlier and has been deleted here since",
    Reason.DISABLED: "is disabled there, and here",
    Reason.DUPLICATE: "is there twice; the first was taken",
    Reason.FACTOR_OFF: "is not asked for there (no preferredMfaType), nor here",
    Reason.FIXED_HERE: "is the same for all here",
    Reason.INTERNAL: "is the old server's own bookkeeping",
    Reason.INVALID: "cannot be stored here in that form",
    Reason.KEPT_ASIDE: "has no use here; it is kept, and returned at the Casdoor paths",
    Reason.LDAP: "signs in through LDAP there; here they need a password or a provider",
    Reason.LINK_AMBIGUOUS: "several providers of this type: which of them means the user is not said",
    Reason.LINK_TAKEN: "the provider means somebody else by that already",
    Reason.LINK_UNKNOWN: "no provider of this type was taken over",
    Reason.MALFORMED: "has another type than Casdoor gives it",
    Reason.MASKED: "is masked (***): export the data from the database, not from the API",
    Reason.MASTER_PASSWORD: "opens every account there; there is no such password here",
    Reason.NAME_CLASH: "would have the same name here as another one",
    Reason.NAME_UNUSABLE: "no name could be made of it",
    Reason.NO_PKCE: "goes on without PKCE; require it when the application sends it",
    Reason.NO_PLACE: "there is nothing like it here",
    Reason.NOT_MANAGING: "its secret administers nothing here (--applications-manage)",
    Reason.NOT_SUPPORTED: "is not supported here",
    Reason.NOT_WANTED: "is not asked for (--no-signing-key)",
    Reason.ORGANIZATION_MISSING: "its organization is not taken over",
    Reason.OTHER_ORGANIZATION: "is in another organization than the role",
    Reason.OWN_ADMINISTRATOR: "is this server's own first administrator, who stays as they are",
    Reason.PASSWORD_UNUSABLE: "no hash that can be compared with; they need a new password",
    Reason.PATTERN: "is a pattern or no https; register the exact addresses",
    Reason.PUBLIC_NOW: "has no secret there, so it is a public application here",
    Reason.RENAMED: "has another name here",
    Reason.RESERVED: "is a name of this server's own",
    Reason.ROLE_DISABLED: "is disabled there, so nobody has it",
    Reason.SAML_LINKS: "people are linked to it anew: trust its mail domains, or let it make users",
    Reason.SAML_METADATA: "has to be given our metadata (/saml/sp/metadata)",
    Reason.SAML_UNUSABLE: "its metadata does not suffice",
    Reason.SECOND_FACTOR: "of second factors only authenticator apps are taken over: set one up here",
    Reason.SHARED: "is shared by all organizations there; here it is of its own organization alone",
    Reason.SHORTENED: "was too long, or held control characters",
    Reason.SIGNS_UP: "lets in whom it knows and we do not, as it did there",
    Reason.SUBJECT_NEW: "their ID cannot be a subject here; applications see a new one",
    Reason.SUBJECT_TAKEN: "another user here has their ID; applications see a new one",
    Reason.TOKEN_LIFETIME: "access tokens live ten minutes here, refresh tokens as long as the session",
    Reason.TOO_MANY: "more than one can have here; the first were taken",
    Reason.UNUSED: "no application that is taken over uses it",
    Reason.WEAK_SECRET: "is short enough to be guessed: rotate it",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """That one field (or, without one, the whole object) is not as it was there."""

    field: str | None
    reason: Reason
    detail: str | None = None
    """Which of several, or what it is called now. Never a secret."""

    def told(self) -> dict[str, str | None]:
        """As programs read it."""
        told = {"field": self.field, "reason": str(self.reason)}
        return told | ({"detail": self.detail} if self.detail else {})


@dataclass(slots=True)
class Report:
    """What became of everything. Grown while it is taken over."""

    fates: dict[str, Counter[Fate]] = field(default_factory=dict)
    objects: dict[tuple[str, str], tuple[Finding, ...]] = field(default_factory=dict)
    """(kind, what it is called there) to what is to be said of it; who has nothing is not here."""
    _said: dict[tuple[Finding, ...], tuple[Finding, ...]] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    """What else is there, and how many of it: nothing of that is read."""

    def add(self, kind: str, source: str, fate: Fate, findings: tuple[Finding, ...] = ()) -> None:
        """Note what became of one object."""
        self.fates.setdefault(kind, Counter())[fate] += 1
        self.note(kind, source, *findings)

    def add_all(self, kind: str, number: int, fate: Fate, finding: Finding) -> None:
        """Note what became of all objects of a kind, none of which was looked at."""
        if number:
            self.fates.setdefault(kind, Counter())[fate] += number
            self.note(kind, "*", finding)

    def note(self, kind: str, source: str, *findings: Finding) -> None:
        """Say more of an object."""
        if findings:
            told = (*self.objects.get((kind, source), ()), *findings)
            # Of a hundred thousand users most have the same to be said of them: it is kept once.
            self.objects[kind, source] = self._said.setdefault(told, told)

    def summed(self) -> Iterator[tuple[str, str, Reason, int, str]]:
        """(kind, field, reason, how many, one of them), the whole objects first."""
        counts: Counter[tuple[str, str, Reason]] = Counter()
        first: dict[tuple[str, str, Reason], str] = {}
        for (kind, source), findings in self.objects.items():
            for one in findings:
                key = (kind, one.field or "", one.reason)
                counts[key] += 1
                detail = f" ({one.detail})" if one.detail else ""
                first.setdefault(key, f"{source}{detail}")
        for key in sorted(
            counts, key=lambda one: (KINDS.index(one[0]), one[1] != "", one[1], one[2])
        ):
            yield *key, counts[key], first[key]

    def lines(self) -> Iterator[str]:
        """All of it as one JSON object for programs, an object of theirs on each line: there may be many."""
        reasons = {one.reason for findings in self.objects.values() for one in findings}
        fates: tuple[Fate, ...] = ("taken", "there", "refused")
        head = {
            "format": "moving-report/1",
            "summary": {
                kind: {fate: self.fates[kind][fate] for fate in fates}
                for kind in KINDS
                if kind in self.fates
            },
            "not_read": dict(sorted(self.unread.items())),
            "reasons": {str(one): WORDS[one] for one in sorted(reasons)},
        }
        yield "{"
        for name, value in head.items():
            yield f"{json.dumps(name)}: {json.dumps(value)},"
        yield '"objects": ['
        last = len(self.objects) - 1
        for number, ((kind, source), findings) in enumerate(self.objects.items()):
            told = {"kind": kind, "object": source, "findings": [one.told() for one in findings]}
            yield json.dumps(told) + ("," if number < last else "")
        yield "]}"
