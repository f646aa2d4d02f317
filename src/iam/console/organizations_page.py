"""`/console/organizations`: the tenants. For administrators of the installation; others see their own."""

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
    notice_of,
    path_of,
    recently,
)
from iam.console.forms import Field, Sent, filled
from iam.console.scope import organization_in_scope, organizations_of, require_console
from iam.directory import organizations
from iam.directory.brands import Brand, read_brand
from iam.directory.names import NAME_PATTERN
from iam.directory.organizations import Organization, OrganizationChange
from iam.kernel.clock import Instant
from iam.kernel.errors import Forbidden, IamError
from iam.languages import N_, _
from iam.sessions import rules
from iam.sessions.figures import count_live
from iam.sessions.lifecycle import Ended
from iam.web.brand_files import brand_context
from iam.web.caller import Person
from iam.web.engine import engine_of, in_thread
from iam.web.forms import FormInvalid
from iam.web.pages import moment, page_errors, render, see_other
from iam.web.rights import Right
from iam.web.visitor import visitor_of

PATH = "/console/organizations"
_NAME = Field(
    name="name",
    label=N_("Name"),
    required=True,
    hint=N_("a-z, 0-9 and . _ -, up to 63. It stands in addresses and stays."),
)
_EDITED = (Field(name="display_name", label=N_("Name as people read it"), required=True),)
_NEW = (_NAME, Field(name="display_name", label=N_("Name as people read it")))
_NOTICES = {
    "created": N_("The organization has been added."),
    "saved": N_("Saved."),
    "brand": N_("The brand is set. The sign-in page has it already."),
    "disabled": N_("The organization is disabled, and all its sessions have ended."),
    "enabled": N_("The organization is enabled."),
    "deleted": N_("The organization is deleted, and all its sessions have ended."),
}


@page_errors
async def show_organizations(request: Request) -> Response:
    """GET: the organizations that there are for this administrator."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person = require_console(visitor, Right.READ)
    found = await in_thread(
        lambda: engine.database.read(
            lambda c: [_row(one, now) for one in organizations_of(c, person)]
        )
    )
    return render(
        request,
        "console_organizations.html",
        person=person,
        csrf=visitor.csrf,
        found=found,
        may_add=person.administers_installation,
        flash=notice_of(request, _NOTICES),
    )


@page_errors
async def show_organization(request: Request) -> Response:
    """GET: one organization."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.READ), _named(request)
    context = await in_thread(lambda: engine.database.read(lambda c: _read(c, person, name, now)))
    return render(
        request,
        "console_organization.html",
        person=person,
        csrf=visitor.csrf,
        flash=notice_of(request, _NOTICES),
        wrong={},
        **context,
    )


@page_errors
async def show_new(request: Request) -> Response:
    """GET: the form for a new organization."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    _require_installation(require_console(visitor, Right.CHANGE))
    return new_page(request, visitor, _thing(), list(_NEW), {})


@page_errors
async def create(request: Request) -> Response:
    """POST: add an organization."""
    asked = await asked_by(request)
    cause, sent = asked.cause, Sent(asked.fields)
    _require_installation(cause.person)
    name = sent.text(
        "name", longest=63, pattern=NAME_PATTERN, words=_NAME.spoken().hint, required=True
    )
    display_name = sent.text("display_name")
    if sent.wrong:
        fields = filled(_NEW, asked.fields)
        return new_page(request, asked.visitor, _thing(), fields, sent.wrong, status=422)

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, name)
        organizations.create_organization(connection, name, display_name or None, cause.now)
        audit.append(connection, [cause.event("organization.created", organization=name)])

    try:
        await in_thread(lambda: asked.engine.database.write(work))
    except IamError as error:
        fields = filled(_NEW, asked.fields)
        return new_page(request, asked.visitor, _thing(), fields, {}, error=error)
    return see_other(f"{path_of('organizations', name)}?notice=created")


@page_errors
async def change(request: Request) -> Response:
    """POST: what one of the forms on an organization's page asks for (`do`)."""
    asked, name = await asked_by(request), _named(request)
    deed = _DEEDS.get(asked.fields.get("do", ""))
    if deed is None:
        raise FormInvalid(_("It does not say what to do."))
    await in_thread(
        lambda: asked.engine.database.read(
            lambda c: organization_in_scope(c, asked.cause.person, name)
        )
    )
    return await deed(request, asked)


