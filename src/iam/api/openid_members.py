"""How an application takes part in OpenID Connect (`directory.openid_settings`), as requests have it."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, StrictBool

from iam.api.schemas import ApplicationBody, ApplicationPatch, WebhookUrl, absent, whole
from iam.delivery.logouts import check_logout_url
from iam.directory.applications import Application
from iam.directory.client_settings import MEMBERS
from iam.directory.openid_settings import OPENID_SETTINGS, ConsentRule
from iam.kernel.errors import Conflict
from iam.sessions.policy import LONGEST
from iam.settings import Settings

MaxAge = Annotated[int, Field(strict=True, ge=0, le=LONGEST), BeforeValidator(whole)]


class PkceRequired(Conflict):
    """A public application has nothing but PKCE that tells it from somebody who read its code."""

    code = "pkce_required"
    title = "A public application cannot go without PKCE."


class FrontchannelForeign(Conflict):
    """At every sign-out the browser would load a page of somebody else's."""

    code = "frontchannel_logout_foreign"
    title = "A front-channel logout URI is on the origin of a redirect URI."


class ApplicationForm(ApplicationBody):
    require_pkce: StrictBool = Field(
        True, description="Whether its requests need PKCE; false only if it has a secret."
    )
    default_max_age: MaxAge | None = Field(
        None, description="Seconds after which its users sign in again, without `max_age`."
    )
    consent: ConsentRule = Field(
        "none", description="Whether a person is asked before it learns anything."
    )
    backchannel_logout_uri: WebhookUrl | None = Field(
        None, description="Where it is told that a session of its own has ended."
    )
    backchannel_logout_session_required: StrictBool = Field(
        False, description="Whether it needs `sid` in a notice. Ours always have it."
    )
    frontchannel_logout_uri: WebhookUrl | None = Field(
        None, description="Loaded in a frame at sign-out; on the origin of a redirect URI."
    )
    frontchannel_logout_session_required: StrictBool = Field(
        False, description="Whether that needs `iss` and `sid`. Ours always have them."
    )


class ApplicationChangeForm(ApplicationPatch):
    require_pkce: StrictBool = Field(default_factory=absent)
    default_max_age: MaxAge | None = Field(default_factory=absent, description="null: no bound.")
    consent: ConsentRule = Field(default_factory=absent)
    backchannel_logout_uri: WebhookUrl | None = Field(
        default_factory=absent, description="null: it is not told any more."
    )
    backchannel_logout_session_required: StrictBool = Field(default_factory=absent)
    frontchannel_logout_uri: WebhookUrl | None = Field(
        default_factory=absent, description="null: nothing is loaded."
    )
    frontchannel_logout_session_required: StrictBool = Field(default_factory=absent)


def split_members(
    members: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The members of a form that are settings of OpenID Connect, those of the OAuth client, and the rest."""
    mine = {name: members[name] for name in members.keys() & OPENID_SETTINGS}
    client = {name: members[name] for name in members.keys() & set(MEMBERS)}
    return mine, client, {k: v for k, v in members.items() if k not in mine and k not in client}


def check_openid(settings: Settings, application: Application) -> None:
    """Refuse settings of an application that could harm it or others. In the transaction that stores
    them, which is undone by what this raises.

    Raises:
        LogoutUrlRefused: it wants to be told at an address that nothing is sent to.
        PkceRequired: it has no secret, and wants to go without PKCE.
        FrontchannelForeign: its page for sign-outs is on none of its origins (Front-Channel Logout §2).
    """
    chosen = application.openid
    if application.public and not chosen.require_pkce:
        raise PkceRequired
    if chosen.backchannel_logout_uri is not None:
        private = settings.delivery_allow_private
        check_logout_url(chosen.backchannel_logout_uri, allow_private=private)
    if chosen.frontchannel_logout_uri is not None:
        origins = {urlsplit(uri)[:2] for uri in application.redirect_uris}
        if urlsplit(chosen.frontchannel_logout_uri)[:2] not in origins:
            raise FrontchannelForeign
