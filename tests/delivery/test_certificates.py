"""Over https the certificate must be of the name in the webhook's address, though the connection goes to
an IP address that was looked up before."""

import ipaddress
import ssl
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from iam.delivery.claims import Claim, Outcome, WebhookNotice
from iam.delivery.send import Message, send
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM, Event
from tests.support.certificates import make_certificate
from tests.support.receiver import Receiver

pytestmark = pytest.mark.anyio


async def _sent(folder: Path, *names: x509.GeneralName) -> tuple[Outcome, Receiver]:
    file = make_certificate(folder, *names)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=str(file))
    event = Event(id="evt_1", at=Instant(0), type="user.created", actor=SYSTEM)
    with Receiver(tls=serving) as receiver:
        claim = Claim(
            1, 1, f"https://localhost:{receiver.port}/", WebhookNotice(event, "whsec_AAAA")
        )
        async with httpx2.AsyncClient(verify=trusting, trust_env=False) as client:
            outcome = await send(client, claim, Message({}, b"{}"), seconds=30, allow_private=True)
    return outcome, receiver


async def test_a_certificate_of_the_name_is_accepted_and_the_name_is_asked_for(
    tmp_path: Path,
) -> None:
    outcome, receiver = await _sent(tmp_path, x509.DNSName("localhost"))
    assert outcome == Outcome(204, None)
    (notice,) = receiver.notices
    assert notice.headers["host"] == f"localhost:{receiver.port}"


async def test_a_certificate_of_the_address_or_of_another_name_is_refused(tmp_path: Path) -> None:
    others = [
        x509.DNSName("hooks.example"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    outcome, receiver = await _sent(tmp_path, *others)
    assert outcome == Outcome(None, "connection: ConnectError")
    assert receiver.notices == []
