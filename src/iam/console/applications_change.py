"""Adding, changing, disabling and deleting applications from the console, and new client secrets."""

from urllib.parse import quote

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.console.application_form import (
    NEW,
    again,
    ask_about_rights,
    new_application,
    read_fields,
    read_rights,
)
from iam.console.applications_page import KINDS, NAME, PATH, RIGHTS, fields_for
from iam.console.asking import (
    Asked,
    Deeds,
    Question,
    ask_first,
    asked_by,
    data_of,
    do_deed,
    named,
    new_page,
    one_organization,
    path_of,
    recently,
    words_of,
)
from iam.console.forms import Sent, filled
from iam.console.scope import organization_in_scope, require_console
from iam.directory import applications, saml_providers
from iam.directory.applications import Application, ApplicationChange, find_application
from iam.directory.client_settings import ClientSettings
from iam.directory.names import NAME_PATTERN, Reserved
from iam.directory.saml_providers import SamlOptions, SamlProviderMissing
from iam.kernel.errors import Conflict, IamError
from iam.languages import _, written
from iam.sessions import rules
from iam.sessions.lifecycle import Ended
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.web.engine import engine_of, in_thread
from iam.web.forms import query_text
from iam.web.pages import page_errors, render, see_other
from iam.web.rights import Right
from iam.web.visitor import visitor_of

LONGEST_METADATA = 50_000
"""Characters of a service provider's metadata."""
_ADDRESSES = ("redirect_uris", "post_logout_redirect_uris", "gate_hosts")
_SENSITIVE = (*_ADDRESSES, "grant_types")
"""Where people and codes are sent, and what its credentials are good for: nothing for whoever finds a browser
unattended."""


@page_errors
async def show_new(request: Request) -> Response:
    """GET: the form for a new application."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.CHANGE), query_text(request, "organization")
    organization, _choices = await in_thread(
        lambda: engine.database.read(lambda c: one_organization(c, person, name))
    )
    return new_page(request, visitor, new_application(organization), list(NEW), {})


@page_errors
async def create(request: Request) -> Response:
    """POST: add an application; its client secret is shown this once."""
    asked = await asked_by(request)
    engine, cause, sent = asked.engine, asked.cause, Sent(asked.fields)
    owner = asked.fields.get("organization", "")
    await in_thread(
        lambda: engine.database.read(lambda c: organization_in_scope(c, cause.person, owner))
    )
    name = sent.text(
        "name", longest=63, pattern=NAME_PATTERN, words=NAME.spoken().hint, required=True
    )
    public = sent.choice("kind", KINDS) == "public"
    given, manages = read_fields(sent, engine), read_rights(sent)
    if public and manages:
        sent.wrong["rights"] = _("Only an application with a secret can administer.")
    if sent.wrong:
        fields = filled(NEW, asked.fields)
        return new_page(
            request, asked.visitor, new_application(owner), fields, sent.wrong, status=422
        )
    question = ask_about_rights(request, asked, owner, name, PATH) if manages else None
    if question is not None:
        return question
    if manages or any(given[one] for one in _ADDRESSES):
        about = _("You wanted to add the application %(name)s.", name=name)
        back = f"{PATH}?organization={quote(owner)}"
        await recently(request, asked, _("Add application"), about, back)

    def work(connection: Connection) -> tuple[Application, str | None]:
        rules.hold_rules(connection, owner)
        made, secret = applications.create_application(
            connection,
            organization=owner,
            name=name,
            public=public,
            client=ClientSettings(manages_organization=True) if manages else None,
            now=cause.now,
            random=cause.random,
            **{**given, "display_name": given["display_name"] or None},
        )
        event = cause.event("application.created", organization=owner, application=name)
        audit.append(connection, [event])
        return made, secret

    try:
        made, secret = await in_thread(lambda: engine.database.write(work))
    except IamError as error:
        fields = filled(NEW, asked.fields)
        return new_page(request, asked.visitor, new_application(owner), fields, {}, error=error)
    here = path_of("applications", owner, name)
    if secret is None:
        return see_other(f"{here}?notice=created")
    return _secret_page(request, asked, made.client_id, secret, here)


@page_errors
async def change(request: Request) -> Response:
    """POST: what one of the forms on an application's page asks for (`do`)."""
    return await do_deed(request, _DEEDS, find_application)


