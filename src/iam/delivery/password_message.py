"""What a mail with a link to set a password says."""

from email.message import EmailMessage
from typing import NamedTuple

from iam.delivery.mails import Mail
from iam.delivery.message import Link, Part, compose, plain, when
from iam.languages import ENGLISH, _, speaking, spoken


class PasswordContent(NamedTuple):
    """What such a mail shows, as it was when it was written. `seal` stands for the password that there
    was then: the link is good for as long as that has not changed. `locale` and `zone` are what its reader
    has said about languages and times."""

    display_name: str
    organization_name: str
    seal: str
    locale: str | None = None
    zone: str | None = None


def password_message(mail: Mail, link: str, *, sender: tuple[str, str], host: str) -> EmailMessage:
    """The message: the same at every attempt, with the same Message-ID.

    Raises:
        ValueError: nothing can be sent to the recipient's address.
    """
    content = PasswordContent(**mail.content)
    organization, name = plain(content.organization_name), plain(content.display_name)
    with speaking(spoken(content.locale) or ENGLISH, content.zone):
        if mail.kind == "invitation":
            subject = _("Your %(organization)s account", organization=organization)
            lead = _("there is an account for you at %(organization)s.", organization=organization)
            button = _("Choose a password")
            otherwise = _(
                "If you do not expect this, do nothing: without a password nobody can sign in."
            )
        else:
            subject = _(
                "Set a new password for your %(organization)s account", organization=organization
            )
            lead = _(
                "here is a link to set a new password for your account at %(organization)s.",
                organization=organization,
            )
            button = _("Set a new password")
            otherwise = _(
                "If you do not expect this, do nothing, and ask your administrator: "
                "your password stays as it is."
            )
        until = when(mail.link_expires_at)
        parts: list[Part] = [
            _("Hello %(name)s,", name=name),
            lead + " " + _("Your user name is: %(user)s", user=mail.user),
            Link(button, link),
            _("The link works once, until %(until)s.", until=until),
            otherwise,
        ]
        return compose(
            mail, subject, parts, display_name=content.display_name, sender=sender, host=host
        )
