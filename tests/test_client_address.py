"""Where a request comes from: what a proxy of ours says is believed, what a client says is not."""

import pytest
from starlette.requests import Request

from iam.settings import load_settings
from iam.web.address import client_ip

PROXY = "10.0.0.5"
STRANGER = "203.0.113.7"
SETTINGS = load_settings(trusted_proxies="10.0.0.0/8, 2001:db8::/32")


def address(peer: str | None, *forwarded: str) -> str | None:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    client = (peer, 50000) if peer is not None else None
    return client_ip(Request({"type": "http", "headers": headers, "client": client}), SETTINGS)


def test_what_a_stranger_says_about_their_address_is_not_believed() -> None:
    assert address(STRANGER, "198.51.100.1") == STRANGER


def test_a_trusted_proxy_says_who_its_client_is() -> None:
    assert address(PROXY, STRANGER) == STRANGER
    assert address(PROXY, "2a00::1") == "2a00::1"


def test_what_the_client_put_in_before_the_proxy_is_not_believed() -> None:
    assert address(PROXY, f"127.0.0.1, {STRANGER}") == STRANGER
    assert address(PROXY, "127.0.0.1", STRANGER) == STRANGER


def test_a_chain_of_trusted_proxies_is_followed_to_the_first_stranger() -> None:
    assert address(PROXY, f"198.51.100.1, {STRANGER}, 10.0.0.9, 2001:db8::5") == STRANGER


@pytest.mark.parametrize("broken", ["", "unknown", "203.0.113.7:1234, x", "\xff", ", ,"])
def test_a_broken_chain_leaves_the_last_proxy_that_is_known(broken: str) -> None:
    assert address(PROXY, broken) == PROXY


def test_a_peer_without_an_address_has_none() -> None:
    assert address(None, STRANGER) is None
