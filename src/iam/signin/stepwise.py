"""Enrolling a second factor in several calls, for clients that carry nothing from one to the next: begin,
show a code, enable.

What is under way is kept here, encrypted, for as long as a page of ours would be good, and only whoever
began goes on. Who may begin is the caller's to judge: the person, who has shown their password, or an
administrator.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from iam.db.factor_tables import enrolment as table
from iam.directory.users import User
from iam.kernel.clock import Instant, after
from iam.kernel.events import NOWHERE, Actor, Origin
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher, EncryptionKeyWrong
from iam.sessions import rules
from iam.sessions.lifecycle import Ended
from iam.signin.credentials import credentials_changed
from iam.signin.enrolment import (
    CONFIRMED_WITHIN,
    Change,
    Changed,
    EnrolmentInvalid,
    finish_adding,
)
from iam.signin.factors import (
    CodeWrong,
    FactorExists,
    add_factor,
    find_factor,
    keep_recovery_codes,
    make_recovery_codes,
)
from iam.signin.totp import make_totp_secret, matching_step


@dataclass(frozen=True, slots=True)
class Begun:
    """What is told once, at the beginning."""

    secret: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)


def begin(
    connection: Connection, cipher: Cipher, user: User, by: str, now: Instant, random: Random
) -> Begun:
    """Make a secret and recovery codes for a user; what was under way for them is forgotten.

    Args:
        by: who will go on, and nobody else.

    Raises:
        FactorExists: they have a second factor.
    """
    if find_factor(connection, user.id) is not None:
        raise FactorExists
    begun = Begun(make_totp_secret(random), make_recovery_codes(random))
    text = json.dumps({"secret": begun.secret, "recovery": begun.recovery_codes})
    values = {
        "begun_by": by,
        "sealed": cipher.encrypt(text, _about(user), random),
        "begun_at": now,
        "step": None,
    }
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert(table)
        .values(user_id=user.id, **values)
        # Of two that begin at once the later one goes on.
        .on_conflict_do_update(index_elements=[table.c.user_id], set_=values)
    )
    return begun


def verify(
    connection: Connection,
    cipher: Cipher,
    user: User,
    by: str,
    code: str,
    now: Instant,
    secret: str | None = None,
) -> None:
    """See that the app has the secret: this is a code that it shows now.

    Args:
        secret: the one that was told, of clients that send it along.

    Raises:
        EnrolmentInvalid: nothing is under way, it is too old, or somebody else's.
        CodeWrong: the app has not the secret that it was shown, or its clock is off.
    """
    under_way = _under_way(connection, cipher, user, by, now, secret)
    step = matching_step(under_way.secret, code, now, after=0)
    if step is None:
        raise CodeWrong
    connection.execute(update(table).where(table.c.user_id == user.id).values(step=step))


def enable(
    connection: Connection,
    cipher: Cipher,
    user: User,
    by: str,
    change: Change,
    now: Instant,
    random: Random,
    secret: str | None = None,
) -> Changed:
    """Add the factor of somebody who began by showing their password; their session is raised by it.

    Raises:
        EnrolmentInvalid: nothing is under way, no code has been shown, or as `verify` says.
        FactorExists: one was added meanwhile.
        SessionUnknown: the session has ended meanwhile.
    """
    rules.hold_rules(connection, user.organization)
    factor, under_way = _add(connection, cipher, user, by, now, random, secret)
    raised, ended = finish_adding(connection, change, factor, under_way.begun_at, now, random)
    return Changed(raised=raised, ended=ended)


def enable_for(
    connection: Connection,
    cipher: Cipher,
    user: User,
    by: str,
    *,
    actor: Actor,
    now: Instant,
    random: Random,
    origin: Origin = NOWHERE,
    secret: str | None = None,
) -> tuple[Ended, ...]:
    """Add the factor that an administrator has set up for a user, all of whose sessions end: none of them
    has shown it. Answer those whose end is noted already.

    Raises:
        EnrolmentInvalid, FactorExists: as `enable` says.
    """
    rules.hold_rules(connection, user.organization)
    factor, _ = _add(connection, cipher, user, by, now, random, secret)
    return credentials_changed(
        connection,
        "factor.added",
        user.organization,
        user.name,
        data={"factor": factor},
        actor=actor,
        now=now,
        random=random,
        origin=origin,
    )


def forget(connection: Connection, user: User) -> None:
    """Nothing is under way for this user any more."""
    connection.execute(delete(table).where(table.c.user_id == user.id))


def purge(connection: Connection, now: Instant) -> int:
    """Delete what is too old to be gone on with; answer how many."""
    too_old = table.c.begun_at <= after(now, -CONFIRMED_WITHIN)
    return connection.execute(delete(table).where(too_old)).rowcount


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay:
    secret: str
    recovery_codes: Sequence[str]
    begun_at: Instant
    step: int | None


def _add(
    connection: Connection,
    cipher: Cipher,
    user: User,
    by: str,
    now: Instant,
    random: Random,
    secret: str | None,
) -> tuple[str, _UnderWay]:
    under_way = _under_way(connection, cipher, user, by, now, secret)
    if under_way.step is None:
        raise EnrolmentInvalid
    factor = add_factor(
        connection,
        cipher,
        user.id,
        under_way.secret,
        step=under_way.step,
        now=now,
        random=random,
    )
    keep_recovery_codes(connection, user.id, under_way.recovery_codes)
    forget(connection, user)
    return factor, under_way


def _under_way(
    connection: Connection, cipher: Cipher, user: User, by: str, now: Instant, secret: str | None
) -> _UnderWay:
    row = connection.execute(select(table).where(table.c.user_id == user.id)).one_or_none()
    if row is None or row.begun_by != by or now >= after(Instant(row.begun_at), CONFIRMED_WITHIN):
        raise EnrolmentInvalid
    try:
        found = json.loads(cipher.decrypt(row.sealed, _about(user)))
    except EncryptionKeyWrong as error:
        # The key was changed within these minutes.
        raise EnrolmentInvalid from error
    if secret is not None and secret != found["secret"]:
        raise EnrolmentInvalid
    return _UnderWay(
        secret=found["secret"],
        recovery_codes=found["recovery"],
        begun_at=Instant(row.begun_at),
        step=row.step,
    )


def _about(user: User) -> str:
    return f"enrolment of {user.id}"
