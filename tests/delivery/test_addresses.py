"""Nothing is sent into the network that the server stands in, whatever a name pretends to be."""

from collections.abc import Iterator
from typing import Any

import pytest

from iam.delivery.addresses import (
    WebhookUrlRefused,
    check_webhook_url,
    is_public,
    resolve,
)
from iam.server.jobs import make_deliverer
from tests.support.receiver import Receiver
from tests.support.world import World, make_world

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "no address",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_a_private_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
        "https://x.localhost/",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com/#part",
        "ftp://example.com/",
        "https:///path",
        "https://[00]/",
        "https://example.com:99999/",
    ],
)
def test_an_address_that_shows_what_it_is_is_refused_when_it_is_set(url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        check_webhook_url(url, allow_private=False)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "0"])
async def test_a_name_that_stands_for_this_machine_is_refused_when_it_is_looked_up(
    host: str,
) -> None:
    with pytest.raises(WebhookUrlRefused):
        await resolve(host, 443, allow_private=False)


@pytest.fixture
def careful(database_url: str) -> Iterator[World]:
    with make_world(database_url) as world:
        yield world


def test_a_webhook_that_would_lead_inside_is_refused_and_never_called(careful: World) -> None:
    world = careful
    with Receiver() as receiver:
        body: dict[str, Any] = {"organization": None, "event_types": ["*"]}
        for url in (receiver.url, "https://127.0.0.1/", "https://localhost/"):
            answer = world.post("/v1/webhooks", json={**body, "url": url}, headers=world.admin)
            assert answer.status_code == 403
            assert answer.json()["code"] == "webhook_url_refused"
        # Its text does not show it; what it stands for does.
        sly = {**body, "url": f"https://127.1:{receiver.port}/", "event_types": ["user.created"]}
        made = world.post("/v1/webhooks", json=sly, headers=world.admin).json()
        test = f"/v1/webhooks/{made['id']}/test"
        assert world.post(test, headers=world.admin).status_code == 202
        deliverer = make_deliverer(world.engine)
        world.portal.call(deliverer.run_due)
        world.portal.call(deliverer.close)
        assert receiver.notices == []
    (tried,) = world.get("/v1/deliveries", headers=world.admin).json()["items"]
    assert (tried["attempts"], tried["last_error"]) == (1, "address_refused")
