"""The live feed: events as they are committed, over Server-Sent Events (HTML Living Standard §9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from iam.api.access import SessionsViewer, Text, reach
from iam.api.documents import BY_SESSION, errors, secured
from iam.audit import feed
from iam.audit.feed import Position
from iam.directory.organizations import find_organization
from iam.kernel.errors import Missing, Unavailable
from iam.kernel.events import Event, event_members
from iam.sessions.validate import Outcome, validate
from iam.web.caller import Person, presented_token
from iam.web.engine import Engine, in_thread
from iam.web.rights import Right

router = APIRouter(tags=["events"])

MOST = 100
"""Streams of one process at a time."""
_PACE = 0.5  # seconds between two looks
_QUIET = 15  # seconds without an event after which a comment keeps proxies from hanging up

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^evt_[0-9a-hjkmnp-tv-z]{26}$",
        description="The last event that one has had; the stream goes on after it.",
    ),
]


class TooManyStreams(Unavailable):
    """This process has as many open streams as it may have."""

    code = "too_many_streams"
    title = "Too many live feeds are open here. Try again later."


class EventMissing(Missing):
    """There is no such event, or not for this caller."""

    code = "event_not_found"
    title = "There is no such event."


@router.get(
    "/v1/events/stream",
    operation_id="streamEvents",
    summary="Events as they happen",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events, each in `data` as JSON.",
            "content": {"text/event-stream": {}},
        },
        **errors(401, 403, 404),
    },
    openapi_extra=secured(BY_SESSION),
)
def stream(
    call: SessionsViewer,
    request: Request,
    organization: Text = None,
    last: LastEventId = None,
) -> Response:
    """Server-Sent Events, from now on or after `Last-Event-ID`; each at least once. It ends when the
    caller's session does. Without `organization`: all that the caller
    reaches. Who may see sessions and no more is told of what becomes of those (`session.…`)."""
    engine, scope = call.engine, reach(call, organization, None)
    if engine.metrics.streams >= MOST:
        raise TooManyStreams
    token = presented_token(request, engine.settings) or ""

    def begin(connection: Connection) -> Position:
        if scope.organization is not None:
            find_organization(connection, scope.organization)
        if last is None:
            return feed.newest(connection, call.now)
        found = feed.position_of(connection, last, scope.organization)
        if found is None:
            raise EventMissing
        return found

    position = engine.database.read(begin)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _follow(engine, token, scope.organization, position),
        media_type="text/event-stream",
        headers=headers,
    )


async def _follow(
    engine: Engine, token: str, organization: str | None, position: Position
) -> AsyncIterator[str]:
    engine.metrics.streams += 1
    loop = asyncio.get_running_loop()
    said = loop.time()
    try:
        yield ": hello\n\n"
        while True:
            start = position
            events, position = await in_thread(
                lambda at=start: engine.database.look(lambda c: feed.read_after(c, at))  # type: ignore[misc] # mypy cannot infer defaults
            )
            # After the events were read and before they are shown: who may no longer see them does not.
            rights = await in_thread(lambda: _rights(engine, token, organization))
            if Right.SEE_SESSIONS not in rights:
                return
            for one in events:
                if organization in (None, one.organization) and _is_for(one, rights):
                    said = loop.time()
                    data = json.dumps(event_members(one), ensure_ascii=False)
                    yield f"id: {one.id}\ndata: {data}\n\n"
            if loop.time() - said > _QUIET:
                said = loop.time()
                yield ": still here\n\n"
            if len(events) < feed.PAGE:
                await asyncio.sleep(_PACE)
    finally:
        engine.metrics.streams -= 1


def _is_for(event: Event, rights: frozenset[Right]) -> bool:
    """Whether somebody with these rights may see this: who may see sessions alone sees what becomes of
    them."""
    return Right.READ in rights or event.type.startswith("session.")


def _rights(engine: Engine, token: str, organization: str | None) -> frozenset[Right]:
    """What the user may still do there; nothing if the session is over. Looking is no activity."""
    now = engine.clock()
    verdict = engine.database.look(lambda connection: validate(connection, token, now))
    if verdict.outcome is not Outcome.VALID or verdict.row is None:
        return frozenset()
    person = Person(verdict.row)
    return person.rights if person.reaches(organization) else frozenset()
