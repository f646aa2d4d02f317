"""Making, changing, trying and deleting webhooks from the console."""

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.console.asking import (
    Asked,
    Deeds,
    NewThing,
    Question,
    ask_first,
    asked_by,
    data_of,
    new_page,
    path_of,
    recently,
    words_of,
)
from iam.console.forms import Field, Sent, filled
from iam.console.scope import require_console, scope_of
from iam.console.webhooks_page import FIELDS, PATH, TYPES, choices, read_page, webhook_in_scope
from iam.delivery import outbox, webhooks
from iam.delivery.addresses import check_webhook_url
from iam.delivery.webhooks import Webhook
from iam.directory.patterns import WEBHOOK_URL_PATTERN
from iam.kernel.errors import IamError
from iam.languages import _
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import FormInvalid, query_text
from iam.web.pages import page_errors, render, see_other
from iam.web.rights import Right
from iam.web.visitor import Visitor, visitor_of


@page_errors
async def show_new(request: Request) -> Response:
    """GET: the form for a new webhook."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    require_console(visitor, Right.CHANGE)
    fields = [FIELDS[0], FIELDS[1].with_value(["session.ended"])]
    organization = query_text(request, "organization")
    return await _new_page(request, visitor, organization, fields, {})


@page_errors
async def create(request: Request) -> Response:
    """POST: make a webhook; its secret is shown this once."""
    asked = await asked_by(request)
    cause, sent, wanted = asked.cause, Sent(asked.fields), asked.fields.get("organization", "")
    url, types = _read(sent, asked.engine)
    if sent.wrong:
        fields = filled(FIELDS, asked.fields)
        return await _new_page(request, asked.visitor, wanted, fields, sent.wrong, status=422)
    about = _("You wanted to add a webhook that sends to %(url)s.", url=url)
    await recently(request, asked, _("Add webhook"), about, PATH)

    def work(connection: Connection) -> Webhook:
        organization = scope_of(connection, cause.person, wanted)
        made = webhooks.create_webhook(
            connection,
            organization=organization,
            url=url,
            event_types=types,
            now=cause.now,
            random=cause.random,
        )
        data = {"webhook": made.id, "url": made.url, "event_types": list(made.event_types)}
        event = cause.event("webhook.created", organization=organization, data=data)
        audit.append(connection, [event])
        return made

    made = await in_thread(lambda: asked.engine.database.write(work))
    return render(
        request,
        "console_secret.html",
        person=cause.person,
        csrf=asked.visitor.csrf,
        area="webhooks",
        title=_("The webhook's secret"),
        lead=_("Notices to %(url)s are signed with it, as Standard Webhooks says.", url=made.url),
        values=[(_("secret"), made.secret)],
        next=path_of("webhooks", made.id),
    )


@page_errors
async def change(request: Request) -> Response:
    """POST: what one of the forms on a webhook's page asks for (`do`)."""
    asked = await asked_by(request)
    deed = _DEEDS.get(asked.fields.get("do", ""))
    if deed is None:
        raise FormInvalid(_("It does not say what to do."))
    wanted = _wanted(request)
    await in_thread(
        lambda: asked.engine.database.read(lambda c: webhook_in_scope(c, asked.cause, wanted))
    )
    return await deed(request, asked)


async def _save(request: Request, asked: Asked) -> Response:
    sent = Sent(asked.fields)
    url, types = _read(sent, asked.engine)
    if sent.wrong:
        person, now = asked.cause.person, asked.cause.now
        context = await in_thread(
            lambda: asked.engine.database.read(
                lambda c: read_page(c, person, request, _wanted(request), now)
            )
        )
        context["fields"] = filled(FIELDS, asked.fields)
        return render(
            request,
            "console_webhook.html",
            status=422,
            person=person,
            csrf=asked.visitor.csrf,
            flash=None,
            error=None,
            wrong=sent.wrong,
            **context,
        )
    # What is told, and to whom: a receiver of an attacker's would hear of everybody who signs in.
    about = _("You wanted to change a webhook so that it sends to %(url)s.", url=url)
    await recently(request, asked, _("Save"), about, path_of("webhooks", _wanted(request)))
    return await _update(request, asked, "saved", url=url, event_types=types)


async def _disable(request: Request, asked: Asked) -> Response:
    about = _("You wanted to disable the webhook that sends to %(url)s.", url=await _url(request))
    here = path_of("webhooks", _wanted(request))
    await recently(request, asked, _("Disable webhook"), about, here)
    return await _update(request, asked, "disabled", enabled=False)


