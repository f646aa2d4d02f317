"""The outbox of mails: about sessions that began on a device new to their user, and with links by which
people set a password.

A row is written in the transaction that it tells of; the `Mailer` sends it afterwards. As with
notices a claim is a lease: a node that dies loses it, and the mail goes out once more, with the same
Message-ID.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from iam.db.mail_tables import mail as table
from iam.delivery.claims import Outcome
from iam.delivery.listing import State
from iam.delivery.outbox import PURGED, pause
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Conflict, Missing
from iam.kernel.ids import MAIL, make_id
from iam.kernel.secrets import Random

LINK_LIFETIME = 7 * 24 * 60 * 60
"""Seconds for which the link in a mail works, at most."""
RESET_LIFETIME = 60 * 60
"""Seconds for which a link to reset a password works."""
Kind = Literal["device", "invitation", "reset"]
MAILS_A_DAY = 20
"""Mails to one user within 24 hours, at most: a program that signs in anew all day must not fill a box."""
_DAY = 24 * 60 * 60
OUTDATED = "outdated"
"""The error of a mail that was not sent because its link would not work any more."""
ADDRESS = "address"
"""The error of a mail that can be sent to nobody: what stands as the address is none."""


class MailMissing(Missing):
    """There is no such mail, or not for this caller."""

    code = "mail_not_found"
    title = "There is no such mail."


class MailPending(Conflict):
    """It is already to be sent."""

    code = "mail_pending"
    title = "This mail is still to be sent: it need not be asked for again."


class MailOutdated(Conflict):
    """Its link no longer works."""

    code = "mail_outdated"
    title = "The link in this mail no longer works: it is not sent again."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMail:
    """What a mail is about. `content`: what is shown of it (`message.Content`)."""

    user_id: str
    organization: str
    user: str
    recipient: str
    content: Mapping[str, str]
    kind: Kind = "device"
    session: str | None = None
    device_hash: bytes | None = None
    lifetime: int = LINK_LIFETIME
    """Seconds for which its link works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail. `next_at`: when it is tried (or, if it is under way, tried again)."""

    id: str
    kind: Kind
    user_id: str
    organization: str
    user: str
    session: str | None
    device_hash: bytes | None
    recipient: str
    content: Mapping[str, str]
    state: State
    attempts: int
    next_at: Instant
    last_status: int | None
    last_error: str | None
    created_at: Instant
    delivered_at: Instant | None
    link_expires_at: Instant
    link_used_at: Instant | None

    def link_works(self, now: Instant) -> bool:
        """Whether the link in it can still be used."""
        return self.link_used_at is None and now < self.link_expires_at


def add(connection: Connection, new: NewMail, now: Instant, random: Random) -> str | None:
    """Put a mail into the outbox; answer its ID, None when its user has had as many as a day may bring."""
    lately = (
        select(func.count())
        .select_from(table)
        .where(table.c.user_id == new.user_id, table.c.created_at > after(now, -_DAY))
    )
    if connection.execute(lately).scalar_one() >= MAILS_A_DAY:
        return None
    mail_id = make_id(MAIL, now, random)
    connection.execute(
        insert(table),
        {
            "id": mail_id,
            "kind": new.kind,
            "user_id": new.user_id,
            "organization": new.organization,
            "user_name": new.user,
            "session_id": new.session,
            "device_hash": new.device_hash,
            "recipient": new.recipient,
            "content": dict(new.content),
            "state": "pending",
            "attempts": 0,
            "next_at": now,
            "created_at": now,
            "link_expires_at": after(now, new.lifetime),
        },
    )
    return mail_id


def any_due(connection: Connection, now: Instant) -> bool:
    """Whether a mail is to be sent now."""
    due = select(table.c.id).where(table.c.state == "pending", table.c.next_at <= now).limit(1)
    return connection.execute(due).first() is not None


def claim(connection: Connection, now: Instant, *, lease: int) -> Mail | None:
    """Take the mail that has been due for longest, for `lease` seconds, in which nobody else gets it."""
    due = (
        select(table.c.id)
        .where(table.c.state == "pending", table.c.next_at <= now)
        .order_by(table.c.next_at, table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(due).scalar_one_or_none()
    if found is None:
        return None
    row = connection.execute(
        update(table)
        .where(table.c.id == found)
        .values(attempts=table.c.attempts + 1, next_at=after(now, lease))
        .returning(table)
    ).one()
    return _mail(row)


def settle(
    connection: Connection,
    claimed: Mail,
    outcome: Outcome,
    now: Instant,
    *,
    attempts: int,
    random: Random,
) -> State:
    """Note what came of an attempt; after `attempts` of them without success it is given up.

    Whoever lost the claim meanwhile can still say that it arrived, and nothing else.
    """
    values: dict[str, Any] = {"last_status": outcome.status, "last_error": outcome.error}
    change = update(table).where(table.c.id == claimed.id, table.c.state == "pending")
    state: State = "delivered"
    if outcome.error is None:
        values |= {"state": state, "delivered_at": now}
    else:
        change = change.where(table.c.attempts == claimed.attempts)
        over = claimed.attempts >= attempts or outcome.error in (OUTDATED, ADDRESS)
        state = "dead" if over else "pending"
        values |= {"state": state, "next_at": after(now, pause(claimed.attempts, random))}
    connection.execute(change.values(values))
    return state


def list_mails(
    connection: Connection,
    *,
    organization: str | None,
    state: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> tuple[Mail, ...]:
    """Mails, newest first; `organization` None: all. `before`: the ID of the last one of the page
    before."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if organization is not None:
        query = query.where(table.c.organization == organization)
    if state is not None:
        query = query.where(table.c.state == state)
    if before is not None:
        query = query.where(table.c.id < before)
    return tuple(_mail(row) for row in connection.execute(query))


