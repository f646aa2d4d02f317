"""Providers: who else says who somebody is, and whom of ours each of them means."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import (
    Administrator,
    OwnCall,
    PathName,
    Reader,
    Text,
    answer,
    nothing,
    require_organization,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.provider_members import (
    OPTIONS,
    LinksView,
    ProviderBody,
    ProviderPatch,
    ProvidersView,
    ProviderView,
    link_view,
    provider_view,
)
from iam.api.saml_upstream import SamlOptionsBody, stored_saml_options
from iam.api.schemas import Body
from iam.delivery.provider_addresses import ProviderOptionsRefused, check_options
from iam.directory import providers
from iam.directory.organizations import find_organization
from iam.directory.providers import Kind, NewProvider, Provider
from iam.directory.saml_identity import note_source
from iam.directory.saml_sources import find_source
from iam.directory.users import User, find_user
from iam.kernel.ids import PROVIDER, make_id
from iam.sessions import rules
from iam.signin.provider_secrets import seal_secret

router = APIRouter(tags=["directory"])


@router.get(
    "/v1/providers",
    operation_id="listProviders",
    summary="Providers of one organization by name",
    response_model=ProvidersView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_all(call: Reader, organization: Text = None) -> Response:
    """By default of the caller's own organization; all of them, for there are few."""
    owner = organization or call.home
    require_organization(call, owner)

    def work(connection: Connection) -> list[dict[str, Any]]:
        find_organization(connection, owner)
        found = providers.list_providers(connection, owner)
        return [_view(connection, call, one) for one in found]

    return answer({"items": call.engine.database.read(work)})


