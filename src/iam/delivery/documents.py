"""Documents that are fetched from addresses which somebody has registered: guarded as deliveries are.

One GET, to an address that was looked up and checked now, without redirects, cookies or a proxy, bounded in
time and size. Not for inside a transaction: it waits for somebody else's server.
"""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from iam.delivery.addresses import WebhookUrlRefused, check_webhook_url, resolve
from iam.delivery.send import http_library, open_client
from iam.kernel.errors import Invalid


class DocumentUnavailable(Invalid):
    """A document could not be fetched from where it should be; `detail` says why."""

    code = "document_unavailable"
    title = "The document cannot be fetched from this address."


def fetch_document(url: str, *, allow_private: bool, seconds: int, longest: int) -> bytes:
    """What is at this address. Blocks; in a thread without an event loop.

    Args:
        seconds: for all of it together.
        longest: bytes.

    Raises:
        WebhookUrlRefused: nothing is asked there (see `delivery.addresses`).
        DocumentUnavailable: it does not answer in time, not with 200, or with more.
    """
    return asyncio.run(_fetch(url, allow_private, seconds, longest))


async def _fetch(url: str, allow_private: bool, seconds: int, longest: int) -> bytes:
    http = http_library()
    parts = urlsplit(check_webhook_url(url, allow_private=allow_private))
    host, secure = parts.hostname or "", parts.scheme == "https"
    client = open_client(seconds)
    try:
        async with asyncio.timeout(seconds):
            addresses = await resolve(
                host, parts.port or (443 if secure else 80), allow_private=allow_private
            )
            return await _get(client, url, host, parts.netloc, addresses, longest)
    except (TimeoutError, http.TimeoutException):
        raise DocumentUnavailable(f"It did not answer within {seconds} seconds.") from None
    except WebhookUrlRefused:
        raise
    except (OSError, http.HTTPError, http.InvalidURL, ValueError) as error:
        raise DocumentUnavailable(f"The connection failed ({type(error).__name__}).") from None
    finally:
        await client.aclose()


async def _get(
    client: Any, url: str, host: str, netloc: str, addresses: tuple[str, ...], longest: int
) -> bytes:
    http = http_library()
    for number, address in enumerate(addresses, 1):
        request = client.build_request(
            "GET",
            http.URL(url).copy_with(host=address),
            headers={"host": netloc, "user-agent": "Hanzo-IAM", "accept-encoding": "identity"},
            extensions={"sni_hostname": host},
        )
        try:
            answer = await client.send(request, stream=True)
        except http.ConnectError:
            if number == len(addresses):
                raise
            continue
        try:
            if answer.status_code != 200:
                raise DocumentUnavailable(f"It answered with status {answer.status_code}.")
            found = b""
            async for some in answer.aiter_raw():
                found += some
                if len(found) > longest:
                    raise DocumentUnavailable(f"It is longer than {longest} bytes.")
            return found
        finally:
            await answer.aclose()
    raise OSError("the name has no address")
