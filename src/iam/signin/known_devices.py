"""Which devices a user has signed in from, and telling them of one that is new.

A browser shows a random cookie of ours, kept for more than a year; a program, which keeps no cookie, is
told by its kind and its network. Neither proves anything: it decides about a mail and about nothing else.
"""

from dataclasses import asdict, dataclass
from enum import Enum, auto
from ipaddress import ip_address, ip_network

from sqlalchemy import Connection, delete, exists, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from iam import audit
from iam.db.mail_tables import known_device as table
from iam.delivery import mails
from iam.delivery.mails import Mail, NewMail
from iam.delivery.message import Content
from iam.directory.organizations import find_organization
from iam.directory.preferences import read_preferences
from iam.directory.users import User
from iam.kernel.clock import Instant, after
from iam.kernel.events import Actor, Event, Origin, mail_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random, hash_secret
from iam.languages import N_
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, Session
from iam.signin.devices import UNKNOWN_DEVICE, device_label

REMEMBERED = 400 * 24 * 60 * 60
"""Seconds for which a device that is not seen stays known: as long as browsers keep a cookie at most."""
MOST = 50
"""Devices of one user that are remembered; beyond that the one not seen for longest goes."""
PURGED = 1000
"""Rows that one purge takes away at most."""


class Sight(Enum):
    """What a sign-in's device is to its user."""

    KNOWN = auto()
    FIRST = auto()
    """The first that there is: of a user who signs in for the first time nobody has news."""
    NEW = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A sign-in that has just succeeded. `cookie`: what the browser showed or is given now; None of a
    program. `mails`: whether mails go anywhere."""

    user: User
    session: Session
    cookie: str | None
    mails: bool
    actor: Actor
    origin: Origin


def notice(connection: Connection, sign_in: SignIn, now: Instant, random: Random) -> None:
    """Remember the device of a sign-in, in its transaction; if it is new, say so: by an event, and by
    a mail if the user has an address."""
    device = _device_hash(sign_in)
    if see(connection, sign_in.user.id, device, now) is not Sight.NEW:
        return
    user, session = sign_in.user, sign_in.session
    mailed = (
        sign_in.mails and user.email is not None and _mail(connection, sign_in, device, now, random)
    )
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sign_in.new_device",
        actor=sign_in.actor,
        organization=user.organization,
        user=user.name,
        application=session.application,
        session=session.id,
        origin=sign_in.origin,
        data={"device": session.device, "mailed": mailed},
    )
    audit.append(connection, [event])


def see(connection: Connection, user_id: str, device: bytes, now: Instant) -> Sight:
    """Remember that this user was seen on this device, and answer what it was to them until now."""
    mine = (table.c.user_id == user_id) & (table.c.device_hash == device)
    seen = update(table).where(mine, table.c.disowned_at.is_(None)).values(last_seen_at=now)
    if connection.execute(seen).rowcount:
        return Sight.KNOWN
    has_one = connection.execute(select(exists().where(table.c.user_id == user_id))).scalar_one()
    # Somebody may have added it meanwhile: then both are told of, which does no harm.
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(
        user_id=user_id, device_hash=device, created_at=now, last_seen_at=now
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={"last_seen_at": now, "disowned_at": None},
        )
    )
    too_many = (
        select(table.c.device_hash)
        .where(table.c.user_id == user_id)
        .order_by(table.c.last_seen_at.desc(), table.c.device_hash)
        .offset(MOST)
    )
    # SQLite knows no offset without a limit.
    gone = connection.execute(too_many.limit(PURGED)).scalars().all()
    if gone:
        connection.execute(
            delete(table).where(table.c.user_id == user_id, table.c.device_hash.in_(gone))
        )
    return Sight.NEW if has_one else Sight.FIRST


def disown(
    connection: Connection, mail_id: str, *, origin: Origin, now: Instant, random: Random
) -> tuple[Mail, tuple[Ended, ...]] | None:
    """Use the link of a mail: end its session, with what was entered from it, and have its device be a
    new one again. None if the link does not work any more."""
    mail = mails.use_link(connection, mail_id, now)
    if mail is None or mail.session is None:
        return None
    actor = mail_actor(mail.organization, mail.user)
    connection.execute(
        update(table)
        .where(table.c.user_id == mail.user_id, table.c.device_hash == mail.device_hash)
        .values(disowned_at=now)
    )
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sign_in.disowned",
        actor=actor,
        organization=mail.organization,
        user=mail.user,
        session=mail.session,
        origin=origin,
        data={"mail": mail.id},
    )
    audit.append(connection, [event])
    ended = lifecycle.end(
        connection,
        [mail.session],
        reason=EndReason.ENDED_BY_USER,
        actor=actor,
        now=now,
        random=random,
        origin=origin,
        note=N_("by the link in the mail about a new device"),
    )
    return mail, ended


def purge(connection: Connection, now: Instant) -> int:
    """Forget devices that have not been seen for long; answer how many. The last one of each user
    stays: without any they would be a new user, and the next device no news."""
    later = table.alias("later")
    old = (
        select(table.c.user_id, table.c.device_hash)
        .where(
            table.c.last_seen_at < after(now, -REMEMBERED),
            exists().where(
                later.c.user_id == table.c.user_id, later.c.last_seen_at > table.c.last_seen_at
            ),
        )
        .order_by(table.c.last_seen_at)
        .limit(PURGED)
    )
    found = connection.execute(old).all()
    if found:
        key = tuple_(table.c.user_id, table.c.device_hash)
        connection.execute(delete(table).where(key.in_([tuple(row) for row in found])))
    return len(found)


def _mail(
    connection: Connection, sign_in: SignIn, device: bytes, now: Instant, random: Random
) -> bool:
    user, session = sign_in.user, sign_in.session
    content = Content(
        display_name=user.display_name,
        organization_name=find_organization(connection, user.organization).display_name,
        device=session.device or UNKNOWN_DEVICE,
        ip=session.ip or "",
        **asdict(read_preferences(connection, user.organization, user.name)),
    )
    new = NewMail(
        user_id=user.id,
        organization=user.organization,
        user=user.name,
        session=session.id,
        device_hash=device,
        recipient=user.email or "",
        content=content._asdict(),
    )
    return mails.add(connection, new, now, random) is not None


def _device_hash(sign_in: SignIn) -> bytes:
    if sign_in.cookie is not None:
        return hash_secret(f"browser {sign_in.cookie}")
    return hash_secret(
        f"program {device_label(sign_in.origin.user_agent)} {_network(sign_in.origin)}"
    )


def _network(origin: Origin) -> str:
    """The neighbourhood of an address: what a provider gives out anew from day to day stays in it."""
    try:
        address = ip_address(origin.ip or "")
    except ValueError:
        return "unknown"
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False))
