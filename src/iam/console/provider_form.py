"""The form of a provider: its fields as they were sent, what is wrong, and the pages with them again."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import Response

from iam.console.asking import Asked, NewThing, named, new_page, words_of
from iam.console.forms import Field, Sent, filled
from iam.console.provider_saml import our_addresses
from iam.console.providers_page import (
    COMMON,
    KINDS,
    OPTIONS,
    PATH,
    PATTERNS,
    fields_for,
    read_provider,
)
from iam.delivery.provider_addresses import check_options
from iam.directory.providers import Attribute, NewProvider
from iam.directory.saml_identity import KIND as SAML
from iam.kernel.errors import IamError
from iam.languages import N_, _, written
from iam.web.engine import in_thread
from iam.web.pages import render
from iam.web.problems import status_of

NAME = Field(
    name="name",
    label=N_("Name"),
    required=True,
    hint=N_("Lower-case letters, digits and -, up to 63."),
)
_VISIBLE = r"[!-~]+"
_DOMAIN = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){1,10}"
_ATTRIBUTE = rf"(?:{'|'.join(get_args(Attribute))})=[!-~]{{1,256}}"


def read_provider_form(
    sent: Sent, kind: str, name: str, *, enabled: bool = True
) -> tuple[NewProvider, str | None]:
    """What a form says of a provider, and its client secret if there is one."""
    # What a SAML provider's options are is read by `read_given`.
    fields = {one.name: one for one in OPTIONS[kind] if kind != SAML}
    options: dict[str, Any] = {}
    for one in fields.values():
        if one.name == "options":
            chosen = sent.choices("options", one.options)
            options |= {option: option in chosen for option, _words in one.options}
        elif one.kind == "choice":
            options[one.name] = sent.choice(one.name, one.options) or None
        elif one.name == "scopes":
            words = _("Visible characters, with spaces between scopes.")
            text = sent.text("scopes", longest=2048, pattern=r"[ !#-\[\]-~]*", words=words)
            options["scopes"] = list(dict.fromkeys(text.split()))[:32] or None
        elif one.kind == "text":
            options[one.name] = (
                sent.text(
                    one.name,
                    longest=1024,
                    pattern=PATTERNS.get(one.name, _VISIBLE),
                    words=_("This cannot be used here."),
                    required=one.required,
                )
                or None
            )
    if kind == "oidc" and options.get("scopes") is None:
        options["scopes"] = ["openid"]
    lines = sent.lines("attributes", pattern=_ATTRIBUTE, words=_("write it as roles=groups."))
    attributes: Mapping[Any, str] = dict(line.split("=", 1) for line in lines if "=" in line)
    secret = sent.fields.get("client_secret", "") if kind != SAML else ""
    if secret and (len(secret) > 1024 or not re.fullmatch(r"[ -~]+", secret)):
        sent.wrong["client_secret"] = _(
            "At most %(number)s visible characters.", number=written(1024)
        )
    new = NewProvider(
        kind=kind,  # type: ignore[arg-type] # a key of `OPTIONS`
        display_name=sent.text("display_name") or name,
        enabled=enabled,
        options=options,
        creates_users=bool(sent.choices("behaviour", COMMON[1].options)),
        trusted_domains=tuple(
            sent.lines(
                "trusted_domains", pattern=_DOMAIN, words=_("give a domain such as a.example.")
            )
        ),
        attributes=attributes,
    )
    return new, secret or None


def refused_options(asked: Asked, new: NewProvider) -> IamError | None:
    """Why nobody could be asked anything by these options, if that is so."""
    allowed = asked.engine.settings.delivery_allow_private
    try:
        check_options(new.kind, new.options, allow_private=allowed)
    except IamError as error:
        return error
    return None


def new_fields(kind: str) -> tuple[Field, ...]:
    """The fields of a new provider of this kind."""
    return (NAME, *fields_for(kind))


def new_again(
    request: Request, asked: Asked, wrong: dict[str, str], error: IamError | None
) -> Response:
    """The page on which a provider is added, with what was sent, and what is wrong about that."""
    owner, kind = asked.fields.get("organization", ""), asked.fields["kind"]
    fields = filled(new_fields(kind), asked.fields)
    thing = new_provider(asked.engine.settings.issuer, owner, kind)
    return new_page(request, asked.visitor, thing, fields, wrong, status=422, error=error)


async def again(
    request: Request, asked: Asked, wrong: dict[str, str], error: IamError | None
) -> Response:
    """A provider's page with what was sent, and what is wrong about that."""
    owner, name = named(request)
    person, now, engine = asked.cause.person, asked.cause.now, asked.engine
    issuer = engine.settings.issuer
    context = await in_thread(
        lambda: engine.database.read(lambda c: read_provider(c, person, owner, name, issuer, now))
    )
    if asked.fields.get("do") == "save":
        context["fields"] = filled(context["fields"], asked.fields)
    return render(
        request,
        "console_provider.html",
        status=status_of(error) if error else 422,
        person=person,
        csrf=asked.visitor.csrf,
        flash=None,
        error=words_of(error) if error else None,
        wrong=wrong,
        **context,
    )


def new_provider(issuer: str, organization: str, kind: str) -> NewThing:
    """The page on which a provider is added."""
    saml = kind == SAML
    return NewThing(
        area="providers",
        title=_("New provider: %(kind)s", kind=KINDS[kind]),
        lead=_(
            "Its button will stand on the sign-in page of %(organization)s.",
            organization=organization,
        ),
        path=PATH,
        back=f"{PATH}?organization={organization}",
        back_words=_("Providers"),
        button=_("Add provider"),
        hidden=(("organization", organization), ("kind", kind)),
        facts_title=_("First give the other side what it has to know of us") if saml else "",
        facts=tuple(our_addresses(issuer)) if saml else (),
    )
