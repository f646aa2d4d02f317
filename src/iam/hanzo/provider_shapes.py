"""Providers of ours in the form of theirs, and back.

Of their kinds, we speak `OAuth` of the types GitHub, Google, GitLab, AzureAD and Custom: Custom with
`issuerUrl` is OpenID Connect, without it OAuth 2 by three addresses.
"""

from collections.abc import Mapping
from typing import Any

from iam.api.provider_members import Oauth2OptionsBody, OidcOptionsBody
from iam.directory.providers import Attribute, Kind, NewProvider, Provider
from iam.hanzo.asking import checked
from iam.hanzo.errors import Refused
from iam.hanzo.objects import MASK, shown
from iam.kernel.clock import to_iso

OAUTH, CUSTOM = "OAuth", "Custom"
_PRESETS = {"GitHub": "github", "Google": "google", "GitLab": "gitlab", "AzureAD": "microsoft"}
_TYPES = {preset: type_ for type_, preset in _PRESETS.items()}
_NAMES = {
    "client_id": "clientId",
    "issuer": "issuerUrl",
    "authorization_endpoint": "customAuthUrl",
    "token_endpoint": "customTokenUrl",
    "userinfo_endpoint": "customUserInfoUrl",
    "scopes": "scopes",
    "subject_claim": "userMapping",
    "preset": "type",
}
_ATTRIBUTES: dict[Attribute, str] = {
    "name": "username",
    "display_name": "displayName",
    "email": "email",
}


def is_spoken(members: Mapping[str, Any]) -> bool:
    """Whether these members make a provider that people can sign in with here."""
    if members.get("category") != OAUTH:
        return False
    type_ = members.get("type")
    if type_ in _PRESETS:
        return True
    custom = isinstance(type_, str) and type_.startswith(CUSTOM)
    return custom and bool(members.get("issuerUrl") or members.get("customAuthUrl"))


def provider_members(provider: Provider, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A provider, with what is kept of it. Its secret is nowhere."""
    options = provider.options
    preset = options.get("preset")
    mapping = {
        _ATTRIBUTES[one]: claim for one, claim in provider.attributes.items() if one in _ATTRIBUTES
    }
    if options.get("subject_claim"):
        mapping["id"] = options["subject_claim"]
    return {
        **shown(kept),
        "owner": provider.organization,
        "name": provider.name,
        "createdTime": to_iso(provider.created_at),
        "displayName": provider.display_name,
        "category": "SAML" if provider.kind == "saml" else OAUTH,
        "type": _TYPES.get(preset or "", CUSTOM),
        "clientId": options.get("client_id", ""),
        "clientSecret": MASK if provider.sealed_secret is not None else "",
        "issuerUrl": options.get("issuer") or "",
        "customAuthUrl": options.get("authorization_endpoint") or "",
        "customTokenUrl": options.get("token_endpoint") or "",
        "customUserInfoUrl": options.get("userinfo_endpoint") or "",
        "scopes": " ".join(options.get("scopes") or ()),
        "userMapping": mapping,
        "enableSignIn": provider.enabled,
    }


def as_provider(members: Mapping[str, Any], before: Provider | None) -> NewProvider:
    """What a provider is made with, or replaced by. What their form has no word for stays as it was: who
    becomes a user, and which mail domains are believed.

    Raises:
        Refused: a member is none that such a provider could have.
    """
    kind, options = _options(members)
    if before is not None:
        if before.kind != kind:
            raise Refused("A provider cannot become one of another kind.")
        # What only our own API says of it: how it authenticates, whether addresses are trusted.
        spoken = {_ours(one) for one in members}
        options = {**before.options, **{k: v for k, v in options.items() if k in spoken}}
    display_name = members.get("displayName") or members.get("name")
    if (
        not isinstance(display_name, str)
        or len(display_name) > 128
        or not display_name.isprintable()
    ):
        raise Refused("displayName cannot be that.")
    enabled = members.get("enableSignIn", True if before is None else before.enabled)
    if not isinstance(enabled, bool):
        raise Refused("enableSignIn must be true or false.")
    return NewProvider(
        kind=kind,
        display_name=display_name,
        enabled=enabled,
        options=options,
        creates_users=before.creates_users if before is not None else False,
        trusted_domains=before.trusted_domains if before is not None else (),
        attributes=_attributes(members),
    )


def _ours(member: str) -> str:
    return next((ours for ours, theirs in _NAMES.items() if theirs == member), "")


def _options(members: Mapping[str, Any]) -> tuple[Kind, dict[str, Any]]:
    given: dict[str, Any] = {"client_id": members.get("clientId")}
    scopes = members.get("scopes")
    if scopes:
        if not isinstance(scopes, str):
            raise Refused("scopes must be a string.")
        given["scopes"] = scopes.replace(",", " ").split()
    preset = _PRESETS.get(str(members.get("type")))
    if preset is None and members.get("issuerUrl") and not members.get("customAuthUrl"):
        form = checked(OidcOptionsBody, _NAMES, issuer=members["issuerUrl"], **given)
        return "oidc", form.model_dump()
    mapping = members.get("userMapping") or {}
    if not isinstance(mapping, dict):
        raise Refused("userMapping must be an object.")
    for ours in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
        if members.get(_NAMES[ours]):
            given[ours] = members[_NAMES[ours]]
    if mapping.get("id"):
        given["subject_claim"] = mapping["id"]
    if members.get("issuerUrl"):
        given["issuer"] = members["issuerUrl"]
    return "oauth2", checked(Oauth2OptionsBody, _NAMES, preset=preset, **given).model_dump()


def _attributes(members: Mapping[str, Any]) -> dict[Attribute, str]:
    mapping = members.get("userMapping") or {}
    if not isinstance(mapping, dict):
        raise Refused("userMapping must be an object.")
    found: dict[Attribute, str] = {}
    for ours, theirs in _ATTRIBUTES.items():
        claim = mapping.get(theirs)
        if claim:
            if not isinstance(claim, str) or len(claim) > 256 or not claim.isascii():
                raise Refused("userMapping must name claims.")
            found[ours] = claim
    return found
