"""A person unlocks a session of theirs with their password and, if they have one, their second factor."""

from dataclasses import dataclass

from sqlalchemy import Connection

from iam.db import Database
from iam.kernel.clock import Instant
from iam.kernel.events import NOWHERE, Origin, user_actor
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.sessions import lock, rules
from iam.sessions.lifecycle import Started
from iam.sessions.model import LiveRow
from iam.signin.passwords import Passwords
from iam.signin.proof import confirm, prove


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """What the holder of a (just judged) session asks for: `session` is that one, or a child of it."""

    holder: LiveRow
    session: str
    password: str
    code: str | None = None
    origin: Origin = NOWHERE


def unlock_with_password(
    database: Database,
    passwords: Passwords,
    cipher: Cipher,
    wanted: Unlock,
    now: Instant,
    random: Random,
) -> Started:
    """Unlock the session; answer the holder's with its new token.

    Blocks for the time of a hash: run it in the hash pool.

    Raises:
        PasswordWrong, FactorRequired, CodeWrong, Throttled: who asks has not proved it (`proof.prove`).
        SessionOver, NotLocked, ParentLocked: as `lock.unlock` says.
    """
    holder = wanted.holder
    proof = prove(
        database,
        passwords,
        cipher,
        holder,
        wanted.password,
        wanted.code,
        origin=wanted.origin,
        now=now,
        random=random,
    )

    def work(connection: Connection) -> Started:
        rules.share_rules(connection, holder.organization)
        confirm(connection, holder, proof)
        return lock.unlock(
            connection,
            wanted.session,
            holder=holder.id,
            amr=proof.amr,
            actor=user_actor(holder.organization, holder.user),
            now=now,
            random=random,
            origin=wanted.origin,
        )

    return database.write(work)
