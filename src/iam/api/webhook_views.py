"""What answers about webhooks and deliveries look like; see `iam.api.views` for how."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from iam.api.views import View, iso
from iam.delivery.listing import Delivery
from iam.delivery.webhooks import Webhook
from iam.kernel.clock import to_iso


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
    """One notice to one webhook or application, and how far it has come."""

    id: str
    webhook: str | None = Field(description="null: it goes to an application.")
    application: str | None = Field(
        description="The name of the application that is told of an end (back-channel or SAML logout)."
    )
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
        "application": delivery.application,
        "organization": delivery.organization,
        "event": delivery.event,
        "session": delivery.session,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_at": to_iso(delivery.next_at) if delivery.state == "pending" else None,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": to_iso(delivery.created_at),
        "delivered_at": iso(delivery.delivered_at),
    }
