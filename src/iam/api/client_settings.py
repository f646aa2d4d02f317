"""How an application takes part in OpenID Connect (`directory.client_settings`), as requests have it."""

from typing import Any

from pydantic import Field, StrictBool

from iam.api.schemas import ApplicationBody, ApplicationPatch, WebhookUrl, absent
from iam.delivery.logouts import check_logout_url
from iam.directory.client_settings import CLIENT_SETTINGS, ClientSettings
from iam.settings import Settings


class ApplicationForm(ApplicationBody):
    backchannel_logout_uri: WebhookUrl | None = Field(
        None, description="Where it is told that a session of its own has ended."
    )
    backchannel_logout_session_required: StrictBool = Field(
        False, description="Whether it needs `sid` in a notice. Ours always have it."
    )


class ApplicationChangeForm(ApplicationPatch):
    backchannel_logout_uri: WebhookUrl | None = Field(
        default_factory=absent, description="null: it is not told any more."
    )
    backchannel_logout_session_required: StrictBool = Field(default_factory=absent)


def split_settings(members: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The members of a form that are settings, and the others."""
    mine = {name: members[name] for name in members.keys() & CLIENT_SETTINGS}
    return mine, {name: members[name] for name in members.keys() - CLIENT_SETTINGS}


def check_client_settings(settings: Settings, chosen: ClientSettings) -> None:
    """Refuse what could harm others.

    Raises:
        LogoutUrlRefused: it wants to be told at an address that nothing is sent to.
    """
    if chosen.backchannel_logout_uri is not None:
        private = settings.delivery_allow_private
        check_logout_url(chosen.backchannel_logout_uri, allow_private=private)
