"""Sessions and session records, for administrators and for applications (their own sessions only)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam.api.access import (
    Call,
    Cursor,
    Limit,
    Manager,
    OneHop,
    PathName,
    SessionMissing,
    SessionsEnder,
    SessionsReader,
    Text,
    answer,
    nothing,
    reach,
    reaches,
)
from iam.api.documents import BY_CLIENT, BY_MANAGER, errors, secured
from iam.api.ending_schemas import ExtendBody, ValidateBody
from iam.api.schemas import StartBody
from iam.api.search_api import end_these
from iam.api.session_detail import SessionDetailView, session_detail_view
from iam.api.views import (
    RecordsView,
    RecordView,
    RefusedView,
    SessionView,
    StartedView,
    empty_record_view,
    record_view,
    session_view,
)
from iam.directory.organizations import find_organization
from iam.kernel.errors import Forbidden
from iam.kernel.events import Origin
from iam.kernel.ids import SESSION, is_id
from iam.kernel.secrets import parse_token
from iam.sessions import lifecycle, store
from iam.sessions.extend import extend
from iam.sessions.lifecycle import Ended, Started
from iam.sessions.listing import list_records, live_record
from iam.sessions.lock import lock
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason, RecordKey, Selection, Session
from iam.sessions.validate import (
    Outcome,
    SessionEnded,
    SessionLocked,
    SessionUnknown,
    Verdict,
    judge,
    refusal,
)
from iam.signin.devices import device_label
from iam.signin.enter import start_for_user
from iam.signin.federated_sessions import Federated, read_federated
from iam.web.caller import Client
from iam.web.changes import Change
from iam.web.engine import in_thread

router = APIRouter(tags=["sessions"])
hot = APIRouter(tags=["sessions"], route_class=OneHop)


@hot.post(
    "/v1/sessions",
    operation_id="startSession",
    summary="Start a session for a user of the calling application",
    status_code=201,
    response_model=StartedView,
    responses=errors(401, 403, 409, body=True),
    openapi_extra=secured(BY_CLIENT),
)
def start(call: Manager, body: StartBody) -> Change:
    """For back ends that authenticate their users themselves, and for service instances: each start
    is a session of its own in the same record. No person has authenticated, so `amr` is empty. 409
    `session_limit` where the policy limits their number and ends none for a new one."""
    if not isinstance(call.caller, Client):
        # An administrator who could start others' sessions could act in their name.
        raise Forbidden("Only an application starts sessions, with its client credentials.")
    client = call.caller
    if client.name == BUILT_IN_APPLICATION:
        raise Forbidden("Browser sessions are started by signing in only.")
    origin = Origin(
        ip=str(body.ip) if body.ip is not None else call.origin.ip,
        user_agent=body.user_agent or call.origin.user_agent,
    )

    def work(connection: Connection) -> Started:
        return start_for_user(
            connection,
            organization=client.organization,
            user=body.user,
            application=client.name,
            instance=body.instance,
            metadata=body.metadata,
            maximum_lifetime=body.maximum_lifetime,
            origin=origin,
            device=body.device or device_label(origin.user_agent),
            **call.cause,
        )

    def answered(started: Started) -> Response:
        call.engine.count_started(started)
        return answer(
            {"session": session_view(started.session, call.now), "token": started.token},
            201,
            location=f"/v1/sessions/{started.session.id}",
        )

    return Change(work, answered)


@router.post(
    "/v1/sessions/validate",
    operation_id="validateSessions",
    summary="Judge up to a thousand tokens",
    response_model=list[SessionView | RefusedView],
    responses=errors(401, 403, body=True),
    openapi_extra=secured(BY_MANAGER),
)
async def validate_many(call: Manager, body: ValidateBody) -> Response:
    """In the order of the tokens: the session, or the `code` of why there is none. An application's
    asking counts as activity of the session; an administrator's does not."""
    tokens = [parse_token(text) for text in body.tokens]
    reader, now = call.engine.reader, call.now
    rows = await asyncio.gather(*(reader.read(token.session_id) for token in tokens))
    verdicts = [judge(token, row, now) for token, row in zip(tokens, rows, strict=True)]
    ids = sorted({v.row.id for v in verdicts if v.row is not None})
    sessions = await in_thread(
        lambda: call.engine.database.read(lambda c: store.read_sessions(c, ids))
    )
    return answer([_judged(call, verdict, sessions) for verdict in verdicts])


def _judged(call: Call, verdict: Verdict, sessions: dict[str, Session]) -> dict[str, Any]:
    session = sessions.get(verdict.row.id) if verdict.row is not None else None
    counts = call.engine.metrics.validations
    if session is None or verdict.row is None or not reaches(call, session):
        counts[str(Outcome.UNKNOWN)] += 1
        return {"code": SessionUnknown.code, "end_reason": None}
    # The whole row was read after the verdict: if the session ended in between, that is what counts.
    reason = verdict.reason or refusal(session, call.now)
    if isinstance(reason, EndReason):
        counts[str(Outcome.ENDED)] += 1
        return {"code": SessionEnded.code, "end_reason": reason}
    if reason is not None:
        counts[str(Outcome.LOCKED)] += 1
        return {"code": SessionLocked.code, "end_reason": None}
    counts[str(Outcome.VALID)] += 1
    if isinstance(call.caller, Client):
        call.engine.touches.note(verdict.row, call.now)
    return session_view(session, call.now)


