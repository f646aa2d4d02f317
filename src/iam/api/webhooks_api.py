"""Whom we tell of events, and what became of each notice."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
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
    SessionMissing,
    SessionsViewer,
    Text,
    answer,
    nothing,
    reach,
    reaches,
    require_installation,
    require_organization,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.schemas import WebhookBody, WebhookPatch
from iam.api.webhook_views import (
    DeliveriesView,
    DeliveryView,
    NewWebhookView,
    WebhooksView,
    WebhookView,
    delivery_view,
    webhook_view,
)
from iam.delivery import listing, outbox, webhooks
from iam.delivery.addresses import check_webhook_url
from iam.delivery.listing import Delivery, DeliveryMissing
from iam.delivery.webhooks import Webhook, WebhookMissing
from iam.directory.organizations import find_organization
from iam.sessions import store
from iam.sessions.search import entered_from

router = APIRouter(tags=["webhooks"])

State = Annotated[Literal["pending", "delivered", "dead"] | None, Query()]


def _checked(call: OwnCall, url: str) -> str:
    return check_webhook_url(url, allow_private=call.engine.settings.delivery_allow_private)


def _own(call: OwnCall, connection: Connection, id_: str) -> Webhook:
    """The webhook, if it exists for this caller."""
    found = webhooks.find_webhook(connection, id_)
    if not call.caller.reaches(found.organization):
        raise WebhookMissing
    return found


@router.post(
    "/v1/webhooks",
    operation_id="createWebhook",
    summary="Be told of events",
    status_code=201,
    response_model=NewWebhookView,
    responses=errors(401, 403, 404, body=True),
    openapi_extra=secured(BY_SESSION),
)
def create(call: Administrator, body: WebhookBody) -> Response:
    """Notices of events of the organization (or of all) go to `url` from now on, signed with `secret`
    as Standard Webhooks says. The secret is shown this once."""
    organization = body.organization
    if organization is None:
        require_installation(call)
    else:
        require_organization(call, organization)

    def work(connection: Connection) -> Webhook:
        if organization is not None:
            find_organization(connection, organization)
        made = webhooks.create_webhook(
            connection,
            organization=organization,
            url=_checked(call, body.url),
            event_types=body.event_types,
            now=call.now,
            random=call.engine.random,
        )
        data = {"webhook": made.id, "url": made.url, "event_types": list(made.event_types)}
        event = call.event("webhook.created", organization=organization, data=data)
        audit.append(connection, [event])
        return made

    made = call.engine.database.write(work)
    return answer({**webhook_view(made), "secret": made.secret}, 201)


@router.get(
    "/v1/webhooks",
    operation_id="listWebhooks",
    summary="Webhooks, oldest first",
    response_model=WebhooksView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_all(
    call: Reader, organization: Text = None, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Without `organization`: all that the caller administers. Secrets are not shown."""
    scope = reach(call, organization, None)
    found = call.engine.database.read(
        lambda c: webhooks.list_webhooks(c, scope.organization, after=cursor, limit=limit)
    )
    following = found[-1].id if len(found) == limit else None
    return answer({"items": [webhook_view(one) for one in found], "next": following})


