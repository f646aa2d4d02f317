"""`/account/preferences`: the language and the time zone of a person, in every browser of theirs."""

from itertools import groupby

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.directory.preferences import (
    Preferences,
    read_preferences,
    set_preferences,
    time_zones,
)
from iam.kernel.events import Event, user_actor
from iam.kernel.ids import EVENT, make_id
from iam.languages import LANGUAGES, _
from iam.web.address import origin_of
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.visitor import posting_visitor, visitor_of

PATH = "/account/preferences"


@page_errors
async def show_preferences(request: Request) -> Response:
    """GET: what there is to choose, and what is chosen."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    me = visitor.session
    chosen = await in_thread(
        lambda: engine.database.read(lambda c: read_preferences(c, me.organization, me.user))
    )
    saved = request.query_params.get("notice") == "saved"
    return render(
        request,
        "account_preferences.html",
        person=visitor.person,
        csrf=visitor.csrf,
        chosen=chosen,
        spoken=tuple(LANGUAGES.items()),
        zones=_by_region(),
        flash={"kind": "success", "text": _("Saved.")} if saved else None,
    )


@page_errors
async def save_preferences(request: Request) -> Response:
    """POST: hold to it from now on."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    me = visitor.session
    wanted = Preferences(fields.get("language") or None, fields.get("zone") or None)

    def work(connection: Connection) -> None:
        if not set_preferences(connection, me.organization, me.user, wanted):
            return
        event = Event(
            id=make_id(EVENT, now, engine.random),
            at=now,
            type="user.updated",
            actor=user_actor(me.organization, me.user),
            organization=me.organization,
            user=me.user,
            session=me.id,
            origin=origin_of(request, engine.settings),
            data={"changed": ["locale", "zoneinfo"]},
        )
        audit.append(connection, [event])

    await in_thread(lambda: engine.database.write(work))
    return see_other(f"{PATH}?notice=saved")


def _by_region() -> list[tuple[str, list[tuple[str, str]]]]:
    """The zones of each part of the world, as (name, what to show of it)."""
    return [
        (region, [(zone, zone.partition("/")[2].replace("_", " ") or zone) for zone in zones])
        for region, zones in groupby(time_zones(), key=lambda zone: zone.partition("/")[0])
    ]
