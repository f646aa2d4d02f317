"""Applications of theirs as applications of ours, with the policy that they imply."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from iam.delivery.addresses import WebhookUrlRefused
from iam.delivery.logouts import check_logout_url
from iam.directory.client_settings import SigningAlgorithm
from iam.directory.patterns import REDIRECT_URI_PATTERN
from iam.kernel.clock import Instant
from iam.kernel.ids import is_client_id
from iam.moving.findings import Finding, Reason
from iam.moving.keeping import keep
from iam.moving.names import name_for
from iam.moving.records import (
    Record,
    flag_of,
    instant_of,
    left_over,
    list_of,
    number_of,
    plain,
    text_of,
    texts_of,
)
from iam.sessions.knobs import LONGEST, MOST, Value

_REDIRECT_URI = re.compile(REDIRECT_URI_PATTERN, re.ASCII)
_MOST_URIS, _LONGEST_URI = 50, 2048
_LONGEST_NAME = 128
_HOUR = 60 * 60
# Who does not ask to be kept signed in is, for a day at most.
_UNREMEMBERED = 24 * _HOUR
# A secret is stored as its SHA-256, which guards only what cannot be guessed.
WEAK_SECRET = 20
_MASK = "***"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_GRANTS = frozenset(
    {
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
        _EXCHANGE,
    }
)
# Who has no secret cannot show that they are the application.
_OF_CONFIDENTIAL = frozenset({"client_credentials", _EXCHANGE})
_ALGORITHMS: dict[str, SigningAlgorithm] = {"": "RS256", "RS256": "RS256", "ES256": "ES256"}

_TAKEN = frozenset(
    {
        "owner",
        "name",
        "organization",
        "displayName",
        "createdTime",
        "clientId",
        "clientSecret",
        "redirectUris",
        "grantTypes",
        "expireInHours",
        "refreshExpireInHours",
        "cookieExpireInHours",
        "enableExclusiveSignin",
        "maxSessions",
        "backchannelLogoutUri",
        "disableSignin",
        "isShared",
        "tokenSigningMethod",
        "cert",
        "providers",
    }
)
_NOT_KEPT = frozenset({"registrationAccessToken", "clientCert", "certObj", "organizationObj"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application as it would be here."""

    source: str
    """What it is called there: names are unique there, whoever owns them."""
    organization_source: str
    name: str
    display_name: str
    client_id: str | None
    """None: one of ours has to be made."""
    secret: str | None = field(repr=False)
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    signing_algorithm: SigningAlgorithm
    require_pkce: bool
    backchannel_logout_uri: str | None
    enabled: bool
    created_at: Instant
    policy: Mapping[str, Value]
    cert: str
    """What signs its tokens there."""
    providers: Mapping[str, bool]
    """The providers, by their names there, that its users may sign in through, and whether whoever comes
    through one becomes a user."""
    members: Mapping[str, object] = field(repr=False)
    renamed: bool
    findings: tuple[Finding, ...]

    @property
    def digest(self) -> bytes:
        """By which a later run sees that it has changed there."""
        told = (
            self.name,
            self.display_name,
            self.client_id,
            hashlib.sha256(self.secret.encode()).hexdigest() if self.secret else None,
            self.redirect_uris,
            self.grant_types,
            self.signing_algorithm,
            self.backchannel_logout_uri,
            self.enabled,
            sorted(self.policy.items()),
        )
        return hashlib.sha256(json.dumps(told).encode()).digest()


def read_client(
    record: Record, *, allow_private: bool, manages: bool, now: Instant
) -> Client | None:
    """What an application becomes here; None if no name can be made of its own.

    Args:
        allow_private: whether notices of logouts may go to private addresses.
        manages: whether its secret lets it administer, as every application's does there.

    Raises:
        Malformed: a field has a type that it never has there.
    """
    theirs = text_of(record, "name")
    name = name_for(theirs)
    if name is None:
        return None
    findings: list[Finding] = []
    if name != theirs:
        findings.append(Finding("name", Reason.RENAMED, name))
    if flag_of(record, "isShared"):
        findings.append(Finding("isShared", Reason.SHARED))
    if flag_of(record, "disableSignin"):
        findings.append(Finding(None, Reason.DISABLED))
    uris = _redirect_uris(record, findings)
    secret = _secret(record, findings)
    if secret is not None:
        findings.append(Finding(None, Reason.NO_PKCE))
        if not manages:
            findings.append(Finding(None, Reason.NOT_MANAGING))
    findings += [
        Finding(unused, Reason.TOKEN_LIFETIME)
        for unused in ("expireInHours", "refreshExpireInHours")
        if number_of(record, unused)
    ]
    algorithm = _ALGORITHMS.get(text_of(record, "tokenSigningMethod"))
    if algorithm is None:
        findings.append(Finding("tokenSigningMethod", Reason.NOT_SUPPORTED, "RS256 instead"))
    members, told = keep(record, left_over(record, _TAKEN), never=_NOT_KEPT)
    findings += told
    return Client(
        source=theirs,
        organization_source=text_of(record, "organization"),
        name=name,
        display_name=plain(text_of(record, "displayName"), _LONGEST_NAME) or name,
        client_id=_client_id(record, findings),
        secret=secret,
        redirect_uris=uris,
        grant_types=_grant_types(record, public=secret is None, findings=findings),
        signing_algorithm=algorithm or "RS256",
        require_pkce=secret is None,
        backchannel_logout_uri=_logout_uri(record, allow_private, findings),
        enabled=not flag_of(record, "disableSignin"),
        created_at=instant_of(record, "createdTime", now),
        policy=_policy(record),
        cert=text_of(record, "cert"),
        providers=_providers(record),
        members=members,
        renamed=name != theirs,
        findings=tuple(findings),
    )


