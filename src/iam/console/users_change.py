"""Adding, changing, disabling and deleting users from the console; each change in one transaction with its
event, and with the end of the sessions that it ends."""

from typing import Any
from urllib.parse import quote

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
from iam.console.users_page import INVITE, NAME, PATH, edited_fields, new_fields, read_user
from iam.directory import providers, users
from iam.directory.names import ROLE_PATTERN, USER_NAME_PATTERN
from iam.directory.patterns import EMAIL_PATTERN
from iam.directory.preferences import Preferences
from iam.directory.users import User, UserChange, find_user
from iam.kernel.errors import IamError
from iam.kernel.secrets import make_secret
from iam.languages import _
from iam.sessions import rules
from iam.sessions.lifecycle import Ended
from iam.signin.enrolment import remove_by_administrator
from iam.signin.factors import FactorMissing
from iam.signin.password_links import mail_link
from iam.signin.passwords import LONGEST, SHORTEST
from iam.web.engine import Engine, engine_of, in_hash_pool, in_thread
from iam.web.forms import query_text
from iam.web.pages import page_errors, render, see_other
from iam.web.problems import status_of
from iam.web.rights import Right
from iam.web.visitor import visitor_of

_MADE = 20
"""Characters of a password that is made here: 120 random bits."""


@page_errors
async def show_new(request: Request) -> Response:
    """GET: the form for a new user."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.CHANGE), query_text(request, "organization")
    organization, _choices = await in_thread(
        lambda: engine.database.read(lambda c: one_organization(c, person, name))
    )
    return new_page(request, visitor, _new(organization), new_fields(), {})


@page_errors
async def create(request: Request) -> Response:
    """POST: add a user."""
    asked = await asked_by(request)
    engine, cause, sent = asked.engine, asked.cause, Sent(asked.fields)
    organization = asked.fields.get("organization", "")
    await in_thread(
        lambda: engine.database.read(lambda c: organization_in_scope(c, cause.person, organization))
    )
    name = sent.text(
        "name", longest=127, pattern=USER_NAME_PATTERN, words=NAME.spoken().hint, required=True
    )
    display_name, email, roles, preferences = _edited(sent)
    password, invites = _password(sent), bool(sent.choices("invite", INVITE.options))
    if invites and not email:
        sent.wrong["email"] = _("An invitation needs an address.")
    if sent.wrong:
        fields = filled(new_fields(), asked.fields)
        return new_page(request, asked.visitor, _new(organization), fields, sent.wrong, status=422)
    if roles:
        about = _("You wanted to add the user %(user)s with roles.", user=name)
        back = f"{PATH}?organization={quote(organization)}"
        await recently(request, asked, _("Add user"), about, back)
    password_hash = await _hashed(engine, password) if password else None

    def work(connection: Connection) -> None:
        rules.share_rules(connection, organization)
        made = users.create_user(
            connection,
            organization=organization,
            name=name,
            password_hash=password_hash,
            display_name=display_name or None,
            email=email or None,
            roles=roles,
            preferences=preferences,
            now=cause.now,
            random=cause.random,
        )
        data = {"roles": roles}
        event = cause.event("user.created", organization=organization, user=name, data=data)
        audit.append(connection, [event])
        if invites:
            _mail(connection, asked, made)

    try:
        await in_thread(lambda: engine.database.write(work))
    except IamError as error:
        fields = filled(new_fields(), asked.fields)
        return new_page(request, asked.visitor, _new(organization), fields, {}, error=error)
    notice = "invited" if invites else "created"
    return see_other(f"{path_of('users', organization, name)}?notice={notice}")


@page_errors
async def change(request: Request) -> Response:
    """POST: what one of the forms on a user's page asks for (`do`)."""
    return await do_deed(request, _DEEDS, find_user)


async def _save(request: Request, asked: Asked) -> Response:
    sent = Sent(asked.fields)
    display_name, email, roles, preferences = _edited(sent)
    if sent.wrong:
        return await _again(request, asked, sent.wrong, None)
    owner, name = named(request)
    before = await in_thread(
        lambda: asked.engine.database.read(lambda c: find_user(c, owner, name))
    )
    # Whoever has the address gets what is mailed there: it is as good as a password.
    if set(roles) != set(before.roles) or (email or None) != before.email:
        about = _("You wanted to change the address or the roles of %(user)s.", user=name)
        await recently(request, asked, _("Save"), about, path_of("users", owner, name))
    given = UserChange(
        display_name=display_name or None,
        email=email,
        roles=roles,
        locale=preferences.locale or "",
        zoneinfo=preferences.zone or "",
    )
    try:
        await _update(
            request, asked, given, tuple(one.name for one in edited_fields()), roles=roles
        )
    except IamError as error:
        return await _again(request, asked, {}, error)
    return see_other(f"{path_of('users', *named(request))}?notice=saved")


