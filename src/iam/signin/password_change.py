"""A person changes their own password: whoever else is signed in with the old one is not any more."""

from dataclasses import dataclass

from sqlalchemy import Connection

from iam.db import Database
from iam.directory.users import set_password_hash
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Origin, user_actor
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.sessions import lifecycle, rules
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.model import LiveRow
from iam.sessions.validate import SessionUnknown
from iam.signin.credentials import credentials_changed
from iam.signin.passwords import Passwords
from iam.signin.proof import Proof, confirm, prove


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """What the holder of a (just validated) session asks for."""

    holder: LiveRow
    current: str
    new: str
    code: str | None = None
    """Of their second factor, if they have one."""
    end_others: bool = True
    origin: Origin = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged:
    """The holder's session with its new token, and which others ended (as far as noted already)."""

    rotated: Started
    ended: tuple[Ended, ...]


def change_password(
    database: Database,
    passwords: Passwords,
    cipher: Cipher,
    change: PasswordChange,
    now: Instant,
    random: Random,
) -> PasswordChanged:
    """Set a new password, end the user's other sessions, and rotate the holder's.

    The browser session that the holder's was entered from stays, and so do its children. Blocks for
    the time of two hashes: run it in the hash pool.

    Raises:
        PasswordInvalid: the new one cannot be a password.
        PasswordWrong, FactorRequired, CodeWrong, Throttled: who asks has not proved it (`proof.prove`).
        SessionUnknown: the holder's session has ended meanwhile; nothing was changed.
    """
    proof = prove(
        database,
        passwords,
        cipher,
        change.holder,
        change.current,
        change.code,
        origin=change.origin,
        now=now,
        random=random,
    )
    hashed = passwords.hash(change.new)
    return database.write(lambda c: _change(c, change, proof, hashed, now, random))


def _change(
    connection: Connection,
    change: PasswordChange,
    proof: Proof,
    hashed: str,
    now: Instant,
    random: Random,
) -> PasswordChanged:
    holder, origin = change.holder, change.origin
    organization, user = holder.organization, holder.user
    actor = user_actor(organization, user)
    # Alone, so that no sign-in with the old password is under way and starts a session after this.
    rules.hold_rules(connection, organization)
    confirm(connection, holder, proof)
    set_password_hash(connection, organization, user, hashed)
    rotated = lifecycle.rotate(
        connection, holder.id, actor=actor, now=now, random=random, origin=origin
    )
    if rotated is None:
        raise SessionUnknown
    ended = credentials_changed(
        connection,
        "user.updated",
        organization,
        user,
        data={"changed": ["password"]},
        actor=actor,
        now=now,
        random=random,
        origin=origin,
        holder=holder.id,
        end_others=change.end_others,
    )
    return PasswordChanged(rotated=rotated, ended=ended)