def policy_of(record: Record) -> Mapping[str, Value]:
    """What an organization settles about the sessions of its users itself.

    Raises:
        Malformed: a field has a type that it never has there.
    """
    knobs: dict[str, Value] = {}
    if flag_of(record, "enableExclusiveSignin"):
        knobs["exclusive"] = True
    if most := _whole(number_of(record, "maxSessions"), MOST):
        knobs["maximum_user_sessions"] = most
    return knobs


def _policy(record: Record) -> Mapping[str, Value]:
    knobs: dict[str, Value] = {}
    if flag_of(record, "enableExclusiveSignin"):
        knobs["exclusive"] = True
    if most := _whole(number_of(record, "maxSessions"), MOST):
        knobs["maximum_sessions"] = most
    if longest := _whole(number_of(record, "cookieExpireInHours") * _HOUR, LONGEST):
        knobs["maximum_lifetime"] = min(longest, _UNREMEMBERED)
        knobs["remember_maximum_lifetime"] = longest
    return knobs


def _whole(value: float, most: int) -> int:
    return min(int(value), most) if value >= 1 else 0


def _client_id(record: Record, findings: list[Finding]) -> str | None:
    theirs = text_of(record, "clientId")
    if is_client_id(theirs):
        return theirs
    findings.append(Finding("clientId", Reason.CLIENT_ID_UNUSABLE))
    return None


def _secret(record: Record, findings: list[Finding]) -> str | None:
    theirs = text_of(record, "clientSecret")
    if theirs == _MASK:
        findings.append(Finding("clientSecret", Reason.MASKED))
    elif not theirs:
        findings.append(Finding("clientSecret", Reason.PUBLIC_NOW))
    elif len(theirs) < WEAK_SECRET:
        findings.append(Finding("clientSecret", Reason.WEAK_SECRET))
    return theirs or None


def is_masked(client: Client) -> bool:
    """Whether its secret was hidden when it was read, so that it needs a new one."""
    return client.secret == _MASK


def _redirect_uris(record: Record, findings: list[Finding]) -> tuple[str, ...]:
    taken: list[str] = []
    for uri in dict.fromkeys(one.strip() for one in texts_of(record, "redirectUris")):
        if not uri:
            continue
        if len(uri) > _LONGEST_URI or not _REDIRECT_URI.fullmatch(uri) or _is_pattern(uri):
            findings.append(Finding("redirectUris", Reason.PATTERN, plain(uri, 200)))
        elif len(taken) == _MOST_URIS:
            findings.append(Finding("redirectUris", Reason.TOO_MANY))
            break
        else:
            taken.append(uri)
    return tuple(taken)


def _is_pattern(uri: str) -> bool:
    """Whether it was meant as a regular expression, as which they are all read there. A dot means itself
    well enough, and a question mark begins a query."""
    return ".*" in uri or ".+" in uri or any(one in uri for one in "()|$*")


def _grant_types(record: Record, *, public: bool, findings: list[Finding]) -> tuple[str, ...]:
    # By code one may always enter there, whatever the list says.
    taken = ["authorization_code"]
    for one in dict.fromkeys(texts_of(record, "grantTypes")):
        if one not in _GRANTS or (public and one in _OF_CONFIDENTIAL):
            findings.append(Finding("grantTypes", Reason.NOT_SUPPORTED, plain(one, 64)))
        elif one not in taken:
            taken.append(one)
    return tuple(taken)


def _logout_uri(record: Record, allow_private: bool, findings: list[Finding]) -> str | None:
    theirs = text_of(record, "backchannelLogoutUri").strip()
    if not theirs:
        return None
    try:
        if len(theirs) > _LONGEST_URI or not theirs.isprintable():
            raise WebhookUrlRefused
        return check_logout_url(theirs, allow_private=allow_private)
    except WebhookUrlRefused as error:
        findings.append(Finding("backchannelLogoutUri", Reason.INVALID, error.detail))
        return None


def _providers(record: Record) -> Mapping[str, bool]:
    open_to_all = flag_of(record, "enableSignUp")
    items = [
        one if isinstance(one, dict) else {"name": one} for one in list_of(record, "providers")
    ]
    return {
        one["name"]: open_to_all and one.get("canSignUp") is True
        for one in items
        if isinstance(one.get("name"), str) and one.get("canSignIn") is not False
    }
