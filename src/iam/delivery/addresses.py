"""Where notices may go: never into the network that the server itself stands in.

Who may set a webhook's address could otherwise have the server knock on doors that only it can reach
(SSRF): a cloud's metadata service, a database, its own loopback.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from iam.kernel.errors import Forbidden
from iam.languages import _

# Addresses that stand for an IPv4 address behind a translator: what lies there cannot be told.
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


class WebhookUrlRefused(Forbidden):
    """Nothing is sent to this address."""

    code = "webhook_url_refused"
    title = "Nothing is sent to this address."


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet. A zone (`%eth0`) is none of it."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if found.teredo or found.scope_id or any(found in one for one in _TRANSLATED):
            return False
    return found.is_global and not found.is_multicast


def check_webhook_url(url: str, *, allow_private: bool) -> str:
    """`url`, if a webhook may have it as far as its text tells. What its name stands for is looked at
    each time that something is sent.

    Raises:
        WebhookUrlRefused: it is not https, names a person or a fragment, or is an address of a private
            network.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise WebhookUrlRefused(_("It cannot be read.")) from None
    if parts.scheme not in ("https", "http") or not host:
        raise WebhookUrlRefused(_("It must look like https://example.com/path."))
    if parts.username is not None or parts.password is not None or "#" in url:
        raise WebhookUrlRefused(_("It may have neither a user name nor a fragment."))
    if allow_private:
        return url
    if parts.scheme != "https":
        raise WebhookUrlRefused(_("It must be https."))
    if host == "localhost" or host.endswith(".localhost") or (_is_ip(host) and not is_public(host)):
        raise WebhookUrlRefused(_("It is an address of a private network."))
    return url


async def resolve(host: str, port: int, *, allow_private: bool) -> tuple[str, ...]:
    """The IP addresses to connect to, best first: looked up now, checked, and then used as they are.

    A name that is looked up once to be checked and once more to connect could say two things (DNS
    rebinding).

    Raises:
        WebhookUrlRefused: one of the addresses that the name has is private.
        OSError: the name has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found]
    if not allow_private and not all(is_public(one) for one in addresses):
        raise WebhookUrlRefused(_("Its name stands for an address of a private network."))
    return tuple(dict.fromkeys(addresses))


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
