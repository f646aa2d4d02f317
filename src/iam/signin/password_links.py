"""Links by which people set a password: their first one, by invitation, or a new one.

A link works once, for as long as neither the password that there was when it was mailed nor the address has
changed, and signs nobody in: whoever set a password signs in with it, through every step that there is.
"""

from dataclasses import asdict
from hmac import compare_digest
from typing import Literal

from sqlalchemy import Connection

from iam import audit
from iam.delivery import mails
from iam.delivery.mails import LINK_LIFETIME, RESET_LIFETIME, Mail, MailMissing, NewMail
from iam.delivery.password_message import PasswordContent
from iam.directory.names import UserMissing
from iam.directory.organizations import find_organization
from iam.directory.preferences import read_preferences
from iam.directory.users import User, find_user, read_password_hash, set_password_hash
from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict
from iam.kernel.events import Actor, Event, Origin, mail_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random, hash_secret
from iam.languages import _
from iam.sessions import rules
from iam.sessions.lifecycle import Ended
from iam.signin import throttle
from iam.signin.credentials import credentials_changed


class NoAddress(Conflict):
    """There is no way to mail this user a link."""

    code = "no_mail_address"
    title = "This user cannot be mailed a link."


class TooManyMails(Conflict):
    """A user is mailed so many times a day at most."""

    code = "too_many_mails"
    title = "This user has had as many mails as a day may bring."


def mail_link(
    connection: Connection,
    user: User,
    *,
    sends_mail: bool,
    actor: Actor,
    origin: Origin,
    now: Instant,
    random: Random,
) -> str:
    """Mail a user a link to set a password: an invitation if they have none; answer the mail's ID.

    Args:
        sends_mail: whether this installation can.

    Raises:
        NoAddress: they have no e-mail address, are disabled, or no mail is sent here.
        TooManyMails: they have had as many as a day may bring.
    """
    if not sends_mail:
        raise NoAddress(_("This installation sends no mail."))
    if user.email is None:
        raise NoAddress(_("There is no e-mail address."))
    if not user.admitted:
        raise NoAddress(_("The user is disabled."))
    kind: Literal["invitation", "reset"] = "reset" if user.has_password else "invitation"
    content = PasswordContent(
        display_name=user.display_name,
        organization_name=find_organization(connection, user.organization).display_name,
        seal=_seal(connection, user.organization, user.name),
        **asdict(read_preferences(connection, user.organization, user.name)),
    )
    mail_id = mails.add(
        connection,
        NewMail(
            kind=kind,
            user_id=user.id,
            organization=user.organization,
            user=user.name,
            recipient=user.email,
            content=content._asdict(),
            lifetime=LINK_LIFETIME if kind == "invitation" else RESET_LIFETIME,
        ),
        now,
        random,
    )
    if mail_id is None:
        raise TooManyMails
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="user.link_mailed",
        actor=actor,
        organization=user.organization,
        user=user.name,
        origin=origin,
        data={"mail": mail_id, "kind": kind},
    )
    audit.append(connection, [event])
    return mail_id


def good_link(connection: Connection, mail_id: str, now: Instant) -> Mail | None:
    """The mail of a link, if a password may be set by it now."""
    try:
        mail = mails.find_mail(connection, mail_id)
        user = find_user(connection, mail.organization, mail.user)
    except (MailMissing, UserMissing):
        return None
    good = (
        mail.kind != "device"
        and mail.link_works(now)
        # Not one who got the name after them.
        and user.id == mail.user_id
        and user.admitted
        # Whoever has a former address, or got the mail by mistake, is not them.
        and user.email == mail.recipient
        and compare_digest(
            _seal(connection, mail.organization, mail.user), str(mail.content["seal"])
        )
    )
    return mail if good else None


def set_by_link(
    connection: Connection,
    mail_id: str,
    password_hash: str,
    *,
    now: Instant,
    random: Random,
    origin: Origin,
) -> tuple[Mail, tuple[Ended, ...]] | None:
    """Use the link up: set the password, and end all sessions of its user. None if it does not work."""
    mail = good_link(connection, mail_id, now)
    if mail is None:
        return None
    organization, user = mail.organization, mail.user
    # Alone, so that no sign-in with the old password is under way and starts a session after this.
    rules.hold_rules(connection, organization)
    if good_link(connection, mail_id, now) is None or not mails.use_link(connection, mail_id, now):
        return None
    set_password_hash(connection, organization, user, password_hash)
    throttle.forgive(connection, throttle.account_key(organization, user))
    ended = credentials_changed(
        connection,
        "user.updated",
        organization,
        user,
        data={"changed": ["password"], "mail": mail_id},
        actor=mail_actor(organization, user),
        now=now,
        random=random,
        origin=origin,
    )
    return mail, ended


def _seal(connection: Connection, organization: str, name: str) -> str:
    return hash_secret(read_password_hash(connection, organization, name) or "").hex()
