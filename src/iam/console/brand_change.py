"""`/console/organizations/{name}/brand`: the colour and the logo of an organization's sign-in page."""

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.console.asking import path_of
from iam.console.changes import Cause, cause_of
from iam.console.scope import organization_in_scope, require_console
from iam.directory.brands import LARGEST_LOGO, set_colour, set_logo
from iam.languages import _
from iam.web.csrf import check_csrf
from iam.web.engine import engine_of, in_thread
from iam.web.forms import FormInvalid, read_form, read_upload
from iam.web.pages import page_errors, see_other
from iam.web.rights import Right
from iam.web.visitor import posting_visitor, visitor_of


@page_errors
async def change_colour(request: Request) -> Response:
    """POST: set the colour; an empty one takes it away, and `no_logo` the logo."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    cause = cause_of(request, require_console(visitor, Right.CHANGE), now)
    name, colour = _named(request), fields.get("colour", "").strip().lower()

    def work(connection: Connection) -> None:
        organization_in_scope(connection, cause.person, name)
        if "no_logo" in fields:
            set_logo(connection, name, None, now)
            _note(connection, cause, name, "logo")
        else:
            set_colour(connection, name, colour or None, now)
            _note(connection, cause, name, "colour")

    await in_thread(lambda: engine.database.write(work))
    return see_other(f"{path_of('organizations', name)}?notice=brand")


@page_errors
async def change_logo(request: Request) -> Response:
    """POST: set the logo, an uploaded PNG."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    # First: of whoever may not, no file is read.
    cause = cause_of(request, require_console(visitor, Right.CHANGE), now)
    fields, content = await read_upload(request, "logo", LARGEST_LOGO)
    check_csrf(request, engine.settings, visitor.token, fields.get("csrf"))
    name = _named(request)
    if not content:
        raise FormInvalid(_("Choose a file."))

    def work(connection: Connection) -> None:
        organization_in_scope(connection, cause.person, name)
        set_logo(connection, name, content, now)
        _note(connection, cause, name, "logo")

    await in_thread(lambda: engine.database.write(work))
    return see_other(f"{path_of('organizations', name)}?notice=brand")


def _note(connection: Connection, cause: Cause, name: str, what: str) -> None:
    data = {"changed": [what]}
    event = cause.event("organization.updated", organization=name, data=data)
    audit.append(connection, [event])


def _named(request: Request) -> str:
    return str(request.path_params["name"]).replace("\x00", "")
