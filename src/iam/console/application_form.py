"""The form of an application: its fields as they were sent, what is wrong, and the page with them again."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from iam.console.applications_page import EDITED, GRANTS, KIND, NAME, PATH, RIGHTS, read_application
from iam.console.asking import Asked, NewThing, Question, ask_first, named, words_of
from iam.console.forms import Sent, filled
from iam.directory.patterns import GATE_HOST_PATTERN, REDIRECT_URI_PATTERN
from iam.kernel.errors import IamError
from iam.languages import _
from iam.sessions.model import BUILT_IN_ORGANIZATION
from iam.web.engine import Engine, in_thread
from iam.web.pages import render
from iam.web.problems import status_of

NEW = (
    NAME,
    KIND,
    *(one.with_value(["authorization_code"]) if one.kind == "choices" else one for one in EDITED),
    RIGHTS,
)


async def again(
    request: Request, asked: Asked, wrong: dict[str, str], error: IamError | None
) -> Response:
    """An application's page with what was sent, and what is wrong about that."""
    owner, name = named(request)
    person, now = asked.cause.person, asked.cause.now
    issuer = asked.engine.settings.issuer
    context = await in_thread(
        lambda: asked.engine.database.read(
            lambda c: read_application(c, person, owner, name, issuer, now)
        )
    )
    if asked.fields.get("do") == "saml":
        context["metadata"] = asked.fields.get("metadata", "")
    else:
        context["fields"] = filled(context["fields"], asked.fields)
    return render(
        request,
        "console_application.html",
        status=status_of(error) if error else 422,
        person=person,
        csrf=asked.visitor.csrf,
        flash=None,
        error=words_of(error) if error else None,
        wrong=wrong,
        **context,
    )


def new_application(organization: str) -> NewThing:
    """The page on which an application is added."""
    return NewThing(
        area="applications",
        title=_("New application"),
        lead=_(
            "In the organization %(organization)s, whose users may enter it.",
            organization=organization,
        ),
        path=PATH,
        back=f"{PATH}?organization={organization}",
        back_words=_("Applications"),
        button=_("Add application"),
        hidden=(("organization", organization),),
    )


def read_fields(sent: Sent, engine: Engine) -> dict[str, Any]:
    """What the form says of an application; what is wrong stands in `sent.wrong`."""
    uri = _(
        "give https://…, http:// on a loopback address, or an app's own scheme, without a fragment."
    )
    host = _("give a host in lower case, such as wiki.example.com.")
    given: dict[str, Any] = {"display_name": sent.text("display_name")}
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        given[name] = sent.lines(name, pattern=REDIRECT_URI_PATTERN, words=uri)
    given["grant_types"] = sent.choices("grant_types", GRANTS)
    hosts = sent.lines("gate_hosts", pattern=GATE_HOST_PATTERN, words=host, longest=255)
    if engine.settings.issuer_host in hosts:
        sent.wrong["gate_hosts"] = _("This is the server's own host.")
    return given | {"gate_hosts": hosts}


def read_rights(sent: Sent) -> bool:
    """Whether the form lets the application administer its organization."""
    return bool(sent.choices("rights", RIGHTS.options))


def ask_about_rights(
    request: Request, asked: Asked, owner: str, name: str, back: str
) -> Response | None:
    """The page that asks, once, whether it is meant: an application that administers is one more
    administrator, whose password is in a file. None: it has been asked."""
    if asked.fields.get("confirmed"):
        return None
    text = _(
        "Whoever has the client secret of %(name)s can then do all that an administrator of "
        "%(organization)s can, without a second factor and without signing in again: read and end every "
        "session, make users, take over accounts.",
        name=name,
        organization=owner,
    )
    if owner == BUILT_IN_ORGANIZATION:
        text = _(
            "Whoever has the client secret of %(name)s can then do all that an administrator of the "
            "installation can, in every organization, without a second factor and without signing in again.",
            name=name,
        )
    title = _("Let %(name)s administer %(organization)s?", name=name, organization=owner)
    question = Question(title=title, text=text, label=_("Let it administer"))
    return ask_first(request, asked, question, back)
