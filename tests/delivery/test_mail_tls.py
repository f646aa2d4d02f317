"""Neither mail nor password goes to a mail server that is not who it should be, or in the clear."""

import ipaddress
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from iam.delivery import smtp
from iam.delivery.claims import Outcome
from iam.delivery.smtp import hand_over
from iam.settings import MailServer as Address
from tests.support.certificates import make_certificate
from tests.support.mail_server import MailServer
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """What a server shows that is trusted here by the setting that the documents name."""
    yield _served(tmp_path, LOOPBACK, monkeypatch)
    smtp.trusted.cache_clear()


def _served(
    folder: Path, name: x509.GeneralName, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    file = make_certificate(folder, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    smtp.trusted.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _address(port: int, tls: Any, login: tuple[str | None, str | None] = (None, None)) -> Address:
    return Address(host="127.0.0.1", port=port, tls=tls, username=login[0], password=login[1])


async def _hand_over(address: Address, recipient: str = "ann@acme.example") -> Outcome:
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = "id@acme.example", recipient, "Hello"
    message.set_content("Hello")
    return await hand_over(address, message, own_name="id.example.com", seconds=30)


@pytest.mark.parametrize("tls", ["starttls", "implicit", "offered"])
async def test_a_server_with_a_good_certificate_gets_login_and_mail(
    serving: ssl.SSLContext, tls: str
) -> None:
    login = ("iam", "p@ss")
    with MailServer(tls=serving, implicit=tls == "implicit", login=login) as server:
        outcome = await _hand_over(_address(server.port, tls, login))

    assert outcome == Outcome(250, None)
    assert len(server.mails) == 1


async def test_a_wrong_password_is_told_as_such(serving: ssl.SSLContext) -> None:
    with MailServer(tls=serving, login=("iam", "p@ss")) as server:
        outcome = await _hand_over(_address(server.port, "starttls", ("iam", "wrong")))

    assert outcome == Outcome(535, "authentication")
    assert server.mails == []


async def test_a_server_without_starttls_gets_nothing() -> None:
    with MailServer(login=("iam", "p@ss")) as server:
        outcome = await _hand_over(_address(server.port, "starttls", ("iam", "p@ss")))

    assert outcome == Outcome(None, "not_supported")
    assert server.mails == []


async def test_only_who_gave_up_on_tls_sends_in_the_clear() -> None:
    with MailServer() as server:
        assert await _hand_over(_address(server.port, "offered")) == Outcome(250, None)
        assert await _hand_over(_address(server.port, "none")) == Outcome(250, None)

    assert len(server.mails) == 2


@pytest.mark.parametrize("tls", ["starttls", "implicit", "offered"])
async def test_a_certificate_of_another_name_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    context = _served(tmp_path, x509.DNSName("mail.example"), monkeypatch)
    with MailServer(tls=context, implicit=tls == "implicit") as server:
        outcome = await _hand_over(_address(server.port, tls))
    smtp.trusted.cache_clear()

    assert outcome == Outcome(None, "connection: SSLCertVerificationError")
    assert server.attempts == 0


async def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    serving: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    smtp.trusted.cache_clear()
    with MailServer(tls=serving) as server:
        outcome = await _hand_over(_address(server.port, "starttls"))

    assert outcome == Outcome(None, "connection: SSLCertVerificationError")
    assert server.attempts == 0


async def test_where_nobody_listens_it_is_told_so() -> None:
    outcome = await _hand_over(_address(free_port(), "none"))

    assert outcome == Outcome(None, "connection: ConnectionRefusedError")


async def test_an_address_beyond_ascii_goes_to_a_server_that_takes_such() -> None:
    with MailServer() as server:
        outcome = await _hand_over(_address(server.port, "none"), "zoë@acme.example")

    assert outcome == Outcome(250, None)
    assert server.mails[0].recipients == ["zoë@acme.example"]
