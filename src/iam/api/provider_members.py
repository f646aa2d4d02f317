"""What requests and answers about providers look like; see `iam.api.schemas` and `iam.api.views` for how.

Each kind has its own options. A kind is added by a body of its own in `ProviderBody` and its options in
`AnyOptions`.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, StrictBool, StringConstraints, WithJsonSchema

from iam.api.saml_upstream import SamlOptionsBody
from iam.api.saml_views import source_members
from iam.api.schemas import Body, DisplayName, Name, absent
from iam.api.views import View, iso
from iam.directory.patterns import ISSUER_PATTERN, WEBHOOK_URL_PATTERN
from iam.directory.provider_options import AuthMethod, Preset
from iam.directory.providers import Attribute, Kind, Link, Provider, link_id
from iam.directory.saml_sources import SamlSource
from iam.kernel.clock import to_iso

_VISIBLE = r"^[!-~]+$"
_DOMAIN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){1,10}$"


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


Url = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=WEBHOOK_URL_PATTERN)]
Issuer = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=ISSUER_PATTERN)]
ClientId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_VISIBLE)]
ClientSecret = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[ -~]+$")]
ClaimName = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_VISIBLE)]
Scopes = Annotated[
    list[
        Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!#-\[\]-~]+$")]
    ],
    Field(max_length=32),
    AfterValidator(_unique),
]
TrustedDomains = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=_DOMAIN)]],
    Field(
        max_length=100,
        description="Mail domains, lower case, for which it is believed: only there is somebody linked to "
        "the user who has the address.",
    ),
    AfterValidator(_unique),
]
Attributes = Annotated[
    dict[Attribute, ClaimName],
    WithJsonSchema(
        {
            "type": "object",
            "description": "What of ours (name, display_name, email, roles): the claim or attribute that "
            "fills it, anew at each sign-in.",
            "properties": {
                name: {"type": "string", "minLength": 1, "maxLength": 256, "pattern": _VISIBLE}
                for name in get_args(Attribute)
            },
            "additionalProperties": False,
        }
    ),
]


class OidcOptionsBody(Body):
    """An OpenID Connect issuer."""

    issuer: Issuer = Field(description="Exactly as its discovery document says it.")
    client_id: ClientId
    auth_method: AuthMethod = "client_secret_basic"
    scopes: Scopes = Field(["openid", "profile", "email"])
    userinfo: StrictBool = Field(True, description="Ask its userinfo endpoint as well.")
    trust_email: StrictBool = Field(
        False, description="Its addresses count as verified, though it does not say so of each."
    )
    sign_out_there: StrictBool = Field(
        False, description="Whoever signs out here is led on to sign out there."
    )


class Oauth2OptionsBody(Body):
    """An OAuth 2 server. What is null is as its preset says; without a preset the three endpoints have
    to be given."""

    preset: Preset | None = None
    client_id: ClientId
    authorization_endpoint: Url | None = None
    token_endpoint: Url | None = None
    userinfo_endpoint: Url | None = None
    emails_endpoint: Url | None = None
    issuer: Issuer | None = None
    auth_method: AuthMethod = "client_secret_post"
    scopes: Scopes | None = None
    subject_claim: ClaimName | None = None
    trust_email: StrictBool = False


AnyOptions = OidcOptionsBody | Oauth2OptionsBody | SamlOptionsBody
OPTIONS: dict[Kind, type[Body]] = {
    "oidc": OidcOptionsBody,
    "oauth2": Oauth2OptionsBody,
    "saml": SamlOptionsBody,
}
"""What the options of each kind have to be."""


class _NewProvider(Body):
    organization: Name
    name: Name
    display_name: DisplayName | None = Field(None, description="“Continue with …”")
    enabled: StrictBool = True
    creates_users: StrictBool = Field(
        False, description="Whoever it knows and we do not becomes a user of ours."
    )
    trusted_domains: TrustedDomains = Field(default_factory=list)
    attributes: Attributes = Field(default_factory=dict)


class OidcProviderBody(_NewProvider):
    kind: Literal["oidc"]
    options: OidcOptionsBody
    client_secret: ClientSecret | None = Field(None, repr=False)


class Oauth2ProviderBody(_NewProvider):
    kind: Literal["oauth2"]
    options: Oauth2OptionsBody
    client_secret: ClientSecret | None = Field(None, repr=False)


class SamlProviderBody(_NewProvider):
    kind: Literal["saml"]
    options: SamlOptionsBody
    client_secret: None = Field(None, description="It has none: messages are signed.")


ProviderBody = Annotated[
    OidcProviderBody | Oauth2ProviderBody | SamlProviderBody, Field(discriminator="kind")
]


class ProviderPatch(Body):
    display_name: DisplayName = Field(default_factory=absent)
    enabled: StrictBool = Field(default_factory=absent)
    creates_users: StrictBool = Field(default_factory=absent)
    trusted_domains: TrustedDomains = Field(default_factory=absent)
    attributes: Attributes = Field(default_factory=absent)
    options: AnyOptions = Field(
        default_factory=absent, description="In place of all that it has; of its own kind."
    )
    client_secret: ClientSecret = Field(default_factory=absent, repr=False)


class ProviderView(View):
    """Somebody else who says who people are."""

    id: str
    organization: str
    name: str
    kind: Kind
    display_name: str
    enabled: bool
    creates_users: bool
    trusted_domains: list[str]
    attributes: dict[Attribute, str]
    options: AnyOptions
    has_client_secret: bool
    entity_id: str | None = Field(description="What it calls itself (kind saml).")
    metadata_fetched_at: datetime | None
    metadata_failed: str | None = Field(
        description="What went wrong when its metadata was last fetched; what it said before counts."
    )
    redirect_uri: str | None = Field(description="What it has to know of us: where its answers go.")
    backchannel_logout_uri: str | None = Field(description="Where it tells us of a sign-out there.")
    created_at: datetime
    updated_at: datetime


class ProvidersView(View):
    items: list[ProviderView]


def provider_view(
    provider: Provider, issuer: str, source: SamlSource | None = None
) -> dict[str, Any]:
    """A provider, without its secret."""
    spoken = provider.kind in ("oidc", "oauth2")
    return {
        "id": provider.id,
        "organization": provider.organization,
        "name": provider.name,
        "kind": provider.kind,
        "display_name": provider.display_name,
        "enabled": provider.enabled,
        "creates_users": provider.creates_users,
        "trusted_domains": list(provider.trusted_domains),
        "attributes": dict(provider.attributes),
        "options": {key: value for key, value in provider.options.items() if key != "entity_id"},
        "entity_id": provider.options.get("entity_id"),
        **{key: value for key, value in source_members(source).items() if key != "metadata_url"},
        "has_client_secret": provider.sealed_secret is not None,
        "redirect_uri": (
            f"{issuer}/oauth/callback/{provider.id}" if spoken else f"{issuer}/saml/acs"
        ),
        "backchannel_logout_uri": (
            f"{issuer}/oauth/backchannel-logout/{provider.id}" if provider.kind == "oidc" else None
        ),
        "created_at": to_iso(provider.created_at),
        "updated_at": to_iso(provider.updated_at),
    }


class LinkView(View):
    """That a provider means this user by a subject."""

    id: str
    provider: str
    provider_name: str
    subject: str
    created_at: datetime
    last_used_at: datetime | None


class LinksView(View):
    items: list[LinkView]


def link_view(link: Link, provider: Provider) -> dict[str, Any]:
    """A link, with the name of its provider."""
    return {
        "id": link_id(link),
        "provider": provider.id,
        "provider_name": provider.name,
        "subject": link.subject,
        "created_at": to_iso(link.created_at),
        "last_used_at": iso(link.last_used_at),
    }
