"""Client metadata (RFC 7591 §2, OpenID Connect Registration §2): what an application says of itself.

What we do not know is ignored, as §2 asks; what we know and cannot do is refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError

from iam.directory.applications import Application
from iam.directory.client_settings import AuthMethod, ClientSettings, SigningAlgorithm
from iam.directory.patterns import REDIRECT_URI_PATTERN

GrantType = Literal[
    "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"
]
"""Those that need a person. What an application does for itself, an administrator has to allow."""

_Uri = Annotated[str, StringConstraints(max_length=2048, pattern=REDIRECT_URI_PATTERN)]
_Name = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class MetadataInvalid(Exception):
    """`code` is the error of RFC 7591 §3.2.2."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code, self.description = code, description


class ClientMetadata(BaseModel):
    """The members that mean something here."""

    model_config = ConfigDict(extra="ignore")

    redirect_uris: Annotated[list[_Uri], Field(max_length=50)] = Field(default_factory=list)
    post_logout_redirect_uris: Annotated[list[_Uri], Field(max_length=50)] = Field(
        default_factory=list
    )
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"  # noqa: S105 - a method's name
    grant_types: Annotated[list[GrantType], Field(min_length=1, max_length=8)] = [
        "authorization_code"
    ]
    response_types: list[Literal["code"]] = ["code"]
    client_name: _Name | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: None = None
    subject_type: Literal["public"] = "public"
    id_token_signed_response_alg: SigningAlgorithm = "RS256"  # noqa: S105 - an algorithm
    require_pushed_authorization_requests: StrictBool = False
    dpop_bound_access_tokens: StrictBool = False

    @property
    def public(self) -> bool:
        """Whether it keeps no secret."""
        return self.token_endpoint_auth_method == "none"  # noqa: S105 - a method's name

    @property
    def settings(self) -> ClientSettings:
        """The same as an application keeps it."""
        return ClientSettings(**self.model_dump(include=self.settings_members))

    @property
    def settings_members(self) -> set[str]:
        """The names of those members that are settings."""
        return set(_SETTINGS)


_SETTINGS = (
    "token_endpoint_auth_method",
    "jwks",
    "id_token_signed_response_alg",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
)


def read_metadata(body: object) -> ClientMetadata:
    """What an application says of itself.

    Raises:
        MetadataInvalid: what we cannot do, or do not understand.
    """
    try:
        found = ClientMetadata.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        code = "invalid_redirect_uri" if name == "redirect_uris" else "invalid_client_metadata"
        raise MetadataInvalid(code, f"{name}: this value is not supported.") from error
    if "authorization_code" in found.grant_types and not found.redirect_uris:
        raise MetadataInvalid("invalid_redirect_uri", "redirect_uris: at least one is needed.")
    if found.jwks is not None and not isinstance(found.jwks.get("keys"), list):
        raise MetadataInvalid("invalid_client_metadata", "jwks: this is no JWK Set.")
    if found.jwks is not None and not all(isinstance(one, dict) for one in found.jwks["keys"]):
        raise MetadataInvalid("invalid_client_metadata", "jwks: this is no JWK Set.")
    return found


def metadata_of(application: Application) -> dict[str, Any]:
    """What an answer says of an application (§3.2.1)."""
    client = application.client
    body: dict[str, Any] = {
        "client_id": application.client_id,
        "client_id_issued_at": application.created_at // 1000,
        "client_name": application.display_name,
        "redirect_uris": list(application.redirect_uris),
        "post_logout_redirect_uris": list(application.post_logout_redirect_uris),
        "grant_types": list(application.grant_types),
        "response_types": ["code"],
        "token_endpoint_auth_method": client.token_endpoint_auth_method or "client_secret_basic",
        "id_token_signed_response_alg": client.id_token_signed_response_alg,
        "require_pushed_authorization_requests": client.require_pushed_authorization_requests,
        "dpop_bound_access_tokens": client.dpop_bound_access_tokens,
        "subject_type": "public",
    }
    if client.jwks is not None:
        body["jwks"] = client.jwks
    return body
