"""Organizations."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import (
    Administrator,
    Cursor,
    Limit,
    OwnCall,
    PathName,
    Reader,
    answer,
    nothing,
    require_installation,
    require_organization,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.policies_api import set_policy
from iam.api.schemas import OrganizationBody, OrganizationPatch
from iam.api.views import (
    OrganizationsView,
    OrganizationView,
    organization_view,
)
from iam.directory import organizations
from iam.directory.organizations import OrganizationChange, find_organization
from iam.sessions import rules
from iam.sessions.layers import read_policies, read_policy
from iam.sessions.lifecycle import Ended
from iam.sessions.policy import Layer, Policy

router = APIRouter(tags=["directory"])


def _organization(connection: Connection, name: str) -> dict[str, Any]:
    policy = read_policy(connection, Layer("organization", name))
    return organization_view(find_organization(connection, name), policy)


@router.get(
    "/v1/organizations",
    operation_id="listOrganizations",
    summary="Organizations by name",
    response_model=OrganizationsView,
    responses=errors(401, 403),
    openapi_extra=secured(BY_SESSION),
)
def list_organizations(call: Reader, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """All of the installation for its administrator, else the caller's own."""

    def work(connection: Connection) -> tuple[list[dict[str, Any]], bool]:
        policies = read_policies(connection, "organization")
        if call.caller.reaches_installation:
            found = organizations.list_organizations(connection, after=cursor, limit=limit + 1)
        else:
            own = find_organization(connection, call.home)
            found = (own,) if cursor is None or own.name > cursor else ()
        items = [
            organization_view(o, policies.get(Layer("organization", o.name), _NONE))
            for o in found[:limit]
        ]
        return items, len(found) > limit

    items, more = call.engine.database.read(work)
    return answer({"items": items, "next": items[-1]["name"] if more else None})


_NONE = Policy()


@router.post(
    "/v1/organizations",
    operation_id="createOrganization",
    summary="Add an organization",
    status_code=201,
    response_model=OrganizationView,
    responses=errors(401, 403, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def create_organization(call: Administrator, body: OrganizationBody) -> Response:
    """For administrators of the installation."""
    require_installation(call)

    def work(connection: Connection) -> dict[str, Any]:
        rules.hold_rules(connection, body.name)
        organizations.create_organization(connection, body.name, body.display_name, call.now)
        audit.append(connection, [call.event("organization.created", organization=body.name)])
        set_policy(connection, call, Layer("organization", body.name), body.policy)
        return _organization(connection, body.name)

    made = call.engine.database.write(work)
    return answer(made, 201, location=f"/v1/organizations/{body.name}")


@router.get(
    "/v1/organizations/{name}",
    operation_id="getOrganization",
    summary="One organization",
    response_model=OrganizationView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get_organization(call: Reader, name: PathName) -> Response:
    """With its policy."""
    require_organization(call, name)
    return answer(call.engine.database.read(lambda c: _organization(c, name)))


@router.patch(
    "/v1/organizations/{name}",
    operation_id="updateOrganization",
    summary="Change an organization",
    response_model=OrganizationView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update_organization(call: Administrator, name: PathName, body: OrganizationPatch) -> Response:
    """A tighter policy ends, at once, the live sessions that are too old by it. `enabled: false` (for
    administrators of the installation) ends all of them, however many, and refuses every sign-in."""
    require_organization(call, name)
    if "enabled" in body.model_fields_set:
        require_installation(call)
    change = OrganizationChange(**body.model_dump(include={"display_name", "enabled"}))

    def work(connection: Connection) -> tuple[dict[str, Any], tuple[Ended, ...]]:
        rules.hold_rules(connection, name)
        find_organization(connection, name)
        ended: tuple[Ended, ...] = ()
        if body.policy is not None:
            layer = Layer("organization", name)
            ended = set_policy(connection, call, layer, body.policy).impact.noted
        cause = call.cause
        _, more = organizations.update_organization(connection, name, change, **cause)
        note_change(
            connection, call, "organization.updated", body.model_fields_set, organization=name
        )
        return _organization(connection, name), ended + more

    view, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return answer(view)


@router.delete(
    "/v1/organizations/{name}",
    operation_id="deleteOrganization",
    summary="Delete an organization and end all its sessions",
    status_code=204,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def delete_organization(call: Administrator, name: PathName) -> Response:
    """With its users and applications. For administrators of the installation."""
    require_organization(call, name)
    require_installation(call)

    def work(connection: Connection) -> tuple[Ended, ...]:
        ended = organizations.delete_organization(connection, name, **call.cause)
        audit.append(connection, [call.event("organization.deleted", organization=name)])
        return ended

    call.engine.count_ended(call.engine.database.write(work))
    return nothing()


def note_change(
    connection: Connection, call: OwnCall, type_: str, changed: set[str], **members: Any
) -> None:
    """Write the event of a change, by the names of the members that were given."""
    if changed:
        event = call.event(type_, data={"changed": sorted(changed)}, **members)
        audit.append(connection, [event])