@router.post(
    "/v1/providers",
    operation_id="createProvider",
    summary="Let people of an organization sign in by another provider",
    status_code=201,
    response_model=ProviderView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def create(call: Administrator, body: ProviderBody) -> Response:
    """Its button stands on the organization's sign-in page from now on. The client secret is kept
    encrypted and never shown."""
    owner = body.organization
    require_organization(call, owner)
    engine = call.engine
    # Nothing is fetched for an organization that is not there.
    engine.database.read(lambda c: find_organization(c, owner))
    options = _checked(call, body.kind, body.options)
    id_ = make_id(PROVIDER, call.now, engine.random)
    sealed = _sealed(call, id_, body.client_secret)
    new = NewProvider(
        kind=body.kind,
        display_name=body.display_name or body.name,
        enabled=body.enabled,
        options=options,
        creates_users=body.creates_users,
        trusted_domains=tuple(body.trusted_domains),
        attributes=body.attributes,
    )

    def work(connection: Connection) -> dict[str, Any]:
        rules.hold_rules(connection, owner)
        made = providers.create_provider(
            connection,
            owner,
            body.name,
            new,
            provider_id=id_,
            sealed_secret=sealed,
            now=call.now,
            random=engine.random,
        )
        note_source(connection, made, call.now)
        data = {"provider": made.name, "kind": made.kind}
        event = call.event("provider.created", organization=owner, data=data)
        audit.append(connection, [event])
        return _view(connection, call, made)

    made = engine.database.write(work)
    return answer(made, 201, location=f"/v1/providers/{owner}/{body.name}")


@router.get(
    "/v1/providers/{organization}/{name}",
    operation_id="getProvider",
    summary="One provider",
    response_model=ProviderView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get(call: Reader, organization: PathName, name: PathName) -> Response:
    """Without its client secret."""
    require_organization(call, organization)

    def work(connection: Connection) -> dict[str, Any]:
        return _view(connection, call, providers.find_provider(connection, organization, name))

    return answer(call.engine.database.read(work))


@router.patch(
    "/v1/providers/{organization}/{name}",
    operation_id="updateProvider",
    summary="Change a provider",
    response_model=ProviderView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update(
    call: Administrator, organization: PathName, name: PathName, body: ProviderPatch
) -> Response:
    """`options` are replaced as a whole. Its kind stays, and so does its issuer once users are linked to
    it. Where its client secret would be shown to another server, it is given anew. Sign-ins under way end
    with nothing, sessions that it let in go on."""
    require_organization(call, organization)
    given = body.model_fields_set
    found = call.engine.database.read(lambda c: providers.find_provider(c, organization, name))
    # Before the transaction: metadata may have to be fetched.
    checked = _checked(call, found.kind, body.options) if "options" in given else None

    def work(connection: Connection) -> dict[str, Any]:
        rules.hold_rules(connection, organization)
        before = providers.find_provider(connection, organization, name)
        if before.kind != found.kind:
            raise ProviderOptionsRefused("It has just become another one.")
        if not given:
            return _view(connection, call, before)
        options = before.options if checked is None else checked
        new = NewProvider(
            kind=before.kind,
            display_name=body.display_name if "display_name" in given else before.display_name,
            enabled=body.enabled if "enabled" in given else before.enabled,
            options=options,
            creates_users=body.creates_users if "creates_users" in given else before.creates_users,
            trusted_domains=(
                tuple(body.trusted_domains)
                if "trusted_domains" in given
                else before.trusted_domains
            ),
            attributes=body.attributes if "attributes" in given else before.attributes,
        )
        secret = body.client_secret if "client_secret" in given else None
        changed = providers.update_provider(
            connection,
            organization,
            name,
            new,
            sealed_secret=_sealed(call, before.id, secret),
            now=call.now,
        )
        if checked is not None:
            note_source(connection, changed, call.now)
        data = {"provider": name, "changed": sorted(given)}
        event = call.event("provider.updated", organization=organization, data=data)
        audit.append(connection, [event])
        return _view(connection, call, changed)

    return answer(call.engine.database.write(work))


@router.delete(
    "/v1/providers/{organization}/{name}",
    operation_id="deleteProvider",
    summary="Delete a provider with its links",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def delete(call: Administrator, organization: PathName, name: PathName) -> Response:
    """Nobody signs in by it any more. Whom it let in stays in until their sessions end."""
    require_organization(call, organization)

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, organization)
        providers.delete_provider(connection, organization, name)
        event = call.event("provider.deleted", organization=organization, data={"provider": name})
        audit.append(connection, [event])

    call.engine.database.write(work)
    return nothing()


@router.get(
    "/v1/users/{organization}/{name}/links",
    operation_id="listLinks",
    summary="By which providers a user is known",
    response_model=LinksView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_links(call: Reader, organization: PathName, name: PathName) -> Response:
    """In the order in which they were made."""
    require_organization(call, organization)

    def work(connection: Connection) -> list[dict[str, Any]]:
        user = find_user(connection, organization, name)
        known = {one.id: one for one in providers.list_providers(connection, organization)}
        return [
            link_view(one, known[one.provider]) for one in providers.list_links(connection, user.id)
        ]

    return answer({"items": call.engine.database.read(work)})


@router.delete(
    "/v1/users/{organization}/{name}/links/{id}",
    operation_id="removeLink",
    summary="Have a provider mean a user no more",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def remove_link(
    call: Administrator,
    organization: PathName,
    name: PathName,
    id: PathName,  # noqa: A002 - the parameter's name in the path
) -> Response:
    """Their sessions go on: end them as well if they should not. A provider that creates users makes
    another one of whoever comes by it then."""
    require_organization(call, organization)

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, organization)
        user: User = find_user(connection, organization, name)
        link = providers.find_own_link(connection, user.id, id)
        providers.remove_link(connection, link.provider, link.subject)
        provider = providers.find_provider_by_id(connection, link.provider)
        data = {"provider": provider.name if provider else None, "subject": link.subject}
        event = call.event("provider.unlinked", organization=organization, user=name, data=data)
        audit.append(connection, [event])

    call.engine.database.write(work)
    return nothing()


def _view(connection: Connection, call: OwnCall, provider: Provider) -> dict[str, Any]:
    source = find_source(connection, provider.id) if provider.kind == "saml" else None
    return provider_view(provider, call.engine.settings.issuer, source)


def _checked(call: OwnCall, kind: Kind, options: Body) -> dict[str, Any]:
    """Options as they are stored. Not for inside a transaction: metadata may have to be fetched.

    Raises:
        ProviderOptionsRefused: they are those of another kind, or something is missing.
        ProviderUrlRefused: nothing is sent to one of their addresses.
    """
    if not isinstance(options, OPTIONS[kind]):
        raise ProviderOptionsRefused(f"It is of the kind {kind}.")
    if isinstance(options, SamlOptionsBody):
        return stored_saml_options(options, call.engine.settings, call.now)
    stored = options.model_dump()
    check_options(kind, stored, allow_private=call.engine.settings.delivery_allow_private)
    return stored


def _sealed(call: OwnCall, provider_id: str, secret: str | None) -> str | None:
    if secret is None:
        return None
    return seal_secret(call.engine.cipher, provider_id, secret, call.engine.random)
