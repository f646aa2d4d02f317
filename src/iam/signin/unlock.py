"""A person unlocks a session of theirs with their password."""

from dataclasses import dataclass

from sqlalchemy import Connection

from iam.db import Database
from iam.directory.users import read_password_hash
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Origin, user_actor
from iam.kernel.secrets import Random
from iam.sessions import lock, rules
from iam.sessions.lifecycle import Started
from iam.sessions.model import LiveRow
from iam.signin.passwords import Passwords
from iam.signin.proof import PasswordWrong, forgive, prove_password


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """What the holder of a (just judged) session asks for: `session` is that one, or a child of it."""

    holder: LiveRow
    session: str
    password: str
    origin: Origin = NOWHERE


def unlock_with_password(
    database: Database, passwords: Passwords, wanted: Unlock, now: Instant, random: Random
) -> Started:
    """Unlock the session; answer the holder's with its new token.

    Blocks for the time of a hash: run it in the hash pool.

    Raises:
        PasswordWrong, Throttled: the password does not prove it (`proof.prove_password`).
        SessionOver, NotLocked, ParentLocked: as `lock.unlock` says.
    """
    holder = wanted.holder
    stored = prove_password(
        database,
        passwords,
        holder,
        wanted.password,
        origin=wanted.origin,
        now=now,
        random=random,
    )

    def work(connection: Connection) -> Started:
        rules.share_rules(connection, holder.organization)
        if read_password_hash(connection, holder.organization, holder.user) != stored:
            raise PasswordWrong
        forgive(connection, holder)
        return lock.unlock(
            connection,
            wanted.session,
            holder=holder.id,
            actor=user_actor(holder.organization, holder.user),
            now=now,
            random=random,
            origin=wanted.origin,
        )

    return database.write(work)