def find_mail(connection: Connection, id_: str) -> Mail:
    """The mail with this ID.

    Raises:
        MailMissing: there is none.
    """
    row = connection.execute(select(table).where(table.c.id == id_)).one_or_none()
    if row is None:
        raise MailMissing
    return _mail(row)


def resend(connection: Connection, id_: str, now: Instant) -> Mail:
    """Send it once more, with all attempts again, whether it was delivered or given up.

    Raises:
        MailMissing: there is none.
        MailPending: it is still to be sent.
        MailOutdated: its link has been used, or is too old.
    """
    found = find_mail(connection, id_)
    if not found.link_works(now):
        raise MailOutdated
    changed = connection.execute(
        update(table)
        .where(table.c.id == id_, table.c.state != "pending")
        .values(state="pending", attempts=0, next_at=now, delivered_at=None)
    )
    if not changed.rowcount:
        raise MailPending
    return find_mail(connection, id_)


def use_link(connection: Connection, id_: str, now: Instant) -> Mail | None:
    """Use up the link of this mail; None if it does not work. Of two who do so at once one succeeds."""
    row = connection.execute(
        update(table)
        .where(table.c.id == id_, table.c.link_used_at.is_(None), table.c.link_expires_at > now)
        .values(link_used_at=now)
        .returning(table)
    ).one_or_none()
    return _mail(row) if row is not None else None


def purge(connection: Connection, now: Instant, retention: int) -> int:
    """Delete mails that are older than `retention` seconds, wait for nobody and whose link no longer
    works; answer how many."""
    old = (
        select(table.c.id)
        .where(
            table.c.created_at < after(now, -max(retention, LINK_LIFETIME)),
            table.c.state != "pending",
        )
        .order_by(table.c.created_at)
        .limit(PURGED)
    )
    gone: int = connection.execute(delete(table).where(table.c.id.in_(old))).rowcount
    return gone


def _mail(row: Row[Any]) -> Mail:
    return Mail(
        id=row.id,
        kind=row.kind,
        user_id=row.user_id,
        organization=row.organization,
        user=row.user_name,
        session=row.session_id,
        device_hash=row.device_hash,
        recipient=row.recipient,
        content=row.content,
        state=row.state,
        attempts=row.attempts,
        next_at=Instant(row.next_at),
        last_status=row.last_status,
        last_error=row.last_error,
        created_at=Instant(row.created_at),
        delivered_at=None if row.delivered_at is None else Instant(row.delivered_at),
        link_expires_at=Instant(row.link_expires_at),
        link_used_at=None if row.link_used_at is None else Instant(row.link_used_at),
    )
