"""What requests and answers about SAML service providers look like; see `iam.api.views` for how."""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, get_args

from pydantic import Field, StrictBool, StringConstraints, WithJsonSchema

from iam.api.schemas import Body
from iam.api.views import View
from iam.directory.saml_providers import NameIdFormat, SamlProvider, Source
from iam.kernel.clock import to_iso

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


class SamlProviderBody(Body):
    metadata: Annotated[
        str, StringConstraints(min_length=1, max_length=_LONGEST, pattern=DOCUMENT_PATTERN)
    ] = Field(description="The EntityDescriptor of the service provider, as XML.")
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
    metadata: str
    created_at: datetime
    updated_at: datetime


def saml_provider_view(provider: SamlProvider) -> dict[str, Any]:
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
        "metadata": provider.document,
        "created_at": to_iso(provider.created_at),
        "updated_at": to_iso(provider.updated_at),
    }
