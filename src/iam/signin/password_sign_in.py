"""Signing in with a user name and a password."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.directory.users import read_password_hash, set_password_hash
from iam.kernel.authn import PASSWORD
from iam.kernel.clock import Instant
from iam.kernel.errors import Throttled, Unauthenticated
from iam.kernel.events import Event, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.sessions import rules
from iam.sessions.lifecycle import Started
from iam.signin import throttle
from iam.signin.arrival import Arrival, FactorNeeded, NoRoom, Proven, arrive, password_seal
from iam.signin.passwords import Passwords


class CredentialsInvalid(Unauthenticated):
    """No enabled user of this name with this password: which of the two is not said."""

    code = "credentials_invalid"
    title = "The user name or the password is not right."


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordAttempt:
    """What somebody claims."""

    organization: str
    username: str
    password: str
    arrival: Arrival


def sign_in_with_password(
    database: Database, passwords: Passwords, attempt: PasswordAttempt, now: Instant, random: Random
) -> Started:
    """Check a password and start a session, or raise the one that is there. Blocks for the time of a
    hash: run it in the hash pool.

    The throttle is asked right before the hash, in the pool: of a thousand guesses sent at once only
    as many are tried as there are workers before the block holds.

    Raises:
        CredentialsInvalid: unknown user, wrong password, disabled, no such organization or
            application: one answer for all, after the same work.
        Throttled: too many failures; the password was not looked at.
        FactorNeeded: the password is right, and the user has a second factor (`second_step`).
        NoRoom: the user has as many sessions as the policy allows.
    """
    attempt = replace(
        attempt,
        organization=_storable(attempt.organization),
        username=_storable(attempt.username),
        arrival=replace(attempt.arrival, application=_storable(attempt.arrival.application)),
    )
    account = throttle.account_key(attempt.organization, attempt.username)
    keys = [account]
    if attempt.arrival.origin.ip is not None:
        keys.append(throttle.address_key(attempt.arrival.origin.ip))

    def look(connection: Connection) -> tuple[int, str | None]:
        return (
            throttle.blocked_for(connection, keys, now),
            read_password_hash(connection, attempt.organization, attempt.username),
        )

    seconds, stored = database.read(look)
    if seconds:
        raise Throttled(seconds)
    matched = passwords.matches(attempt.password, stored)
    renewed = (
        passwords.hash_known(attempt.password)
        if matched and stored is not None and passwords.outdated(stored)
        else None
    )
    started = None
    if matched and stored is not None:
        proven = Proven(
            organization=attempt.organization,
            username=attempt.username,
            amr=(PASSWORD,),
            seal=password_seal(stored),
        )
        try:
            started = _arrive(database, proven, attempt.arrival, now, random, renewed)
        except FactorNeeded as needed:
            if renewed is None:
                raise
            new, proven = renewed, replace(proven, seal=password_seal(renewed))
            database.write(lambda c: _renew(c, proven, stored, new))
            raise FactorNeeded(proven) from needed
    if started is None:
        database.write(lambda c: _fail(c, attempt, keys, now, random))
        raise CredentialsInvalid
    return started


def go_on(
    database: Database, proven: Proven, arrival: Arrival, now: Instant, random: Random
) -> Started:
    """Go on with a sign-in whose person was asked something else after their proof.

    Raises:
        CredentialsInvalid: what they proved, or the user, is no longer what it was.
        NoRoom: the user has as many sessions as the policy allows.
    """
    started = _arrive(database, proven, arrival, now, random)
    if started is None:
        raise CredentialsInvalid
    return started


def _arrive(
    database: Database,
    proven: Proven,
    arrival: Arrival,
    now: Instant,
    random: Random,
    renewed: str | None = None,
) -> Started | None:
    try:
        return database.write(
            lambda c: arrive(c, proven, arrival, now, random, renewed=renewed),
        )
    except NoRoom as full:
        if not full.crowd.may_choose:
            refused = failed_event(
                proven.organization, proven.username, arrival, full.code, now, random
            )
            database.write(lambda c: audit.append(c, [refused]))
        raise


def _renew(connection: Connection, proven: Proven, stored: str, renewed: str) -> None:
    """Keep the hash that was made under the settings of today, unless the password was changed."""
    rules.share_rules(connection, proven.organization)
    if read_password_hash(connection, proven.organization, proven.username) == stored:
        set_password_hash(connection, proven.organization, proven.username, renewed)


def _storable(name: str) -> str:
    """A claimed name as both databases can hold it: PostgreSQL refuses NUL, and no UTF-8 has half a
    surrogate pair. What is put in its place is in no real name, so it names nobody."""
    return name[:128].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _fail(
    connection: Connection, attempt: PasswordAttempt, keys: list[str], now: Instant, random: Random
) -> None:
    blocked = [key for key in keys if throttle.count_failure(connection, key, now)]
    reason = "blocked" if blocked else "credentials"
    failed = failed_event(
        attempt.organization, attempt.username, attempt.arrival, reason, now, random
    )
    audit.append(connection, [failed])


def failed_event(
    organization: str, username: str, arrival: Arrival, reason: str, now: Instant, random: Random
) -> Event:
    """What the log says of a sign-in that came to nothing."""
    return Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sign_in.failed",
        actor=user_actor(organization, username[:128]),
        organization=organization,
        user=username[:128],
        application=arrival.application,
        reason=reason,
        origin=arrival.origin,
    )