async def _save(request: Request, asked: Asked) -> Response:
    sent = Sent(asked.fields)
    given = read_fields(sent, asked.engine)
    if sent.wrong:
        return await again(request, asked, sent.wrong, None)
    owner, name = named(request)
    before = await in_thread(
        lambda: asked.engine.database.read(lambda c: find_application(c, owner, name))
    )
    here, client = path_of("applications", owner, name), {}
    manages = read_rights(sent)
    if RIGHTS in fields_for(before) and manages != before.client.manages_organization:
        client = {"manages_organization": manages}
        question = ask_about_rights(request, asked, owner, name, here) if manages else None
        if question is not None:
            return question
    if client or any(set(given[one]) != set(getattr(before, one)) for one in _SENSITIVE):
        about = _(
            "You wanted to change the addresses, the grants or the rights of %(name)s.", name=name
        )
        await recently(request, asked, _("Save"), about, here)
    changed = ApplicationChange(
        **{**given, "display_name": given["display_name"] or None, "client": client}
    )
    try:
        await _update(request, asked, changed, [*given, *client])
    except IamError as error:
        return await again(request, asked, {}, error)
    return see_other(f"{here}?notice=saved")


async def _disable(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    if not asked.fields.get("confirmed"):
        text = _("All sessions of %(name)s end at once, and nobody can enter it.", name=name)
        question = Question(title=_("Disable %(name)s?", name=name), text=text, label=_("Disable"))
        return ask_first(request, asked, question, path_of("applications", owner, name))
    about = _("You wanted to disable the application %(name)s.", name=name)
    what = _("Disable %(name)s", name=name)
    await recently(request, asked, what, about, path_of("applications", owner, name))
    await _update(request, asked, ApplicationChange(enabled=False), ["enabled"])
    return see_other(f"{path_of('applications', owner, name)}?notice=disabled")


async def _enable(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    about = _("You wanted to enable the application %(name)s.", name=name)
    what = _("Enable %(name)s", name=name)
    await recently(request, asked, what, about, path_of("applications", owner, name))
    await _update(request, asked, ApplicationChange(enabled=True), ["enabled"])
    return see_other(f"{path_of('applications', owner, name)}?notice=enabled")


async def _replace_secret(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here, cause = path_of("applications", owner, name), asked.cause
    if not asked.fields.get("confirmed"):
        text = _(
            "The former secret stops working at once. Sessions that were started with it go on."
        )
        title = _("Replace the client secret?")
        question = Question(title=title, text=text, label=_("Replace"))
        return ask_first(request, asked, question, here)
    about = _("You wanted to replace the client secret of %(name)s.", name=name)
    what = _("Replace the secret of %(name)s", name=name)
    await recently(request, asked, what, about, here)

    def work(connection: Connection) -> tuple[str, str]:
        found = find_application(connection, owner, name)
        if name == BUILT_IN_APPLICATION:
            raise Reserved(_("The application app-built-in has no use for a secret."))
        if found.public:
            raise Conflict(_("This application keeps no secret that could be replaced."))
        secret = applications.rotate_client_secret(connection, owner, name, cause.random)
        event = cause.event("application.secret_rotated", organization=owner, application=name)
        audit.append(connection, [event])
        return found.client_id, secret

    client_id, secret = await in_thread(lambda: asked.engine.database.write(work))
    return _secret_page(request, asked, client_id, secret, here)


async def _delete(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    if not asked.fields.get("confirmed"):
        text = _(
            "%(name)s is gone for good, with its hosts and its policy, and all its sessions end.",
            name=name,
        )
        question = Question(title=_("Delete %(name)s?", name=name), text=text, label=_("Delete"))
        return ask_first(request, asked, question, path_of("applications", owner, name))
    what = _("Delete %(name)s", name=name)
    about = _("You wanted to delete the application %(name)s.", name=name)
    await recently(request, asked, what, about, path_of("applications", owner, name))
    cause = asked.cause

    def work(connection: Connection) -> tuple[Ended, ...]:
        ended = applications.delete_application(connection, owner, name, **cause.members)
        event = cause.event("application.deleted", organization=owner, application=name)
        audit.append(connection, [event])
        return ended

    asked.engine.count_ended(await in_thread(lambda: asked.engine.database.write(work)))
    return see_other(f"{PATH}?organization={owner}&notice=deleted")


async def _set_saml(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here, cause = path_of("applications", owner, name), asked.cause
    document = asked.fields.get("metadata", "")
    if not document.strip() or len(document) > LONGEST_METADATA:
        words = _(
            "Give its metadata, at most %(number)s characters.", number=written(LONGEST_METADATA)
        )
        return await again(request, asked, {"metadata": words}, None)
    if name == BUILT_IN_APPLICATION:
        raise Reserved(_("The application app-built-in is no service provider."))

    def work(connection: Connection) -> None:
        try:
            options = saml_providers.find_provider(connection, owner, name).options
        except SamlProviderMissing:
            options = SamlOptions()
        saml_providers.set_provider(
            connection, owner, name, document, options, now=cause.now, random=cause.random
        )
        _note_saml(connection, asked, owner, name)

    about = _("You wanted to register %(name)s with SAML by its metadata.", name=name)
    await recently(request, asked, _("Register it with SAML"), about, here)
    try:
        await in_thread(lambda: asked.engine.database.write(work))
    except IamError as error:
        wrong = {"metadata": words_of(error)}
        return await again(request, asked, wrong, None)
    return see_other(f"{here}?notice=saml")


async def _delete_saml(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here = path_of("applications", owner, name)
    if not asked.fields.get("confirmed"):
        text = _(
            "Nobody signs in there by SAML any more. Its sessions go on; it is not told when they end."
        )
        question = Question(title=_("Take SAML away?"), text=text, label=_("Take away"))
        return ask_first(request, asked, question, here)
    about = _("You wanted to take SAML away from %(name)s.", name=name)
    await recently(request, asked, _("Take SAML away"), about, here)

    def work(connection: Connection) -> None:
        saml_providers.delete_provider(connection, owner, name)
        _note_saml(connection, asked, owner, name)

    await in_thread(lambda: asked.engine.database.write(work))
    return see_other(f"{here}?notice=no-saml")


def _note_saml(connection: Connection, asked: Asked, owner: str, name: str) -> None:
    data = data_of(["saml"])
    event = asked.cause.event(
        "application.updated", organization=owner, application=name, data=data
    )
    audit.append(connection, [event])


_DEEDS: Deeds = {
    "save": _save,
    "disable": _disable,
    "enable": _enable,
    "secret": _replace_secret,
    "saml": _set_saml,
    "saml-delete": _delete_saml,
    "delete": _delete,
}


async def _update(
    request: Request, asked: Asked, given: ApplicationChange, changed: list[str]
) -> None:
    owner, name = named(request)
    cause = asked.cause

    def work(connection: Connection) -> tuple[Ended, ...]:
        _application, ended = applications.update_application(
            connection, owner, name, given, **cause.members
        )
        event = cause.event(
            "application.updated", organization=owner, application=name, data=data_of(changed)
        )
        audit.append(connection, [event])
        return ended

    asked.engine.count_ended(await in_thread(lambda: asked.engine.database.write(work)))


def _secret_page(
    request: Request, asked: Asked, client_id: str, secret: str, here: str
) -> Response:
    return render(
        request,
        "console_secret.html",
        person=asked.cause.person,
        csrf=asked.visitor.csrf,
        area="applications",
        title=_("The client secret"),
        lead=_("With the client ID it proves that a call is the application's."),
        values=[(_("client ID"), client_id), (_("client secret"), secret)],
        next=here,
    )
