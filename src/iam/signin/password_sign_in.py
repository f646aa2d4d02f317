"""Signing in with a user name and a password."""

from dataclasses import dataclass, replace
from hmac import compare_digest

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing, UserMissing
from iam.directory.users import User, find_user, read_password_hash, set_password_hash
from iam.kernel.authn import PASSWORD
from iam.kernel.clock import Instant
from iam.kernel.errors import Throttled, Unauthenticated
from iam.kernel.events import NOWHERE, Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random, hash_secret
from iam.sessions import lifecycle, limits, rules, store
from iam.sessions.lifecycle import Ended, NewSession, Started
from iam.sessions.limits import Crowd, SessionLimit
from iam.sessions.model import EndReason
from iam.sessions.policy import EffectivePolicy, home_of
from iam.sessions.raising import raise_session
from iam.signin import known_devices, throttle
from iam.signin.devices import device_label
from iam.signin.enter import policy_of
from iam.signin.known_devices import SignIn
from iam.signin.passwords import Passwords


class CredentialsInvalid(Unauthenticated):
    """No enabled user of this name with this password: which of the two is not said."""

    code = "credentials_invalid"
    title = "The user name or the password is not right."


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordAttempt:
    """What somebody claims. `replaces` is the browser's former session, which the caller has proven to
    hold: the new one takes its place, or, if it is the same user's, it is raised."""

    organization: str
    application: str
    username: str
    password: str
    origin: Origin = NOWHERE
    replaces: str | None = None
    remember: bool = False
    """The person asks to be kept signed in."""
    give_up: tuple[str, ...] = ()
    """Sessions of theirs that may end to make room, where the policy lets them choose."""
    device: str | None = None
    """What a browser is told again by; None of a program."""
    mails: bool = False
    """Whether the user can be told of a new device by mail."""


