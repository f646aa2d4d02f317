"""What a mail with a link to set a password says."""

from email.message import EmailMessage
from html import escape
from typing import NamedTuple

from iam.delivery.mails import Mail
from iam.delivery.message import compose, plain, when


class PasswordContent(NamedTuple):
    """What such a mail shows, as it was when it was written. `seal` stands for the password that there
    was then: the link is good for as long as that has not changed."""

    display_name: str
    organization_name: str
    seal: str


def password_message(mail: Mail, link: str, *, sender: tuple[str, str], host: str) -> EmailMessage:
    """The message: the same at every attempt, with the same Message-ID.

    Raises:
        ValueError: nothing can be sent to the recipient's address.
    """
    content = PasswordContent(**mail.content)
    organization, name = plain(content.organization_name), plain(content.display_name)
    invited = mail.kind == "invitation"
    words = _INVITATION if invited else _RESET
    subject, lead, button, otherwise = (
        one.format(organization=organization, user=mail.user) for one in words
    )
    until = when(mail.link_expires_at)
    return compose(
        mail,
        subject,
        _TEXT.format(name=name, lead=lead, link=link, until=until, otherwise=otherwise),
        _HTML.format(
            name=escape(name),
            lead=escape(lead),
            link=escape(link),
            button=escape(button),
            until=escape(until),
            otherwise=escape(otherwise),
        ),
        display_name=content.display_name,
        sender=sender,
        host=host,
    )


_INVITATION = (
    "Your {organization} account",
    "there is an account for you at {organization}. Your user name is: {user}",
    "Choose a password",
    "If you do not expect this, do nothing: without a password nobody can sign in.",
)
_RESET = (
    "Set a new password for your {organization} account",
    "here is a link to set a new password for your account at {organization}. Your user name is: {user}",
    "Set a new password",
    "If you do not expect this, do nothing, and ask your administrator: your password stays as it is.",
)

_TEXT = """\
Hello {name},

{lead}

Choose a password here. The link works once, until {until}:

{link}

{otherwise}
"""

_HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"></head>
<body style="font-family:system-ui,sans-serif;line-height:1.5;max-width:36em;margin:24px">
<p>Hello {name},</p>
<p>{lead}</p>
<p><a href="{link}">{button}</a></p>
<p>The link works once, until {until}.</p>
<p>{otherwise}</p>
</body>
</html>
"""
