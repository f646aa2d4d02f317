"""Providers of theirs that people sign in through, as providers of ours."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from iam.delivery.addresses import WebhookUrlRefused
from iam.delivery.provider_addresses import ProviderOptionsRefused, check_options
from iam.directory.patterns import ISSUER_PATTERN, WEBHOOK_URL_PATTERN
from iam.directory.providers import Attribute
from iam.moving.findings import Finding, Reason
from iam.moving.records import Record, left_over, mapping_of, plain, text_of

_URL = re.compile(WEBHOOK_URL_PATTERN, re.ASCII)
_ISSUER = re.compile(ISSUER_PATTERN, re.ASCII)
_VISIBLE = re.compile(r"[!-~]{1,255}", re.ASCII)
_CLAIM = re.compile(r"[!-~]{1,256}", re.ASCII)
_SECRET = re.compile(r"[ -~]{1,1024}", re.ASCII)
_SCOPE = re.compile(r"[!#-\[\]-~]{1,256}", re.ASCII)
_LONGEST_URL, _LONGEST_NAME = 1024, 128
_MASK = "***"

_PRESETS = {"GitHub": "github", "Google": "google", "AzureAD": "microsoft", "GitLab": "gitlab"}
# Where the issuer is, after the address that is kept as `domain`.
_ISSUERS = {"Okta": "", "Casdoor": "", "Auth0": "/", "ADFS": "/adfs"}
_OTHER_SUBJECTS = frozenset({"AzureAD", "ADFS"})
"""Types by which they keep another name of a person than the provider tells us."""
_TAKEN = frozenset(
    {
        *("owner", "name", "createdTime", "displayName", "category", "type", "clientId"),
        *("clientSecret", "customAuthUrl", "customTokenUrl", "customUserInfoUrl", "scopes"),
        *("userMapping", "domain", "enablePkce", "method"),
    }
)
_NAMES: Mapping[str, Attribute] = {
    "username": "name",
    "displayName": "display_name",
    "email": "email",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A provider as it would be in each organization whose people sign in through it."""

    source: str
    """What it is called there: names are unique there, whoever owns them."""
    type: str
    """By which users keep whom it means: the field of that name in lower case."""
    kind: Literal["oidc", "oauth2"]
    display_name: str
    options: Mapping[str, Any]
    attributes: Mapping[Attribute, str]
    secret: str | None = field(repr=False)
    enabled: bool
    findings: tuple[Finding, ...]

    @property
    def links(self) -> bool:
        """Whether it knows people by what they keep of it."""
        return self.type not in _OTHER_SUBJECTS

    @property
    def digest(self) -> bytes:
        """By which a later run sees that it has changed there."""
        told = (self.kind, self.options, self.attributes, self.display_name)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()


def read_upstream(record: Record, *, allow_private: bool) -> Upstream | None:
    """What a provider becomes here; None if there is nothing like it here.

    Raises:
        Malformed: a field has a type that it never has there.
    """
    type_ = text_of(record, "type")
    if text_of(record, "category") != "OAuth" or not _VISIBLE.fullmatch(
        text_of(record, "clientId")
    ):
        return None
    found = _options(record, type_)
    if found is None:
        return None
    kind, options, attributes = found
    findings: list[Finding] = [Finding(None, Reason.CALLBACK)]
    secret: str | None = text_of(record, "clientSecret")
    enabled = True
    if secret == _MASK or (secret and not _SECRET.fullmatch(secret)):
        reason = Reason.MASKED if secret == _MASK else Reason.INVALID
        findings.append(Finding("clientSecret", reason, "it is disabled"))
        secret, enabled = None, False
    elif not secret:
        secret = None
        options["auth_method"] = "none"
    if scopes := [one for one in text_of(record, "scopes").split() if _SCOPE.fullmatch(one)][:32]:
        options["scopes"] = scopes if kind == "oauth2" else list(dict.fromkeys(["openid", *scopes]))
    try:
        check_options(kind, options, allow_private=allow_private)
    except (ProviderOptionsRefused, WebhookUrlRefused):
        return None
    findings += [Finding(one, Reason.NO_PLACE) for one in left_over(record, _TAKEN)]
    return Upstream(
        source=text_of(record, "name"),
        type=type_,
        kind=kind,
        display_name=plain(text_of(record, "displayName"), _LONGEST_NAME) or type_,
        options=options,
        attributes=attributes,
        secret=secret,
        enabled=enabled,
        findings=tuple(findings),
    )


_Options = tuple[Literal["oidc", "oauth2"], dict[str, Any], Mapping[Attribute, str]]


def _options(record: Record, type_: str) -> _Options | None:
    client = {"client_id": text_of(record, "clientId")}
    if type_ in _PRESETS:
        return "oauth2", {"preset": _PRESETS[type_], **client}, {}
    if type_ in _ISSUERS:
        host = text_of(record, "domain").strip().rstrip("/")
        issuer = (host if "://" in host else f"https://{host}") + _ISSUERS[type_]
        fits = len(issuer) <= _LONGEST_URL and _ISSUER.fullmatch(issuer)
        return ("oidc", {"issuer": issuer, **client}, {}) if fits else None
    if re.fullmatch(r"Custom(?:[2-9]|10)?", type_, re.ASCII):
        return _custom(record, client)
    return None


def _custom(record: Record, client: Mapping[str, str]) -> _Options | None:
    """Three addresses, and which member of the last one's answer is what."""
    endpoints = {
        "authorization_endpoint": text_of(record, "customAuthUrl").strip(),
        "token_endpoint": text_of(record, "customTokenUrl").strip(),
        "userinfo_endpoint": text_of(record, "customUserInfoUrl").strip(),
    }
    if not all(len(one) <= _LONGEST_URL and _URL.fullmatch(one) for one in endpoints.values()):
        return None
    mapping = mapping_of(record, "userMapping")
    claims = {
        one: value
        for one, value in mapping.items()
        if isinstance(value, str) and _CLAIM.fullmatch(value)
    }
    attributes = {ours: claims[theirs] for theirs, ours in _NAMES.items() if theirs in claims}
    return "oauth2", {**endpoints, **client, "subject_claim": claims.get("id", "id")}, attributes
