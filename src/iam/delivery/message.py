"""What a mail says: headers, a text and the same as HTML.

Everything in it is somebody's to choose: the user agent is whoever signed in's, names are a user's or an
administrator's. Nothing of it may start a header, become markup, or be made a link by a reader of mail.
"""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import NamedTuple

import idna

from iam.delivery.mails import Mail
from iam.kernel.clock import Instant, to_datetime

_LOCAL_PART = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_LONGEST = 80


class Content(NamedTuple):
    """What a mail about a new device shows, as it was when it was written."""

    display_name: str
    organization_name: str
    device: str
    ip: str


def write_message(mail: Mail, link: str, *, sender: tuple[str, str], host: str) -> EmailMessage:
    """The message: the same at every attempt, with the same Message-ID.

    Args:
        sender: name and address.
        host: the name of the issuer's, which makes the Message-ID unique in the world (RFC 5322 §3.6.4).

    Raises:
        ValueError: nothing can be sent to the recipient's address.
    """
    content = Content(**mail.content)
    organization = plain(content.organization_name)
    facts = (
        ("Device", unlinked(content.device)),
        ("Time", when(mail.created_at)),
        ("IP address", plain(content.ip) or "unknown"),
        ("Organization", organization),
        ("User name", mail.user),
    )
    until = when(mail.link_expires_at)
    name = plain(content.display_name)
    return compose(
        mail,
        f"New sign-in to your {organization} account",
        _TEXT.format(name=name, facts=_lines(facts), link=link, until=until),
        _HTML.format(
            name=escape(name), facts=_table(facts), link=escape(link), until=escape(until)
        ),
        display_name=content.display_name,
        sender=sender,
        host=host,
    )


def compose(
    mail: Mail,
    subject: str,
    text: str,
    html: str,
    *,
    display_name: str,
    sender: tuple[str, str],
    host: str,
) -> EmailMessage:
    """A message with the headers that all of ours have.

    Raises:
        ValueError: nothing can be sent to the recipient's address.
    """
    message = EmailMessage(SMTP)
    message["Subject"] = subject
    message["From"] = Address(plain(sender[0]), addr_spec=sender[1])
    message["To"] = to_address(display_name, mail.recipient)
    message["Date"] = format_datetime(to_datetime(mail.created_at))
    message["Message-ID"] = f"<{mail.id}@{host}>"
    # RFC 3834 §5: whoever is on holiday need not tell a program.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    # By chance otherwise: then two attempts would differ.
    message.set_boundary(f"={mail.id}=")
    return message


def to_address(name: str, address: str) -> Address:
    """A person as `To` has them.

    Raises:
        ValueError: it is no address that mail can go to.
    """
    local, _, domain = address.rpartition("@")
    # IDNA 2008: the codec that comes with Python would make another domain, another one's, of some.
    domain = idna.encode(domain, uts46=True).decode("ascii")
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise ValueError("no address")
    return Address(plain(name), username=local, domain=domain)


def plain(text: str) -> str:
    """One line without what cannot be seen: no line ends, controls or turns of direction."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]


def unlinked(text: str) -> str:
    """A device's label without what a reader of mail would take for an address and make a link of."""
    return plain(re.sub(r"[^\w ()+-]", " ", text)) or "unknown"


def when(instant: Instant) -> str:
    """An instant as people write it: `26 November 2026, 09:41 UTC`."""
    return to_datetime(instant).strftime("%-d %B %Y, %H:%M UTC")


def _lines(facts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"  {name + ':':<14}{value}" for name, value in facts)


def _table(facts: tuple[tuple[str, str], ...]) -> str:
    cell = "padding:4px 16px 4px 0;text-align:left;vertical-align:top"
    return "\n".join(
        f'<tr><th style="{cell};font-weight:normal;opacity:.75">{escape(name)}</th>'
        f'<td style="{cell}">{escape(value)}</td></tr>'
        for name, value in facts
    )


_TEXT = """\
Hello {name},

your account was used to sign in from a device that we had not seen before:

{facts}

Was it you? Then there is nothing to do.

If it was not you, end that session now. The link works once, until {until},
and signs nobody in:

{link}

Then get a new password at once: whoever signed in knows the one you have.
"""

_HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"></head>
<body style="font-family:system-ui,sans-serif;line-height:1.5;max-width:36em;margin:24px">
<p>Hello {name},</p>
<p>your account was used to sign in from a device that we had not seen before:</p>
<table style="border-collapse:collapse">
{facts}
</table>
<p><strong>Was it you?</strong> Then there is nothing to do.</p>
<p><strong>If it was not you</strong>, end that session now. The link works once, until {until}, and signs
nobody in:</p>
<p><a href="{link}">End that session</a></p>
<p>Then get a new password at once: whoever signed in knows the one you have.</p>
</body>
</html>
"""
