"""Somebody's way to a provider: what it is asked, and what is remembered until they are back."""

import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from authlib.oauth2.rfc7636 import (  # type: ignore[import-untyped] # Authlib ships no types
    create_s256_code_challenge,
)
from sqlalchemy import Connection

from iam.directory.provider_options import OidcOptions
from iam.directory.providers import Provider
from iam.kernel.clock import Instant
from iam.kernel.secrets import make_secret
from iam.oidc.authorize_request import SINCE
from iam.oidc.upstream.endpoints import Options, endpoints_of, options_of
from iam.signin.federation_requests import LIFETIME, open_request
from iam.web.engine import Engine, in_thread

CALLBACK = "/oauth/callback"
WAYS = "/account/ways"
_MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)
# How OAuth 2 servers are asked to let somebody choose or show again who they are, as far as they can be.
_AGAIN = {
    "google": "select_account",
    "github": "select_account",
    "microsoft": "login",
    "gitlab": "login",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What somebody is on their way for.

    `again`: they are to show once more who they are. `since`: they have to have signed in at that instant
    or later. `link`: the session whose user links an account of theirs there; None of a sign-in.
    """

    return_to: str
    application: str = ""
    again: bool = False
    since: Instant | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """A journey as it is remembered, with what the provider's answer is checked against."""

    journey: Journey
    nonce: str
    verifier: str

    @classmethod
    def from_payload(cls, engine: Engine, provider: Provider, payload: dict[str, Any]) -> Self:
        """What `set_out` has written."""
        return cls(
            journey=Journey(
                return_to=payload["return_to"],
                application=payload["application"],
                again=payload["again"],
                since=Instant(payload["since"]) if payload["since"] is not None else None,
                link=payload["link"],
            ),
            nonce=payload["nonce"],
            verifier=engine.cipher.decrypt(payload["verifier"], _about(provider, payload["nonce"])),
        )


def since_of(return_to: str) -> Instant | None:
    """Since when the person has to have signed in for what they return to (`authorize_request.SINCE`)."""
    given = dict(parse_qsl(urlsplit(return_to).query)).get(SINCE, "")
    return Instant(int(given)) if _MILLISECONDS.fullmatch(given) else None


def callback_of(engine: Engine, provider: Provider) -> str:
    """Where a provider's answers go: an address of its own for each, so that none can answer in another's
    place (mix-up, RFC 9700 §4.4)."""
    return f"{engine.settings.issuer}{CALLBACK}/{provider.id}"


async def set_out(
    engine: Engine, provider: Provider, journey: Journey, flow: str, login_hint: str, now: Instant
) -> str:
    """Remember a journey and answer the address that the browser goes to.

    Args:
        flow: the browser's flow cookie.
        login_hint: whom the person has said to be.

    Raises:
        FetchFailed, ProviderUrlRefused, AnswerRefused: as `endpoints_of` says.
    """
    options = options_of(provider)
    endpoints = await endpoints_of(engine, options, now)
    state, nonce, verifier = (make_secret(engine.random) for _ in range(3))
    payload = {
        "return_to": journey.return_to,
        "application": journey.application,
        "again": journey.again,
        "since": journey.since,
        "link": journey.link,
        "nonce": nonce,
        # With it and a code that was seen on its way somebody could have the tokens.
        "verifier": engine.cipher.encrypt(verifier, _about(provider, nonce), engine.random),
    }

    def work(connection: Connection) -> None:
        open_request(connection, state, provider.id, flow, payload, now)

    await in_thread(lambda: engine.database.write(work))
    query = {
        "response_type": "code",
        "client_id": options.client_id,
        "redirect_uri": callback_of(engine, provider),
        "scope": " ".join(options.scopes),
        "state": state,
        "code_challenge": create_s256_code_challenge(verifier),
        "code_challenge_method": "S256",
        **_wishes(options, journey, login_hint, nonce, now),
    }
    separator = "&" if "?" in endpoints.authorization else "?"
    return f"{endpoints.authorization}{separator}{urlencode(query)}"


def _wishes(
    options: Options, journey: Journey, login_hint: str, nonce: str, now: Instant
) -> dict[str, str]:
    """What else the provider is asked, in its own words."""
    if not isinstance(options, OidcOptions):
        asked = {}
        if login_hint:
            asked["login" if options.preset == "github" else "login_hint"] = login_hint
        if journey.again and options.preset in _AGAIN:
            asked["prompt"] = _AGAIN[options.preset]
        return asked
    asked = {"nonce": nonce}
    if login_hint:
        asked["login_hint"] = login_hint
    if journey.again:
        # An age as well: whoever is asked for one has to say when it was (Core §3.1.2.1).
        asked |= {"prompt": "login", "max_age": str(LIFETIME)}
    elif journey.since is not None:
        asked["max_age"] = str(max(0, (now - journey.since) // 1000))
    return asked


def _about(provider: Provider, nonce: str) -> str:
    return f"federation request {provider.id} {nonce}"