async def _save(request: Request, asked: Asked) -> Response:
    name, cause, sent = _named(request), asked.cause, Sent(asked.fields)
    display_name = sent.text("display_name", required=True)
    if sent.wrong:
        context = await in_thread(
            lambda: asked.engine.database.read(lambda c: _read(c, cause.person, name, cause.now))
        )
        context["fields"] = filled(_EDITED, asked.fields)
        return render(
            request,
            "console_organization.html",
            status=422,
            person=cause.person,
            csrf=asked.visitor.csrf,
            flash=None,
            wrong=sent.wrong,
            **context,
        )

    return await _update(request, asked, OrganizationChange(display_name=display_name), "saved")


async def _disable(request: Request, asked: Asked) -> Response:
    name = _named(request)
    _require_installation(asked.cause.person)
    if not asked.fields.get("confirmed"):
        text = _("All its sessions end at once, however many, and nobody of it can sign in.")
        question = Question(title=_("Disable %(name)s?", name=name), text=text, label=_("Disable"))
        return ask_first(request, asked, question, path_of("organizations", name))
    about = _("You wanted to disable the organization %(name)s.", name=name)
    what = _("Disable %(name)s", name=name)
    await recently(request, asked, what, about, path_of("organizations", name))
    return await _update(request, asked, OrganizationChange(enabled=False), "disabled")


async def _enable(request: Request, asked: Asked) -> Response:
    name = _named(request)
    _require_installation(asked.cause.person)
    about = _("You wanted to enable the organization %(name)s.", name=name)
    what = _("Enable %(name)s", name=name)
    await recently(request, asked, what, about, path_of("organizations", name))
    return await _update(request, asked, OrganizationChange(enabled=True), "enabled")


async def _update(
    request: Request, asked: Asked, given: OrganizationChange, notice: str
) -> Response:
    name, cause = _named(request), asked.cause

    def work(connection: Connection) -> tuple[Ended, ...]:
        _organization, ended = organizations.update_organization(
            connection, name, given, **cause.members
        )
        data = data_of(["display_name" if given.display_name is not None else "enabled"])
        event = cause.event("organization.updated", organization=name, data=data)
        audit.append(connection, [event])
        return ended

    asked.engine.count_ended(await in_thread(lambda: asked.engine.database.write(work)))
    return see_other(f"{path_of('organizations', name)}?notice={notice}")


async def _delete(request: Request, asked: Asked) -> Response:
    name, cause = _named(request), asked.cause
    _require_installation(cause.person)
    if not asked.fields.get("confirmed"):
        text = _("Its users and applications are gone for good, and all its sessions end at once.")
        question = Question(title=_("Delete %(name)s?", name=name), text=text, label=_("Delete"))
        return ask_first(request, asked, question, path_of("organizations", name))
    what = _("Delete %(name)s", name=name)
    about = _("You wanted to delete the organization %(name)s.", name=name)
    await recently(request, asked, what, about, path_of("organizations", name))

    def work(connection: Connection) -> tuple[Ended, ...]:
        ended = organizations.delete_organization(connection, name, **cause.members)
        audit.append(connection, [cause.event("organization.deleted", organization=name)])
        return ended

    asked.engine.count_ended(await in_thread(lambda: asked.engine.database.write(work)))
    return see_other(f"{PATH}?notice=deleted")


def _thing() -> NewThing:
    return NewThing(
        area="organizations",
        title=_("New organization"),
        lead=_("A tenant with users and applications of its own, which exist for nobody else."),
        path=PATH,
        back=PATH,
        back_words=_("Organizations"),
        button=_("Add organization"),
    )


_DEEDS: Deeds = {"save": _save, "disable": _disable, "enable": _enable, "delete": _delete}


def _require_installation(person: Person) -> None:
    if not person.administers_installation:
        raise Forbidden(_("This needs an administrator of the installation."))


def _read(connection: Connection, person: Person, name: str, now: Instant) -> dict[str, Any]:
    found = organization_in_scope(connection, person, name)
    return {
        "organization": _row(found, now),
        "fields": [one.with_value(found.display_name) for one in _EDITED],
        "live": count_live(connection, found.name, now),
        "may_delete": person.administers_installation,
        "brand_now": _brand(found.name, read_brand(connection, found.name)),
        "here": path_of("organizations", found.name),
    }


def _brand(organization: str, brand: Brand) -> dict[str, Any]:
    return {"colour": brand.colour or "", **brand_context(organization, brand)}


def _row(organization: Organization, now: Instant) -> dict[str, Any]:
    return {
        "name": organization.name,
        "display_name": organization.display_name,
        "enabled": organization.enabled,
        "created": moment(organization.created_at, now),
        "href": path_of("organizations", organization.name),
    }


def _named(request: Request) -> str:
    return str(request.path_params["name"]).replace("\x00", "")
