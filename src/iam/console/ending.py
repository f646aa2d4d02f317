"""Ending from the console: asked once, done at once."""

from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.scope import organization_in_scope, require_console, session_in_scope
from iam.languages import _, n_
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.listing import live_record
from iam.sessions.model import EndReason, RecordKey, Selection
from iam.web.address import origin_of
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.fresh import require_fresh
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import return_path
from iam.web.rights import Right
from iam.web.session_words import device_of
from iam.web.signing_out import left_by, signed_out_page
from iam.web.visitor import Visitor, posting_visitor

_HOME = "/console/sessions"


@page_errors
async def end_one(request: Request) -> Response:
    """POST: end one session; without `confirmed` the page that asks."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    person, wanted = require_console(visitor, Right.END_SESSIONS), fields.get("id", "")
    session = await in_thread(
        lambda: engine.database.read(lambda c: session_in_scope(c, person, wanted))
    )
    if not fields.get("confirmed"):
        text = (
            _("This is the session you are using now: you will have to sign in again.")
            if visitor.holds(wanted)
            else _(
                "%(user)s is signed out of %(application)s on “%(device)s” at once, on every node.",
                user=session.user,
                application=session.application,
                device=device_of(session).label,
            )
        )
        title, label = _("End this session?"), _("End session")
        return _ask(request, person, visitor, fields, title, text, label)

    def work(connection: Connection) -> tuple[Ended, ...]:
        return lifecycle.end(
            connection,
            [wanted],
            reason=EndReason.SIGNED_OUT if visitor.holds(wanted) else EndReason.ENDED_BY_ADMIN,
            actor=person.actor,
            now=now,
            random=engine.random,
            origin=origin_of(request, engine.settings),
        )

    return await _done(
        request, visitor, await in_thread(lambda: engine.database.write(work)), fields, "ended"
    )


@page_errors
async def end_record(request: Request) -> Response:
    """POST: end all sessions of one organization, user and application."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    person = require_console(visitor, Right.END_SESSIONS)
    organization, user, application = (
        fields.get(name, "") for name in ("organization", "user", "application")
    )
    key = RecordKey(organization, user, application)

    def count(connection: Connection) -> int:
        organization_in_scope(connection, person, organization)
        record = live_record(connection, key, now)
        return len(record.session_ids) if record is not None else 0

    number = await in_thread(lambda: engine.database.read(count))
    title = _("End all sessions of this record?")
    if not fields.get("confirmed"):
        text = n_(
            "%(user)s is signed out of %(application)s: %(number)s session ends at once, on every node.",
            "%(user)s is signed out of %(application)s: %(number)s sessions end at once, on every node.",
            number,
            user=user,
            application=application,
        )
        return _ask(request, person, visitor, fields, title, text, _("End all"))
    what = _("End all sessions of this record")
    about = _(
        "You wanted to end all sessions of %(user)s at %(application)s.",
        user=user,
        application=application,
    )
    await require_fresh(request, visitor, what, now, about=about, back=back_to(fields))

    def work(connection: Connection) -> tuple[Ended, ...]:
        return lifecycle.end_selected(
            connection,
            Selection(organization=organization, user=user, application=application),
            reason=EndReason.ENDED_BY_ADMIN,
            actor=person.actor,
            now=now,
            random=engine.random,
            origin=origin_of(request, engine.settings),
        )

    return await _done(
        request, visitor, await in_thread(lambda: engine.database.write(work)), fields, "record"
    )


def _ask(
    request: Request,
    person: Person,
    visitor: Visitor,
    fields: dict[str, str],
    title: str,
    text: str,
    label: str,
) -> Response:
    kept = ("id", "organization", "user", "application", "back")
    return render(
        request,
        "console_confirm.html",
        person=person,
        csrf=visitor.csrf,
        title=title,
        text=text,
        action=request.url.path,
        fields=[(name, fields[name]) for name in kept if name in fields],
        danger_label=label,
        cancel_href=back_to(fields),
    )


async def _done(
    request: Request,
    visitor: Visitor,
    ended: tuple[Ended, ...],
    fields: dict[str, str],
    notice: str,
) -> Response:
    engine_of(request).count_ended(ended)
    if any(visitor.holds(one.session.id) for one in ended):
        return await signed_out(request, visitor, ended)
    back = back_to(fields)
    query = urlencode({"notice": notice if ended else "over"})
    return see_other(f"{back}{'&' if '?' in back else '?'}{query}")


async def signed_out(request: Request, visitor: Visitor, ended: tuple[Ended, ...]) -> Response:
    """What somebody sees who has just ended the session that they used; the browser forgets it as well,
    and tells the applications that can be told through it alone."""
    me, now = visitor.session.id, engine_of(request).clock()
    own = tuple(one for one in ended if me in (one.session.id, one.session.parent))
    return await signed_out_page(request, await left_by(request, own, now))


def back_to(fields: dict[str, str]) -> str:
    """The page of the console that a form was sent from, as far as the form says it."""
    back = return_path(fields.get("back"), _HOME)
    return back if back.startswith("/console/") else _HOME
