"""Adding, changing, disabling and deleting providers from the console, and taking a user's link away."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
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
)
from iam.console.forms import Sent
from iam.console.provider_form import (
    NAME,
    again,
    new_again,
    new_fields,
    new_provider,
    read_provider_form,
    refused_options,
)
from iam.console.provider_saml import (
    Given,
    make_options,
    read_given,
    refetched,
)
from iam.console.providers_page import (
    OPTIONS,
    PATH,
)
from iam.console.scope import organization_in_scope, require_console
from iam.directory import providers
from iam.directory.names import NAME_PATTERN
from iam.directory.providers import (
    NewProvider,
    Provider,
    ProviderLinked,
    ProviderSecretNeeded,
    find_provider,
)
from iam.directory.saml_identity import KIND as SAML
from iam.directory.saml_identity import UpstreamOptions, note_source, upstream_options
from iam.kernel.errors import IamError
from iam.kernel.ids import PROVIDER, make_id
from iam.languages import _
from iam.sessions import rules
from iam.signin.provider_secrets import seal_secret
from iam.web.engine import engine_of, in_thread
from iam.web.forms import FormInvalid, query_text
from iam.web.pages import page_errors, see_other
from iam.web.rights import Right
from iam.web.visitor import visitor_of


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
    thing = new_provider(engine.settings.issuer, organization, kind)
    return new_page(request, visitor, thing, list(new_fields(kind)), {})


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
        "name", longest=63, pattern=NAME_PATTERN, words=NAME.spoken().hint, required=True
    )
    new, secret = read_provider_form(sent, kind, name)
    given = read_given(sent, engine.settings, None) if kind == SAML else None
    error = None if sent.wrong else refused_options(asked, new)
    if sent.wrong or error is not None:
        return new_again(request, asked, sent.wrong, error)
    about = _("You wanted to add the provider %(name)s.", name=name)
    await recently(request, asked, _("Add provider"), about, PATH)
    if given is not None:
        made = await _made(asked, given, None, sent.wrong)
        if made is None:
            return new_again(request, asked, sent.wrong, None)
        new = replace(new, options=made[0].to_options())
    provider_id = make_id(PROVIDER, cause.now, cause.random)
    sealed = seal_secret(engine.cipher, provider_id, secret, cause.random) if secret else None

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, owner)
        added = providers.create_provider(
            connection,
            owner,
            name,
            new,
            provider_id=provider_id,
            sealed_secret=sealed,
            now=cause.now,
            random=cause.random,
        )
        note_source(connection, added, cause.now)
        data = {"provider": name, "kind": kind}
        audit.append(connection, [cause.event("provider.created", organization=owner, data=data)])

    try:
        await in_thread(lambda: engine.database.write(work))
    except IamError as failed:
        return new_again(request, asked, {}, failed)
    return see_other(f"{path_of('providers', owner, name)}?notice=created")


@page_errors
async def change(request: Request) -> Response:
    """POST: what one of the forms on a provider's page asks for (`do`)."""
    return await do_deed(request, _DEEDS, find_provider)


async def _save(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    engine, cause, sent = asked.engine, asked.cause, Sent(asked.fields)
    before = await in_thread(lambda: engine.database.read(lambda c: find_provider(c, owner, name)))
    stored = upstream_options(before.options) if before.kind == SAML else None
    new, secret = read_provider_form(sent, before.kind, name, enabled=before.enabled)
    given = read_given(sent, engine.settings, stored) if stored is not None else None
    error = None if sent.wrong else refused_options(asked, new)
    if sent.wrong or error is not None:
        return await again(request, asked, sent.wrong, error)
    about = _("You wanted to change the provider %(name)s.", name=name)
    await recently(request, asked, _("Save"), about, path_of("providers", owner, name))
    sealed = seal_secret(engine.cipher, before.id, secret, cause.random) if secret else None
    taken, turned = False, _instead(new)
    if given is not None:
        made = await _made(asked, given, stored, sent.wrong)
        if made is None:
            return await again(request, asked, sent.wrong, None)
        taken, turned = made[1], _instead(new, *made)
    changed = ["options", *(["client_secret"] if secret else [])]
    try:
        await _update(asked, owner, name, turned, sealed, changed, taken=taken)
    except (ProviderLinked, ProviderSecretNeeded) as refused:
        return await again(request, asked, {}, refused)
    return see_other(f"{path_of('providers', owner, name)}?notice=saved")


async def _fetch(request: Request, asked: Asked) -> Response:
    owner, name = named(request)
    engine, now = asked.engine, asked.cause.now
    before = await in_thread(lambda: engine.database.read(lambda c: find_provider(c, owner, name)))
    stored = upstream_options(before.options) if before.kind == SAML else None
    if stored is None or stored.metadata_url is None:
        raise FormInvalid(_("Its metadata comes from no address."))
    try:
        made = await in_thread(lambda: refetched(stored, engine.settings, now))
    except IamError as failed:
        return await again(request, asked, {}, failed)
    turned = _instead(_with(before, enabled=before.enabled), made, taken=True)
    await _update(asked, owner, name, turned, None, ["metadata"], taken=True)
    return see_other(f"{path_of('providers', owner, name)}?notice=fetched")


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


_DEEDS: Deeds = {
    "save": _save,
    "fetch": _fetch,
    "disable": _disable,
    "enable": _enable,
    "delete": _delete,
}


async def _update(
    asked: Asked,
    owner: str,
    name: str,
    turned: Callable[[Provider], NewProvider],
    sealed: str | None,
    changed: Sequence[str],
    *,
    taken: bool = False,
) -> None:
    """`taken`: its metadata has been taken anew, from where it says."""
    cause = asked.cause

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, owner)
        new = turned(find_provider(connection, owner, name))
        is_now = providers.update_provider(
            connection, owner, name, new, sealed_secret=sealed, now=cause.now
        )
        if taken:
            note_source(connection, is_now, cause.now)
        data = data_of(changed, provider=name)
        audit.append(connection, [cause.event("provider.updated", organization=owner, data=data)])

    await in_thread(lambda: asked.engine.database.write(work))


def _instead(
    new: NewProvider, options: UpstreamOptions | None = None, taken: bool = True
) -> Callable[[Provider], NewProvider]:
    """What turns a provider into this. Metadata that is not taken anew stays as it is by then: it may have
    been fetched meanwhile."""

    def turned(before: Provider) -> NewProvider:
        if options is None:
            return new
        own = upstream_options(before.options)
        kept = options if taken else replace(options, metadata=own.metadata)
        return replace(new, options=kept.to_options())

    return turned


async def _made(
    asked: Asked, given: Given, before: UpstreamOptions | None, wrong: dict[str, str]
) -> tuple[UpstreamOptions, bool] | None:
    """See `make_options`."""
    settings, now = asked.engine.settings, asked.cause.now
    return await in_thread(lambda: make_options(given, before, settings, now, wrong))


def _with(provider: Provider, *, enabled: bool) -> NewProvider:
    members = {name: getattr(provider, name) for name in NewProvider.__dataclass_fields__}
    return NewProvider(**{**members, "enabled": enabled})
