"""Users of theirs as users of ours."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from iam.directory.patterns import EMAIL_PATTERN
from iam.directory.users import ADMINISTRATOR
from iam.kernel.clock import Instant
from iam.moving.findings import Finding, Reason
from iam.moving.keeping import keep
from iam.moving.names import user_name_for
from iam.moving.records import (
    Record,
    flag_of,
    instant_of,
    is_set,
    left_over,
    plain,
    text_of,
    texts_of,
)
from iam.moving.roles import MOST_ROLES, Roles
from iam.sessions.model import BUILT_IN_ORGANIZATION
from iam.signin.factors import is_recovery_code
from iam.signin.moved_passwords import recognise
from iam.signin.passwords import LONGEST
from iam.signin.totp import read_totp_secret

# What an application knows the user by. Nothing that could be taken for an ID of ours.
_SUBJECT = re.compile(r"(?!usr_)[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", re.ASCII)
_EMAIL = re.compile(EMAIL_PATTERN)
_LONGEST_NAME = 128
_MASK = "***"
MOST_RECOVERY_CODES = 20
"""More than any server there makes."""

_TAKEN = frozenset(
    {
        "owner",
        "name",
        "id",
        "displayName",
        "email",
        "password",
        "passwordType",
        "passwordSalt",
        "isAdmin",
        "isForbidden",
        "isDeleted",
        "deletedTime",
        "createdTime",
        "ldap",
        # Computed whenever it is asked for; the roles' own lists are what counts.
        "roles",
        "permissions",
        "multiFactorAuths",
    }
)
_APP = frozenset({"totpSecret", "recoveryCodes", "preferredMfaType"})
_SECOND_FACTORS = frozenset(
    {
        "webauthnCredentials",
        "mfaPhoneEnabled",
        "mfaEmailEnabled",
        "mfaRadiusEnabled",
        "mfaPushEnabled",
        "mfaItems",
        "faceIds",
    }
)
_INTERNAL = frozenset(
    {
        "hash",
        "preHash",
        "updatedTime",
        "isOnline",
        "isDefaultAvatar",
        "createdIp",
        "lastSigninTime",
        "lastSigninIp",
        "lastSigninWrongTime",
        "signinWrongTimes",
        "lastChangePasswordTime",
        "accessToken",
        "originalToken",
        "originalRefreshToken",
        "mfaRememberDeadline",
        "verificationCode",
        "registerType",
        "registerSource",
        "signupApplication",
        "kind",
        "createdAt",
        "updatedAt",
    }
)
_SECRETS = frozenset(
    {"accessKey", "accessSecret", "accessSecretHash", "managedAccounts", "mfaAccounts", "idCard"}
)
LINKS = frozenset(
    {
        *(
            "github",
            "google",
            "gitlab",
            "azuread",
            "azureadb2c",
            "okta",
            "adfs",
            "casdoor",
            "auth0",
        ),
        *("custom", *(f"custom{number}" for number in range(2, 11))),
    }
)
"""Fields that say whom a provider of that type means: those of providers that we may know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """What an organization settles about the passwords of its users."""

    name: str
    """What it is called here."""
    password_type: str = ""
    password_salt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user as they would be here."""

    source: str
    """What they are called there, `owner/name`."""
    organization: str
    name: str
    subject: str | None
    """Their ID there, by which applications know them; None if it cannot be one here."""
    display_name: str
    email: str | None
    roles: tuple[str, ...]
    enabled: bool
    password_hash: str | None
    password: str | None = field(repr=False)
    """What they type, where that is what was kept; to be hashed and forgotten."""
    created_at: Instant
    totp_secret: str | None = field(repr=False)
    """What their authenticator app has; None if they are not asked for its codes there."""
    recovery_codes: tuple[str, ...] = field(repr=False)
    links: Mapping[str, str]
    """Type of provider to whom one of that type means by them."""
    members: Mapping[str, object] = field(repr=False)
    """What has no use here."""
    renamed: bool
    digest: bytes
    """By which a later run sees that they have changed there. No password that was typed is in it."""
    findings: tuple[Finding, ...]


class NameUnusable(Exception):
    """No name of ours can be made of theirs."""


def read_account(
    record: Record, tenant: Tenant, roles: Roles, *, as_typed: bool, now: Instant
) -> Account:
    """What a user becomes here.

    Args:
        as_typed: whether a password without a type of its own is one that nobody has hashed.

    Raises:
        Malformed: a field has a type that it never has there.
        NameUnusable: they cannot be called anything here.
    """
    theirs = text_of(record, "name")
    source = f"{text_of(record, 'owner')}/{theirs}"
    name = user_name_for(theirs)
    if name is None:
        raise NameUnusable
    findings: list[Finding] = []
    if name != theirs:
        findings.append(Finding("name", Reason.RENAMED, name))
    subject: str | None = text_of(record, "id")
    if subject and not _SUBJECT.fullmatch(subject):
        findings.append(Finding("id", Reason.SUBJECT_NEW))
        subject = None
    enabled = not (flag_of(record, "isForbidden") or flag_of(record, "isDeleted"))
    if is_set(record.get("deletedTime")) and enabled:
        enabled = False
    if not enabled:
        findings.append(Finding(None, Reason.DISABLED))
    password_hash, password = _password(record, tenant, as_typed, findings)
    secret, codes = _second_factor(record, findings)
    members = _rest(record, findings)
    display_name = _display_name(record, name, findings)
    email = _email(record, findings)
    mine = _roles(record, source, tenant, roles, findings)
    links = {one: text_of(record, one) for one in sorted(LINKS) if is_set(record.get(one))}
    told = (tenant.name, name, subject, display_name, email, mine, enabled, password_hash, links)
    return Account(
        source=source,
        organization=tenant.name,
        name=name,
        subject=subject or None,
        display_name=display_name,
        email=email,
        roles=mine,
        enabled=enabled,
        password_hash=password_hash,
        password=password,
        created_at=instant_of(record, "createdTime", now),
        totp_secret=secret,
        recovery_codes=codes,
        links=links,
        members=members,
        renamed=name != theirs,
        digest=hashlib.sha256(json.dumps(told).encode()).digest(),
        findings=tuple(findings),
    )


def _display_name(record: Record, name: str, findings: list[Finding]) -> str:
    theirs = text_of(record, "displayName")
    shown = plain(theirs, _LONGEST_NAME)
    if shown != theirs.strip():
        findings.append(Finding("displayName", Reason.SHORTENED))
    return shown or name


def _email(record: Record, findings: list[Finding]) -> str | None:
    theirs = text_of(record, "email").strip()
    if theirs and not (len(theirs) <= 254 and _EMAIL.fullmatch(theirs)):
        findings.append(Finding("email", Reason.INVALID))
        return None
    return theirs or None


def _roles(
    record: Record, source: str, tenant: Tenant, roles: Roles, findings: list[Finding]
) -> tuple[str, ...]:
    mine = list(roles.of(source))
    if flag_of(record, "isAdmin"):
        mine.insert(0, ADMINISTRATOR)
        whose = "of the whole installation" if tenant.name == BUILT_IN_ORGANIZATION else None
        findings.append(Finding("isAdmin", Reason.ADMINISTRATES, whose))
    if len(mine) > MOST_ROLES:
        findings.append(Finding("roles", Reason.TOO_MANY))
    return tuple(mine[:MOST_ROLES])


def _password(
    record: Record, tenant: Tenant, as_typed: bool, findings: list[Finding]
) -> tuple[str | None, str | None]:
    """The hash to store, or the password to hash."""
    value = text_of(record, "password")
    own_type = text_of(record, "passwordType")
    declared = own_type or tenant.password_type
    if text_of(record, "ldap"):
        findings.append(Finding("ldap", Reason.LDAP))
        return None, None
    if not value:
        return None, None
    if value == _MASK:
        findings.append(Finding("password", Reason.MASKED))
        return None, None
    if declared == "plain" or (as_typed and own_type in ("", "plain")):
        if len(value) <= LONGEST and "\0" not in value:
            return None, value
        findings.append(Finding("password", Reason.PASSWORD_UNUSABLE))
        return None, None
    moved = recognise(declared, value, (tenant.password_salt, text_of(record, "passwordSalt")))
    if moved is None:
        findings.append(Finding("password", Reason.PASSWORD_UNUSABLE, plain(declared, 32) or None))
        return None, None
    return moved.to_text(), None


def _second_factor(record: Record, findings: list[Finding]) -> tuple[str | None, tuple[str, ...]]:
    """Their authenticator app and what stands in for it. `preferredMfaType` there says whether a second
    factor is asked for at all, and which first."""
    theirs = text_of(record, "totpSecret")
    asked_for = bool(text_of(record, "preferredMfaType"))
    secret = read_totp_secret(theirs)
    codes = [one for one in texts_of(record, "recoveryCodes") if one]
    if secret is None or not asked_for:
        if theirs:
            reason = Reason.FACTOR_OFF if secret else Reason.SECOND_FACTOR
            reason = Reason.MASKED if theirs == _MASK else reason
            findings.append(Finding("totpSecret", reason))
        elif text_of(record, "preferredMfaType"):
            findings.append(Finding("preferredMfaType", Reason.SECOND_FACTOR))
        return None, ()
    usable = tuple(one for one in codes if is_recovery_code(one))[:MOST_RECOVERY_CODES]
    if len(usable) < len(codes):
        findings.append(Finding("recoveryCodes", Reason.INVALID))
    return secret, usable


def _rest(record: Record, findings: list[Finding]) -> Mapping[str, object]:
    """What becomes of all other fields; answer what is kept aside."""
    others = []
    for name in left_over(record, _TAKEN | _APP | LINKS):
        if name in _SECOND_FACTORS:
            findings.append(Finding(name, Reason.SECOND_FACTOR))
        elif name in _INTERNAL:
            findings.append(Finding(name, Reason.INTERNAL))
        else:
            others.append(name)
    members, told = keep(record, others, never=_SECRETS)
    findings += told
    return members
