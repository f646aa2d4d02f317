"""Applications: their addresses, their secrets, how they sign out, and the policy of their sessions."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import (
    Administrator,
    Cursor,
    Limit,
    PathName,
    Reader,
    Text,
    answer,
    nothing,
    require_organization,
)
from iam.api.directory_api import note_change
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.openid_members import (
    ApplicationChangeForm,
    ApplicationForm,
    check_openid,
    split_members,
)
from iam.api.policies_api import set_policy
from iam.api.views import (
    ApplicationsView,
    ApplicationView,
    NewApplicationView,
    SecretView,
    application_view,
)
from iam.directory import applications
from iam.directory.applications import ApplicationChange, find_application
from iam.directory.client_settings import ClientSettings
from iam.directory.names import Reserved
from iam.directory.openid_settings import OpenidSettings
from iam.directory.organizations import find_organization
from iam.kernel.errors import Conflict, Invalid
from iam.keys.client_keys import check_jwks
from iam.sessions import rules
from iam.sessions.layers import read_policies, read_policy
from iam.sessions.lifecycle import Ended
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.policy import Layer, Policy
from iam.settings import Settings

router = APIRouter(tags=["directory"])
_NONE = Policy()


class GateHostReserved(Invalid):
    """The gate cannot answer for an application on the server's own host."""

    code = "gate_host_reserved"
    title = "This is the server's own host."


class HasNoSecret(Conflict):
    """An application that proves itself otherwise, or not at all, has no secret to replace."""

    code = "no_client_secret"
    title = "This application has no client secret."


def _application(connection: Connection, organization: str, name: str) -> dict[str, Any]:
    policy = read_policy(connection, Layer("application", organization, name))
    return application_view(find_application(connection, organization, name), policy)


@router.get(
    "/v1/applications",
    operation_id="listApplications",
    summary="Applications of one organization by name",
    response_model=ApplicationsView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_applications(
    call: Reader, organization: Text = None, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """By default of the caller's own organization."""
    owner = organization or call.home
    require_organization(call, owner)

    def work(connection: Connection) -> tuple[list[dict[str, Any]], bool]:
        find_organization(connection, owner)
        policies = read_policies(connection, "application", owner)
        found = applications.list_applications(connection, owner, after=cursor, limit=limit + 1)
        items = [
            application_view(one, policies.get(Layer("application", owner, one.name), _NONE))
            for one in found[:limit]
        ]
        return items, len(found) > limit

    items, more = call.engine.database.read(work)
    return answer({"items": items, "next": items[-1]["name"] if more else None})


@router.post(
    "/v1/applications",
    operation_id="createApplication",
    summary="Add an application",
    status_code=201,
    response_model=NewApplicationView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def create_application(call: Administrator, body: ApplicationForm) -> Response:
    """The answer holds the client secret, this once."""
    owner = body.organization
    require_organization(call, owner)
    check_hosts(call.engine.settings, body.gate_hosts)
    check_jwks(body.jwks)
    chosen, client, members = split_members(body.model_dump(exclude={"policy"}))

    def work(connection: Connection) -> dict[str, Any]:
        rules.hold_rules(connection, owner)
        find_organization(connection, owner)
        made, secret = applications.create_application(
            connection,
            **members,
            client=ClientSettings(**client),
            openid=OpenidSettings(**chosen),
            now=call.now,
            random=call.engine.random,
        )
        check_openid(call.engine.settings, made)
        event = call.event("application.created", organization=owner, application=made.name)
        audit.append(connection, [event])
        set_policy(connection, call, Layer("application", owner, made.name), body.policy)
        return {**_application(connection, owner, made.name), "client_secret": secret}

    made = call.engine.database.write(work)
    return answer(made, 201, location=f"/v1/applications/{owner}/{body.name}")


@router.get(
    "/v1/applications/{organization}/{name}",
    operation_id="getApplication",
    summary="One application",
    response_model=ApplicationView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get_application(call: Reader, organization: PathName, name: PathName) -> Response:
    """Without its secret, which nobody can read again."""
    require_organization(call, organization)
    return answer(call.engine.database.read(lambda c: _application(c, organization, name)))


@router.patch(
    "/v1/applications/{organization}/{name}",
    operation_id="updateApplication",
    summary="Change an application",
    response_model=ApplicationView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update_application(
    call: Administrator, organization: PathName, name: PathName, body: ApplicationChangeForm
) -> Response:
    """Disabling it ends its sessions, taking a gate host those there, a tighter policy what is now
    too old."""
    require_organization(call, organization)
    check_hosts(call.engine.settings, body.gate_hosts or ())
    check_jwks(body.jwks)
    chosen, client, members = split_members(
        body.model_dump(include=body.model_fields_set - {"policy"})
    )
    change = ApplicationChange(**members, client=client, openid=chosen)

    def work(connection: Connection) -> tuple[dict[str, Any], tuple[Ended, ...]]:
        find_application(connection, organization, name)
        ended: tuple[Ended, ...] = ()
        if body.policy is not None:
            layer = Layer("application", organization, name)
            ended = set_policy(connection, call, layer, body.policy).impact.noted
        cause = call.cause
        after, more = applications.update_application(
            connection, organization, name, change, **cause
        )
        check_openid(call.engine.settings, after)
        note_change(
            connection,
            call,
            "application.updated",
            body.model_fields_set,
            organization=organization,
            application=name,
        )
        return _application(connection, organization, name), ended + more

    view, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return answer(view)


@router.delete(
    "/v1/applications/{organization}/{name}",
    operation_id="deleteApplication",
    summary="Delete an application and end all its sessions",
    status_code=204,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def delete_application(call: Administrator, organization: PathName, name: PathName) -> Response:
    """With its gate hosts and its policy."""
    require_organization(call, organization)

    def work(connection: Connection) -> tuple[Ended, ...]:
        ended = applications.delete_application(connection, organization, name, **call.cause)
        event = call.event("application.deleted", organization=organization, application=name)
        audit.append(connection, [event])
        return ended

    call.engine.count_ended(call.engine.database.write(work))
    return nothing()


@router.post(
    "/v1/applications/{organization}/{name}/secret",
    operation_id="rotateClientSecret",
    summary="Replace an application's client secret",
    response_model=SecretView,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def rotate_secret(call: Administrator, organization: PathName, name: PathName) -> Response:
    """The former one stops working at once."""
    require_organization(call, organization)

    def work(connection: Connection) -> dict[str, Any]:
        application = find_application(connection, organization, name)
        if name == BUILT_IN_APPLICATION:
            raise Reserved("The application app-built-in has no use for a secret.")
        if not application.client.has_secret:
            raise HasNoSecret
        secret = applications.rotate_client_secret(
            connection, organization, name, call.engine.random
        )
        event = call.event(
            "application.secret_rotated", organization=organization, application=name
        )
        audit.append(connection, [event])
        return {"client_id": application.client_id, "client_secret": secret}

    return answer(call.engine.database.write(work))


def check_hosts(settings: Settings, hosts: Sequence[str]) -> None:
    """Refuse a gate host that is the server's own.

    Raises:
        GateHostReserved: it is.
    """
    if settings.issuer_host in hosts:
        raise GateHostReserved
