"""New signing keys for old ones, by schedule or by command."""

from collections.abc import Sequence

from sqlalchemy import Connection

from iam import audit
from iam.db import Database
from iam.kernel.clock import Instant, after
from iam.kernel.events import SYSTEM, Actor, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher
from iam.keys.saml import (
    SamlKey,
    add_saml_key,
    load_saml_keys,
    make_saml_key,
    retire_saml_keys,
)
from iam.keys.signing import (
    PUBLISHED_AHEAD,
    SigningKey,
    add_keys,
    forget,
    load_keys,
    make_keys,
    outdated,
    rotation_due,
)
from iam.sessions.rules import hold_rules


def rotate(
    database: Database,
    cipher: Cipher,
    *,
    at_once: bool = False,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[SigningKey, ...]:
    """Make a new key of every algorithm; answer them.

    Published now, they sign after `PUBLISHED_AHEAD` seconds. With `at_once` they sign now and the
    former ones are forgotten: for keys that somebody else may have.
    """
    made = make_keys(now, random, active_at=now if at_once else after(now, PUBLISHED_AHEAD))

    def work(connection: Connection) -> None:
        gone = [one.id for one in load_keys(connection, cipher)] if at_once else []
        forget(connection, gone)
        add_keys(connection, made, cipher, random)
        data = {"keys": [one.id for one in made], "forgotten": gone}
        event_id = make_id(EVENT, now, random)
        event = Event(id=event_id, at=now, type="keys.rotated", actor=actor, data=data)
        audit.append(connection, [event])

    database.write(work)
    return made


def rotate_saml(
    database: Database,
    cipher: Cipher,
    issuer: str,
    *,
    ahead: int,
    kept: int,
    actor: Actor,
    now: Instant,
    random: Random,
) -> tuple[SamlKey, SamlKey]:
    """Make a new SAML key of each use; answer the one that signs and the one to encrypt for.

    Args:
        ahead: seconds for which the new certificate is only published before its key signs. What is
            encrypted for us may be for the new key at once: both can be read.
        kept: seconds for which the former keys are still published, and read what was encrypted for
            them, after that.
    """
    from_then_on = after(now, ahead)
    signs = make_saml_key(issuer, now, random, active_at=from_then_on)
    reads = make_saml_key(issuer, now, random, use="encryption")

    def work(connection: Connection) -> None:
        hold_rules(connection, None)
        former = [one.id for one in load_saml_keys(connection, cipher, now, None)]
        retire_saml_keys(connection, former, after(from_then_on, kept))
        for one in (signs, reads):
            add_saml_key(connection, one, cipher, random)
        data = {"saml": [signs.id, reads.id], "retired": former}
        event_id = make_id(EVENT, now, random)
        event = Event(id=event_id, at=now, type="keys.rotated", actor=actor, data=data)
        audit.append(connection, [event])

    database.write(work)
    return signs, reads


def keep_up(
    database: Database,
    keys: Sequence[SigningKey],
    cipher: Cipher,
    days: int,
    now: Instant,
    random: Random,
) -> None:
    """Rotate when it is time, and forget keys that need no longer be kept. Run on one node at a time."""
    old = outdated(keys, now)
    if old:
        database.write(lambda connection: forget(connection, old))
    if rotation_due(keys, now, days):
        # What this process knows may be old: another node may have done it meanwhile.
        known = database.look(lambda connection: load_keys(connection, cipher))
        if rotation_due(known, now, days):
            rotate(database, cipher, actor=SYSTEM, now=now, random=random)
