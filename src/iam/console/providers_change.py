"""Adding, changing, disabling and deleting providers from the console, and taking a user's link away."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

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
from iam.console.forms import Field, Sent, filled
from iam.console.providers_page import (
    COMMON,
    KINDS,
    OPTIONS,
    PATH,
    PATTERNS,
    read_provider,
)
from iam.console.scope import organization_in_scope, require_console
from iam.delivery.provider_addresses import check_options
from iam.directory import providers
from iam.directory.names import NAME_PATTERN
from iam.directory.providers import (
    Attribute,
    NewProvider,
    Provider,
    ProviderLinked,
    ProviderSecretNeeded,
    find_provider,
)
from iam.kernel.errors import IamError
from iam.kernel.ids import PROVIDER, make_id
from iam.languages import N_, _, written
from iam.sessions import rules
from iam.signin.provider_secrets import seal_secret
from iam.web.engine import engine_of, in_thread
from iam.web.forms import FormInvalid, query_text
from iam.web.pages import page_errors, render, see_other
from iam.web.problems import status_of
from iam.web.rights import Right
from iam.web.visitor import visitor_of

_NAME = Field(
    name="name",
    label=N_("Name"),
    required=True,
    hint=N_("Lower-case letters, digits and -, up to 63."),
)
_VISIBLE = r"[!-~]+"
_DOMAIN = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){1,10}"
_ATTRIBUTE = rf"(?:{'|'.join(get_args(Attribute))})=[!-~]{{1,256}}"


@page_errors
async def show_new(request: Request) -> Response:
    """GET: the form for a new provider of the kind in the query."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    person, name = require_console(visitor, Right.CHANGE), query_text(request, "organization")
    kind = query_text(request, "kind")
    kind = kind if kind in OPTIONS else "oidc"
    organization, _choices = await in_thread(
        lambda: engine.database.read(lambda c: one_organization(c, person, name))
    )
    return new_page(request, visitor, _thing(organization, kind), list(_new_fields(kind)), {})


@page_errors
async def create(request: Request) -> Response:
    """POST: add a provider."""
    asked = await asked_by(request)
    engine, cause, sent = asked.engine, asked.cause, Sent(asked.fields)
    owner, kind = asked.fields.get("organization", ""), asked.fields.get("kind", "")
    if kind not in OPTIONS:
        raise FormInvalid(_("It does not say which kind of provider."))
    await in_thread(
        lambda: engine.database.read(lambda c: organization_in_scope(c, cause.person, owner))
    )
    name = sent.text(
        "name", longest=63, pattern=NAME_PATTERN, words=_NAME.spoken().hint, required=True
    )
    new, secret = _read(sent, kind, name)
    error = None if sent.wrong else _refused(asked, new)
    if sent.wrong or error is not None:
        return _new_again(request, asked, sent.wrong, error)
    about = _("You wanted to add the provider %(name)s.", name=name)
    await recently(request, asked, _("Add provider"), about, PATH)
    provider_id = make_id(PROVIDER, cause.now, cause.random)
    sealed = seal_secret(engine.cipher, provider_id, secret, cause.random) if secret else None

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, owner)
        providers.create_provider(
            connection,
            owner,
            name,
            new,
            provider_id=provider_id,
            sealed_secret=sealed,
            now=cause.now,
            random=cause.random,
        )
        data = {"provider": name, "kind": kind}
        audit.append(connection, [cause.event("provider.created", organization=owner, data=data)])

    try:
        await in_thread(lambda: engine.database.write(work))
    except IamError as failed:
        return _new_again(request, asked, {}, failed)
    return see_other(f"{path_of('providers', owner, name)}?notice=created")


@page_errors
async def change(request: Request) -> Response:
    """POST: what one of the forms on a provider's page asks for (`do`)."""
    return await do_deed(request, _DEEDS, find_provider)


