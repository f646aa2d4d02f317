"""The second factor of a user: an authenticator app, and recovery codes for who has lost it.

A code is taken once: of an app's only those of a later time step than the last that was taken, a recovery
code until it has been used. Whoever looks at a code holds the factor's row, so that guesses sent all at once
are looked at one after the other, and the throttle counts each.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select, update

from iam.db.factor_tables import recovery_code, second_factor
from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict, Forbidden, Missing
from iam.kernel.ids import FACTOR, make_id
from iam.kernel.secrets import Random, hash_secret
from iam.keys.cipher import Cipher
from iam.signin.totp import matching_step

RECOVERY_CODES = 10
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RECOVERY_BYTES = 10
# Ours, and those that came with people from elsewhere (a UUID without its dashes).
_RECOVERY = re.compile(f"[{_ALPHABET}]{{16}}|[0-9a-f]{{32}}", re.ASCII)
_GROUP = 4
_BATCH = 500
# What people write for characters that are in none.
_READ_AS = str.maketrans("oil", "011", "- \t")


class FactorRequired(Forbidden):
    """The password is right, and its owner has a second factor: a code is needed as well."""

    code = "factor_required"
    title = "This needs a code of your authenticator app as well."


class CodeWrong(Forbidden):
    """Not a code of this user's app now, nor a recovery code of theirs; or one that was used before."""

    code = "code_wrong"
    title = "This code is not right, or it was used before."


class FactorExists(Conflict):
    """They have a second factor already: another one takes its place once it is removed."""

    code = "factor_exists"
    title = "There is a second factor already. Remove it first."


class FactorMissing(Missing):
    """The user has no second factor."""

    code = "factor_not_found"
    title = "There is no second factor."


class Shown(StrEnum):
    """What a code was that counted."""

    APP = "app"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """An enrolled authenticator app. `secret` is encrypted; `last_step`: of the last code that was taken."""

    id: str
    user_id: str
    secret: str
    last_step: int
    created_at: Instant
    last_used_at: Instant | None


def find_factor(connection: Connection, user_id: str, *, hold: bool = False) -> Factor | None:
    """The user's second factor; None if they have none. `hold`: nobody else shows a code of it meanwhile."""
    query = select(second_factor).where(second_factor.c.user_id == user_id)
    row = connection.execute(query.with_for_update() if hold else query).one_or_none()
    if row is None:
        return None
    return Factor(
        id=row.id,
        user_id=row.user_id,
        secret=row.secret,
        last_step=row.last_step,
        created_at=Instant(row.created_at),
        last_used_at=None if row.last_used_at is None else Instant(row.last_used_at),
    )


def having_factor(connection: Connection, user_ids: Iterable[str]) -> frozenset[str]:
    """Those of these users who have one."""
    query = select(second_factor.c.user_id).where(second_factor.c.user_id.in_(list(user_ids)))
    return frozenset(connection.execute(query).scalars())


def add_factor(
    connection: Connection,
    cipher: Cipher,
    user_id: str,
    secret: str,
    *,
    step: int,
    now: Instant,
    random: Random,
) -> str:
    """Enrol an app whose code of this time step has been shown; answer the factor's ID. Call it with the
    rules of the organization held alone, so that no sign-in goes on that has not seen it.

    Raises:
        FactorExists: there is one.
    """
    if find_factor(connection, user_id) is not None:
        raise FactorExists
    factor = make_id(FACTOR, now, random)
    connection.execute(
        insert(second_factor),
        {
            "user_id": user_id,
            "id": factor,
            "secret": cipher.encrypt(secret, _about(user_id), random),
            "last_step": step,
            "created_at": now,
        },
    )
    return factor


@dataclass(frozen=True, slots=True)
class MovedFactor:
    """An app that somebody has set up elsewhere, and the recovery codes they have from there."""

    user_id: str
    secret: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)


def is_recovery_code(text: str) -> bool:
    """Whether this can be one here."""
    return _RECOVERY.fullmatch(_bare(text)) is not None


def add_moved_factors(
    connection: Connection,
    cipher: Cipher,
    moved: Sequence[MovedFactor],
    *,
    step: int,
    now: Instant,
    random: Random,
) -> dict[str, str]:
    """Add the factors of users who have just been added; answer the factors' IDs by those of the users. No
    code of this time step or an earlier one is taken: it may have been shown where they come from."""
    rows = [
        {
            "user_id": one.user_id,
            "id": make_id(FACTOR, now, random),
            "secret": cipher.encrypt(one.secret, _about(one.user_id), random),
            "last_step": step,
            "created_at": now,
        }
        for one in moved
    ]
    codes = [
        {"user_id": one.user_id, "code_hash": hash_secret(_bare(code))}
        for one in moved
        for code in dict.fromkeys(one.recovery_codes)
    ]
    if rows:
        connection.execute(insert(second_factor), rows)
    if codes:
        connection.execute(insert(recovery_code), codes)
    return {str(one["user_id"]): str(one["id"]) for one in rows}


