"""Searching sessions, and ending many of them: by IDs, by a filter in steps, by an instant at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import (
    Call,
    Cursor,
    Limit,
    PathName,
    SessionMissing,
    SessionsEnder,
    SessionsReader,
    Text,
    answer,
    reach,
    reaches,
)
from iam.api.documents import BY_MANAGER, errors, secured
from iam.api.ending_schemas import EndBody, EndFilter, NotBeforeBody
from iam.api.schemas import Moment, Network
from iam.api.views import (
    BulkEndedView,
    BulkEndView,
    EventsView,
    FoundView,
    NotBeforeView,
    bulk_end_view,
    session_view,
)
from iam.directory.organizations import find_organization
from iam.kernel.clock import Instant, to_iso
from iam.kernel.events import SYSTEM, Event, event_members
from iam.kernel.ids import SESSION, is_id
from iam.sessions import bulk, cut, lifecycle, store
from iam.sessions.bulk import BulkEnd, BulkEndMissing
from iam.sessions.counting import count_sessions
from iam.sessions.lifecycle import Ended
from iam.sessions.listing import State
from iam.sessions.model import EndReason
from iam.sessions.policy import end_reason
from iam.sessions.search import SessionFilter, Sort, entered_from, list_sessions
from iam.web.caller import Person

router = APIRouter(tags=["sessions"])

_SAMPLE = 10
_NAMED = 1000
"""So many IDs a dry run names."""
_STEPS = 10
"""Steps in one call: an answer comes within seconds, whatever the number of sessions."""


@router.get(
    "/v1/sessions",
    operation_id="listSessions",
    summary="Sessions that match a filter, newest first",
    response_model=FoundView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def list_all(
    call: SessionsReader,
    organization: Text = None,
    user: Text = None,
    application: Text = None,
    parent: Text = None,
    instance: Text = None,
    ip: Annotated[Network | None, Query(description="An address or a network.")] = None,
    device: Text = None,
    browser: Text = None,
    amr: Text = None,
    acr: Text = None,
    started_after: Annotated[Moment | None, Query()] = None,
    started_before: Annotated[Moment | None, Query()] = None,
    last_active_before: Annotated[Moment | None, Query()] = None,
    state: State | None = None,
    sort: Sort = "-created_at",
    count: Literal["exact", "estimate"] | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Live ones and those that ended within the retention time. Without `organization`: all that the
    caller administers. A page may be shorter than `limit` before the last."""
    scope = reach(call, organization, application)
    wanted = SessionFilter(
        organization=scope.organization,
        user=user,
        application=scope.application,
        parent=parent,
        instance=instance,
        ip=ip,
        device=device,
        browser=browser,
        amr=amr,
        acr=acr,
        started_after=_moment(started_after),
        started_before=_moment(started_before),
        last_active_before=_moment(last_active_before),
        state=state,
    )

    def work(connection: Connection) -> dict[str, Any]:
        page = list_sessions(connection, wanted, call.now, before=cursor, limit=limit, sort=sort)
        counted = None
        if count is not None:
            counted = count_sessions(connection, wanted, call.now, exact=count == "exact")
        return {
            "items": [session_view(s, call.now) for s in page.items],
            "next": page.next,
            "count": counted.number if counted is not None else None,
            "count_exact": counted.exact if counted is not None else None,
        }

    return answer(call.engine.database.read(work))


