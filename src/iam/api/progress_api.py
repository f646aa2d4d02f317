"""How far a bulk end is, while it is under way: over Server-Sent Events (HTML Living Standard §9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from iam.api.access import Call, PathName, SessionsReader
from iam.api.documents import BY_MANAGER, errors, secured
from iam.api.search_api import own_bulk_end
from iam.api.stream_api import MOST, TooManyStreams
from iam.api.views import bulk_end_view
from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing
from iam.sessions.bulk import BulkEnd, BulkEndMissing
from iam.sessions.validate import Outcome, validate
from iam.web.caller import Client, Person, presented_token
from iam.web.engine import in_thread
from iam.web.rights import Right

router = APIRouter(tags=["sessions"])
_PACE = 0.5  # seconds between two looks
_QUIET = 15  # seconds without progress after which a comment keeps proxies from hanging up


@router.get(
    "/v1/sessions/end/{id}/progress",
    operation_id="followBulkEnd",
    summary="How far a bulk end is, while it is under way",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The bulk end each time it has come further, in `data` as JSON.",
            "content": {"text/event-stream": {}},
        },
        **errors(401, 403, 404),
    },
    openapi_extra=secured(BY_MANAGER),
)
def follow(call: SessionsReader, request: Request, id: PathName) -> Response:  # noqa: A002 - the path's word
    """Server-Sent Events: what `GET /v1/sessions/end/{id}` answers, at once and after every step, whoever
    takes it. The stream ends when the bulk end is finished, or when its reader may no longer see it."""
    engine = call.engine
    if engine.metrics.streams >= MOST:
        raise TooManyStreams
    found = engine.database.read(lambda c: own_bulk_end(c, call, id))
    token = presented_token(request, engine.settings) or ""
    return StreamingResponse(
        _follow(call, token, found),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _follow(call: Call, token: str, bulk: BulkEnd) -> AsyncIterator[str]:
    engine, loop = call.engine, asyncio.get_running_loop()
    engine.metrics.streams += 1
    shown: BulkEnd | None = None
    said = loop.time()
    try:
        while True:
            if bulk != shown:
                shown, said = bulk, loop.time()
                yield f"data: {json.dumps(bulk_end_view(bulk), ensure_ascii=False)}\n\n"
            elif loop.time() - said > _QUIET:
                said = loop.time()
                yield ": still here\n\n"
            if bulk.finished_at is not None:
                return
            await asyncio.sleep(_PACE)
            known = bulk.id
            found = await in_thread(
                lambda: engine.database.read(lambda c: _look(c, call, token, known))  # noqa: B023 - awaited at once
            )
            if found is None:
                return
            bulk = found
    finally:
        engine.metrics.streams -= 1


def _look(connection: Connection, call: Call, token: str, bulk_id: str) -> BulkEnd | None:
    """The bulk end; None if it is forgotten or its reader is no longer let in. Looking is no activity."""
    caller = call.caller
    try:
        if isinstance(caller, Client):
            if not find_application(connection, *caller.key).is_open:
                return None
        else:
            verdict = validate(connection, token, call.engine.clock())
            if verdict.outcome is not Outcome.VALID or verdict.row is None:
                return None
            if Right.SEE_SESSIONS not in Person(verdict.row).rights:
                return None
        return own_bulk_end(connection, call, bulk_id)
    except (ApplicationMissing, BulkEndMissing):
        return None