def remove_factor(connection: Connection, user_id: str) -> None:
    """Remove the app and the recovery codes that go with it.

    Raises:
        FactorMissing: there is none.
    """
    connection.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
    gone = connection.execute(delete(second_factor).where(second_factor.c.user_id == user_id))
    if not gone.rowcount:
        raise FactorMissing


def make_recovery_codes(random: Random) -> tuple[str, ...]:
    """New recovery codes, as they are shown once."""
    return tuple("-".join(_groups(_make_recovery(random))) for _ in range(RECOVERY_CODES))


def keep_recovery_codes(connection: Connection, user_id: str, codes: Iterable[str]) -> None:
    """Put these recovery codes in the place of all that were; their hashes are stored."""
    connection.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
    rows = [{"user_id": user_id, "code_hash": hash_secret(_bare(one))} for one in codes]
    connection.execute(insert(recovery_code), rows)


def renew_recovery_codes(connection: Connection, user_id: str, random: Random) -> tuple[str, ...]:
    """Put new recovery codes in the place of all that were; they are shown once, and not stored."""
    codes = make_recovery_codes(random)
    keep_recovery_codes(connection, user_id, codes)
    return codes


def recovery_left(connection: Connection, user_id: str) -> int:
    """How many recovery codes can still be used."""
    query = select(func.count()).where(
        recovery_code.c.user_id == user_id, recovery_code.c.used_at.is_(None)
    )
    return int(connection.execute(query).scalar_one())


def use_code(
    connection: Connection, cipher: Cipher, factor: Factor, text: str, now: Instant
) -> Shown | None:
    """Use a code up, of the app or a recovery code; None if it does not count. `factor` is held.

    Raises:
        EncryptionKeyWrong: the secret cannot be read.
    """
    secret = cipher.decrypt(factor.secret, _about(factor.user_id))
    step = matching_step(secret, text, now, after=factor.last_step)
    own = second_factor.c.user_id == factor.user_id
    if step is not None:
        taken = connection.execute(
            update(second_factor)
            .where(own, second_factor.c.id == factor.id, second_factor.c.last_step < step)
            .values(last_step=step, last_used_at=now)
        )
        return Shown.APP if taken.rowcount else None
    code = _bare(text)
    if not _RECOVERY.fullmatch(code):
        return None
    taken = connection.execute(
        update(recovery_code)
        .where(
            recovery_code.c.user_id == factor.user_id,
            recovery_code.c.code_hash == hash_secret(code),
            recovery_code.c.used_at.is_(None),
        )
        .values(used_at=now)
    )
    if not taken.rowcount:
        return None
    connection.execute(update(second_factor).where(own).values(last_used_at=now))
    return Shown.RECOVERY


def encrypt_again(connection: Connection, cipher: Cipher, random: Random) -> None:
    """Encrypt under the newest key what is not, so that the former one can be forgotten.

    Raises:
        EncryptionKeyWrong: one was encrypted under a key that is not at hand.
    """
    last = ""
    query = select(second_factor.c.user_id, second_factor.c.secret)
    while True:
        page = query.where(second_factor.c.user_id > last)
        rows = connection.execute(page.order_by(second_factor.c.user_id).limit(_BATCH)).all()
        if not rows:
            return
        last = rows[-1].user_id
        for row in rows:
            if cipher.is_newest(row.secret):
                continue
            about = _about(row.user_id)
            secret = cipher.encrypt(cipher.decrypt(row.secret, about), about, random)
            connection.execute(
                update(second_factor)
                # Not over one that was enrolled in its place meanwhile.
                .where(second_factor.c.user_id == row.user_id, second_factor.c.secret == row.secret)
                .values(secret=secret)
            )


def _about(user_id: str) -> str:
    return f"second factor of {user_id}"


def _bare(text: str) -> str:
    """A recovery code as it is hashed, however somebody has typed it."""
    return text.lower().translate(_READ_AS)


def _make_recovery(random: Random) -> str:
    bits = int.from_bytes(random(_RECOVERY_BYTES), "big")
    return "".join(_ALPHABET[bits >> shift & 31] for shift in range(75, -1, -5))


def _groups(code: str) -> Sequence[str]:
    return [code[first : first + _GROUP] for first in range(0, len(code), _GROUP)]
