"""Policies: the installation's own, all layers at a glance, and which layer set what."""

from typing import Any, Literal

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import (
    Administrator,
    OwnCall,
    Text,
    answer,
    require_installation,
    require_organization,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.schemas import PolicyBody
from iam.api.views import ExplainedView, PoliciesView, PolicyView, policy_view
from iam.directory.applications import find_application
from iam.directory.organizations import find_organization
from iam.sessions import rules
from iam.sessions.lifecycle import Ended
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.policy import (
    INSTALLATION,
    Layer,
    Policy,
    effective_policy,
    home_of,
    read_policies,
    read_policy,
    store_policy,
)

router = APIRouter(tags=["policies"])


def set_policy(
    connection: Connection, call: OwnCall, layer: Layer, body: PolicyBody
) -> tuple[Ended, ...]:
    """Store what a layer says now and bring live sessions down to it; answer what that ended.

    What the body does not mention stays; null leaves the knob to the other layers.
    """
    rules.hold_rules(connection, layer.reach)
    before = read_policy(connection, layer)
    after = Policy(**{**policy_view(before), **body.model_dump(include=body.model_fields_set)})
    if after == before:
        return ()
    store_policy(connection, layer, after)
    event = call.event(
        "policy.updated",
        organization=layer.organization or None,
        application=layer.application or None,
        data={"layer": layer.name, "before": policy_view(before), "after": policy_view(after)},
    )
    audit.append(connection, [event])
    return rules.apply_policy(connection, layer.reach, **call.cause)


@router.get(
    "/v1/policies",
    operation_id="listPolicies",
    summary="What every layer says for one organization",
    response_model=PoliciesView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_all(call: Administrator, organization: Text = None) -> Response:
    """The installation, the organization (by default the caller's own) and those of its applications
    that have a policy of their own."""
    name = organization or call.home
    require_organization(call, name)

    def work(connection: Connection) -> list[dict[str, Any]]:
        find_organization(connection, name)
        layers = {
            INSTALLATION: read_policy(connection, INSTALLATION),
            Layer("organization", name): read_policy(connection, Layer("organization", name)),
        }
        for (owner, application), policy in sorted(
            read_policies(connection, "application").items(), key=lambda item: item[0]
        ):
            if owner == name:
                layers[Layer("application", owner, application)] = policy
        return [
            {
                "layer": layer.name,
                "organization": layer.organization or None,
                "application": layer.application or None,
                "policy": policy_view(policy),
            }
            for layer, policy in layers.items()
        ]

    return answer({"items": call.engine.database.read(work)})


@router.get(
    "/v1/policies/installation",
    operation_id="getInstallationPolicy",
    summary="The installation's policy",
    response_model=PolicyView,
    responses=errors(401, 403),
    openapi_extra=secured(BY_SESSION),
)
def get_installation(call: Administrator) -> Response:
    """It bounds everybody, so every administrator may read it."""
    policy = call.engine.database.read(lambda c: read_policy(c, INSTALLATION))
    return answer(policy_view(policy))


@router.patch(
    "/v1/policies/installation",
    operation_id="updateInstallationPolicy",
    summary="Change the installation's policy",
    response_model=PolicyView,
    responses=errors(401, 403, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update_installation(call: Administrator, body: PolicyBody) -> Response:
    """Live sessions that are too old by the new one end at once."""
    require_installation(call)

    def work(connection: Connection) -> tuple[Policy, tuple[Ended, ...]]:
        ended = set_policy(connection, call, INSTALLATION, body)
        return read_policy(connection, INSTALLATION), ended

    policy, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return answer(policy_view(policy))


@router.get(
    "/v1/policies/explain",
    operation_id="explainPolicy",
    summary="Which layer sets what for a session",
    response_model=ExplainedView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def explain(call: Administrator, organization: Text = None, application: Text = None) -> Response:
    """For a session that a user of `organization` (by default the caller's own) starts at
    `application` (by default the browser session)."""
    owner, target = organization or call.home, application or BUILT_IN_APPLICATION
    require_organization(call, owner)

    def work(connection: Connection) -> dict[str, Any]:
        find_organization(connection, owner)
        home = home_of(target, owner)
        find_application(connection, home, target)
        layers = [
            INSTALLATION,
            Layer("organization", owner),
            Layer("application", home, target),
        ]
        said = [(layer.name, read_policy(connection, layer)) for layer in layers]
        effective = effective_policy(connection, owner, target)
        knobs: tuple[Literal["idle_timeout", "maximum_lifetime"], ...] = (
            "idle_timeout",
            "maximum_lifetime",
        )
        explained: dict[str, Any] = {"organization": owner, "application": target}
        for knob in knobs:
            value = getattr(effective, knob)
            by = next((name for name, policy in said if getattr(policy, knob) == value), "default")
            explained[knob] = {"value": value, "layer": by}
        return explained

    return answer(call.engine.database.read(work))
