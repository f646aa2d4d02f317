"""Somebody who holds a session shows once more who they are: to change a password or a second factor, or
to unlock the session.

A stolen token alone must not do any of it, so guesses are counted together with those of sign-ins. Whoever
has a second factor shows that as well.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.directory.users import find_user, read_password_hash
from iam.kernel.authn import PASSWORD, with_code
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden, Throttled
from iam.kernel.events import Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.sessions.model import LiveRow
from iam.signin import throttle
from iam.signin.factors import FactorRequired, find_factor
from iam.signin.passwords import Passwords
from iam.signin.second_step import Claim, check_code


class PasswordWrong(Forbidden):
    """Not the password of the session's user, or they have none."""

    code = "password_wrong"
    title = "The password is not right."


@dataclass(frozen=True, slots=True)
class Proof:
    """What was shown: the password with this hash and, unless None, the second factor with this ID."""

    password_hash: str
    factor: str | None

    @property
    def amr(self) -> tuple[str, ...]:
        """By which methods."""
        return (PASSWORD,) if self.factor is None else with_code((PASSWORD,))


def prove(
    database: Database,
    passwords: Passwords,
    cipher: Cipher,
    holder: LiveRow,
    password: str,
    code: str | None,
    *,
    origin: Origin,
    now: Instant,
    random: Random,
) -> Proof:
    """Check the password of a session's user and, if they have a second factor, a code.

    Blocks for the time of a hash: run it in the hash pool. Whoever acts on the answer calls `confirm` in
    the transaction that does.

    Raises:
        PasswordWrong: it is not the password, the user has none, or is disabled.
        FactorRequired: the password is right, and there is no code.
        CodeWrong: the password is right, and the code is not.
        Throttled: too many failures; neither was looked at.
    """
    stored = _prove_password(
        database, passwords, holder, password, origin=origin, now=now, random=random
    )

    def look(connection: Connection) -> str | None:
        found = find_factor(connection, find_user(connection, holder.organization, holder.user).id)
        return found.id if found is not None else None

    factor = database.read(look)
    if factor is None:
        return Proof(stored, None)
    if not code:
        raise FactorRequired
    claim = Claim(
        organization=holder.organization,
        username=holder.user,
        code=code,
        application=holder.application,
        origin=origin,
        session=holder.id,
    )
    return Proof(stored, check_code(database, cipher, claim, now, random))


def needs_factor(connection: Connection, organization: str, name: str) -> bool:
    """Whether this user shows a code besides the password."""
    return find_factor(connection, find_user(connection, organization, name).id) is not None


def confirm(connection: Connection, holder: LiveRow, proof: Proof) -> None:
    """See to it that what was shown is still so, and forget the account's failures. Call it under the
    rules' lock: the password may have been changed since, or the second factor.

    Raises:
        PasswordWrong: it is not.
    """
    organization, user = holder.organization, holder.user
    if read_password_hash(connection, organization, user) != proof.password_hash:
        raise PasswordWrong
    factor = find_factor(connection, find_user(connection, organization, user).id)
    if (factor.id if factor is not None else None) != proof.factor:
        raise PasswordWrong
    throttle.forgive(connection, throttle.account_key(organization, user))


def _prove_password(
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

    Raises:
        PasswordWrong, Throttled: see `prove`.
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
