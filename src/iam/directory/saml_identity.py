"""What a SAML identity provider says of itself in its metadata (saml-metadata-2.0-os), and how it is used
here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection

from iam.directory.providers import Provider
from iam.directory.saml_metadata import (
    POST,
    REDIRECT,
    LogoutService,
    SamlMetadataRefused,
    children_named,
    endpoint_url,
    logout_services,
    role_of,
    signing_certificates,
)
from iam.directory.saml_sources import set_source
from iam.kernel.clock import Instant
from iam.kernel.xml import boolean_of
from iam.languages import N_, _

KIND: Literal["saml"] = "saml"
Comparison = Literal["exact", "minimum", "maximum", "better"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityMetadata:
    """What counts of an identity provider's metadata. `certificates` are DER; `sign_on` are (binding,
    address)."""

    entity_id: str
    sign_on: tuple[tuple[str, str], ...]
    logout: tuple[LogoutService, ...]
    certificates: tuple[bytes, ...]
    wants_signed_requests: bool

    def sign_on_by(self, *bindings: str) -> tuple[str, str] | None:
        """Where people are sent by the first of these bindings that it has."""
        for binding in bindings:
            for one in self.sign_on:
                if one[0] == binding:
                    return one
        return None

    def logout_by(self, *bindings: str) -> LogoutService | None:
        """Where it is told of a logout by the first of these bindings that it has."""
        for binding in bindings:
            for one in self.logout:
                if one.binding == binding:
                    return one
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """How a provider of kind `saml` is used; `metadata` is its document, `entity_id` what that says,
    `metadata_url` where it comes from and `metadata_signer` (PEM) who must sign it there.

    `subject_attribute`: whom it means is told by this attribute's value instead of the NameID.
    `sign_out_there`: a sign-out here goes on to it.
    """

    metadata: str
    entity_id: str
    metadata_url: str | None = None
    metadata_signer: str | None = None
    name_id_format: str | None = None
    subject_attribute: str | None = None
    request_binding: Literal["redirect", "post"] = "redirect"
    context_classes: tuple[str, ...] = ()
    context_comparison: Comparison = "exact"
    allow_unsolicited: bool = False
    sign_out_there: bool = False

    def to_options(self) -> dict[str, Any]:
        """As they lie in `provider.options`."""
        return asdict(self) | {"context_classes": list(self.context_classes)}


def upstream_options(options: Mapping[str, Any]) -> UpstreamOptions:
    """What `to_options` has written."""
    known = dict(options)
    known["context_classes"] = tuple(known.get("context_classes", ()))
    return UpstreamOptions(**known)


def identity_of(provider: Provider) -> tuple[UpstreamOptions, IdentityMetadata]:
    """How a provider of kind `saml` is used, and what its metadata says."""
    options = upstream_options(provider.options)
    return options, read_identity_metadata(options.metadata)


def note_source(connection: Connection, provider: Provider, now: Instant) -> None:
    """Note where this provider's metadata has just been fetched from, if it was."""
    if provider.kind == KIND:
        options = upstream_options(provider.options)
        set_source(connection, provider.id, options.metadata_url, options.metadata_signer, now)


@lru_cache(maxsize=200)
def read_identity_metadata(text: str) -> IdentityMetadata:
    """What this document says. Nothing but the text decides, so it is read once a process.

    Raises:
        XmlRefused: it is not XML that is read at all.
        SamlMetadataRefused: it is not of one identity provider that speaks SAML 2.0, signs, and takes
            requests by HTTP-Redirect or HTTP-POST.
    """
    entity_id, role = role_of(text, "IDPSSODescriptor", N_("one identity provider"))
    certificates = signing_certificates(role)
    if not certificates:
        raise SamlMetadataRefused(_("It has no certificate for signing."))
    places = tuple(
        (node.get("Binding", ""), endpoint_url(node, "Location"))
        for node in children_named(role, "SingleSignOnService")
        if node.get("Binding") in (REDIRECT, POST)
    )
    if not places:
        raise SamlMetadataRefused(_("It takes requests neither by HTTP-Redirect nor by HTTP-POST."))
    return IdentityMetadata(
        entity_id=entity_id,
        sign_on=places,
        logout=logout_services(role),
        certificates=certificates,
        wants_signed_requests=boolean_of(role.get("WantAuthnRequestsSigned", "false")),
    )
