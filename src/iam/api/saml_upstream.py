"""Identity providers of kind `saml`: what their options look like, and how they are stored."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StringConstraints

from iam.api.saml_views import Certificate, Document, MetadataUrl
from iam.api.schemas import Body
from iam.delivery.saml_sources import fetch_metadata
from iam.directory.saml_identity import Comparison, UpstreamOptions, read_identity_metadata
from iam.directory.saml_metadata import SamlMetadataRefused
from iam.kernel.clock import Instant
from iam.settings import Settings

Uri = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-~]+$")]


class SamlOptionsBody(Body):
    """A SAML identity provider, by its metadata."""

    metadata: Document | None = Field(
        None, description="Its EntityDescriptor, as XML; or `metadata_url` instead."
    )
    metadata_url: MetadataUrl | None = Field(
        None, description="Where it is fetched from, now and every six hours."
    )
    metadata_signer: Certificate | None = Field(
        None, description="A certificate (PEM) whose key must have signed what is fetched."
    )
    name_id_format: Uri | None = Field(None, description="The format of NameID to ask for (a URI).")
    subject_attribute: Uri | None = Field(
        None, description="Whom it means is told by this attribute instead of the NameID."
    )
    request_binding: Literal["redirect", "post"] = "redirect"
    context_classes: list[Uri] = Field(
        default_factory=list,
        max_length=10,
        description="The classes of authentication to ask for (RequestedAuthnContext).",
    )
    context_comparison: Comparison = "exact"
    allow_unsolicited: StrictBool = Field(
        False, description="Whether people may come without having been sent there from here."
    )
    sign_out_there: StrictBool = Field(
        False, description="Whoever signs out here is led on to sign out there."
    )


def stored_saml_options(body: SamlOptionsBody, settings: Settings, now: Instant) -> dict[str, Any]:
    """The options as a provider has them: with its metadata, fetched now where an address is given. Not
    for inside a transaction.

    Raises:
        SamlMetadataRefused: there are both metadata and an address, or neither; or it cannot be used.
        ProviderUrlRefused, DocumentUnavailable, XmlRefused, SamlSignatureRefused: it cannot be had.
    """
    if (body.metadata is None) == (body.metadata_url is None):
        raise SamlMetadataRefused("Give metadata, or metadata_url.")
    if body.metadata_url is None and body.metadata_signer is not None:
        raise SamlMetadataRefused("metadata_signer goes with metadata_url.")
    document = body.metadata or fetch_metadata(
        body.metadata_url or "", body.metadata_signer, settings, now
    )
    options = UpstreamOptions(
        metadata=document,
        metadata_url=body.metadata_url,
        metadata_signer=body.metadata_signer,
        entity_id=read_identity_metadata(document).entity_id,
        name_id_format=body.name_id_format,
        subject_attribute=body.subject_attribute,
        request_binding=body.request_binding,
        context_classes=tuple(body.context_classes),
        context_comparison=body.context_comparison,
        allow_unsolicited=body.allow_unsolicited,
        sign_out_there=body.sign_out_there,
    )
    return options.to_options()
