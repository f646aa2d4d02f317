"""`/console/webhooks`: who is told of what, and what became of each notice."""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.console.asking import notice_of, path_of
from iam.console.changes import Cause
from iam.console.filters import options
from iam.console.forms import Field
from iam.console.scope import organizations_of, require_console, scope_of
from iam.console.session_page import delivery_row, receiver_of
from iam.delivery.listing import list_deliveries
from iam.delivery.webhooks import ALL_TYPES, Webhook, WebhookMissing, find_webhook, list_webhooks
from iam.kernel.clock import Instant
from iam.kernel.events import EVENT_TYPES
from iam.kernel.ids import DELIVERY, is_id
from iam.languages import N_, NP_, _, gettext, pgettext
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.event_words import event_name
from iam.web.forms import query_text
from iam.web.pages import moment, page_errors, render
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/webhooks"
_LISTED = 200
_DELIVERIES = 25
# In English, as all tables of fields; whoever shows them translates.
TYPES = ((ALL_TYPES, N_("Everything")), *((one, event_name(one)) for one in EVENT_TYPES))
FIELDS = (
    Field(
        name="url",
        label=N_("Address"),
        required=True,
        hint=N_("https://…; nothing is sent into private networks."),
    ),
    Field(name="event_types", label=N_("Told of"), kind="choices", options=TYPES),
)
STATES = (
    ("", NP_("notices", "All")),
    ("pending", NP_("notices", "Waiting")),
    ("delivered", NP_("notices", "Delivered")),
    ("dead", NP_("notices", "Given up")),
)
_NOTICES = {
    "saved": N_("Saved."),
    "disabled": N_("Disabled: nothing is kept for it; what waits is sent when it is enabled."),
    "enabled": N_("Enabled."),
    "tested": N_("A notice is on its way. See below what becomes of it."),
    "deleted": N_("The webhook is deleted, with all that waited for it."),
    "again": N_("The notice is being sent again."),
    "pending": N_("That notice is still to be sent: it need not be asked for again."),
}


@page_errors
async def show_webhooks(request: Request) -> Response:
    """GET: webhooks, oldest first."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.READ), query_text(request, "organization")

    def work(connection: Connection) -> dict[str, Any]:
        organization = scope_of(connection, person, name)
        found = list_webhooks(connection, organization, limit=_LISTED)
        return {
            "organization": organization,
            "organizations": choices(connection, person, organization),
            "webhooks": [_row(one, now) for one in found],
            **_deliveries(connection, person, request, organization, None, now),
        }

    context = await in_thread(lambda: engine.database.read(work))
    return render(
        request,
        "console_webhooks.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        **context,
    )


@page_errors
async def show_webhook(request: Request) -> Response:
    """GET: one webhook and its latest notices."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, wanted = require_console(visitor, Right.READ), str(request.path_params["id"])
    context = await in_thread(
        lambda: engine.database.read(lambda c: read_page(c, person, request, wanted, now))
    )
    return render(
        request,
        "console_webhook.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        error=None,
        wrong={},
        **context,
    )


def read_page(
    connection: Connection, person: Person, request: Request, wanted: str, now: Instant
) -> dict[str, Any]:
    """What the page of a webhook shows.

    Raises:
        WebhookMissing: there is none, or not for this administrator.
    """
    found = webhook_in_scope(connection, person, wanted)
    values = {"url": found.url, "event_types": found.event_types}
    return {
        "webhook": _row(found, now),
        "fields": [one.with_value(values[one.name]) for one in FIELDS],
        "here": path_of("webhooks", found.id),
        **_deliveries(connection, person, request, found.organization, found.id, now),
    }


def webhook_in_scope(connection: Connection, who: Person | Cause, wanted: str) -> Webhook:
    """The webhook with that ID.

    Raises:
        WebhookMissing: there is none, or it is not for this administrator: the two look the same.
    """
    person = who.person if isinstance(who, Cause) else who
    found = find_webhook(connection, wanted.replace("\x00", ""))
    if not person.reaches(found.organization):
        raise WebhookMissing
    return found


def choices(
    connection: Connection, person: Person, organization: str | None
) -> list[dict[str, object]]:
    """The organizations to choose from, with all of them for who administers the installation."""
    everywhere = [("", _("All organizations"))] if person.reaches_installation else []
    listed = ((one.name, one.display_name) for one in organizations_of(connection, person))
    return options([*everywhere, *listed], organization or "")


def _deliveries(
    connection: Connection,
    person: Person,
    request: Request,
    organization: str | None,
    webhook: str | None,
    now: Instant,
) -> dict[str, Any]:
    """A page of notices in one state, newest first."""
    state, cursor = query_text(request, "state"), query_text(request, "cursor")
    state = state if state in dict(STATES) else ""
    found = list_deliveries(
        connection,
        organization=None if webhook else organization,
        webhook_id=webhook,
        state=state or None,
        before=cursor if is_id_of_delivery(cursor) else None,
        limit=_DELIVERIES,
    )
    urls = {one.id: one.url for one in list_webhooks(connection, None, limit=1000)}
    events = audit.read_events(connection, [one.event for one in found])
    path = path_of("webhooks", webhook) if webhook else PATH

    def href(**more: str) -> str:
        query = {"organization": query_text(request, "organization"), **more}
        given = urlencode({name: value for name, value in query.items() if value})
        return f"{path}?{given}" if given else path

    rows = []
    for one in found:
        event = events.get(one.event)
        row = delivery_row(one, receiver_of(one, urls), event.type if event else "", now)
        rows.append(row | {"user": event.user if event else None})
    return {
        "deliveries": rows,
        "state": state,
        "states": [
            (pgettext("notices", words), href(state=name), name == state) for name, words in STATES
        ],
        "back_here": href(state=state, cursor=cursor),
        "next_href": href(state=state, cursor=found[-1].id) if len(found) == _DELIVERIES else None,
    }


def is_id_of_delivery(text: str) -> bool:
    """Whether this may be the ID of a delivery: of an event and a webhook, so twice as long as others."""
    return text.startswith(DELIVERY) and len(text) <= 128 and not is_id(DELIVERY, text)


def _row(webhook: Webhook, now: Instant) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "organization": webhook.organization,
        "event_types": webhook.event_types,
        "words": [gettext(dict(TYPES).get(one, one)) for one in webhook.event_types],
        "enabled": webhook.enabled,
        "created": moment(webhook.created_at, now),
        "href": path_of("webhooks", webhook.id),
    }
