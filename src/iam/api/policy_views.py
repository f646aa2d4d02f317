"""Policies as the API shows them. The members of a policy are the knobs of `sessions.knobs`."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from iam.api.views import PolicyView, View, policy_view
from iam.kernel.clock import Instant, to_iso
from iam.sessions.policy import NAMES, Layer, LayerName, Policy, Settled, end_reason
from iam.sessions.policy_change import Changed


class LayerView(View):
    """Where a policy is set: names that do not belong to this kind of layer are null."""

    layer: LayerName
    organization: str | None
    application: str | None
    role: str | None
    user: str | None
    policy: PolicyView


class PoliciesView(View):
    items: list[LayerView]


def layer_view(layer: Layer, policy: Policy) -> dict[str, Any]:
    """A layer and what it says."""
    named = dict.fromkeys(("application", "role", "user")) | {layer.kind: layer.name}
    return {
        "layer": layer.kind,
        "organization": layer.organization or None,
        "application": named["application"],
        "role": named["role"],
        "user": named["user"],
        "policy": policy_view(policy),
    }


class AffectedView(View):
    """How many live sessions of an application a change shortened, and how many it ended."""

    organization: str
    application: str
    shortened: int
    ended: int


class AffectedSessionView(View):
    id: str
    organization: str
    user: str
    application: str
    effect: Literal["shortened", "ended"]
    end_reason: str | None
    expires_at: datetime = Field(description="When it ends now, or has ended.")


class ChangedView(LayerView):
    """What a layer says, and what that does to live sessions."""

    dry_run: bool
    shortened: int
    ended: int
    applications: list[AffectedView]
    sample: list[AffectedSessionView] = Field(description="Up to ten of them, ended ones first.")


def changed_view(layer: Layer, changed: Changed, now: Instant, *, dry_run: bool) -> dict[str, Any]:
    """The answer to a change, or to a dry run of one."""
    impact = changed.impact
    pairs = sorted({*impact.shortened, *impact.ended})
    return {
        **layer_view(layer, changed.policy),
        "dry_run": dry_run,
        "shortened": impact.shortened.total(),
        "ended": impact.ended.total(),
        "applications": [
            {
                "organization": organization,
                "application": application,
                "shortened": impact.shortened[organization, application],
                "ended": impact.ended[organization, application],
            }
            for organization, application in pairs
        ],
        "sample": [
            {
                "id": one.id,
                "organization": one.organization,
                "user": one.user,
                "application": one.application,
                "effect": "shortened" if end_reason(one, now) is None else "ended",
                "end_reason": end_reason(one, now),
                "expires_at": to_iso(one.over_at),
            }
            for one in impact.sample
        ],
    }


class KnobView(View):
    """The value that holds, and the layer that set it; `name` is the role's, the user's …"""

    value: int | bool | str | None
    layer: LayerName | Literal["default"]
    name: str | None


class ExplainedView(View):
    """null is the value of a rule that there is not."""

    organization: str
    application: str
    user: str | None
    idle_timeout: KnobView
    maximum_lifetime: KnobView
    remember_idle_timeout: KnobView
    remember_maximum_lifetime: KnobView
    exclusive: KnobView
    maximum_sessions: KnobView
    at_limit: KnobView
    maximum_user_sessions: KnobView
    reauthentication_age: KnobView
    end_children: KnobView
    notify_on_expiry: KnobView


def explained_view(settled: dict[str, Settled]) -> dict[str, Any]:
    """Each knob: its value and who set it."""
    return {name: _knob(settled[name]) for name in NAMES}


def _knob(settled: Settled) -> dict[str, Any]:
    layer = settled.layer
    return {
        "value": settled.value,
        "layer": layer.kind if layer is not None else "default",
        "name": (layer.name or layer.organization or None) if layer is not None else None,
    }