@router.get(
    "/v1/webhooks/{id}",
    operation_id="getWebhook",
    summary="One webhook",
    response_model=WebhookView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get(call: Reader, id: PathName) -> Response:  # noqa: A002 - the parameter's name in the path
    """Without its secret."""
    return answer(webhook_view(call.engine.database.read(lambda c: _own(call, c, id))))


@router.patch(
    "/v1/webhooks/{id}",
    operation_id="updateWebhook",
    summary="Change a webhook",
    response_model=WebhookView,
    responses=errors(401, 403, 404, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update(call: Administrator, id: PathName, body: WebhookPatch) -> Response:  # noqa: A002 - as above
    """While it is disabled no notices are kept for it; those that wait are sent when it is enabled."""
    given = body.model_fields_set

    def work(connection: Connection) -> Webhook:
        found = _own(call, connection, id)
        if not given:
            return found
        changed = webhooks.update_webhook(
            connection,
            id,
            url=_checked(call, body.url) if "url" in given else None,
            event_types=body.event_types,
            enabled=body.enabled,
        )
        data = {"webhook": id, "changed": sorted(given)}
        event = call.event("webhook.updated", organization=changed.organization, data=data)
        audit.append(connection, [event])
        return changed

    return answer(webhook_view(call.engine.database.write(work)))


@router.delete(
    "/v1/webhooks/{id}",
    operation_id="deleteWebhook",
    summary="Delete a webhook",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def delete(call: Administrator, id: PathName) -> Response:  # noqa: A002 - as above
    """With all that waits for it, and what is known of its deliveries."""

    def work(connection: Connection) -> None:
        _own(call, connection, id)
        gone = webhooks.delete_webhook(connection, id)
        data = {"webhook": id, "url": gone.url}
        event = call.event("webhook.deleted", organization=gone.organization, data=data)
        audit.append(connection, [event])

    call.engine.database.write(work)
    return nothing()


@router.post(
    "/v1/webhooks/{id}/test",
    operation_id="testWebhook",
    summary="Send a notice to try a webhook",
    status_code=202,
    response_model=DeliveryView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def test(call: Administrator, id: PathName) -> Response:  # noqa: A002 - as above
    """A `webhook.tested` goes out, whatever types it wants; the answer is the delivery to look at."""

    def work(connection: Connection) -> Delivery:
        target = _own(call, connection, id)
        event = call.event("webhook.tested", organization=target.organization, data={"webhook": id})
        audit.append(connection, [event])
        return outbox.add(connection, target, event)

    return answer(delivery_view(call.engine.database.write(work)), 202)


@router.get(
    "/v1/deliveries",
    operation_id="listDeliveries",
    summary="Notices and what became of them, newest first",
    response_model=DeliveriesView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_deliveries(
    call: Reader,
    organization: Text = None,
    webhook: Text = None,
    application: Text = None,
    session: Text = None,
    state: State = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """To webhooks, and to applications whose sessions have ended. `state=dead`: what was given up.
    Without `organization`: all that the caller administers."""
    scope = reach(call, organization, None)
    found = call.engine.database.read(
        lambda c: listing.list_deliveries(
            c,
            organization=scope.organization,
            webhook_id=webhook,
            application_name=application,
            sessions=None if session is None else [session],
            state=state,
            before=cursor,
            limit=limit,
        )
    )
    following = found[-1].id if len(found) == limit else None
    return answer({"items": [delivery_view(one) for one in found], "next": following})


@router.get(
    "/v1/sessions/{id}/deliveries",
    operation_id="listDeliveriesOfSession",
    summary="Who was told of a session and its children, newest first",
    response_model=DeliveriesView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_of_session(
    call: SessionsViewer,
    id: PathName,  # noqa: A002 - as above
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Of a browser session: also what each application was told that had been entered from it."""

    def work(connection: Connection) -> tuple[Delivery, ...]:
        session = store.read_session(connection, id)
        if session is None or not reaches(call, session):
            raise SessionMissing
        family = [id, *entered_from(connection, id)]
        return listing.list_deliveries(
            connection, organization=None, sessions=family, before=cursor, limit=limit
        )

    found = call.engine.database.read(work)
    following = found[-1].id if len(found) == limit else None
    return answer({"items": [delivery_view(one) for one in found], "next": following})


@router.post(
    "/v1/deliveries/{id}/redeliver",
    operation_id="redeliver",
    summary="Send a notice once more",
    response_model=DeliveryView,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def redeliver(call: Administrator, id: PathName) -> Response:  # noqa: A002 - as above
    """With all its attempts, whether it was delivered or given up. Its `webhook-id` stays the same."""

    def work(connection: Connection) -> Delivery:
        found = listing.find_delivery(connection, id)
        if not call.caller.reaches(found.organization):
            raise DeliveryMissing
        again = outbox.redeliver(connection, id, call.now)
        data = {"delivery": id, "webhook": found.webhook, "application": found.application}
        event = call.event("delivery.redelivered", organization=found.organization, data=data)
        audit.append(connection, [event])
        return again

    return answer(delivery_view(call.engine.database.write(work)))
