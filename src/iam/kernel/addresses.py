"""Network addresses as 16 bytes, so that a network is a range of a column that both databases index.

An IPv4 address is kept as the IPv6 address that stands for it (RFC 4291 §2.5.5.2).
"""

from ipaddress import IPv4Network, ip_address, ip_network

_IPV4_PREFIX = bytes(10) + b"\xff\xff"


def address_bytes(text: str | None) -> bytes | None:
    """The 16 bytes of an address; None for what is none."""
    if text is None:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.packed if address.version == 6 else _IPV4_PREFIX + address.packed


def network_range(text: str) -> tuple[bytes, bytes]:
    """The first and the last address of a network (`10.0.0.0/8`) or of a single address.

    Raises:
        ValueError: neither of the two.
    """
    if "%" in text:
        raise ValueError("a zone means nothing elsewhere")
    network = ip_network(text, strict=False)
    prefix = _IPV4_PREFIX if isinstance(network, IPv4Network) else b""
    return prefix + network.network_address.packed, prefix + network.broadcast_address.packed