@router.post(
    "/v1/sessions/end",
    operation_id="endSessions",
    summary="End many sessions",
    response_model=BulkEndedView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_MANAGER),
)
def end_many(call: SessionsEnder, body: EndBody) -> Response:
    """By IDs (unknown ones are passed over), or by a filter; above 100 sessions a filter needs the
    `confirm` of its dry run. The answer comes after the commit: from then on no node accepts any of
    them. While `more` is true, call again with `cursor`; what nobody goes on with, the server does."""
    database = call.engine.database
    if "cursor" in body.model_fields_set:
        if body.dry_run:
            found = database.read(lambda c: own_bulk_end(c, call, body.cursor))
            return answer(_far(call, _Done(bulk=found)))
        return answer(_far(call, _go_on(call, body.cursor)))
    if "ids" in body.model_fields_set:
        if body.dry_run:
            return answer(
                database.read(lambda c: _would_end(c, call, _reachable(c, call, body.ids)))
            )
        ended = database.write(
            lambda c: end_these(c, call, _reachable(c, call, body.ids), note=body.reason)
        )
        call.engine.count_ended(ended)
        return answer(_far(call, _Done(ended=ended)))
    wanted = _wanted(call, body.filter)
    if wanted.organization is not None:
        owner = wanted.organization
        database.read(lambda c: find_organization(c, owner))
    if body.dry_run:
        return answer(database.write(lambda c: _proposed(c, call, wanted, body.reason)))
    if body.confirm is None:
        ended = database.write(
            lambda c: bulk.end_few(c, wanted, note=body.reason, origin=call.origin, **call.cause)
        )
        call.engine.count_ended(ended)
        return answer(_far(call, _Done(ended=ended)))
    confirmed = body.confirm
    database.write(
        lambda c: bulk.confirm(
            c, confirmed, wanted, note=body.reason, origin=call.origin, **call.cause
        )
    )
    return answer(_far(call, _go_on(call, confirmed)))


