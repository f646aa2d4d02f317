"""Enrolling and removing a second factor: by the person, who proves who they are, or by an administrator.

An enrolment under way is stored nowhere: the page carries its secret, encrypted for this one session and
with the time until which it can be confirmed.
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection

from iam.db import Database
from iam.directory.users import find_user
from iam.kernel.authn import PASSWORD, with_code
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Invalid
from iam.kernel.events import NOWHERE, Actor, Origin, user_actor
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher, EncryptionKeyWrong
from iam.sessions import rules, store
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.model import LiveRow
from iam.sessions.raising import raise_session
from iam.sessions.validate import SessionUnknown
from iam.signin.credentials import credentials_changed
from iam.signin.factors import (
    CodeWrong,
    FactorExists,
    FactorMissing,
    add_factor,
    find_factor,
    remove_factor,
    renew_recovery_codes,
)
from iam.signin.proof import Proof, confirm
from iam.signin.totp import make_totp_secret, matching_step

CONFIRMED_WITHIN = 10 * 60
"""Seconds from the password, or an administrator's word, to the code of the app."""


class EnrolmentInvalid(Invalid):
    """What the page carried is of another session, too old, or was tampered with."""

    code = "enrolment_invalid"
    title = "This page is too old. Start again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """An enrolment under way: the secret as the app is told it, and the same for the page to carry."""

    secret: str
    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The holder's session with its new token, which others ended (as far as noted already), and the
    recovery codes, which are shown now and never again."""

    raised: Started
    ended: tuple[Ended, ...] = ()
    recovery_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What the holder of a (just judged) session does about their second factor."""

    holder: LiveRow
    end_others: bool
    origin: Origin = NOWHERE

    @property
    def actor(self) -> Actor:
        """Who does."""
        return user_actor(self.holder.organization, self.holder.user)


def begin(
    database: Database, cipher: Cipher, holder: LiveRow, proof: Proof, now: Instant, random: Random
) -> Enrolment:
    """Make a secret for somebody who has just shown their password.

    Raises:
        FactorExists: they have a second factor.
        PasswordWrong: the password was changed meanwhile.
    """

    def work(connection: Connection) -> None:
        rules.share_rules(connection, holder.organization)
        if proof.factor is not None:
            raise FactorExists
        confirm(connection, holder, proof)

    database.write(work)
    return carry(cipher, holder, make_totp_secret(random), now, random)


def carry(
    cipher: Cipher, holder: LiveRow, secret: str, begun: Instant, random: Random
) -> Enrolment:
    """A secret as the page carries it."""
    text = json.dumps({"secret": secret, "begun": begun})
    return Enrolment(secret=secret, sealed=cipher.encrypt(text, _about(holder), random))


def _about(holder: LiveRow) -> str:
    return f"enrolment in session {holder.id}"


def unseal(cipher: Cipher, holder: LiveRow, sealed: str, now: Instant) -> tuple[str, Instant]:
    """The secret that a page has carried, and since when.

    Raises:
        EnrolmentInvalid: see there.
    """
    try:
        found = json.loads(cipher.decrypt(sealed, _about(holder)))
    except EncryptionKeyWrong as error:
        raise EnrolmentInvalid from error
    begun = Instant(found["begun"])
    if now >= after(begun, CONFIRMED_WITHIN):
        raise EnrolmentInvalid
    return str(found["secret"]), begun


def enrol(
    connection: Connection,
    cipher: Cipher,
    change: Change,
    sealed: str,
    code: str,
    now: Instant,
    random: Random,
) -> Changed:
    """Add the second factor, whose app has made this code; the session is raised by it.

    Raises:
        EnrolmentInvalid: see there.
        CodeWrong: the app has not the secret that it was shown, or its clock is off.
        FactorExists: one was added meanwhile.
        SessionUnknown: the session has ended meanwhile.
    """
    holder = change.holder
    secret, begun = unseal(cipher, holder, sealed, now)
    step = matching_step(secret, code, now, after=0)
    if step is None:
        raise CodeWrong
    # Alone, so that no sign-in that saw none goes on after this.
    rules.hold_rules(connection, holder.organization)
    user = find_user(connection, holder.organization, holder.user)
    factor = add_factor(connection, cipher, user.id, secret, step=step, now=now, random=random)
    codes = renew_recovery_codes(connection, user.id, random)
    raised, ended = finish_adding(connection, change, factor, begun, now, random)
    return Changed(raised=raised, ended=ended, recovery_codes=codes)


def remove(
    connection: Connection, change: Change, proof: Proof, now: Instant, random: Random
) -> Changed:
    """Remove the second factor of somebody who has shown it once more; their session is worth a password
    from now on.

    Raises:
        FactorMissing: there is none.
        PasswordWrong: what they have shown is so no longer.
        SessionUnknown: the session has ended meanwhile.
    """
    holder = change.holder
    rules.hold_rules(connection, holder.organization)
    confirm(connection, holder, proof)
    user = find_user(connection, holder.organization, holder.user)
    remove_factor(connection, user.id)
    raised, ended = finish(
        connection,
        change,
        "factor.removed",
        proof.factor,
        amr=(PASSWORD,),
        authenticated_at=now,
        now=now,
        random=random,
    )
    return Changed(raised=raised, ended=ended)


def renew(
    connection: Connection, change: Change, proof: Proof, now: Instant, random: Random
) -> Changed:
    """New recovery codes in the place of all that were.

    Raises:
        FactorMissing, PasswordWrong, SessionUnknown: as `remove` says.
    """
    holder = change.holder
    rules.share_rules(connection, holder.organization)
    confirm(connection, holder, proof)
    if proof.factor is None:
        raise FactorMissing
    user = find_user(connection, holder.organization, holder.user)
    codes = renew_recovery_codes(connection, user.id, random)
    raised, ended = finish(
        connection,
        change,
        "factor.recovery_renewed",
        proof.factor,
        amr=proof.amr,
        authenticated_at=now,
        now=now,
        random=random,
    )
    return Changed(raised=raised, ended=ended, recovery_codes=codes)


def remove_by_administrator(
    connection: Connection,
    organization: str,
    name: str,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
) -> tuple[Ended, ...]:
    """Remove a user's second factor, for who has lost it; all their sessions end, because nobody knows
    in whose hands it is. Answer those whose end is noted already.

    Raises:
        UserMissing, FactorMissing: there is none.
    """
    rules.hold_rules(connection, organization)
    user = find_user(connection, organization, name)
    factor = find_factor(connection, user.id)
    remove_factor(connection, user.id)
    return credentials_changed(
        connection,
        "factor.removed",
        organization,
        name,
        data={"factor": factor.id if factor is not None else None},
        actor=actor,
        now=now,
        random=random,
        origin=origin,
    )


def finish_adding(
    connection: Connection,
    change: Change,
    factor: str,
    begun: Instant,
    now: Instant,
    random: Random,
) -> tuple[Started, tuple[Ended, ...]]:
    """What `finish` does where a factor was added: the session is raised by it.

    Args:
        begun: when its holder showed their password for this.

    Raises:
        SessionUnknown: the session has ended meanwhile.
    """
    session = store.read_session(connection, change.holder.id)
    if session is None:
        raise SessionUnknown
    return finish(
        connection,
        change,
        "factor.added",
        factor,
        amr=with_code((PASSWORD, *session.amr)),
        authenticated_at=max(begun, session.authenticated_at or begun),
        now=now,
        random=random,
    )


def finish(
    connection: Connection,
    change: Change,
    type_: str,
    factor: str | None,
    *,
    amr: tuple[str, ...],
    authenticated_at: Instant,
    now: Instant,
    random: Random,
) -> tuple[Started, tuple[Ended, ...]]:
    """The holder's session with a new secret (ASVS 7.2.4), and what `credentials_changed` ends.

    Raises:
        SessionUnknown: the session has ended meanwhile.
    """
    holder, actor, origin = change.holder, change.actor, change.origin
    raised = raise_session(
        connection,
        holder.id,
        amr=amr,
        authenticated_at=authenticated_at,
        actor=actor,
        now=now,
        random=random,
        origin=origin,
    )
    if raised is None:
        raise SessionUnknown
    ended = credentials_changed(
        connection,
        type_,
        holder.organization,
        holder.user,
        data={"factor": factor},
        actor=actor,
        now=now,
        random=random,
        origin=origin,
        holder=holder.id,
        end_others=change.end_others,
    )
    return raised, ended
