"""What an application settles about itself as an OAuth client, as requests and answers have it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from iam.directory.client_settings import AuthMethod, SigningAlgorithm, TokenFormat

# RFC 8707 §2: an absolute URI without a fragment.
RESOURCE_PATTERN = r"^[a-z][a-z0-9+.-]{1,30}:[A-Za-z0-9._~:/?@!$&'()*+,;=%-]+$"
Resources = Annotated[
    list[Annotated[str, StringConstraints(max_length=512, pattern=RESOURCE_PATTERN)]],
    Field(max_length=20),
]


class Jwks(BaseModel):
    """A JWK Set (RFC 7517 §5) of public keys: RSA from 2048 bits, EC on P-256, Ed25519."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10)]


def _absent() -> Any:
    """Stands for a member that was not given, where null is no value."""
    return None


class ClientBody(BaseModel):
    """Members of a new application."""

    token_endpoint_auth_method: AuthMethod | None = Field(
        None, description="null: with the secret, in the header or the body; `none` if public."
    )
    jwks: Jwks | None = Field(None, description="Its public keys, for `private_key_jwt`.")
    id_token_signed_response_alg: SigningAlgorithm = "RS256"  # noqa: S105 - an algorithm
    access_token_format: TokenFormat = "jwt"  # noqa: S105 - a format
    resources: Resources = Field(
        default_factory=list, description="Under which names it is a resource server."
    )
    require_pushed_authorization_requests: StrictBool = False
    dpop_bound_access_tokens: StrictBool = False
    manages_organization: StrictBool = Field(
        False, description="Whether its credentials administer its organization under `/api`."
    )


class ClientPatch(BaseModel):
    """The same, to change."""

    token_endpoint_auth_method: AuthMethod = Field(default_factory=_absent)
    jwks: Jwks = Field(default_factory=_absent)
    id_token_signed_response_alg: SigningAlgorithm = Field(default_factory=_absent)
    access_token_format: TokenFormat = Field(default_factory=_absent)
    resources: Resources = Field(default_factory=_absent)
    require_pushed_authorization_requests: StrictBool = Field(default_factory=_absent)
    dpop_bound_access_tokens: StrictBool = Field(default_factory=_absent)
    manages_organization: StrictBool = Field(default_factory=_absent)


class ClientView(BaseModel):
    """The same, as they are."""

    token_endpoint_auth_method: AuthMethod | None
    jwks: dict[str, Any] | None
    access_token_format: TokenFormat
    resources: list[str]
    require_pushed_authorization_requests: bool
    dpop_bound_access_tokens: bool
    manages_organization: bool
    id_token_signed_response_alg: SigningAlgorithm
