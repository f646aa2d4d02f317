"""Rows of sessions as those clients know them: one for each user and application, with the IDs in it.

`sessionId` holds the public IDs of the live sessions of ours, and after them what clients have added
themselves. Adding never starts a session; taking one of ours off the list ends it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing, UserMissing
from iam.directory.users import find_user
from iam.hanzo.call import Call
from iam.hanzo.errors import CurrentSession, Refused
from iam.hanzo.reach import require_reach
from iam.kernel.clock import Instant, from_iso, to_iso
from iam.kernel.ids import SESSION, is_id
from iam.sessions import added_ids, lifecycle, rules
from iam.sessions.layers import Said
from iam.sessions.lifecycle import Ended
from iam.sessions.listing import live_record
from iam.sessions.model import EndReason, RecordKey, Selection, Session
from iam.sessions.policy import home_of
from iam.sessions.record_lists import RecordRow

_AT_ONCE = 2000
"""Sessions that one transaction ends: so that everybody else's writes come in between."""
_LONGEST_TIME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a client says a row should be. `ids` None: it says nothing about them."""

    key: RecordKey
    ids: tuple[str, ...] | None
    exclusive: bool = False
    created_time: str = ""

    def without_ids(self) -> "Given":
        """The same, saying nothing about the IDs."""
        return replace(self, ids=None)


def given(call: Call, *, exclusive: str = "ExclusiveSignin") -> Given:
    """The row in a request's body.

    Raises:
        Refused: it is none.
    """
    ids = call.texts("sessionId")
    if ids is not None:
        ids = [one for one in ids if one]  # an SDK's row without any has an empty one
    for one in ids or ():
        if len(one) > added_ids.LONGEST:
            raise Refused(f"A session ID has at most {added_ids.LONGEST} characters.")
    if len(ids or ()) > added_ids.MOST:
        raise Refused(f"sessionId holds at most {added_ids.MOST} IDs.")
    created = call.text("createdTime")
    if len(created) > _LONGEST_TIME:
        raise Refused("createdTime is no time.")
    return Given(
        key=key_of(call),
        ids=None if ids is None else tuple(dict.fromkeys(ids)),
        exclusive=call.flag(exclusive),
        created_time=created,
    )


def key_of(call: Call) -> RecordKey:
    """The row that a request's body names.

    Raises:
        Refused: it names none.
    """
    key = RecordKey(call.text("owner"), call.text("name"), call.text("application"))
    if not all(key):
        raise Refused("owner, name and application are needed.")
    return key


def row_view(row: RecordRow, said: Said) -> dict[str, Any]:
    """A row as it is answered."""
    key = row.key
    return {
        "owner": key.organization,
        "name": key.user,
        "application": key.application,
        "createdTime": row.created_time or to_iso(row.created_at),
        "sessionId": list(row.ids),
        "sessionInfos": [_info(one) for one in row.sessions],
        "ExclusiveSignin": said.holds(key.application, user=key.user).exclusive,
    }


def _info(session: Session) -> dict[str, Any]:
    return {
        "sessionId": session.id,
        "clientIp": session.ip or "",
        "userAgent": session.user_agent or "",
        "device": session.device or "",
        "createdTime": to_iso(session.created_at),
        "lastActiveTime": to_iso(session.last_active_at),
        "expireTime": to_iso(session.idle_expires_at),
    }


def add(call: Call, wanted: Given) -> None:
    """Keep IDs that a client adds; with `exclusive` the first of them is the only one that stays.

    Raises:
        Unauthenticated, Forbidden: the row is out of reach.
        Refused: there is no such user or application, or an ID of ours is of no live session of theirs.
        CurrentSession: the caller's own would end.
    """
    require_reach(call, wanted.key)
    ours, theirs = _told_apart(wanted.ids or ())

    def work(connection: Connection) -> tuple[Ended, ...]:
        key, ids = wanted.key, wanted.ids or ()
        rules.share_rules(connection, key.organization)
        live = _live(connection, key, call.now)
        for one in ours:
            if one not in live:
                raise Refused(f"{one} is no live session of this user and application.")
        if theirs or not ids:
            held = _hold(connection, call, wanted)
            added_ids.keep_added(connection, key, [*held, *theirs])
        if not wanted.exclusive or not ids:
            return ()
        _keep(connection, key, [ids[0]] if ids[0] in theirs else [])
        going = [one for one in live if one != ids[0]]
        return _end(connection, call, key, going, EndReason.EXCLUSIVE)

    call.engine.count_ended(call.engine.database.write(work))


def update(call: Call, wanted: Given, *, times: bool) -> bool:
    """Have the row hold these IDs: sessions of ours that are not among them end. Answer whether there is
    such a row.

    IDs of ours that are over are passed over: a client may have read them before they ended.

    Raises:
        Unauthenticated, Forbidden: the row is out of reach.
        CurrentSession: the caller's own would end.
    """
    require_reach(call, wanted.key)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        key = wanted.key
        rules.share_rules(connection, key.organization)
        live = _live(connection, key, call.now)
        kept = added_ids.read_added(connection, key, lock=True)
        if kept is None and not live:
            return False, ()
        if times and kept is not None and wanted.created_time:
            created = _created(wanted, call.now)
            added_ids.set_created(connection, key, created, wanted.created_time)
        if wanted.ids is None:
            return True, ()
        ours, theirs = _told_apart(wanted.ids)
        if theirs and kept is None:
            _hold(connection, call, wanted)
        _keep(connection, key, theirs)
        going = [one for one in live if one not in ours]
        return True, _end(connection, call, key, going)

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return found


def delete_one(call: Call, key: RecordKey, session_id: str) -> bool:
    """End one session, or forget one that was added; answer whether there was such a one.

    Raises:
        Unauthenticated, Forbidden: the row is out of reach.
        CurrentSession: it is the caller's own.
    """
    require_reach(call, key)
    if session_id in call.own_sessions:
        raise CurrentSession(session_id)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        rules.share_rules(connection, key.organization)
        live = _live(connection, key, call.now)
        if session_id in live:
            return True, _end(connection, call, key, [session_id])
        kept = added_ids.read_added(connection, key, lock=True)
        if kept is None or session_id not in kept.ids:
            return False, ()
        _keep(connection, key, [one for one in kept.ids if one != session_id])
        return True, ()

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return found


def delete_row(call: Call, key: RecordKey) -> bool:
    """End all sessions of a row and forget what was added; answer whether there was anything.

    Raises:
        Unauthenticated, Forbidden: the row is out of reach.
        CurrentSession: the caller's own is among them.
    """
    require_reach(call, key)
    selection = Selection(organization=key.organization, user=key.user, application=key.application)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        rules.share_rules(connection, key.organization)
        _spare_own(call, _live(connection, key, call.now))
        forgotten = added_ids.forget_added(connection, key)
        ended = lifecycle.end_selected(
            connection,
            selection,
            reason=_reason(call, key),
            origin=call.origin,
            limit=_AT_ONCE,
            **call.cause,
        )
        return forgotten, ended

    found = False
    while True:
        forgotten, ended = call.engine.database.write(work)
        call.engine.count_ended(ended)
        found = found or forgotten or bool(ended)
        if len(ended) < _AT_ONCE:
            return found


def _told_apart(ids: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """IDs that can only be ours, and others."""
    ours = tuple(one for one in ids if is_id(SESSION, one))
    return ours, tuple(one for one in ids if one not in ours)


def _hold(connection: Connection, call: Call, wanted: Given) -> tuple[str, ...]:
    """What is kept under this key, locked, begun if need be.

    Raises:
        Refused: there is no such user or application.
    """
    key = wanted.key
    rules.share_rules(connection, key.organization)
    try:
        find_user(connection, key.organization, key.user)
        find_application(connection, home_of(key.application, key.organization), key.application)
    except UserMissing as error:
        raise Refused(f"The user {key.organization}/{key.user} doesn't exist.") from error
    except ApplicationMissing as error:
        raise Refused(f"The application {key.application} doesn't exist.") from error
    created = _created(wanted, call.now)
    text = wanted.created_time or to_iso(created)
    return added_ids.hold_added(connection, key, created, text).ids


def _created(wanted: Given, now: Instant) -> Instant:
    """When a row was begun by its client's own word, which may be in any form: then it is now."""
    try:
        return min(from_iso(wanted.created_time), now)
    except (ValueError, OverflowError):
        return now


def _live(connection: Connection, key: RecordKey, now: Instant) -> list[str]:
    record = live_record(connection, key, now)
    return list(record.session_ids) if record is not None else []


def _spare_own(call: Call, going: Sequence[str]) -> None:
    for one in going:
        if one in call.own_sessions:
            raise CurrentSession(one)


def _end(
    connection: Connection,
    call: Call,
    key: RecordKey,
    going: Sequence[str],
    reason: EndReason | None = None,
) -> tuple[Ended, ...]:
    _spare_own(call, going)
    return lifecycle.end(
        connection, going, reason=reason or _reason(call, key), origin=call.origin, **call.cause
    )


def _reason(call: Call, key: RecordKey) -> EndReason:
    """Somebody who ends their own session does not administer."""
    own = call.person.session if call.person is not None else None
    mine = own is not None and (own.organization, own.user) == (key.organization, key.user)
    return EndReason.ENDED_BY_USER if mine else EndReason.ENDED_BY_ADMIN


def _keep(connection: Connection, key: RecordKey, ids: Sequence[str]) -> None:
    """Keep these of the IDs that were added, or nothing at all: a row without any is none."""
    if ids:
        added_ids.keep_added(connection, key, ids)
    else:
        added_ids.forget_added(connection, key)
