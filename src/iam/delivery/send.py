"""One attempt: a signed POST to an address that was checked, bounded in time and size."""

import asyncio
import json
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from iam.delivery.addresses import WebhookUrlRefused, check_webhook_url, resolve
from iam.delivery.outbox import Claim, Outcome
from iam.delivery.signing import signed_headers
from iam.kernel.clock import Instant, to_iso
from iam.kernel.events import event_members


@cache
def _http() -> ModuleType:
    # Not before something is to be sent: most installations start without a webhook.
    import httpx2

    return httpx2


def open_client(timeout: float) -> Any:
    """A client that keeps no cookies, follows no redirect and reads no proxy from the environment."""
    http = _http()
    # Each attempt has a connection of its own: one that was kept would belong to a name that may
    # stand for another address by now.
    limits = http.Limits(max_connections=None, max_keepalive_connections=0)
    return http.AsyncClient(
        trust_env=False, follow_redirects=False, limits=limits, timeout=http.Timeout(timeout)
    )


def payload_of(claimed: Claim) -> bytes:
    """The body of a notice (Standard Webhooks: type, timestamp, data): the same at every attempt."""
    event = claimed.event
    body = {"type": event.type, "timestamp": to_iso(event.at), "data": event_members(event)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def send(
    client: Any, claimed: Claim, now: Instant, *, seconds: float, allow_private: bool
) -> Outcome:
    """Send one notice. Any 2xx is a success; the body of the answer is not read.

    `seconds` are for all of it together: a receiver that sends a byte a second gains nothing.
    """
    http = _http()
    body = payload_of(claimed)
    try:
        async with asyncio.timeout(seconds):
            parts = urlsplit(check_webhook_url(claimed.url, allow_private=allow_private))
            host = parts.hostname or ""
            port = parts.port or (443 if parts.scheme == "https" else 80)
            addresses = await resolve(host, port, allow_private=allow_private)
            headers = {
                **signed_headers(claimed.secret, claimed.event.id, now, body),
                "host": parts.netloc,
                "content-type": "application/json",
                "user-agent": "Hanzo-IAM",
            }
            status = await _post(client, claimed.url, host, addresses, headers, body)
    except WebhookUrlRefused:
        return Outcome(None, "address_refused")
    except (TimeoutError, http.TimeoutException):
        return Outcome(None, "timeout")
    except (OSError, http.HTTPError, http.InvalidURL, ValueError) as error:
        return Outcome(None, f"connection: {type(error).__name__}")
    if 200 <= status < 300:
        return Outcome(status, None)
    return Outcome(status, "redirect" if 300 <= status < 400 else "status")


async def _post(
    client: Any,
    url: str,
    host: str,
    addresses: tuple[str, ...],
    headers: dict[str, str],
    body: bytes,
) -> int:
    """The status of the answer from the first of these addresses that can be connected to.

    The connection goes to an address that was checked; certificate and Host are the name's.
    """
    http = _http()
    for number, address in enumerate(addresses, 1):
        request = client.build_request(
            "POST",
            http.URL(url).copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": host},
        )
        try:
            answer = await client.send(request, stream=True)
        except http.ConnectError:
            if number == len(addresses):
                raise
        else:
            await answer.aclose()
            status: int = answer.status_code
            return status
    raise OSError("the name has no address")
