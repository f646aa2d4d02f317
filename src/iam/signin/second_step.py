"""The second step of signing in: a code, of somebody whose first proof was right.

Wrong codes are counted with the account's failures, which only both proofs together make forgotten: who
knows the password alone has as few guesses as who does not.
"""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.directory.names import UserMissing
from iam.directory.users import find_user
from iam.kernel.authn import acr_of, reaches, with_code
from iam.kernel.clock import Instant
from iam.kernel.errors import IamError, Throttled
from iam.kernel.events import NOWHERE, Event, Origin, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.sessions import rules, store
from iam.sessions.lifecycle import Started
from iam.sessions.model import LiveRow, Session
from iam.sessions.raising import raise_session
from iam.sessions.validate import SessionUnknown
from iam.signin import throttle
from iam.signin.arrival import FactorNeeded, Proven
from iam.signin.factors import (
    CodeWrong,
    FactorMissing,
    Shown,
    find_factor,
    recovery_left,
    use_code,
)
from iam.signin.password_sign_in import (
    CredentialsInvalid,
    PasswordAttempt,
    go_on,
    sign_in_with_password,
)
from iam.signin.passwords import Passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A code that somebody shows, and who they are by what they have shown before."""

    organization: str
    username: str
    code: str
    application: str
    origin: Origin = NOWHERE
    session: str | None = None
    """The session that they hold, if they do."""


def sign_in_with_code(
    database: Database,
    passwords: Passwords,
    cipher: Cipher,
    attempt: PasswordAttempt,
    code: str | None,
    now: Instant,
    random: Random,
) -> Started:
    """Sign in with a password and, where the user has a second factor, a code. Run it in the hash pool.

    Raises:
        FactorNeeded: the password is right, and a code is needed that is not there.
        CodeWrong: the password is right, and the code is not.
        CredentialsInvalid, Throttled, NoRoom: as `sign_in_with_password` says.
    """
    try:
        return sign_in_with_password(database, passwords, attempt, now, random)
    except FactorNeeded as needed:
        if not code:
            raise
        proven, arrival = needed.proven, attempt.arrival
        claim = Claim(
            organization=proven.organization,
            username=proven.username,
            code=code,
            application=arrival.application,
            origin=arrival.origin,
        )
        both = show_code(database, cipher, proven, claim, now, random)
        return go_on(database, both, arrival, now, random)


def show_code(
    database: Database, cipher: Cipher, proven: Proven, claim: Claim, now: Instant, random: Random
) -> Proven:
    """What somebody has proved with a code besides: the code is used up by it.

    Raises:
        CodeWrong: it does not count, or did already.
        Throttled: too many failures; the code was not looked at.
        CredentialsInvalid: they have no second factor (any more), or were disabled.
    """
    try:
        factor = check_code(database, cipher, claim, now, random)
    except FactorMissing as error:
        raise CredentialsInvalid from error
    return replace(proven, amr=with_code(proven.amr), factor=factor)


def check_code(
    database: Database, cipher: Cipher, claim: Claim, now: Instant, random: Random
) -> str:
    """Use up a code; answer the ID of the factor that it is of. Its own transaction: a code is used up
    whatever comes after it, and a wrong one is counted.

    Raises:
        CodeWrong, Throttled: see `show_code`.
        FactorMissing: the user has no second factor, or is not admitted.
    """
    found = database.write(lambda c: _check(c, cipher, claim, now, random))
    if isinstance(found, IamError):
        raise found
    return found


def _check(
    connection: Connection, cipher: Cipher, claim: Claim, now: Instant, random: Random
) -> str | IamError:
    try:
        user = find_user(connection, claim.organization, claim.username)
    except UserMissing:
        return FactorMissing()
    factor = find_factor(connection, user.id, hold=True)
    if factor is None or not user.admitted:
        return FactorMissing()
    # After the row is held: whoever waited for it sees what those before have been counted.
    keys = [throttle.account_key(user.organization, user.name)]
    if claim.origin.ip is not None:
        keys.append(throttle.address_key(claim.origin.ip))
    seconds = throttle.blocked_for(connection, keys, now)
    if seconds:
        return Throttled(seconds)
    shown = use_code(connection, cipher, factor, claim.code, now)
    if shown is None:
        blocked = [key for key in keys if throttle.count_failure(connection, key, now)]
        reason = "blocked" if blocked else "code"
        _note(connection, claim, "sign_in.failed", now, random, reason=reason)
        return CodeWrong()
    if shown is Shown.RECOVERY:
        left = recovery_left(connection, user.id)
        _note(connection, claim, "factor.recovery_used", now, random, data={"left": left})
    return factor.id


def _note(
    connection: Connection,
    claim: Claim,
    type_: str,
    now: Instant,
    random: Random,
    *,
    reason: str | None = None,
    data: dict[str, object] | None = None,
) -> None:
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type=type_,
        actor=user_actor(claim.organization, claim.username),
        organization=claim.organization,
        user=claim.username,
        application=claim.application,
        session=claim.session,
        reason=reason,
        origin=claim.origin,
        data=data or {},
    )
    audit.append(connection, [event])


def step_up(
    database: Database,
    cipher: Cipher,
    holder: LiveRow,
    code: str,
    *,
    origin: Origin,
    now: Instant,
    random: Random,
) -> Started:
    """Raise the browser session of somebody who shows a code: it goes on with a new secret (ASVS 7.2.4).

    When they authenticated stays what it was: the code alone is not the password once more, and who asks
    for a recent one (`max_age`) shall not take it for that.

    Raises:
        CodeWrong, Throttled, FactorMissing: as `check_code` says.
        SessionUnknown: the session is over, or no person has signed in to it.
    """
    claim = Claim(
        organization=holder.organization,
        username=holder.user,
        code=code,
        application=holder.application,
        origin=origin,
        session=holder.id,
    )
    factor = check_code(database, cipher, claim, now, random)

    def work(connection: Connection) -> Started:
        rules.share_rules(connection, holder.organization)
        user = find_user(connection, holder.organization, holder.user)
        still = find_factor(connection, user.id)
        if still is None or still.id != factor:
            raise FactorMissing
        session = store.read_session(connection, holder.id)
        if session is None or not session.amr:
            raise SessionUnknown
        raised = raise_session(
            connection,
            holder.id,
            amr=with_code(session.amr),
            authenticated_at=session.authenticated_at,
            actor=user_actor(holder.organization, holder.user),
            now=now,
            random=random,
            origin=origin,
        )
        if raised is None:
            raise SessionUnknown
        return raised

    return database.write(work)


def can_reach(connection: Connection, session: Session, user_id: str, wanted: str) -> bool:
    """Whether the holder of this session would reach a class if they showed a code besides."""
    with_it = acr_of(with_code(session.amr)) if session.amr else None
    return reaches(with_it, wanted) and find_factor(connection, user_id) is not None
