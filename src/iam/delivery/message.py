"""What a mail says: headers, a text and the same as HTML.

Everything in it is somebody's to choose: the user agent is whoever signed in's, names are a user's or an
administrator's. Nothing of it may start a header, become markup, or be made a link by a reader of mail.
"""

import re
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from textwrap import fill
from typing import NamedTuple

import idna

from iam.delivery.mails import Mail
from iam.kernel.clock import Instant, to_datetime
from iam.languages import ENGLISH, _, reader, speaking, spoken, times

_LOCAL_PART = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_LONGEST = 80


class Content(NamedTuple):
    """What a mail about a new device shows, as it was when it was written; `locale` and `zone` are what its
    reader has said about languages and times."""

    display_name: str
    organization_name: str
    device: str
    ip: str
    locale: str | None = None
    zone: str | None = None


def write_message(mail: Mail, link: str, *, sender: tuple[str, str], host: str) -> EmailMessage:
    """The message: the same at every attempt, with the same Message-ID.

    Args:
        sender: name and address.
        host: the name of the issuer's, which makes the Message-ID unique in the world (RFC 5322 §3.6.4).

    Raises:
        ValueError: nothing can be sent to the recipient's address.
    """
    content = Content(**mail.content)
    organization, name = plain(content.organization_name), plain(content.display_name)
    with speaking(spoken(content.locale) or ENGLISH, content.zone):
        facts = (
            (_("Device"), unlinked(content.device)),
            (_("Time"), when(mail.created_at)),
            (_("IP address"), plain(content.ip) or _("unknown")),
            (_("Organization"), organization),
            (_("User name"), mail.user),
        )
        until = when(mail.link_expires_at)
        parts: list[Part] = [
            _("Hello %(name)s,", name=name),
            _("your account was used to sign in from a device that we had not seen before:"),
            facts,
            _("Was it you? Then there is nothing to do."),
            _("If it was not you, end that session now.")
            + " "
            + _(
                "The link works once, until %(until)s, and signs nobody in.",
                until=until,
            ),
            Link(_("End that session"), link),
            _("Then get a new password at once: whoever signed in knows the one you have."),
        ]
        subject = _("New sign-in to your %(organization)s account", organization=organization)
        return compose(
            mail, subject, parts, display_name=content.display_name, sender=sender, host=host
        )


class Link(NamedTuple):
    """An address to press on, and what the button says."""

    words: str
    address: str


Part = str | Link | tuple[tuple[str, str], ...]
"""A paragraph, a link, or a table of facts."""


def compose(
    mail: Mail,
    subject: str,
    parts: Sequence[Part],
    *,
    display_name: str,
    sender: tuple[str, str],
    host: str,
) -> EmailMessage:
    """A message with the headers that all of ours have, in the reader's language.

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
    message.set_content(_text(parts))
    message.add_alternative(_html(parts), subtype="html")
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
    """An instant as people write it: `26 Nov 2026, 09:41 UTC`."""
    return times.exact(to_datetime(instant))


def _text(parts: Sequence[Part]) -> str:
    written = []
    for part in parts:
        if isinstance(part, str):
            written.append(fill(part, 76, break_long_words=False, break_on_hyphens=False))
        elif isinstance(part, Link):
            written.append(part.address)
        else:
            width = max(len(name) for name, _value in part) + 2
            written.append("\n".join(f"  {name + ':':<{width}}{value}" for name, value in part))
    return "\n\n".join(written) + "\n"


def _html(parts: Sequence[Part]) -> str:
    body = "\n".join(_marked_up(part) for part in parts)
    return (
        f'<!doctype html>\n<html lang="{reader().language}">\n'
        '<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"></head>\n'
        '<body style="font-family:system-ui,sans-serif;line-height:1.5;max-width:36em;margin:24px">\n'
        f"{body}\n</body>\n</html>\n"
    )


def _marked_up(part: Part) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Link):
        return f'<p><a href="{escape(part.address)}">{escape(part.words)}</a></p>'
    cell = "padding:4px 16px 4px 0;text-align:left;vertical-align:top"
    rows = "\n".join(
        f'<tr><th style="{cell};font-weight:normal;opacity:.75">{escape(name)}</th>'
        f'<td style="{cell}">{escape(value)}</td></tr>'
        for name, value in part
    )
    return f'<table style="border-collapse:collapse">\n{rows}\n</table>'