class NoRoom(SessionLimit):
    """The password is right and there is no room. `proof` stands for the password where the person may
    choose what to end: it is good for as long as the password is the same."""

    def __init__(self, crowd: Crowd, proof: bytes) -> None:
        super().__init__(crowd)
        self.proof = proof


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
        NoRoom: the user has as many sessions as the policy allows.
    """
    attempt = replace(
        attempt,
        organization=_storable(attempt.organization),
        application=_storable(attempt.application),
        username=_storable(attempt.username),
    )
    account = throttle.account_key(attempt.organization, attempt.username)
    keys = [account]
    if attempt.origin.ip is not None:
        keys.append(throttle.address_key(attempt.origin.ip))

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
        passwords.hash(attempt.password)
        if matched and stored is not None and passwords.outdated(stored)
        else None
    )
    started = None
    if matched and stored is not None:
        started = _enter(database, attempt, hash_secret(stored), renewed, now, random)
    if started is None:
        database.write(lambda c: _fail(c, attempt, keys, now, random))
        raise CredentialsInvalid
    return started


def sign_in_with_proof(
    database: Database, attempt: PasswordAttempt, proof: bytes, now: Instant, random: Random
) -> Started:
    """Go on with an attempt that found no room, after its person has said what to end.

    Raises:
        CredentialsInvalid: the password or the user is no longer what it was.
        NoRoom: there is still none.
    """
    started = _enter(database, attempt, proof, None, now, random)
    if started is None:
        raise CredentialsInvalid
    return started


def _enter(
    database: Database,
    attempt: PasswordAttempt,
    proof: bytes,
    renewed: str | None,
    now: Instant,
    random: Random,
) -> Started | None:
    try:
        return database.write(lambda c: _succeed(c, attempt, proof, renewed, now, random))
    except SessionLimit as full:
        if not full.crowd.may_choose:
            refused = _failed(attempt, full.code, now, random)
            database.write(lambda c: audit.append(c, [refused]))
        raise NoRoom(full.crowd, proof) from full


def _storable(name: str) -> str:
    """A claimed name as both databases can hold it: PostgreSQL refuses NUL, and no UTF-8 has half a
    surrogate pair. What is put in its place is in no real name, so it names nobody."""
    return name[:128].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _succeed(
    connection: Connection,
    attempt: PasswordAttempt,
    proof: bytes,
    renewed: str | None,
    now: Instant,
    random: Random,
) -> Started | None:
    rules.share_rules(connection, attempt.organization)
    # Under the lock, the user once more: a password changed or a user disabled meanwhile must not
    # let in who had the old one.
    stored = read_password_hash(connection, attempt.organization, attempt.username)
    if stored is None or not compare_digest(hash_secret(stored), proof):
        return None
    user = _admitted(connection, attempt)
    if user is None:
        return None
    policy = policy_of(connection, user, attempt.application)
    limits.hold(connection, policy, user.organization, user.name)
    actor = user_actor(user.organization, user.name)
    if renewed is not None:
        set_password_hash(connection, user.organization, user.name, renewed)
    throttle.forgive(connection, throttle.account_key(user.organization, user.name))
    started = _raise(connection, attempt, user, policy, now, random)
    if started is None:
        started = _start(connection, attempt, user, policy, now, random)
    audit.append(
        connection,
        [
            Event(
                id=make_id(EVENT, now, random),
                at=now,
                type="sign_in.succeeded",
                actor=actor,
                organization=user.organization,
                user=user.name,
                application=attempt.application,
                session=started.session.id,
                origin=attempt.origin,
                data={"amr": [PASSWORD]},
            )
        ],
    )
    sign_in = SignIn(
        user=user,
        session=started.session,
        cookie=attempt.device,
        mails=attempt.mails,
        actor=actor,
        origin=attempt.origin,
    )
    known_devices.notice(connection, sign_in, now, random)
    return started


def _raise(
    connection: Connection,
    attempt: PasswordAttempt,
    user: User,
    policy: EffectivePolicy,
    now: Instant,
    random: Random,
) -> Started | None:
    """Raise the session that is to be replaced, if it is this very user's; else None.

    A locked one is not (unlocking is a thing of its own), nor one that would have to be remembered.
    """
    if attempt.replaces is None:
        return None
    former = store.read_session(connection, attempt.replaces)
    if former is None or former.record_key != (user.organization, user.name, attempt.application):
        return None
    wants_more = attempt.remember and policy.may_remember and not former.remembered
    if wants_more or former.locked_at is not None:
        return None
    return raise_session(
        connection,
        former.id,
        amr=(PASSWORD,),
        actor=user_actor(user.organization, user.name),
        now=now,
        random=random,
        origin=attempt.origin,
    )


def _start(
    connection: Connection,
    attempt: PasswordAttempt,
    user: User,
    policy: EffectivePolicy,
    now: Instant,
    random: Random,
) -> Started:
    actor = user_actor(user.organization, user.name)
    replaced: tuple[Ended, ...] = ()
    if attempt.replaces is not None:
        replaced = lifecycle.end(
            connection,
            [attempt.replaces],
            reason=EndReason.SIGNED_OUT,
            actor=actor,
            now=now,
            random=random,
            origin=attempt.origin,
            note="replaced by a new sign-in in the same browser",
        )
    started = limits.start_within(
        connection,
        NewSession(
            organization=user.organization,
            user=user.name,
            application=attempt.application,
            identity=user.identity,
            authenticated_at=now,
            amr=(PASSWORD,),
            origin=attempt.origin,
            device=device_label(attempt.origin.user_agent),
            remembered=attempt.remember,
        ),
        policy,
        actor=actor,
        now=now,
        random=random,
        chosen=attempt.give_up,
    )
    return replace(started, ended=(*replaced, *started.ended))


def _admitted(connection: Connection, attempt: PasswordAttempt) -> User | None:
    """The user, if both they and the application are there and enabled."""
    home = home_of(attempt.application, attempt.organization)
    try:
        application = find_application(connection, home, attempt.application)
        user = find_user(connection, attempt.organization, attempt.username)
    except (ApplicationMissing, UserMissing):
        return None
    return user if application.enabled and user.admitted else None


def _fail(
    connection: Connection, attempt: PasswordAttempt, keys: list[str], now: Instant, random: Random
) -> None:
    blocked = [key for key in keys if throttle.count_failure(connection, key, now)]
    reason = "blocked" if blocked else "credentials"
    audit.append(connection, [_failed(attempt, reason, now, random)])


def _failed(attempt: PasswordAttempt, reason: str, now: Instant, random: Random) -> Event:
    return Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="sign_in.failed",
        actor=user_actor(attempt.organization, attempt.username[:128]),
        organization=attempt.organization,
        user=attempt.username[:128],
        application=attempt.application,
        reason=reason,
        origin=attempt.origin,
    )
