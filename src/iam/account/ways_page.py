"""`/account/ways`: by what one can sign in: the password, and the providers at which one is known."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.directory.providers import (
    Link,
    Provider,
    find_own_link,
    link_id,
    list_links,
    list_providers,
    remove_link,
)
from iam.directory.users import User, find_user
from iam.kernel.clock import Instant
from iam.kernel.errors import Conflict
from iam.kernel.events import Event
from iam.kernel.ids import EVENT, make_id
from iam.languages import N_, _, gettext
from iam.sessions import rules
from iam.sessions.model import LiveRow
from iam.web.address import origin_of
from iam.web.continue_with import link_action
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import moment, page_errors, render, see_other
from iam.web.visitor import posting_visitor, visitor_of

_NOTICES = {
    "linked": N_("Linked. From now on you can sign in with it."),
    "unlinked": N_("Removed. Nobody signs in to your account with it any more."),
}


class LastWayIn(Conflict):
    """Without it nobody could sign in to the account any more."""

    code = "last_way_in"
    title = "This is your only way to sign in."


@page_errors
async def show_ways(request: Request) -> Response:
    """GET: what is linked, and what could be."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    ways = await in_thread(lambda: engine.database.read(lambda c: _read(c, visitor.session, now)))
    notice = _NOTICES.get(request.query_params.get("notice", ""))
    flash = {"kind": "success", "text": gettext(notice)} if notice else None
    if request.query_params.get("with") == "cancelled":
        flash = {"kind": "info", "text": _("You came back without having signed in there.")}
    return render(
        request,
        "account_ways.html",
        person=visitor.person,
        csrf=visitor.csrf,
        flash=flash,
        **ways,
    )


@page_errors
async def unlink(request: Request) -> Response:
    """POST: remove a link, if there is another way in."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    me = visitor.session

    def work(connection: Connection) -> None:
        # Alone: of two that are removed at once the second finds the first gone.
        rules.hold_rules(connection, me.organization)
        user = find_user(connection, me.organization, me.user)
        link = find_own_link(connection, user.id, fields.get("link", ""))
        providers = _providers(connection, me.organization)
        if not _has_another_way(connection, user, link, providers):
            raise LastWayIn(_("Have a password set or link something else first."))
        remove_link(connection, link.provider, link.subject)
        event = Event(
            id=make_id(EVENT, now, engine.random),
            at=now,
            type="provider.unlinked",
            actor=visitor.person.actor,
            organization=me.organization,
            user=me.user,
            session=me.id,
            origin=origin_of(request, engine.settings),
            data={"provider": providers[link.provider].name, "subject": link.subject},
        )
        audit.append(connection, [event])

    await in_thread(lambda: engine.database.write(work))
    return see_other("/account/ways?notice=unlinked")


def _read(connection: Connection, me: LiveRow, now: Instant) -> dict[str, Any]:
    user = find_user(connection, me.organization, me.user)
    providers = _providers(connection, me.organization)
    links = list_links(connection, user.id)
    linked = {one.provider for one in links}
    return {
        "has_password": user.has_password,
        "links": [
            {
                "id": link_id(one),
                "name": providers[one.provider].display_name,
                "enabled": providers[one.provider].enabled,
                "subject": one.subject,
                "created": moment(one.created_at, now),
                "used": moment(one.last_used_at, now) if one.last_used_at is not None else None,
                "removable": _has_another_way(connection, user, one, providers),
            }
            for one in links
        ],
        "others": [
            {"name": one.name, "display_name": one.display_name, "action": link_action(one)}
            for one in providers.values()
            if one.enabled and one.id not in linked
        ],
    }


def _providers(connection: Connection, organization: str) -> dict[str, Provider]:
    return {one.id: one for one in list_providers(connection, organization)}


def _has_another_way(
    connection: Connection, user: User, link: Link, providers: dict[str, Provider]
) -> bool:
    if user.has_password:
        return True
    others = [one for one in list_links(connection, user.id) if one != link]
    return any(providers[one.provider].enabled for one in others)
