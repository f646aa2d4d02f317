"""Over https the certificate must be of the name in the webhook's address, though the connection goes to
an IP address that was looked up before."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from iam.delivery.outbox import Claim, Outcome, WebhookNotice
from iam.delivery.send import Message, send
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM, Event
from tests.support.receiver import Receiver

pytestmark = pytest.mark.anyio


def _certificate(folder: Path, *names: x509.GeneralName) -> Path:
    """A file with key and self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "receiver.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


async def _sent(folder: Path, *names: x509.GeneralName) -> tuple[Outcome, Receiver]:
    file = _certificate(folder, *names)
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