@router.get(
    "/v1/sessions/end/{id}",
    operation_id="getBulkEnd",
    summary="How far a bulk end is",
    response_model=BulkEndView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def get_bulk_end(call: SessionsReader, id: PathName) -> Response:  # noqa: A002 - the path's word
    """By its `cursor` or `confirm`, for who began it; kept for a week after it was finished."""
    return answer(bulk_end_view(call.engine.database.read(lambda c: own_bulk_end(c, call, id))))


@router.post(
    "/v1/sessions/not-before",
    operation_id="endSessionsBefore",
    summary="End everything authenticated before an instant, at once",
    response_model=NotBeforeView,
    responses=errors(401, 403, 404, body=True),
    openapi_extra=secured(BY_MANAGER),
)
def not_before(call: SessionsEnder, body: NotBeforeBody) -> Response:
    """All of an organization, an application, a user or a method of authentication that was
    authenticated (without a person: started) before `before`. However many they are, no node accepts
    any of them after the answer; their ends are noted and told one by one in the seconds after it."""
    scope = reach(call, body.organization or call.home, body.application)
    wanted = SessionFilter(
        organization=scope.organization,
        user=body.user,
        application=scope.application,
        amr=body.amr,
        but=call.own_session if body.but_current else None,
    )
    before = _moment(body.before)
    # What starts from now on is not over: an instant to come would end what has not been yet.
    before = call.now if before is None else min(before, call.now)
    database, owner = call.engine.database, scope.organization
    if owner is not None:
        database.read(lambda c: find_organization(c, owner))
    if body.dry_run:
        number = database.read(lambda c: cut.count_before(c, wanted, before, call.now))
        return answer({"before": to_iso(before), "ended": number, "children": None})
    done = database.write(
        lambda c: cut.not_before(
            c, wanted, before, note=body.reason, origin=call.origin, **call.cause
        )
    )
    return answer({"before": to_iso(before), "ended": done.sessions, "children": done.children})


@router.get(
    "/v1/sessions/{id}/timeline",
    operation_id="getSessionTimeline",
    summary="What happened to one session, oldest first",
    response_model=EventsView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def timeline(
    call: SessionsReader,
    id: PathName,  # noqa: A002 - the path's word
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Its own events, and the starts of the sessions that were entered from it."""

    def work(connection: Connection) -> list[Event]:
        session = store.read_session(connection, id) if is_id(SESSION, id) else None
        if session is None or not reaches(call, session):
            raise SessionMissing
        entered = entered_from(connection, session.id)
        return list(audit.timeline(connection, session.id, entered, after=cursor, limit=limit))

    events = call.engine.database.read(work)
    following = events[-1].id if len(events) == limit else None
    return answer({"items": [event_members(one) for one in events], "next": following})


def end_these(
    connection: Connection, call: Call, session_ids: Sequence[str], note: str | None = None
) -> tuple[Ended, ...]:
    """End these sessions; for the caller's own that is signing out."""
    how: dict[str, Any] = {"origin": call.origin, "note": note, **call.cause}
    own = [one for one in session_ids if one == call.own_session]
    others = [one for one in session_ids if one != call.own_session]
    return lifecycle.end(connection, own, reason=EndReason.SIGNED_OUT, **how) + lifecycle.end(
        connection, others, reason=EndReason.ENDED_BY_ADMIN, **how
    )


@dataclass(frozen=True, slots=True)
class _Done:
    ended: tuple[Ended, ...] = ()
    bulk: BulkEnd | None = None


def _go_on(call: Call, bulk_id: str) -> _Done:
    """Take some steps of a bulk end that the caller has confirmed."""
    database, clock = call.engine.database, call.engine.clock
    found = database.read(lambda c: own_bulk_end(c, call, bulk_id))
    ended: list[Ended] = []
    for _ in range(_STEPS):
        step = database.write(
            lambda c: bulk.take_step(
                c, bulk_id, now=clock(), random=call.engine.random, origin=call.origin
            )
        )
        call.engine.count_ended(step.ended)
        ended += step.ended
        found = step.bulk
        if found.finished_at is not None:
            break
    return _Done(ended=tuple(ended), bulk=found)


def own_bulk_end(connection: Connection, call: Call, bulk_id: str) -> BulkEnd:
    """A bulk end that this caller has confirmed.

    Raises:
        BulkEndMissing: there is none, or it is another's.
    """
    found = bulk.read_bulk_end(connection, bulk_id)
    if found.actor != call.caller.actor:
        raise BulkEndMissing
    return found


def _far(call: Call, done: _Done) -> dict[str, Any]:
    ids = [one.session.id for one in done.ended if one.actor != SYSTEM]
    more = done.bulk is not None and done.bulk.finished_at is None
    return {
        "ended": len(ids),
        "ids": ids,
        "own_session_ended": call.own_session in ids,
        "processed": done.bulk.processed if done.bulk is not None else len(ids),
        "more": more,
        "cursor": done.bulk.id if done.bulk is not None and more else None,
        "count": None,
        "sample": None,
        "confirm": None,
    }


def _would_end(
    connection: Connection,
    call: Call,
    session_ids: Sequence[str],
    proposed: BulkEnd | None = None,
) -> dict[str, Any]:
    """What a dry run says: of these IDs, with their children."""
    family = sorted({*session_ids, *store.children_of(connection, session_ids)})
    live = {
        one: found
        for first in range(0, len(family), _NAMED)
        for one, found in store.read_sessions(connection, family[first : first + _NAMED]).items()
        if end_reason(found, call.now) is None
    }
    number = proposed.number if proposed is not None else len(live)
    return {
        "ended": number,
        "ids": sorted(live),
        "own_session_ended": call.own_session in live,
        "processed": 0,
        "more": False,
        "cursor": None,
        "count": number,
        "sample": [session_view(live[one], call.now) for one in sorted(live)[:_SAMPLE]],
        "confirm": proposed.id if proposed is not None else None,
    }


def _proposed(
    connection: Connection, call: Call, wanted: SessionFilter, note: str | None
) -> dict[str, Any]:
    proposed = bulk.propose(connection, wanted, note=note, **call.cause)
    ids = bulk.select_meant(connection, wanted, call.now, limit=_NAMED)
    told = _would_end(connection, call, ids, proposed)
    if isinstance(call.caller, Person):
        own = [one for one in (call.caller.session.id, call.caller.session.parent) if one]
        told["own_session_ended"] = bool(bulk.meant_among(connection, wanted, call.now, own))
    return told


def _wanted(call: Call, given: EndFilter) -> SessionFilter:
    # Without an organization it is the caller's own, also for who administers all of them: the
    # whole installation is never ended by what somebody forgot to write.
    scope = reach(call, given.organization or call.home, given.application)
    members = given.model_dump(exclude={"organization", "application", "but_current"})
    return SessionFilter(
        **members,
        organization=scope.organization,
        application=scope.application,
        but=call.own_session if given.but_current else None,
    )


def _reachable(connection: Connection, call: Call, session_ids: Sequence[str]) -> list[str]:
    """Those of these IDs that name sessions which exist for the caller."""
    named = [one for one in session_ids if is_id(SESSION, one)]
    found = store.read_sessions(connection, named)
    return sorted(session.id for session in found.values() if reaches(call, session))


def _moment(value: Any) -> Instant | None:
    """What a `Moment` has become."""
    return None if value is None else Instant(value)
