"""Small deeds of the console: letting a session go on, sending a notice again."""

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.console.changes import Cause, cause_of
from iam.console.ending import back_to
from iam.console.scope import require_console, session_in_scope
from iam.delivery import outbox
from iam.delivery.listing import DeliveryMissing, find_delivery
from iam.delivery.outbox import DeliveryPending
from iam.languages import _
from iam.sessions.extend import extend
from iam.sessions.lock import lock
from iam.web.engine import engine_of, in_thread
from iam.web.forms import FormInvalid, read_form
from iam.web.pages import page_errors, see_other
from iam.web.rights import Right
from iam.web.visitor import posting_visitor

LIFETIMES = ("", "3600", "14400")
"""Seconds that the page offers; '' is for as long as its policy allows."""


@page_errors
async def extend_session(request: Request) -> Response:
    """POST: let a live session go on for as long as its policy allows, or for less."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    cause = cause_of(request, require_console(visitor, Right.CHANGE), now)
    wanted, lifetime = str(request.path_params["id"]), fields.get("lifetime", "")
    if lifetime not in LIFETIMES:
        raise FormInvalid(_("Choose one of the lengths of time that the page offers."))

    def work(connection: Connection) -> bool:
        before = session_in_scope(connection, cause.person, wanted.replace("\x00", ""))
        after = extend(
            connection,
            before,
            lifetime=int(lifetime) if lifetime else None,
            origin=cause.origin,
            **cause.members,
        )
        return after.expires_at > before.expires_at

    moved = await in_thread(lambda: engine.database.write(work))
    return see_other(f"/console/sessions/{wanted}?notice={'extended' if moved else 'not-extended'}")


@page_errors
async def lock_session(request: Request) -> Response:
    """POST: lock a live session: it is refused until its user has shown their password once more."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    cause = cause_of(request, require_console(visitor, Right.CHANGE), now)
    wanted = str(request.path_params["id"]).replace("\x00", "")

    def work(connection: Connection) -> None:
        session_in_scope(connection, cause.person, wanted)
        lock(connection, wanted, origin=cause.origin, **cause.members)

    await in_thread(lambda: engine.database.write(work))
    return see_other(f"/console/sessions/{wanted}?notice=locked")


@page_errors
async def redeliver(request: Request) -> Response:
    """POST: send a notice once more, whether it was delivered or given up."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    cause = cause_of(request, require_console(visitor, Right.CHANGE), now)
    wanted = str(request.path_params["id"]).replace("\x00", "")
    back = back_to(fields)
    joined = "&" if "?" in back else "?"
    try:
        await in_thread(lambda: engine.database.write(lambda c: _redeliver(c, cause, wanted)))
    except DeliveryPending:
        return see_other(f"{back}{joined}notice=pending")
    return see_other(f"{back}{joined}notice=again")


def _redeliver(connection: Connection, cause: Cause, wanted: str) -> None:
    found = find_delivery(connection, wanted)
    if not cause.reaches(found.organization):
        raise DeliveryMissing
    outbox.redeliver(connection, wanted, cause.now)
    data = {"delivery": wanted, "webhook": found.webhook}
    event = cause.event("delivery.redelivered", organization=found.organization, data=data)
    audit.append(connection, [event])