async def _save(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    engine, cause, sent = asked.engine, asked.cause, Sent(asked.fields)
    before = await in_thread(lambda: engine.database.read(lambda c: find_provider(c, owner, name)))
    if before.kind not in OPTIONS:
        raise FormInvalid(_("Providers of this kind are changed elsewhere."))
    new, secret = _read(sent, before.kind, name, enabled=before.enabled)
    error = None if sent.wrong else _refused(asked, new)
    if sent.wrong or error is not None:
        return await _again(request, asked, sent.wrong, error)
    about = _("You wanted to change the provider %(name)s.", name=name)
    await recently(request, asked, _("Save"), about, path_of("providers", owner, name))
    sealed = seal_secret(engine.cipher, before.id, secret, cause.random) if secret else None
    changed = ["options", *(["client_secret"] if secret else [])]
    try:
        await _update(asked, owner, name, lambda _before: new, sealed, changed)
    except (ProviderLinked, ProviderSecretNeeded) as refused:
        return await _again(request, asked, {}, refused)
    return see_other(f"{path_of('providers', owner, name)}?notice=saved")


async def _disable(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here = path_of("providers", owner, name)
    about = _("You wanted to disable the provider %(name)s.", name=name)
    await recently(request, asked, _("Disable %(name)s", name=name), about, here)
    await _update(asked, owner, name, lambda one: _with(one, enabled=False), None, ["enabled"])
    return see_other(f"{here}?notice=disabled")


async def _enable(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here = path_of("providers", owner, name)
    about = _("You wanted to enable the provider %(name)s.", name=name)
    await recently(request, asked, _("Enable %(name)s", name=name), about, here)
    await _update(asked, owner, name, lambda one: _with(one, enabled=True), None, ["enabled"])
    return see_other(f"{here}?notice=enabled")


async def _delete(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    here, cause = path_of("providers", owner, name), asked.cause
    if not asked.fields.get("confirmed"):
        text = _("Nobody signs in by it any more, and its links are gone. Whom it let in stays in.")
        question = Question(title=_("Delete %(name)s?", name=name), text=text, label=_("Delete"))
        return ask_first(request, asked, question, here)
    about = _("You wanted to delete the provider %(name)s.", name=name)
    await recently(request, asked, _("Delete %(name)s", name=name), about, here)

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, owner)
        providers.delete_provider(connection, owner, name)
        data = {"provider": name}
        audit.append(connection, [cause.event("provider.deleted", organization=owner, data=data)])

    await in_thread(lambda: asked.engine.database.write(work))
    return see_other(f"{PATH}?organization={owner}&notice=deleted")


_DEEDS: Deeds = {"save": _save, "disable": _disable, "enable": _enable, "delete": _delete}


async def _update(
    asked: Asked,
    owner: str,
    name: str,
    turned: Any,
    sealed: str | None,
    changed: Sequence[str],
) -> None:
    cause = asked.cause

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, owner)
        new: NewProvider = turned(find_provider(connection, owner, name))
        providers.update_provider(connection, owner, name, new, sealed_secret=sealed, now=cause.now)
        data = data_of(changed, provider=name)
        audit.append(connection, [cause.event("provider.updated", organization=owner, data=data)])

    await in_thread(lambda: asked.engine.database.write(work))


def _with(provider: Provider, *, enabled: bool) -> NewProvider:
    members = {name: getattr(provider, name) for name in NewProvider.__dataclass_fields__}
    return NewProvider(**{**members, "enabled": enabled})


def _read(
    sent: Sent, kind: str, name: str, *, enabled: bool = True
) -> tuple[NewProvider, str | None]:
    """What a form says of a provider, and its client secret if there is one."""
    fields = {one.name: one for one in OPTIONS[kind]}
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
    secret = sent.fields.get("client_secret", "")
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


def _refused(asked: Asked, new: NewProvider) -> IamError | None:
    """Why nobody could be asked anything by these options, if that is so."""
    allowed = asked.engine.settings.delivery_allow_private
    try:
        check_options(new.kind, new.options, allow_private=allowed)
    except IamError as error:
        return error
    return None


def _new_fields(kind: str) -> tuple[Field, ...]:
    return (_NAME, *COMMON, *OPTIONS[kind])


def _new_again(
    request: Request, asked: Asked, wrong: dict[str, str], error: IamError | None
) -> Response:
    owner, kind = asked.fields.get("organization", ""), asked.fields["kind"]
    fields = filled(_new_fields(kind), asked.fields)
    thing = _thing(owner, kind)
    return new_page(request, asked.visitor, thing, fields, wrong, status=422, error=error)


async def _again(
    request: Request, asked: Asked, wrong: dict[str, str], error: IamError | None
) -> Response:
    owner, name = named(request)
    person, now, engine = asked.cause.person, asked.cause.now, asked.engine
    issuer = engine.settings.issuer
    context = await in_thread(
        lambda: engine.database.read(lambda c: read_provider(c, person, owner, name, issuer, now))
    )
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


def _thing(organization: str, kind: str) -> NewThing:
    return NewThing(
        area="providers",
        title=_("New provider: %(kind)s", kind=dict(KINDS)[kind]),
        lead=_(
            "Its button will stand on the sign-in page of %(organization)s.",
            organization=organization,
        ),
        path=PATH,
        back=f"{PATH}?organization={organization}",
        back_words=_("Providers"),
        button=_("Add provider"),
        hidden=(("organization", organization), ("kind", kind)),
    )
