"""One attempt: a signed POST to an address that was checked, bounded in time and size."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import urlencode, urlsplit

from iam.delivery.addresses import WebhookUrlRefused, check_webhook_url, resolve
from iam.delivery.claims import Claim, Outcome
from iam.delivery.logouts import LogoutNotice, refusal
from iam.delivery.saml_logouts import LONGEST_ANSWER, SamlLogoutNotice, soap_refusal
from iam.delivery.signing import signed_headers
from iam.kernel.clock import Instant, to_iso
from iam.kernel.events import Event, event_members

LogoutToken = Callable[[LogoutNotice, Instant], str]
"""Makes the token that tells an application of an end."""
SamlLogout = Callable[[SamlLogoutNotice, Instant], bytes]
"""Makes the SOAP message that tells a SAML provider of an end."""
SOAP_ACTION = "http://www.oasis-open.org/committees/security"
_REFUSAL = 2048


@cache
def http_library() -> ModuleType:
    """The library that speaks HTTP outwards."""
    # Not before something is to be sent: most installations start without a webhook.
    import httpx2

    return httpx2


def open_client(timeout: float) -> Any:
    """A client that keeps no cookies, follows no redirect and reads no proxy from the environment."""
    http = http_library()
    # Each attempt has a connection of its own: one that was kept would belong to a name that may
    # stand for another address by now.
    limits = http.Limits(max_connections=None, max_keepalive_connections=0)
    return http.AsyncClient(
        trust_env=False, follow_redirects=False, limits=limits, timeout=http.Timeout(timeout)
    )


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted."""

    headers: Mapping[str, str]
    body: bytes


def message_of(
    claimed: Claim, now: Instant, logout_token: LogoutToken, saml_logout: SamlLogout
) -> Message:
    """The notice as its receiver takes it: signed now."""
    notice = claimed.notice
    if isinstance(notice, LogoutNotice):
        # The one parameter that a receiver takes (OpenID Connect Back-Channel Logout §2.5).
        form = urlencode({"logout_token": logout_token(notice, now)}).encode()
        return Message({"content-type": "application/x-www-form-urlencoded"}, form)
    if isinstance(notice, SamlLogoutNotice):
        # saml-bindings §3.2.3: a SOAP action that nobody need look at.
        headers = {"content-type": "text/xml; charset=utf-8", "soapaction": SOAP_ACTION}
        return Message(headers, saml_logout(notice, now))
    body = payload_of(notice.event)
    headers = signed_headers(notice.secret, notice.event.id, now, body)
    return Message({**headers, "content-type": "application/json"}, body)


def payload_of(event: Event) -> bytes:
    """The body of a notice (Standard Webhooks: type, timestamp, data): the same at every attempt."""
    body = {"type": event.type, "timestamp": to_iso(event.at), "data": event_members(event)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def send(
    client: Any, claimed: Claim, message: Message, *, seconds: float, allow_private: bool
) -> Outcome:
    """Send one notice. Any 2xx is a success; the body of the answer is not read.

    An application that answers 400 to a logout token refuses it for good (§2.8): what it says is wrong
    is kept, as far as it goes into `_REFUSAL` bytes, and nothing is sent again.

    A SAML provider says in the body of its answer what it did, so that is read (as far as
    `LONGEST_ANSWER`); what it refuses as not understood is not sent again.

    `seconds` are for all of it together: a receiver that sends a byte a second gains nothing.
    """
    http = http_library()
    refusable = isinstance(claimed.notice, LogoutNotice)
    answers = isinstance(claimed.notice, SamlLogoutNotice)
    try:
        async with asyncio.timeout(seconds):
            parts = urlsplit(check_webhook_url(claimed.url, allow_private=allow_private))
            host = parts.hostname or ""
            port = parts.port or (443 if parts.scheme == "https" else 80)
            addresses = await resolve(host, port, allow_private=allow_private)
            headers = {**message.headers, "host": parts.netloc, "user-agent": "Hanzo-IAM"}
            answer = await ask(client, "POST", claimed.url, host, addresses, headers, message.body)
            try:
                status: int = answer.status_code
                if refusable and status == 400:
                    return Outcome(status, refusal(await _beginning(answer, _REFUSAL)), final=True)
                if answers and status in (200, 500):
                    error, final = soap_refusal(await _beginning(answer, LONGEST_ANSWER))
                    return Outcome(status, error, final=final)
            finally:
                await answer.aclose()
    except WebhookUrlRefused:
        return Outcome(None, "address_refused")
    except (TimeoutError, http.TimeoutException):
        return Outcome(None, "timeout")
    except (OSError, http.HTTPError, http.InvalidURL, ValueError) as error:
        return Outcome(None, f"connection: {type(error).__name__}")
    if 200 <= status < 300:
        return Outcome(status, None)
    return Outcome(status, "redirect" if 300 <= status < 400 else "status")


async def _beginning(answer: Any, longest: int) -> bytes:
    """The first bytes of an answer's body, as they are on the wire."""
    found = b""
    async for some in answer.aiter_raw():
        found += some
        if len(found) >= longest:
            break
    return found[:longest]


async def ask(
    client: Any,
    method: str,
    url: str,
    host: str,
    addresses: tuple[str, ...],
    headers: Mapping[str, str],
    body: bytes,
) -> Any:
    """The answer, its body unread, from the first of these addresses that can be connected to.

    The connection goes to an address that was checked; certificate and Host are the name's.
    """
    http = http_library()
    for number, address in enumerate(addresses, 1):
        request = client.build_request(
            method,
            http.URL(url).copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": host},
        )
        try:
            return await client.send(request, stream=True)
        except http.ConnectError:
            if number == len(addresses):
                raise
    raise OSError("the name has no address")
