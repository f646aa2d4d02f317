"""What requests and answers about SAML service providers look like; see `iam.api.views` for how."""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, get_args

from pydantic import Field, StrictBool, StringConstraints, WithJsonSchema

from iam.api.schemas import Body
from iam.api.views import View
from iam.delivery.saml_sources import fetch_metadata
from iam.directory.patterns import WEBHOOK_URL_PATTERN
from iam.directory.saml_metadata import SamlMetadataRefused
from iam.directory.saml_providers import NameIdFormat, SamlOptions, SamlProvider, Source
from iam.directory.saml_sources import SamlSource
from iam.kernel.clock import Instant, to_iso
from iam.settings import Settings

DOCUMENT_PATTERN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"
_LONGEST = 50_000

AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-~]*$")]
Attributes = Annotated[
    dict[AttributeName, Source],
    Field(max_length=50),
    # Said exactly: what is generated of it would let names of another form hold anything.
    WithJsonSchema(
        {
            "type": "object",
            "description": "Name of an attribute: what of the user it says.",
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[!-~]{1,256}$"},
            "additionalProperties": {"enum": list(get_args(Source))},
        }
    ),
]


Document = Annotated[
    str, StringConstraints(min_length=1, max_length=_LONGEST, pattern=DOCUMENT_PATTERN)
]
MetadataUrl = Annotated[
    str, StringConstraints(min_length=1, max_length=1024, pattern=WEBHOOK_URL_PATTERN)
]
Certificate = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=10_000,
        pattern=r"^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$",
    ),
]


class SamlProviderBody(Body):
    metadata: Document | None = Field(
        None,
        description="The EntityDescriptor of the service provider, as XML; or `metadata_url` instead.",
    )
    metadata_url: MetadataUrl | None = Field(
        None, description="Where it is fetched from, now and every six hours."
    )
    metadata_signer: Certificate | None = Field(
        None, description="A certificate (PEM) whose key must have signed what is fetched."
    )
    require_signed_requests: StrictBool | None = Field(
        None, description="null: as AuthnRequestsSigned in the metadata says."
    )
    sign_response: StrictBool = True
    sign_assertion: StrictBool = True
    name_id_format: NameIdFormat = Field(
        "persistent", description="What users are called where a request does not say."
    )
    attributes: Attributes = Field(default_factory=dict)
    allow_idp_initiated: StrictBool = Field(
        False, description="Whether one may be signed in there without its having asked."
    )
    logout_ends_browser_session: StrictBool = Field(
        True, description="Whether its logout ends all that was entered from the same browser."
    )
    encrypt_assertion: StrictBool = Field(
        False, description="Whether it alone can read the assertion, by the key in its metadata."
    )

    def options(self) -> SamlOptions:
        """What of it is not where the metadata comes from."""
        return SamlOptions(
            **self.model_dump(exclude={"metadata", "metadata_url", "metadata_signer"})
        )


class ConsumerView(View):
    url: str
    index: int
    default: bool


class LogoutServiceView(View):
    binding: str
    url: str
    response_url: str


class SamlProviderView(View):
    """An application as a SAML service provider."""

    organization: str
    application: str
    entity_id: str
    assertion_consumers: list[ConsumerView]
    logout_services: list[LogoutServiceView]
    certificates: list[str] = Field(description="SHA-256 of each certificate, in hex.")
    requires_signed_requests: bool
    require_signed_requests: bool | None
    sign_response: bool
    sign_assertion: bool
    name_id_format: str
    attributes: dict[str, str]
    allow_idp_initiated: bool
    logout_ends_browser_session: bool
    encrypt_assertion: bool
    metadata: str
    metadata_url: str | None
    metadata_fetched_at: datetime | None
    metadata_failed: str | None = Field(
        description="What went wrong when it was last fetched; what it said before still counts."
    )
    created_at: datetime
    updated_at: datetime


def saml_provider_view(provider: SamlProvider, source: SamlSource | None) -> dict[str, Any]:
    """A provider, with what its metadata was understood to say."""
    metadata, options = provider.metadata, provider.options
    return {
        "organization": provider.organization,
        "application": provider.application,
        "entity_id": metadata.entity_id,
        "assertion_consumers": [
            {"url": one.url, "index": one.index, "default": one.default}
            for one in metadata.consumers
        ],
        "logout_services": [
            {"binding": one.binding, "url": one.url, "response_url": one.response_url}
            for one in metadata.logout
        ],
        "certificates": [sha256(one).hexdigest() for one in metadata.certificates],
        "requires_signed_requests": provider.requires_signed_requests,
        "require_signed_requests": options.require_signed_requests,
        "sign_response": options.sign_response,
        "sign_assertion": options.sign_assertion,
        "name_id_format": options.name_id_format,
        "attributes": dict(options.attributes),
        "allow_idp_initiated": options.allow_idp_initiated,
        "logout_ends_browser_session": options.logout_ends_browser_session,
        "encrypt_assertion": options.encrypt_assertion,
        "metadata": provider.document,
        **source_members(source),
        "created_at": to_iso(provider.created_at),
        "updated_at": to_iso(provider.updated_at),
    }


def source_members(source: SamlSource | None) -> dict[str, Any]:
    """Where metadata comes from, and how that went."""
    return {
        "metadata_url": source.url if source is not None else None,
        "metadata_fetched_at": to_iso(source.fetched_at) if source is not None else None,
        "metadata_failed": source.failed if source is not None else None,
    }


def document_of(body: SamlProviderBody, settings: Settings, now: Instant) -> str:
    """The metadata that a registration is by: as it was sent, or fetched now.

    Raises:
        SamlMetadataRefused: there are both, or neither.
        ProviderUrlRefused, DocumentUnavailable, XmlRefused, SamlSignatureRefused: it cannot be had from
            where it should be.
    """
    if (body.metadata is None) == (body.metadata_url is None):
        raise SamlMetadataRefused("Give metadata, or metadata_url.")
    if body.metadata is not None:
        if body.metadata_signer is not None:
            raise SamlMetadataRefused("metadata_signer goes with metadata_url.")
        return body.metadata
    return fetch_metadata(body.metadata_url or "", body.metadata_signer, settings, now)
