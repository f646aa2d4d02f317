"""What an authorization request asks for, as far as Authlib does not look at it."""

import re

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidRequestError,
    OAuth2Error,
)
from authlib.oidc.core.errors import (  # type: ignore[import-untyped] # Authlib ships no types
    RegistrationNotSupportedError,
    RequestNotSupportedError,
    RequestURINotSupportedError,
)
from sqlalchemy import Connection

from iam.kernel.clock import Instant, after
from iam.kernel.errors import Invalid
from iam.oidc.claims import asked_claims
from iam.oidc.clients import OpenidClient, find_openid_client
from iam.oidc.protocol import ProtocolRequest

SINCE = "iam_since"
"""Our own parameter on the way back from sign-in: the person must have signed in at or after this
instant. It takes the place of `prompt=login` and `max_age`, which would send them to sign in for ever. It
needs no signature: who can change it could as well have left those away."""

CHOSEN = "iam_chosen"
"""Our own parameter on the way back from the page where somebody says which of their accounts it is to be,
or from sign-in, which says it as well: the one in use is the one. It takes the place of
`prompt=select_account` and of `login_hint`, and needs no signature for the same reason: at most it spares a
question, and never an `id_token_hint`."""

FORM_POST = "form_post"
RESPONSE_MODES = ("query", FORM_POST)
WINDOW = "iam_window"
"""Our own response mode: the answer stays on a page of ours, in a window that a page of ours has opened, and
is given to that page alone, which waits on `CHANNEL` (`hanzo.windows`). It is in no discovery document."""
CHANNEL = "iam_channel"
PROMPTS = ("none", "login", "consent", "select_account")
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)
_ON_THE_WAY = 10 * 60
"""Seconds that somebody may take from sign-in back to here, where the application itself settles the age."""


class ClientUnknown(Invalid):
    """There is nobody to answer: the client ID names no enabled application."""

    code = "client_unknown"
    title = "This application is not known here."


class RedirectUnknown(Invalid):
    """The answer would go where the application has registered nothing (open redirect)."""

    code = "redirect_uri_unknown"
    title = "This return address is not registered."


class ResponseModeUnknown(Invalid):
    """The way in which the client wants to be answered is not known here, so no answer can be sent."""

    code = "response_mode_unknown"
    title = "This application wants an answer in a way that is not known here."


def addressee(connection: Connection, asked: ProtocolRequest) -> tuple[OpenidClient, str]:
    """The client, and the address at which it may be answered.

    Raises:
        ClientUnknown, RedirectUnknown, ResponseModeUnknown: nobody may be answered, so the person is
            told (OpenID Connect Core §3.1.2.6).
    """
    parameters = asked.parameters
    client = find_openid_client(connection, parameters.get("client_id"))
    if client is None or "client_id" in asked.repeated:
        raise ClientUnknown
    redirect_uri = parameters.get("redirect_uri", "")
    if "redirect_uri" in asked.repeated or not client.check_redirect_uri(redirect_uri):
        raise RedirectUnknown
    if parameters.get("response_mode", "query") not in (*RESPONSE_MODES, WINDOW):
        raise ResponseModeUnknown
    return client, redirect_uri


def check(asked: ProtocolRequest) -> None:
    """What Authlib does not look at.

    Raises:
        OAuth2Error: what the client is told.
    """
    parameters = asked.parameters
    if asked.repeated:
        raise InvalidRequestError("A parameter came more than once.")
    for name, error in (
        ("request", RequestNotSupportedError),
        ("request_uri", RequestURINotSupportedError),
        ("registration", RegistrationNotSupportedError),
    ):
        if name in parameters:
            raise error
    if not parameters.get("response_type"):
        raise InvalidRequestError("response_type is missing.")
    if parameters["response_type"] != "code":
        # Not left to Authlib, which puts the client's text in an error that admits few characters.
        raise OAuth2Error("Use response_type=code.", error="unsupported_response_type")
    prompts = prompts_of(asked)
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequestError("prompt=none goes with no other value.")
    if "create" in prompts:
        raise InvalidRequestError("prompt=create is not supported: nobody registers here.")
    if not prompts <= set(PROMPTS):
        raise InvalidRequestError("This prompt is not supported.")
    asked_claims(parameters)
    if "max_age" in parameters and not _SECONDS.fullmatch(parameters["max_age"]):
        raise InvalidRequestError("max_age must be a number of seconds.")


def prompts_of(asked: ProtocolRequest) -> set[str]:
    """What the client wants the person to be asked (`prompt`)."""
    return set(asked.parameters.get("prompt", "").split())


def without(asked: ProtocolRequest, *prompts: str) -> dict[str, str]:
    """The parameters with which a browser comes back to the request, without these prompts, once they
    have been met. (A pushed request keeps its own: `pushed.take_up`, `pushed.drop_prompt`.)"""
    left = dict(asked.again)
    kept = [one for one in left.pop("prompt", "").split() if one not in prompts]
    return left | ({"prompt": " ".join(kept)} if kept else {})


def authenticated_since(
    asked: ProtocolRequest, client: OpenidClient, now: Instant
) -> Instant | None:
    """The instant at or after which the person must have signed in; None if any time will do.

    `max_age=0` means now (Core §3.1.2.1). Without `max_age` the application's own `default_max_age`
    counts (Registration §2), of which `SINCE` can take away no more than the way back from sign-in.
    """
    parameters, bounds = asked.parameters, []
    returned = _MILLISECONDS.fullmatch(parameters.get(SINCE, ""))
    default = client.application.openid.default_max_age
    if "max_age" in parameters:
        bounds.append(after(now, -int(parameters["max_age"])))
    elif default is not None:
        bounds.append(after(now, -(max(default, _ON_THE_WAY) if returned else default)))
    if returned:
        bounds.append(min(Instant(int(parameters[SINCE])), now))
    return max(bounds, default=None)
