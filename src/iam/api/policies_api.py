"""Policies: what every layer says, what that comes to, and what a change of it does."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from iam.api.access import (
    Administrator,
    OwnCall,
    PathName,
    Reader,
    Text,
    answer,
    require_installation,
    require_organization,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.policy_views import (
    ChangedView,
    ExplainedView,
    LayerView,
    PoliciesView,
    changed_view,
    explained_view,
    layer_view,
)
from iam.api.schemas import PolicyBody
from iam.directory.applications import find_application
from iam.directory.bearers import check_bearer
from iam.directory.organizations import find_organization
from iam.directory.users import find_user
from iam.sessions.layers import read_policies, read_policy, read_said
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.policy import INSTALLATION, Layer, LayerName, Policy, home_of
from iam.sessions.policy_change import Changed, change_policy

router = APIRouter(tags=["policies"])
DryRun = Annotated[bool, Query(description="Change nothing; answer what the change would do.")]
Kind = Literal["applications", "roles", "users"]
_KINDS: dict[Kind, LayerName] = {"applications": "application", "roles": "role", "users": "user"}


def turned(body: PolicyBody) -> dict[str, Any]:
    """The knobs that a body names."""
    return body.model_dump(include=body.model_fields_set)


def set_policy(connection: Connection, call: OwnCall, layer: Layer, body: PolicyBody) -> Changed:
    """Store what a layer says now and bring live sessions down to it.

    What the body does not mention stays; null leaves the knob to the other layers.
    """
    return change_policy(connection, layer, turned(body), origin=call.origin, **call.cause)


def _change(call: OwnCall, layer: Layer, body: PolicyBody, *, dry_run: bool) -> Response:
    database = call.engine.database
    run = database.rehearse if dry_run else database.write

    def work(connection: Connection) -> Changed:
        check_bearer(connection, layer)
        return set_policy(connection, call, layer, body)

    changed = run(work)
    if not dry_run:
        call.engine.count_ended(changed.impact.noted)
    return answer(changed_view(layer, changed, call.now, dry_run=dry_run))


def _read(call: OwnCall, layer: Layer) -> Response:
    def work(connection: Connection) -> Policy:
        check_bearer(connection, layer)
        return read_policy(connection, layer)

    return answer(layer_view(layer, call.engine.database.read(work)))


@router.get(
    "/v1/policies",
    operation_id="listPolicies",
    summary="What every layer says for one organization",
    response_model=PoliciesView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_all(call: Reader, organization: Text = None) -> Response:
    """The installation, the organization (by default the caller's own) and those of its applications,
    roles and users that have a policy of their own."""
    name = organization or call.home
    require_organization(call, name)

    def work(connection: Connection) -> list[dict[str, Any]]:
        find_organization(connection, name)
        layers = {
            layer: read_policy(connection, layer)
            for layer in (INSTALLATION, Layer("organization", name))
        }
        for kind in _KINDS.values():
            layers |= read_policies(connection, kind, name)
        return [layer_view(layer, policy) for layer, policy in layers.items()]

    return answer({"items": call.engine.database.read(work)})


@router.get(
    "/v1/policies/explain",
    operation_id="explainPolicy",
    summary="Which layer sets what for a session",
    response_model=ExplainedView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def explain(
    call: Reader,
    organization: Text = None,
    application: Text = None,
    user: Text = None,
) -> Response:
    """For a session that `user` (or anybody without a role and a policy of their own) of `organization`
    (by default the caller's own) starts at `application` (by default the browser session)."""
    owner, target = organization or call.home, application or BUILT_IN_APPLICATION
    require_organization(call, owner)

    def work(connection: Connection) -> dict[str, Any]:
        find_organization(connection, owner)
        find_application(connection, home_of(target, owner), target)
        roles = find_user(connection, owner, user).roles if user else ()
        said = read_said(connection, owner)
        explained = explained_view(said.explain(target, user=user or "", roles=roles))
        return {"organization": owner, "application": target, "user": user or None, **explained}

    return answer(call.engine.database.read(work))


@router.get(
    "/v1/policies/installation",
    operation_id="getInstallationPolicy",
    summary="The installation's policy",
    response_model=LayerView,
    responses=errors(401, 403),
    openapi_extra=secured(BY_SESSION),
)
def get_installation(call: Reader) -> Response:
    """It bounds everybody, so every administrator may read it."""
    return _read(call, INSTALLATION)


@router.patch(
    "/v1/policies/installation",
    operation_id="updateInstallationPolicy",
    summary="Change the installation's policy",
    response_model=ChangedView,
    responses=errors(401, 403, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update_installation(call: Administrator, body: PolicyBody, dry_run: DryRun = False) -> Response:
    """Live sessions follow in the same transaction: what is too old or too many is over at once."""
    require_installation(call)
    return _change(call, INSTALLATION, body, dry_run=dry_run)


@router.get(
    "/v1/policies/organizations/{organization}",
    operation_id="getOrganizationPolicy",
    summary="An organization's policy",
    response_model=LayerView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get_organization(call: Reader, organization: PathName) -> Response:
    """What it says itself; `GET /v1/policies/explain` says what holds."""
    require_organization(call, organization)
    return _read(call, Layer("organization", organization))


@router.patch(
    "/v1/policies/organizations/{organization}",
    operation_id="updateOrganizationPolicy",
    summary="Change an organization's policy",
    response_model=ChangedView,
    responses=errors(401, 403, 404, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update_organization(
    call: Administrator, organization: PathName, body: PolicyBody, dry_run: DryRun = False
) -> Response:
    """Live sessions follow in the same transaction: what is too old or too many is over at once."""
    require_organization(call, organization)
    return _change(call, Layer("organization", organization), body, dry_run=dry_run)


@router.get(
    "/v1/policies/{kind}/{organization}/{name}",
    operation_id="getPolicy",
    summary="The policy of an application, a role or a user",
    response_model=LayerView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get_policy(call: Reader, kind: Kind, organization: PathName, name: PathName) -> Response:
    """What it says itself; `GET /v1/policies/explain` says what holds."""
    require_organization(call, organization)
    return _read(call, Layer(_KINDS[kind], organization, name))


@router.patch(
    "/v1/policies/{kind}/{organization}/{name}",
    operation_id="updatePolicy",
    summary="Change the policy of an application, a role or a user",
    response_model=ChangedView,
    responses=errors(401, 403, 404, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update_policy(
    call: Administrator,
    kind: Kind,
    organization: PathName,
    name: PathName,
    body: PolicyBody,
    dry_run: DryRun = False,
) -> Response:
    """Live sessions follow in the same transaction: what is too old or too many is over at once."""
    require_organization(call, organization)
    return _change(call, Layer(_KINDS[kind], organization, name), body, dry_run=dry_run)
