"""Somebody who holds a session shows their password once more: to change it, or to unlock the session.

A stolen token alone must not do either, so guesses are counted together with those of sign-ins.
"""

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.directory.users import read_password_hash
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden, Throttled
from iam.kernel.events import Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions.model import LiveRow
from iam.signin import throttle
from iam.signin.passwords import Passwords


class PasswordWrong(Forbidden):
    """Not the password of the session's user, or they have none."""

    code = "password_wrong"
    title = "The password is not right."


def prove_password(
    database: Database,
    passwords: Passwords,
    holder: LiveRow,
    password: str,
    *,
    origin: Origin,
    now: Instant,
    random: Random,
) -> str:
    """Check the password of a session's user; answer the hash it was compared with.

    Blocks for the time of a hash: run it in the hash pool. Whoever acts on the answer compares the hash
    again in the transaction that does, under the rules' lock: the password may have been changed since.

    Raises:
        PasswordWrong: it is not the password, the user has none, or is disabled.
        Throttled: too many failures; the password was not looked at.
    """
    keys = [throttle.account_key(holder.organization, holder.user)]
    if origin.ip is not None:
        keys.append(throttle.address_key(origin.ip))

    def look(connection: Connection) -> tuple[int, str | None]:
        return (
            throttle.blocked_for(connection, keys, now),
            read_password_hash(connection, holder.organization, holder.user),
        )

    seconds, stored = database.read(look)
    if seconds:
        raise Throttled(seconds)
    if not passwords.matches(password, stored) or stored is None:
        database.write(lambda c: _fail(c, holder, keys, origin, now, random))
        raise PasswordWrong
    return stored


def forgive(connection: Connection, holder: LiveRow) -> None:
    """Forget the failures of the account whose owner has just shown the right password."""
    throttle.forgive(connection, throttle.account_key(holder.organization, holder.user))


def _fail(
    connection: Connection,
    holder: LiveRow,
    keys: list[str],
    origin: Origin,
    now: Instant,
    random: Random,
) -> None:
    blocked = [key for key in keys if throttle.count_failure(connection, key, now)]
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sign_in.failed",
        actor=user_actor(holder.organization, holder.user),
        organization=holder.organization,
        user=holder.user,
        application=holder.application,
        session=holder.id,
        reason="blocked" if blocked else "credentials",
        origin=origin,
    )
    audit.append(connection, [event])
