"""Devices that wait for their user (RFC 8628): the rows of `device_request`.

A device holds the device code and asks with it; a person reads the user code off the device and enters
it in a browser where they are signed in.
"""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, insert, select, update

from iam.db.token_tables import device_request as table
from iam.kernel.clock import Instant, after
from iam.kernel.events import Origin
from iam.kernel.secrets import Random, hash_secret, make_secret

LIFETIME = 10 * 60
"""Seconds in which the person has to find a browser."""
INTERVAL = 5
"""Seconds that a device waits between two questions (§3.2), and that it waits longer if it did not."""

# No vowels, so that no word comes of it, and nothing that looks like something else (§6.1).
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8
_NO_LETTER = re.compile(r"[^A-Z]")
_REMEMBERED = 10 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """What a device asks for, and what has become of it. `origin` is the device's."""

    client_id: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    origin: Origin
    state: str
    browser_session: str | None
    poll_interval: int
    polled_at: Instant | None
    expires_at: Instant


def begin(
    connection: Connection,
    *,
    client_id: str,
    scope: str,
    audience: tuple[str, ...],
    origin: Origin,
    now: Instant,
    random: Random,
) -> tuple[str, str]:
    """A new request; answer its device code and its user code."""
    device_code, user_code = make_secret(random), _make_user_code(random)
    connection.execute(
        insert(table),
        {
            "device_hash": hash_secret(device_code),
            "user_code_hash": hash_secret(user_code),
            "client_id": client_id,
            "scope": scope,
            "audience": list(audience),
            "ip": origin.ip,
            "user_agent": origin.user_agent,
            "state": "pending",
            "browser_session": None,
            "poll_interval": INTERVAL,
            "polled_at": None,
            "expires_at": after(now, LIFETIME),
        },
    )
    return device_code, shown(user_code)


def shown(user_code: str) -> str:
    """A user code as people read it: `WDJB-MJHT`, however they typed it."""
    plain = _plain(user_code)
    return f"{plain[: _LENGTH // 2]}-{plain[_LENGTH // 2 :]}" if plain else ""


def find_by_user_code(connection: Connection, text: str, now: Instant) -> DeviceRequest | None:
    """The request that still waits under this user code."""
    query = select(table).where(
        table.c.user_code_hash == hash_secret(_plain(text)),
        table.c.state == "pending",
        table.c.expires_at > now,
    )
    row = connection.execute(query).one_or_none()
    return _request(row) if row is not None else None


def decide(connection: Connection, text: str, browser_session: str | None, now: Instant) -> bool:
    """Approve with this browser session, or (None) deny; False if there was nothing left to decide."""
    statement = update(table).where(
        table.c.user_code_hash == hash_secret(_plain(text)),
        table.c.state == "pending",
        table.c.expires_at > now,
    )
    state = "approved" if browser_session is not None else "denied"
    done = connection.execute(statement.values(state=state, browser_session=browser_session))
    return done.rowcount == 1


def find(connection: Connection, device_code: str) -> DeviceRequest | None:
    """The request of this device code; one that has expired is known for a while."""
    query = select(table).where(table.c.device_hash == hash_secret(device_code))
    row = connection.execute(query.with_for_update()).one_or_none()
    return _request(row) if row is not None else None


def note_poll(connection: Connection, device_code: str, poll_interval: int, now: Instant) -> None:
    """Remember that the device has asked, and how long it has to wait now."""
    connection.execute(
        update(table)
        .where(table.c.device_hash == hash_secret(device_code))
        .values(polled_at=now, poll_interval=poll_interval)
    )


def use_up(connection: Connection, device_code: str) -> None:
    """The device has its answer."""
    connection.execute(delete(table).where(table.c.device_hash == hash_secret(device_code)))


def purge(connection: Connection, now: Instant) -> int:
    """Forget what has expired a while ago; answer how many."""
    old = table.c.expires_at <= after(now, -_REMEMBERED)
    return connection.execute(delete(table).where(old)).rowcount


def _make_user_code(random: Random) -> str:
    # Bytes above the last whole multiple of 20 are thrown away: they would make some letters likelier.
    letters = ""
    while len(letters) < _LENGTH:
        letters += "".join(_ALPHABET[one % 20] for one in random(_LENGTH) if one < 240)
    return letters[:_LENGTH]


def _plain(text: str) -> str:
    return _NO_LETTER.sub("", text[:64].upper())[: _LENGTH + 1]


def _request(row: Row[tuple[object, ...]]) -> DeviceRequest:
    return DeviceRequest(
        client_id=row.client_id,
        scope=tuple(row.scope.split()),
        audience=tuple(row.audience),
        origin=Origin(ip=row.ip, user_agent=row.user_agent),
        state=row.state,
        browser_session=row.browser_session,
        poll_interval=row.poll_interval,
        polled_at=None if row.polled_at is None else Instant(row.polled_at),
        expires_at=Instant(row.expires_at),
    )