async def _disable(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    if not asked.fields.get("confirmed"):
        text = _(
            "All sessions of %(user)s end at once, and they cannot sign in any more.", user=name
        )
        question = Question(title=_("Disable %(name)s?", name=name), text=text, label=_("Disable"))
        return ask_first(request, asked, question, path_of("users", owner, name))
    about = _("You wanted to disable the user %(user)s.", user=name)
    what = _("Disable %(name)s", name=name)
    await recently(request, asked, what, about, path_of("users", owner, name))
    await _update(request, asked, UserChange(enabled=False), ("enabled",))
    return see_other(f"{path_of('users', owner, name)}?notice=disabled")


async def _enable(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    about = _("You wanted to enable the user %(user)s.", user=name)
    what = _("Enable %(name)s", name=name)
    await recently(request, asked, what, about, path_of("users", owner, name))
    await _update(request, asked, UserChange(enabled=True), ("enabled",))
    return see_other(f"{path_of('users', owner, name)}?notice=enabled")


async def _set_password(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    sent = Sent(asked.fields)
    given = _password(sent)
    if sent.wrong:
        return await _again(request, asked, sent.wrong, None)
    about = _("You wanted to set a new password for %(user)s.", user=name)
    await recently(request, asked, _("Set password"), about, path_of("users", owner, name))
    password = given or make_secret(asked.cause.random)[:_MADE]
    hashed = await _hashed(asked.engine, password)
    await _update(request, asked, UserChange(password_hash=hashed), ("password",))
    here = path_of("users", owner, name)
    if given:
        return see_other(f"{here}?notice=password")
    return render(
        request,
        "console_secret.html",
        person=asked.cause.person,
        csrf=asked.visitor.csrf,
        area="users",
        title=_("New password of %(user)s", user=name),
        lead=_("It holds from now on; all sessions of theirs have ended."),
        values=[(_("password"), password)],
        next=here,
    )


async def _unlink(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here, cause, wanted = path_of("users", owner, name), asked.cause, asked.fields.get("link", "")
    about = _("You wanted to remove a link of %(user)s to a provider.", user=name)
    await recently(request, asked, _("Remove the link"), about, here)

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, owner)
        link = providers.find_own_link(connection, find_user(connection, owner, name).id, wanted)
        providers.remove_link(connection, link.provider, link.subject)
        provider = providers.find_provider_by_id(connection, link.provider)
        data = {"provider": provider.name if provider else None, "subject": link.subject}
        event = cause.event("provider.unlinked", organization=owner, user=name, data=data)
        audit.append(connection, [event])

    await in_thread(lambda: asked.engine.database.write(work))
    return see_other(f"{here}?notice=unlinked")


async def _mail_link(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here = path_of("users", owner, name)
    about = _("You wanted to mail %(user)s a link to choose a password.", user=name)
    await recently(request, asked, _("Mail a link to %(user)s", user=name), about, here)

    def work(connection: Connection) -> None:
        _mail(connection, asked, find_user(connection, owner, name))

    try:
        await in_thread(lambda: asked.engine.database.write(work))
    except IamError as error:
        return await _again(request, asked, {}, error)
    return see_other(f"{here}?notice=mailed")


def _mail(connection: Connection, asked: Asked, user: User) -> None:
    cause = asked.cause
    mail_link(
        connection,
        user,
        sends_mail=asked.engine.settings.sends_mail,
        origin=cause.origin,
        **cause.members,
    )


async def _remove_factor(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here, cause = path_of("users", owner, name), asked.cause
    if not asked.fields.get("confirmed"):
        text = _(
            "The password alone signs %(user)s in again, and all their sessions end at once.",
            user=name,
        )
        title = _("Remove the second factor of %(user)s?", user=name)
        question = Question(title=title, text=text, label=_("Remove"))
        return ask_first(request, asked, question, here)
    what = _("Remove the second factor of %(user)s", user=name)
    about = _("You wanted to remove the second factor of %(user)s.", user=name)
    await recently(request, asked, what, about, here)

    def work(connection: Connection) -> tuple[Ended, ...]:
        return remove_by_administrator(
            connection, owner, name, origin=cause.origin, **cause.members
        )

    try:
        ended = await in_thread(lambda: asked.engine.database.write(work))
    except FactorMissing:
        return see_other(here)
    asked.engine.count_ended(ended)
    return see_other(f"{here}?notice=factor")


async def _delete(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    if not asked.fields.get("confirmed"):
        text = _(
            "%(user)s is gone for good, and all their sessions end at once. The history stays.",
            user=name,
        )
        question = Question(title=_("Delete %(name)s?", name=name), text=text, label=_("Delete"))
        return ask_first(request, asked, question, path_of("users", owner, name))
    what, about = (
        _("Delete %(name)s", name=name),
        _("You wanted to delete the user %(user)s.", user=name),
    )
    await recently(request, asked, what, about, path_of("users", owner, name))
    cause = asked.cause

    def work(connection: Connection) -> tuple[Ended, ...]:
        ended = users.delete_user(connection, owner, name, **cause.members)
        event = cause.event("user.deleted", organization=owner, user=name)
        audit.append(connection, [event])
        return ended

    asked.engine.count_ended(await in_thread(lambda: asked.engine.database.write(work)))
    return see_other(f"{PATH}?organization={owner}&notice=deleted")


_DEEDS: Deeds = {
    "save": _save,
    "disable": _disable,
    "enable": _enable,
    "password": _set_password,
    "remove-factor": _remove_factor,
    "mail-link": _mail_link,
    "unlink": _unlink,
    "delete": _delete,
}


async def _update(
    request: Request, asked: Asked, given: UserChange, changed: tuple[str, ...], **more: Any
) -> None:
    owner, name = named(request)
    cause = asked.cause

    def work(connection: Connection) -> tuple[Ended, ...]:
        _user, ended = users.update_user(connection, owner, name, given, **cause.members)
        data = data_of(changed, **more)
        event = cause.event("user.updated", organization=owner, user=name, data=data)
        audit.append(connection, [event])
        return ended

    asked.engine.count_ended(await in_thread(lambda: asked.engine.database.write(work)))


async def _again(
    request: Request, asked: Asked, wrong: dict[str, str], error: IamError | None
) -> Response:
    owner, name = named(request)
    person, own, now = asked.cause.person, asked.visitor.session.id, asked.cause.now
    context = await in_thread(
        lambda: asked.engine.database.read(lambda c: read_user(c, person, owner, name, own, now))
    )
    if asked.fields.get("do") == "save":
        context["fields"] = filled(edited_fields(), asked.fields)
    return render(
        request,
        "console_user.html",
        status=status_of(error) if error else 422,
        person=person,
        csrf=asked.visitor.csrf,
        flash=None,
        error=words_of(error) if error else None,
        wrong=wrong,
        **context,
    )


def _new(organization: str) -> NewThing:
    return NewThing(
        area="users",
        title=_("New user"),
        lead=_("In the organization %(organization)s.", organization=organization),
        path=PATH,
        back=f"{PATH}?organization={organization}",
        back_words=_("Users"),
        button=_("Add user"),
        hidden=(("organization", organization),),
    )


def _edited(sent: Sent) -> tuple[str, str, list[str], Preferences]:
    words = _("Up to 63 letters, digits and . _ : -, beginning with a letter or digit.")
    options = {one.name: one.options for one in edited_fields()}
    return (
        sent.text("display_name"),
        sent.text(
            "email", longest=254, pattern=EMAIL_PATTERN, words=_("This is no e-mail address.")
        ),
        sent.lines("roles", pattern=ROLE_PATTERN, words=words, longest=63, most=32),
        Preferences(*(sent.choice(one, options[one]) or None for one in ("locale", "zoneinfo"))),
    )


def _password(sent: Sent) -> str:
    # As it was typed: a space may belong to it.
    password = sent.fields.get("password", "")
    if password and not SHORTEST <= len(password) <= LONGEST:
        sent.wrong["password"] = _(
            "Use %(least)s to %(most)s characters.", least=SHORTEST, most=LONGEST
        )
    return password


async def _hashed(engine: Engine, password: str) -> str:
    return await in_hash_pool(engine, lambda: engine.passwords.hash(password))
