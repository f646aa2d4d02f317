"""Applications as SAML service providers."""

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import (
    Administrator,
    OwnCall,
    PathName,
    Reader,
    answer,
    nothing,
    require_organization,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.saml_views import (
    SamlProviderBody,
    SamlProviderView,
    document_of,
    saml_provider_view,
)
from iam.directory import saml_providers
from iam.directory.applications import find_application
from iam.directory.saml_providers import SamlProvider
from iam.directory.saml_sources import SamlSource, find_source

router = APIRouter(tags=["directory"])
_PATH = "/v1/applications/{organization}/{name}/saml"


@router.get(
    _PATH,
    operation_id="getSamlProvider",
    summary="An application as a SAML service provider",
    response_model=SamlProviderView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get_provider(call: Reader, organization: PathName, name: PathName) -> Response:
    """With what its metadata was understood to say."""
    require_organization(call, organization)

    def work(connection: Connection) -> tuple[SamlProvider, SamlSource | None]:
        find_application(connection, organization, name)
        found = saml_providers.find_provider(connection, organization, name)
        return found, find_source(connection, found.id)

    return answer(saml_provider_view(*call.engine.database.read(work)))


@router.put(
    _PATH,
    operation_id="setSamlProvider",
    summary="Register an application as a SAML service provider",
    response_model=SamlProviderView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def set_provider(
    call: Administrator, organization: PathName, name: PathName, body: SamlProviderBody
) -> Response:
    """By its metadata, in place of what it was registered by before. An option that is not given has
    its default."""
    require_organization(call, organization)
    options = body.options()
    # An application that is not there asks nobody anything.
    call.engine.database.read(lambda c: find_application(c, organization, name))
    document = document_of(body, call.engine.settings, call.now)
    source = (body.metadata_url, body.metadata_signer) if body.metadata_url else None

    def work(connection: Connection) -> tuple[SamlProvider, SamlSource | None]:
        find_application(connection, organization, name)
        made = saml_providers.set_provider(
            connection,
            organization,
            name,
            document,
            options,
            source=source,
            now=call.now,
            random=call.engine.random,
        )
        _note(connection, call, organization, name)
        return made, find_source(connection, made.id)

    return answer(saml_provider_view(*call.engine.database.write(work)))


@router.delete(
    _PATH,
    operation_id="deleteSamlProvider",
    summary="Have an application be no SAML service provider any more",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def delete_provider(call: Administrator, organization: PathName, name: PathName) -> Response:
    """Nobody signs in there by SAML any more. Its sessions go on; it is not told when they end."""
    require_organization(call, organization)

    def work(connection: Connection) -> None:
        find_application(connection, organization, name)
        saml_providers.delete_provider(connection, organization, name)
        _note(connection, call, organization, name)

    call.engine.database.write(work)
    return nothing()


def _note(connection: Connection, call: OwnCall, organization: str, name: str) -> None:
    event = call.event(
        "application.updated",
        organization=organization,
        application=name,
        data={"changed": ["saml"]},
    )
    audit.append(connection, [event])
