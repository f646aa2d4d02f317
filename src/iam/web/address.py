"""Where a request comes from. Forwarded headers are believed only of proxies that are configured."""

from ipaddress import ip_address

from starlette.requests import HTTPConnection

from iam.kernel.events import Origin
from iam.settings import Settings


def client_ip(request: HTTPConnection, settings: Settings) -> str | None:
    """The client's address: the last hop in X-Forwarded-For that is no trusted proxy."""
    peer = request.client.host if request.client is not None else None
    if peer is None or not is_trusted(peer, settings):
        return peer
    hops = [hop.strip() for hop in ",".join(request.headers.getlist("x-forwarded-for")).split(",")]
    for hop in reversed([hop for hop in hops if hop]):
        try:
            address = str(ip_address(hop))
        except ValueError:
            return peer  # a forged or broken entry: what is left of it cannot be believed either
        if not is_trusted(address, settings):
            return address
        peer = address
    return peer


def behind_trusted_proxy(request: HTTPConnection, settings: Settings) -> bool:
    """Whether the peer that sent this request may say whom it speaks for."""
    return request.client is not None and is_trusted(request.client.host, settings)


def origin_of(request: HTTPConnection, settings: Settings) -> Origin:
    """Address and User-Agent, as events and sessions keep them."""
    agent = request.headers.get("user-agent")
    return Origin(ip=client_ip(request, settings), user_agent=agent[:512] if agent else None)


def is_trusted(address: str, settings: Settings) -> bool:
    """Whether this is the address of a trusted proxy."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.trusted_proxies)
