"""What a mail says, whoever chose the names in it: no header, no markup and no link but ours."""

from email.message import EmailMessage

import pytest

from iam.delivery.mails import Mail
from iam.delivery.message import Content, to_address, write_message
from iam.kernel.clock import Instant
from tests.support.mail_server import Taken, taken

LINK = "https://id.example.com/sign-out/device?t=abc"
HEADERS = {
    "subject",
    "from",
    "to",
    "date",
    "message-id",
    "auto-submitted",
    "x-auto-response-suppress",
    "mime-version",
    "content-type",
}


def written(
    recipient: str = "ann@acme.example",
    *,
    display_name: str = "Ann",
    organization_name: str = "Acme",
    device: str = "Firefox on Linux",
    user: str = "ann",
) -> EmailMessage:
    content = Content(display_name, organization_name, device, "203.0.113.7")
    mail = Mail(
        kind="device",
        id="eml_1",
        user_id="usr_1",
        organization="acme",
        user=user,
        session="ses_1",
        device_hash=b"",
        recipient=recipient,
        content=content._asdict(),
        state="pending",
        attempts=1,
        next_at=Instant(0),
        last_status=None,
        last_error=None,
        created_at=Instant(1_795_000_000_000),
        delivered_at=None,
        link_expires_at=Instant(1_795_600_000_000),
        link_used_at=None,
    )
    sender = ("Acme", "id@acme.example")
    return write_message(mail, LINK, sender=sender, host="id.example.com")


def sent(message: EmailMessage) -> Taken:
    """As it arrives."""
    return taken(message.as_bytes())


@pytest.mark.parametrize(
    "hostile",
    [
        "Ann\r\nBcc: everybody@evil.example",
        "Ann\nContent-Type: text/html",
        "Ann\u2028Bcc: x@evil.example",
        'Ann" <x@evil.example>, "B',
        "<b>Ann</b>",
        "\u202egpj.exe",
        "x" * 5000,
        "\ud800",
        "=?utf-8?q?Bcc=3A_x=40evil.example?=",
    ],
)
def test_a_name_makes_no_header_no_recipient_and_no_markup(hostile: str) -> None:
    mail = sent(written(display_name=hostile, organization_name=hostile, device=hostile))

    assert {name.lower() for name in mail.message} == HEADERS
    (to,) = mail.message["to"].addresses
    assert to.addr_spec == "ann@acme.example"
    assert len(mail.message["subject"]) < 200
    assert "\u202e" not in mail.text
    for tag in ("<b>", "<x@"):
        assert tag not in mail.html
    lines = mail.raw.split(b"\r\n")
    assert max(len(line) for line in lines) <= 998
    assert not any(b"\n" in line or b"\r" in line for line in lines)


def test_what_a_browser_calls_itself_is_not_made_a_link() -> None:
    mail = sent(written(device="https://evil.example/ www.evil.example me@evil.example"))

    assert "evil.example" not in mail.text + mail.html
    assert mail.text.count("://") == 1


def test_names_of_all_scripts_arrive_as_they_are() -> None:
    mail = sent(written(display_name="Zoë 山田", organization_name="Größe & Söhne"))

    assert mail.message["to"].addresses[0].display_name == "Zoë 山田"
    assert mail.message["subject"] == "New sign-in to your Größe & Söhne account"
    assert "Größe & Söhne" in mail.text
    assert "Größe &amp; Söhne" in mail.html
    assert "Hello Zoë 山田," in mail.text


def test_every_attempt_sends_the_same_bytes() -> None:
    assert written().as_bytes() == written().as_bytes()


def test_an_address_with_an_international_domain_is_written_for_every_server() -> None:
    # Not grösse.example (IDNA 2003), which is another one's.
    assert to_address("", "ann@größe.example").addr_spec == "ann@xn--gre-6ka8i.example"


@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "@acme.example",
        "ann@",
        "a b@acme.example",
        "a,b@acme.example",
        "<ann@acme.example>",
        "ann@acme.example>",
        "ann@x@acme.example",
        '"ann"@acme.example',
        "ann@acme..example",
        "ann@[127.0.0.1]",
        "ann\n@acme.example",
        "ann@acme.example\nRCPT TO:<x@y>",
    ],
)
def test_nothing_is_sent_to_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_address("", address)
