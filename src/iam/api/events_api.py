"""What happened, for administrators."""

from fastapi import APIRouter
from starlette.responses import Response

from iam import audit
from iam.api.access import Cursor, Limit, Reader, Text, answer, reach
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.views import EventsView
from iam.kernel.events import event_members

router = APIRouter(tags=["events"])


@router.get(
    "/v1/events",
    operation_id="listEvents",
    summary="Events, newest first",
    response_model=EventsView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_all(
    call: Reader,
    organization: Text = None,
    type: Text = None,  # noqa: A002 - the parameter's name in the address
    user: Text = None,
    application: Text = None,
    session: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Every start and end of a session, every sign-in and every change of the directory. Without
    `organization`: all that the caller administers."""
    scope = reach(call, organization, application)
    events = call.engine.database.read(
        lambda c: audit.list_events(
            c,
            organization=scope.organization,
            type_=type,
            user=user,
            application=scope.application,
            session=session,
            before=cursor,
            limit=limit,
        )
    )
    # A full page may be the last one: then the next one is empty.
    following = events[-1].id if len(events) == limit else None
    return answer({"items": [event_members(one) for one in events], "next": following})
