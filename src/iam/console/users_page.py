"""`/console/users`: the people of an organization, and one of them."""

from functools import cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.asking import notice_of, one_organization, path_of
from iam.console.forms import Field
from iam.console.rows import names_of, row_of
from iam.console.scope import organization_in_scope, require_console
from iam.directory import users
from iam.directory.preferences import time_zones
from iam.directory.providers import link_id, list_links, list_providers
from iam.directory.users import ADMINISTRATOR, AUDITOR, SUPPORT, User, find_user
from iam.kernel.clock import Instant
from iam.languages import LANGUAGES, N_
from iam.sessions.search import SessionFilter, list_sessions
from iam.signin.factors import find_factor, recovery_left
from iam.signin.passwords import SHORTEST
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import moment, page_errors, render
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/users"
_PAGE = 50
_SESSIONS = 10

NAME = Field(
    name="name",
    label=N_("User name"),
    required=True,
    hint=N_("Letters, digits and . _ @ + -, up to 127."),
)
_PASSWORD = Field(
    name="password",
    label=N_("Password"),
    kind="password",
    hint=N_(
        "At least %(number)s characters. Without one nobody can sign in as this user: "
        "applications may start its sessions."
    ),
    places={"number": SHORTEST},
)
INVITE = Field(
    name="invite",
    label=N_("Invitation"),
    kind="choices",
    options=(("mail", N_("Mail a link by which they choose their first password")),),
    hint=N_("The link works once, for a week. Then leave the password empty."),
    value=(),
)
_BY_BROWSER = ("", N_("As the browser says"))
_ZONE = Field(name="zoneinfo", label=N_("Time zone"), kind="choice", more=True)
_EDITED = (
    Field(name="display_name", label=N_("Name as people read it")),
    Field(name="email", label=N_("E-mail address")),
    Field(
        name="roles",
        label=N_("Roles"),
        kind="lines",
        hint=N_(
            "One a line. “%(administrator)s” administers, “%(auditor)s” reads, “%(support)s” sees and ends "
            "sessions; the gate passes all of them on."
        ),
        places={"administrator": ADMINISTRATOR, "auditor": AUDITOR, "support": SUPPORT},
    ),
    Field(
        name="locale",
        label=N_("Language"),
        kind="choice",
        options=(_BY_BROWSER, *LANGUAGES.items()),
        more=True,
    ),
)
_NOTICES = {
    "created": N_("The user has been added."),
    "invited": N_("The user has been added, and the invitation is on its way."),
    "unlinked": N_("That provider means this user no more. Their sessions go on."),
    "mailed": N_("A link to set a password is on its way to them."),
    "saved": N_("Saved. Live sessions have it already."),
    "disabled": N_("The user is disabled, and all their sessions have ended."),
    "enabled": N_("The user is enabled and can sign in again."),
    "password": N_("The password is set, and all their sessions have ended."),
    "factor": N_("The second factor is removed, and all their sessions have ended."),
    "deleted": N_("The user is deleted, and all their sessions have ended."),
}


@page_errors
async def show_users(request: Request) -> Response:
    """GET: users of an organization by name."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.READ)
    name, search = query_text(request, "organization"), query_text(request, "q")
    cursor = query_text(request, "cursor")

    def work(connection: Connection) -> dict[str, Any]:
        organization, choices = one_organization(connection, person, name)
        found = users.list_users(
            connection, organization, after=cursor or None, limit=_PAGE + 1, contains=search
        )
        query = {"organization": organization, "q": search}
        more = len(found) > _PAGE
        query |= {"cursor": found[_PAGE - 1].name} if more else {}
        return {
            "organization": organization,
            "organizations": choices,
            "users": [_row(one, now) for one in found[:_PAGE]],
            "next_href": f"{PATH}?{urlencode({k: v for k, v in query.items() if v})}"
            if more
            else None,
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_users.html",
        person=person,
        csrf=visitor.csrf,
        search=search,
        first=not cursor,
        flash=notice_of(request, _NOTICES),
        **context,
    )


@page_errors
async def show_user(request: Request) -> Response:
    """GET: one user: who they are, where they are signed in, and what can be done."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.READ)
    owner, name = (str(request.path_params[one]) for one in ("organization", "name"))
    context = await in_thread(
        lambda: engine.database.read(
            lambda c: read_user(c, person, owner, name, visitor.session.id, now)
        )
    )
    return render(
        request,
        "console_user.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        error=None,
        wrong={},
        **context,
    )


def read_user(
    connection: Connection, person: Person, owner: str, name: str, own: str, now: Instant
) -> dict[str, Any]:
    """What the page of a user shows.

    Raises:
        OrganizationMissing, UserMissing: there is none, or not for this administrator.
    """
    owner, name = owner.replace("\x00", ""), name.replace("\x00", "")
    organization_in_scope(connection, person, owner)
    user = find_user(connection, owner, name)
    wanted = SessionFilter(organization=owner, user=name, state="active")
    page = list_sessions(connection, wanted, now, limit=_SESSIONS)
    names = names_of(connection, page.items)
    factor = find_factor(connection, user.id)
    return {
        "factor": {
            "added": moment(factor.created_at, now),
            "codes": recovery_left(connection, user.id),
        }
        if factor is not None
        else None,
        "organization": owner,
        "user": _row(user, now),
        "fields": edited(user),
        "sessions": [row_of(one, names, own, now) for one in page.items],
        "more_sessions": page.next is not None,
        "links": _links(connection, owner, user, now),
        "here": path_of("users", owner, name),
    }


def _links(connection: Connection, owner: str, user: User, now: Instant) -> list[dict[str, Any]]:
    known = {one.id: one for one in list_providers(connection, owner)}
    return [
        {
            "id": link_id(one),
            "provider": known[one.provider].display_name,
            "href": path_of("providers", owner, known[one.provider].name),
            "subject": one.subject,
            "used": None if one.last_used_at is None else moment(one.last_used_at, now),
        }
        for one in list_links(connection, user.id)
    ]


def edited(user: User) -> list[Field]:
    """The fields of a user as they stand."""
    values = {
        "display_name": user.display_name,
        "email": user.email or "",
        "roles": "\n".join(user.roles),
        "locale": user.preferences.locale or "",
        "zoneinfo": user.preferences.zone or "",
    }
    return [one.with_value(values[one.name]) for one in edited_fields()]


@cache
def edited_fields() -> tuple[Field, ...]:
    """What can be changed about a user. Made when a page wants it: to find the time zones takes a while."""
    zones = [(zone, zone.replace("_", " ")) for zone in time_zones()]
    return (*_EDITED, _ZONE.with_options((_BY_BROWSER, *zones)))


def new_fields() -> list[Field]:
    """What a new user is made of."""
    return [NAME, *edited_fields(), INVITE, _PASSWORD]


def _row(user: User, now: Instant) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "display_name": user.display_name,
        "email": user.email,
        "roles": user.roles,
        "enabled": user.enabled,
        "has_password": user.has_password,
        "created": moment(user.created_at, now),
        "href": path_of("users", user.organization, user.name),
    }
