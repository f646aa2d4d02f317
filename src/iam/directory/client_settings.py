"""What an application settles about itself as an OAuth client, by the names of RFC 7591 §2."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from iam.kernel.errors import Conflict

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]

TokenFormat = Literal["jwt", "opaque"]
SigningAlgorithm = Literal["RS256", "ES256"]


class MethodConflict(Conflict):
    """An application could not authenticate by that method."""

    code = "auth_method_conflict"
    title = "This application cannot authenticate like that."


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How an application authenticates at the OAuth endpoints, and what it is given there."""

    token_endpoint_auth_method: AuthMethod | None = None
    """None: with its secret, in the header or in the body."""
    jwks: Mapping[str, Any] | None = None
    """Its own public keys (RFC 7517 §5)."""
    id_token_signed_response_alg: SigningAlgorithm = "RS256"  # noqa: S105 - an algorithm
    """What its tokens are signed by."""
    access_token_format: TokenFormat = "jwt"  # noqa: S105 - a format
    """Whether resource servers can read its access tokens by themselves, or have to ask."""
    resources: tuple[str, ...] = ()
    """Under which names (absolute URIs) it is a resource server: what access tokens may be for."""
    require_pushed_authorization_requests: bool = False
    """Whether its authorization requests have to be pushed (RFC 9126 §6)."""
    dpop_bound_access_tokens: bool = False
    """Whether it has to prove a key of its own whenever it asks for tokens (RFC 9449 §5.2)."""
    manages_organization: bool = False
    """Whether its credentials administer its organization (one of `built-in`: the installation) on the paths
    of Hanzo and Casdoor, where clients expect that of every application. Whoever has its secret can then
    do what an administrator can."""

    @property
    def has_secret(self) -> bool:
        """Whether it proves itself by a secret."""
        return self.token_endpoint_auth_method not in ("none", "private_key_jwt")

    @property
    def opaque_access_tokens(self) -> bool:
        """Whether its access tokens say nothing by themselves."""
        return self.access_token_format == "opaque"  # noqa: S105 - a format

    def check(self, *, public: bool) -> "ClientSettings":
        """Itself, if an application that is public or not can authenticate like that.

        Raises:
            MethodConflict: it cannot.
        """
        method = self.token_endpoint_auth_method
        if public != (method == "none"):
            raise MethodConflict("An application authenticates by none exactly if it is public.")
        if method == "private_key_jwt" and not self.jwks:
            raise MethodConflict("private_key_jwt needs the application's keys in jwks.")
        if self.manages_organization and not self.has_secret:
            raise MethodConflict("Only an application with a secret can administer.")
        return self


PUBLIC = ClientSettings(token_endpoint_auth_method="none")  # noqa: S106 - the name of a method
MEMBERS = tuple(ClientSettings.__dataclass_fields__)
_YES_OR_NO = (
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
    "manages_organization",
)


def as_row(settings: ClientSettings) -> dict[str, Any]:
    """The columns of the table `application` that keep these."""
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in asdict(settings).items()
    }


def settings_of(row: Any) -> ClientSettings:
    """What a row of the table `application` keeps."""
    values: dict[str, Any] = {name: getattr(row, name) for name in MEMBERS}
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    for name in _YES_OR_NO:
        values[name] = bool(values[name])  # SQLite has none
    return ClientSettings(**values)