async def _enable(request: Request, asked: Asked) -> Response:
    about = _("You wanted to enable the webhook that sends to %(url)s.", url=await _url(request))
    here = path_of("webhooks", _wanted(request))
    await recently(request, asked, _("Enable webhook"), about, here)
    return await _update(request, asked, "enabled", enabled=True)


async def _test(request: Request, asked: Asked) -> Response:
    cause, wanted = asked.cause, _wanted(request)

    def work(connection: Connection) -> None:
        target = webhook_in_scope(connection, cause, wanted)
        data = {"webhook": wanted}
        event = cause.event("webhook.tested", organization=target.organization, data=data)
        audit.append(connection, [event])
        outbox.add(connection, target, event)

    await in_thread(lambda: asked.engine.database.write(work))
    return see_other(f"{path_of('webhooks', wanted)}?notice=tested")


async def _delete(request: Request, asked: Asked) -> Response:
    cause, wanted = asked.cause, _wanted(request)
    if not asked.fields.get("confirmed"):
        text = _("All that waits for it is gone, and so is what is known of its notices.")
        question = Question(title=_("Delete this webhook?"), text=text, label=_("Delete"))
        return ask_first(request, asked, question, path_of("webhooks", wanted))
    about = _("You wanted to delete the webhook that sends to %(url)s.", url=await _url(request))
    await recently(request, asked, _("Delete webhook"), about, path_of("webhooks", wanted))

    def work(connection: Connection) -> None:
        webhook_in_scope(connection, cause, wanted)
        gone = webhooks.delete_webhook(connection, wanted)
        data = {"webhook": wanted, "url": gone.url}
        event = cause.event("webhook.deleted", organization=gone.organization, data=data)
        audit.append(connection, [event])

    await in_thread(lambda: asked.engine.database.write(work))
    return see_other(f"{PATH}?notice=deleted")


_DEEDS: Deeds = {
    "save": _save,
    "disable": _disable,
    "enable": _enable,
    "test": _test,
    "delete": _delete,
}


async def _update(request: Request, asked: Asked, notice: str, **given: Any) -> Response:
    cause, wanted = asked.cause, _wanted(request)

    def work(connection: Connection) -> None:
        webhook_in_scope(connection, cause, wanted)
        changed = webhooks.update_webhook(connection, wanted, **given)
        data = data_of(list(given), webhook=wanted)
        event = cause.event("webhook.updated", organization=changed.organization, data=data)
        audit.append(connection, [event])

    await in_thread(lambda: asked.engine.database.write(work))
    return see_other(f"{path_of('webhooks', wanted)}?notice={notice}")


async def _new_page(
    request: Request,
    visitor: Visitor,
    organization: str,
    fields: list[Field],
    wrong: dict[str, str],
    *,
    status: int = 200,
) -> Response:
    database = engine_of(request).database

    def work(connection: Connection) -> list[dict[str, object]]:
        bound = scope_of(connection, visitor.person, organization)
        return choices(connection, visitor.person, bound)

    listed = await in_thread(lambda: database.read(work))
    whose = Field(
        name="organization",
        label=_("Whose events"),
        kind="choice",
        options=[(str(one["value"]), str(one["words"])) for one in listed],
        value=next((str(one["value"]) for one in listed if one["selected"]), ""),
        said=True,
    )
    thing = NewThing(
        area="webhooks",
        title=_("New webhook"),
        lead=_("A receiver of yours that is told of events as they happen, signed, at least once."),
        path=PATH,
        back=PATH,
        back_words=_("Webhooks"),
        button=_("Add webhook"),
    )
    return new_page(request, visitor, thing, [whose, *fields], wrong, status=status)


def _read(sent: Sent, engine: Engine) -> tuple[str, list[str]]:
    words = _("Give an address such as https://hooks.example.com/iam.")
    url = sent.text("url", longest=2048, pattern=WEBHOOK_URL_PATTERN, words=words, required=True)
    if url:
        try:
            check_webhook_url(url, allow_private=engine.settings.delivery_allow_private)
        except IamError as error:
            sent.wrong["url"] = words_of(error)
    types = sent.choices("event_types", TYPES)
    if not types:
        sent.wrong["event_types"] = _("Choose at least one.")
    return url, types


async def _url(request: Request) -> str:
    """Where the webhook of the address sends to; it was found to be in reach before."""
    database, wanted = engine_of(request).database, _wanted(request)
    return (await in_thread(lambda: database.read(lambda c: webhooks.find_webhook(c, wanted)))).url


def _wanted(request: Request) -> str:
    return str(request.path_params["id"]).replace("\x00", "")
