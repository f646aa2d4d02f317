"""What the options of a provider are, by kind: as `provider.options` holds them, and with what is left
out filled in.

A kind that is spoken elsewhere (`saml`) says there what its own are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
Preset = Literal["github", "google", "microsoft", "gitlab"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """An OpenID Connect issuer, whose endpoints and keys its discovery document tells."""

    issuer: str
    client_id: str
    auth_method: AuthMethod = "client_secret_basic"
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    userinfo: bool = True
    """Ask its userinfo endpoint as well; else the ID token is all there is."""
    trust_email: bool = False
    """Its addresses count as verified, though it does not say so of each."""
    sign_out_there: bool = False
    """Whoever signs out here is led on to sign out there (RP-initiated logout)."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """As a provider has them."""
        return cls(**_known(cls, options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Oauth2Options:
    """An OAuth 2 server that has no ID tokens: who somebody is, an endpoint tells to whom holds their
    access token. What a preset says is filled in."""

    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    emails_endpoint: str | None = None
    """Where addresses are listed of which it is known whether they are verified (GitHub)."""
    preset: Preset | None = None
    issuer: str | None = None
    """What an answer has to bring as `iss`, where it brings one (RFC 9207)."""
    auth_method: AuthMethod = "client_secret_post"
    scopes: tuple[str, ...] = ()
    subject_claim: str = "sub"
    """What never changes and is never given to another: a name or an address is no such thing."""
    trust_email: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """As a provider has them, over what its preset says."""
        given = {name: value for name, value in options.items() if value is not None}
        return cls(**_known(cls, {**PRESETS.get(options.get("preset") or "", {}), **given}))


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "github": {
        "authorization_endpoint": "https://github.com/login/oauth/authorize",
        "token_endpoint": "https://github.com/login/oauth/access_token",
        "userinfo_endpoint": "https://api.github.com/user",
        "emails_endpoint": "https://api.github.com/user/emails",
        "scopes": ("read:user", "user:email"),
        "subject_claim": "id",
    },
    "google": {
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
        "scopes": ("openid", "email", "profile"),
        "issuer": "https://accounts.google.com",
    },
    "microsoft": {
        "authorization_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "scopes": ("openid", "profile", "email"),
    },
    "gitlab": {
        "authorization_endpoint": "https://gitlab.com/oauth/authorize",
        "token_endpoint": "https://gitlab.com/oauth/token",
        "userinfo_endpoint": "https://gitlab.com/oauth/userinfo",
        "scopes": ("openid", "profile", "email"),
    },
}
"""What is known of services that many sign in with. Each part can be said otherwise in the options: for
GitHub Enterprise, a GitLab of one's own, one tenant of Microsoft's."""

OIDC_CLAIMS: Mapping[str, str] = {
    "name": "preferred_username",
    "display_name": "name",
    "email": "email",
}
"""Which claim fills what of ours, where a provider's `attributes` say nothing (Core §5.1)."""
GITHUB_CLAIMS: Mapping[str, str] = {**OIDC_CLAIMS, "name": "login"}


def default_claims(options: OidcOptions | Oauth2Options) -> Mapping[str, str]:
    """The claims that fill what of ours, of this provider."""
    is_github = isinstance(options, Oauth2Options) and options.preset == "github"
    return GITHUB_CLAIMS if is_github else OIDC_CLAIMS


def names_of_subjects(kind: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Within what the subjects of a provider mean somebody: another issuer's, or what another endpoint
    says, are other people's though they read the same."""
    if kind == "oauth2":
        found = Oauth2Options.of(options)
        return (found.userinfo_endpoint, found.subject_claim)
    if kind == "saml":
        return (options.get("entity_id"), options.get("subject_attribute"))
    return (options.get("issuer"),)


def _known(cls: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(cls)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in options.items()
        if name in names
    }