@router.get(
    "/v1/sessions/{id}",
    operation_id="getSession",
    summary="One session",
    response_model=SessionDetailView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def get_one(call: SessionsReader, id: PathName) -> Response:  # noqa: A002 - the path's word
    """Also an ended one, with its reason, until the retention time is over."""

    def work(connection: Connection) -> tuple[Session, Federated | None]:
        session = _find(connection, call, id)
        born = read_federated(connection, {session.id, session.seat})
        return session, born.get(session.id, born.get(session.seat))

    session, federated = call.engine.database.read(work)
    return answer(session_detail_view(session, federated, call.now))


@router.delete(
    "/v1/sessions/{id}",
    operation_id="endSession",
    summary="End one session",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def end_one(call: SessionsEnder, id: PathName) -> Response:  # noqa: A002 - the path's word
    """With its children. 204 also when it was over already."""
    ended = call.engine.database.write(lambda c: end_these(c, call, [_find(c, call, id).id]))
    call.engine.count_ended(ended)
    return nothing(own_session_ended=_own_among(call, ended))


@router.post(
    "/v1/sessions/{id}/extend",
    operation_id="extendSession",
    summary="Let a live session go on for longer",
    response_model=SessionView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_MANAGER),
)
def extend_one(call: Manager, id: PathName, body: ExtendBody) -> Response:  # noqa: A002 - the path's word
    """Moves `expires_at`: no further than the policy's maximum lifetime from now, never past its
    browser session's end, never back. Its idle timeout stays. The answer is the session as it is now."""
    extended = call.engine.database.write(
        lambda c: extend(
            c, _find(c, call, id), lifetime=body.lifetime, origin=call.origin, **call.cause
        )
    )
    return answer(session_view(extended, call.now))


@router.post(
    "/v1/sessions/{id}/lock",
    operation_id="lockSession",
    summary="Lock a live session",
    response_model=SessionView,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_MANAGER),
)
def lock_one(call: Manager, id: PathName) -> Response:  # noqa: A002 - the path's word
    """With its children. It stays, but every request with it is refused (`session_locked`) until its
    user unlocks it with their password. 200 also when it was locked already."""
    locked = call.engine.database.write(
        lambda c: lock(c, _find(c, call, id).id, origin=call.origin, **call.cause)
    )
    return answer(session_view(locked, call.now))


@router.get(
    "/v1/session-records",
    operation_id="listSessionRecords",
    summary="Session records that have a live session",
    response_model=RecordsView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def list_all_records(
    call: SessionsReader,
    organization: Text = None,
    user: Text = None,
    application: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """By organization, user and application. A page may be shorter than `limit` before the last."""
    scope = reach(call, organization, application)
    parts = cursor.split("/") if cursor is not None else []
    page = call.engine.database.read(
        lambda c: list_records(
            c,
            organization=scope.organization,
            user=user,
            application=scope.application,
            now=call.now,
            # A cursor that we never gave is a place in the list like any other.
            after=RecordKey(*[*parts, "", ""][:3]) if parts else None,
            limit=limit,
        )
    )
    following = "/".join(page.next) if page.next is not None else None
    return answer({"items": [record_view(one) for one in page.items], "next": following})


@router.get(
    "/v1/session-records/{organization}/{user}/{application}",
    operation_id="getSessionRecord",
    summary="One session record",
    response_model=RecordView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def get_record(
    call: SessionsReader, organization: PathName, user: PathName, application: PathName
) -> Response:
    """`session_ids` is empty when no session is live."""
    key = _record_key(call, organization, user, application)
    record = call.engine.database.read(lambda c: live_record(c, key, call.now))
    return answer(record_view(record) if record is not None else empty_record_view(key))


@router.delete(
    "/v1/session-records/{organization}/{user}/{application}",
    operation_id="endSessionRecord",
    summary="End all sessions of a record",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_MANAGER),
)
def end_record(
    call: SessionsEnder, organization: PathName, user: PathName, application: PathName
) -> Response:
    """With their children. 204 also when none was live."""
    key = _record_key(call, organization, user, application)
    selection = Selection(organization=key.organization, user=key.user, application=key.application)
    ended = _end_selection(call, selection)
    call.engine.count_ended(ended)
    return nothing(own_session_ended=_own_among(call, ended))


# Sessions that one transaction ends: so that everybody else's writes come in between.
_AT_ONCE = 2000


def _end_selection(call: Call, selection: Selection) -> tuple[Ended, ...]:
    """End all that a selection means, in transactions of bounded size."""
    all_ended: list[Ended] = []
    while True:
        ended = call.engine.database.write(
            lambda c: lifecycle.end_selected(
                c,
                selection,
                reason=EndReason.ENDED_BY_ADMIN,
                origin=call.origin,
                limit=_AT_ONCE,
                **call.cause,
            )
        )
        all_ended += ended
        if len(ended) < _AT_ONCE:
            return tuple(all_ended)


def _find(connection: Connection, call: Call, session_id: str) -> Session:
    session = store.read_session(connection, session_id) if is_id(SESSION, session_id) else None
    if session is None or not reaches(call, session):
        raise SessionMissing
    return session


def _record_key(call: Call, organization: str, user: str, application: str) -> RecordKey:
    reach(call, organization, application)
    call.engine.database.read(lambda c: find_organization(c, organization))
    return RecordKey(organization, user, application)


def _own_among(call: Call, ended: Sequence[Ended]) -> bool:
    return any(one.session.id == call.own_session for one in ended)
