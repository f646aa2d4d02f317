"""What answers look like: each model describes an answer, the function beside it makes one.

The functions make plain dictionaries: nothing is validated twice on its way out. That both agree is
what the tests check, on every answer.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from iam.delivery.outbox import Delivery
from iam.delivery.webhooks import Webhook
from iam.directory.applications import Application
from iam.directory.organizations import Organization
from iam.directory.users import User
from iam.kernel.clock import Instant, to_iso
from iam.kernel.events import SYSTEM
from iam.sessions.model import EndReason, RecordKey, Session, SessionRecord
from iam.sessions.policy import Policy, end_reason


class View(BaseModel):
    """Every member is always there; null says that it has no value."""

    model_config = ConfigDict(extra="forbid")


class SessionView(View):
    """One login instance."""

    id: str = Field(description="Public and stable: OIDC `sid`, safe to log.")
    organization: str
    user: str
    application: str
    parent: str | None = Field(description="The browser session it was entered from.")
    created_at: datetime
    authenticated_at: datetime | None
    last_active_at: datetime
    idle_expires_at: datetime = Field(description="When it ends if its holder does nothing more.")
    expires_at: datetime
    amr: list[str]
    acr: str | None
    ip: str | None
    device: str | None
    user_agent: str | None
    instance: str | None
    metadata: dict[str, Any]
    state: Literal["active", "ended"]
    ended_at: datetime | None
    end_reason: EndReason | None
    ended_by: str | None


def session_view(session: Session, now: Instant) -> dict[str, Any]:
    """A session as it is at `now`, whether the sweep has noted its end or not."""
    reason = end_reason(session, now)
    ended_at, ended_by = session.ended_at, session.ended_by
    if reason is not None and ended_at is None:
        ended_at, ended_by = session.idle_expires_at, SYSTEM
    return {
        "id": session.id,
        "organization": session.organization,
        "user": session.user,
        "application": session.application,
        "parent": session.parent,
        "created_at": to_iso(session.created_at),
        "authenticated_at": _iso(session.authenticated_at),
        "last_active_at": to_iso(session.last_active_at),
        "idle_expires_at": to_iso(session.idle_expires_at),
        "expires_at": to_iso(session.expires_at),
        "amr": list(session.amr),
        "acr": session.acr,
        "ip": session.ip,
        "device": session.device,
        "user_agent": session.user_agent,
        "instance": session.instance,
        "metadata": dict(session.metadata),
        "state": "active" if reason is None else "ended",
        "ended_at": _iso(ended_at),
        "end_reason": reason,
        "ended_by": ended_by,
    }


class StartedView(View):
    """A new session and its token: the only time that it is shown."""

    session: SessionView
    token: str


class SessionsView(View):
    items: list[SessionView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


class RefusedView(View):
    """Why a token is not good."""

    code: Literal["session_unknown", "session_ended"]
    end_reason: EndReason | None


class EndedView(View):
    """What a call ended (or, with `dry_run`, would end), with children."""

    ended: int
    ids: list[str]
    own_session_ended: bool = Field(description="Whether the caller's own session is among them.")


class RecordView(View):
    """All live sessions of one user at one application."""

    organization: str
    user: str
    application: str
    created_at: datetime | None = Field(description="null when no session is live.")
    session_ids: list[str]


class RecordsView(View):
    items: list[RecordView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def record_view(record: SessionRecord) -> dict[str, Any]:
    """A record."""
    return {
        "organization": record.organization,
        "user": record.user,
        "application": record.application,
        "created_at": to_iso(record.created_at),
        "session_ids": list(record.session_ids),
    }


def empty_record_view(key: RecordKey) -> dict[str, Any]:
    """The record of a pair that has no live session."""
    return {**key._asdict(), "created_at": None, "session_ids": []}


class PolicyView(View):
    """Seconds; null leaves the knob to the other layers."""

    idle_timeout: int | None
    maximum_lifetime: int | None


def policy_view(policy: Policy) -> dict[str, Any]:
    """What one layer says."""
    return {
        "idle_timeout": policy.idle_timeout,
        "maximum_lifetime": policy.maximum_lifetime,
    }


class LayerView(View):
    layer: Literal["installation", "organization", "application"]
    organization: str | None
    application: str | None
    policy: PolicyView


class PoliciesView(View):
    items: list[LayerView]


class KnobView(View):
    """The value that holds, and the layer that set it."""

    value: int
    layer: Literal["default", "installation", "organization", "application"]


class ExplainedView(View):
    organization: str
    application: str
    idle_timeout: KnobView
    maximum_lifetime: KnobView


class OrganizationView(View):
    name: str
    display_name: str
    policy: PolicyView
    created_at: datetime


class OrganizationsView(View):
    items: list[OrganizationView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def organization_view(organization: Organization, policy: Policy) -> dict[str, Any]:
    """An organization."""
    return {
        "name": organization.name,
        "display_name": organization.display_name,
        "policy": policy_view(policy),
        "created_at": to_iso(organization.created_at),
    }


class ApplicationView(View):
    organization: str
    name: str
    client_id: str
    display_name: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    grant_types: list[str]
    gate_hosts: list[str]
    public: bool
    enabled: bool
    policy: PolicyView
    created_at: datetime


class NewApplicationView(ApplicationView):
    client_secret: str | None = Field(description="Shown this once; null for a public application.")


class ApplicationsView(View):
    items: list[ApplicationView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


class SecretView(View):
    client_id: str
    client_secret: str = Field(description="Shown this once; the former one no longer works.")


def application_view(application: Application, policy: Policy) -> dict[str, Any]:
    """An application, without its secret."""
    return {
        "organization": application.organization,
        "name": application.name,
        "client_id": application.client_id,
        "display_name": application.display_name,
        "redirect_uris": list(application.redirect_uris),
        "post_logout_redirect_uris": list(application.post_logout_redirect_uris),
        "grant_types": list(application.grant_types),
        "gate_hosts": list(application.gate_hosts),
        "public": application.public,
        "enabled": application.enabled,
        "policy": policy_view(policy),
        "created_at": to_iso(application.created_at),
    }


class UserView(View):
    id: str = Field(description="The OIDC subject; never given to anyone else.")
    organization: str
    name: str
    display_name: str
    email: str | None
    roles: list[str]
    enabled: bool
    has_password: bool
    created_at: datetime


class UsersView(View):
    items: list[UserView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def user_view(user: User) -> dict[str, Any]:
    """A user."""
    return {
        "id": user.id,
        "organization": user.organization,
        "name": user.name,
        "display_name": user.display_name,
        "email": user.email,
        "roles": list(user.roles),
        "enabled": user.enabled,
        "has_password": user.has_password,
        "created_at": to_iso(user.created_at),
    }


class EventView(View):
    id: str
    at: datetime
    type: str
    actor: str
    organization: str | None
    user: str | None
    application: str | None
    session: str | None
    reason: str | None
    ip: str | None
    user_agent: str | None
    data: dict[str, Any]


class EventsView(View):
    items: list[EventView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


class WebhookView(View):
    id: str
    organization: str | None = Field(description="null: the whole installation's.")
    url: str
    event_types: list[str]
    enabled: bool
    created_at: datetime


class NewWebhookView(WebhookView):
    secret: str = Field(description="What its notices are signed with; shown this once.")


class WebhooksView(View):
    items: list[WebhookView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def webhook_view(webhook: Webhook) -> dict[str, Any]:
    """A webhook, without its secret."""
    return {
        "id": webhook.id,
        "organization": webhook.organization,
        "url": webhook.url,
        "event_types": list(webhook.event_types),
        "enabled": webhook.enabled,
        "created_at": to_iso(webhook.created_at),
    }


class DeliveryView(View):
    """One notice to one webhook, and how far it has come."""

    id: str
    webhook: str
    organization: str | None
    event: str
    session: str | None
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    next_at: datetime | None = Field(description="When it is tried again; null if it is not.")
    last_status: int | None = Field(description="The status of the receiver's last answer.")
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


class DeliveriesView(View):
    items: list[DeliveryView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """A delivery."""
    return {
        "id": delivery.id,
        "webhook": delivery.webhook,
        "organization": delivery.organization,
        "event": delivery.event,
        "session": delivery.session,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_at": to_iso(delivery.next_at) if delivery.state == "pending" else None,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": to_iso(delivery.created_at),
        "delivered_at": _iso(delivery.delivered_at),
    }


def _iso(instant: Instant | None) -> str | None:
    return None if instant is None else to_iso(instant)
