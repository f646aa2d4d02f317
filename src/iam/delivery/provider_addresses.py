"""Where the server itself asks a provider something: never inside its own network, as with notices."""

from collections.abc import Mapping
from typing import Any

from iam.delivery.addresses import WebhookUrlRefused, check_webhook_url
from iam.directory.provider_options import Oauth2Options
from iam.directory.providers import Kind
from iam.kernel.errors import Forbidden
from iam.languages import _

_ADDRESSES = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "emails_endpoint",
)


class ProviderOptionsRefused(Forbidden):
    """These options make no provider that could be asked anything."""

    code = "provider_options_refused"
    title = "These are not the options of such a provider."


class ProviderUrlRefused(WebhookUrlRefused):
    """Nobody is asked at this address who somebody is."""

    code = "provider_url_refused"
    title = "Nothing is asked at this address."


def check_url(url: str, *, allow_private: bool) -> str:
    """`url`, if a provider may be asked there (see `check_webhook_url`).

    Raises:
        ProviderUrlRefused: it is not https, or is an address of a private network.
    """
    try:
        return check_webhook_url(url, allow_private=allow_private)
    except WebhookUrlRefused as error:
        raise ProviderUrlRefused(error.detail) from error


def check_options(kind: Kind, options: Mapping[str, Any], *, allow_private: bool) -> None:
    """Refuse options of the kinds `oidc` and `oauth2` that lead nowhere.

    Raises:
        ProviderOptionsRefused: there is neither a preset nor every endpoint.
        ProviderUrlRefused: one of the addresses is not to be asked.
    """
    for name in _ADDRESSES:
        url = options.get(name)
        if url is not None:
            check_url(url, allow_private=allow_private)
    if kind == "oauth2":
        try:
            Oauth2Options.of(options)
        except TypeError as error:  # an endpoint is missing
            raise ProviderOptionsRefused(
                _(
                    "Without a preset, authorization_endpoint, token_endpoint and userinfo_endpoint "
                    "have to be given."
                )
            ) from error
