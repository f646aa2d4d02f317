"""What the console's pages of things share: which organization, how a deed is asked about."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.console.changes import Cause, cause_of
from iam.console.filters import options
from iam.console.forms import Field
from iam.console.scope import organization_in_scope, organizations_of, require_console
from iam.kernel.errors import IamError
from iam.languages import _, gettext
from iam.web.caller import Person
from iam.web.engine import Engine, engine_of, in_thread
from iam.web.forms import FormInvalid, read_form
from iam.web.fresh import require_fresh
from iam.web.pages import render
from iam.web.problems import status_of
from iam.web.rights import Right
from iam.web.visitor import Visitor, posting_visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A form that an administrator has sent."""

    engine: Engine
    visitor: Visitor
    cause: Cause
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked before a deed is done."""

    title: str
    text: str
    label: str


async def asked_by(request: Request) -> Asked:
    """The form of this request, and who sent it from a page of ours.

    Raises:
        Unauthenticated, ForgerySuspected, FormInvalid: as `posting_visitor` and `read_form` say.
        Forbidden: they administer nothing.
    """
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    cause = cause_of(request, require_console(visitor, Right.CHANGE), now)
    return Asked(engine=engine, visitor=visitor, cause=cause, fields=fields)


def named(request: Request) -> tuple[str, str]:
    """The organization and the name in the address."""
    owner, name = (str(request.path_params[one]) for one in ("organization", "name"))
    return owner.replace("\x00", ""), name.replace("\x00", "")


async def do_deed(
    request: Request,
    deeds: Mapping[str, Callable[[Request, Asked], Awaitable[Response]]],
    find: Callable[[Connection, str, str], object],
) -> Response:
    """Do what one of the forms on a thing's page asks for (`do`), once the thing is found to be in reach.

    Raises:
        FormInvalid: it does not say what to do.
        Missing: there is no such thing, or not for who asks (`find` raises its own).
    """
    asked = await asked_by(request)
    deed = deeds.get(asked.fields.get("do", ""))
    if deed is None:
        raise FormInvalid(_("It does not say what to do."))
    owner, name = named(request)
    person = asked.cause.person
    await in_thread(
        lambda: asked.engine.database.read(
            lambda c: (organization_in_scope(c, person, owner), find(c, owner, name))
        )
    )
    return await deed(request, asked)


async def recently(request: Request, asked: Asked, what: str, about: str, back: str) -> None:
    """Let a sensitive deed pass only if its administrator has authenticated of late (`web.fresh`): `what` it
    is on its button, `about` what in a sentence.

    Raises:
        AuthenticationStale: they have not.
    """
    await require_fresh(request, asked.visitor, what, asked.cause.now, about=about, back=back)


def ask_first(request: Request, asked: Asked, question: Question, cancel: str) -> Response:
    """The page that asks, without JavaScript, whether a deed is meant."""
    return render(
        request,
        "console_confirm.html",
        person=asked.cause.person,
        csrf=asked.visitor.csrf,
        title=question.title,
        text=question.text,
        action=request.url.path,
        fields=[(name, value) for name, value in asked.fields.items() if name != "csrf"],
        danger_label=question.label,
        cancel_href=cancel,
    )


def one_organization(
    connection: Connection, person: Person, name: str
) -> tuple[str, list[dict[str, object]]]:
    """The organization that a page is about (by default the administrator's own), and the choices.

    Raises:
        OrganizationMissing: there is none, or not for them.
    """
    organization = organization_in_scope(connection, person, name or person.session.organization)
    listed = ((one.name, one.display_name) for one in organizations_of(connection, person))
    return organization.name, options(listed, organization.name)


def path_of(*parts: str) -> str:
    """The address of a page of the console, each part quoted."""
    return "/console/" + "/".join(quote(part, safe="") for part in parts)


def notice_of(
    request: Request, notices: Mapping[str, str], **places: object
) -> dict[str, str] | None:
    """What a page says about the deed that led to it; `places` fill in what a sentence leaves open."""
    text = notices.get(request.query_params.get("notice", ""))
    return {"kind": "success", "text": _(text, **places)} if text else None


Deeds = Mapping[str, Callable[[Request, Asked], Awaitable[Response]]]
"""What a page's forms may ask for, by their field `do`."""


def words_of(error: IamError) -> str:
    """What a form says about why it was refused."""
    # Marked where it is raised; what the kernel says is translated here.
    return gettext(error.detail or error.title)


def data_of(changed: Sequence[str], **more: Any) -> dict[str, Any]:
    """What the event of a change keeps: the names of what was changed, and more."""
    return {"changed": sorted(changed), **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThing:
    """The words of a page on which something is added, and where it belongs. `facts` are for copying: what
    has to be told elsewhere before."""

    area: str
    title: str
    lead: str
    path: str
    back: str
    back_words: str
    button: str
    hidden: tuple[tuple[str, str], ...] = ()
    facts_title: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def new_page(
    request: Request,
    visitor: Visitor,
    thing: NewThing,
    fields: Sequence[Field],
    wrong: Mapping[str, str],
    *,
    status: int = 200,
    error: IamError | None = None,
) -> Response:
    """The form on which something is added, as it was filled in and with what is wrong about that."""
    return render(
        request,
        "console_form.html",
        status=status_of(error) if error else status,
        person=visitor.person,
        csrf=visitor.csrf,
        area=thing.area,
        title=thing.title,
        lead=thing.lead,
        back=thing.back,
        back_words=thing.back_words,
        action=f"{thing.path}/new",
        hidden=list(thing.hidden),
        facts_title=thing.facts_title,
        facts=thing.facts,
        fields=fields,
        wrong=wrong,
        error=words_of(error) if error else None,
        button=thing.button,
    )
