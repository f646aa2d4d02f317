"""A person changes their own password: whoever else is signed in with the old one is not any more."""

from dataclasses import dataclass

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.directory.users import read_password_hash, set_password_hash
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import cut, lifecycle, rules
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.model import EndReason, LiveRow, Selection
from iam.sessions.validate import SessionUnknown
from iam.signin.passwords import Passwords
from iam.signin.proof import PasswordWrong, forgive, prove_password


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """What the holder of a (just validated) session asks for."""

    holder: LiveRow
    current: str
    new: str
    end_others: bool = True
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged:
    """The holder's session with its new token, and which others ended (as far as noted already)."""

    rotated: Started
    ended: tuple[Ended, ...]


def change_password(
    database: Database, passwords: Passwords, change: PasswordChange, now: Instant, random: Random
) -> PasswordChanged:
    """Set a new password, end the user's other sessions, and rotate the holder's.

    The browser session that the holder's was entered from stays, and so do its children. Blocks for
    the time of two hashes: run it in the hash pool.

    Raises:
        PasswordInvalid: the new one cannot be a password.
        PasswordWrong, Throttled: the current one does not prove it (`proof.prove_password`).
        SessionUnknown: the holder's session has ended meanwhile; nothing was changed.
    """
    stored = prove_password(
        database,
        passwords,
        change.holder,
        change.current,
        origin=change.origin,
        now=now,
        random=random,
    )
    hashed = passwords.hash(change.new)
    return database.write(lambda c: _change(c, change, stored, hashed, now, random))


def _change(
    connection: Connection,
    change: PasswordChange,
    stored: str,
    hashed: str,
    now: Instant,
    random: Random,
) -> PasswordChanged:
    holder, origin = change.holder, change.origin
    organization, user = holder.organization, holder.user
    actor = user_actor(organization, user)
    # Alone, so that no sign-in with the old password is under way and starts a session after this.
    rules.hold_rules(connection, organization)
    if read_password_hash(connection, organization, user) != stored:
        raise PasswordWrong
    set_password_hash(connection, organization, user, hashed)
    forgive(connection, holder)
    rotated = lifecycle.rotate(
        connection, holder.id, actor=actor, now=now, random=random, origin=origin
    )
    if rotated is None:
        raise SessionUnknown
    ended: tuple[Ended, ...] = ()
    if change.end_others:
        ended = cut.end_at_once(
            connection,
            Selection(organization=organization, user=user, but=holder.id),
            reason=EndReason.CREDENTIALS_CHANGED,
            actor=actor,
            now=now,
            random=random,
            origin=origin,
        )
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="user.updated",
        actor=actor,
        organization=organization,
        user=user,
        session=holder.id,
        origin=origin,
        data={"changed": ["password"]},
    )
    audit.append(connection, [event])
    return PasswordChanged(rotated=rotated, ended=ended)
