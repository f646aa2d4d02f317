"""Providers of theirs that people sign in through (OAuth, OpenID Connect, SAML), as providers of ours."""

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
from iam.directory.saml_identity import KIND, UpstreamOptions, read_identity_metadata
from iam.directory.saml_metadata import REDIRECT, SamlMetadataRefused
from iam.kernel.xml import XmlRefused
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
_TAKEN_OF_SAML = frozenset(
    {
        *("owner", "name", "createdTime", "displayName", "category", "type", "metadata"),
        # Of what the metadata says, a copy.
        *("endpoint", "idP", "issuerUrl", "userMapping"),
        *("method", "enableSignAuthnRequest"),
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
    kind: Literal["oidc", "oauth2", "saml"]
    display_name: str
    options: Mapping[str, Any]
    attributes: Mapping[Attribute, str]
    secret: str | None = field(repr=False)
    enabled: bool
    findings: tuple[Finding, ...]

    @property
    def links(self) -> bool:
        """Whether it knows people by what they keep of it."""
        return self.kind != KIND and self.type not in _OTHER_SUBJECTS

    @property
    def digest(self) -> bytes:
        """By which a later run sees that it has changed there."""
        told = (self.kind, self.options, self.attributes, self.display_name)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()


class MetadataUnusable(Exception):
    """A SAML provider that does not say enough of itself, or what no SAML provider may say here."""


def read_saml_upstream(record: Record) -> Upstream:
    """What a SAML provider becomes here, by its metadata alone: a certificate and an address without it are
    too little to know who signs, and what else it wants.

    Raises:
        Malformed: a field has a type that it never has there.
        MetadataUnusable: its metadata is missing, or cannot be used; says why.
    """
    metadata = text_of(record, "metadata").strip()
    if not metadata:
        raise MetadataUnusable("it has none")
    try:
        found = read_identity_metadata(metadata)
    except (XmlRefused, SamlMetadataRefused) as error:
        raise MetadataUnusable(error.detail or error.title) from error
    claims = _claims(record)
    options = UpstreamOptions(
        metadata=metadata,
        entity_id=found.entity_id,
        request_binding="redirect" if found.sign_on_by(REDIRECT) is not None else "post",
    )
    findings = [Finding(None, Reason.SAML_METADATA), Finding(None, Reason.SAML_LINKS)]
    findings += [Finding(one, Reason.NO_PLACE) for one in left_over(record, _TAKEN_OF_SAML)]
    return Upstream(
        source=text_of(record, "name"),
        type=text_of(record, "type"),
        kind=KIND,
        display_name=plain(text_of(record, "displayName"), _LONGEST_NAME)
        or text_of(record, "name"),
        options=options.to_options(),
        attributes=_attributes(claims),
        secret=None,
        enabled=True,
        findings=tuple(findings),
    )


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
    claims = _claims(record)
    options = {**endpoints, **client, "subject_claim": claims.get("id", "id")}
    return "oauth2", options, _attributes(claims)


def _claims(record: Record) -> Mapping[str, str]:
    return {
        one: value
        for one, value in mapping_of(record, "userMapping").items()
        if isinstance(value, str) and _CLAIM.fullmatch(value)
    }


def _attributes(claims: Mapping[str, str]) -> Mapping[Attribute, str]:
    return {ours: claims[theirs] for theirs, ours in _NAMES.items() if theirs in claims}
