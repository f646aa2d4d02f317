"""Where a provider is asked what: by its discovery document, or by its options."""

import re
from dataclasses import dataclass
from typing import Any

from iam.delivery.fetch import FetchFailed
from iam.delivery.provider_addresses import check_url
from iam.directory.provider_options import Oauth2Options, OidcOptions
from iam.directory.providers import Provider
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden
from iam.languages import _
from iam.web.engine import Engine

Options = OidcOptions | Oauth2Options
DISCOVERED = 60 * 60
"""Seconds for which a discovery document is taken as it was."""
_PATH = "/.well-known/openid-configuration"
# What stands in headers of ours must be able to stand there.
_VISIBLE = re.compile(r"[!-~]{1,2048}", re.ASCII)


class AnswerRefused(Forbidden):
    """A provider's answer is not believed; `detail` says why."""

    code = "provider_answer_refused"
    title = "The provider's answer cannot be accepted."


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """A provider's addresses. `issuer` is None of an OAuth 2 server that has not told us its own."""

    issuer: str | None
    authorization: str
    token: str
    userinfo: str | None
    emails: str | None = None
    jwks: str | None = None
    end_session: str | None = None
    names_itself: bool = False
    """It says that its answers carry `iss` (RFC 9207 §3): one without it is then another's."""


def options_of(provider: Provider) -> Options:
    """The options of a provider of this protocol."""
    if provider.kind == "oidc":
        return OidcOptions.of(provider.options)
    return Oauth2Options.of(provider.options)


async def endpoints_of(engine: Engine, options: Options, now: Instant) -> Endpoints:
    """Where this provider is asked what.

    Raises:
        FetchFailed, ProviderUrlRefused: its discovery document cannot be had.
        AnswerRefused: that is another issuer's (OpenID Connect Discovery §4.3), or has no such address.
    """
    if isinstance(options, Oauth2Options):
        return Endpoints(
            issuer=options.issuer,
            authorization=options.authorization_endpoint,
            token=options.token_endpoint,
            userinfo=options.userinfo_endpoint,
            emails=options.emails_endpoint,
        )
    url = options.issuer.rstrip("/") + _PATH
    document = await engine.documents.get(url, now, max_age=DISCOVERED)
    if document.get("issuer") != options.issuer:
        raise AnswerRefused(_("Its discovery document is another issuer's."))

    def address(name: str) -> str | None:
        value = document.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
            raise FetchFailed(f"{name} in its discovery document is no address.")
        return check_url(value, allow_private=engine.settings.delivery_allow_private)

    authorization, token = address("authorization_endpoint"), address("token_endpoint")
    jwks = address("jwks_uri")
    if authorization is None or token is None or jwks is None:
        raise FetchFailed("Its discovery document lacks an endpoint.")
    return Endpoints(
        issuer=options.issuer,
        authorization=authorization,
        token=token,
        userinfo=address("userinfo_endpoint"),
        jwks=jwks,
        end_session=address("end_session_endpoint"),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def text_of(value: Any, longest: int = 255) -> str | None:
    """`value`, if it is a text that can be stored and shown; else None."""
    if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable():
        return value
    return None
